"""Reading JSON Lines with errors that name the line, and writing files that are whole or absent."""

import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from schematune.schemas.errors import ExampleError
from schematune.schemas.jsontext import JSON

__all__ = ["read_jsonl", "whole_file", "write_jsonl", "write_text"]


_UMASK = os.umask(0o022)
os.umask(_UMASK)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open `path` for writing by way of a temporary file beside it: a killed process leaves the old file.

    Raises `OSError` (a full disk, no permission); nothing is left behind then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_UMASK)  # a temporary file is its owner's alone
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path`, whole or not at all."""
    with whole_file(path) as file:
        file.write(text.encode("utf-8"))


def write_jsonl(path: Path, rows: Iterable[JSON]) -> None:
    """Write `rows` as JSON Lines as they come, whole or not at all."""
    with whole_file(path) as file:
        for row in rows:
            file.write((json.dumps(row, ensure_ascii=False) + "\n").encode("utf-8"))


def read_jsonl(path: Path) -> Iterator[tuple[str, JSON]]:
    """Yield each row with where it stands (`file:line`); empty lines are passed over.

    Raises `ExampleError` where the file is missing or a line is no JSON.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ExampleError(f"cannot be read: {error}", where=str(path), fix="check the path") from error
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ExampleError(f"no JSON: {error}", where=where, fix="one JSON object per line") from error
        yield where, row

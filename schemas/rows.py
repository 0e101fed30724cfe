"""Rows of the case format in files: JSON Lines, or Parquet where the name ends in `.parquet`.

In Parquet what is nested (messages, calls, context, tools, evidence) stands as JSON text, since no two calls have the
same arguments; the rest are plain columns. Both are written as the rows come and are whole or absent.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from hashlib import file_digest
from itertools import islice
from pathlib import Path

from schematune.schemas.errors import ExampleError
from schematune.schemas.files import read_jsonl, whole_file, write_jsonl
from schematune.schemas.jsontext import JSON, compact

__all__ = ["read_rows", "sha256_of", "write_rows"]

_TEXTS = ("id", "source", "split", "template")
_NESTED = ("messages", "calls", "context", "tools", "evidence")
_GROUP = 4096


def write_rows(path: Path, rows: Iterable[Mapping[str, JSON]]) -> None:
    """Write rows as they come; the suffix says in which form."""
    if path.suffix == ".parquet":
        _write_parquet(path, iter(rows))
    else:
        write_jsonl(path, rows)


def read_rows(path: Path) -> Iterator[tuple[str, JSON]]:
    """Yield each row with where it stands (`file:row`); raises `ExampleError` for a file that cannot be read."""
    yield from _read_parquet(path) if path.suffix == ".parquet" else read_jsonl(path)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _write_parquet(path: Path, rows: Iterator[Mapping[str, JSON]]) -> None:
    import pyarrow as pa  # type: ignore[import-untyped]
    from pyarrow.parquet import ParquetWriter  # type: ignore[import-untyped]

    columns = [*((name, pa.string()) for name in (*_TEXTS, *_NESTED)), ("seed", pa.int64())]
    schema = pa.schema(columns)
    with whole_file(path) as file, ParquetWriter(file, schema, compression="zstd") as writer:
        while group := [_flat(row) for row in islice(rows, _GROUP)]:
            writer.write_table(pa.Table.from_pylist(group, schema=schema))


def _flat(row: Mapping[str, JSON]) -> dict[str, JSON]:
    flat = {name: row[name] for name in (*_TEXTS, "seed") if name in row}
    return flat | {name: compact(row[name]) for name in _NESTED if name in row}


def _read_parquet(path: Path) -> Iterator[tuple[str, JSON]]:
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    number = 0
    try:
        with ParquetFile(path) as file:
            for batch in file.iter_batches(_GROUP):
                for row in batch.to_pylist():
                    number += 1
                    yield (
                        f"{path}:{number}",
                        {name: _nested(name, value) for name, value in row.items() if value is not None},
                    )
    except (OSError, ValueError, ArrowException) as error:
        where = f"{path}:{number}" if number else str(path)
        raise ExampleError(f"cannot be read: {error}", where=where, fix="check the path") from error


def _nested(name: str, value: JSON) -> JSON:
    return json.loads(value) if name in _NESTED and isinstance(value, str) else value

"""A data card beside a file of pairs: what is in it, what it was made from and how, and by which hash it is known.

The card of `pairs.parquet` is `pairs.parquet.card.json`. Loading the pairs checks them against it.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from schematune.schemas.call import RESERVED
from schematune.schemas.errors import ExampleError
from schematune.schemas.files import write_text
from schematune.schemas.jsontext import JSON, digest, strict_loads
from schematune.schemas.rows import sha256_of, write_rows

__all__ = ["Tally", "card_path", "check_card", "fingerprint_of", "save_with_card"]

VERSION = 1


def card_path(path: Path) -> Path:
    """Return where the card of a file stands.

    >>> card_path(Path("data/pairs.parquet")).as_posix()
    'data/pairs.parquet.card.json'
    """
    return path.with_name(path.name + ".card.json")


class Tally:
    """Counts rows as they pass: by kind, tool, source and split.

    >>> tally = Tally()
    >>> rows = [{"source": "example:a.jsonl:1", "calls": [{"name": "add", "arguments": {}}]}]
    >>> list(tally(rows)) == rows, tally.counts
    (True, {'kind': {'call': 1}, 'tool': {'add': 1}, 'source': {'example': 1}, 'split': {'train': 1}})
    """

    def __init__(self) -> None:
        """See the class."""
        self._found: dict[str, Counter[str]] = {name: Counter() for name in ("kind", "tool", "source", "split")}
        self.rows = 0

    def __call__(self, rows: Iterable[Mapping[str, JSON]]) -> Iterator[Mapping[str, JSON]]:
        """Yield the rows, counted."""
        for row in rows:
            self._add(row)
            yield row

    def _add(self, row: Mapping[str, JSON]) -> None:
        names = [call["name"] for call in row["calls"]]
        single = names[0] if len(names) == 1 and names[0] in RESERVED else "call"
        self._found["kind"]["parallel" if len(names) > 1 else single if names else "no_tool"] += 1
        self._found["tool"].update(name for name in names if name not in RESERVED)
        self._found["source"][str(row.get("source", "")).split(":")[0]] += 1
        self._found["split"][row.get("split") or "train"] += 1
        self.rows += 1

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """The counts, the largest first."""
        return {name: dict(counter.most_common()) for name, counter in self._found.items()}


def fingerprint_of(rows: Iterable[Mapping[str, JSON]]) -> dict[str, JSON]:
    """Return how many rows there are and the SHA-256 of them all, in order."""
    digests = [digest(dict(row), ordered=False) for row in rows]
    return {"rows": len(digests), "sha256": digest(digests)}


def save_with_card(
    path: Path, rows: Iterable[Mapping[str, JSON]], origin: Callable[[], Mapping[str, JSON]], *, licence: str = ""
) -> dict[str, JSON]:
    """Write rows as they come, then their card with what `origin` says, and return the card.

    `origin` is asked once the rows are written. An old card goes first: no file ever stands beside another's.
    """
    tally = Tally()
    card_path(path).unlink(missing_ok=True)
    write_rows(path, tally(rows))
    card: dict[str, JSON] = {
        "version": VERSION,
        "file": path.name,
        "rows": tally.rows,
        "bytes": path.stat().st_size,
        "sha256": sha256_of(path),
        "counts": tally.counts,
        "licence_of_examples": licence or "not stated",
        **origin(),
    }
    write_text(card_path(path), json.dumps(card, ensure_ascii=False, indent=2) + "\n")
    return card


def check_card(path: Path) -> None:
    """Raise `ExampleError` where a file is not the one that the card beside it describes; no card is no error."""
    card = card_path(path)
    if not card.exists():
        return
    fix = f"make the pairs again, or remove {card.name} if the change is yours"
    try:
        described = strict_loads(card.read_text(encoding="utf-8"))["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ExampleError(f"no data card: {error!r}", where=str(card), fix=fix) from error
    if path.exists() and sha256_of(path) != described:
        raise ExampleError("the pairs are not those that the data card describes", where=str(path), fix=fix)

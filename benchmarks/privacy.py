"""What personal data is found, and what is missed? `python -m schematune.benchmarks.privacy [--cases FILE]`.

The cases are sentences, one a line, in which personal data is marked `[kind:text]`; what has no mark is none, and many
sentences are traps (order numbers, versions, cities that are names). The built-in ones were written by hand before the
rules were run on them. Prints what was missed and what was taken wrongly on stderr and, as the last line of stdout, one
JSON object: precision and recall, overall and by kind. `strict` wants offsets exactly; otherwise a find counts where it
is of the right kind and covers at least half of what it meets. `leaked` is the share of the marked texts that still stand
as they were once the sentence is scrubbed.
"""

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from schematune.schemas.errors import ExampleError, SchematuneError
from schematune.schemas.jsontext import JSON
from schematune.schemas.personal import KINDS, Found, find
from schematune.schemas.privacy import Scrubber

__all__ = ["Case", "main", "read_marked", "score"]

CASES = Path(__file__).resolve().parent / "demo" / "privacy.txt"

_MARK = re.compile(r"\[(\w+):([^\]]+)\]")


@dataclass(frozen=True)
class Case:
    """A sentence and the personal data in it: kind, start and end of each."""

    text: str
    gold: tuple[tuple[str, int, int], ...]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark from the command line and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m schematune.benchmarks.privacy", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--cases", type=Path, default=CASES, metavar="FILE", help="sentences with marks (built in)")
    parser.add_argument("--limit", type=int, metavar="N", help="sentences read (all)")
    parser.add_argument("--quiet", action="store_true", help="do not list what was missed and wrongly taken")
    options = parser.parse_args(argv)
    try:
        cases = read_marked(options.cases)[: options.limit]
        figures, notes = score(cases)
    except SchematuneError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for note in () if options.quiet else notes:
        print(note, file=sys.stderr)
    print(json.dumps(figures, ensure_ascii=False), flush=True)
    return 0


def read_marked(path: Path) -> list[Case]:
    """Read marked sentences; lines that begin with `#` are passed over. Raises `ExampleError`."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ExampleError(f"cannot be read: {error}", where=str(path), fix="check the path") from error
    cases = [_case(line, f"{path}:{number}") for number, line in enumerate(lines, 1) if line.strip() and line[0] != "#"]
    if not cases:
        raise ExampleError("no sentence in it", where=str(path), fix="one a line, with marks like [email:a@b.org]")
    return cases


def _case(line: str, where: str) -> Case:
    text, gold, end = "", [], 0
    for match in _MARK.finditer(line):
        if match[1] not in KINDS:
            raise ExampleError(f"no kind {match[1]!r}", where=where, fix=f"known: {', '.join(KINDS)}")
        text += line[end : match.start()]
        gold.append((match[1], len(text), len(text) + len(match[2])))
        text, end = text + match[2], match.end()
    return Case(text + line[end:], tuple(gold))


def score(cases: Sequence[Case]) -> tuple[dict[str, JSON], list[str]]:
    """Return the figures, and a line for each miss and each wrong find.

    >>> figures, notes = score([Case("mail a@b.org", (("email", 5, 12),)), Case("order 66", ())])
    >>> figures["recall"], figures["precision"], figures["leaked"], notes
    (1.0, 1.0, 0.0, [])
    """
    counts: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    notes, leaked, traps, tripped = [], 0, 0, 0
    scrubber = Scrubber()
    for case in cases:
        found = find(case.text)
        scrubbed = scrubber.text(case.text)
        for kind, start, end in case.gold:
            counts[kind]["gold"] += 1
            counts[kind]["strict"] += any((one.kind, one.start, one.end) == (kind, start, end) for one in found)
            met = any(_meets(one, kind, start, end) for one in found)
            counts[kind]["met"] += met
            leaked += case.text[start:end] in scrubbed
            notes += [] if met else [f"missed {kind}: {case.text[start:end]!r} in {case.text!r}"]
        for one in found:
            counts[one.kind]["found"] += 1
            right = any(_meets(one, *gold) for gold in case.gold)
            counts[one.kind]["right"] += right
            notes += [] if right else [f"wrong {one.kind}: {case.text[one.start : one.end]!r} in {case.text!r}"]
        traps += not case.gold
        tripped += not case.gold and bool(found)
    total: Counter[str] = sum(counts.values(), Counter())
    return {
        "benchmark": "privacy",
        "sentences": len(cases),
        **_shares(total),
        "leaked": round(leaked / max(1, total["gold"]), 4),
        "traps": traps,
        "tripped": round(tripped / max(1, traps), 4),
        "by_kind": {kind: _shares(count) for kind, count in counts.items() if count["gold"] or count["found"]},
    }, notes


def _shares(count: Counter[str]) -> dict[str, JSON]:
    return {
        "marked": count["gold"],
        "precision": round(count["right"] / count["found"], 4) if count["found"] else None,
        "recall": round(count["met"] / count["gold"], 4) if count["gold"] else None,
        "recall_strict": round(count["strict"] / count["gold"], 4) if count["gold"] else None,
    }


def _meets(one: Found, kind: str, start: int, end: int) -> bool:
    shared = min(one.end, end) - max(one.start, start)
    return one.kind == kind and shared > 0 and 2 * shared >= max(one.end - one.start, end - start)


if __name__ == "__main__":
    sys.exit(main())

"""Which engine holds to the schema? `python -m schematune.benchmarks.engines --schemas FILE`.

Reads schemas with instances marked valid or invalid, one JSON object a line (`schema`, `tests`; MaskBench has them), or
the official test suite (`--suite DIR --drafts ...`), and asks of each engine whether its grammar lets exactly the valid
ones through, as compact JSON. `schematune-mask` is the mask alone, `schematune` the mask with the check that every output
passes; the others are engines alone: `llguidance`, `llguidance-lenient`, `xgrammar`, `outlines_core`, where they are
installed. An instance refused only for the order of its keys is excused in the figures with `_ordered`. Mask times are
those of the tokens of the valid instances.

Each schema goes to one engine after the other, each in a process of its own, which is ended (`crashed`) where one schema
takes it more than `--seconds`. `against_llguidance` compares the medians over the schemas that both compile.
`keywords` counts what became of the schemas' keywords. `missing` lists which schemas are not right in `schematune`, and
why. Prints progress on stderr and one JSON object last; shares are of all schemas.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from schematune.benchmarks.subjects import Subject, Verdicts, judged, subjects
from schematune.benchmarks.suites import DRAFTS, SchemaCase, read_maskbench, read_suite
from schematune.benchmarks.vocabularies import tokenizer_named
from schematune.benchmarks.workers import Done, Worker
from schematune.schemas.errors import SchematuneError
from schematune.schemas.jsontext import JSON

__all__ = ["Audit", "audit", "figures", "main"]

_COUNTS = ("compiled", "right", "right_ordered", "unsound", "overstrict", "overstrict_ordered", "crashed")


@dataclass
class Audit:
    """What came of one engine: counts of schemas, keywords, and the verdicts by the number of the schema."""

    counts: Counter[str] = field(default_factory=Counter)
    keywords: Counter[str] = field(default_factory=Counter)
    verdicts: dict[int, Verdicts] = field(default_factory=dict)
    wrong: dict[int, str] = field(default_factory=dict)

    def take(self, number: int, done: Done) -> None:
        """Count what came of one schema."""
        if done.kind != "done":
            self.counts["crashed"] += 1
            self.wrong[number] = f"{done.kind}: {done.told}"
            return
        found: Verdicts = done.result
        self.keywords.update(found.keywords)
        if found.refused:
            self.wrong[number] = found.refused
            return
        self.verdicts[number] = found
        right, right_ordered = not (found.unsound or found.strict), not (found.unsound or found.strict_ordered)
        told = {"compiled": True, "right": right, "right_ordered": right_ordered, "unsound": found.unsound,
                "overstrict": found.strict, "overstrict_ordered": found.strict_ordered}  # fmt: skip
        self.counts.update({name: int(true) for name, true in told.items()})
        if not right_ordered:
            self.wrong[number] = "lets an invalid one through" if found.unsound else "refuses a valid one"


def audit(
    cases: Sequence[SchemaCase],
    engines: Sequence[Subject],
    tokenizer: Any,
    *,
    masks: bool = True,
    seconds: float = 60.0,
    quiet: bool = True,
) -> dict[str, Audit]:
    """Put every instance of every case to each engine; `tokenizer` is a Hugging Face one."""
    found = {engine.name: Audit() for engine in engines}
    with ExitStack() as stack:
        workers: dict[str, Worker] = {}
        for engine in engines:
            engine.prepare(tokenizer)

            def work(case: SchemaCase, engine: Subject = engine) -> Verdicts:
                return judged(case, engine, tokenizer, masks=masks)

            workers[engine.name] = stack.enter_context(Worker(work, seconds=seconds))
        for number, case in enumerate(tqdm(cases, desc="schemas", unit="schema", disable=quiet)):
            for engine in engines:
                found[engine.name].take(number, workers[engine.name](case))
    return found


def figures(found: Audit, cases: int, other: Audit | None = None) -> dict[str, JSON]:
    """Return one engine's figures: shares of the cases, times, what became of keywords; against another engine's."""
    shares: dict[str, JSON] = {name: round(found.counts[name] / max(1, cases), 4) for name in _COUNTS}
    compile_ms = [one.compile_ms for one in found.verdicts.values()]
    mask_us = [time for one in found.verdicts.values() for time in one.mask_us]
    for name, times, points in (("compile_ms", compile_ms, (50, 95)), ("mask_us", mask_us, (50, 99))):
        shares |= {f"{name}_p{p}": round(float(np.percentile(times, p)), 2) if times else None for p in points}
    if found.keywords:
        shares["keywords"] = dict(found.keywords)
    if other is not None and other is not found:
        shares["against_llguidance"] = _ratios(found, other)
    return shares


def _ratios(found: Audit, other: Audit) -> dict[str, JSON]:
    """Compare median times over the schemas that both engines compile."""
    both = sorted(found.verdicts.keys() & other.verdicts.keys())
    mine, theirs = ([one.verdicts[number] for number in both] for one in (found, other))
    compiles = [[one.compile_ms for one in side] for side in (mine, theirs)]
    masks = [[time for one in side for time in one.mask_us] for side in (mine, theirs)]
    ratios: dict[str, JSON] = {"schemas": len(both)}
    for name, (ours, others) in (("compile_p50", compiles), ("mask_p50", masks)):
        ratios[name] = round(float(np.median(ours) / np.median(others)), 3) if ours and others else None
    return ratios


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark from the command line and return the exit status."""
    options = _parser().parse_args(argv)
    try:
        cases = read_suite(options.suite, options.drafts) if options.suite else read_maskbench(options.schemas)
        cases = cases[:: options.every][: options.limit]
        tokenizer = tokenizer_named(options.tokenizer)
        engines, skipped = subjects(tokenizer, options.engines)
    except (SchematuneError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    options_of_run: Any = {"masks": not options.no_masks, "seconds": options.seconds, "quiet": options.quiet}
    found = audit(cases, engines, tokenizer, **options_of_run)
    other = found.get("llguidance")
    report = {name: figures(one, len(cases), other) for name, one in found.items()}
    for name, told in report.items():
        print(f"{name}: {told}", file=sys.stderr, flush=True)
    whole: dict[str, JSON] = {
        "benchmark": "engines",
        "schemas": len(cases),
        "tokenizer": {"name": options.tokenizer, "tokens": len(tokenizer)},
        "engines": report,
        "skipped": skipped,
        "formats_as_notes": sum(not case.formats for case in cases),
    }
    if "schematune" in found:
        whole["missing"] = {cases[number].name: why for number, why in sorted(found["schematune"].wrong.items())}
    print(json.dumps(whole), flush=True)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m schematune.benchmarks.engines", description=(__doc__ or "").split("\n")[0]
    )
    add: Any = parser.add_argument
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--schemas", type=Path, metavar="FILE", help='JSON Lines of {"schema", "tests"}: MaskBench')
    source.add_argument("--suite", type=Path, metavar="DIR", help="the official JSON Schema test suite")
    add("--drafts", nargs="+", default=DRAFTS, metavar="DRAFT", help=f"of the suite ({' '.join(DRAFTS)})")
    add("--engines", nargs="+", metavar="NAME", help="some engines only")
    add("--tokenizer", default="builtin", help="builtin, trained (32k), tekken (131k), or a local folder (builtin)")
    add("--limit", type=int, metavar="N", help="take the first N schemas only")
    add("--every", type=int, default=1, metavar="N", help="take each Nth schema only (1)")
    add("--seconds", type=float, default=60.0, help="end an engine that takes longer over one schema (60)")
    add("--no-masks", action="store_true", help="do not time masks")
    add("--quiet", action="store_true", help="no progress bars")
    return parser


if __name__ == "__main__":
    sys.exit(main())

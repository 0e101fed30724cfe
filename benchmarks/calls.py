"""Does tuning beat a long prompt on these requests? `python -m schematune.benchmarks.calls --cases FILE`.

Tunes on the examples (and synthesised pairs) where an arm needs it, scores every case by every arm, prints
the table on stderr and, as the last line of stdout, one JSON object. No request that is scored is trained on
or shown: the examples are cleared of them first, and the count is part of the result.

The cases are JSON Lines: `id`, `messages`, `calls` (none: no tool serves the request), and `tools` and
`accept` where a case has its own. Public ones to try are SNIPS (github.com/sonos/nlu-benchmark) and BFCL
(github.com/ShishirPatil/gorilla), brought into that form.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from schematune.benchmarks.arms import ARMS, CACHED_SAMPLE, NEAREST, Arm, Bench, pick_arms
from schematune.benchmarks.cases import Case, decontaminate, one_tool_set, read_cases, sample
from schematune.benchmarks.compare import default_arms, evaluate, tuning_seconds
from schematune.benchmarks.report import Report, summary
from schematune.schemas.contract import CONTRACT_FILE
from schematune.schemas.errors import ExampleError, SchematuneError
from schematune.schemas.pair import Pairs
from schematune.schemas.tool import ToolSet

__all__ = ["main", "run"]

PAIRS = 2000
"""Pairs synthesised where there is no example to tune on."""


@dataclass
class _Data:
    """What is scored, what may be trained on or shown, and what was left out on the way."""

    cases: list[Case]
    examples: Pairs
    counts: dict[str, int] = field(default_factory=dict)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark from the command line and return the exit status."""
    options = _parser().parse_args(argv)
    try:
        report = run(options)
    except SchematuneError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(summary(report), file=sys.stderr)
    print(f"report: {options.out / 'report.html'}", file=sys.stderr)
    print(json.dumps(report.json(), ensure_ascii=False), flush=True)
    return 0


def run(options: argparse.Namespace) -> Report:
    """Run the benchmark with parsed options; raises `SchematuneError`."""
    data = _read(options)
    arms = _arms(options, data)
    shots = data.examples
    bench = Bench(
        options.base,
        nearest=options.nearest,
        max_new_tokens=options.max_new_tokens,
        device=options.device,
    )
    tuning_s = None
    if any(arm.tuned or arm.shots for arm in arms):
        tools = one_tool_set(data.cases, where=str(options.cases))
        pairs = _pairs(options, data, tools, arms)
        shots = shots or pairs
        if any(arm.tuned for arm in arms):
            tuning_s = _tune(options, bench, tools, pairs)
    bench.shots = shots
    _say(f"scoring {len(data.cases)} cases by {len(arms)} arms")
    return evaluate(
        data.cases,
        arms,
        bench,
        tuning_s=tuning_s,
        counts=data.counts,
        out=options.out / "report.html",
        cached=options.cached,
        seed=options.seed,
        progress=not options.quiet,
        title=f"calls: {options.cases.name}",
    )


def _read(options: argparse.Namespace) -> _Data:
    """Read cases and examples; what is wrong with the examples is left out and counted."""
    tools = ToolSet(str(options.tools)) if options.tools else None
    skipped: list[str] | None = [] if options.skip_broken else None
    every = read_cases(options.cases, tools, skipped=skipped)
    data = _Data(sample(every, options.limit, seed=options.seed), Pairs(()))
    if skipped:
        data.counts["skipped"] = len(skipped)
        _say(f"{len(skipped)} broken cases left out, the first: {skipped[0]}")
    if options.examples:
        rows = read_cases(options.examples, tools)
        one_tool_set([*rows, *data.cases], where=str(options.examples))
        fitting = [row.pair for row in rows if not row.gold_invalid]
        data.examples, dropped = decontaminate(fitting, (case.pair for case in every))
        data.counts |= {"examples": len(data.examples), "examples_invalid": len(rows) - len(fitting)}
        data.counts["decontaminated"] = dropped
        _say(f"{len(data.examples)} examples; {dropped} left out because their request is scored")
        if not data.examples:
            raise ExampleError("no example is left to tune on", where=str(options.examples), fix="give others")
    return data


def _arms(options: argparse.Namespace, data: _Data) -> list[Arm]:
    """Return the arms asked for, by default all that the cases allow."""
    if options.arms:
        return pick_arms([name.strip() for name in options.arms.split(",")])
    shared = len({case.tools.fingerprint for case in data.cases}) == 1
    return pick_arms(default_arms(tuned=shared, shots=shared))


def _pairs(options: argparse.Namespace, data: _Data, tools: ToolSet, arms: Sequence[Arm]) -> Pairs:
    """Return the pairs to tune on and to show: the examples, and synthesised ones where asked for."""
    wanted = options.pairs if options.pairs is not None else 0 if data.examples else PAIRS
    needless = data.examples and not any(arm.tuned for arm in arms)
    if not wanted or needless or _reused(options):
        return data.examples
    from schematune.schemas.synthesize import synthesize

    scored = [case.pair for case in data.cases]
    begun = time.perf_counter()
    made = synthesize(
        tools,
        len(data.examples) + wanted,
        examples=data.examples or None,
        seed=options.seed,
        avoid=scored,
        test=0.0,
        progress=not options.quiet,
    )
    pairs, dropped = decontaminate(made, scored)
    data.counts |= {"pairs": len(pairs), "decontaminated": data.counts.get("decontaminated", 0) + dropped}
    _say(f"{len(pairs)} pairs to tune on, {wanted} synthesised in {time.perf_counter() - begun:.1f} s")
    return pairs


def _reused(options: argparse.Namespace) -> bool:
    return bool(options.adapter) and (options.adapter / CONTRACT_FILE).is_file()


def _tune(options: argparse.Namespace, bench: Bench, tools: ToolSet, pairs: Pairs) -> float | None:
    """Give the bench an adapter, tuned now or reused, and return what its tuning took in seconds."""
    if _reused(options):
        bench.adapter = options.adapter
        seconds = tuning_seconds(bench)
        _say(f"reusing the adapter {options.adapter}")
        return seconds
    from schematune.trainer.tune import tune

    if not pairs:
        raise ExampleError("nothing to tune on", where="--pairs", fix="give --examples FILE or --pairs N")
    begun = time.perf_counter()
    bench.adapter = tune(
        tools,
        pairs,
        base=options.base,
        out=options.adapter or options.out / "adapter",
        epochs=options.epochs,
        seed=options.seed,
        progress=not options.quiet,
    )
    seconds = time.perf_counter() - begun
    _say(f"tuned in {seconds:.0f} s")
    return seconds


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m schematune.benchmarks.calls", description=(__doc__ or "").split("\n")[0]
    )
    add = parser.add_argument
    add("--cases", type=Path, required=True, metavar="FILE", help="requests with their right calls, JSON Lines")
    add("--tools", type=Path, metavar="FILE", help="tools of the cases that bring none of their own")
    add("--examples", type=Path, metavar="FILE", help="examples to tune on and to show, JSON Lines")
    add("--pairs", type=_count, metavar="N", help=f"pairs to synthesise as well (0; {PAIRS} without examples)")
    add("--base", default="builtin", help="builtin, builtin-large, a folder or a hub name")
    add("--arms", help=f"some of {', '.join(ARMS)}; by default all that can be run but long+shots+grammar")
    add("--limit", type=_count, metavar="N", help="score a sample of N cases, drawn with the seed")
    add("--epochs", type=float, help="passes over the pairs (by the size of the base)")
    add("--adapter", type=Path, metavar="DIR", help="reuse this adapter where it exists, else tune into it")
    add("--out", type=Path, default=Path("runs/calls"), metavar="DIR", help="where the report goes (runs/calls)")
    add("--seed", type=int, default=0, help="of the sample, the synthesis and the tuning (0)")
    add("--nearest", type=_count, default=NEAREST, metavar="K", help=f"examples shown by a shots arm ({NEAREST})")
    add("--cached", type=_count, default=CACHED_SAMPLE, metavar="N", help="cases timed with a cached prefix (50)")
    add("--max-new-tokens", type=_count, default=256, metavar="N", help="longest output (256)")
    add("--device", default="auto", help="auto, cpu or cuda")
    add("--skip-broken", action="store_true", help="leave out and count cases that cannot be read")
    add("--quiet", action="store_true", help="no progress bars")
    return parser


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return value


if __name__ == "__main__":
    sys.exit(main())

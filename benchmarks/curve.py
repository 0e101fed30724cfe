"""How many examples does it take? `python -m schematune.benchmarks.curve --tools FILE --examples FILE --cases FILE`.

Tunes on so many of the examples, with pairs synthesised beside them and without, for several seeds, and scores the
cases by the tuned short prompt under the grammar, of a case's own tools where it brings some. Each run reads the same
number of pairs, over and over where there are few, so what differs is what they teach and not how long. The cases are
kept out of all that is tuned on. Each point is
kept in `--out` once it is there: a run that was cut off goes on. Writes `curve.html`, and prints one JSON object last.
"""

import argparse
import html
import json
import random
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from schematune.benchmarks.cases import Case, decontaminate, read_cases, sample, tools_in
from schematune.benchmarks.plots import Line, lines
from schematune.benchmarks.style import STYLE
from schematune.benchmarks.sweep import try_setting
from schematune.schemas.errors import ExampleError, SchematuneError
from schematune.schemas.files import read_jsonl, write_jsonl, write_text
from schematune.schemas.jsontext import JSON, digest
from schematune.schemas.pair import Pairs, read_examples
from schematune.schemas.tool import ToolSet

__all__ = ["main", "page", "runs"]

SIZES = ("0", "10", "30", "100", "300", "1000", "all")

_KEPT = ("valid", "tool", "exact")


def runs(sizes: Sequence[str], known: int, seeds: int) -> Iterator[tuple[int, bool, int]]:
    """Yield (examples, synthesis, seed) of each run, the seeds outermost; sizes beyond `known` are all there are.

    >>> list(runs(["0", "10", "all"], 30, 1))
    [(0, True, 0), (10, True, 0), (10, False, 0), (30, True, 0), (30, False, 0)]
    """
    wanted = dict.fromkeys(known if size == "all" else min(int(size), known) for size in sizes)
    for seed in range(seeds):
        for many in wanted:
            yield many, True, seed
            if many:
                yield many, False, seed


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark from the command line and return the exit status."""
    options = _parser().parse_args(argv)
    try:
        tools = ToolSet(str(options.tools)) if options.tools else tools_in(options.examples, options.cases)
        known = read_examples(options.examples, tools)
        cases = read_cases(options.cases, tools)
        cases = sample(_unseen(cases, known) if options.unseen else cases, options.limit)
        held_out = Pairs(replace(case.pair, tools=case.tools.names) if case.own else case.pair for case in cases)
        own, _ = decontaminate(known, held_out)
        settings: dict[str, JSON] = {name: getattr(options, name) for name in ("base", "pairs", "read")}
        points = _measured(options, settings, tools, own, held_out)
        write_text(options.out / "curve.html", page(points, settings, len(held_out)))
    except (SchematuneError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps({"benchmark": "curve", "cases": len(held_out), **settings, "points": points}), flush=True)
    return 0


def _unseen(cases: Sequence[Case], known: Pairs) -> list[Case]:
    """Return the cases of tools that no example calls."""
    called = {call.name for pair in known for call in pair.calls}
    found = [case for case in cases if not called & {call.name for call in case.pair.calls}]
    if not found:
        raise ExampleError("the examples call every tool of the cases", where="--unseen", fix="leave it out")
    return found


def _measured(
    options: argparse.Namespace, settings: Mapping[str, JSON], tools: ToolSet, own: Pairs, held_out: Pairs
) -> list[dict[str, JSON]]:
    """Measure what is not known yet, and return all points."""
    kept = options.out / "points.jsonl"
    about = digest([*settings.items(), tools.fingerprint, [p.id for p in held_out], [p.id for p in own]])[:16]
    rows = [row for _, row in read_jsonl(kept)] if kept.exists() else []
    found = {(row["examples"], row["synthesis"], row["seed"]): row for row in rows if row.pop("about", "") == about}
    if rows and not found:
        raise ExampleError("holds the points of other settings", where=str(kept), fix="another --out, or remove it")
    for run in (wanted := list(runs(options.sizes, len(own), options.seeds))):
        if run not in found:
            many, synthesis, seed = run
            shuffled = list(own)
            random.Random(seed).shuffle(shuffled)
            made = options.pairs if synthesis else 0
            setting = {"epochs": options.read / (many + made), **({"pairs": made} if made else {})}
            scored = try_setting(
                setting, tools, Pairs(shuffled[:many]), held_out,
                base=options.base, device=options.device, seed=seed, progress=not options.quiet,
            )  # fmt: skip
            figures = {name: scored[name] for name in (*_KEPT, "tuning_s")}
            found[run] = {"examples": many, "synthesis": synthesis, "seed": seed, **figures}
            print(json.dumps(found[run]), file=sys.stderr, flush=True)
            write_jsonl(kept, [{**row, "about": about} for row in found.values()])
    return [found[run] for run in wanted]


def page(points: Sequence[Mapping[str, JSON]], settings: Mapping[str, JSON], cases: int) -> str:
    """Return a page with the plot and the table of the points."""
    sizes = sorted({point["examples"] for point in points})
    drawn = []
    for synthesis, label in ((True, "with synthesised pairs"), (False, "examples alone")):
        values = {
            n: [100 * p["exact"] for p in points if p["examples"] == n and p["synthesis"] is synthesis] for n in sizes
        }
        spots = [(place, values[n]) for place, n in enumerate(sizes) if values[n]]
        drawn.append(Line(label, tuple((place, tuple(shown)) for place, shown in spots), accent=synthesis))
    rows = "".join(
        f"<tr><th>{n:,}</th><td>{'yes' if synthesis else 'no'}</td>"
        + "".join(f"<td>{_mean(points, n, synthesis, name)}</td>" for name in _KEPT)
        + "</tr>"
        for n in sizes
        for synthesis in (True, False)
        if any(p["examples"] == n and p["synthesis"] is synthesis for p in points)
    )
    said = ", ".join(f"{name} {html.escape(str(value))}" for name, value in settings.items())
    svg = lines(drawn, [f"{n:,}" for n in sizes], name="Calls exactly right by number of examples", unit=" %")
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Learning curve</title><style>{STYLE}</style><main>'
        f"<h1>Calls exactly right by number of examples</h1><p class=lead>{cases} cases; {said}; a dot a seed.</p>"
        f"<figure>{svg}</figure><section class=scroll><table><thead><tr><th>examples</th><th>synthesis</th>"
        f"<th>valid</th><th>right tools</th><th>exact</th></tr></thead><tbody>{rows}</tbody></table></section></main></html>"
    )


def _mean(points: Sequence[Mapping[str, JSON]], many: int, synthesis: bool, name: str) -> str:
    values = [p[name] for p in points if p["examples"] == many and p["synthesis"] is synthesis]
    return f"{100 * statistics.mean(values):.1f} %"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m schematune.benchmarks.curve", description=(__doc__ or "").split("\n")[0]
    )
    add: Any = parser.add_argument
    add("--tools", type=Path, metavar="FILE", help="the tools, JSON (all that the examples and the cases bring)")
    add("--examples", type=Path, required=True, metavar="FILE", help="examples to tune on, JSON Lines")
    add("--cases", type=Path, required=True, metavar="FILE", help="cases to score, JSON Lines")
    add("--unseen", action="store_true", help="score only cases of tools that no example calls")
    add("--sizes", nargs="+", default=SIZES, metavar="N", help=f"numbers of examples ({' '.join(SIZES)})")
    add("--seeds", type=int, default=3, metavar="N", help="runs of each, with seeds from 0 (3)")
    add("--pairs", type=int, default=3000, metavar="N", help="pairs synthesised beside the examples (3000)")
    add("--read", type=int, default=12000, metavar="N", help="pairs that each run reads, repeats counted (12000)")
    add("--limit", type=int, default=200, metavar="N", help="cases scored (200)")
    add("--out", type=Path, required=True, metavar="DIR", help="where the points and the page are kept")
    add("--base", default="builtin", help="builtin, builtin-large, a folder or a hub name")
    add("--device", default="auto", help="auto, cpu or cuda")
    add("--quiet", action="store_true", help="no progress bars")
    return parser


if __name__ == "__main__":
    sys.exit(main())

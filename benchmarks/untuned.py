"""What does a base do with the tools in its prompt? `python -m schematune.benchmarks.untuned --bases DIR ... --cases FILE ...`.

Answers cases by the long prompt, greedily, under the grammar and (for validity) without it, with each of several bases: releases of
one base after more and more tokens, say, or others. `--tokens` gives the tokens that each has read, in millions, where its `recipe.json` does
not; `--without-reader` takes away what leans an untuned base (`schematune.decoding.reader`). Broken cases are left out and counted. Each point is kept in `--out` once it is there: a run that was cut off goes on.
With `--plot` the whole answers right are drawn against the tokens, a line for each set.

Prints one JSON object last: `points` of `{base, reader, tokens, set, cases, skipped, exact, tool, free_valid, no_tool_right, no_tool_wrong}`, shares
between 0 and 1, and `per_doubling`: for each set the points that a doubling of tokens added to `exact` between the last two bases.
"""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from schematune.benchmarks.arms import Bench, pick_arms, run_arms
from schematune.benchmarks.cases import read_cases, sample
from schematune.decoding.base import SHIPPED, load_base
from schematune.schemas.errors import ExampleError, SchematuneError
from schematune.schemas.files import read_jsonl, write_jsonl
from schematune.schemas.jsontext import JSON
from schematune.trainer.pretrain import tokens_read

__all__ = ["draw", "main", "per_doubling"]

Point = dict[str, JSON]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark from the command line and return the exit status."""
    options = _parser().parse_args(argv)
    try:
        points = _measured(options)
        if options.plot:
            draw(points, options.plot)
    except (SchematuneError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps({"benchmark": "untuned", "points": points, "per_doubling": per_doubling(points)}), flush=True)
    return 0


def _measured(options: argparse.Namespace) -> list[Point]:
    """Measure what is not known yet, and return all points, base by base."""
    if options.tokens and len(options.tokens) != len(options.bases):
        raise ExampleError("not one number for each base", where="--tokens", fix="give as many as --bases")
    kept = options.out / "points.jsonl"
    found = {
        (row["base"], row.get("reader", False), row["set"], row["limit"]): row
        for _, row in (read_jsonl(kept) if kept.exists() else ())
    }
    points = []
    for place, name in enumerate(options.bases):
        base = load_base(name, device=options.device)
        if options.without_reader:
            base.reader = None
        tokens = options.tokens[place] * 1e6 if options.tokens else float(tokens_read(SHIPPED.get(name, Path(name))))
        for path in options.cases:
            key = (
                base.fingerprint,
                base.reader is not None,
                f"{path.resolve().parent.name}/{path.stem}",
                options.limit,
            )
            if key not in found:
                skipped: list[str] = []
                cases = sample(read_cases(path, skipped=skipped), options.limit)
                runs = run_arms(
                    cases, pick_arms(["long", "long+grammar"]), Bench(base), cached=0, progress=not options.quiet
                )
                held, free = runs["long+grammar"].metrics(), runs["long"].metrics()
                figures = {name: held[name] for name in ("exact", "exact_ci", "tool", "no_tool_right", "no_tool_wrong")}
                found[key] = {"base": key[0], "reader": key[1], "set": key[2], "limit": options.limit, "cases": len(cases), "skipped": len(skipped),
                              **figures, "free_valid": free["valid"], "free_exact": free["exact"]}  # fmt: skip
                write_jsonl(kept, found.values())
            points.append({**found[key], "base": str(name), "tokens": tokens})
            print(json.dumps(points[-1]), file=sys.stderr, flush=True)
    return points


def per_doubling(points: Sequence[Point]) -> dict[str, float]:
    """Return for each set what a doubling of tokens added to the share of whole answers between the last two bases.

    >>> per_doubling([{"set": "a", "tokens": 1e6, "exact": 0.2}, {"set": "a", "tokens": 4e6, "exact": 0.3}])
    {'a': 0.05}
    """
    slopes = {}
    for name in dict.fromkeys(point["set"] for point in points):
        known = sorted((p["tokens"], p["exact"]) for p in points if p["set"] == name and p["tokens"])
        if len(known) > 1 and known[-1][0] > known[-2][0]:
            (before, low), (after, high) = known[-2:]
            slopes[name] = round((high - low) / math.log2(after / before), 4)
    return slopes


def draw(points: Sequence[Point], path: Path) -> None:
    """Draw whole answers right against tokens, on a logarithmic axis, into a PNG or SVG file; a line for each set."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 4.4), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes, drawn = figure.add_subplot(), []
    for name in dict.fromkeys(point["set"] for point in points):
        known = sorted((p["tokens"] / 1e6, 100 * p["exact"]) for p in points if p["set"] == name and p["tokens"])
        if known:
            [line] = axes.plot(*zip(*known, strict=True), marker="o", markersize=4, linewidth=1.6, label=name)
            drawn.append((known[-1][1], line))
    order = [line for _, line in sorted(drawn, key=lambda item: -item[0])]
    axes.legend(handles=order, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}M")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("tokens")
    axes.set_ylabel("whole answers right, tools in the prompt, %")
    axes.grid(alpha=0.3)
    figure.savefig(path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m schematune.benchmarks.untuned", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument(
        "--bases",
        nargs="+",
        default=["builtin"],
        metavar="BASE",
        help="builtin, builtin-large, folders or hub names (builtin)",
    )
    parser.add_argument("--tokens", nargs="+", type=float, metavar="M", help="millions of tokens that each has read")
    parser.add_argument(
        "--cases", type=Path, nargs="+", required=True, metavar="FILE", help="cases with tools of their own"
    )
    parser.add_argument("--without-reader", action="store_true", help="the base alone")
    parser.add_argument("--limit", type=int, default=200, metavar="N", help="cases scored of each file (200)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the points are kept")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the curve into this PNG or SVG file")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""What would more tokens buy? `python -m schematune.benchmarks.learning --runs runs/base runs/base2 --plot curve.png`.

Reads the logs of pretraining runs (`schematune.trainer.pretrain`), each of which went on from the weights of the one
before, and fits the held-out calls against the doublings of tokens over the ends of the runs: what a run reaches at
its low rate is what it came to, not what it shows on the way at the full rate. Prints one JSON object last: `points` of
`{run, tokens, loss, right}` and, with two ends or more, `per_doubling`, the share of held-out calls that each doubling
added, at the slope of the last two ends and over all.
"""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from pathlib import Path

from schematune.schemas.errors import ExampleError, SchematuneError
from schematune.schemas.files import read_jsonl
from schematune.schemas.jsontext import JSON

__all__ = ["Point", "draw", "main", "per_doubling", "read_runs"]


@dataclass(frozen=True)
class Point:
    """One line of a log: the number of its run, all tokens so far, the loss, the share of held-out calls right."""

    run: int
    tokens: int
    loss: float
    right: float


def read_runs(folders: Sequence[Path]) -> list[Point]:
    """Read the logs of runs in their order; raises `ExampleError` for a folder without one, or a broken one."""
    points: list[Point] = []
    before = 0
    for number, folder in enumerate(folders):
        log = folder / "log.jsonl"
        if not log.exists():
            raise ExampleError("no log.jsonl", where=str(folder), fix="give the --out folders of pretraining runs")
        try:
            rows = [
                Point(number, before + int(row["tokens"]), float(row["loss"]), float(row["held_out_calls"]))
                for _, row in read_jsonl(log)
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise ExampleError(
                f"no line of a pretraining log: {error!r}", where=str(log), fix="copy it again"
            ) from error
        points += rows
        before = points[-1].tokens if points else 0
    return points


def per_doubling(points: Sequence[Point]) -> dict[str, float]:
    """Return what a doubling of tokens added between the ends of runs: the last two, and the first and the last.

    >>> per_doubling([Point(0, 1_000_000, 1.0, 0.2), Point(1, 2_000_000, 0.8, 0.3), Point(2, 4_000_000, 0.7, 0.34)])
    {'last': 0.04, 'all': 0.07}
    """
    ends = [last for last, following in zip_longest(points, points[1:]) if _ends(last, following)]
    if len(ends) < 2:
        return {}

    def slope(one: Point, other: Point) -> float:
        return round((other.right - one.right) / math.log2(other.tokens / one.tokens), 4)

    return {"last": slope(ends[-2], ends[-1]), "all": slope(ends[0], ends[-1])}


def _ends(point: Point, following: Point | None) -> bool:
    return following is None or following.run != point.run


def draw(points: Sequence[Point], path: Path) -> None:
    """Draw held-out calls and loss against tokens, on a logarithmic axis, into a PNG or SVG file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 3.8), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    other = axes.twinx()
    for run in sorted({point.run for point in points}):
        here = [point for point in points if point.run == run]
        tokens = [point.tokens / 1e6 for point in here]
        axes.plot(tokens, [100 * point.right for point in here], color="#0b6e99", linewidth=1.8)
        other.plot(tokens, [point.loss for point in here], color="#b0b0b0", linewidth=1.2)
        axes.plot(tokens[-1], 100 * here[-1].right, "o", color="#0b6e99")
        axes.annotate(
            f"{100 * here[-1].right:.0f} %", (tokens[-1], 100 * here[-1].right), (0, 8), textcoords="offset points",
            ha="center",
        )  # fmt: skip
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}M")
    axes.set_ylim(0, 110 * max(point.right for point in points) + 1)
    other.set_ylim(bottom=0)
    axes.set_xlabel("tokens")
    axes.set_ylabel("held-out calls right, %", color="#0b6e99")
    other.set_ylabel("loss", color="#808080")
    axes.grid(alpha=0.3)
    figure.savefig(path)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark from the command line and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m schematune.benchmarks.learning", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--runs", type=Path, nargs="+", required=True, metavar="DIR", help="pretraining runs, in order")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the curve into this PNG or SVG file")
    options = parser.parse_args(argv)
    try:
        points = read_runs(options.runs)
        if options.plot:
            draw(points, options.plot)
    except (SchematuneError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    shown: list[JSON] = [asdict(point) for point in points]
    print(json.dumps({"benchmark": "learning", "points": shown, "per_doubling": per_doubling(points)}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The plots of a report as inline SVG, coloured by the page's own variables so that they follow its theme.

Each is one row per arm: labels are real text in the page's font, marks carry their value beside them. The
colours that matplotlib is given are stand-ins, replaced in its output by CSS variables.
"""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Line", "Mark", "lines", "plot"]

_STAND_INS = {
    "#010101": "var(--ink)",
    "#020202": "var(--muted)",
    "#030303": "var(--line)",
    "#040404": "var(--bar)",
    "#050505": "var(--accent)",
    "#060606": "var(--paper)",
}
_INK, _MUTED, _LINE, _BAR, _ACCENT, _PAPER = _STAND_INS

_SETTINGS: Mapping[str, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9.5,
    "axes.edgecolor": _LINE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "xtick.color": _MUTED,
    "ytick.color": _INK,
    "axes.axisbelow": True,
    "grid.color": _LINE,
    "grid.linewidth": 0.8,
}


@dataclass(frozen=True)
class Mark:
    """One arm in a plot: its value, what to write beside it, an interval, a second value (hollow)."""

    label: str
    value: float
    text: str
    low: float | None = None
    high: float | None = None
    second: float | None = None
    accent: bool = False


@dataclass(frozen=True)
class Line:
    """One line in a plot: at each place of the axis its values, of which the mean is on the line."""

    label: str
    points: Sequence[tuple[int, Sequence[float]]]
    accent: bool = False


def plot(marks: Sequence[Mark], *, name: str, dots: bool = False, limit: float | None = None, unit: str = "") -> str:
    """Draw one row per mark, as bars or as dots with their intervals, and return an `<svg>` element.

    `name` is what a screen reader says, and keeps the ids of several plots on one page apart; `limit` ends the
    axis, `unit` is written after its numbers.
    """
    edge = limit or 1.02 * max([max(m.value, m.high or 0, m.second or 0) for m in marks] + [1e-9])

    def draw(axes: Any) -> None:
        _draw(axes, marks, dots)
        _finish(axes, marks, edge, unit)

    return _drawn(draw, (5.2, 0.55 + 0.36 * len(marks)), name)


def lines(drawn: Sequence[Line], labels: Sequence[str], *, name: str, unit: str = "") -> str:
    """Draw lines over the same named places, each value a dot, and return an `<svg>` element.

    `labels` name the places of the axis, in order; the rest is as for `plot`.
    """

    def draw(axes: Any) -> None:
        for line in drawn:
            colour = _ACCENT if line.accent else _MUTED
            means = [sum(values) / len(values) for _, values in line.points]
            axes.plot([place for place, _ in line.points], means, color=colour, linewidth=2)
            for place, values in line.points:
                axes.plot([place] * len(values), values, "o", color=colour, markersize=5, markeredgecolor=_PAPER)
        axes.set_xticks(range(len(labels)), labels)
        axes.set_ylim(bottom=0)
        _label(axes, [line for line in drawn if line.points])
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}{unit}")
        axes.tick_params(length=0, pad=6)
        axes.grid(axis="y")

    return _drawn(draw, (8.0, 3.6), name)


def _label(axes: Any, drawn: Sequence[Line]) -> None:
    """Write each line's label at its end, moved up where it would stand in another's."""
    ends = sorted(
        ((sum(values) / len(values), place, line) for line in drawn for place, values in line.points[-1:]),
        key=lambda end: end[0],
    )
    height = axes.bbox.height * 72 / axes.figure.dpi / axes.get_ylim()[1]  # points of a unit
    above = float("-inf")
    for value, place, line in ends:
        above = max(value * height, above + _APART)
        axes.annotate(
            line.label, (place, value), xytext=(8, above - value * height), textcoords="offset points", va="center",
            color=_ACCENT if line.accent else _MUTED, annotation_clip=False,
        )  # fmt: skip


_APART = 13
"""Points between the middles of two labels."""


def _drawn(draw: Callable[[Any], None], size: tuple[float, float], name: str) -> str:
    """Set up a figure in the page's own style, draw in it, and return it as an `<svg>` element."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    settings: Any = {**_SETTINGS, "svg.hashsalt": name}
    with rc_context(settings):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        figure.patch.set_alpha(0)
        axes.patch.set_alpha(0)
        draw(axes)
        output = io.StringIO()
        figure.savefig(output, format="svg", metadata={"Date": None})
    return _inline(output.getvalue(), name)


def _draw(axes: Any, marks: Sequence[Mark], dots: bool) -> None:
    for row, mark in enumerate(marks):
        colour = _ACCENT if mark.accent else _BAR
        if not dots:
            axes.barh(row, mark.value, height=0.56, color=colour, linewidth=0)
        if mark.low is not None and mark.high is not None:
            ink = colour if dots else _MUTED
            axes.plot(
                [mark.low, mark.high], [row, row], color=ink, linewidth=2.4 if dots else 1.1, solid_capstyle="round"
            )
        if dots:
            axes.plot(mark.value, row, "o", color=colour, markersize=7.5, markeredgecolor=_PAPER, markeredgewidth=1.4)
        if mark.second is not None:
            axes.plot(
                mark.second, row, "o", markersize=6, markerfacecolor=_PAPER, markeredgecolor=_INK, markeredgewidth=1.3
            )


def _finish(axes: Any, marks: Sequence[Mark], edge: float, unit: str) -> None:
    axes.set_yticks(range(len(marks)), [mark.label for mark in marks])
    axes.set_ylim(len(marks) - 0.45, -0.55)
    axes.set_xlim(0, edge)
    axes.xaxis.set_major_locator(_ticks(edge))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}{unit}")
    axes.tick_params(length=0, pad=6)
    axes.grid(axis="x")
    for row, mark in enumerate(marks):
        axes.annotate(
            mark.text,
            (1, row),
            xycoords=("axes fraction", "data"),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            color=_ACCENT if mark.accent else _INK,
            fontweight="bold" if mark.accent else "normal",
            annotation_clip=False,
        )


def _ticks(edge: float) -> Any:
    from matplotlib.ticker import FixedLocator, MaxNLocator

    return FixedLocator([0, 25, 50, 75, 100]) if edge == 100 else MaxNLocator(4, integer=True)


def _inline(svg: str, name: str) -> str:
    """Strip what is not drawing (prolog, doctype, metadata, namespaces) and let the page set font and colours."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(:xlink)?="[^"]*"', "", svg)
    svg = re.sub(r"xlink:href=", "href=", svg)
    svg = re.sub(r"font: ([^;\"]*?)(\d[\d.]*px) [^;\"]*", r"font: \1\2 var(--sans)", svg)
    for colour, variable in _STAND_INS.items():
        svg = svg.replace(colour, variable)
    head = re.match(r"<svg[^>]*>", svg)
    box = re.search(r'viewBox="[^"]*"', head[0]) if head else None
    assert head and box
    return f'<svg {box[0]} role="img" aria-label="{name}">' + svg[head.end() :]

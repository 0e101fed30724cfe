"""The report as one HTML page: no script, no font, no image from elsewhere; light and dark.

Every text that comes from data (requests, outputs, names) is escaped. The plots are inline SVG that takes
the page's colours; the one accent colour belongs to the tuned arms throughout.
"""

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

from schematune.benchmarks.arms import ARMS
from schematune.benchmarks.plots import Mark, plot
from schematune.benchmarks.style import STYLE
from schematune.schemas.jsontext import JSON

if TYPE_CHECKING:
    from schematune.benchmarks.report import Report

__all__ = ["page"]


def page(report: "Report") -> str:
    """Return the whole page."""
    body = "".join(
        (
            _header(report),
            _tiles(report),
            _section("Arms", "Shares of all cases, in percent; failures stay in every denominator.", _table(report)),
            _section("At a glance", "", _plots(report)),
            _section("Tuned against long", _differences_lead(report), _differences(report)),
            _section(
                "Where they fail", "Some of the cases that an arm got wrong, all arms side by side.", _cards(report)
            ),
            _method(),
        )
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(report.title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>{body}</main>\n</body>\n</html>\n"
    )


def _header(report: "Report") -> str:
    facts = "".join(f"<div><dt>{escape(key)}</dt><dd>{escape(value)}</dd></div>" for key, value in report.facts.items())
    notices = "".join(f'<p class="notice">{escape(notice)}</p>' for notice in report.notices())
    return (
        f'<header><p class="eyebrow">{escape(report.title)}</p><h1>{escape(report.headline())}</h1>{notices}'
        f'<dl class="facts">{facts}</dl></header>'
    )


def _tiles(report: "Report") -> str:
    tuned, long = report.tuned, report.best_long
    if tuned is None or long is None:
        return ""
    found, ours, theirs = report.differences[tuned][long], report.arms[tuned], report.arms[long]
    cached = found["latency_ratio_cached"]
    calls = found["break_even_calls_cached" if cached else "break_even_calls"]
    ratio = cached or found["latency_ratio"]
    tiles = (
        (f"{_share(ours['exact'])} %", "exact", f"{long}: {_share(theirs['exact'])} %"),
        (f"{_share(ours['valid'])} %", "valid output", f"{long}: {_share(theirs['valid'])} %"),
        _saving(
            found["prompt_tokens_ratio"],
            ("fewer", "more"),
            "prompt tokens",
            f"{_number(ours['prompt_tokens'])} a request",
        ),
        _saving(ratio, ("lower", "higher"), "latency", "against its prefix cached" if cached else f"against {long}"),
        (f"{calls:,}" if calls else "–", "calls to break even", _tuning(report)),
    )
    cells = "".join(
        f'<div class="tile"><b>{escape(value)}</b><span>{escape(label)}</span><small>{escape(note)}</small></div>'
        for value, label, note in tiles
    )
    return f'<div class="tiles">{cells}</div>'


def _saving(ratio: float | None, words: tuple[str, str], what: str, note: str) -> tuple[str, str, str]:
    less = ratio is None or ratio >= 1
    shown = ratio if less or not ratio else 1 / ratio
    return _times(shown), f"{words[0] if less else words[1]} {what}", note


def _tuning(report: "Report") -> str:
    return "tuning time not known" if report.tuning_s is None else f"tuning took {report.tuning_s:,.0f} s"


def _section(title: str, lead: str, content: str) -> str:
    if not content:
        return ""
    words = f'<p class="lead">{escape(lead)}</p>' if lead else ""
    return f"<section><h2>{escape(title)}</h2>{words}{content}</section>"


_HEADINGS = (
    ("", ("arm",)),
    ("accuracy", ("exact", "tool")),
    ("format", ("valid", "malformed")),
    ("abstention", ("no_tool right", "no_tool wrong", "ask right")),
    ("prompt", ("tokens",)),
    ("latency, ms", ("median", "cached")),
    ("model", ("passes",)),
)


def _table(report: "Report") -> str:
    groups = "".join(f'<th colspan="{len(names)}" scope="colgroup">{escape(group)}</th>' for group, names in _HEADINGS)
    names = "".join(f'<th scope="col">{escape(name)}</th>' for _, columns in _HEADINGS for name in columns)
    rows = "".join(_table_row(name, figures) for name, figures in report.arms.items())
    head = f'<thead><tr class="groups">{groups}</tr><tr>{names}</tr></thead>'
    return f'<div class="scroll"><table>{head}<tbody>{rows}</tbody></table></div>'


def _table_row(name: str, figures: Mapping[str, JSON]) -> str:
    low, high = figures["exact_ci"]
    cells = [f"{_share(figures['exact'])}<small>{100 * low:.0f}–{100 * high:.0f}</small>"]
    shares = ("tool", "valid", "malformed", "no_tool_right", "no_tool_wrong", "ask_right")
    cells += [_share(figures[key]) for key in shares]
    cells.append(_number(figures["prompt_tokens"]))
    for key in ("latency_ms", "latency_ms_cached"):
        times = figures[key]
        cells.append(f"{_number(times['p50'])}<small>p95 {_number(times['p95'])}</small>" if times else "–")
    cells.append(_number(figures["forward_passes"]))
    mark = ' class="tuned"' if ARMS[name].tuned else ""
    return f'<tr{mark}><th scope="row">{escape(name)}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'


def _plots(report: "Report") -> str:
    def shares(key: str) -> list[Mark]:
        return [
            Mark(
                name,
                100 * arm[key],
                f"{_share(arm[key])} %",
                100 * arm[f"{key}_ci"][0],
                100 * arm[f"{key}_ci"][1],
                accent=ARMS[name].tuned,
            )
            for name, arm in report.arms.items()
        ]

    tokens = [
        Mark(name, arm["prompt_tokens"], _number(arm["prompt_tokens"]), accent=ARMS[name].tuned)
        for name, arm in report.arms.items()
    ]
    times = [_time_mark(name, arm) for name, arm in report.arms.items() if arm["latency_ms"]]
    plots = (
        (
            "Accuracy",
            "exact, percent, with 95 % intervals",
            plot(shares("exact"), name="Accuracy", dots=True, limit=100),
        ),
        (
            "Validity",
            "output parses and fits the schema, percent",
            plot(shares("valid"), name="Validity", dots=True, limit=100),
        ),
        ("Prompt tokens", "mean per request", plot(tokens, name="Prompt tokens")),
        ("Latency", "median ms; line to p95; ring: prefix cached", plot(times, name="Latency")),
    )
    figures = "".join(
        f"<figure><figcaption><b>{title}</b> {note}</figcaption>{svg}</figure>" for title, note, svg in plots
    )
    return f'<div class="plots">{figures}</div>'


def _time_mark(name: str, arm: Mapping[str, JSON]) -> Mark:
    times, cached = arm["latency_ms"], arm["latency_ms_cached"]
    second = cached["p50"] if cached else None
    return Mark(
        name, times["p50"], _number(times["p50"]), times["p50"], times["p95"], second=second, accent=ARMS[name].tuned
    )


def _differences_lead(report: "Report") -> str:
    if report.tuned is None:
        return ""
    return (
        f"{report.tuned} minus each long arm, case by case, with 95 % bootstrap intervals. Ratios are long over tuned; "
        "the break-even is the number of calls after which the tuning time is saved."
    )


def _differences(report: "Report") -> str:
    if report.tuned is None or not report.differences.get(report.tuned):
        return ""
    names = ("against", "exact, points", "valid, points", "prompt tokens", "latency", "cached", "break-even", "cached")
    rows = "".join(
        f'<tr><th scope="row">{escape(long)}</th>{_gap(found["exact"])}{_gap(found["valid"])}'
        + "".join(
            f"<td>{_times(found[key])}</td>" for key in ("prompt_tokens_ratio", "latency_ratio", "latency_ratio_cached")
        )
        + "".join(f"<td>{_calls(found[key])}</td>" for key in ("break_even_calls", "break_even_calls_cached"))
        + "</tr>"
        for long, found in report.differences[report.tuned].items()
    )
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _gap(gap: Mapping[str, float]) -> str:
    sure = ' class="sure"' if gap["low"] > 0 else ""
    return f"<td{sure}>{_points(gap['difference'])}<small>{_points(gap['low'])} to {_points(gap['high'])}</small></td>"


def _cards(report: "Report") -> str:
    return "".join(
        f'<article><p class="request">{escape(failure.request)}</p>'
        f'<div class="answers">{_answer("right answer", None, failure.gold)}'
        + "".join(_answer(name, right, text) for name, (right, text) in failure.outputs.items())
        + f'</div><p class="id">{escape(failure.id)}</p></article>'
        for failure in report.failures
    )


def _answer(name: str, right: bool | None, text: str) -> str:
    kind = "gold" if right is None else "right" if right else "wrong"
    sign = {"gold": "", "right": '<i aria-label="right">✓</i>', "wrong": '<i aria-label="wrong">✗</i>'}[kind]
    tuned = " tuned" if name in ARMS and ARMS[name].tuned else ""
    shown = text if len(text) <= 600 else text[:600] + " …"
    return f'<div class="answer {kind}{tuned}"><h3>{escape(name)}{sign}</h3><pre>{escape(shown)}</pre></div>'


_TERMS = (
    (
        "exact",
        "The calls are the right ones, in any order: numbers equal by value, strings with their case, an omitted "
        "argument equal to its schema's default. Cases that list what they accept are scored by BFCL's rule.",
    ),
    ("tool", "The right tools were chosen, whatever their arguments."),
    ("valid", "The output parses and fits the schema."),
    ("malformed", "The output does not parse. It never counts as an abstention."),
    ("no_tool right", "Of the requests that no tool serves, the share answered so."),
    ("no_tool wrong", "Of all other requests, the share refused all the same."),
    ("ask right", "Of the requests that lack something, the share where just that was asked for."),
    ("latency", "Wall time of one request at a time, failures included, all arms in turn on each request."),
    ("cached", "The long prompt with the computation of its tools kept, on a sample of the same requests."),
)


def _method() -> str:
    terms = "".join(f"<div><dt>{escape(term)}</dt><dd>{escape(words)}</dd></div>" for term, words in _TERMS)
    return f'<section><h2>How it is scored</h2><dl class="terms">{terms}</dl></section>'


def _share(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def _times(ratio: float | None) -> str:
    return "–" if ratio is None else f"{ratio:.1f} ×"


def _calls(calls: int | None) -> str:
    return "never" if calls is None else f"{calls:,}"


def _points(share: float) -> str:
    return f"{100 * share:+.1f}".replace("-", "−")

"""The report of a comparison: its figures, what they say in plain words, as text, JSON and a page.

`make_report` turns runs into a `Report`; everything that is said of it (the headline, the notices, the
table in the terminal, the page) is read from its figures, so that they cannot disagree. A report on
synthetic requests says so first, and so does one whose base cannot do the job from a long prompt.
"""

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from schematune.benchmarks.arms import ARMS, Run
from schematune.benchmarks.cases import Case
from schematune.benchmarks.scoring import paired_difference
from schematune.schemas.call import Call
from schematune.schemas.files import write_text
from schematune.schemas.jsontext import JSON

__all__ = ["WEAK", "Failure", "Report", "make_report", "summary"]

WEAK = 0.20
"""Below this share of exact answers by its best long arm, the base is said to be unable to do the job."""

FAILURES = 8


@dataclass(frozen=True)
class Failure:
    """A case that an arm got wrong: the request, the right calls, and each arm's output with whether it was right."""

    id: str
    request: str
    gold: str
    outputs: Mapping[str, tuple[bool, str]]


@dataclass(frozen=True)
class Report:
    """The figures of a comparison.

    `arms` maps each arm to its figures (see `scoring.aggregate`); `differences` maps each tuned arm, and in
    it each long arm, to the paired differences (tuned minus long), the ratios (long over tuned) and the
    break-even number of calls, None where tuning never pays. `facts` are lines to show, by their label.
    """

    arms: Mapping[str, Mapping[str, JSON]]
    differences: Mapping[str, Mapping[str, Mapping[str, JSON]]]
    cases: int
    synthetic: int = 0
    gold_invalid: int = 0
    tuning_s: float | None = None
    failures: Sequence[Failure] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    title: str = "schematune benchmark"

    @property
    def best_long(self) -> str | None:
        """The long arm with the most exact answers."""
        return self._best([name for name in self.arms if not ARMS[name].tuned])

    @property
    def tuned(self) -> str | None:
        """The tuned arm to speak of: under the grammar where that was run."""
        found = [name for name in self.arms if ARMS[name].tuned]
        return next((name for name in found if ARMS[name].grammar), found[0] if found else None)

    def _best(self, names: Sequence[str]) -> str | None:
        return max(names, key=lambda name: float(self.arms[name]["exact"]), default=None)

    def headline(self) -> str:
        """Say in one sentence what came out."""
        tuned, long = self.tuned, self.best_long
        if tuned is None or long is None:
            best = self._best(list(self.arms)) or ""
            return f"{best} answers {_percent(self.arms[best]['exact'])} of {self.cases} requests exactly."
        gap = self.differences[tuned][long]["exact"]
        sure = "" if gap["low"] > 0 or gap["high"] < 0 else ", which is within the noise"
        way = "more" if gap["difference"] >= 0 else "fewer"
        return (
            f"Tuned, the short prompt answers {_percent(self.arms[tuned]['exact'])} of {self.cases} requests exactly: "
            f"{abs(100 * gap['difference']):.1f} points {way} than the best long prompt ({long}){sure}."
        )

    def notices(self) -> list[str]:
        """Say what a reader must know before believing the figures."""
        found = []
        if self.synthetic:
            share = "All" if self.synthetic == self.cases else f"{self.synthetic} of"
            found.append(
                f"{share} {self.cases} requests are synthetic: made by a program, not written by people. "
                "Expect other figures on people's own words."
            )
        long = self.best_long
        if long is not None and self.arms[long]["exact"] < WEAK:
            found.append(
                f"The base cannot do this job from a long prompt: its best long arm ({long}) gets "
                f"{_percent(self.arms[long]['exact'])} exactly right, under the {_percent(WEAK)} from which a long "
                "prompt counts as a rival."
                + (" Read the differences as what tuning adds, not as a choice between equals." if self.tuned else "")
            )
        if self.gold_invalid:
            what = "answer does not fit its" if self.gold_invalid == 1 else "answers do not fit their"
            found.append(f"{self.gold_invalid} right {what} own tool's schema; scored all the same.")
        return found

    def json(self) -> dict[str, JSON]:
        """Return the figures as one JSON object, as a benchmark prints it last."""
        return {
            "benchmark": "calls",
            "cases": self.cases,
            "synthetic": self.synthetic,
            "gold_invalid": self.gold_invalid,
            "arms": _rounded(self.arms),
            "differences": _rounded(self.differences),
            "tuning_s": _rounded(self.tuning_s),
            **self.counts,
        }

    def save(self, path: str | Path) -> Path:
        """Write the self-contained page, whole or not at all, and return its path."""
        from schematune.benchmarks.page import page

        write_text(Path(path), page(self))
        return Path(path)


def make_report(
    runs: Mapping[str, Run],
    cases: Sequence[Case],
    *,
    tuning_s: float | None = None,
    facts: Mapping[str, str] | None = None,
    counts: Mapping[str, int] | None = None,
    seed: int = 0,
    title: str = "schematune benchmark",
) -> Report:
    """Turn the runs of `cases` into a report; `seed` is the bootstrap's, `tuning_s` what the tuning took in seconds."""
    tuned = [name for name in runs if runs[name].arm.tuned]
    long = [name for name in runs if not runs[name].arm.tuned]
    return Report(
        arms={name: run.metrics() for name, run in runs.items()},
        differences={
            one: {other: compare_runs(runs[one], runs[other], tuning_s=tuning_s, seed=seed) for other in long}
            for one in tuned
        },
        cases=len(cases),
        synthetic=sum(case.synthetic for case in cases),
        gold_invalid=sum(bool(case.gold_invalid) for case in cases),
        tuning_s=tuning_s,
        failures=_failures(runs, cases),
        facts=dict(facts or {}),
        counts=dict(counts or {}),
        title=title,
    )


def compare_runs(tuned: Run, long: Run, *, tuning_s: float | None, seed: int) -> dict[str, JSON]:
    """Compare two runs of the same cases; times with a cached prefix are compared on the cases that have one."""
    found: dict[str, JSON] = {
        name: paired_difference(
            [getattr(item, name) for item in tuned.scores], [getattr(item, name) for item in long.scores], seed=seed
        )
        for name in ("exact", "tool", "valid")
    }
    tokens = [sum(item.prompt_tokens for item in run.scores) for run in (long, tuned)]
    found["prompt_tokens_ratio"] = tokens[0] / tokens[1] if tokens[1] else None
    own = [item.latency_ms for item in tuned.scores]
    timed = sorted(long.cached_ms)
    times = {
        "": ([item.latency_ms for item in long.scores], own),
        "_cached": ([long.cached_ms[place] for place in timed], [own[place] for place in timed]),
    }
    for suffix, (theirs, ours) in times.items():
        ratio = float(np.median(theirs) / np.median(ours)) if theirs and np.median(ours) > 0 else None
        found[f"latency_ratio{suffix}"] = ratio
        saved = float(np.mean(theirs) - np.mean(ours)) if theirs else 0.0
        pays = tuning_s is not None and saved > 0
        found[f"break_even_calls{suffix}"] = math.ceil(1000 * (tuning_s or 0) / saved) if pays else None
    return found


def _failures(runs: Mapping[str, Run], cases: Sequence[Case]) -> list[Failure]:
    """Pick cases that arms got wrong, arm by arm in turn, so that each shows some."""
    wrong = {name: [place for place, item in enumerate(run.scores) if not item.exact] for name, run in runs.items()}
    picked: list[int] = []
    for turn in range(FAILURES):
        for places in wrong.values():
            fresh = [place for place in places[turn:] if place not in picked]
            picked += fresh[:1]
    return [
        Failure(
            cases[place].id,
            cases[place].pair.request,
            _said(cases[place].pair.calls),
            {name: (run.scores[place].exact, _output(run, place)) for name, run in runs.items()},
        )
        for place in sorted(picked[:FAILURES])
    ]


def _output(run: Run, place: int) -> str:
    item = run.scores[place]
    return item.error or _said(item.calls)


def _said(calls: Sequence[Call]) -> str:
    return "\n".join(call.json() for call in calls)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _rounded(value: JSON) -> JSON:
    if isinstance(value, Mapping):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return round(value, 6) if isinstance(value, float) else value


_COLUMNS = (
    "arm",
    "exact",
    "95 %",
    "tool",
    "valid",
    "malf.",
    "no_tool",
    "false",
    "ask",
    "tokens",
    "p50",
    "p95",
    "cached",
)


def summary(report: Report) -> str:
    """Return the report as text for a terminal: the headline, notices, the table and the differences."""
    rows = [_COLUMNS, *(_row(name, figures) for name, figures in report.arms.items())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    table = [
        "  ".join(
            [row[0].ljust(widths[0]), *(f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
    table.insert(1, "─" * len(table[0]))
    words = [report.headline(), *(f"! {notice}" for notice in report.notices())]
    lines = [*(textwrap.fill(text, 100, subsequent_indent="  ") for text in words), "", *table]
    lines += ["shares in %; no_tool, ask: right among such cases; false: no_tool where a tool served; ms per request"]
    tuned = report.tuned
    for long, found in (report.differences[tuned] if tuned else {}).items():
        lines.append(f"{tuned} against {long}: {_difference(found)}")
    if report.tuning_s is not None:
        lines.append(f"tuning took {report.tuning_s:.0f} s")
    return "\n".join(line.rstrip() for line in lines)


def _row(name: str, figures: Mapping[str, JSON]) -> tuple[str, ...]:
    def share(key: str) -> str:
        return "–" if figures[key] is None else f"{100 * figures[key]:.1f}"

    def time(key: str, what: str) -> str:
        return "–" if not figures[key] else f"{figures[key][what]:.0f}"

    low, high = figures["exact_ci"]
    shares = ("tool", "valid", "malformed", "no_tool_right", "no_tool_wrong", "ask_right")
    times = (("latency_ms", "p50"), ("latency_ms", "p95"), ("latency_ms_cached", "p50"))
    return (
        name,
        share("exact"),
        f"{100 * low:.0f}–{100 * high:.0f}",
        *map(share, shares),
        f"{figures['prompt_tokens']:.0f}",
        *(time(*key) for key in times),
    )


def _difference(found: Mapping[str, JSON]) -> str:
    gap = found["exact"]
    words = [f"exact {100 * gap['difference']:+.1f} points ({100 * gap['low']:+.1f} to {100 * gap['high']:+.1f})"]
    ratios = {
        "prompt_tokens_ratio": "prompt tokens 1/{:.1f}",
        "latency_ratio": "speed {:.1f} ×",
        "latency_ratio_cached": "{:.1f} × with its prefix cached",
    }
    words += [text.format(found[key]) for key, text in ratios.items() if found[key]]
    calls = found["break_even_calls_cached"] or found["break_even_calls"]
    calls = None if gap["high"] < 0 else calls  # what is surely worse does not pay
    return ", ".join(words + ([f"pays after {calls:,} calls"] if calls else []))

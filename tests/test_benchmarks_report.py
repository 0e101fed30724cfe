"""The report: honest words, a page that stands alone, text that is escaped."""

import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from schematune.benchmarks.arms import ARMS, Run, pick_arms
from schematune.benchmarks.cases import cases_of
from schematune.benchmarks.report import Report, make_report, summary
from schematune.benchmarks.scoring import score
from schematune.schemas.call import Answer, Call, Usage
from schematune.schemas.errors import ExampleError, InvalidOutputError
from schematune.schemas.pair import Pair
from schematune.schemas.tool import ToolSet

NASTY = '<script>alert("x")</script> & <img src="https://example.com/a.png">'
TOOLS = ToolSet({"name": "f", "parameters": {"properties": {"s": {"type": "string"}}}})
GOLD = Call("f", {"s": NASTY})


def made(shares: dict[str, float], *, source: str = "hand-written", size: int = 40, **options: Any) -> Report:
    """Make a report of arms that get these shares right; the long ones cost ten times the tokens and time."""
    pairs = [Pair.of(f"{n} {NASTY}", [GOLD], id=f"c{n}", source=source) for n in range(size)]
    cases = cases_of(pairs, TOOLS)
    runs = {}
    for name, share in shares.items():
        run = Run(ARMS[name])
        cost = 1 if ARMS[name].tuned else 10
        for place, case in enumerate(cases):
            usage = Usage(50 * cost, 9, 5, 0.0)
            wrong = InvalidOutputError(f"the output does not parse: {NASTY}", text=NASTY)
            answer = Answer.of([GOLD], usage=usage) if place < share * size else Answer.failed(wrong, usage=usage)
            run.scores.append(score(case, answer, latency_ms=20.0 * cost))
            if not ARMS[name].tuned and place % 2:
                run.cached_ms[place] = 60.0
        runs[name] = run
    return make_report(runs, cases, facts={"base": NASTY}, title=f"title {NASTY}", **options)


class Page(HTMLParser):
    """Collects what a browser would load, and checks that tags close."""

    VOID = {"meta", "br", "img", "link", "input"}

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.loaded: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        self.loaded += [f"{tag} {key}={value}" for key, value in attrs if key in LOADING and not is_local(value)]
        self.loaded += [f"{tag} on" for key, _ in attrs if key.startswith("on")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.text += data


LOADING = {"src", "href", "xlink:href", "action", "data", "poster", "srcset"}


def is_local(value: str | None) -> bool:
    return bool(value) and str(value).startswith("#")


def test_the_page_stands_alone_and_escapes(tmp_path: Path) -> None:
    report = made({"long": 0.3, "long+shots": 0.4, "tuned": 0.7, "tuned+grammar": 0.8}, tuning_s=90.0)
    text = report.save(tmp_path / "deep" / "report.html").read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    page.close()
    assert not page.open and not page.loaded
    assert not page.tags & {"script", "link", "img", "iframe", "object", "embed", "base"}
    assert not re.search(r"@import|url\((?!#)|<!ENTITY|xmlns", text)
    assert text.count("<svg") == text.count("</svg>") == 4
    assert NASTY in page.text and NASTY not in text
    assert "prefers-color-scheme" in text
    assert re.search(r"#0[1-6]0[1-6]0[1-6]", text) is None, "a stand-in colour is left"


def test_plots_do_not_share_ids() -> None:
    from schematune.benchmarks.page import page

    text = page(made({"long": 0.3, "tuned": 0.7}))
    ids = [re.findall(r'<clipPath id="([^"]+)"', svg) for svg in text.split("<svg")[1:]]
    flat = [name for names in ids for name in names]
    assert len(flat) == len(set(flat))


def test_the_headline_says_what_came_out() -> None:
    report = made({"long": 0.3, "long+grammar": 0.4, "tuned": 0.8, "tuned+grammar": 0.7}, tuning_s=9.0)
    assert report.best_long == "long+grammar" and report.tuned == "tuned+grammar"
    assert "70.0 %" in report.headline() and "30.0 points more" in report.headline()
    assert "noise" not in report.headline() and report.notices() == []
    level = made({"long": 0.5, "tuned": 0.5})
    assert "0.0 points more" in level.headline() and "within the noise" in level.headline()
    assert "points fewer" in made({"long": 0.9, "tuned": 0.2}).headline()
    assert "long answers 50.0 % of 40" in made({"long": 0.5}).headline()


def test_notices_come_first_where_they_must() -> None:
    weak = made({"long": 0.1, "tuned": 0.8}, source="synthetic")
    assert "All 40 requests are synthetic" in weak.notices()[0]
    assert "The base cannot do this job" in weak.notices()[1] and "20.0 %" in weak.notices()[1]
    assert "\n! All 40" in summary(weak)
    assert made({"long": 0.2, "tuned": 0.8}).notices() == []
    some = dataclasses.replace(made({"tuned": 0.8}), synthetic=3, gold_invalid=2)
    assert some.notices()[0].startswith("3 of 40") and some.notices()[1].startswith("2 right answers")


def test_differences_ratios_and_break_even() -> None:
    found = made({"long": 0.5, "tuned": 0.75}, tuning_s=90.0).differences["tuned"]["long"]
    assert found["exact"]["difference"] == pytest.approx(0.25)
    assert 0 < found["exact"]["low"] < 0.25 < found["exact"]["high"]
    assert found["prompt_tokens_ratio"] == pytest.approx(10)
    assert (found["latency_ratio"], found["latency_ratio_cached"]) == pytest.approx((10, 3))
    assert (found["break_even_calls"], found["break_even_calls_cached"]) == (500, 2250)
    unknown = made({"long": 0.5, "tuned": 0.75}).differences["tuned"]["long"]
    assert unknown["break_even_calls"] is None


def test_json_and_summary() -> None:
    report = made({"long": 0.5, "tuned": 0.75}, tuning_s=12.3456789, counts={"decontaminated": 4})
    row = json.loads(json.dumps(report.json(), allow_nan=False))
    assert row["benchmark"] == "calls" and row["cases"] == 40 and row["decontaminated"] == 4
    assert row["tuning_s"] == 12.345679
    assert list(row["arms"]) == ["long", "tuned"]
    figures = row["arms"]["long"]
    assert figures["exact"] == 0.5 and figures["malformed"] == 0.5
    assert set(figures) >= {"valid", "tool", "prompt_tokens", "latency_ms", "latency_ms_cached", "exact_ci"}
    assert figures["latency_ms_cached"]["p50"] == 60 and row["arms"]["tuned"]["latency_ms_cached"] is None
    table = summary(report)
    assert re.search(r"^long +50\.0 +35–65", table, re.MULTILINE)
    assert "tuned against long: exact +25.0 points" in table and "tuning took 12 s" in table


def test_failures_are_shown_for_each_arm() -> None:
    report = made({"long": 0.5, "tuned": 0.975}, size=80)
    assert 2 <= len(report.failures) <= 8
    assert any(not failure.outputs["tuned"][0] for failure in report.failures)
    assert all(set(failure.outputs) == {"long", "tuned"} for failure in report.failures)
    assert made({"tuned": 1.0}).failures == []


def test_arms_are_picked_by_name() -> None:
    assert [arm.name for arm in pick_arms(["tuned+grammar", "long"])] == ["long", "tuned+grammar"]
    with pytest.raises(ExampleError, match="no arm 'longish'"):
        pick_arms(["long", "longish"])
    with pytest.raises(ExampleError):
        pick_arms([])

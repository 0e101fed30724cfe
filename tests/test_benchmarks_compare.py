"""The arms end to end on a tiny random base: figures and files are right, whatever such a base answers."""

import json
from pathlib import Path
from typing import Any

import pytest
from tiny import tiny_base

from schematune.benchmarks import calls, demo, synthesis
from schematune.benchmarks.arms import Bench, pick_arms, run_arms
from schematune.benchmarks.cases import cases_of
from schematune.benchmarks.compare import compare
from schematune.decoding.caller import Caller
from schematune.schemas.call import Call
from schematune.schemas.errors import ExampleError
from schematune.schemas.files import write_jsonl
from schematune.schemas.pair import Pair, Pairs
from schematune.schemas.tool import ToolSet

WEATHER = {
    "name": "get_weather",
    "parameters": {"properties": {"city": {"type": "string", "maxLength": 12}}, "required": ["city"]},
}
SAY = {"name": "say", "parameters": {"properties": {"word": {"enum": ["yes", "no"]}}, "required": ["word"]}}
TOOLS = ToolSet([WEATHER, SAY])
CITIES = ("Oslo", "Rome", "Bern", "Lima", "Riga", "Kyiv", "Cairo", "Delhi")


def weather(city: str, words: str = "the weather in {}, please") -> Pair:
    return Pair.of(words.format(city), [Call("get_weather", {"city": city})], id=city)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_base("builtin", tmp_path_factory.mktemp("base"))


def test_compare_long_arms(base: Path, tmp_path: Path) -> None:
    examples = [weather(city, "what is it like in {}?") for city in CITIES] + [weather("Oslo")]
    caller = Caller(tools=TOOLS, base=str(base))
    report = compare(
        caller,
        [weather("Oslo"), weather("Rome"), Pair.of("sing", [])],
        examples=examples,
        nearest=2,
        out=tmp_path / "report.html",
        max_new_tokens=24,
        progress=False,
    )
    assert list(report.arms) == ["long", "long+grammar", "long+shots"]
    assert report.counts == {"decontaminated": 1} and report.differences == {}
    for figures in report.arms.values():
        assert figures["cases"] == 3 and figures["no_tool_cases"] == 1
        assert figures["latency_ms"]["p50"] > 0 and figures["latency_ms_cached"]["p50"] > 0
        assert 0 < figures["forward_passes"] <= 25
    assert report.arms["long+grammar"]["malformed"] <= report.arms["long"]["malformed"]
    assert report.arms["long+shots"]["prompt_tokens"] > report.arms["long"]["prompt_tokens"]
    assert report.arms["long"]["prompt_tokens"] == report.arms["long+grammar"]["prompt_tokens"]
    assert "sing" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_compare_needs_pairs(base: Path) -> None:
    with pytest.raises(ExampleError, match="no pair to score on"):
        compare(Caller(tools=TOOLS, base=str(base)), Pairs([]).test, out=None)


def test_arms_that_lack_something_are_refused(base: Path) -> None:
    cases = cases_of([weather("Oslo")], TOOLS)
    with pytest.raises(ExampleError, match="needs an adapter"):
        run_arms(cases, pick_arms(["tuned"]), Bench(str(base)))
    with pytest.raises(ExampleError, match="needs examples"):
        run_arms(cases, pick_arms(["long+shots"]), Bench(str(base)))
    with pytest.raises(ExampleError, match="no case"):
        run_arms([], pick_arms(["long"]), Bench(str(base)))


def test_a_prompt_too_long_is_scored_and_weighed(tmp_path: Path) -> None:
    small = tiny_base("builtin", tmp_path / "base", context=64)
    runs = run_arms(
        cases_of([weather("Oslo", "the weather " * 60 + "in {}")], TOOLS),
        pick_arms(["long"]),
        Bench(str(small)),
        progress=False,
    )
    [score] = runs["long"].scores
    assert score.status == "error" and not score.malformed and not score.valid
    assert score.prompt_tokens > 64


def command(capsys: pytest.CaptureFixture[str], main: Any, *arguments: str) -> tuple[int, Any, str]:
    status = main(list(arguments))
    out, err = capsys.readouterr()
    return status, json.loads(out.splitlines()[-1]) if out else None, err


def test_calls_tunes_and_scores(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {name: tmp_path / f"{name}.jsonl" for name in ("cases", "examples")}
    write_jsonl(files["cases"], [weather(city).to_dict() for city in CITIES])
    shown = [weather(city, "how is {} today").to_dict() for city in CITIES]
    wrong = weather("Oslo", "a wrong one in {}").to_dict() | {"calls": [{"name": "gone", "arguments": {}}]}
    write_jsonl(files["examples"], [*shown, wrong, weather("Rome", " THE weather  in {}, please").to_dict()])
    (tmp_path / "tools.json").write_text(json.dumps([WEATHER, SAY]), encoding="utf-8")
    common = [
        *("--cases", str(files["cases"]), "--tools", str(tmp_path / "tools.json"), "--base", str(base)),
        *("--examples", str(files["examples"]), "--out", str(tmp_path / "out"), "--max-new-tokens", "24"),
        *("--limit", "3", "--cached", "2", "--quiet", "--adapter", str(tmp_path / "adapter")),
    ]
    status, found, err = command(capsys, calls.main, *common, "--epochs", "1", "--arms", "long,tuned,tuned+grammar")
    assert status == 0, err
    assert found["benchmark"] == "calls" and found["cases"] == 3 and found["tuning_s"] > 0
    assert (found["examples"], found["examples_invalid"], found["decontaminated"]) == (8, 1, 1)
    assert list(found["arms"]) == ["long", "tuned", "tuned+grammar"]
    assert found["arms"]["tuned+grammar"]["valid"] + found["arms"]["tuned+grammar"]["truncated"] == 1
    assert found["arms"]["tuned"]["prompt_tokens"] < found["arms"]["long"]["prompt_tokens"]
    difference = found["differences"]["tuned+grammar"]["long"]
    assert difference["exact"]["low"] <= difference["exact"]["difference"] <= difference["exact"]["high"]
    assert (tmp_path / "out" / "report.html").is_file()
    status, again, err = command(capsys, calls.main, *common, "--arms", "tuned+grammar")
    assert status == 0 and "reusing the adapter" in err and 0 < again["tuning_s"]
    same = ("exact", "valid", "prompt_tokens", "completion_tokens")
    assert all(again["arms"]["tuned+grammar"][key] == found["arms"]["tuned+grammar"][key] for key in same)


def test_calls_with_tools_of_their_own(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dotted = {"type": "function", "function": {**WEATHER, "name": "weather.get"}}
    row = weather("Oslo").to_dict() | {"calls": [{"name": "weather.get", "arguments": {"city": "Oslo"}}]}
    accept = [{"weather.get": {"city": ["Oslo", "oslo, norway"]}}]
    other = weather("Rome").to_dict() | {"tools": [{"type": "function", "function": WEATHER}]}
    broken = row | {"tools": [{"type": "function", "function": {"parameters": {}}}]}
    write_jsonl(tmp_path / "cases.jsonl", [row | {"tools": [dotted], "accept": accept}, other, broken])
    common = [*("--cases", str(tmp_path / "cases.jsonl"), "--base", str(base), "--out", str(tmp_path)), "--quiet"]
    common += ["--max-new-tokens", "24"]
    assert command(capsys, calls.main, *common)[0] == 1
    status, found, err = command(capsys, calls.main, *common, "--skip-broken")
    assert status == 0 and found["skipped"] == 1 and list(found["arms"]) == ["long", "long+grammar"]
    assert found["arms"]["long"]["latency_ms_cached"] is None
    status, _, err = command(capsys, calls.main, *common, "--skip-broken", "--arms", "long,tuned")
    assert status == 1 and "2 tool sets" in err


def test_synthesis_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tools.json").write_text(json.dumps([WEATHER, SAY]), encoding="utf-8")
    status, found, _ = command(capsys, synthesis.main, "--tools", str(tmp_path / "tools.json"), "--pairs", "40")
    assert status == 0 and found["benchmark"] == "synthesis" and found["pairs"] == 40
    assert 0 < found["accepted"] <= 1 and found["pairs_per_s"] > 0
    assert found["accepted"] + sum(found["rejected"].values()) == pytest.approx(1, abs=1e-4)
    assert found["variety"]["requests"] == 40 and 0 < found["variety"]["self_bleu"] < 1
    assert command(capsys, synthesis.main, "--tools", str(tmp_path / "gone.json"))[0] == 1


def test_variety_tells_copies_from_new_requests() -> None:
    same = synthesis.variety(["turn the lamp on in the hall"] * 5)
    new = synthesis.variety(["turn the lamp on", "what is the weather", "a table for two please", "cancel my order"])
    assert (same["self_bleu"], same["distinct_2"]) == (1.0, 0.2)
    assert new["self_bleu"] < 0.01 and new["distinct_2"] == 1.0


def test_the_demo_runs_twice(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "MAX_NEW_TOKENS", 8)
    for arms in (demo.ARMS, ("tuned+grammar",)):
        monkeypatch.setattr(demo, "ARMS", arms)
        report = demo.run_demo(
            tmp_path / "out", pairs=80, epochs=0.05, base=str(base), limit=1, progress=False, cached=0
        )
        out, err = capsys.readouterr()
        found = json.loads(out.splitlines()[-1])
        assert found["arms"].keys() == report.arms.keys() == set(arms)
        assert found["cases"] == 1 and found["synthetic"] == 0 and "4/4" in err
        assert {path.name for path in (tmp_path / "out").iterdir()} == {"adapter", "pairs.jsonl", "report.html"}
    assert len(Pairs.load(tmp_path / "out" / "pairs.jsonl")) == 80

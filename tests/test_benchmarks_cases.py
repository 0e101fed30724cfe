"""Cases read from files: what is kept, what is refused and where that is said."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schematune.benchmarks import demo
from schematune.benchmarks.cases import cases_of, decontaminate, one_tool_set, read_cases, sample
from schematune.schemas.call import Call
from schematune.schemas.checks import folded
from schematune.schemas.errors import ExampleError
from schematune.schemas.pair import Pair, read_examples
from schematune.schemas.tool import ToolSet

PLAY = {"name": "music.play", "parameters": {"properties": {"song": {"type": "string"}}, "required": ["song"]}}
TOOLS = ToolSet(PLAY)


def row(request: str = "play x", **fields: Any) -> dict[str, Any]:
    calls = [{"name": "music.play", "arguments": {"song": "x"}}]
    return {"id": "a", "messages": [{"role": "user", "content": request}], "calls": calls, **fields}


def write(folder: Path, *rows: Any) -> Path:
    path = folder / "cases.jsonl"
    path.write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in rows) + "\n", encoding="utf-8")
    return path


def test_cases_bring_their_tools_or_take_those_given(tmp_path: Path) -> None:
    own = [{"type": "function", "function": PLAY}]
    path = write(tmp_path, row(), "", row(tools=own), row(tools=own, context={"now": "2026-01-01T08:00+00:00"}))
    cases = read_cases(path, TOOLS)
    assert [case.own for case in cases] == [False, True, True]
    assert cases[0].tools is TOOLS and cases[1].tools is cases[2].tools
    assert cases[1].pair.calls == (Call("music.play", {"song": "x"}),)
    assert cases[2].pair.context == {"now": "2026-01-01T08:00+00:00"}
    assert one_tool_set(cases) is not None


def test_no_calls_means_no_tool_and_an_id_is_made_up(tmp_path: Path) -> None:
    cases = read_cases(write(tmp_path, "", row(calls=[], id="")), TOOLS)
    assert cases[0].pair.calls == (Call.no_tool(),)
    assert cases[0].id == "cases.jsonl:2"


def test_a_wrong_gold_call_is_kept_and_marked(tmp_path: Path) -> None:
    wrong = row(calls=[{"name": "music.play", "arguments": {"song": 3}}])
    cases = read_cases(write(tmp_path, row(), wrong, row(calls=[{"name": "gone"}])), TOOLS)
    assert [bool(case.gold_invalid) for case in cases] == [False, True, True]
    assert "song" in cases[1].gold_invalid and "no such tool" in cases[2].gold_invalid


@pytest.mark.parametrize(
    ("broken", "word"),
    [
        ("{", "no JSON"),
        ("[1]", "no pair"),
        ({"messages": [{"role": "user", "content": "x"}]}, "no pair"),
        ({**row(), "messages": []}, "no user message"),
        (row(calls=[{"arguments": {}}]), "no pair"),
        (row(tools=[{"name": "x", "parameters": {"type": "strange"}}]), "a tool cannot be used"),
        (row(tools=[{"type": "function", "function": {"parameters": {}}}]), "a tool"),
        (row(tools=["gone"]), "permits 'gone'"),
        (row(accept=[{"a": {}, "b": {}}]), '"accept"'),
        (row(accept=[{"a": {"x": 1}}]), '"accept"'),
        (row(accept={"a": 1}), '"accept"'),
    ],
)
def test_errors_name_file_and_line(tmp_path: Path, broken: Any, word: str) -> None:
    path = write(tmp_path, row(), broken)
    with pytest.raises(ExampleError, match="cases.jsonl:2: ") as caught:
        read_cases(path, TOOLS)
    assert word in str(caught.value)
    if "no JSON" in word:
        return
    skipped: list[str] = []
    assert len(read_cases(path, TOOLS, skipped=skipped)) == 1
    assert len(skipped) == 1 and "cases.jsonl:2" in skipped[0]


def test_files_without_a_case_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ExampleError, match="no case"):
        read_cases(write(tmp_path, ""), TOOLS)
    with pytest.raises(ExampleError, match=r"gone\.jsonl: cannot be read"):
        read_cases(tmp_path / "gone.jsonl", TOOLS)
    with pytest.raises(ExampleError, match="brings no tools"):
        read_cases(write(tmp_path, row()))


def test_accept_is_read(tmp_path: Path) -> None:
    accept = [{"music.play": {"song": ["x", "y", ""]}}]
    [case] = read_cases(write(tmp_path, row(accept=accept)), TOOLS)
    assert list(case.accept) == accept


def test_tool_sets_that_differ_are_refused() -> None:
    other = ToolSet({"name": "other", "parameters": {}})
    pair = Pair.of("x", [])
    with pytest.raises(ExampleError, match="2 tool sets"):
        one_tool_set([*cases_of([pair], TOOLS), *cases_of([pair], other)])


@pytest.mark.parametrize(
    ("fields", "synthetic"),
    [
        ({"source": "synthetic"}, True),
        ({"source": "example:x:1", "seed": 0}, True),
        ({"template": "t"}, True),
        ({"source": "hand-written"}, False),
        ({}, False),
    ],
)
def test_synthetic_requests_are_known(fields: dict[str, Any], synthetic: bool) -> None:
    assert cases_of([Pair.of("x", [], **fields)], TOOLS)[0].synthetic is synthetic


def test_a_sample_is_seeded_ordered_and_not_the_first() -> None:
    drawn = sample(range(100), 10, seed=1)
    assert drawn == sample(range(100), 10, seed=1) == sorted(drawn)
    assert drawn != list(range(10)) and drawn != sample(range(100), 10, seed=2)
    assert sample(range(3), 10) == [0, 1, 2]


REQUESTS = st.lists(st.text("aB \t", min_size=1, max_size=4), max_size=8)


@given(REQUESTS, REQUESTS)
def test_nothing_of_the_test_stays_in_training(train: list[str], test: list[str]) -> None:
    scored = [Pair.of(text, []) for text in test]
    kept, dropped = decontaminate((Pair.of(text, []) for text in train), scored)
    folded = {" ".join(text.lower().split()) for text in test}
    assert len(kept) + dropped == len(train)
    assert not folded & {" ".join(pair.request.lower().split()) for pair in kept}
    assert decontaminate(kept, scored, strict=True)[1] == 0


def test_strict_raises_and_conversations_count_whole() -> None:
    def said(*texts: str) -> Pair:
        turns = [{"role": "user", "content": text} for text in texts]
        return Pair(tuple(turns), (Call.no_tool(),))

    with pytest.raises(ExampleError, match="1 training requests"):
        decontaminate([said("Hello  there")], [said("hello THERE")], strict=True)
    assert decontaminate([said("yes")], [said("a table?", "yes")])[1] == 0
    assert decontaminate([said("a table?", "Yes")], [said("a table?", "yes")])[1] == 1
    assert decontaminate([said("first", "book it")], [said("book it")])[1] == 1


def test_no_demo_example_is_nearly_a_test_request() -> None:
    """The examples grew after the test set was written: none shares half of its words with a test request."""
    folder = Path(demo.__file__).parent / "demo"
    tools = ToolSet(str(folder / "tools.json"))
    examples = [set(folded(pair.request).split()) for pair in read_examples(folder / "examples.jsonl", tools)]
    tests = [set(folded(case.pair.request).split()) for case in read_cases(folder / "test.jsonl", tools)]
    assert len(examples) > 200 and len(tests) == 80
    assert max(len(one & two) / len(one | two) for one in examples for two in tests) < 0.5

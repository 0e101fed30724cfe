"""Pairs whose prompts show tools: renamed, in another order, among near-duplicates, now and then without the right one."""

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schematune import Call, Pair, Pairs, ToolSet, synthesize
from schematune.benchmarks.cases import read_cases
from schematune.schemas.augment import augmented, marks, near_duplicates, renamed
from schematune.schemas.call import NO_TOOL, RESERVED
from schematune.schemas.files import write_jsonl
from schematune.schemas.frames import verb_and_thing
from schematune.schemas.invent import invent_tools, tool_set
from schematune.schemas.lexicon import VERBS
from schematune.schemas.tool import Tool

ALARM = Tool(
    "alarm_set",
    "Set alarm.",
    {"type": "object", "properties": {"time_of_day": {}, "label": {"type": "string"}}, "required": ["label"]},
)


@pytest.fixture(scope="module")
def tools() -> ToolSet:
    return ToolSet(Path(__file__).resolve().parent.parent / "benchmarks" / "demo" / "tools.json")


@pytest.fixture(scope="module")
def pairs(tools: ToolSet) -> Pairs:
    return synthesize(tools, 250, seed=5)


@pytest.mark.parametrize("masked", [False, True])
def test_renaming_renames_calls_with_their_tool(masked: bool) -> None:
    for seed in range(40):
        new, turn = renamed(ALARM, random.Random(seed), masked=masked)
        call = turn(Call("alarm_set", {"label": "x", "time_of_day": "y"}))
        assert call.name == new.name and set(call.arguments) == set(new.properties)
        assert list(turn(Call.ask("alarm_set", ["label"])).arguments["missing"]) == list(new.required)
        ToolSet([new.openai()])
        if masked:
            assert not {"alarm", "label"} & set(f"{new.name} {' '.join(new.properties)}".replace("_", " ").split())
            assert "label" in str(new.properties)  # the description says what the name no longer does


def test_a_tool_whose_schema_names_its_arguments_keeps_them() -> None:
    tied = Tool("t", "", {"properties": {"a": {}, "b": {}}, "required": [], "dependentRequired": {"a": ["b"]}})
    new, turn = renamed(tied, random.Random(1), masked=True)
    assert new is tied and turn(Call("t", {"a": 1})) == Call("t", {"a": 1})


def test_rows_fit_the_tools_they_show(tools: ToolSet, pairs: Pairs) -> None:
    rows = list(augmented(pairs, tools, seed=3))
    assert len(rows) == len(pairs)
    for row, pair in zip(rows, pairs, strict=True):
        assert not [line for call in row.pair.calls for line in row.tools.violations(call)]
        if row.pair.calls[0].name == pair.calls[0].name == NO_TOOL:
            continue
        if row.pair.calls[0].name in RESERVED:
            continue
        assert [list(c.arguments.values()) for c in row.pair.calls] == [list(c.arguments.values()) for c in pair.calls]
        for item in row.pair.evidence:
            place, name = item.path.split(".")[:2]
            assert name in row.pair.calls[int(place)].arguments
    dropped = [r for r, p in zip(rows, pairs, strict=True) if r.pair.calls[0].name == NO_TOOL != p.calls[0].name]
    assert 0.02 < len(dropped) / len(rows) < 0.15
    for row in dropped:
        assert not row.pair.evidence
    names = {name for row in rows for name in row.tools.names}
    assert len(names) > 3 * len(tools)  # few go by their own names
    again, other = ([row.to_dict() for row in augmented(pairs, tools, seed=seed)] for seed in (3, 4))
    assert [row.to_dict() for row in rows] == again != other


def test_turns_before_are_renamed_as_well(tools: ToolSet) -> None:
    long = [pair for pair in synthesize(tools, 600, seed=8) if any(m.get("tool_calls") for m in pair.messages)]
    assert long
    for row in augmented(long, tools, seed=1):
        if row.pair.calls[0].name in RESERVED:
            continue
        made = [Call.from_dict(call) for message in row.pair.messages for call in message.get("tool_calls") or ()]
        assert {call.name for call in made} == {row.pair.calls[0].name}


def test_rows_are_cases_that_bring_their_own_tools(tools: ToolSet, pairs: Pairs, tmp_path: Path) -> None:
    rows = list(augmented(pairs[:20], tools, copies=2))
    write_jsonl(tmp_path / "rows.jsonl", (row.to_dict() for row in rows))
    cases = read_cases(tmp_path / "rows.jsonl")
    assert [case.tools.names for case in cases] == [row.tools.names for row in rows]
    assert [case.pair.calls for case in cases] == [row.pair.calls for row in rows]
    assert not any(case.gold_invalid for case in cases)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_near_duplicates_do_something_else(seed: int) -> None:
    rng = random.Random(seed)
    tools = tool_set(invent_tools(rng, 4))
    known = [verb_and_thing(tool.name) for tool in tools]
    for tool in near_duplicates(tools, rng, each=3):
        verb, thing = verb_and_thing(tool.name)
        assert any(thing == own or verb == other for other, own in known)
        said = {verb, *VERBS.get(verb, ())}
        for other, own in known:
            assert own != thing or not said & {other, *VERBS.get(other, ())}
        assert marks(tool, tools)


def test_no_tool_requests_say_what_tells_them_apart(tools: ToolSet) -> None:
    refused: list[Any] = [p for p in synthesize(tools, 1500, seed=2) if p.calls[0].name == NO_TOOL]
    assert len(refused) > 80
    own = {name for tool in tools for name in tool.name.split("_")} | {"taxi", "event", "email", "booking"}
    near = [pair for pair in refused if own & set(pair.request.lower().split())]
    assert len(near) > 10  # some resemble what the tools do
    assert isinstance(near[0], Pair)

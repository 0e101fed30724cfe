"""Requests written for the project: read, checked, told with other values, beside other tools."""

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schematune.schemas.call import Call
from schematune.schemas.errors import ExampleError
from schematune.schemas.pair import Pair
from schematune.schemas.tool import ToolSet
from schematune.trainer.asked import fields_to_learn, held_out, in_one_breath, written_block
from schematune.trainer.corpus import Corpus, Sources
from schematune.trainer.reader import row_of
from schematune.trainer.written import main, read_written

FOLDER = Path(__file__).resolve().parent.parent / "trainer" / "written"
FIELDS = fields_to_learn(FOLDER, [])

KETTLE = """
tool kettle.boil: Boil water in the kettle.
  temperature integer: Degrees Celsius to reach.
  mode eco|fast?=eco: How to heat.
  guests string[]?: Who gets a cup.
  = guests: Anna; Bob; Mr. Lopez
  > Get the kettle up to {80|temperature} degrees for {Anna|guests} and {Bob|guests}, and {hurry|mode|fast}.
  > I need hot water.
  < {Ninety|temperature|90} degrees?
  > No, {1,095|temperature}, and {fast|mode}. Or no, {not in a hurry|mode|-}.
  > {70|temperature#1} degrees, then {100|temperature#2}, both {fast|mode}
  > I need hot water
  ! How much does a kettle weigh?
"""


def kettle(tmp_path: Path, text: str = KETTLE) -> Path:
    path = tmp_path / "kitchen.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_is_read(tmp_path: Path) -> None:
    [one] = read_written(kettle(tmp_path))
    assert one.tool.required == ("temperature",)
    assert one.tool.properties["mode"] == {
        "type": "string", "enum": ["eco", "fast"], "default": "eco", "description": "How to heat.",
    }  # fmt: skip
    first, talk, twice, bare = (one.pair(form) for form in one.forms)
    assert first.calls == (Call("kettle.boil", {"temperature": 80, "mode": "fast", "guests": ["Anna", "Bob"]}),)
    assert first.request == "Get the kettle up to 80 degrees for Anna and Bob, and hurry."
    assert [message["role"] for message in talk.messages] == ["user", "assistant", "user"]
    assert talk.calls == (Call("kettle.boil", {"temperature": 1095}),)
    assert [call.arguments["temperature"] for call in twice.calls] == [70, 100]
    assert [call.arguments["mode"] for call in twice.calls] == ["fast", "fast"]
    assert bare.calls == (Call.ask("kettle.boil", ["temperature"]),)
    assert one.missed == ["How much does a kettle weigh?"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("  > {80|heat} degrees", "heat"),
        ("  > {warm|temperature} please", "warm"),
        ("  > {80.5|temperature} please", "no integer"),
        ("  > {80|temperature} and {slow|mode}", "none of the choices"),
        ("  > {80|temperature please", "a mark that is none"),
        ("  = colour: red; blue", "colour"),
        ("  volume litres: How much.", "litres"),
        ("  nothing of the sort", "ARGUMENT"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(
    tmp_path: Path, line: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = kettle(tmp_path, KETTLE + line + "\n")
    with pytest.raises(ExampleError, match=r"kitchen\.txt:\d+") as caught:
        read_written(path)
    assert told in str(caught.value)
    assert main([str(path)]) == 1
    assert told in capsys.readouterr().err


def test_a_conversation_ends_with_a_request(tmp_path: Path) -> None:
    with pytest.raises(ExampleError, match="ends with a reply"):
        read_written(kettle(tmp_path, KETTLE + "  > I need tea\n  < Now?\n"))


def test_files_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(kettle(tmp_path))]) == 0
    assert capsys.readouterr().out == '{"tools": 1, "requests": 4, "conversations": 1, "asks": 1, "missed": 1}\n'


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_blocks_are_valid_and_traced(seed: int) -> None:
    tools, pairs = written_block(FIELDS, random.Random(seed))
    known = ToolSet([tool.openai() for tool in tools])
    for pair in pairs:
        assert not [line for call in pair.calls for line in known.violations(call)]
        for item in pair.evidence:
            number, _, name = item.path.partition(".")
            value = pair.calls[int(number)].arguments[name]
            if item.rule == "span":
                assert pair.said[item.start : item.end] in (value if isinstance(value, list) else [value])
            assert item.rule != "offered" or item.start == -1


def test_what_is_held_out_or_scored_on_is_left_out(tmp_path: Path) -> None:
    kept, *others = (f"kettle{n}.boil" for n in range(60))
    read = {name: read_written(kettle(tmp_path, KETTLE.replace("kettle.boil", name)))[0] for name in (kept, *others)}
    outside = [name for name, one in read.items() if held_out(one)]
    assert 0 < len(outside) < 12
    text = "\n".join(KETTLE.replace("kettle.boil", name) for name in (outside[0], kept, others[0], others[1]))
    kettle(tmp_path, text)
    avoid: list[dict[str, Any]] = [
        {"messages": [{"role": "user", "content": "go"}], "tools": [{"name": kept.replace(".", "_")}], "calls": []},
        {"messages": [{"role": "user", "content": "play"}], "calls": [{"name": others[0], "arguments": {}}]},
        {
            "messages": [{"role": "user", "content": "get the kettle up to 80 degrees for anna and bob, and hurry"}],
            "calls": [],
        },
    ]
    [field] = fields_to_learn(tmp_path, avoid)
    assert [one.tool.name for one in field] == [others[1]]
    assert len(field[0].forms) == 3


def test_two_requests_in_one_breath_keep_their_evidence(tmp_path: Path) -> None:
    [one] = read_written(kettle(tmp_path))
    both = in_one_breath(one.pair(one.forms[0]), one.pair(one.forms[2]), random.Random(1))
    assert [call.arguments["temperature"] for call in both.calls] == [80, 70, 100]
    said = {item.path: both.said[item.start : item.end] for item in both.evidence}
    assert (said["0.temperature"], said["1.temperature"], said["2.temperature"]) == ("80", "70", "100")
    assert in_one_breath(both, Pair.of("x", []), random.Random(1)) is both


def test_the_corpus_tells_them_and_the_reader_learns_from_them() -> None:
    sources = Sources(written=FIELDS)
    first, again = ([block for block, _ in zip(Corpus(sources, 3), range(30), strict=False)] for _ in range(2))
    assert [block.pairs for block in first] == [block.pairs for block in again]
    pairs = [(pair, block.tools) for block in first for pair in block.pairs if pair.source == "written"]
    rows = [row_of(pair, tools) for pair, tools in pairs]
    assert sum(row is not None and any(row.states) for row in rows) > len(pairs) / 3

import random
from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schematune.schemas.call import Call
from schematune.schemas.checks import Checker
from schematune.schemas.dialogue import Aside, Dialogue
from schematune.schemas.invent import invent_tools, tool_set
from schematune.schemas.pair import Pair
from schematune.schemas.sayings import sayings
from schematune.schemas.several import in_a_row
from schematune.schemas.synthesize import Synthesizer
from schematune.schemas.tool import ToolSet
from schematune.schemas.wording import Worder

TEXT = {"type": "string"}
TOOLS = ToolSet(
    [
        {"name": "book_room", "parameters": {"properties": {"city": TEXT, "day": {"type": "string", "format": "date"},
         "guests": {"type": "integer"}, "view": {"type": "string", "enum": ["sea", "garden"]}}, "required": ["city"]}},
        {"name": "find_museum", "parameters": {"properties": {"city": TEXT, "style": TEXT}}},
    ]
)  # fmt: skip
VALUES = {"city": "Turin", "day": "2026-05-07", "guests": 3, "view": "sea"}


def _talk(seed: int, *, offers: bool = False, **rest: Any) -> tuple[Pair, Dialogue]:
    rng = random.Random(seed)
    talker = Dialogue(rng, Worder(rng, today=date(2026, 5, 4)), offers)
    return talker.about(TOOLS["book_room"], VALUES, **rest).pair(context={"now": "2026-05-04T10:00+00:00"}), talker


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
def test_a_conversation_says_every_value(seed: int, offers: bool) -> None:
    pair, _ = _talk(seed, offers=offers)
    assert pair.calls == (Call("book_room", VALUES),)
    assert pair.messages[0]["role"] == pair.messages[-1]["role"] == "user"
    assert all(one["role"] != two["role"] for one, two in zip(pair.messages, pair.messages[1:], strict=False))
    rules = {item.path: item.rule for item in pair.evidence}
    assert set(rules) == {f"0.{name}" for name in VALUES}
    assert offers or "offered" not in rules.values()
    assert Checker(TOOLS).passes(pair)


def test_an_offer_is_agreed_to() -> None:
    pairs = [_talk(seed, offers=True)[0] for seed in range(60)]
    offered = [
        (pair, item) for pair in pairs for item in pair.evidence if item.rule == "offered" and item.path == "0.city"
    ]
    assert len(offered) > 3
    for pair, item in offered:
        assert any("turin" in str(m["content"]).lower() for m in pair.messages if m["role"] == "assistant")
        assert "turin" not in pair.said[item.start : item.end].lower()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_what_the_user_comes_to_want_counts(seed: int) -> None:
    pair, _ = _talk(seed, change=("guests", 12))
    assert pair.calls[0].arguments == {**VALUES, "guests": 12}
    [item] = [item for item in pair.evidence if item.path == "0.guests"]
    assert pair.said[item.start : item.end] in [
        said for way in sayings({"type": "integer"}, "guests", 12) for said in (way, way.lower())
    ]
    assert Checker(TOOLS).passes(pair)


def test_what_was_said_for_something_else_may_still_hold() -> None:
    aside = Aside(TOOLS["find_museum"], {"city": "Bergen", "style": "modern"})
    pairs = [_talk(seed, aside=aside)[0] for seed in range(60)]
    cities = {pair.calls[0].arguments["city"] for pair in pairs}
    assert cities == {"Turin", "Bergen"}  # said anew, or kept from before
    for pair in pairs:
        [item] = [item for item in pair.evidence if item.path == "0.city"]
        assert pair.said[item.start : item.end] == pair.calls[0].arguments["city"]


def _place(calls: tuple[Call, ...], path: str) -> Any:
    value: Any = [dict(call.arguments) for call in calls]
    for part in path.split("."):
        value = value[int(part) if isinstance(value, list) else part]
    return value


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_calls_in_a_row_are_each_said(seed: int) -> None:
    rng = random.Random(seed)
    tool = TOOLS["book_room"]
    choices: tuple[Mapping[str, list[Any]], ...] = (
        {"city": ["Turin", "Bergen", "Lyon"]},
        {"city": ["Turin", "Bergen"], "guests": [3, 12]},
    )
    rows = rng.choice(choices)
    made = in_a_row(rng, Worder(rng), tool, VALUES, rows)
    assert made is not None
    calls, pieces, shape = made
    assert [call.arguments for call in calls] == [
        {**VALUES, **{name: row[k] for name, row in rows.items()}} for k in range(len(rows["city"]))
    ]
    assert {path for piece in pieces for path in piece.paths} == {
        f"{k}.{name}" for k in range(len(calls)) for name in VALUES
    }
    for piece in pieces:
        for path in piece.paths if piece.rule == "span" else ():
            assert _place(tuple(calls), path) == piece.text


def test_several_calls_are_at_times_of_one_tool() -> None:
    tools = tool_set(invent_tools(random.Random(3), 4))
    maker = Synthesizer(tools, random.Random(5))
    pairs = [maker.pair("parallel") for _ in range(80)]
    rows = [pair for pair in pairs if pair.template.startswith("row:")]
    assert 10 < len(rows) < 60
    for pair in rows:
        assert len({call.name for call in pair.calls}) == 1 < len({str(call.arguments) for call in pair.calls})


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [("price", 12.5, "$12.5"), ("annual_income", 20000, "$20,000"), ("budget", 300, "300 euros")],
)
def test_sums_of_money_are_said_as_such(name: str, value: float, said: str) -> None:
    assert said in sayings({"type": "number"}, name, value)
    assert not any(sign in way for way in sayings({"type": "number"}, "wibble", value) for sign in ("euro", "$"))

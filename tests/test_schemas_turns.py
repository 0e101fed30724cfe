"""Requests built around what they are about, in several turns, taken back in mid-sentence, and out of two examples."""

import random
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schematune import Call, Pair, ToolSet, synthesize
from schematune.schemas.call import RESERVED
from schematune.schemas.checks import Checker
from schematune.schemas.crossover import crossed, ending_of
from schematune.schemas.examples import Multiplier, trace
from schematune.schemas.frames import plan, plan_of
from schematune.schemas.invent import invent_tools, tool_set
from schematune.schemas.pair import said_in
from schematune.schemas.pieces import join_pieces
from schematune.schemas.realistic import concept, worded
from schematune.schemas.spans import SpanRules
from schematune.schemas.synthesize import KINDS, Synthesizer
from schematune.schemas.wording import Worder

TOOLS = ToolSet(
    [
        {
            "name": "add_to_shelf",
            "description": "Put a novel on a shelf.",
            "parameters": {
                "type": "object",
                "properties": {
                    "novel_title": {"type": "string", "minLength": 1},
                    "shelf": {"type": "string", "minLength": 1},
                    "novel_type": {"type": "string", "minLength": 1},
                    "score_value": {"type": "integer", "minimum": 0, "maximum": 9},
                    "score_unit": {"type": "string", "minLength": 1},
                    "day": {"type": "string", "format": "date"},
                },
                "required": ["novel_title"],
            },
        },
        {
            "name": "get_weather",
            "description": "Get the weather of a city.",
            "parameters": {"type": "object", "properties": {"city": {"type": "string", "minLength": 1}}},
        },
    ]
)


def test_a_tool_is_read_by_its_name_and_its_arguments() -> None:
    found = plan(TOOLS["add_to_shelf"])
    assert (found.verb, found.joint, found.goal) == ("add", "to", "shelf")
    assert (found.object, found.kind, found.target) == ("novel_title", "novel_type", "shelf")
    assert found.measure == ("score_value", "score_unit")
    assert found.likely["shelf"] > found.likely["novel_type"]


def test_a_tool_without_texts_has_no_object() -> None:
    assert plan_of("list_rooms", (), ("floor",)).object is None


@pytest.mark.parametrize(
    ("name", "kind"),
    [("seat_count", "tally"), ("order_number", "id"), ("guests_number", "tally"), ("author_name", "person"), ("genre", "kind"), ("wibble", "thing")],
)  # fmt: skip
def test_concepts(name: str, kind: str) -> None:
    assert concept(name) == kind
    assert worded(kind, random.Random(1), date(2026, 5, 4)).strip()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(sorted(KINDS)))
def test_whatever_is_said_has_its_evidence(seed: int, kind: str) -> None:
    rng = random.Random(seed)
    tools = TOOLS if seed % 2 else tool_set(invent_tools(rng, 3))
    pair = Synthesizer(tools, rng, others=invent_tools(rng, 3)).pair(kind)
    checker = Checker(tools)
    assert checker.passes(pair) or set(checker.rejected) == {"ambiguous"}, (pair, checker.rejected)
    for item in pair.evidence:
        value: Any = [dict(call.arguments) for call in pair.calls]
        for part in item.path.split("."):
            value = value[int(part) if isinstance(value, list) else part]
        if item.rule == "span":
            assert pair.said[item.start : item.end] == value


def test_several_turns_lead_to_one_call() -> None:
    maker = Synthesizer(TOOLS, random.Random(7))
    pairs = [pair for pair in (maker.pair("turns") for _ in range(60)) if len(pair.messages) > 1]
    assert len(pairs) > 40
    shapes = {pair.template.split(":")[0] for pair in pairs}
    assert shapes == {"answered", "changed", "again", "talk"}
    for pair in pairs:
        roles = [message["role"] for message in pair.messages]
        assert roles[0] == roles[-1] == "user" and "assistant" in roles
        assert pair.calls[0].name not in RESERVED
        made = [Call.from_dict(call) for m in pair.messages for call in m.get("tool_calls") or ()]
        for call in made:  # the new call differs from the one that was made in one argument
            assert sum(pair.calls[0].arguments[name] != value for name, value in call.arguments.items()) == 1
        asked = any(
            "please give" in str(m.get("content")) or str(m.get("content")).endswith("?") for m in pair.messages
        )
        assert made or asked or pair.messages[1]["content"]


def test_what_is_taken_back_is_not_the_evidence() -> None:
    worder = Worder(random.Random(2))
    worder.slips["0.city"] = "Oslo"
    pieces, _ = worder.request(TOOLS["get_weather"], {"city": "Turin"})
    text, evidence = join_pieces(pieces)
    assert text.index("Oslo") < text.index("Turin")
    assert text[evidence[0].start : evidence[0].end] == "Turin"


def test_some_requests_take_a_value_back() -> None:
    pairs = synthesize(TOOLS, 400, seed=3)
    assert (
        sum(
            any(words in pair.request for words in ("scratch that", "no wait", "i mean", "make that")) for pair in pairs
        )
        > 1
    )
    assert any(len(pair.messages) > 1 for pair in pairs)


def test_what_was_said_in_turns_before_can_be_copied() -> None:
    turns = [{"role": "user", "content": "weather please"}, {"role": "assistant", "content": "Which city?"}, {"role": "user", "content": "Turin"}]  # fmt: skip
    assert said_in(turns) == "weather please\nTurin"
    later = [*turns, {"role": "assistant", "content": "Sunny."}, {"role": "user", "content": "thanks, again"}]
    pairs = [Pair(tuple(later), (Call("get_weather", {"city": "Turin"}),)) for _ in range(50)]
    assert SpanRules.learn(pairs, TOOLS).to_dict()["copied"]["get_weather"] == ["city"]


OWN = [
    Pair.of("put Emma on the shelf Classics", [Call("add_to_shelf", {"novel_title": "Emma", "shelf": "Classics"})]),
    Pair.of("add Dune as a fantasy", [Call("add_to_shelf", {"novel_title": "Dune", "novel_type": "fantasy"})]),
    Pair.of("I finished Ulysses", [Call("add_to_shelf", {"novel_title": "Ulysses"})]),
]


def _ending(pair: Pair) -> Any:
    return ending_of(pair, [(slot.start, slot.end, str(slot.path[0])) for slot in trace(pair, TOOLS)])


def test_the_last_phrase_of_an_example_ends_another() -> None:
    assert _ending(OWN[0]) is None  # "the shelf Classics" is led in by no single word
    pair = Pair.of("get it by noon", [Call("f", {"item": "it", "when": "noon"})])
    end = ending_of(pair, [(4, 6, "item"), (10, 14, "when")])
    assert end is not None and end.words == " by noon"
    other = Pair.of("fetch the post.", [Call("f", {"item": "post"})])
    made = crossed(other, None, end, ["item"], random.Random(0))
    assert made is not None and made.request == "fetch the post by noon"
    assert dict(made.calls[0].arguments) == {"item": "post", "when": "noon"}
    assert crossed(pair, end, end, ["when"], random.Random(0)) is None  # required, and there already


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_multiplied_examples_say_what_they_call(seed: int) -> None:
    maker = Multiplier(OWN, TOOLS, random.Random(seed))
    checker = Checker(TOOLS)
    for pair in filter(None, (maker.pair() for _ in range(12))):
        checker.passes(pair)
        for call in pair.calls:
            assert all(str(value).lower() in pair.said.lower() for value in call.arguments.values())
    assert not checker.rejected["evidence"] and not checker.rejected["schema"]

"""Scoring, by hand-worked cases and by what must always hold."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schematune.benchmarks.cases import cases_of
from schematune.benchmarks.scoring import aggregate, exact, paired_difference, percentiles, score, wilson
from schematune.schemas.call import Answer, Call, Usage
from schematune.schemas.errors import InvalidOutputError, PromptTooLongError, TruncatedError
from schematune.schemas.form import COMPACT
from schematune.schemas.pair import Pair
from schematune.schemas.tool import ToolSet

BOOK = {
    "name": "book",
    "parameters": {
        "type": "object",
        "properties": {
            "place": {"type": "string"},
            "people": {"type": "integer", "default": 2},
            "price": {"type": "number"},
            "quiet": {"type": "boolean", "default": False},
            "when": {"$ref": "#/$defs/when"},
            "extra": {"anyOf": [{"$ref": "#/$defs/when"}, {"type": "null"}]},
            "stops": {"type": "array", "items": {"$ref": "#/$defs/when"}},
        },
        "required": ["place"],
        "$defs": {
            "when": {
                "type": "object",
                "properties": {"day": {"type": "string"}, "hour": {"type": "integer", "default": 8}},
            }
        },
    },
}
TOOLS = ToolSet([BOOK, {"name": "play", "parameters": {"properties": {"song": {"type": "string"}}}}])


def case(*gold: Call) -> Any:
    return cases_of([Pair.of("a request", gold, id="c")], TOOLS)[0]


@pytest.mark.parametrize(
    ("given_", "gold", "right"),
    [
        ({"place": "Nopi"}, {"place": "Nopi"}, True),
        ({"place": "nopi"}, {"place": "Nopi"}, False),
        ({"place": "Nopi "}, {"place": "Nopi"}, False),
        ({"place": "Nopi", "people": 2}, {"place": "Nopi"}, True),
        ({"place": "Nopi"}, {"place": "Nopi", "people": 2.0}, True),
        ({"place": "Nopi", "people": 3}, {"place": "Nopi"}, False),
        ({"place": "Nopi", "price": 1}, {"place": "Nopi", "price": 1.0}, True),
        ({"place": "Nopi", "price": 1}, {"place": "Nopi", "price": True}, False),
        ({"place": "Nopi", "price": 0}, {"place": "Nopi", "price": False}, False),
        ({"place": "Nopi", "price": 1}, {"place": "Nopi", "price": "1"}, False),
        ({"place": "Nopi", "quiet": False}, {"place": "Nopi"}, True),
        ({"place": "Nopi", "price": None}, {"place": "Nopi"}, False),
        ({"place": "Nopi", "when": {"day": "x"}}, {"place": "Nopi", "when": {"hour": 8, "day": "x"}}, True),
        ({"place": "Nopi", "when": {"day": "x"}}, {"place": "Nopi", "when": {"hour": 9, "day": "x"}}, False),
        ({"place": "Nopi", "extra": {}}, {"place": "Nopi", "extra": {"hour": 8.0}}, True),
        ({"place": "Nopi", "stops": [{}]}, {"place": "Nopi", "stops": [{"hour": 8}]}, True),
        ({"place": "Nopi", "stops": [{}]}, {"place": "Nopi", "stops": [{}, {}]}, False),
        ({"place": "Nopi", "stops": [1, 2]}, {"place": "Nopi", "stops": [2, 1]}, False),
    ],
)
def test_exact_compares_arguments_by_value(given_: dict[str, Any], gold: dict[str, Any], right: bool) -> None:
    assert exact([Call("book", given_)], [Call("book", gold)], TOOLS) is right
    assert exact([Call("book", gold)], [Call("book", given_)], TOOLS) is right


def test_exact_compares_calls_as_a_multiset() -> None:
    a, b = Call("play", {"song": "a"}), Call("play", {"song": "b"})
    assert exact([a, b], [b, a], TOOLS)
    assert not exact([a], [a, a], TOOLS)
    assert not exact([a, a, b], [a, b, b], TOOLS)
    assert not exact([], [a], TOOLS)


def test_the_order_of_missing_arguments_does_not_count() -> None:
    gold = Call.ask("book", ["place", "people"])
    assert exact([Call.ask("book", ["people", "place"])], [gold], TOOLS)
    assert not exact([Call.ask("book", ["place"])], [gold], TOOLS)
    assert not exact([Call.ask("play", ["place", "people"])], [gold], TOOLS)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text("aB ", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
CALLS = st.lists(
    st.builds(
        Call,
        st.sampled_from(["book", "play", "other"]),
        st.dictionaries(st.sampled_from(["place", "people", "price", "when", "stops"]), VALUES),
    ),
    min_size=1,
    max_size=4,
)


@given(CALLS, st.randoms(use_true_random=False))
def test_gold_is_exact_in_any_order(calls: list[Call], rng: random.Random) -> None:
    mixed = [Call(call.name, dict(rng.sample(list(call.arguments.items()), len(call.arguments)))) for call in calls]
    rng.shuffle(mixed)
    found = score(case(*calls), Answer(tuple(mixed), "called"))
    assert found.exact and found.tool and not found.malformed


@given(CALLS, CALLS)
def test_exact_is_symmetric_and_implies_the_tools(one: list[Call], two: list[Call]) -> None:
    assert exact(one, two, TOOLS) == exact(two, one, TOOLS)
    found = score(case(*one), Answer(tuple(two), "called"))
    assert found.tool or not found.exact


@given(CALLS)
def test_one_call_more_is_never_exact(calls: list[Call]) -> None:
    assert not exact([*calls, calls[0]], calls, TOOLS)


def test_failures_are_told_apart() -> None:
    gold = case(Call("play", {"song": "a"}))
    broken = InvalidOutputError("the output does not parse: x", text='{"name":')
    invalid = InvalidOutputError("the output does not fit the tools", text='{"name":"play","arguments":{"n":1}}')
    cut = TruncatedError("cut off", text='{"name":"play","argum')
    long = PromptTooLongError("the prompt has 9 tokens")
    for error, malformed, truncated in (
        (broken, True, False),
        (invalid, False, False),
        (cut, True, True),
        (long, False, False),
    ):
        found = score(gold, Answer.failed(error), latency_ms=5.0, parse=COMPACT.parse)
        assert (found.malformed, found.truncated) == (malformed, truncated)
        assert not (found.exact or found.tool or found.valid)
        assert found.status == "error" and found.latency_ms == 5.0 and found.error


def test_a_malformed_output_is_no_abstention() -> None:
    found = score(case(Call.no_tool()), Answer.failed(InvalidOutputError("x", text="")), parse=COMPACT.parse)
    assert found.kind == "no_tool" and not found.exact and found.malformed


def test_valid_is_checked_against_the_schema() -> None:
    gold = case(Call("play", {"song": "a"}))
    assert score(gold, Answer.of([Call("play", {"song": "b"})])).valid
    assert not score(gold, Answer.of([Call("play", {"song": 1})])).valid
    assert not score(gold, Answer.of([Call("nothing")])).valid


def test_abstention_is_counted_apart() -> None:
    right = Call("play", {"song": "a"})
    refused, asked = Call.no_tool(), Call.ask("book", ["place"])
    answered = [
        (right, right),
        (right, refused),
        (right, asked),
        (refused, refused),
        (refused, right),
        (asked, asked),
        (asked, refused),
        (asked, Call.ask("book", ["place"])),
    ]
    found = aggregate([score(case(gold), Answer.of([out])) for gold, out in answered])
    assert found["cases"] == 8 and found["exact"] == 0.5
    assert (found["no_tool_cases"], found["no_tool_right"]) == (2, 0.5)
    assert found["no_tool_wrong"] == pytest.approx(2 / 6)
    assert (found["ask_cases"], found["ask_right"]) == (3, pytest.approx(2 / 3))
    assert found["ask_wrong"] == pytest.approx(1 / 5)


def test_aggregates_keep_failures_in_every_denominator() -> None:
    gold = case(Call("play", {"song": "a"}))
    good = Answer.of([Call("play", {"song": "a"})], usage=Usage(10, 5, 3, 0.0))
    bad = Answer.failed(TruncatedError("cut", text="{"), usage=Usage(30, 5, 5, 0.0))
    found = aggregate([score(gold, good, latency_ms=1.0), score(gold, bad, latency_ms=3.0)], cached_ms=[4.0, 4.0, 10.0])
    assert (found["exact"], found["valid"], found["malformed"], found["errors"], found["truncated"]) == (0.5,) * 5
    assert (found["prompt_tokens"], found["forward_passes"]) == (20, 4)
    assert found["latency_ms"] == pytest.approx({"p50": 2.0, "p95": 2.9, "mean": 2.0})
    assert found["latency_ms_cached"]["p50"] == 4.0
    assert found["no_tool_right"] is None and found["ask_right"] is None
    assert aggregate([])["exact"] == 0 and percentiles([]) is None


@given(st.integers(0, 50), st.integers(0, 50))
def test_wilson_holds_its_share(right: int, wrong: int) -> None:
    low, high = wilson(right, right + wrong)
    share = right / (right + wrong) if right + wrong else 0.5
    assert 0 <= low <= share <= high <= 1
    assert low < high
    mirrored = wilson(wrong, right + wrong)
    assert (1 - mirrored[1], 1 - mirrored[0]) == pytest.approx((low, high))


def test_wilson_is_the_textbook_interval() -> None:
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(50, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)


def test_the_paired_bootstrap_is_seeded_and_holds_its_mean() -> None:
    rng = random.Random(0)
    one = [rng.random() < 0.7 for _ in range(200)]
    two = [rng.random() < 0.4 for _ in range(200)]
    found = paired_difference(one, two, seed=3)
    assert found == paired_difference(one, two, seed=3)
    assert found["low"] < found["difference"] < found["high"]
    assert found["low"] > 0.15 and found["high"] < 0.5
    turned = paired_difference(two, one, seed=3)
    assert turned["difference"] == pytest.approx(-found["difference"])
    assert turned["low"] == pytest.approx(-found["high"])
    with pytest.raises(ValueError, match="paired"):
        paired_difference([1], [1, 2])

"""Span rules: what is learnt, and that spans are word-aligned parts of the request."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schematune.schemas.call import Call
from schematune.schemas.errors import ContractError
from schematune.schemas.pair import Pair
from schematune.schemas.spans import SpanRules, can_copy, is_span, spans_of
from schematune.schemas.tool import ToolSet

WORDS = st.text(alphabet="abé1_ .,!?'\"\\\n\t-", max_size=40)
SONG = ToolSet(
    {
        "name": "play",
        "parameters": {
            "properties": {
                "song": {"type": "string", "description": "what to play"},
                "mood": {"enum": ["calm", "wild"]},
                "day": {"type": "string", "format": "date"},
                "volume": {"type": "integer"},
            }
        },
    }
)


def _pairs(values: list[str], request: str = "please play {} now") -> list[Pair]:
    return [Pair.of(request.format(value), [Call("play", {"song": value})]) for value in values]


@given(WORDS)
def test_every_span_is_a_span(request: str) -> None:
    spans = spans_of(request, 5)
    assert len(spans) == len(set(spans))
    assert all(is_span(span, request) for span in spans)
    assert all(span == span.strip() and "\n" not in span for span in spans)


@given(WORDS, st.data())
def test_whole_words_between_boundaries_are_spans(request: str, data: st.DataObject) -> None:
    words = [word for word in request.split() if word]
    if words:
        assert is_span(data.draw(st.sampled_from(words)), request)


def test_part_of_a_word_is_no_span() -> None:
    assert not is_span("ork", "new york")
    assert not is_span("", "new york")
    assert not is_span("rome", "new york")
    assert is_span("york", "yorkshire, york")  # a later place counts


def test_longest_bounds_the_spans() -> None:
    assert spans_of("a b c", 1) == ["a", "b", "c"]
    assert "a b c" in spans_of("a b c", 3)
    assert spans_of("", 3) == []


def test_learns_what_is_always_copied() -> None:
    rules = SpanRules.learn(_pairs(["one", "two three", "four", "five", "six"]), SONG)
    assert rules.to_dict() == {"play": ["song"]}
    assert rules["play"] == ("song",) and list(rules) == ["play"] and len(rules) == 1


def test_does_not_learn_from_too_few_or_made_up_values() -> None:
    assert not SpanRules.learn(_pairs(["one", "two", "three", "four"]), SONG)
    made_up = [*_pairs(["one"] * 9), Pair.of("something else", [Call("play", {"song": "Moon River"})])]
    assert not SpanRules.learn(made_up, SONG)


def test_one_in_a_hundred_may_differ() -> None:
    pairs = [*_pairs(["one"] * 99), Pair.of("something else", [Call("play", {"song": "Moon River"})])]
    assert SpanRules.learn(pairs, SONG).to_dict() == {"play": ["song"]}


def test_only_plain_strings_and_what_is_said_have_rules() -> None:
    pairs = [Pair.of("calm 2026-01-01", [Call("play", {"mood": "calm", "day": "2026-01-01"})])] * 9
    assert SpanRules.learn(pairs, SONG).to_dict() == {"play": ["day"]}
    wrong = [Pair.of("calm 2026-01-01", [Call("play", {"day": "2026-01-02"})])]
    assert not SpanRules.learn([*pairs, *wrong], SONG)
    unsaid = [Pair.of("calm", [Call("play", {"day": "2026-01-02"})])]  # no date is said: the rule has no say
    assert SpanRules.learn([*pairs, *unsaid], SONG)
    assert not can_copy({"type": ["string", "null"]}) and not can_copy(True) and not can_copy({"type": "integer"})


def test_rules_go_through_json() -> None:
    rules = SpanRules({"play": ["song"], "stop": []})
    assert SpanRules.from_dict(rules.to_dict()) == rules
    broken: list[Any] = [None, [], {"play": "song"}, {"play": [1]}]
    for wrong in broken:
        with pytest.raises(ContractError, match="span rules"):
            SpanRules.from_dict(wrong)

"""Span rules: what is learnt, and that spans are word-aligned parts of the request."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schematune.schemas.call import Call
from schematune.schemas.errors import ContractError
from schematune.schemas.pair import Pair
from schematune.schemas.spans import SpanRules, can_copy, clash, is_span, spans_of
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
    assert dict(rules) == {"play": ("song",)}
    assert rules["play"] == ("song",) and list(rules) == ["play"] and len(rules) == 1


def test_does_not_learn_from_too_few_or_made_up_values() -> None:
    assert not SpanRules.learn(_pairs(["one", "two", "three", "four"]), SONG)
    made_up = [*_pairs(["one"] * 9), Pair.of("something else", [Call("play", {"song": "Moon River"})])]
    assert not SpanRules.learn(made_up, SONG)


def test_one_in_a_hundred_may_differ() -> None:
    pairs = [*_pairs(["one"] * 99), Pair.of("something else", [Call("play", {"song": "Moon River"})])]
    assert dict(SpanRules.learn(pairs, SONG)) == {"play": ("song",)}


def test_only_plain_strings_and_what_is_said_have_rules() -> None:
    pairs = [Pair.of("calm 2026-01-01", [Call("play", {"mood": "calm", "day": "2026-01-01"})])] * 9
    assert dict(SpanRules.learn(pairs, SONG)) == {"play": ("day",)}
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


PLACES = ToolSet({"name": "go", "parameters": {"properties": {x: {"type": "string"} for x in ("start", "end", "via")}}})


def test_tools_whose_values_share_no_words_stand_apart() -> None:
    apart = [
        Pair.of(f"from {a} to {b}", [Call("go", {"start": a, "end": b})])
        for a, b in zip("abcdef", "fabcde", strict=True)
    ]
    rules = SpanRules.learn(apart, PLACES)
    assert rules.apart == {"go"} and SpanRules.from_dict(rules.to_dict()).apart == {"go"}
    assert SpanRules.from_dict(rules.to_dict()) == rules != SpanRules(dict(rules)) and rules == dict(rules)
    shared = [
        Pair.of(f"from {a} {b}", [Call("go", {"start": f"{a} {b}", "end": b})])
        for a, b in zip("abcdef", "uvwxyz", strict=True)
    ]
    assert SpanRules.learn([*apart, *shared], PLACES).apart == set()
    alone = [Pair.of(f"to {a}", [Call("go", {"end": a})]) for a in "abcdef"]
    assert SpanRules.learn(alone, PLACES).apart == set()  # nothing was seen that could clash


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=8), st.data())
def test_values_cut_out_of_the_request_side_by_side_never_clash(words: list[str], data: st.DataObject) -> None:
    rules = SpanRules({"go": ["start", "end", "via"]}, apart=["go"])
    cuts = sorted(data.draw(st.sets(st.integers(0, len(words)), min_size=2, max_size=4)))
    parts = [" ".join(words[a:b]) for a, b in zip(cuts, cuts[1:], strict=False)]
    arguments = dict(zip(("start", "end", "via"), parts, strict=False))
    request = " ".join(words)
    found = clash(rules, PLACES, Call("go", arguments), request)
    if found:  # values that stand elsewhere too may have taken each other's place
        assert len(set(words)) < len(words)
    twice = clash(rules, PLACES, Call("go", {"start": request, "end": words[0]}), request)
    assert twice and (twice[0].path, twice[1].path) == ("start", "end")
    assert (
        clash(SpanRules({"go": ["start", "end"]}), PLACES, Call("go", {"start": request, "end": words[0]}), request)
        is None
    )

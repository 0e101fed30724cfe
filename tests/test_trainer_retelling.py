"""Requests told as people type them keep their words, each in its place."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from schematune.schemas.call import Call
from schematune.schemas.pair import Pair
from schematune.schemas.spans import units
from schematune.schemas.tool import ToolSet
from schematune.trainer.reader import row_of, unfit
from schematune.trainer.retelling import retold

TOOLS = ToolSet(
    [
        {"name": "send", "parameters": {"properties": {"to": {"type": "string"}, "text": {"type": "string"}}}},
        {"name": "stop", "description": "Stop it."},
    ]
)
OTHERS = ToolSet([{"name": "mow_lawn"}, {"name": "bake_bread"}])


@given(st.text(max_size=60), st.integers(0, 2**32))
@settings(max_examples=300, deadline=None)
def test_words_change_in_their_letters_case_only(text: str, seed: int) -> None:
    told = retold(text, random.Random(seed))
    assert told.text[: len(text)].casefold() == text.casefold()
    assert len(told.text) == len(text) + told.added and told.added in (0, 1)
    assert units(told.text)[: len(units(text))] == units(text)


def test_sentences_begin_large_and_end() -> None:
    told = {retold("where is it? i am here\nsend it to bo", random.Random(seed)).text for seed in range(40)}
    assert told == {
        "where is it? i am here\nsend it to bo",
        "Where is it? I am here\nSend it to bo",
        "Where is it? I am here\nSend it to bo.",
    }


def test_a_row_is_right_however_it_is_told() -> None:
    """The states are those of the values' words, in the order in which the tool lists its arguments then."""
    pair = Pair.of("tell bo: come home", [Call("send", {"to": "bo", "text": "come home"})])
    seen = set()
    for seed in range(40):
        row = row_of(pair, TOOLS, random.Random(seed))
        assert row is not None and row.right == 0 and len(row.words) == len(row.states)
        seen.add(tuple(row.states))
    assert {states[:5] for states in seen} == {(0, 1, 0, 3, 4)} and {len(states) for states in seen} == {5, 6}


def test_no_tool_of_another_matter_is_right() -> None:
    pair, rng = Pair.of("tell bo", [Call("send", {"to": "bo"})]), random.Random(0)
    row = unfit(pair, TOOLS, OTHERS, rng)
    assert row is not None and row.right == -1 and not row.states and 1 <= len(row.tools) <= 2
    assert unfit(pair, TOOLS, TOOLS, rng) is None  # nothing else is there
    assert unfit(Pair.of("hi", [Call.no_tool()]), TOOLS, OTHERS, rng) is None

"""Outputs ended near the token limit: valid, within it, and as short as the schema allows."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_decoding_loop import prompts
from tiny import FAMILIES

from schematune.decoding.base import Base
from schematune.decoding.closing import Closer, window
from schematune.decoding.grammar import Grammar
from schematune.decoding.loop import decode
from schematune.schemas.tool import ToolSet

Loaded = Callable[[str], Base]

PARTS = st.recursive(
    st.sampled_from(
        [
            {"type": "string"},
            {"type": "string", "minLength": 3},
            {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{3}$"},
            {"type": "integer"},
            {"type": "number", "minimum": 2},
            {"type": "boolean"},
            {"enum": ["one", "two"]},
            {"type": ["string", "null"]},
            {},
        ]
    ),
    lambda inner: (
        st.builds(lambda part, low: {"type": "array", "items": part, "minItems": low}, inner, st.integers(0, 2))
        | st.builds(
            lambda members, needed: {
                "type": "object",
                "properties": members,
                "required": [name for name in members if name in needed],
            },
            st.dictionaries(st.sampled_from(["a", "b", "long_name"]), inner, max_size=3),
            st.sets(st.sampled_from(["a", "b", "long_name"])),
        )
    ),
    max_leaves=4,
)


def tools_of(part: Any) -> ToolSet:
    return ToolSet({"name": "note", "parameters": {"properties": {"what": part}, "required": ["what"]}})


@settings(max_examples=40, deadline=None)
@given(part=PARTS, limit=st.integers(20, 90))
def test_what_can_be_ended_in_time_is_valid(tiny_loaded: Loaded, part: Any, limit: int) -> None:
    base, tools = tiny_loaded("builtin"), tools_of(part)
    grammar = Grammar.of(tools, base, choice="note")
    closer = Closer.of(base.tokenizer, grammar.vocabulary)
    least = closer(grammar.matcher(), [], limit)
    [decoded] = decode(
        base.model, base.tokenizer, prompts(base, ["hm"]), [grammar], stop=base.stop, max_new_tokens=limit
    )
    assert len(decoded.tokens) <= limit and decoded.closed <= len(decoded.tokens)
    if least is not None and len(least) <= window(limit):
        assert decoded.finished
    if decoded.finished:
        assert not [line for call in base.renderer.parse(decoded.text) for line in tools.violations(call)]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_ended(tiny_loaded: Loaded, family: str) -> None:
    base, tools = tiny_loaded(family), tools_of({"type": "string"})
    grammars: list[Grammar | None] = [Grammar.of(tools, base, choice="note")] * 3
    asked = prompts(base, ["hm", "note this down for me, please", "a b c"])
    for decoded in decode(base.model, base.tokenizer, asked, grammars, stop=base.stop, max_new_tokens=[48, 64, 300]):
        if decoded.finished:
            assert not [line for call in base.renderer.parse(decoded.text) for line in tools.violations(call)]
        else:
            assert len(decoded.tokens) < 64  # too little for this family's form of a call
    assert decoded.finished


def test_an_end_is_short_and_leaves_the_matcher(tiny_loaded: Loaded) -> None:
    base = tiny_loaded("builtin")
    tools = tools_of(
        {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "array"}}, "required": ["a"]}
    )
    grammar = Grammar.of(tools, base, choice="note")
    matcher = grammar.matcher()
    tokens = [
        int(t)
        for t in base.tokenizer.encode('{"name":"note","arguments":{"what":{"a":"so }] far', add_special_tokens=False)
    ]
    assert matcher.consume_tokens(tokens)
    closer = Closer.of(base.tokenizer, grammar.vocabulary)
    end = closer(matcher, tokens, 50)
    assert end is not None and base.tokenizer.decode(end) == '"}}}'
    assert closer(matcher, tokens, 50) == end and closer(matcher, tokens, len(end) - 1) is None
    assert json.loads(str(base.tokenizer.decode([*tokens, *end])))["arguments"] == {"what": {"a": "so }] far"}}

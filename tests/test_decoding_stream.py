"""Streams: what goes out stays, and all of it together is the answer."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from schematune.decoding.base import Base
from schematune.decoding.caller import Caller
from schematune.decoding.rows import Sampling
from schematune.schemas.errors import DecodeError, SchemaError
from schematune.schemas.tool import ToolSet

Loaded = Callable[[str], Base]

FORM: Any = {
    "name": "form",
    "parameters": {
        "properties": {
            "day": {"type": "string", "format": "date"},
            "tags": {"type": "array", "items": {"enum": ["a", "b", "c"]}, "uniqueItems": True, "minItems": 2},
            "note": {"type": "string", "maxLength": 12},
            "more": {"type": "object", "additionalProperties": {"type": "boolean"}, "maxProperties": 2},
        },
        "required": ["day", "tags", "note", "more"],
    },
}
TOGETHER: Any = {
    "name": "together",
    "parameters": {**FORM["parameters"], "if": {"properties": {"note": {"const": ""}}}, "then": {"required": ["x"]}},
}


@pytest.mark.parametrize("family", ["builtin", "gemma3", "qwen3"])
@pytest.mark.parametrize("constrained", [True, False])
def test_all_pieces_together_are_the_answer(tiny_loaded: Loaded, family: str, constrained: bool) -> None:
    for seed in range(3):
        options: Any = {"tools": ToolSet([FORM], parallel=False), "base": tiny_loaded(family), "max_new_tokens": 120}
        options |= {"sampling": Sampling(seed=seed), "constrained": constrained}
        [whole] = Caller(**options).batch(["hm"], choice="form")
        pieces = list(Caller(**options).stream("hm", choice="form"))
        last = pieces[-1].answer
        assert last is not None and all(piece.answer is None for piece in pieces[:-1])
        if not constrained:  # behind the checks, less may be taken back than without a stream
            assert last.text == whole.text and last.status == whole.status
        text = "".join(piece.text for piece in pieces)
        assert text == last.text or last.error is not None
        fields = [field for piece in pieces for field in piece.fields]
        if last.status == "called":
            call = last.calls[0].arguments
            assert [(path[0], value) for _, path, value in fields if len(path) == 1] == list(call.items())
            assert fields[-1] == (0, (), dict(call))


def test_what_may_still_be_taken_back_waits(tiny_loaded: Loaded) -> None:
    options: Any = {"base": tiny_loaded("builtin"), "max_new_tokens": 200}
    sampled = [Sampling(seed=seed) for seed in range(4)]
    early = [len(list(Caller(tools=FORM, sampling=one, **options).stream("hm", choice="form"))) for one in sampled]
    together = ToolSet([TOGETHER], parallel=False)
    late = [list(Caller(tools=together, sampling=one, **options).stream("hm", choice="together")) for one in sampled]
    assert max(early) > 2
    for pieces in late:  # `then` may want something else of all members: none is sure before the last
        assert all('"day"' not in piece.text for piece in pieces[:-1])


def test_closing_a_stream_stops_the_decoding(tiny_loaded: Loaded) -> None:
    long = {"name": "f", "parameters": {"properties": {"n": {"type": "string", "minLength": 3000}}, "required": ["n"]}}
    caller = Caller(tools=long, base=tiny_loaded("builtin"), max_new_tokens=3000)
    stream = caller.stream("hm", choice="f")
    first = next(stream)
    assert first.text and first.answer is None
    stream.close()
    assert list(stream) == []


def test_a_stream_ends_with_the_error_of_its_answer(tiny_loaded: Loaded) -> None:
    caller = Caller(tools=FORM, base=tiny_loaded("builtin"), max_new_tokens=5)
    [*_, last] = caller.stream("hm", choice="form")
    assert last.answer is not None and isinstance(last.answer.error, DecodeError)
    with pytest.raises(SchemaError):
        caller.stream("hm", choice="nothing")
    assert json.dumps([piece.text for piece in caller.stream("hm", choice="none")])

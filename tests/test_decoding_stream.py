"""Streams: what goes out stays, and all of it together is the answer."""

import asyncio
import json
import threading
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


def test_an_async_stream_gives_the_same_and_leaves_the_loop_free(tiny_loaded: Loaded) -> None:
    caller = Caller(tools=FORM, base=tiny_loaded("builtin"), max_new_tokens=200, sampling=Sampling(seed=1))
    plain = list(caller.stream("hm", choice="form"))

    async def both() -> tuple[str, Any, int]:
        turns, done = 0, asyncio.Event()

        async def count() -> None:
            nonlocal turns
            while not done.is_set():
                turns += 1
                await asyncio.sleep(0.001)

        counting = asyncio.create_task(count())
        pieces = [piece async for piece in caller.astream("hm", choice="form")]
        done.set()
        await counting
        return "".join(piece.text for piece in pieces), pieces[-1].answer, turns

    text, answer, turns = asyncio.run(both())
    assert text == "".join(piece.text for piece in plain) and answer.calls == plain[-1].answer.calls  # type: ignore[union-attr]
    assert turns > 3


def test_cancelling_an_async_stream_stops_the_decoding(tiny_loaded: Loaded) -> None:
    long = {"name": "f", "parameters": {"properties": {"n": {"type": "string", "minLength": 9000}}, "minProperties": 1}}
    caller = Caller(tools=long, base=tiny_loaded("builtin"), max_new_tokens=9000)

    async def read() -> None:
        async for _ in caller.astream("hm", choice="f"):
            pass

    async def cancel() -> int:
        before, task = threading.active_count(), asyncio.create_task(read())
        await asyncio.sleep(0.3)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return threading.active_count() - before

    assert asyncio.run(cancel()) <= 1  # a worker of the event loop's own may stay


def test_an_async_stream_raises_what_is_wrong_with_the_request(tiny_loaded: Loaded) -> None:
    caller = Caller(tools=FORM, base=tiny_loaded("builtin"))
    with pytest.raises(SchemaError, match="nobody"):
        caller.astream("hm", permit=["nobody"])

"""The tool-call loop of an agent: the calls of an answer run, their results fed back, until nothing more is called.

Messages go in and come out in OpenAI's form, so that a conversation can go on anywhere. Whatever is called as a `Caller` is
can be the model: a `Caller`, a `RemoteCaller`, a `FakeCaller`.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from schematune.decoding.asked import Request, messages_of
from schematune.schemas.call import Answer, Call
from schematune.schemas.errors import DecodeError
from schematune.schemas.jsontext import compact
from schematune.schemas.pair import Message

__all__ = ["Calls", "ToolRun", "arun_tools", "run_tools"]


Calls = Callable[..., Answer]
"""What answers requests with calls: a `Caller`, or anything that is called as one."""


@dataclass(frozen=True)
class ToolRun:
    """A conversation: all `messages` with those that were given, the `answers` of the model, what the calls returned.

    `finished` is false where the limit of turns ended it.
    """

    messages: list[Message]
    answers: list[Answer] = field(default_factory=list)
    results: list[Any] = field(default_factory=list)
    finished: bool = False

    @property
    def answer(self) -> Answer:
        """The last answer."""
        return self.answers[-1]


def run_tools(
    caller: Calls,
    request: Request,
    *,
    turns: int = 8,
    confirm: Callable[[Call], bool] | None = None,
    tell_errors: bool = True,
    context: Mapping[str, str] | None = None,
    **options: Any,
) -> ToolRun:
    """Have `caller` answer `request`, run what it calls, feed the results back, and so on for at most `turns` turns.

    `confirm` is asked before each call; what it refuses is not run, and the model is told. What a function raises is told
    to the model, or raised where `tell_errors` is false. `context` and `options` go along with every request. Ends where
    the model calls nothing more or asks for what is missing. Raises what `caller` raises, and `DecodeError` where a tool
    has no function or no turn is allowed.

    >>> from schematune.decoding.fake import FakeCaller
    >>> def add(a: int, b: int) -> int:
    ...     return a + b
    >>> run = run_tools(FakeCaller({"two and two": Call("add", {"a": 2, "b": 2})}, tools=[add]), "two and two")
    >>> run.results, [message["role"] for message in run.messages], run.finished
    ([4], ['user', 'assistant', 'tool'], True)
    """
    if turns < 1:
        raise DecodeError(f"{turns} turns", where="turns", fix="allow one at least")
    run = ToolRun(list(messages_of(request)))
    for _ in range(turns):
        answer = caller(run.messages, context=context, **options)
        run.answers.append(answer)
        if answer.status == "no_tool" and len(run.answers) > 1:
            return replace(run, finished=True)  # nothing more to call
        message = answer.message()
        run.messages.append(message)
        if answer.status != "called":
            return replace(run, finished=True)
        if any(call.name not in answer.functions or answer.unbound.get(call.name) for call in answer.calls):
            answer.run()  # raises what is lacking, before anything has run
        for call, sent in zip(answer.calls, message["tool_calls"], strict=True):
            content = _result(answer, call, confirm, tell_errors, run.results)
            run.messages.append({"role": "tool", "tool_call_id": sent["id"], "name": call.name, "content": content})
    return run


async def arun_tools(caller: Calls, request: Request, **options: Any) -> ToolRun:
    """Do the same in a thread, see `run_tools`."""
    return await asyncio.to_thread(run_tools, caller, request, **options)


def _result(
    answer: Answer, call: Call, confirm: Callable[[Call], bool] | None, tell_errors: bool, results: list[Any]
) -> str:
    """Run one call, keep what it returns, and say it as text."""
    if confirm is not None and not confirm(call):
        results.append(None)
        return "Not run: it was not confirmed."
    try:
        [result] = replace(answer, calls=(call,)).run()
    except Exception as error:
        if not tell_errors:
            raise
        results.append(error)
        return f"Error: {type(error).__name__}: {error}"
    results.append(result)
    if isinstance(result, str):
        return result
    try:
        return compact(result)
    except (TypeError, ValueError):
        return str(result)

"""A fake model: scripted calls in the place of a model's, so that agents can be tested without weights.

`FakeCaller` is called as a `Caller` is and gives the same answers: its calls are validated against the tools, those that
do not fit are errors, and the functions behind them run. It loads no model library.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from schematune.decoding.asked import Request, answered, bound_values, checked, chosen_tools, messages_of, rows_of
from schematune.decoding.calling import Calling
from schematune.schemas.call import Answer, Call, Usage
from schematune.schemas.errors import DecodeError, SchematuneError
from schematune.schemas.form import COMPACT
from schematune.schemas.jsontext import JSON
from schematune.schemas.pair import Message
from schematune.schemas.tool import ToolSet

__all__ = ["FakeCaller", "Said"]

Said = Call | Sequence[Call] | Sequence[Sequence[Call]] | SchematuneError
"""What is said to one request: calls (none: no tool serves it), one list of calls for each turn, or an error."""

Script = Mapping[str, Said] | Callable[[list[Message]], Said]


class FakeCaller(Calling):
    """Answers requests with the calls of a script.

    `script` gives for the words of the user what is said to them, or is a function of the messages. Once the results of
    its calls stand in the messages, a request's next list of calls comes, or no more calls where there is none. `seen`
    keeps the messages of each request.

    >>> def add(a: int, b: int) -> int:
    ...     return a + b
    >>> caller = FakeCaller({"two and two": Call("add", {"a": 2, "b": 2})}, tools=[add])
    >>> caller("two and two").run(), caller.batch(["three"])[0].status
    ([4], 'error')
    """

    def __init__(self, script: Script, *, tools: Any) -> None:
        """See the class; `tools` are what `ToolSet` takes."""
        self.script = script
        self.tools = tools if isinstance(tools, ToolSet) else ToolSet(tools)
        self.seen: list[list[Message]] = []

    def batch(
        self,
        requests: Sequence[Request],
        *,
        contexts: Sequence[Mapping[str, str] | None] | None = None,
        permits: Sequence[Sequence[str] | None] | None = None,
        bound: Mapping[str, JSON] | None = None,
        choice: str = "auto",
        parallel: bool = True,
        size: int = 16,
    ) -> list[Answer]:
        """Answer many requests in their order; a failed one is an answer that carries its error."""
        values = bound_values(self.tools, bound or {})
        answers = []
        for request, _, permit in rows_of(requests, contexts, permits):
            try:
                tools = chosen_tools(self.tools, permit, choice, parallel=parallel)
                calls = self._calls(messages_of(request))
                text = COMPACT.write(calls)
                fitting = checked(calls, tools, choice, text=text, fix="mend the script")
            except SchematuneError as error:
                answers.append(Answer.failed(error, text=getattr(error, "text", "")))
                continue
            answers.append(answered(fitting, self.tools, values, text=text, usage=Usage()))
        return answers

    def _calls(self, messages: list[Message]) -> list[Call]:
        """Return what the script says to messages; raises what it says to raise, and `DecodeError` where it says nothing."""
        self.seen.append(list(messages))
        said = self._said(messages)
        if isinstance(said, SchematuneError):
            raise said
        turns: list[Sequence[Call]] = []
        if isinstance(said, Call):
            turns = [[said]]
        elif all(isinstance(one, Call) for one in said):
            turns = [[one for one in said if isinstance(one, Call)]]
        else:
            turns = [[one] if isinstance(one, Call) else one for one in said]
        turn = _turn(messages) if not callable(self.script) else 0
        calls = list(turns[turn]) if turn < len(turns) else []
        return calls or [Call.no_tool()]

    def _said(self, messages: list[Message]) -> Said:
        if callable(self.script):
            return self.script(messages)
        words = [str(message.get("content")) for message in messages if message.get("role") == "user"][-1]
        if words not in self.script:
            raise DecodeError(
                f"the script says nothing to {words[:80]!r}", where="FakeCaller", fix="add it to the script"
            )
        return self.script[words]


def _turn(messages: Sequence[Message]) -> int:
    """Count the answers since the user's last words."""
    last = max(place for place, message in enumerate(messages) if message.get("role") == "user")
    return sum(message.get("role") == "assistant" for message in messages[last:])

"""A call of a tool, and the answer to a request.

Two calls are reserved, because an empty answer would blur them: `no_tool` says that no tool at hand
serves the request, `ask` names the required arguments that the request leaves out.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from schematune.schemas.errors import DecodeError, SchematuneError
from schematune.schemas.jsontext import JSON, compact, digest

__all__ = ["ASK", "CHOICES", "NO_TOOL", "RESERVED", "Answer", "Call", "Score", "Status", "Usage"]

NO_TOOL = "no_tool"
ASK = "ask"
RESERVED = (NO_TOOL, ASK)

CHOICES = ("auto", "required", "none")
"""What may come out: any call; a tool or a question, not `no_tool`; only `no_tool`. Else a tool's name."""

Status = Literal["called", "ask", "no_tool", "error"]


@dataclass(frozen=True)
class Call:
    """One call: the tool's name and its arguments.

    >>> Call("add", {"a": 1}).json()
    '{"name":"add","arguments":{"a":1}}'
    """

    name: str
    arguments: Mapping[str, JSON] = field(default_factory=dict)

    def json(self) -> str:
        """Write the call as compact JSON."""
        return compact({"name": self.name, "arguments": dict(self.arguments)})

    @property
    def about(self) -> str:
        """The name of the tool that is called, or asked about.

        >>> Call("add", {"a": 1}).about, Call.ask("add", ["b"]).about
        ('add', 'add')
        """
        return str(self.arguments.get("tool", "")) if self.name == ASK else self.name

    @classmethod
    def no_tool(cls) -> "Call":
        """Return the reserved call that says: nothing here serves the request."""
        return cls(NO_TOOL, {})

    @classmethod
    def ask(cls, tool: str, missing: Sequence[str]) -> "Call":
        """Return the reserved call that asks for the `missing` required arguments of `tool`."""
        return cls(ASK, {"tool": tool, "missing": list(missing)})

    @classmethod
    def from_dict(cls, value: JSON) -> "Call":
        """Read `{"name", "arguments"}`, or OpenAI's `{"function": {"name", "arguments"}}` (arguments as text).

        Raises `ValueError` where the shape is another one.

        >>> Call.from_dict({"function": {"name": "add", "arguments": '{"a": 1}'}})
        Call(name='add', arguments={'a': 1})
        """
        if isinstance(value, Mapping) and isinstance(value.get("function"), Mapping):
            value = value["function"]
        if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
            raise ValueError('a call is an object with "name" and "arguments"')
        arguments = value.get("arguments", {})
        if isinstance(arguments, str):
            arguments = json.loads(arguments or "{}")
        if not isinstance(arguments, Mapping):
            raise ValueError(f'the "arguments" of {value["name"]!r} are no object')
        return cls(value["name"], dict(arguments))


@dataclass(frozen=True)
class Usage:
    """What one answer cost: tokens, forward passes of the model, wall time in milliseconds.

    `closed_tokens` are those of the completion that no model chose: the token limit was near, and the output was ended
    as shortly as the schema allows. It is valid; whether it is right is another question.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    forward_passes: int = 0
    latency_ms: float = 0.0
    closed_tokens: int = 0


@dataclass(frozen=True)
class Score:
    """How sure the model was of an answer, or of one argument in it.

    `logprob` is the model's own log-probability of the tokens that it chose, summed; `allowed` the log of the
    probability that the mask left at these choices, summed: 0 where it barred nothing that the model would have written.
    `tokens` counts the choices, `given` the tokens that nobody chose: forced by the grammar, or written to end in time.
    They have probability one under the grammar, and none of their own.

    >>> round(Score(logprob=-1.2, allowed=-0.7, tokens=5).probability, 2)
    0.61
    """

    logprob: float = 0.0
    allowed: float = 0.0
    tokens: int = 0
    given: int = 0

    @property
    def probability(self) -> float:
        """The probability of these tokens among all that the grammar allows."""
        return min(1.0, math.exp(self.logprob - self.allowed))


@dataclass(frozen=True)
class Answer:
    """What came of one request: valid calls, or why not.

    `status` is `"called"`, `"ask"` (then `tool` and `missing` are set), `"no_tool"`, or `"error"`
    (then `error` is set and `calls` is empty). `text` is the completion as decoded. By tool, `bound` holds
    the arguments that the program gave, `unbound` the names of those that it did not give. `score` tells how sure the
    model was of the whole; `scores`, a mapping for each of `calls`, of its arguments by name. Where a model elsewhere answered
    there is none, and none by argument where the output was free.

    >>> Answer.of([Call.ask("book", ["date"])]).missing
    ('date',)
    """

    calls: tuple[Call, ...]
    status: Status
    tool: str | None = None
    missing: tuple[str, ...] = ()
    text: str = ""
    usage: Usage = Usage()
    error: SchematuneError | None = None
    score: Score | None = field(default=None, compare=False)
    scores: tuple[Mapping[str, Score], ...] = field(default=(), repr=False, compare=False)
    functions: Mapping[str, Callable[..., Any]] = field(default_factory=dict, repr=False, compare=False)
    bound: Mapping[str, JSON] = field(default_factory=dict, repr=False, compare=False)
    unbound: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, calls: Sequence[Call], **rest: Any) -> "Answer":
        """Sort decoded `calls` into an answer; the reserved ones become its status."""
        first = calls[0] if calls else Call.no_tool()
        if first.name == NO_TOOL:
            return cls((), "no_tool", **rest)
        if first.name == ASK:
            missing = tuple(first.arguments.get("missing", ()))
            return cls((), "ask", tool=first.arguments.get("tool"), missing=missing, **rest)
        return cls(tuple(calls), "called", **rest)

    @classmethod
    def failed(cls, error: SchematuneError, **rest: Any) -> "Answer":
        """Return the answer of a request that raised `error` (a row of a batch)."""
        return cls((), "error", error=error, **rest)

    def outcome(self) -> tuple[Call, ...]:
        """Return the calls with the reserved ones in their place, as pairs and scores hold them."""
        if self.status == "ask":
            return (Call.ask(self.tool or "", self.missing),)
        return (Call.no_tool(),) if self.status == "no_tool" else self.calls

    def run(self, confirm: Callable[[Call], bool] | None = None) -> list[Any]:
        """Run the Python functions behind the calls, in order, and return what they return.

        `confirm` is asked before each call; where it returns false, that call is skipped and its
        result is None. Arguments bound by the program are added here. Raises `DecodeError` where
        the answer is an error, a tool has no function, or a bound argument no value; nothing is run then.
        """
        if self.error is not None:
            raise self.error
        unbound = [call.name for call in self.calls if call.name not in self.functions]
        if unbound:
            raise DecodeError(
                f"no Python function is bound to {', '.join(unbound)}", fix="pass the functions: Caller(..., tools=[f])"
            )
        lacking = [f"{call.name}.{name}" for call in self.calls for name in self.unbound.get(call.name, ())]
        if lacking:
            raise DecodeError(f"the bound argument {lacking[0]} has no value", fix="give it: caller(..., bound={...})")
        results: list[Any] = []
        for call in self.calls:
            allowed = confirm is None or confirm(call)
            bound = self.bound.get(call.name, {})
            results.append(self.functions[call.name](**call.arguments, **bound) if allowed else None)
        return results

    def message(self) -> dict[str, JSON]:
        """Return the answer as an OpenAI assistant message with `tool_calls`.

        Each call's id is made from its content and its place, so the same answer has the same ids.
        """
        if self.status != "called":
            return {"role": "assistant", "content": self._words()}
        calls = [
            {
                "id": "call_" + digest([place, call.name, dict(call.arguments)])[:16],
                "type": "function",
                "function": {"name": call.name, "arguments": compact(dict(call.arguments))},
            }
            for place, call in enumerate(self.calls)
        ]
        return {"role": "assistant", "content": None, "tool_calls": calls}

    def _words(self) -> str:
        if self.status == "ask":
            return f"{self.tool}: please give {', '.join(self.missing)}."
        return "None of my tools serves this." if self.status == "no_tool" else f"Error: {self.error}"

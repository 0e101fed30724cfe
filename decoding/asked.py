"""One request on its way through a `Caller`: what was asked, and what may come of it as a whole."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from schematune.schemas.call import CHOICES, NO_TOOL, RESERVED, Answer, Call
from schematune.schemas.errors import DecodeError, InvalidOutputError, RenderError, SchemaError
from schematune.schemas.jsontext import JSON
from schematune.schemas.pair import Message, said_in
from schematune.schemas.tool import ToolSet

if TYPE_CHECKING:
    from schematune.decoding.bias import CallBias
    from schematune.decoding.grammar import Grammar
    from schematune.decoding.loop import Prefix

__all__ = [
    "Asked",
    "Request",
    "Row",
    "answered",
    "bound_values",
    "checked",
    "chosen_tools",
    "groups_of",
    "messages_of",
    "rows_of",
]

Request = str | Sequence[Message]
"""A request: its text, or OpenAI messages (tool results included) that end with what is to be answered."""


Row = tuple[Request, Mapping[str, str] | None, Sequence[str] | None]
"""A request of a batch, its context, and the tools that are permitted."""


@dataclass(frozen=True)
class Asked:
    """One request, ready to decode.

    `tokens` is the whole prompt, `milliseconds` what getting ready took; `adapter` the one that is to answer, of those that a
    model holds; `bias` is what the request's words say of the call.
    """

    tools: ToolSet
    choice: str
    request: str
    now: str
    tokens: list[int]
    prefix: "Prefix | None"
    limit: int
    grammar: "Grammar | None" = None
    milliseconds: float = 0.0
    adapter: str = ""
    bias: "CallBias | None" = None


def messages_of(request: Request) -> list[Message]:
    """Return a request as messages; raises `RenderError` where no user says anything."""
    messages: list[Message] = [{"role": "user", "content": request}] if isinstance(request, str) else list(request)
    right = all(isinstance(message, Mapping) and message.get("role") for message in messages)
    if not right or not said_in(messages).strip():
        raise RenderError("a request without a user's words", where="request", fix="give text, or OpenAI messages")
    return messages


def groups_of(ready: Mapping[int, Asked], size: int) -> Iterator[list[int]]:
    """Yield the places of requests to decode together: of one prefix, of like length."""
    order = sorted(ready, key=lambda place: (id(ready[place].prefix), len(ready[place].tokens)))
    group: list[int] = []
    for place in order:
        if group and (len(group) >= max(size, 1) or ready[place].prefix is not ready[group[0]].prefix):
            yield group
            group = []
        group.append(place)
    if group:
        yield group


def checked(calls: Sequence[Call], tools: ToolSet, choice: str, *, text: str, fix: str = "") -> tuple[Call, ...]:
    """Return the calls of an output, `text`, where they fit `tools` and `choice`; raises `InvalidOutputError`."""
    wrong = [line for call in calls for line in tools.violations(call)] + _out_of_place(calls, tools, choice)
    if wrong:
        raise InvalidOutputError(f"the output does not fit the tools: {wrong[0]}", fix=fix, text=text, violations=wrong)
    return tuple(calls)


def _out_of_place(calls: Sequence[Call], tools: ToolSet, choice: str) -> list[str]:
    """Say what is wrong with the calls as a whole: what the grammar would not have let through."""
    names = [call.name for call in calls]
    wrong = [f"{name}: stands beside other calls" for name in names if name in RESERVED and len(names) > 1]
    if len(names) > 1 and not tools.parallel:
        wrong.append(f"{len(names)} calls, where one is allowed")
    for call in calls:
        allowed = {"auto": True, "none": call.name == NO_TOOL, "required": call.name != NO_TOOL}
        if not allowed.get(choice, call.about == choice):
            wrong.append(f"{call.name}: not among what the choice {choice!r} allows")
    return wrong


def chosen_tools(tools: ToolSet, permit: Sequence[str] | None, choice: str, *, parallel: bool = True) -> ToolSet:
    """Return the tools permitted for a request, of one call at most unless `parallel`.

    Raises `SchemaError` for names that are not known.
    """
    permitted = tools if permit is None else tools.subset(permit)
    permitted = permitted if parallel else permitted.single()
    if choice not in CHOICES and choice not in permitted.names:
        raise SchemaError(f"there is no choice {choice!r}", where="choice", fix=f"known: {', '.join(CHOICES)}")
    return permitted


def bound_values(tools: ToolSet, values: Mapping[str, JSON]) -> dict[str, dict[str, JSON]]:
    """Return the bound arguments' values by tool; raises `SchemaError` for an argument that no tool has."""
    known = {name for tool in tools for name in tool.bound}
    unknown = [name for name in values if name not in known]
    if unknown:
        raise SchemaError(
            f"no tool has the bound argument {unknown[0]!r}",
            where="bound",
            fix=f"known: {', '.join(sorted(known)) or 'none'}",
        )
    given = {tool.name: {n: values[n] for n in tool.bound if n in values} for tool in tools}
    return {name: arguments for name, arguments in given.items() if arguments}


def answered(calls: Sequence[Call], tools: ToolSet, bound: Mapping[str, Mapping[str, JSON]], **rest: Any) -> Answer:
    """Return the answer of calls that fit, with the functions behind them and what the program has bound."""
    functions = {tool.name: tool.function for tool in tools if tool.function is not None}
    unbound = {
        name: lacking
        for name in {call.name for call in calls} - set(RESERVED)
        if (lacking := tuple(n for n in tools[name].bound if n not in bound.get(name, {})))
    }
    return Answer.of(calls, functions=functions, bound=bound, unbound=unbound, **rest)


def rows_of(
    requests: Sequence[Request],
    contexts: Sequence[Mapping[str, str] | None] | None,
    permits: Sequence[Sequence[str] | None] | None,
) -> list[Row]:
    """Return the requests of a batch, each with its context and its permit; raises `DecodeError` for other lengths."""
    contexts = [None] * len(requests) if contexts is None else contexts
    permits = [None] * len(requests) if permits is None else permits
    if not len(requests) == len(contexts) == len(permits):
        raise DecodeError(
            f"{len(requests)} requests, {len(contexts)} contexts, {len(permits)} permits", fix="one for each"
        )
    return list(zip(requests, contexts, permits, strict=True))

"""One request on its way through a `Caller`: what was asked, and what may come of it as a whole."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from schematune.decoding.grammar import Grammar
from schematune.decoding.loop import Prefix
from schematune.schemas.call import ASK, NO_TOOL, RESERVED, Call
from schematune.schemas.errors import RenderError
from schematune.schemas.pair import Message
from schematune.schemas.tool import ToolSet

__all__ = ["Asked", "Request", "groups_of", "messages_of", "out_of_place", "text_of"]

Request = str | Sequence[Message]
"""A request: its text, or OpenAI messages (tool results included) that end with what is to be answered."""


@dataclass(frozen=True)
class Asked:
    """One request, ready to decode; `tokens` is the whole prompt, `milliseconds` what getting ready took."""

    tools: ToolSet
    choice: str
    request: str
    now: str
    tokens: list[int]
    prefix: Prefix | None
    limit: int
    grammar: Grammar | None = None
    milliseconds: float = 0.0


def messages_of(request: Request) -> list[Message]:
    """Return a request as messages; raises `RenderError` where no user says anything."""
    messages: list[Message] = [{"role": "user", "content": request}] if isinstance(request, str) else list(request)
    right = all(isinstance(message, Mapping) and message.get("role") for message in messages)
    if not right or not text_of(messages).strip():
        raise RenderError("a request without a user's words", where="request", fix="give text, or OpenAI messages")
    return messages


def text_of(messages: Sequence[Message]) -> str:
    """Return the last user message, of which copied arguments are spans."""
    users = [message.get("content") for message in messages if message.get("role") == "user"]
    return users[-1] if users and isinstance(users[-1], str) else ""


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


def out_of_place(calls: Sequence[Call], asked: Asked) -> list[str]:
    """Say what is wrong with the calls as a whole: what the grammar would not have let through."""
    names = [call.name for call in calls]
    wrong = [f"{name}: stands beside other calls" for name in names if name in RESERVED and len(names) > 1]
    if len(names) > 1 and not asked.tools.parallel:
        wrong.append(f"{len(names)} calls, where one is allowed")
    for call in calls:
        served = call.arguments.get("tool") if call.name == ASK else call.name
        allowed = {"auto": True, "none": call.name == NO_TOOL, "required": call.name != NO_TOOL}
        if not allowed.get(asked.choice, served == asked.choice):
            wrong.append(f"{call.name}: not among what the choice {asked.choice!r} allows")
    return wrong

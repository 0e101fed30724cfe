"""Requests that take more than one turn, or change their mind within one.

A user leaves something out, is asked for it, and says it; has a call made, and wants it otherwise, or the same again
with another value; or says a value, and a word later another one. What counts is what was said last; the rest of the
call comes from the turns before.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from schematune.schemas.call import Answer, Call
from schematune.schemas.described import form_of
from schematune.schemas.jsontext import JSON
from schematune.schemas.pair import Evidence, Message, Pair
from schematune.schemas.pieces import Piece, join_pieces
from schematune.schemas.roles import ranges, spoken
from schematune.schemas.tool import Tool
from schematune.schemas.wording import Worder

__all__ = ["CHANGES", "QUESTIONS", "Talk", "Turns", "answered_turns", "changed_turns", "changeable"]

QUESTIONS = ("Which {n}?", "What {n}?", "What {n} would you like?", "Could you give me the {n}?", "And the {n}?", "Please tell me the {n}.")  # fmt: skip
CHANGES = ("actually", "no,", "sorry, i meant", "make it", "no wait,", "make that", "change that to", "hm, rather", "sorry,", "i meant")  # fmt: skip
_RESULTS = ("ok", "done", '{"ok": true}', '{"status": "done"}')
_AGAIN = ("and", "what about", "how about", "same", "the same", "and now", "again", "also", "and another one", "once more,")  # fmt: skip


@dataclass(frozen=True)
class Turns:
    """Messages up to the last user's, the call they lead to, and where its arguments were said."""

    messages: tuple[Message, ...]
    call: Call
    evidence: tuple[Evidence, ...]
    shape: str

    def pair(self, *, context: Mapping[str, str]) -> Pair:
        """Return the pair, in a context."""
        return Pair(
            self.messages, (self.call,), context, source="synthetic", template=self.shape, evidence=self.evidence
        )


def changeable(tool: Tool, values: Mapping[str, JSON]) -> list[str]:
    """Return the arguments whose value can change on its own: single texts and numbers, no end of a range, and one date at most."""
    ends = {name for both in ranges(tuple(values)) for name in both}
    plain = [
        n
        for n, v in values.items()
        if n in tool.properties and n not in ends and isinstance(v, str | int | float) and not isinstance(v, bool)
    ]
    dates = [n for n in plain if "date" in form_of(dict(tool.properties.get(n) or {}))]
    return [name for name in plain if name not in dates or len(dates) == 1]


def answered_turns(
    rng: random.Random, worder: Worder, tool: Tool, values: Mapping[str, JSON], missing: Sequence[str]
) -> Turns:
    """Word a request without `missing`, the question for it, and the answer: the call has all `values`."""
    first, shape = worder.request(tool, {n: v for n, v in values.items() if n not in missing})
    second = [piece for name in missing for piece in [*worder.argument(tool, name, values[name]), Piece(",")]][:-1]
    names = " and ".join(spoken(name) for name in missing)
    asked: Message = {"role": "assistant", "content": rng.choice(QUESTIONS).format(n=names)}
    if rng.random() < 0.5:
        asked = Answer.of([Call.ask(tool.name, [name for name in tool.required if name in missing])]).message()
    return _two(first, (asked,), second, Call(tool.name, values), f"answered:{shape}")


def changed_turns(
    rng: random.Random, worder: Worder, tool: Tool, values: Mapping[str, JSON], name: str, new: JSON
) -> Turns:
    """Word a request, the call that was made, and what the user wants instead, or as well: another value for `name`."""
    first, shape = worder.request(tool, values)
    again = rng.random() < 0.4
    lead = rng.choice(_AGAIN if again else CHANGES)
    second = [Piece(lead), *worder.argument(tool, name, new), Piece("?" if again and rng.random() < 0.6 else "")]
    made: list[Message] = [Answer.of([Call(tool.name, values)]).message()]
    if rng.random() < 0.3:
        made.append({"role": "tool", "tool_call_id": made[0]["tool_calls"][0]["id"], "content": rng.choice(_RESULTS)})
    call = Call(tool.name, {**values, name: new})
    return _two(first, made, second, call, f"{'again' if again else 'changed'}:{shape}")


class Talk:
    """A conversation as it grows: its messages, and where the user said which argument, by its path."""

    def __init__(self) -> None:
        """See the class."""
        self.messages: list[Message] = []
        self.said: dict[str, Evidence] = {}
        self._length = 0

    def user(self, pieces: Sequence[Piece]) -> dict[str, Evidence]:
        """Add what the user says, and return where the arguments stand in it; what was said of them before is out of date."""
        text, found = join_pieces(pieces)
        new = {item.path: replace(item, start=item.start + self._length, end=item.end + self._length) for item in found}
        self.said = {p: e for p, e in self.said.items() if not any(p == n or p.startswith(f"{n}.") for n in new)} | new
        self.messages.append({"role": "user", "content": text})
        self._length += len(text) + 1
        return new

    def others(self, *messages: Message) -> None:
        """Add what anybody else says."""
        self.messages.extend(messages)

    def assistant(self, text: str) -> None:
        """Add what the assistant says."""
        self.messages.append({"role": "assistant", "content": text})

    def turns(self, call: Call, shape: str) -> Turns:
        """End the conversation with the call that it leads to."""
        return Turns(tuple(self.messages), call, tuple(self.said.values()), shape)


def _two(first: Sequence[Piece], between: Sequence[Message], second: Sequence[Piece], call: Call, shape: str) -> Turns:
    talk = Talk()
    talk.user(first)
    talk.others(*between)
    talk.user(second)
    return talk.turns(call, shape)

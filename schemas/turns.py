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
from schematune.schemas.roles import spoken
from schematune.schemas.tool import Tool
from schematune.schemas.wording import Worder

__all__ = ["Turns", "answered_turns", "changed_turns", "changeable"]

_QUESTIONS = ("Which {n}?", "What {n}?", "What {n} would you like?", "Could you give me the {n}?", "And the {n}?", "Please tell me the {n}.")  # fmt: skip
_CHANGES = ("actually", "no,", "sorry, i meant", "make it", "no wait,", "make that", "change that to", "hm, rather", "sorry,", "i meant")  # fmt: skip
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
    """Return the arguments whose value can change on its own: single texts and numbers, and one date at most."""
    plain = [
        n
        for n, v in values.items()
        if n in tool.properties and isinstance(v, str | int | float) and not isinstance(v, bool)
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
    asked: Message = {"role": "assistant", "content": rng.choice(_QUESTIONS).format(n=names)}
    if rng.random() < 0.5:
        asked = Answer.of([Call.ask(tool.name, [name for name in tool.required if name in missing])]).message()
    return _turns(first, (asked,), second, Call(tool.name, values), f"answered:{shape}")


def changed_turns(
    rng: random.Random, worder: Worder, tool: Tool, values: Mapping[str, JSON], name: str, new: JSON
) -> Turns:
    """Word a request, the call that was made, and what the user wants instead, or as well: another value for `name`."""
    first, shape = worder.request(tool, values)
    again = rng.random() < 0.4
    lead = rng.choice(_AGAIN if again else _CHANGES)
    second = [Piece(lead), *worder.argument(tool, name, new), Piece("?" if again and rng.random() < 0.6 else "")]
    made: list[Message] = [Answer.of([Call(tool.name, values)]).message()]
    if rng.random() < 0.3:
        made.append({"role": "tool", "tool_call_id": made[0]["tool_calls"][0]["id"], "content": rng.choice(_RESULTS)})
    call = Call(tool.name, {**values, name: new})
    return _turns(first, made, second, call, f"{'again' if again else 'changed'}:{shape}")


def _turns(
    first: Sequence[Piece], between: Sequence[Message], second: Sequence[Piece], call: Call, shape: str
) -> Turns:
    opening, known = join_pieces(first)
    text, later = join_pieces(second)
    shift = len(opening) + 1
    new = {item.path for item in later}
    evidence = [item for item in known if not any(item.path == p or item.path.startswith(f"{p}.") for p in new)]
    evidence += [replace(item, start=item.start + shift, end=item.end + shift) for item in later]
    users: list[Message] = [{"role": "user", "content": said} for said in (opening, text)]
    return Turns((users[0], *between, users[1]), call, tuple(evidence), shape)

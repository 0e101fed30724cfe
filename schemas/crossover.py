"""A new example out of two: the last phrase of one, with the argument that it says, ends the other.

"book a table in Rome" and "a table for two at nine": "book a table in Rome at nine", "a table for two". A few hundred
examples hold few of the ways in which arguments come together; these are the others.
"""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from schematune.schemas.call import RESERVED, Call
from schematune.schemas.jsontext import JSON
from schematune.schemas.pair import Pair
from schematune.schemas.rephrase import lead_of

__all__ = ["Ending", "crossed", "ending_of"]

_LONGEST = 24
"""Characters behind the value that still belong to its phrase: " people", " star restaurant"."""


@dataclass(frozen=True)
class Ending:
    """The last phrase of a request: where it starts, its words, and the one argument that it says."""

    start: int
    words: str
    name: str
    value: JSON


def ending_of(pair: Pair, spans: Sequence[tuple[int, int, str]]) -> Ending | None:
    """Return the phrase that ends a request of one call, None where none can be told apart.

    `spans` are the places of its arguments, in order: where each starts and ends, and the argument's name.

    >>> pair = Pair.of("book Nopi at nine please", [Call("book", {"place": "Nopi", "time": "nine"})])
    >>> ending_of(pair, [(5, 9, "place"), (13, 17, "time")])
    Ending(start=9, words=' at nine', name='time', value='nine')
    """
    if len(pair.calls) != 1 or pair.calls[0].name in RESERVED or len(spans) < 1 or len(pair.messages) != 1:
        return None
    start, end, name = spans[-1]
    if sum(other == name for *_, other in spans) > 1 or name not in pair.calls[0].arguments:
        return None
    before = spans[-2][1] if len(spans) > 1 else 0
    lead, rest = lead_of(pair.request[before:start]), pair.request[end:]
    rest = re.sub(r"(?i)[\s,]*\b(please|pls|thanks|thank you)\W*$", "", rest).rstrip(" .!?")
    if not (lead or "").strip() or len(rest) > _LONGEST or not pair.request[: start - len(lead or "")].strip():
        return None
    begin = start - len(lead or "")
    begin -= pair.request[:begin].endswith(" ")
    return Ending(begin, f" {lead}{pair.request[start:end]}{rest}", name, pair.calls[0].arguments[name])


def crossed(
    pair: Pair, own: Ending | None, other: Ending | None, required: Sequence[str], rng: random.Random
) -> Pair | None:
    """Return `pair` without its own last phrase, or with that of another of the same tool, or both; None: neither goes.

    >>> pair = Pair.of("a table at nine", [Call("book", {"time": "nine"})])
    >>> crossed(pair, None, Ending(7, " in Rome", "city", "Rome"), [], random.Random(1)).request
    'a table at nine in Rome'
    """
    call, text = pair.calls[0], pair.request.rstrip(" .!?")
    arguments: Mapping[str, JSON] = call.arguments
    changed = False
    if own is not None and own.name not in required and rng.random() < 0.5:
        text, changed = pair.request[: own.start].rstrip(" ,"), True
        arguments = {name: value for name, value in arguments.items() if name != own.name}
    if other is not None and other.name not in arguments:
        text, changed = text + other.words, True
        arguments = {**arguments, other.name: other.value}
    if not changed or not text.strip():
        return None
    message = {**pair.messages[-1], "content": text}
    return replace(pair, messages=(*pair.messages[:-1], message), calls=(Call(call.name, arguments),), evidence=())

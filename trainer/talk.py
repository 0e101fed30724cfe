"""Requests in the midst of other talk: what people say of other matters, before what is wanted or after it.

The words of made requests are mostly values and what names them. People's are mostly neither, and what has only read
made ones takes "Yes" for an artist. So other people's sentences stand around some requests; the calls stay as they are.
"""

import random
from collections.abc import Sequence
from dataclasses import replace

from schematune.schemas.pair import Message, Pair

__all__ = ["among_talk"]

LONGEST = 160
"""Characters of the longest sentence."""

_REPLIES = (
    "Done.",
    "Okay.",
    "Sure, that is done. Is there anything else?",
    "I am sorry, I could not find anything.",
    "All right. Can I help with something else?",
    "Here you are.",
    "I found one. Do you like it?",
    "That has been taken care of.",
)
_ANSWERS = ("", "", "Thanks.", "Great, thank you.", "No, never mind that.", "Yes, that sounds good.", "Ok, that's fine.", "Perfect!",
            "Not really.", "That works for me.", "yes", "no, thanks")  # fmt: skip


def among_talk(pair: Pair, sentences: Sequence[str], rng: random.Random, *, apart: bool = False) -> Pair:
    """Return a pair with one of the sentences beside its request: as an exchange before it, or in the same message if not `apart`.

    Evidence follows. A pair that begins with no message of the user's comes back as it is.

    >>> from schematune.schemas.call import Call
    >>> pair = Pair.of("go to oslo", [Call("go", {"to": "oslo"})])
    >>> "i lost my card\\ngo to oslo" in {among_talk(pair, ["i lost my card"], random.Random(n)).said for n in range(40)}
    True
    """
    sentence = rng.choice(sentences)
    first = pair.messages[0]
    said = first.get("content")
    if len(sentence) > LONGEST or first.get("role") != "user" or not isinstance(said, str):
        return pair
    way = 0.0 if apart else rng.random()
    if way < 0.5:
        before: list[Message] = [
            {"role": "user", "content": sentence},
            {"role": "assistant", "content": rng.choice(_REPLIES)},
        ]
        answer = rng.choice(_ANSWERS)
        opened = {**first, "content": f"{answer} {said}" if answer else said}
        shift = len(sentence) + 1 + (len(answer) + 1 if answer else 0)
        return _shifted(replace(pair, messages=(*before, opened, *pair.messages[1:])), shift)
    ended = sentence if not sentence[-1].isalnum() else sentence + "."
    if way < 0.75:
        return _shifted(
            replace(pair, messages=({**first, "content": f"{ended} {said}"}, *pair.messages[1:])), len(ended) + 1
        )
    last = pair.messages[-1]
    told = str(last.get("content"))
    told = told if not told[-1:].isalnum() else told + "."
    return replace(pair, messages=(*pair.messages[:-1], {**last, "content": f"{told} {ended}"}))


def _shifted(pair: Pair, by: int) -> Pair:
    return replace(pair, evidence=tuple(item.moved(by) for item in pair.evidence))

"""Requests as people type them: sentences that begin large and end with a sign, or not.

Made requests are mostly small letters throughout; what reads words in their places must not take the first word of a
sentence for a name. No word of a request changes but in its letters' case, and each keeps its place in its line.
"""

import random
import re
from dataclasses import dataclass, replace

from schematune.schemas.pair import Pair
from schematune.schemas.splits import leaves

__all__ = ["Told", "retold", "retold_pair"]

_CASED = 0.6
"""Share of requests whose sentences begin with a capital."""

_FIRST = re.compile(r"(?:^|(?<=[.?!]\s)|(?<=\n))[^\W\d_]")
_ASKS = re.compile(r"(?:what|when|where|who|which|how|is|are|do|does|can|could|will|would)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Told:
    """A request as it is told: its text, and the words (and single signs) that were added after its own."""

    text: str
    added: int


def retold(text: str, rng: random.Random) -> Told:
    """Tell a request as somebody may type it; the words keep their places.

    >>> {retold("play it. i am bored", random.Random(seed)).text for seed in range(9)} >= {"Play it. I am bored.", "play it. i am bored"}
    True
    """
    if rng.random() >= _CASED or not text:
        return Told(text, 0)
    cased = _FIRST.sub(lambda found: found.group().upper() if len(found.group().upper()) == 1 else found.group(), text)
    cased = re.sub(r"\bi(?=\b(?![.:_-]\w))", "I", cased)
    if not (cased[-1].isalnum() and rng.random() < 0.7):
        return Told(cased, 0)
    last = cased[cased.rfind("\n") + 1 :]
    return Told(cased + ("?" if _ASKS.match(last) else "."), 1)


def retold_pair(pair: Pair, rng: random.Random) -> Pair:
    """Tell a pair's request so; as it was, where that would change the letters of a value that its calls copy.

    >>> from schematune.schemas.call import Call
    >>> pair = Pair.of("oslo it is", [Call("go", {"to": "oslo"})])
    >>> {retold_pair(pair, random.Random(seed)).request for seed in range(9)}
    {'oslo it is'}
    """
    text = retold(pair.request, rng).text
    values = [value for call in pair.calls for value in leaves(dict(call.arguments)) if isinstance(value, str)]
    if any(value in pair.request and value not in text for value in values):
        return pair
    return replace(pair, messages=(*pair.messages[:-1], {**pair.messages[-1], "content": text}))

"""An example's request put a little differently: the words between its values change, the values do not.

A day or a time moves to the front, a value is led in by the words that lead in the same argument elsewhere, a verb
gives way to another that people say, a greeting comes before, capitals and stops are left out, keys slip. What is
said stays the same, so the calls stay the same.
"""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from schematune.schemas.lexicon import CHATTER, VERBS
from schematune.schemas.wording import typo

__all__ = ["SHARE", "Part", "lead_of", "rephrased"]

SHARE = 0.6
"""Share of the requests that are put differently."""

_LEADS = "on|at|for|by|from|to|in|with|until|till|before|after|since|around|about|called|named|titled|of|via|as"
_LEAD = re.compile(rf"(?:^|(?<=[\s,;(]))(?:(?:{_LEADS})\s+)?$", re.IGNORECASE)
_GREETINGS = ("hi", "hi,", "hey", "hey,", "hello,", "good morning,", "ok", "ok so", "so", "please", "pls", "quick one:")
_THANKS = (" please", ", please", " pls", ", thanks", " thanks!", ". thank you", " asap", " :)")
_NO_ON = re.compile(r"(?:to|tmr|tom\b|yest|next|this|in\b|the day)", re.IGNORECASE)
_ON = re.compile(r"\bon\s+$", re.IGNORECASE)
_LED_IN = re.compile(r"(?:at|on|in|by|around|within|near|close)\s", re.IGNORECASE)
_ANY = re.compile(rf"\b(?:{_LEADS})\s+$", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z']+")


@dataclass(frozen=True)
class Part:
    """A stretch of a request: words between values, or (with `slot` from 0 on) the saying of one."""

    text: str
    slot: int = -1


def lead_of(before: str) -> str | None:
    """Return the word that leads in what follows `before`, with its space; None where the place is unclear.

    >>> lead_of("book it for "), lead_of("book it "), lead_of("the bill is $")
    ('for ', '', None)
    """
    found = _LEAD.search(before)
    return found.group(0) if found else None


def rephrased(
    parts: Sequence[Part], rng: random.Random, *, leads: Mapping[int, Sequence[str]], movable: Sequence[int]
) -> list[Part]:
    """Return the parts put differently, `SHARE` of the time.

    `leads` are, by slot, the words that lead in its argument in other examples; `movable` are the slots that can
    stand first: days and times.

    >>> parts = [Part("book it for "), Part("Friday", 0)]
    >>> "".join(part.text for part in _moved(parts, random.Random(1), [0]))
    'for Friday, book it'
    """
    found = _smooth(list(parts))
    if rng.random() >= SHARE:
        return found
    if rng.random() < 0.4:
        found = _led(found, rng, leads)
    if rng.random() < 0.25:
        found = _moved(found, rng, movable)
    found = _smooth(found)
    for share, change in _CHANGES:
        if rng.random() < share:
            found = change(found, rng)
    return found


def _smooth(parts: list[Part]) -> list[Part]:
    """Take the "on" away before a day that is said without one, and what leads in a value that leads itself in."""
    after = [part.text if part.slot >= 0 else "" for part in parts[1:]] + [""]
    return [
        part if part.slot >= 0 else replace(part, text=_bare(part.text, said))
        for part, said in zip(parts, after, strict=True)
    ]


def _bare(before: str, said: str) -> str:
    pattern = _ANY if _LED_IN.match(said) else _ON if _NO_ON.match(said) else None
    return pattern.sub("", before) if pattern else before


def _led(parts: list[Part], rng: random.Random, leads: Mapping[int, Sequence[str]]) -> list[Part]:
    """Lead one value in as the same argument is led in elsewhere."""
    places = [n for n in range(1, len(parts)) if parts[n].slot in leads and parts[n - 1].slot < 0]
    if not places:
        return parts
    place = rng.choice(places)
    before, known = parts[place - 1].text, lead_of(parts[place - 1].text)
    if known is None or not before.strip():
        return parts
    lead = rng.choice(leads[parts[place].slot])
    return [*parts[: place - 1], Part(before[: len(before) - len(known)] + lead), *parts[place:]]


def _moved(parts: list[Part], rng: random.Random, movable: Sequence[int]) -> list[Part]:
    """Put a day or a time that ends the request at its beginning."""
    tail = parts[-1].text if parts[-1].slot < 0 else ""
    body = parts[:-1] if parts[-1].slot < 0 else parts
    if len(body) < 2 or body[-1].slot not in movable or tail.strip(" .!?") or body[-2].slot >= 0:
        return parts
    before, lead = body[-2].text, lead_of(body[-2].text)
    rest = before[: len(before) - len(lead or "")].rstrip(" ,")
    if lead is None or (not rest and len(body) == 2):
        return parts
    kept = lead if lead.strip() and rng.random() < 0.5 else ""
    first = Part(kept.capitalize()) if parts[0].text[:1].isupper() else Part(kept)
    return [first, body[-1], Part(rng.choice((", ", ", ", " ", ": "))), *body[:-2], Part(rest), Part(tail.strip())]


def _on_words(change: Callable[[str, random.Random], str]) -> Callable[[list[Part], random.Random], list[Part]]:
    """Return `change`, which takes a text, as one of all parts that are not values."""

    def changed(parts: list[Part], rng: random.Random) -> list[Part]:
        return [part if part.slot >= 0 else replace(part, text=change(part.text, rng)) for part in parts]

    return changed


def _synonym(text: str, rng: random.Random) -> str:
    known = [match for match in _WORD.finditer(text) if len(VERBS.get(match.group(0).lower(), ())) > 1]
    if not known:
        return text
    match = rng.choice(known)
    said = rng.choice([word for word in VERBS[match.group(0).lower()] if word != match.group(0).lower()])
    said = said.capitalize() if match.group(0)[0].isupper() else said
    return text[: match.start()] + said + text[match.end() :]


def _slipped(text: str, rng: random.Random) -> str:
    return _WORD.sub(lambda word: typo(word.group(0), rng) if rng.random() < 0.15 else word.group(0), text)


def _greeted(parts: list[Part], rng: random.Random) -> list[Part]:
    greeting = rng.choice(_GREETINGS if rng.random() < 0.7 else CHATTER)
    first = parts[0]
    if first.slot < 0 and first.text[:1].isupper() and first.text[1:2].islower() and not greeting.endswith((".", "!")):
        first = replace(first, text=first.text[0].lower() + first.text[1:])
    return [Part(greeting + " "), first, *parts[1:]]


def _thanked(parts: list[Part], rng: random.Random) -> list[Part]:
    thanks = rng.choice(_THANKS)
    if parts[-1].slot >= 0:
        return [*parts, Part(thanks)]
    return [*parts[:-1], Part(parts[-1].text.rstrip(" .!?") + thanks)]


_CHANGES: tuple[tuple[float, Callable[[list[Part], random.Random], list[Part]]], ...] = (
    (0.2, _on_words(_synonym)),
    (0.12, _greeted),
    (0.1, _thanked),
    (0.3, _on_words(lambda text, rng: text.lower())),
    (0.15, _on_words(lambda text, rng: re.sub(r"[.,!?](?=\s|$)", "", text))),
    (0.2, _on_words(_slipped)),
)
"""What else may change, and how often."""

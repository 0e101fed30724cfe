"""Realistic texts: what an argument's name and description say it is, and values of that kind."""

import random
import re
import string
from collections.abc import Mapping
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

from schematune.schemas.jsontext import JSON
from schematune.schemas.lexicon import ADJECTIVES, NOUNS, invented, pool, words_of

__all__ = ["FORMATS", "clock", "concept", "hints", "is_clock", "worded"]

_CONCEPTS: tuple[tuple[str, str], ...] = (
    ("email", r"e?mail|mail address"),
    ("url", r"ur[li]|website|link|webpage|homepage"),
    ("phone", r"phone|fax|telephone"),
    ("text", r"text|message|body|note|notes|comment|content|remark|reason|caption|memo|feedback|paragraph|sentence"),
    ("query", r"query|keyword|keywords|search|term|question|topic|subject|about|theme"),
    ("date", r"date|day|deadline|birthday|dob|until"),
    ("time", r"time|hour|clock"),
    ("person", r"person|recipient|owner|author|attendee|attendees|contact|user|guest|guests|people|participant|"
               r"patient|employee|customer|client|student|member|driver|doctor|sender|assignee|manager|username|who|to|cc"),
    ("place", r"city|place|location|town|destination|origin|pickup|venue|region|area|airport|station|country|where|"
              r"address|street|room|site|state|dropoff|departure|arrival|from"),
    ("company", r"company|merchant|vendor|organi[sz]ation|brand|shop|store|employer|supplier|business|airline|bank"),
    ("language", r"language|lang"),
    ("currency", r"currency"),
    ("color", r"colou?r"),
    ("id", r"id|code|number|no|ref|reference|uuid|key|token|isbn|serial|sku|symbol|account|ticket"),
    ("file", r"file|filename|path|document|folder"),
    ("title", r"title|name|label|heading|album|book|movie|song|project|event|called|item|product|object|series"),
)  # fmt: skip
_CONCEPT_OF = tuple((kind, re.compile(rf"^(?:{words})$")) for kind, words in _CONCEPTS)


@lru_cache(maxsize=65536)
def concept(name: str) -> str:
    """Tell what an argument is about by its name: `"date"`, `"place"`, `"person"`, ..., else `"thing"`.

    The last word of the name counts most.

    >>> concept("departure_city"), concept("dueDate"), concept("sprocket")
    ('place', 'date', 'thing')
    """
    for word in reversed(words_of(name)):
        for kind, pattern in _CONCEPT_OF:
            if pattern.match(word):
                return kind
    return "thing"


@lru_cache(maxsize=65536)
def hints(description: str) -> tuple[str, ...]:
    """Read the examples that a description gives: `(e.g. a, b, c)`, `such as a or b`, `for example "a"`.

    >>> hints("Kind of cheese (e.g., brie, gouda)"), hints("Where to go.")
    (('brie', 'gouda'), ())
    """
    match = re.search(r"(?:e\.g\.?,?|for example,?|such as|like)\s+([^().;]{2,120})", description)
    if not match:
        return ()
    parts = re.split(r",\s*(?:or |and )?|\s+or\s+|\s+and\s+", match[1])
    cleaned = [part.strip(" '\"`:") for part in parts]
    return tuple(part for part in cleaned if 1 < len(part) <= 40 and part not in ("etc", "etc."))


@lru_cache(maxsize=4096)
def _matches_clock(pattern: str) -> bool:
    try:
        return all(re.search(pattern, t) for t in ("00:00", "09:30", "23:59")) and not re.search(pattern, "24:00")
    except re.error:
        return False


def is_clock(schema: Mapping[str, JSON]) -> bool:
    """Tell whether a string schema holds times of day as HH:MM, by what its pattern accepts."""
    pattern = schema.get("pattern")
    return isinstance(pattern, str) and _matches_clock(pattern)


def clock(rng: random.Random) -> str:
    """Return a time of day as people choose them: mostly waking hours, mostly round."""
    hour = rng.choice((rng.randint(7, 21), rng.randint(7, 21), rng.randrange(24)))
    minute = rng.choice((0, 0, 0, 30, 15, 45, 5 * rng.randrange(12), rng.randrange(60)))
    return f"{hour:02}:{minute:02}"


def _days_ahead(rng: random.Random) -> int:
    """Draw how far ahead a day is: people mostly mean today, tomorrow or this week."""
    return rng.choice((0, 1, 1, rng.randint(0, 7), rng.randint(2, 7), rng.randint(8, 60), rng.randint(0, 330)))


FORMATS: dict[str, Any] = {
    "date": lambda rng, today: (today + timedelta(days=_days_ahead(rng))).isoformat(),
    "date-time": lambda rng, today: (
        f"{today + timedelta(days=rng.randint(0, 60))}T{rng.randrange(24):02}:{rng.choice((0, 15, 30, 45)):02}:00Z"
    ),
    "time": lambda rng, today: f"{clock(rng)}:00Z",
    "email": lambda rng, today: rng.choice(pool("email")),
    "uri": lambda rng, today: rng.choice(pool("url")),
    "url": lambda rng, today: rng.choice(pool("url")),
    "uuid": lambda rng, today: "-".join("".join(rng.choices("0123456789abcdef", k=k)) for k in (8, 4, 4, 4, 12)),
    "ipv4": lambda rng, today: ".".join(str(rng.randrange(1, 255)) for _ in range(4)),
    "ipv6": lambda rng, today: ":".join("".join(rng.choices("0123456789abcdef", k=4)) for _ in range(8)),
    "hostname": lambda rng, today: f"{invented(rng)}.example.com",
    "duration": lambda rng, today: f"PT{rng.randint(1, 59)}M",
    "idn-email": lambda rng, today: rng.choice(pool("email")),
    "idn-hostname": lambda rng, today: f"{invented(rng)}.example.com",
    "iri": lambda rng, today: rng.choice(pool("url")),
    "uri-reference": lambda rng, today: rng.choice((rng.choice(pool("url")), f"/{invented(rng)}/{rng.randrange(100)}")),
    "iri-reference": lambda rng, today: f"/{invented(rng)}/{rng.randrange(100)}",
    "uri-template": lambda rng, today: f"/{invented(rng)}/{{id}}",
    "json-pointer": lambda rng, today: f"/{invented(rng)}/{rng.randrange(10)}",
    "relative-json-pointer": lambda rng, today: f"{rng.randrange(4)}/{invented(rng)}",
    "regex": lambda rng, today: rng.choice((r"^[a-z]+$", r"^\d{2,4}$", f"^{invented(rng)}", r"[A-Z]{3}")),
}
"""Functions of a random state and a day that give a text in a format."""
# fmt: skip

_SENTENCES = (
    "call {first} back", "pick up the {noun}", "pay the {noun} bill", "check the {adj} {noun}",
    "the {noun} is {adj} today", "bring the {adj} {noun}", "don't forget the {noun}", "{first} is out this week",
    "running {n} minutes late", "please look at the {noun} before lunch", "we need a {adj} {noun}",
    "the {noun} arrived, thank you", "can you send me the {noun}", "see you at the {noun}", "water the plants",
    "ask {first} about the {noun}", "{noun} for {first}", "all done with the {noun}", "buy {n} {noun}s",
    "i will be there soon", "great work on the {noun}", "back up the {noun}", "renew the {noun}",
    "the {adj} one works better", "{first} said yes", "meet me by the {noun}", "prepare the {noun} for {first}",
)  # fmt: skip
_TITLES = (
    "{Adj} {Noun}", "{adj} {noun}", "The {Noun} of {Noun2}", "{noun} {noun2}", "{Noun}", "{noun} review",
    "{first}'s {noun}", "{Noun} {n}", "{adj} {noun} {noun2}", "{noun} with {first}", "My {Adj} {Noun}",
    "{Inv}", "{Inv} {Noun}", "{noun}", "{word} {word2}", "Q{q} {noun}", "The {Word}", "{first} {Word}",
)  # fmt: skip


def _fill(template: str, rng: random.Random) -> str:
    noun, noun2, adj = rng.choice(NOUNS), rng.choice(NOUNS), rng.choice(ADJECTIVES)
    word, word2 = rng.choice(pool("word")), rng.choice(pool("word"))
    return template.format(
        noun=noun, noun2=noun2, adj=adj, word=word, word2=word2, Noun=noun.title(), Noun2=noun2.title(),
        Adj=adj.title(), Word=word.title(), Inv=invented(rng).title(), first=rng.choice(pool("first_name")),
        n=rng.randint(2, 30), q=rng.randint(1, 4),
    )  # fmt: skip


def _identifier(rng: random.Random) -> str:
    letters = "".join(rng.choices(string.ascii_uppercase, k=rng.randint(1, 3)))
    digits = str(rng.randrange(10, 10 ** rng.randint(2, 6)))
    return rng.choice((digits, f"{letters}{digits}", f"{letters}-{digits}", f"#{digits}", f"{invented(rng)}{digits}"))


def worded(kind: str, rng: random.Random, today: date) -> str:
    """Return a realistic string of one concept."""
    if rng.random() < 0.06:
        return invented(rng)
    if kind == "text":
        return _fill(rng.choice(_SENTENCES), rng)
    if kind == "query":
        return _fill(rng.choice(("{noun}", "{adj} {noun}", "{noun} {noun2}", "{word} {noun}", "{noun} {q}")), rng)
    if kind in ("title", "thing"):
        return _fill(rng.choice(_TITLES), rng)
    if kind == "person":
        return rng.choice(pool("person" if rng.random() < 0.4 else "first_name"))
    if kind == "place":
        return rng.choice(pool(rng.choice(("city", "city", "city", "country", "street")))).split(",")[0]
    if kind == "id":
        return _identifier(rng)
    if kind == "date":
        return rng.choice(
            (
                f"{today + timedelta(days=rng.randint(0, 300)):%d %B %Y}",
                (today + timedelta(days=rng.randint(0, 300))).isoformat(),
            )
        )
    if kind == "time":
        return rng.choice(
            (f"{rng.randint(1, 12)}{rng.choice(('am', 'pm'))}", f"{rng.randrange(24):02}:{rng.choice((0, 15, 30)):02}")
        )
    return rng.choice(pool(kind))

"""Realistic texts: what an argument's name and description say it is, and values of that kind."""

import calendar
import random
import re
import string
from collections.abc import Callable
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

from schematune.schemas.jsontext import JSON
from schematune.schemas.lexicon import ADJECTIVES, NOUNS, invented, words_of
from schematune.schemas.pools import pool

__all__ = ["FORMATS", "clock", "concept", "hints", "in_state", "town", "within", "worded"]

_CONCEPTS: tuple[tuple[str, str], ...] = (
    ("email", r"e?mail|mail address"),
    ("url", r"ur[li]|website|link|webpage|homepage"),
    ("phone", r"phone|fax|telephone"),
    ("text", r"text|message|body|note|notes|comment|content|remark|reason|caption|memo|feedback|paragraph|sentence"),
    ("query", r"query|keyword|keywords|search|term|question|topic|subject|about|theme"),
    ("date", r"date|day|deadline|birthday|dob|until"),
    ("moment", r"when|period|timeframe|range|times|window|schedule"),
    ("time", r"time|hour|clock"),
    ("year", r"year|decade|era"),
    ("person", r"person|recipient|owner|author|attendee|attendees|contact|user|guest|guests|people|participant|"
               r"patient|employee|customer|client|student|member|driver|doctor|sender|assignee|manager|username|who|to|cc"),
    ("maker", r"artist|singer|band|performer|musician|composer|actor|director|writer|host|speaker|team|player|creator"),
    ("city", r"city|town|village|municipality"),
    ("country", r"country|nation|homeland"),
    ("province", r"state|province|territory"),
    ("landmark", r"poi|landmark|attraction|sight|monument|park|venue|museum|theatre|theater"),
    ("place", r"place|location|destination|origin|pickup|region|area|airport|station|where|county|"
              r"address|street|room|site|dropoff|departure|arrival|from|neighbou?rhood"),
    ("service", r"service|app|platform|provider|network|channel|program|carrier|operator|system"),
    ("company", r"company|merchant|vendor|organi[sz]ation|brand|shop|store|employer|supplier|business|airline|bank"),
    ("language", r"language|lang|nationality|cuisine|ethnicity|citizenship"),
    ("currency", r"currency"),
    ("color", r"colou?r"),
    ("unit", r"units?|measure"),
    ("manner", r"sort|sorting|order|ordering|ranking|preference|preferences|priority"),
    ("nearness", r"direction|position|relation|proximity|nearness|side|orientation"),
    ("warmth", r"temperature|warmth|climate"),
    ("quality", r"condition|conditions|status|mood|quality|style|description|look|feel|atmosphere|mode|kind of"),
    ("tally", r"rating|score|grade|level|value|points|count|quantity|age|rank|amount|size|limit|best|worst|many|much"),
    ("kind", r"type|kind|category|genre|class|variety|format|model|species"),
    ("food", r"dish|dishes|meal|food|ingredients?|recipe|drinks?|snack|dessert|menu|course"),
    ("feature", r"facility|feature|features|amenity|equipment|extra|extras|option|accessory"),
    ("id", r"id|code|number|no|ref|reference|uuid|key|token|isbn|serial|sku|symbol|account|ticket"),
    ("folder", r"folder|directory|dir|repo|repository|workspace"),
    ("path", r"path|paths|filepath"),
    ("file", r"file|filename|document"),
    ("title", r"title|name|label|heading|album|book|movie|film|song|track|tune|show|series|game|project|event|called|"
              r"item|product|object|entity|article|list|playlist|course|lesson"),
)  # fmt: skip
_CONCEPT_OF = tuple((kind, re.compile(rf"^(?:{words})$")) for kind, words in _CONCEPTS)
_COUNTED = {"party", "group", "head", "people", "guests", "size", "seats", "seat", "team", "crowd", "floor", "room"}


@lru_cache(maxsize=65536)
def concept(name: str) -> str:
    """Tell what an argument is about by its name: `"date"`, `"place"`, `"person"`, ..., else `"thing"`.

    The last word of the name counts most; a name or a title is of what stands before it.

    >>> concept("departure_city"), concept("dueDate"), concept("sprocket"), concept("company_name"), concept("my_place")
    ('city', 'date', 'thing', 'company', 'here')
    """
    words = words_of(name)
    if words[-1:] == ["owner"]:
        return "owner"
    found = [kind for word in reversed(words) for kind in _concepts(word)]
    if not found:
        return "thing"
    if found[0] == "place" and {"current", "my", "present", "own"} & set(words):
        return "here"
    counted = words[-1] in ("number", "no") and _COUNTED & set(words[:-1])
    if counted or words[0] in ("number", "num", "how", "max", "min", "total"):
        return "tally"
    if found[0] == "title" and words[-1] in ("name", "title") and found[1:2] and found[1] in _NAMED:
        return found[1]
    return "folder" if found[0] == "path" and "folder" in found else found[0]


_NAMED = ("person", "maker", "city", "country", "place", "landmark", "province", "company", "service", "file")
"""Kinds of things whose name says no more than themselves."""


def _concepts(word: str) -> list[str]:
    return next(([kind] for kind, pattern in _CONCEPT_OF if pattern.match(word)), [])


@lru_cache(maxsize=65536)
def hints(description: str) -> tuple[str, ...]:
    """Read the examples that a description gives: `(e.g. a, b, c)`, `such as a or b`, `for example "a"`.

    >>> hints("Kind of cheese (e.g., brie, gouda)"), hints("City and state, e.g. Reno, NV"), hints("Where to go.")
    (('brie', 'gouda'), ('Reno, NV',), ())
    """
    match = re.search(r"(?:e\.g\.?,?|for example,?|such as|like)\s+([^().;]{2,120})", description)
    if not match:
        return ()
    parts = re.split(r",(?!\s*[A-Z]{2}\b)\s*(?:or |and )?|\s+or\s+|\s+and\s+", match[1])
    cleaned = [part.strip(" '\"`:") for part in parts]
    return tuple(
        part for part in cleaned if 1 < len(part) <= 40 and part not in ("etc", "etc.") and not _TEMPLATE.match(part)
    )


def in_state(description: str) -> bool:
    """Tell whether a place is to be written with the code of its state, by the examples of a description.

    >>> in_state("The city and state, e.g. Reno, NV"), in_state("The city, e.g. Reno")
    (True, False)
    """
    return any(re.fullmatch(r"[A-Z][\w. ]+, [A-Z]{2}", hint) for hint in hints(description))


_TEMPLATE = re.compile(r"[YMDHSymdhsT:/. -]+Z?$")
"""What says how a date or a time is written, and is none itself."""


def within(outer: str, name: str) -> str:
    """Return the name of a member with what it is of, where its own name says little.

    >>> within("guests", "name"), within("guest", "phone")
    ('guest_name', 'phone')
    """
    return f"{outer.removesuffix('s')}_{name}" if outer and name in _OF_SOMETHING else name


_OF_SOMETHING = {"name", "title", "id", "type", "code", "description", "number", "label"}


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


_PARTS: dict[str, Callable[[random.Random], JSON]] = {
    "noun": lambda rng: rng.choice(NOUNS), "noun2": lambda rng: rng.choice(NOUNS),
    "Noun": lambda rng: rng.choice(NOUNS).title(), "Noun2": lambda rng: rng.choice(NOUNS).title(),
    "adj": lambda rng: rng.choice(ADJECTIVES), "adj2": lambda rng: rng.choice(ADJECTIVES),
    "Adj": lambda rng: rng.choice(ADJECTIVES).title(),
    "word": lambda rng: rng.choice(pool("word")), "word2": lambda rng: rng.choice(pool("word")),
    "Word": lambda rng: rng.choice(pool("word")).title(), "Inv": lambda rng: invented(rng).title(),
    "first": lambda rng: rng.choice(pool("first_name")), "name": lambda rng: rng.choice(pool("person")),
    "City": lambda rng: rng.choice(pool("city")), "n": lambda rng: rng.randint(2, 30), "q": lambda rng: rng.randint(1, 4),
}  # fmt: skip


@lru_cache(maxsize=1024)
def _fields(template: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for _, name, _, _ in string.Formatter().parse(template) if name))


def _fill(template: str, rng: random.Random) -> str:
    return template.format(**{name: _PARTS[name](rng) for name in _fields(template)})


def _identifier(rng: random.Random) -> str:
    letters = "".join(rng.choices(string.ascii_uppercase, k=rng.randint(1, 3)))
    digits = str(rng.randrange(10, 10 ** rng.randint(2, 6)))
    return rng.choice((digits, f"{letters}{digits}", f"{letters}-{digits}", f"#{digits}", f"{invented(rng)}{digits}"))


_QUERIES = ("{noun}", "{adj} {noun}", "{noun} {noun2}", "{word} {noun}", "{noun} {q}")
_KINDS = ("{noun}", "{noun}", "{noun}", "{adj} {noun}", "{noun} {noun2}", "{adj}", "{word}")
_MADE_OF = ("{noun}", "{noun}", "{adj} {noun}", "{word}", "{noun} {noun2}")
_WORKS = ("The {Noun}", "{Noun} of {Noun2}", "The {Adj} {Noun}", "{Adj} {Noun}", "{Noun}", "{first} and the {Noun}",
          "{first} {Inv}", "{Inv}", "A {Noun} for {first}", "In the {Noun}", "{Noun} {Noun2}", "My {Adj} {Noun}",
          "{Noun} on the {Noun2}", "{Word} {Noun}", "{Word}", "No {Noun}", "{Adj} {Noun}: The {Noun2}", "{Noun} {n}")  # fmt: skip
_LANDMARKS = ("{Inv} National Park", "Lake {Inv}", "Mount {Inv}", "{Inv} Forest", "{City} Museum", "{first} Memorial Hall", "{Inv} Bay",
              "{Noun} Museum", "{City} Airport", "{Inv} State Forest", "{Adj} {Noun} Theatre", "{first} Park", "{City} Station",
              "Port of {City}", "{Inv} Nature Reserve", "{City} Stadium", "The {Noun} Hall", "{Inv} Beach", "{Inv} Island")  # fmt: skip
_MAKERS = (
    "{name}",
    "{name}",
    "{name}",
    "{first} {Inv}",
    "{first}",
    "The {Noun}s",
    "{Adj} {Noun}",
    "{Inv}",
    "{first} {Word}",
)
_SERVICES = ("{Inv}", "{Noun}", "{Adj}{Noun}", "{Inv} {Noun}", "{Noun}{noun2}", "{Inv}fy", "{Noun} Plus", "{Word}")
_MANNERS = ("best", "popular", "cheapest", "newest", "top", "nearest", "highly rated", "latest", "most popular", "good",
            "favourite", "well known", "recommended", "fastest", "top rated", "oldest", "famous", "random", "top {n}")  # fmt: skip
_NEARNESS = ("near", "nearby", "close", "close to", "next to", "around", "far from", "north of", "south of", "east of",
             "in the neighbourhood of", "within walking distance of", "opposite", "behind", "left", "right", "within {n} miles of")  # fmt: skip
_WARMTHS = ("hot", "warm", "cold", "chilly", "freezing", "mild", "cool", "{n} degrees", "hotter", "colder", "humid")
_UNITS = (
    "points",
    "stars",
    "percent",
    "kilos",
    "miles",
    "hours",
    "metres",
    "pounds",
    "litres",
    "out of ten",
    "minutes",
)
_CLOCKS = ("{h}{half}", "{h} {half}", "{h}:{q5} {half}", "{h}:{q5}", "noon", "midnight", "{h} o'clock", "{h}", "half past {h}",
           "{h} in the {part}", "around {h}", "quarter to {h}", "{h}.{q5}{half}", "at {h} o'clock", "{h}:{q5}{half}")  # fmt: skip
_DAYS = ("tomorrow", "tonight", "today", "next week", "this weekend", "{day}", "next {day}", "{month} {d}", "the {d}th of {month}",
         "{day} {part}", "this {day}", "the day after tomorrow", "{month} {d}, {year}", "{d}/{m}/{year}", "the {d}th", "{d} {month}",
         "in a week", "{n} days from now", "this {part}")  # fmt: skip
_TIMES = (*_CLOCKS[:4], *_DAYS, "in {n} hours", "in {n} minutes", "on {day}", "tomorrow {part}", "right now", "later today",
          "in {month}", "in {month} {year}", "next year", "at lunch", "a year from now", "in {n} weeks", "now")  # fmt: skip


def _when(rng: random.Random, ways: tuple[str, ...] = _TIMES) -> str:
    return rng.choice(ways).format(
        h=rng.randint(1, 12), half=rng.choice(("am", "pm")), q5=rng.choice(("00", "15", "30", "45")), n=rng.randint(2, 20),
        day=rng.choice(calendar.day_name), part=rng.choice(("morning", "afternoon", "evening", "night")),
        month=rng.choice(calendar.month_name[1:]), d=rng.randint(4, 20), m=rng.randint(1, 12), year=rng.randint(2020, 2035),
    )  # fmt: skip


def _tally(rng: random.Random) -> str:
    small = rng.choice((rng.randint(0, 6), rng.randint(1, 10), rng.randint(1, 12)))
    return _NUMBER_WORDS[small] if rng.random() < 0.5 else str(small)


_NUMBER_WORDS = "zero one two three four five six seven eight nine ten eleven twelve".split()


def _place(rng: random.Random) -> str:
    return rng.choice(pool(rng.choice(("city", "city", "city", "country", "street")))).split(",")[0]


def _folder(rng: random.Random) -> str:
    inner = "/".join(rng.sample(NOUNS, rng.choice((1, 1, 2))))
    return rng.choice(
        (inner, f"~/{inner}", f"/{inner}", f"/home/{rng.choice(pool('first_name')).lower()}/{inner}", f"./{inner}")
    )


def town(rng: random.Random) -> str:
    """Return a town with the code of its state."""
    return f"{rng.choice(pool('city'))}, {rng.choice(pool('state_code'))}"


def _province(rng: random.Random) -> str:
    return rng.choice(pool("state" if rng.random() < 0.7 else "state_code"))


def _any_date(rng: random.Random, today: date) -> str:
    day = today + timedelta(days=rng.randint(0, 300))
    return rng.choice((f"{day:%d %B %Y}", day.isoformat(), _when(rng, _DAYS), _when(rng, _DAYS)))


def _of(*templates: str) -> Callable[[random.Random, date], str]:
    return lambda rng, today: _fill(rng.choice(templates), rng)


_WORDED: dict[str, Callable[[random.Random, date], str]] = {
    "text": _of(*_SENTENCES), "query": _of(*_QUERIES), "thing": _of(*_TITLES), "kind": _of(*_KINDS),
    "title": lambda rng, today: _fill(rng.choice(_TITLES if rng.random() < 0.4 else _WORKS), rng),
    "food": _of(*_MADE_OF), "feature": _of(*_MADE_OF), "maker": _of(*_MAKERS), "service": _of(*_SERVICES),
    "landmark": _of(*_LANDMARKS), "manner": _of(*_MANNERS), "nearness": _of(*_NEARNESS), "warmth": _of(*_WARMTHS), "unit": _of(*_UNITS),
    "quality": _of("{adj}", "{adj}", "{adj} {noun}", "{adj} and {adj2}"),
    "here": _of("here", "here", "my location", "my current location", "where i am", "this area", "my place", "{City}"),
    "owner": lambda rng, today: rng.choice(("my", "my", "our", *rng.sample(pool("first_name"), 4))),
    "person": lambda rng, today: rng.choice(pool("person" if rng.random() < 0.4 else "first_name")),
    "place": lambda rng, today: worded("landmark", rng, today) if rng.random() < 0.2 else _place(rng),
    "province": lambda rng, today: _province(rng),
    "id": lambda rng, today: _identifier(rng),
    "date": _any_date,
    "time": lambda rng, today: _when(rng, _CLOCKS if rng.random() < 0.8 else _TIMES),
    "moment": lambda rng, today: _when(rng),
    "tally": lambda rng, today: _tally(rng),
    "year": lambda rng, today: str(rng.randint(1950, 2026)),
    "folder": lambda rng, today: _folder(rng),
    "path": lambda rng, today: f"{_folder(rng)}/{rng.choice(pool('file'))}",
}  # fmt: skip


_UNITS_OF = {
    "temperature": ("celsius", "fahrenheit", "kelvin"), "speed": ("km/h", "mph", "m/s", "knots"), "distance": ("km", "miles", "meters"),
    "length": ("cm", "inches", "meters", "feet"), "height": ("cm", "feet", "meters"), "weight": ("kg", "pounds", "grams"), "mass": ("kg", "grams"),
    "precipitation": ("mm", "inches"), "volume": ("liters", "gallons", "ml"), "time": ("minutes", "hours", "seconds", "days"),
    "duration": ("minutes", "hours", "days"), "pressure": ("bar", "psi", "hPa"), "area": ("acres", "hectares"), "energy": ("kcal", "joules", "kWh"),
}  # fmt: skip


def worded(kind: str, rng: random.Random, today: date, name: str = "") -> str:
    """Return a realistic string of one concept; the argument's `name` may tell more.

    >>> worded("year", random.Random(1), date(2026, 1, 1)).isdigit()
    True
    """
    if rng.random() < 0.06:
        return invented(rng)
    if kind == "unit" and (known := next((_UNITS_OF[word] for word in words_of(name) if word in _UNITS_OF), ())):
        return rng.choice(known)
    if kind in _WORDED:
        return _WORDED[kind](rng, today)
    return rng.choice(pool(kind))

"""Valid, realistic values for a schema, by construction.

A schema is resolved once (`$ref` inlined to a bounded depth, `allOf` merged, the branches of `anyOf` and
`oneOf` kept), then a value is built for its type, its bounds and what its name and description say it is.
What cannot be built directly (a pattern with lookahead, say) is drawn and checked a bounded number of times.
"""

import random
import re
import string
from collections.abc import Mapping
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

from schematune.schemas.errors import SchemaError
from schematune.schemas.jsontext import JSON, compact
from schematune.schemas.lexicon import ADJECTIVES, NOUNS, invented, pool, words_of
from schematune.schemas.patterns import from_pattern
from schematune.schemas.validate import is_valid

__all__ = ["Sampler", "clock", "concept", "hints", "is_clock", "resolve"]

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


def resolve(schema: JSON, root: JSON, depth: int = 0) -> Mapping[str, JSON]:
    """Return `schema` with its local `$ref` followed and `allOf` merged in; recursion is cut off."""
    if not isinstance(schema, Mapping):
        return {} if schema is not False else {"not": {}}
    merged: dict[str, JSON] = dict(schema)
    reference = merged.pop("$ref", None)
    if isinstance(reference, str) and depth < 16:
        merged = {**resolve(_target(reference, root), root, depth + 1), **merged}
    for part in merged.pop("allOf", ()):
        part = resolve(part, root, depth + 1)
        for key, value in part.items():
            if key == "properties":
                merged[key] = {**merged.get(key, {}), **value}
            elif key == "required":
                merged[key] = list(dict.fromkeys([*merged.get(key, ()), *value]))
            else:
                merged.setdefault(key, value)
    return merged


def _target(reference: str, root: JSON) -> JSON:
    node = root
    for part in reference.removeprefix("#").split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        node = node[int(key)] if isinstance(node, list) else node.get(key, {}) if isinstance(node, Mapping) else {}
    return node


class Sampler:
    """Draws values for schemas; the same `rng` state gives the same values.

    `root` is the document that local references point into. `today` is what dates are drawn around.

    >>> sampler = Sampler(random.Random(0))
    >>> value = sampler.value({"type": "integer", "minimum": 3, "maximum": 5}, "people")
    >>> 3 <= value <= 5
    True
    """

    def __init__(self, rng: random.Random, *, root: JSON = None, today: date | None = None) -> None:
        """See the class."""
        self.rng, self.root = rng, root if root is not None else {}
        self.today = today or date(2026, 1, 1)

    def value(self, schema: JSON, name: str = "", *, depth: int = 0) -> JSON:
        """Draw one valid value; raises `SchemaError` where none was found."""
        resolved = resolve(schema, self.root)
        for _ in range(20):
            drawn = self._draw(resolved, name, depth)
            if depth or is_valid(_document(schema, self.root), drawn):
                return drawn
        raise SchemaError(
            f"no valid value found for {compact(dict(resolved))[:120]}", where=name, fix="loosen it or add examples"
        )

    def _draw(self, schema: Mapping[str, JSON], name: str, depth: int) -> JSON:
        rng = self.rng
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return rng.choice(schema["enum"])
        for key in ("anyOf", "oneOf"):
            branches = [b for b in schema.get(key, ()) if not (isinstance(b, Mapping) and b.get("type") == "null")]
            if branches:
                rest = {k: v for k, v in schema.items() if k != key}
                return self._draw({**rest, **resolve(rng.choice(branches), self.root)}, name, depth)
        if schema.get("examples") and rng.random() < 0.5:
            return rng.choice(schema["examples"])
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = next((one for one in kind if one != "null"), "null")
        if kind is None:
            kind = "object" if "properties" in schema else "array" if "items" in schema else "string"
        return self._MAKERS[str(kind)](self, schema, name, depth)

    def _string(self, schema: Mapping[str, JSON], name: str, depth: int) -> str:
        if is_clock(schema):
            return clock(self.rng)
        if "pattern" in schema:
            return from_pattern(schema["pattern"], self.rng)
        form = schema.get("format")
        if form in _FORMATS:
            return str(_FORMATS[str(form)](self.rng, self.today))
        said = hints(str(schema.get("description", "")))
        if said and self.rng.random() < 0.4:
            text = self.rng.choice(said)
        else:
            text = _worded(concept(name), self.rng, self.today)
        low, high = schema.get("minLength", 0), schema.get("maxLength", 10_000)
        while len(text) < low:
            text += self.rng.choice(string.ascii_lowercase)
        return text[:high].rstrip() if len(text[:high].rstrip()) >= low else text[:high]

    def _number(self, schema: Mapping[str, JSON], name: str, depth: int) -> float | int:
        whole = schema.get("type") == "integer" or (
            isinstance(schema.get("type"), list) and "integer" in schema["type"]
        )
        low, high = _bounds(schema, whole)
        step = schema.get("multipleOf")
        if step:
            place = self.rng.randint(-(-low // step), high // step) if high >= low else 0
            return place * step  # type: ignore[no-any-return]
        if whole:
            if _MINUTES.search(name) and high >= 60:
                return self.rng.choice([n for n in (5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240) if low <= n <= high])
            small = min(high, max(low, 12) if low <= 12 else low + 12)
            return self.rng.randint(int(low), int(small if self.rng.random() < 0.6 else high))
        if self.rng.random() < 0.5 and int(high) > int(low) + 1:
            return self.rng.randint(int(low) + 1, int(min(high, low + 200)) - (int(high) == high <= low + 200))
        drawn = round(low + (min(high, low + 500) - low) * self.rng.random(), self.rng.choice((1, 1, 2)))
        return drawn if low < drawn < high else (low + high) / 2

    def _boolean(self, schema: Mapping[str, JSON], name: str, depth: int) -> bool:
        default = schema.get("default")
        return not default if isinstance(default, bool) and self.rng.random() < 0.7 else self.rng.random() < 0.6

    def _array(self, schema: Mapping[str, JSON], name: str, depth: int) -> list[JSON]:
        low = schema.get("minItems", 1)
        high = min(schema.get("maxItems", low + 3), low + 3)
        items: list[JSON] = []
        prefix = schema.get("prefixItems", ())
        for place in range(max(low, self.rng.randint(low, max(low, high)))):
            inner = prefix[place] if place < len(prefix) else schema.get("items", {"type": "string"})
            drawn = [self._draw(resolve(inner, self.root), name, depth + 1) if depth < 8 else None for _ in range(4)]
            fresh = [item for item in drawn if item not in items]
            if fresh or (len(items) < low and not schema.get("uniqueItems")):
                items.append(fresh[0] if fresh else drawn[0])
        return items

    def _object(self, schema: Mapping[str, JSON], name: str, depth: int) -> dict[str, JSON]:
        required = schema.get("required", ())
        share = 0.0 if depth > 5 else self.rng.choice((0.2, 0.5, 0.8))
        value = {
            key: self._draw(resolve(inner, self.root), key, depth + 1)
            for key, inner in schema.get("properties", {}).items()
            if key in required or self.rng.random() < share
        }
        for key in required:
            value.setdefault(key, pool("word")[self.rng.randrange(100)])
        return value

    def _null(self, schema: Mapping[str, JSON], name: str, depth: int) -> None:
        return None

    _MAKERS: dict[str, Any] = {
        "string": _string,
        "number": _number,
        "integer": _number,
        "boolean": _boolean,
        "array": _array,
        "object": _object,
        "null": _null,
    }


_MINUTES = re.compile("minute|duration|length|seconds")


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


def _document(schema: JSON, root: JSON) -> JSON:
    """Return `schema` with the definitions that its references need."""
    if not isinstance(schema, Mapping) or not isinstance(root, Mapping):
        return schema
    shared = {key: root[key] for key in ("$defs", "definitions") if key in root}
    return {**shared, **schema}


def _bounds(schema: Mapping[str, JSON], whole: bool) -> tuple[float, float]:
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    edge = 1 if whole else 0.01
    if isinstance(above, int | float) and not isinstance(above, bool):
        low = above + edge if low is None else max(low, above + edge)
    if isinstance(below, int | float) and not isinstance(below, bool):
        high = below - edge if high is None else min(high, below - edge)
    if low is None:
        low = 1 if high is None or high > 1 else high - 100
    return low, (max(low + 1, low * 4, 100) if high is None else high)


def _days_ahead(rng: random.Random) -> int:
    """Draw how far ahead a day is: people mostly mean today, tomorrow or this week."""
    return rng.choice((0, 1, 1, rng.randint(0, 7), rng.randint(2, 7), rng.randint(8, 60), rng.randint(0, 330)))


_FORMATS: dict[str, Any] = {
    "date": lambda rng, today: (today + timedelta(days=_days_ahead(rng))).isoformat(),
    "date-time": lambda rng, today: f"{today + timedelta(days=rng.randint(0, 60))}T{rng.randrange(24):02}:{rng.choice((0, 15, 30, 45)):02}:00Z",
    "time": lambda rng, today: f"{clock(rng)}:00Z",
    "email": lambda rng, today: rng.choice(pool("email")),
    "uri": lambda rng, today: rng.choice(pool("url")),
    "url": lambda rng, today: rng.choice(pool("url")),
    "uuid": lambda rng, today: "-".join("".join(rng.choices("0123456789abcdef", k=k)) for k in (8, 4, 4, 4, 12)),
    "ipv4": lambda rng, today: ".".join(str(rng.randrange(1, 255)) for _ in range(4)),
    "ipv6": lambda rng, today: ":".join("".join(rng.choices("0123456789abcdef", k=4)) for _ in range(8)),
    "hostname": lambda rng, today: f"{invented(rng)}.example.com",
    "duration": lambda rng, today: f"PT{rng.randint(1, 59)}M",
}  # fmt: skip

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


def _worded(kind: str, rng: random.Random, today: date) -> str:
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

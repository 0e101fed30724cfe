"""What can be seen of a request's words beside a tool and its arguments, whatever the tool: numbers that a linear model weighs.

An argument is told by what stands for it (its concept, type, role and the words of its name), a word by what is around it;
each pair of the two is a feature, and so is where the argument's own words are said near the word. A weight learnt on some
tools so holds for all others (Bapna et al. 2017, "Towards zero-shot frame semantic parsing for domain scaling").
"""

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from schematune.decoding.tagger import Array, shape_of
from schematune.schemas.described import form_of
from schematune.schemas.gazetteer import kinds_of
from schematune.schemas.jsontext import JSON
from schematune.schemas.lexicon import words_of
from schematune.schemas.pair import REPLY
from schematune.schemas.realistic import concept, in_state
from schematune.schemas.roles import role_of
from schematune.schemas.tool import Tool

__all__ = [
    "SEEN",
    "Array",
    "Slot",
    "hashed",
    "ids_of",
    "is_assent",
    "kind_of",
    "slots_of",
    "stem",
    "telling",
    "words_seen",
]

SEEN = 2**20
"""Buckets that features are hashed to."""

_NEAR = (-4, -3, -2, -1, 0, 1, 2, 3)
"""Places around a word in which the words of an argument are looked for."""

_UNITS = {
    "kg": "kilogram", "g": "gram", "lb": "pound", "lbs": "pound", "km": "kilomet", "cm": "centimet", "mm": "millimet", "m": "met", "mi": "mil",
    "ft": "foot", "feet": "foot", "h": "hour", "hr": "hour", "hrs": "hour", "min": "minut", "mins": "minut", "s": "second", "sec": "second",
    "secs": "second", "%": "percent", "pct": "percent", "percentage": "percent", "$": "dollar", "usd": "dollar", "€": "euro", "eur": "euro",
    "£": "pound", "°": "degre", "l": "lit", "ml": "millilit", "v": "volt", "w": "watt", "k": "kelvin", "c": "celsius", "f": "fahrenheit",
    "metre": "met", "meter": "met", "kilometre": "kilomet", "kilometer": "kilomet", "centimetre": "centimet", "centimeter": "centimet",
    "litre": "lit", "liter": "lit", "mile": "mil", "minute": "minut", "degree": "degre",
}  # fmt: skip
"""What units are written as, and what stands for them."""
_SAYS_NOTHING = frozenset(
    "the a an of to for in on and or is be by with your which that this it its as at from what are if can will must should when "
    "where who how value optional required default name string number integer date time type list user given".split()
)
_ASSENT = frozenset(
    "yes yeah yep yup yea ya sure ok okay alright fine good great perfect nice cool lovely awesome excellent wonderful right correct exactly "
    "indeed absolutely definitely certainly please do it that this s is was are sounds sound looks works work for me to with you i like love go "
    "ahead thanks thank thankyou one no nope not now yet never mind nah so all very much will would be done just really and the a of course "
    "then what want need am happy confirm confirmed agreed suits us they them let m ll d lot as well anything else".split()
)
"""Words that assent, thank and decline are made of."""

_STOPS, _QUOTES = frozenset(".?!:"), frozenset('"\u201c\u201d')
_ODD, _EVEN, _LAST = (np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0xBF58476D1CE4E5B9))


@lru_cache(maxsize=2**16)
def stem(word: str) -> str:
    """Return a word without the commonest endings, a unit as what stands for it.

    >>> stem("boxes"), stem("booking"), stem("is"), stem("kg") == stem("kilograms"), stem("metres") == stem("m")
    ('box', 'book', 'is', True, True)
    >>> stem("movies") == stem("movie"), stem("cities") == stem("city"), stem("planned") == stem("plans"), stem("riding") == stem("ride")
    (True, True, True, True)
    """
    return _UNITS.get(word) or _UNITS.get(word.removesuffix("s")) or _bare(word)


def _bare(word: str) -> str:
    if word.endswith("s") and len(word) > 3 and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending in ("ing", "ed"):
        left = word.removesuffix(ending)
        if left != word and len(left) > 2 and not word.endswith("eed") and set(left) & set("aeiouy"):
            word = left[:-1] if left[-1] == left[-2] and left[-1] not in "lsz" else left
            break
    word = word[:-1] if word.endswith("e") and len(word) > 3 else word
    return word[:-1] + "i" if word.endswith("y") and len(word) > 3 else word


@lru_cache(maxsize=2**16)
def telling(text: str) -> frozenset[str]:
    """Return the stems of a text's words that say something.

    >>> sorted(telling("The name of the sprocket, in boxes."))
    ['box', 'sprocket']
    """
    return frozenset(stem(word) for word in re.findall(r"[a-z]+", text.lower()) if word not in _SAYS_NOTHING)


def is_assent(words: Sequence[str]) -> bool:
    """Tell whether a line's words, small letters, say no more than yes, no or thanks.

    >>> is_assent("yes that sounds good".split()), is_assent("yes , in oslo".split())
    (True, False)
    """
    return all(word in _ASSENT or not word[:1].isalnum() for word in words)


@lru_cache(maxsize=2**17)
def _number(text: str) -> int:
    return zlib.crc32(text.encode())


def hashed(texts: Sequence[str]) -> Array:
    """Return a number for each text, uint64."""
    return np.array([_number(text) for text in texts], dtype=np.uint64)


def ids_of(one: Array, other: Array) -> Array:
    """Return the buckets of pairs of numbers, int64, of the shape that the two broadcast to.

    >>> ids_of(hashed("ab")[:, None], hashed("xyz")[None, :]).shape
    (2, 3)
    """
    with np.errstate(over="ignore"):
        mixed = (one * _ODD) ^ ((other + np.uint64(1)) * _EVEN)
        mixed = (mixed ^ (mixed >> np.uint64(29))) * _LAST
    buckets: Array = ((mixed ^ (mixed >> np.uint64(32))) % np.uint64(SEEN)).astype(np.int64)
    return buckets


def kind_of(schema: JSON) -> str:
    """Return the type of an argument with its form: `"string"`, `"string-date"`, `"enum"`, `"array-integer"`, ...

    >>> kind_of({"type": "array", "items": {"type": "string", "format": "date"}}), kind_of({"enum": [1]}), kind_of(True)
    ('array-string-date', 'enum', 'any')
    """
    if not isinstance(schema, Mapping):
        return "any"
    if "enum" in schema:
        return "enum"
    kind, form = schema.get("type"), form_of(schema)
    kind = kind if isinstance(kind, str) else "any"
    if kind == "array":
        return f"array-{kind_of(schema.get('items', True))}"
    return f"{kind}-{form}" if form else kind


@dataclass(frozen=True)
class Slot:
    """An argument: its name, its type, the numbers that stand for it, the stems of its words and listed values, and these whole."""

    name: str
    kind: str
    told: Array
    words: frozenset[str]
    described: frozenset[str]
    listed: frozenset[str]
    whole: frozenset[tuple[str, ...]]


def slots_of(tool: Tool) -> tuple[Slot, ...]:
    """Return a tool's arguments, in their order."""
    return tuple(_slot(name, schema, name in tool.required) for name, schema in tool.properties.items())


def _slot(name: str, schema: JSON, required: bool) -> Slot:
    words, kind, known = words_of(name), kind_of(schema), schema if isinstance(schema, Mapping) else {}
    form = form_of(known) if known else ""
    role = role_of(name, kind.split("-")[0], form)
    described_as = str(known.get("description", ""))
    told = [
        "", f"c{concept(name)}", f"t{kind}", f"c{concept(name)} t{kind}", f"r{role} t{kind}", f"q{required}", f"y{kind.split('-')[0]}",
        *(["state"] if in_state(described_as) else ()),
    ]  # fmt: skip
    items = known.get("items")
    values = known.get("enum") or (items.get("enum") if isinstance(items, Mapping) else None) or ()
    listed = frozenset(stem(word) for value in values for word in re.findall(r"[a-z0-9]+", str(value).lower()))
    own = frozenset(map(stem, words))
    whole = frozenset(
        tuple(re.findall(r"\w+|[^\w\s]", str(value).lower())) for value in values if isinstance(value, str)
    )
    return Slot(name, kind, hashed(told), own, telling(described_as) - own, listed, whole)


def words_seen(
    text: str, spans: Sequence[tuple[int, int]], tool: Tool, slots: Sequence[Slot]
) -> tuple[list[Array], list[list[Array]]]:
    """Return the buckets of each word as one of no argument, and, for each word, those of it as one of each argument.

    `spans` are the places of the words in the `text`.

    >>> from schematune.schemas.tool import ToolSet
    >>> [tool] = ToolSet({"name": "play", "parameters": {"properties": {"song": {"type": "string"}}}})
    >>> outside, inside = words_seen("play Yesterday", [(0, 4), (5, 14)], tool, slots_of(tool))
    >>> len(outside), [len(one) for one in inside]
    (2, [1, 1])
    """
    words = [text[start:end] for start, end in spans]
    around, counted = _around(words, [text.count("\n", 0, start) for start, _ in spans])
    stems = ["", "", *(stem(word.lower()) for word in words), "", ""]
    owners = [sum(word in slot.words for slot in slots) if word else 0 for word in stems]
    ends = np.cumsum([len(some) for some in around])[:-1]
    flat = np.concatenate(around)
    named = frozenset(map(stem, words_of(tool.name)))
    nothing, beside = hashed(["outside"]), hashed(["near"])
    outside = [
        np.concatenate([found, ids_of(nothing, hashed(near))])
        for found, near in zip(
            np.split(ids_of(nothing, flat), ends), _near_tool(stems, named, tool, owners, len(words)), strict=True
        )
    ]
    numbers = [slot.name for slot in slots if slot.kind.startswith(("integer", "number"))]
    all_said = max(counted, default=-1) + 1 == len(numbers)
    inside: list[list[Array]] = [[] for _ in words]
    for slot in slots:
        crossed = np.split(ids_of(slot.told[:, None], flat[None, :]), ends, axis=1)
        turn = numbers.index(slot.name) if slot.name in numbers else None
        exact = _listed_at(words, slot)
        for place, (found, near) in enumerate(zip(crossed, _near_slot(stems, slot, owners, len(words)), strict=True)):
            near += [*exact[place], *(["tool's"] if stems[place + 2] in named else ())]
            near += [] if turn is None else _in_turn(counted[place], turn, all_said)
            typed = [*near, *(f"{one} t{slot.kind}" for one in near)]
            inside[place].append(np.concatenate([found.ravel(), ids_of(beside, hashed(typed))]))
    return outside, inside


def _listed_at(words: Sequence[str], slot: Slot) -> list[list[str]]:
    """Tell for each word whether a listed value of the argument is said in full, beginning there or before."""
    found: list[list[str]] = [[] for _ in words]
    low = [word.lower() for word in words] if slot.whole else []
    for value in slot.whole:
        for place in range(len(low) - len(value) + 1) if value else ():
            if tuple(low[place : place + len(value)]) == value:
                found[place].append("whole")
                for later in range(place + 1, place + len(value)):
                    found[later].append("whole+")
    return [list(dict.fromkeys(some)) for some in found]


def _in_turn(place: int, turn: int, all_said: bool) -> list[str]:
    """Tell whether a number (the `place`-th; -1 for any other word) is said where an argument that takes one is listed."""
    return [] if place < 0 else [f"turn{max(-2, min(2, place - turn))}", f"turn{place == turn} {all_said}"]


def _around(words: Sequence[str], lines: Sequence[int]) -> tuple[list[Array], list[int]]:
    """Return the numbers of what is around each word, none of it in another line, and how many numbers are said before each that is one, or -1."""
    low, kinds = [word.lower() for word in words], [frozenset[str](), *kinds_of(words), frozenset[str]()]
    found, quoted, counted = [], False, list[int]()
    first = [place == 0 or lines[place - 1] != line for place, line in enumerate(lines)]
    replies = {line for place, line in enumerate(lines) if first[place] and words[place] == REPLY}
    own = set(lines) - replies
    agreed = {line: is_assent([word for word, at in zip(low, lines, strict=True) if at == line]) for line in set(lines)}
    later = {line: sum(one > line for one in own) for line in set(lines)}
    ends = {line: place for place, line in enumerate(lines)}

    def near(place: int, off: int) -> str:
        there = place + off
        inside = 0 <= there < len(words) and lines[there] == lines[place]
        return low[there] if inside else ("<" if off < 0 else ">")

    begun = many = 0
    for place, word in enumerate(words):
        begun = place if first[place] else begun
        begins = first[place] or low[place - 1] in _STOPS
        quoted ^= word in _QUOTES
        is_number = word[:1].isdigit() or bool(kinds[place + 1] & {"number"})
        counted.append(many if is_number else -1)
        many += is_number
        grams = [
            "", f"0{low[place]}", f"b{near(place, -1)}", f"a{near(place, 1)}", f"c{near(place, -2)}", f"d{near(place, 2)}",
            f"i{begins}{shape_of(word)}", f"k{low[place][-3:]}", f"P{min(place - begun, 3)}", f"L{min(ends[lines[place]] - place, 3)}", f"Q{quoted}",
            f"Y{min(later[lines[place]], 3)}", f"A{low[place] in _ASSENT}{agreed[lines[place]]}", *([f"R{min(later[lines[place]], 3)}"] if lines[place] in replies else ()),
            *(f"{part}{kind}" for part, some in zip("lmn", kinds[place : place + 3], strict=True) for kind in sorted(some)),
        ]  # fmt: skip
        found.append(hashed(grams))
    return found, counted


def _near_tool(
    stems: Sequence[str], named: frozenset[str], tool: Tool, owners: Sequence[int], count: int
) -> list[list[str]]:
    """Tell for each word where the tool's own words (`named` are the stems of its name), or any argument's, are said near it; `owners` counts whose each stem is."""
    described = telling(tool.description) - named
    marks = [
        (word in named, word in described, owned > 0) if word else (False,) * 3
        for word, owned in zip(stems, owners, strict=True)
    ]
    return [
        [f"{sign}{off}" for off in range(-2, 3) for sign, is_so in zip("TDN", marks[place + 2 + off], strict=True) if is_so]
        for place in range(count)
    ]  # fmt: skip


def _near_slot(stems: Sequence[str], slot: Slot, owners: Sequence[int], count: int) -> list[list[str]]:
    """Tell for each word where the argument's own words are said near it, or another's."""
    named = [word in slot.words for word in stems]
    described = [word in slot.described for word in stems]
    said, found = any(named), []
    for place in range(2, count + 2):
        near = [] if said else ["unsaid"]
        for off in _NEAR:
            at = place + off
            if not 0 <= at < len(stems):
                continue
            if named[at]:
                near += [f"n{off}", "before" if off < 0 else "after" if off else "here"]
            elif described[at] and -2 <= off <= 1:
                near.append(f"d{off}")
            if owners[at] and not named[at] and off in (-2, -1, 1):
                near.append(f"o{off}")
        near += [f"listed{off}" for off in (-1, 0) if stems[place + off] in slot.listed]
        found.append(list(dict.fromkeys(near)))
    return found

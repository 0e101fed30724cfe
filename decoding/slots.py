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
from schematune.schemas.realistic import concept
from schematune.schemas.roles import role_of
from schematune.schemas.tool import Tool

__all__ = ["SEEN", "Array", "Slot", "hashed", "ids_of", "kind_of", "slots_of", "stem", "telling", "words_seen"]

SEEN = 2**18
"""Buckets that features are hashed to."""

_NEAR = (-4, -3, -2, -1, 0, 1, 2, 3)
"""Places around a word in which the words of an argument are looked for."""

_ENDINGS = ("ies", "es", "s", "ing", "ed")
_SAYS_NOTHING = frozenset(
    "the a an of to for in on and or is be by with your which that this it its as at from what are if can will must should when "
    "where who how value optional required default name string number integer date time type list user given".split()
)
_ODD, _EVEN, _LAST = (np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0xBF58476D1CE4E5B9))


def stem(word: str) -> str:
    """Return a word without the commonest endings.

    >>> stem("boxes"), stem("booking"), stem("is")
    ('box', 'book', 'is')
    """
    return next((word[: -len(e)] for e in _ENDINGS if word.endswith(e) and len(word) - len(e) >= 3), word)


@lru_cache(maxsize=2**16)
def telling(text: str) -> frozenset[str]:
    """Return the stems of a text's words that say something.

    >>> sorted(telling("The name of the sprocket, in boxes."))
    ['box', 'sprocket']
    """
    return frozenset(stem(word) for word in re.findall(r"[a-z]+", text.lower()) if word not in _SAYS_NOTHING)


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
    """An argument: its name, its type, the numbers that stand for it, and the stems of its words and listed values."""

    name: str
    kind: str
    told: Array
    words: frozenset[str]
    described: frozenset[str]
    listed: frozenset[str]


def slots_of(tool: Tool) -> tuple[Slot, ...]:
    """Return a tool's arguments, in their order."""
    return tuple(_slot(name, schema, name in tool.required) for name, schema in tool.properties.items())


def _slot(name: str, schema: JSON, required: bool) -> Slot:
    words, kind, known = words_of(name), kind_of(schema), schema if isinstance(schema, Mapping) else {}
    form = form_of(known) if known else ""
    role = role_of(name, kind.split("-")[0], form)
    told = ["", f"c{concept(name)}", f"t{kind}", f"c{concept(name)} t{kind}", f"r{role} t{kind}", f"q{required}"]
    items = known.get("items")
    values = known.get("enum") or (items.get("enum") if isinstance(items, Mapping) else None) or ()
    listed = frozenset(stem(word) for value in values for word in re.findall(r"[a-z0-9]+", str(value).lower()))
    own = frozenset(map(stem, words))
    described = telling(str(known.get("description", ""))) - own
    return Slot(name, kind, hashed(told), own, described, listed)


def words_seen(words: Sequence[str], tool: Tool, slots: Sequence[Slot]) -> tuple[list[Array], list[list[Array]]]:
    """Return the buckets of each word as one of no argument, and, for each word, those of it as one of each argument.

    >>> from schematune.schemas.tool import ToolSet
    >>> [tool] = ToolSet({"name": "play", "parameters": {"properties": {"song": {"type": "string"}}}})
    >>> outside, inside = words_seen(["play", "Yesterday"], tool, slots_of(tool))
    >>> len(outside), [len(one) for one in inside]
    (2, [1, 1])
    """
    around = _around(words)
    stems = ["", "", *(stem(word.lower()) for word in words), "", ""]
    owners = [sum(word in slot.words for slot in slots) if word else 0 for word in stems]
    ends = np.cumsum([len(some) for some in around])[:-1]
    flat = np.concatenate(around)
    nothing, beside = hashed(["outside"]), hashed(["near"])
    outside = [
        np.concatenate([found, ids_of(nothing, hashed(near))])
        for found, near in zip(
            np.split(ids_of(nothing, flat), ends), _near_tool(stems, tool, owners, len(words)), strict=True
        )
    ]
    inside: list[list[Array]] = [[] for _ in words]
    for slot in slots:
        crossed = np.split(ids_of(slot.told[:, None], flat[None, :]), ends, axis=1)
        for place, (found, near) in enumerate(zip(crossed, _near_slot(stems, slot, owners, len(words)), strict=True)):
            typed = [*near, *(f"{one} t{slot.kind}" for one in near)]
            inside[place].append(np.concatenate([found.ravel(), ids_of(beside, hashed(typed))]))
    return outside, inside


def _around(words: Sequence[str]) -> list[Array]:
    """Return the numbers of what is around each word."""
    low, kinds = ["<<", "<", *(word.lower() for word in words), ">", ">>"], [frozenset[str](), *kinds_of(words)]
    kinds, shapes = [*kinds, frozenset()], ["<", *map(shape_of, words), ">"]
    found, quoted = [], False
    for place, word in enumerate(words):
        before2, before, here, after, after2 = low[place : place + 5]
        quoted ^= word == '"'
        grams = [
            "", f"0{here}", f"b{before}", f"a{after}", f"c{before2}", f"d{after2}",
            f"i{shapes[place + 1]}", f"k{here[-3:]}",
            f"P{min(place, 3)}", f"L{min(len(words) - 1 - place, 3)}", f"Q{quoted}",
            *(f"{part}{kind}" for part, some in zip("lmn", kinds[place : place + 3], strict=True) for kind in sorted(some)),
        ]  # fmt: skip
        found.append(hashed(grams))
    return found


def _near_tool(stems: Sequence[str], tool: Tool, owners: Sequence[int], count: int) -> list[list[str]]:
    """Tell for each word where the tool's own words, or any argument's, are said near it; `owners` counts whose each stem is."""
    named, described = frozenset(map(stem, words_of(tool.name))), telling(tool.description)
    described -= named
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

"""Texts that a record is read out of: lines with labels, sentences, a note with all of it in passing.

A JSON Schema of a thing (an invoice, a job posting) is no tool that anybody asks for: what comes in is a text that
holds the thing's members, and often says what it is of only once, or never.
"""

import random
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from schematune.schemas.frames import deed_of, verb_and_thing
from schematune.schemas.jsontext import JSON
from schematune.schemas.lexicon import VERBS, words_of
from schematune.schemas.normal import resolve
from schematune.schemas.pieces import Piece
from schematune.schemas.roles import spoken
from schematune.schemas.tool import Tool

if TYPE_CHECKING:
    from schematune.schemas.wording import Worder

__all__ = ["RECORDS", "is_record", "record", "worded_as_record"]

RECORDS = 0.6
"""Share of a record's texts that are worded as one; the others are requests, as of a tool."""

_THINGS = {"a", "an", "the", "this", "one", "details", "information", "data", "all", "what"}
"""How descriptions of things begin; those of tools that are named in lower case mostly begin with a verb."""

_AROUND = ("hi all,", "dear team,", "fyi:", "see below.", "as discussed:", "for our files:", "here it is:", "update:")
_AFTER = ("thanks.", "best regards", "let me know.", "that is all.", "more to follow.", "please confirm.")


def is_record(tool: Tool) -> bool:
    """Tell whether a tool's name says a thing, as a JSON Schema's title does, and no deed.

    >>> from schematune.schemas.tool import ToolSet
    >>> invoice = {"title": "Invoice", "type": "object", "properties": {"total": {"type": "number"}}}
    >>> [is_record(tool) for tool in ToolSet([invoice, {"name": "book_table", "parameters": invoice}])]
    [True, False]
    """
    name = tool.name.rsplit(".", 1)[-1]
    words = words_of(name)
    named = name == tool.name and name[:1].isupper() and len(words) == 1
    first = words_of(tool.description)[:1]
    acts = deed_of(tool.description) or verb_and_thing(name, tool.description)[0] in words[:1]
    acts = acts or bool(name[:1].islower() and first and first[0] not in _THINGS and first[0] not in words)
    return bool(tool.properties) and (named or not (acts or any(word in VERBS for word in (words[:1] + words[-1:]))))


def record(worder: "Worder", tool: Tool, values: Mapping[str, JSON], place: int = 0) -> tuple[list[Piece], str]:
    """Word the values of a record as a text; returns the pieces and the name of the text's shape."""
    rng, thing = worder.rng, spoken(tool.name)
    lined = rng.random() < 0.5
    names = list(values)
    if rng.random() < 0.5:
        rng.shuffle(names)
    made = _Lines(worder, tool.parameters, rng.choice((":", ":", ":", " -", " =", ""))) if lined else None
    pieces = [Piece(rng.choice(_AROUND))] if rng.random() < 0.15 else []
    if rng.random() < 0.6:
        pieces.append(
            Piece(rng.choice((thing, thing, f"the {thing}", f"new {thing}", f"{thing} details")) + ":" * lined)
        )
    begun = bool(pieces)
    for number, name in enumerate(names):
        schema, path = resolve(tool.properties.get(name, {}), tool.parameters), f"{place}.{name}"
        if made is not None:
            pieces += made.line(name, schema, values[name], path, first=number == 0, begun=begun)
        else:
            pieces += _sentence(
                worder, name, schema, values[name], path, tool.parameters, last=number == len(names) - 1
            )
    if rng.random() < 0.1:
        pieces += [Piece("\n", glued=True)] * lined + [Piece(rng.choice(_AFTER))]
    return pieces, f"record/{'lines' if lined else 'prose'}"


class _Lines:
    """Writes members as lines with their names before them; those of parts within the line, or below it."""

    def __init__(self, worder: "Worder", root: JSON, sign: str) -> None:
        self.worder, self.root, self.sign, self.rng = worder, root, sign, worder.rng
        self.bullet = self.rng.choice(("", "", "- ", "* "))
        self.between = self.rng.choice(("\n", "\n", "\n", ";", ","))

    def line(
        self, name: str, schema: Mapping[str, JSON], value: JSON, path: str, *, first: bool, begun: bool
    ) -> Iterator[Piece]:
        """Yield the pieces of one member; `begun` where a heading stands before the first."""
        if self.between == "\n":
            yield Piece(("\n" if begun or not first else "") + self.bullet.strip(), glued=True)
        elif not first:
            yield Piece(self.between)
        label = spoken(name)
        yield Piece((label.capitalize() if self.rng.random() < 0.5 else label) + self.sign)
        yield from self._value(name, schema, value, path)

    def _value(self, name: str, schema: Mapping[str, JSON], value: JSON, path: str) -> Iterator[Piece]:
        if isinstance(value, bool):
            yield Piece(self.rng.choice(("yes", "true", "y") if value else ("no", "false", "n")), (path,), "said")
        elif value in ({}, []):
            yield Piece(self.rng.choice(("none", "n/a", "-")), (path,), "said")
        elif isinstance(value, dict):
            inner = schema.get("properties", {})
            for number, (key, item) in enumerate(value.items()):
                if number:
                    yield Piece(",")
                part = resolve(inner.get(key, {}), self.root)
                if self.rng.random() < 0.6 or isinstance(item, bool):
                    yield Piece(spoken(key))
                yield from self._value(key, part, item, f"{path}.{key}")
        elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
            items = resolve(schema.get("items", {}), self.root)
            for number, item in enumerate(value):
                if number:
                    yield Piece(";" if self.between != "\n" else "\n-", glued=True)
                yield from self._value(name, items, item, f"{path}.{number}")
        else:
            yield from self.worder.phrase(name, schema, value, path, self.root, bare=True)


def _sentence(
    worder: "Worder", name: str, schema: Mapping[str, JSON], value: JSON, path: str, root: JSON, *, last: bool
) -> Iterator[Piece]:
    """Yield the pieces of one member in running text: a sentence of its own, or a phrase of one."""
    rng, label = worder.rng, spoken(name)
    if isinstance(value, bool | dict) or rng.random() < 0.3:
        yield from worder.phrase(name, schema, value, path, root)
    else:
        said = worder.phrase(name, schema, value, path, root, bare=True)
        several = "are" if isinstance(value, list) and len(value) > 1 else "is"
        way = rng.randrange(4)
        yield from _told(way, label, several, said)
    yield Piece("." if last or rng.random() < 0.6 else ",")


def _told(way: int, label: str, several: str, said: list[Piece]) -> Iterator[Piece]:
    if way == 0:
        yield from [Piece(f"the {label} {several}"), *said]
    elif way == 1:
        yield from [Piece(label), *said]
    elif way == 2:
        yield from [*said, Piece(f"{several} the {label}")]
    else:
        yield from [Piece(f"{label}:"), *said]


def worded_as_record(rng: random.Random, tool: Tool) -> bool:
    """Draw whether a call of `tool` is worded as a record's text; nothing is drawn for other tools."""
    return is_record(tool) and rng.random() < RECORDS

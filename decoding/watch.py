"""Values checked as they grow: each as soon as it is complete, against what its place in the schema asks of it.

`Checks` knows of one schema what every value at a place must fit, whatever the choices around it: so a value that does
not fit makes the whole invalid, and can be taken back at once. What only holds of a whole is checked when the whole is
complete. A key that stands twice, a member that may not be there and an element that stands twice are seen at once.
`Watch` reads the bytes of one output.
"""

import json
import math
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from schematune.schemas.errors import SchematuneError
from schematune.schemas.jsontext import JSON, compact, strict_loads
from schematune.schemas.merge import ANNOTATIONS, ANY, NEVER, Normal
from schematune.schemas.normal import Document
from schematune.schemas.order import ordered
from schematune.schemas.validate import Validator, part_validator
from schematune.schemas.values import Sampler

__all__ = ["Checks", "Path", "Violation", "Watch", "checks_of", "is_open"]

Path = tuple[str | int, ...]

_HELD = ANNOTATIONS | {"type", "properties", "required", "additionalProperties", "items", "prefixItems", "minItems",
                       "maxItems", "minLength", "maxLength", "minimum", "maximum"}  # fmt: skip
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_WORD = re.compile(rb"[-+.\w]+")
_GAP = re.compile(rb"[\s,:]*")
_DEEPEST = 6


@dataclass(frozen=True)
class Violation:
    """A value that does not fit: its path, why, and the bytes of the output that it takes, from `start` to `end`."""

    path: Path
    why: str
    start: int
    end: int

    def __str__(self) -> str:
        """Write path and reason as `schematune.schemas.validate.violations` does."""
        return f"{'.'.join(map(str, self.path)) or '(top)'}: {self.why}"


class Checks:
    """What one schema asks of the values at its places; `checks_of` keeps it."""

    def __init__(self, schema: JSON) -> None:
        """Never raises: parts that no validator can be made of are checked with the whole."""
        self.schema = schema
        self.document = Document(schema, dynamic=False)
        self.whole = part_validator(schema, schema)
        self.top = self.normal(schema)
        self._validators: dict[int, tuple[Normal, Validator | None]] = {}

    def normal(self, part: JSON) -> Normal:
        """Return the normal form of a part; anything goes where it has none."""
        try:
            return self.document.normal(part)
        except (SchematuneError, RecursionError):
            return ANY

    def child(self, normal: Normal, key: str | int) -> Normal:
        """Return what the member or element at `key` must fit, whichever way the value around it takes."""
        if isinstance(key, str):
            listed = key in normal.get("properties", {}) or "additionalProperties" in normal
            if not listed and "patternProperties" not in normal:
                return ANY
            part = self.document.member(
                normal if "additionalProperties" in normal else {"additionalProperties": True, **normal}, key
            )
        else:
            prefix = normal.get("prefixItems", ())
            part = prefix[key] if key < len(prefix) else normal.get("items", True)
        return self.normal(part)

    def examples(self, path: Path, many: int, seed: int) -> Iterator[JSON]:
        """Yield values that fit at a path, written as their schema lists their keys."""
        part = self.at(path) if path else self.schema
        self._sampler.rng = random.Random(seed)
        try:
            for _ in range(many):
                yield ordered(self._sampler.value(part), part, self.document)
        except (SchematuneError, ValueError, RecursionError):
            return

    @cached_property
    def _sampler(self) -> Sampler:
        return Sampler(random.Random(0), root=self.schema if isinstance(self.schema, Mapping) else None)

    def at(self, path: Path) -> Normal:
        """Return what the value at `path` must fit."""
        normal = self.top
        for key in path:
            normal = self.child(normal, key)
        return normal

    def validator(self, normal: Normal) -> Validator | None:
        """Return what checks a value, None where the mask and the checks of its parts hold all that is asked."""
        known = self._validators.get(id(normal))
        if known is None:
            needed = not normal.keys() <= _HELD
            known = self._validators[id(normal)] = (normal, part_validator(normal, self.schema) if needed else None)
        return known[1]

    def wrong(self, normal: Normal, value: JSON, validator: Validator | None) -> tuple[Path, str] | None:
        """Return where a value does not fit and why, as deep as that can be told; None where it fits."""
        try:
            if validator is None or validator.is_valid(value):
                return None
            return self._explained(normal, value, validator, 0)
        except (ValueError, OverflowError, RecursionError) as error:  # a text that is no Unicode, say
            return (), f"cannot be checked: {error}"

    def _explained(self, normal: Normal, value: JSON, validator: Validator, depth: int) -> tuple[Path, str]:
        found = self.document.ways(normal) if depth < _DEEPEST else None
        nearest: tuple[tuple[bool, int], Path, str] | None = None
        for way in found[1] if found is not None else ():
            chosen = self.document.chosen(normal, found[0], way) if found is not None else way
            other = part_validator(chosen, self.schema)
            errors = [] if other is None else list(other.iter_errors(value))
            far = not all(error.instance_path for error in errors), len(errors)
            if other is not None and errors and (nearest is None or far < nearest[0]):
                nearest = (far, *self._explained(chosen, value, other, depth + 1))
        if nearest is not None:
            return nearest[1:]
        first = min(validator.iter_errors(value), key=lambda error: -len(error.instance_path))
        return tuple(first.instance_path), str(first.message)[:300]


@lru_cache(maxsize=256)
def checks_of(text: str) -> Checks:
    """Return the checks of a schema, given as compact JSON."""
    return Checks(strict_loads(text))


@dataclass(slots=True)
class _Frame:
    """An object or array that is not complete."""

    value: Any
    normal: Normal
    key: str | None = None
    seen: set[str] = field(default_factory=set)


class Watch:
    """Reads one output as it is written and tells the first value that does not fit.

    `heads` are the texts after which a value begins, each with the checks of that value: one empty text where the
    output is nothing but the value.

    >>> watch = Watch([(b"", Checks({"type": "array", "uniqueItems": True}))])
    >>> watch.feed(b'["a",'), str(watch.feed(b'"a"'))
    (None, '1: "a" stands twice')
    """

    def __init__(self, heads: Sequence[tuple[bytes, Checks]]) -> None:
        """See the class."""
        self.heads = sorted(heads, key=lambda head: -len(head[0]))
        self.plain = self.heads[0][1] if len(heads) == 1 and not heads[0][0] else None
        self._pattern = re.compile(b"|".join(b"(%s)" % re.escape(head) for head, _ in self.heads))
        self.restart(b"")

    def restart(self, data: bytes) -> None:
        """Begin anew with bytes that were found right before."""
        self.data = bytearray()
        self.frames: list[_Frame] = []
        self.checks: Checks | None = None
        self.places: dict[Path, list[int]] = {}
        self.complete = 0
        self._place, self._inside = 0, False
        if data:
            self._read(data, checking=False)

    def feed(self, data: bytes) -> Violation | None:
        """Read on, and return the first value that does not fit."""
        return self._read(data, checking=True)

    def end(self) -> Violation | None:
        """Tell what is wrong with an output that ends here: a number at its end is complete only now."""
        if self._place < len(self.data) and self.plain is not None and not self._inside and not self.frames:
            return self._read(b" ", checking=True)
        return None

    def _read(self, data: bytes, *, checking: bool) -> Violation | None:
        self.data += data
        if self._inside and b'"' not in data:
            return None
        while True:
            if self.checks is None and not self._begin():
                return None
            match = _GAP.match(self.data, self._place)
            self._place = match.end() if match else self._place
            if self._place >= len(self.data):
                return None
            read = self._next()
            if read is None:
                return None
            found = read(checking)
            if found is not None:
                return found

    def _begin(self) -> bool:
        """Look for the next value; tell whether one begins."""
        if self.plain is not None:
            if self.complete:
                return False
            self.checks = self.plain
            return True
        match = self._pattern.search(self.data, self._place)
        if match is None:
            return False
        self.checks, self._place = self.heads[(match.lastindex or 1) - 1][1], match.end()
        self.places = {}
        return True

    def _next(self) -> Callable[[bool], Violation | None] | None:
        """Read the next sign or scalar, and return what is to be done about it; None where it is not complete."""
        start = self._place
        sign = self.data[start]
        if sign in b'"':
            match = _STRING.match(self.data, start)
            self._inside = match is None
            if match is None:
                self._opened(start)
                return None
        elif sign in b"{[":
            self._opened(start)
            self._place += 1
            self.frames.append(_Frame({} if sign in b"{" else [], self._normal()))
            return lambda checking: None
        elif sign in b"}]":
            self._place += 1
            if not self.frames:
                return lambda checking: Violation((), "no JSON", start, start + 1)
            return lambda checking: self._closed(checking)
        else:
            match = _WORD.match(self.data, start)
            self._opened(start)
            if match is not None and match.end() == len(self.data) and match[0] not in (b"true", b"false", b"null"):
                return None
        if match is None:
            return lambda checking: Violation(self.path, "no JSON", start, start + 1)
        self._place = match.end()
        text = match[0]
        return lambda checking: self._scalar(text, start, checking)

    def _opened(self, start: int) -> None:
        if not (self.frames and isinstance(self.frames[-1].value, dict) and self.frames[-1].key is None):
            self.places.setdefault(self.path, [start, start])

    def _normal(self) -> Normal:
        """Return what the value that begins here must fit."""
        assert self.checks is not None
        if not self.frames:
            return self.checks.top
        frame = self.frames[-1]
        return self.checks.child(frame.normal, len(frame.value) if frame.key is None else frame.key)

    @property
    def path(self) -> Path:
        """The path of the value that is being read, or of the object whose key is."""
        keys = [len(frame.value) if isinstance(frame.value, list) else frame.key for frame in self.frames]
        return tuple(key for key in keys if key is not None)

    def _scalar(self, text: bytes, start: int, checking: bool) -> Violation | None:
        try:
            value = json.loads(text.decode())
            if isinstance(value, str):
                value.encode()
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError("a number out of range")
        except ValueError as error:
            return Violation(self.path, f"cannot be read: {error}", start, self._place)
        if self.frames and isinstance(self.frames[-1].value, dict) and self.frames[-1].key is None:
            return self._keyed(value, start, checking)
        self._opened(start)
        return self._completed(value, self._normal(), checking)

    def _keyed(self, name: str, start: int, checking: bool) -> Violation | None:
        frame, why = self.frames[-1], ""
        if checking:
            if name in frame.value:
                why = f"the key {compact(name)} stands twice"
            elif len(frame.value) >= frame.normal.get("maxProperties", math.inf):
                why = "too many members"
            else:
                why = self._misnamed(frame.normal, name)
        if why:
            return Violation(self.path, why, start, self._place)
        frame.key = name
        return None

    def _misnamed(self, normal: Normal, name: str) -> str:
        assert self.checks is not None
        if self.checks.child(normal, name) == NEVER:
            return f"{compact(name)} may not be there"
        if "propertyNames" in normal:
            names = self.checks.normal(normal["propertyNames"])
            wrong = self.checks.wrong(names, name, part_validator(names, self.checks.schema))
            return f"the name {compact(name)}: {wrong[1]}" if wrong else ""
        return ""

    def _closed(self, checking: bool) -> Violation | None:
        frame = self.frames.pop()
        return self._completed(frame.value, frame.normal, checking)

    def _completed(self, value: JSON, normal: Normal, checking: bool) -> Violation | None:
        path, checks = self.path, self.checks
        assert checks is not None
        self.places[path][1] = self._place
        top = not self.frames
        if checking:
            found = checks.wrong(normal, value, checks.whole if top else checks.validator(normal))
            if found is not None:
                return self._placed(path + found[0], found[1])
        if top:
            self.checks, self.complete = None, self.complete + 1
            return None
        frame = self.frames[-1]
        if isinstance(frame.value, dict):
            frame.value[frame.key], frame.key = value, None
            return None
        if frame.normal.get("uniqueItems") is True:
            text = _canonical(value)
            if checking and text in frame.seen:
                return self._placed(path, f"{compact(value)[:200]} stands twice")
            frame.seen.add(text)
        frame.value.append(value)
        return None

    def _placed(self, path: Path, why: str) -> Violation:
        """Return a violation with the bytes of its value, or of the nearest one around it that is known."""
        known = path
        while known not in self.places:
            known = known[:-1]
        return Violation(path, why, *self.places[known])


def _canonical(value: JSON) -> str:
    """Write a value so that equal ones are written the same: 1.0 is 1, the keys sorted."""
    return compact(_plain(value), ordered=False)


def _plain(value: JSON) -> JSON:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def is_open(schema: JSON) -> bool:
    """Tell whether a mask that holds all of a schema still lets through what is none: a name twice, or a number too large.

    >>> is_open({"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": False})
    False
    """
    return any(_lets_names_through(part) or _lets_large_numbers_through(part) for part in _parts(schema))


def _lets_large_numbers_through(part: JSON) -> bool:
    if not isinstance(part, Mapping):
        return False
    kinds = part.get("type", ())
    low, high = ("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")
    return (kinds == "number" or "number" in kinds) and not all(
        any(key in part for key in keys) for keys in (low, high)
    )


def _parts(schema: JSON) -> Iterator[JSON]:
    stack = [schema]
    while stack:
        part = stack.pop()
        yield part
        if not isinstance(part, Mapping):
            continue
        for key in ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas"):
            stack.extend(part[key].values() if isinstance(part.get(key), Mapping) else ())
        for key in ("items", "additionalProperties", "additionalItems", "if", "then", "else", "prefixItems", "contains",
                    "anyOf", "oneOf", "allOf", "unevaluatedItems"):  # fmt: skip
            inner = part.get(key, [])
            stack.extend(inner if isinstance(inner, list) else [inner] if inner is not False else [])


def _lets_names_through(part: JSON) -> bool:
    if not isinstance(part, Mapping):
        return part is not False
    if any(key in part for key in ("enum", "const", "$ref", "anyOf", "oneOf", "allOf")):
        return False
    kinds = part.get("type", ["object"])
    if kinds != "object" and "object" not in kinds:
        return False
    return part.get("additionalProperties") is not False or "patternProperties" in part

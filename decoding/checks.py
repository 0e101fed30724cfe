"""What a schema asks of the values at its places, checked part by part.

`Checks` knows of one schema what every value at a place must fit, whatever the choices around it: so a value that does
not fit makes the whole invalid, and can be taken back at once. What only holds of a whole is checked when the whole is
complete.
"""

import random
import re
from collections.abc import Iterator, Mapping, Set
from functools import cached_property, lru_cache

from schematune.schemas.errors import SchematuneError
from schematune.schemas.jsontext import JSON, strict_loads
from schematune.schemas.merge import ANNOTATIONS, ANY, Normal
from schematune.schemas.normal import Document
from schematune.schemas.order import ordered
from schematune.schemas.validate import Validator, part_validator
from schematune.schemas.values import Sampler

__all__ = ["HELD", "Checks", "Path", "checks_of", "is_open"]

Path = tuple[str | int, ...]
"""The keys and numbers that lead to a value."""

HELD = ANNOTATIONS | {"type", "properties", "required", "additionalProperties", "items", "prefixItems", "minItems",
                       "maxItems", "minLength", "maxLength", "minimum", "maximum"}  # fmt: skip
"""Keywords that the mask and the checks of the parts hold between them."""

_DEEPEST = 6
_CHOICES = ("anyOf", "oneOf", "allOf")
_EXACT = 2**53  # to which floating point holds every integer
_ODD_MOMENT = re.compile(r"^0000-|^[-\d]+t|\dz$|:60")  # RFC 3339 allows them: year 0, small letters, leap seconds
_ELSEWHERE = ("enum", "const", "$ref", "anyOf", "oneOf", "allOf")  # what says elsewhere what may come


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
            needed = not normal.keys() <= HELD
            known = self._validators[id(normal)] = (normal, part_validator(normal, self.schema) if needed else None)
        return known[1]

    def wrong(self, normal: Normal, value: JSON, validator: Validator | None) -> tuple[Path, str] | None:
        """Return where a value does not fit and why, as deep as that can be told; None where it fits."""
        try:
            if validator is None or validator.is_valid(value):
                doubt = _doubt(normal, value)
                return ((), doubt) if doubt else None
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


def _doubt(normal: Normal, value: JSON) -> str:
    """Tell what other validators than this one would not take, empty where there is no doubt."""
    if "multipleOf" in normal and not _is_multiple(value, normal["multipleOf"]):
        return f"{value} is no multiple of {normal['multipleOf']} in binary fractions"
    listed = normal.get("enum", [normal["const"]] if "const" in normal else None)
    if listed is not None and isinstance(value, int) and abs(value) > _EXACT and value not in listed:
        return f"{value} is a listed number to those readers only that round it"
    if isinstance(value, str) and _ODD_MOMENT.search(value):
        ways = [normal, *(way for key in _CHOICES for way in normal.get(key, ()) if isinstance(way, Mapping))]
        if any(way.get("format") in ("date", "date-time") for way in ways):
            return f"{value} is a date or time that not every reader takes"
    return ""


def _is_multiple(value: JSON, unit: float) -> bool:
    """Tell whether a number is a multiple for those, too, that divide binary fractions: 20102266444.92 is none of 0.01."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return True
    try:
        return value % unit == 0 if isinstance(unit, int) else (value / unit).is_integer()
    except (OverflowError, ZeroDivisionError):
        return False


@lru_cache(maxsize=256)
def checks_of(text: str) -> Checks:
    """Return the checks of a schema, given as compact JSON."""
    return Checks(strict_loads(text))


def is_open(schema: JSON, *, endless: bool = False) -> bool:
    """Tell whether a mask that holds all of a schema still lets through what is none: a name twice, or a number too large.

    With `endless`, an integer that has no bounds counts: of more than 4,300 digits it is none that Python reads.

    >>> is_open({"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": False})
    False
    """
    kinds = {"number", "integer"} if endless else {"number"}
    return any(
        _lets_names_through(part) or _lets_large_numbers_through(part, kinds) or _lists_large_numbers(part)
        for part in _parts(schema)
    )


def _lets_large_numbers_through(part: JSON, large: Set[str]) -> bool:
    """Tell whether a number may be out of range, or a multiple that binary fractions do not make one."""
    if not isinstance(part, Mapping) or any(key in part for key in _ELSEWHERE):
        return False
    kinds = part.get("type", "number")
    if large.isdisjoint([kinds] if isinstance(kinds, str) else kinds):
        return False
    low, high = ("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")
    return "multipleOf" in part or not all(any(key in part for key in keys) for keys in (low, high))


def _lists_large_numbers(part: JSON) -> bool:
    """Tell whether a listed number may be written as an integer that it is not."""
    listed = [*part.get("enum", ()), part.get("const")] if isinstance(part, Mapping) else []
    return any(isinstance(value, float) and abs(value) > _EXACT for value in listed)


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
    if any(key in part for key in _ELSEWHERE):
        return False
    kinds = part.get("type", ["object"])
    if kinds != "object" and "object" not in kinds:
        return False
    return part.get("additionalProperties") is not False or "patternProperties" in part

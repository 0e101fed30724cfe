"""Valid, realistic values for any schema, by construction.

A schema is brought to normal form once (`schematune.schemas.normal`); then choices are made (branches, members, how
many) and a value is built for its type, its bounds and what its name and description say it is. What cannot be
built directly (`not`, branches that exclude each other, a pattern with lookahead) is drawn and checked where it
stands, a bounded number of times. Recursion, size and time are bounded: deep down, the cheapest way is taken.
"""

import math
import random
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from datetime import date
from typing import Any

from schematune.schemas.errors import SchemaError
from schematune.schemas.jsontext import JSON, compact
from schematune.schemas.merge import NEVER, Normal, equal
from schematune.schemas.normal import CHOICES, Document
from schematune.schemas.numbers import number
from schematune.schemas.patterns import from_pattern
from schematune.schemas.pools import pool
from schematune.schemas.realistic import within
from schematune.schemas.strings import text
from schematune.schemas.validate import Validator, part_validator

__all__ = ["Sampler"]

ATTEMPTS = 20
"""Values drawn for a schema before it is given up."""

_DEEP = 6
_DEEPEST = 40
_MOST_PARTS = 500
_MOST_DRAWS = 4000
_RISKY = {"not", "oneOf", "if", "allOf", "contains", "propertyNames", "dependentSchemas", "dependentRequired",
          "unevaluatedProperties", "unevaluatedItems"}  # fmt: skip
_KINDS: Mapping[str, frozenset[str]] = {
    "object": frozenset(("properties", "required", "patternProperties", "additionalProperties", "minProperties",
                         "maxProperties", "propertyNames", "unevaluatedProperties")),
    "array": frozenset(("items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains", "unevaluatedItems")),
    "number": frozenset(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")),
    "string": frozenset(("minLength", "maxLength", "pattern", "format")),
}  # fmt: skip


class _DeadEnd(Exception):
    """The choices made so far leave no value, or cost too much."""


class Sampler:
    """Draws values for schemas; the same `rng` state gives the same values.

    `root` is the document that local references point into. `today` is what dates are drawn around. Values are such
    as people give, unless `cover` asks for all that a schema allows in turn: every branch, type and enum value,
    optional members present and absent, bounds themselves. A sampler that is kept draws faster: it remembers what
    it knows of the schemas it saw.

    >>> sampler = Sampler(random.Random(0))
    >>> value = sampler.value({"type": "integer", "minimum": 3, "maximum": 5}, "people")
    >>> 3 <= value <= 5
    True
    """

    def __init__(
        self, rng: random.Random, *, root: JSON = None, today: date | None = None, cover: bool = False
    ) -> None:
        """See the class."""
        self.rng, self.cover = rng, cover
        self.root = root if root is not None else {}
        self.on(today)
        self.document = Document(self.root)
        self._turns: Counter[Hashable] = Counter()
        self._options: dict[int, list[Normal]] = {}
        self._costs: dict[int, int] = {}
        self._enums: dict[int, Sequence[JSON]] = {}
        self._validators: dict[int, tuple[JSON, Validator | None]] = {}
        self._wanted: dict[int, list[JSON]] = {}
        self._parts = self._draws = 0
        self._bare = False

    def on(self, today: date | None) -> "Sampler":
        """Draw dates around another day from now on; returns the sampler."""
        self.today = today or date(2026, 1, 1)
        return self

    def value(self, schema: JSON, name: str = "") -> JSON:
        """Draw one valid value of what is called `name`; raises `SchemaError` where none was found."""
        for attempt in range(ATTEMPTS):
            self._parts, self._draws, self._bare = _MOST_PARTS, _MOST_DRAWS, 2 * attempt >= ATTEMPTS
            try:
                drawn = self._draw(schema, name, 0)
            except (_DeadEnd, RecursionError):
                continue
            if self._fits(schema, drawn):
                return drawn
        shown = compact(dict(schema))[:120] if isinstance(schema, Mapping) else str(schema)
        raise SchemaError(f"no valid value found for {shown}", where=name, fix="loosen it or add examples")

    def _draw(self, schema: JSON, name: str, depth: int) -> JSON:
        """Draw a value that fits; what only holds of the whole is left to be checked there."""
        normal = self.document.normal(schema)
        self._parts -= 1
        if normal == NEVER or depth > _DEEPEST:
            raise _DeadEnd
        if not self._is_risky(normal):
            return self._make(self._settled(normal), name, depth)
        for _ in range(12):
            self._draws -= 1
            if self._draws < 0:
                break
            try:
                drawn = self._make(self._settled(normal), name, depth)
            except _DeadEnd:
                continue
            if self._fits(schema, drawn):
                return drawn
        raise _DeadEnd

    def _is_risky(self, normal: Normal) -> bool:
        return bool(_RISKY & normal.keys()) or (
            "pattern" in normal and ("format" in normal or "(?" in normal["pattern"])
        )

    def _fits(self, schema: JSON, value: JSON) -> bool:
        """Tell whether a value fits a part of the document; what no validator can be made for is left to the whole."""
        if id(schema) not in self._validators:
            self._validators[id(schema)] = (schema, part_validator(schema, self.root))
        validator = self._validators[id(schema)][1]
        return validator is None or validator.is_valid(value)

    def _settled(self, normal: Normal) -> Normal:
        """Make the choices that a normal form leaves."""
        while any(key in normal for key in CHOICES):
            options = self._ways(normal)
            if not options:
                raise _DeadEnd
            normal = self._pick(normal, options)
        return normal

    def _ways(self, normal: Normal) -> list[Normal]:
        """Return what the first choice of a normal form leads to, without what is plainly impossible."""
        if id(normal) not in self._options:
            found = self.document.ways(normal)
            assert found is not None
            key, ways = found
            chosen = [self.document.chosen(normal, key, way) for way in ways]
            self._options[id(normal)] = [option for option in chosen if self._is_possible(option)]
        return self._options[id(normal)]

    def _is_possible(self, normal: Normal) -> bool:
        properties = normal.get("properties", {})
        needed = [properties[name] for name in normal.get("required", ()) if name in properties]
        return normal != NEVER and not any(self.document.normal(part) == NEVER for part in needed)

    def _pick(self, normal: Normal, options: list[Normal]) -> Normal:
        if self._bare or self._parts < 0:
            return min(options, key=self._cost)
        if self.cover:
            return options[self._turn(id(normal), len(options))]
        return self.rng.choice([option for option in options if option.get("type") != "null"] or options)

    def _turn(self, key: Hashable, many: int) -> int:
        """Return which of several options has been taken least."""
        least = min(self._turns[key, place] for place in range(many))
        place = self.rng.choice([place for place in range(many) if self._turns[key, place] == least])
        self._turns[key, place] += 1
        return place

    def _cost(self, normal: Normal, depth: int = 0) -> int:
        """Estimate how many parts the least value has."""
        if id(normal) not in self._costs:
            self._costs[id(normal)] = 1000  # while it is looked for: recursion is dear
            self._costs[id(normal)] = self._least(normal, depth)
        return self._costs[id(normal)]

    def _least(self, normal: Normal, depth: int) -> int:
        if depth > 2 * _DEEP:
            return 1000
        if any(key in normal for key in CHOICES):
            return min((self._cost(option, depth + 1) for option in self._ways(normal)), default=1000)
        kinds = _kinds(normal)
        if "const" in normal or "enum" in normal or set(kinds) - {"array", "object"}:
            return 1
        if "array" in kinds:
            items = self.document.normal(normal.get("items", True))
            return 1 + (normal["minItems"] * self._cost(items, depth + 1) if normal.get("minItems") else 0)
        members = (self.document.normal(self._member(normal, name)) for name in normal.get("required", ()))
        return 1 + sum(self._cost(member, depth + 1) for member in members)

    def _make(self, normal: Normal, name: str, depth: int) -> JSON:
        """Build a value for a normal form without choices."""
        if normal == NEVER:
            raise _DeadEnd
        if "const" in normal:
            return normal["const"]
        if "enum" in normal:
            return self._one_of(self._usable(normal, "enum"), id(normal))
        if self.cover or self.rng.random() < 0.5:
            known = self._usable(normal, "examples") if isinstance(normal.get("examples"), list) else ()
            if known and not (self.cover and self.rng.random() < 0.7):
                return self.rng.choice(known)
        kinds = _kinds(normal)
        if self.cover and not self._bare and len(kinds) > 1:
            kind = kinds[self._turn((id(normal), "type"), len(kinds))]
        else:
            kind = next((one for one in kinds if one != "null"), "null")
            if (self._bare or depth > _DEEP) and kind in ("object", "array"):
                kind = next((one for one in kinds if one not in ("object", "array")), kind)
        return _MAKERS[kind](self, normal, name, depth)

    def _usable(self, normal: Normal, key: str) -> Sequence[JSON]:
        """Return the listed values that fit the rest of the schema."""
        if id(normal) not in self._enums:
            plain = {word: value for word, value in normal.items() if word not in ("$schema", "examples", "default")}
            self._enums[id(normal)] = [value for value in normal[key] if self._fits(plain, value)]
        return self._enums[id(normal)]

    def _one_of(self, values: Sequence[JSON], key: Hashable) -> JSON:
        if not values:
            raise _DeadEnd
        return values[self._turn((key, "enum"), len(values))] if self.cover else self.rng.choice(values)

    def _string(self, normal: Normal, name: str, depth: int) -> str:
        found = text(normal, name, self.rng, self.today, bounds=self.cover)
        if found is None:
            raise _DeadEnd
        return found

    def _number(self, normal: Normal, name: str, depth: int) -> float | int:
        found = number(normal, name, self.rng, bounds=self.cover)
        if found is None:
            raise _DeadEnd
        return found

    def _boolean(self, normal: Normal, name: str, depth: int) -> bool:
        default = normal.get("default")
        return not default if isinstance(default, bool) and self.rng.random() < 0.7 else self.rng.random() < 0.6

    def _null(self, normal: Normal, name: str, depth: int) -> None:
        return None

    def _array(self, normal: Normal, name: str, depth: int) -> list[JSON]:
        prefix, rest = normal.get("prefixItems", []), normal.get("items", True)
        if id(normal) not in self._wanted:
            one = {"allOf": [rest, normal["contains"]]} if "contains" in normal else None
            self._wanted[id(normal)] = [one] * normal.get("minContains", 1) if one else []
        wanted = self._wanted[id(normal)]
        low = max(normal.get("minItems", 0), len(prefix) + len(wanted) if wanted else 0)
        most = len(prefix) if rest is False else normal.get("maxItems", math.inf)
        items: list[JSON] = []
        for place in range(self._many(low, max(low, len(prefix)), most, depth)):
            after = place - len(prefix)
            part = prefix[place] if after < 0 else wanted[after] if after < len(wanted) else rest
            part = _TEXT if part is True or part == {} else part
            drawn = self._fresh(part, name, depth, items)
            if drawn is not None:
                items.append(drawn[0])
            elif place >= low:
                break
            elif normal.get("uniqueItems"):
                raise _DeadEnd
            else:
                items.append(self._draw(part, name, depth + 1))
        return items

    def _fresh(self, part: JSON, name: str, depth: int, items: list[JSON]) -> tuple[JSON] | None:
        """Draw an element that is none of `items`, or None where only known ones came."""
        for _ in range(8):
            drawn = self._draw(part, name, depth + 1)
            if not any(equal(drawn, item) for item in items):
                return (drawn,)
        return None

    def _many(self, low: int, usual: int, most: float, depth: int) -> int:
        """Draw how many elements an array has."""
        if self._bare or depth > _DEEP or self._parts < 0:
            return low
        if self.cover and self.rng.random() < 0.3:
            return low if self.rng.random() < 0.5 or most > usual + 5 else int(most)
        least = min(max(usual, 1), most)
        return self.rng.randint(int(least), int(min(most, least + (2 if usual < 1 else 3))))

    def _object(self, normal: Normal, name: str, depth: int) -> dict[str, JSON]:
        required = normal.get("required", ())
        properties = normal.get("properties", {})
        optional = [key for key, part in properties.items() if key not in required and part is not False]
        chosen = self._optional(normal, optional, depth)
        room = normal.get("maxProperties", math.inf) - len(required)
        if len(chosen) > room:
            chosen = set(self.rng.sample(sorted(chosen), int(max(room, 0))))
        short = normal.get("minProperties", 0) - len(required) - len(chosen)
        if short > 0:
            left = [key for key in optional if key not in chosen]
            chosen |= set(self.rng.sample(left, min(short, len(left))))
        keys = [key for key in properties if key in required or key in chosen]
        keys += [key for key in required if key not in properties]
        value: dict[str, JSON] = {}
        for key in keys:
            try:
                value[key] = self._draw(self._member(normal, key), within(name, key), depth + 1)
            except _DeadEnd:
                if key in required:
                    raise
        self._add_others(normal, value, room - len(chosen), depth)
        return value

    def _optional(self, normal: Normal, optional: list[str], depth: int) -> set[str]:
        """Choose the optional members of an object."""
        if self._bare or depth > _DEEP or self._parts < len(optional):
            return set()
        share = self.rng.choice((0.2, 0.5, 0.8))
        if self.cover:
            self._turns[id(normal)] += 1
            share = {1: 1.0, 2: 0.0}.get(self._turns[id(normal)], 0.5)
        return {key for key in optional if self.rng.random() < share}

    def _member(self, normal: Normal, key: str) -> JSON:
        """Return the schema of a member, as far as its name tells."""
        part = self.document.member(normal, key)
        return _TEXT if part is True or part == {} else part

    def _add_others(self, normal: Normal, value: dict[str, JSON], room: float, depth: int) -> None:
        """Add members that the schema does not list: as many as are needed, and some where they are described."""
        needed = normal.get("minProperties", 0) - len(value)
        described = isinstance(normal.get("additionalProperties"), Mapping) or normal.get("patternProperties")
        if self.cover and described and depth <= _DEEP and not self._bare and self.rng.random() < 0.5:
            needed = max(needed, min(room, self.rng.randint(1, 2)))
        for _ in range(int(8 * max(needed, 0))):
            if needed <= 0:
                return
            key = self._key(normal, depth)
            part = self._member(normal, key)
            if key not in value and key not in normal.get("properties", {}) and part is not False:
                value[key] = self._draw(part, key, depth + 1)
                needed -= 1
        if len(value) < normal.get("minProperties", 0):
            raise _DeadEnd

    def _key(self, normal: Normal, depth: int) -> str:
        """Draw a name for a member."""
        if "propertyNames" in normal:
            return str(self._draw(normal["propertyNames"], "key", depth + 1))
        patterns = list(normal.get("patternProperties", ()))
        if patterns and (self.rng.random() < 0.7 or normal.get("additionalProperties", True) is False):
            pattern = self.rng.choice(patterns)
            more = "" if pattern.endswith("$") or self.rng.random() < 0.2 else self.rng.choice(pool("word"))
            return from_pattern(pattern, self.rng) + more
        return self.rng.choice(pool("word"))


_TEXT: Normal = {"type": "string"}

_MAKERS: Mapping[str, Any] = {
    "string": Sampler._string,
    "number": Sampler._number,
    "integer": Sampler._number,
    "boolean": Sampler._boolean,
    "array": Sampler._array,
    "object": Sampler._object,
    "null": Sampler._null,
}


def _kinds(normal: Normal) -> list[str]:
    """Return the types that a value may take; where the schema says none, those that its keywords are about."""
    given = normal.get("type")
    if given is None:
        return [kind for kind, words in _KINDS.items() if words & normal.keys()] or ["string"]
    return [given] if isinstance(given, str) else list(given)

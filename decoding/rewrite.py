"""Schemas rewritten into what the grammar engine enforces: equivalent where one exists, else wider and noted.

The engine takes no `if`, `not`, `dependentRequired`, overlapping `oneOf`, `propertyNames`, ... Their choices are written
out (`schematune.schemas.normal`): one alternative for each way that a value can take, each a plain schema. What has no
plain form is left out of the mask, and its keyword noted: then the mask lets more through than the schema does, never
less, and the value is checked.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import combinations
from math import comb
from typing import Any

from schematune.decoding.othernames import other_names
from schematune.decoding.pruning import kinds_of, without
from schematune.decoding.taken import compiles, is_annotation
from schematune.schemas.jsontext import JSON, compact
from schematune.schemas.merge import ANNOTATIONS, NEVER, Normal, both
from schematune.schemas.normal import CHOICES, Document
from schematune.schemas.patterns import counts_far, matches
from schematune.schemas.validate import Validator, part_validator

__all__ = ["Rewritten", "rewritten"]

_MOST_WAYS = 128
_MOST_WORK = 6_000
_MOST_PARTS = 3000
_MOST_SETS = 32
_MOST_AT_ONCE = 5
_DEEPEST = 40
_SCALAR = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength")
_FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri", "unknown"}
_OBJECT = ("properties", "required", "additionalProperties", "patternProperties")
_ARRAY = ("prefixItems", "items", "minItems", "maxItems")


@dataclass(frozen=True)
class Rewritten:
    """A schema for the engine, and how often a keyword was written another way, or left to be checked."""

    schema: JSON
    rewritten: Mapping[str, int] = field(default_factory=dict)
    checked: Mapping[str, int] = field(default_factory=dict)


def rewritten(schema: JSON) -> Rewritten:
    """Rewrite a schema for the engine; raises `SchemaError` for references that lead nowhere.

    >>> found = rewritten({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
    ...     "additionalProperties": False, "dependentRequired": {"a": ["b"]}})
    >>> dict(found.rewritten), dict(found.checked)
    ({'dependentRequired': 1}, {})
    """
    writer = _Writer(Document(schema, dynamic=False))
    for key in ("$dynamicRef", "$recursiveRef"):
        writer.checked[key] += compact(schema).count(f'"{key}":')
    written = writer.part(schema, 0)
    definitions = {name: part for name, part in writer.definitions.items() if part is not None}
    while gone := {f"#/$defs/{name}" for name, part in definitions.items() if part is False}:
        definitions = {name: without(part, gone) for name, part in definitions.items() if part is not False}
        written = without(written, gone)
    if definitions and isinstance(written, Mapping):
        written = {**written, "$defs": definitions}
    return Rewritten(written, +writer.rewritten, +writer.checked)


class _Writer:
    """Writes the parts of one document; each object and array once, as a definition."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.rewritten: Counter[str] = Counter()
        self.checked: Counter[str] = Counter()
        self.definitions: dict[str, JSON] = {}
        self.names: dict[int, str] = {}
        self.left = _MOST_WORK  # merges and comparisons; a few keywords can ask for endlessly many
        text = compact(document.root)
        self.weight = 1 + len(text) // 1500 * ('Ref":' in text or '"$ref":' in text) + 60 * counts_far(text)

    def _spend(self, many: int = 1) -> bool:
        """Tell whether there is work left to spend on choices."""
        self.left -= many
        return self.left >= 0

    def _validator(self, schema: JSON, key: str, values: int = 1) -> Validator | None:
        """Return what checks values against a part; None where the work is spent, which leaves `key` to be checked."""
        if self._spend(self.weight * (1 + values // 100)):
            return part_validator(schema, self.document.root)
        self.checked[key] += 1
        return None

    def part(self, schema: JSON, depth: int) -> JSON:
        """Write a part of the document."""
        if schema is False:
            return False
        normal = self.document.normal(schema)
        if normal == NEVER:
            return False
        if not set(normal) - ANNOTATIONS:
            return True
        if depth > _DEEPEST or len(self.names) > _MOST_PARTS:
            self.checked["$ref"] += 1
            return True
        if set(normal) & {"properties", "items", "prefixItems", "patternProperties", "additionalProperties", *CHOICES}:
            if id(normal) not in self.names:
                name = self.names[id(normal)] = f"d{len(self.names)}"
                self.definitions[name] = None
                self.definitions[name] = self._alternatives(normal, depth)
            return {"$ref": f"#/$defs/{self.names[id(normal)]}"}
        return self._alternatives(normal, depth)

    def _alternatives(self, normal: Normal, depth: int) -> JSON:
        written = [self._plain(way, depth) for way in self._ways(normal)]
        kept: list[JSON] = []
        for one in written:
            if one is not False and not any(one == known for known in kept):
                kept.append(one)
        return False if not kept else kept[0] if len(kept) == 1 else {"anyOf": kept}

    def _ways(self, normal: Normal) -> list[Normal]:
        """Make every choice that a normal form leaves, each way of it."""
        open_, settled = [normal], list[Normal]()
        while open_:
            one = open_.pop(0)
            found = self.document.ways(one)
            apart = len(one.get("allOf", ()))  # each way is merged with each of them, and they with one another
            if found is not None and not self._spend((1 + apart + apart**2 // 16) * len(found[1])):
                self.checked.update(name for name in CHOICES if name in one)
                one, found = {name: part for name, part in one.items() if name not in (*CHOICES, "then", "else")}, None
            if found is None:
                settled.append(one)
                continue
            key, ways = found
            options = [option for option in self._chosen(one, key, ways) if option != NEVER]
            if key != "anyOf" and len(open_) + len(settled) + len(options) > _MOST_WAYS:
                self.checked[key] += 1
                open_.append({name: part for name, part in one.items() if name not in (key, "then", "else")})
                continue
            if key != "anyOf":
                exact = key != "oneOf" or self._are_apart(one, ways)
                (self.rewritten if exact else self.checked)[key] += 1
            open_ += [option for option in options if self._is_possible(option)]
        return settled

    def _chosen(self, normal: Normal, key: str, ways: Sequence[Normal]) -> list[Normal]:
        """Make one choice each way; where more ways at once would evaluate more, each set of ways too."""
        unseen = [name for name in ("unevaluatedProperties", "unevaluatedItems") if name in normal]
        if key != "anyOf" or not unseen:
            return [self.document.chosen(normal, key, way) for way in ways]
        if len(ways) > _MOST_AT_ONCE:
            self.checked.update(unseen)
            return [self.document.chosen(normal, key, way, wide=True) for way in ways]
        sets = [some for many in range(1, len(ways) + 1) for some in combinations(ways, many)]
        return [self.document.chosen(normal, key, reduce(both, some)) for some in sets]

    def _is_possible(self, normal: Normal) -> bool:
        if kinds_of(normal) != ["object"]:
            return True
        properties = normal.get("properties", {})
        needed = [properties[name] for name in normal.get("required", ()) if name in properties]
        return not any(self.document.normal(part) == NEVER for part in needed)

    def _are_apart(self, normal: Normal, ways: Sequence[Normal]) -> bool:
        """Tell whether no value fits two of the ways, as far as that is plain to see."""
        return all(self._is_apart(normal, one, other, 0) for one, other in combinations(ways, 2))

    def _is_apart(self, normal: Normal, one: Normal, other: Normal, depth: int) -> bool:
        if not self._spend():
            return False
        for kept, far in ((one, other), (other, one)):
            if "anyOf" in kept or "oneOf" in kept:
                found = self.document.ways(kept)
                assert found is not None
                if depth > 4 or found[0] not in ("anyOf", "oneOf"):
                    return False
                return all(
                    self._is_apart(normal, self.document.chosen(kept, found[0], way), far, depth + 1)
                    for way in found[1]
                )
        merged = both({k: v for k, v in normal.items() if k not in CHOICES}, both(one, other))
        return self._fits_nothing(merged, depth)

    def _fits_nothing(self, merged: Normal, depth: int) -> bool:
        if merged == NEVER:
            return True
        if depth > 4:
            return False
        values = merged.get("enum", [merged["const"]] if "const" in merged else None)
        if values is not None:
            return not self._fitting(merged, values)
        for low, high in (("minimum", "maximum"), ("minLength", "maxLength"), ("minItems", "maxItems")):
            if low in merged and high in merged and merged[low] > merged[high]:
                return merged.get("type") in ("integer", "number", "string", "array")
        if merged.get("type") != "object":
            return False
        for name in merged.get("required", ()):
            part = self.document.normal(self.document.member(merged, name))
            if self._fits_nothing(part, depth + 1):
                return True
        return False

    def _fitting(self, normal: Normal, values: Sequence[JSON]) -> list[JSON]:
        listing = "enum" if "enum" in normal else "const"
        plain = {key: value for key, value in normal.items() if key not in ANNOTATIONS and key != listing}
        validator = self._validator(plain, listing, len(values)) if plain else None
        return [value for value in values if validator is None or validator.is_valid(value)]

    def _plain(self, normal: Normal, depth: int) -> JSON:
        """Write a normal form without choices."""
        values = normal.get("enum", [normal["const"]] if "const" in normal else None)
        if values is not None:
            fitting = self._fitting(normal, values)
            return {"enum": fitting} if fitting else False
        written: dict[str, JSON] = {key: normal[key] for key in ("type", *_SCALAR) if key in normal}
        if "multipleOf" in written and not compiles(compact({"type": "number", "multipleOf": written["multipleOf"]})):
            del written["multipleOf"]
            self.checked["multipleOf"] += 1
        self._note(normal)
        self._write_text(normal, written)
        for part in normal.get("allOf", ()):
            self._note_apart(part, written)
        if any(key in normal for key in (*_ARRAY, "contains", "uniqueItems")):
            self._write_array(normal, written, depth)
        if any(key in normal for key in (*_OBJECT, "propertyNames", "minProperties", "maxProperties")):
            return self._write_object(normal, written, depth)
        return written

    def _note(self, normal: Normal) -> None:
        """Note what a mask cannot hold."""
        self.checked["not"] += "not" in normal
        self.checked["contains"] += "contains" in normal
        self.checked["uniqueItems"] += bool(normal.get("uniqueItems")) and normal.get("maxItems", 2) > 1
        for key in ("unevaluatedProperties", "unevaluatedItems"):
            self.checked[key] += key in normal and key.replace("unevaluatedP", "additionalP") not in normal

    def _note_apart(self, part: Normal, written: dict[str, JSON]) -> None:
        """Take in what could not be merged, as far as it can be; note the rest."""
        for key in part:
            if (
                key == "pattern"
                and "pattern" in written
                and compiles(compact({"type": "string", "pattern": part[key]}))
            ):
                self.checked["pattern"] += 1
            elif key not in ANNOTATIONS and key not in ("minContains", "maxContains", "then", "else"):
                self.checked[key] += 1

    def _write_text(self, normal: Normal, written: dict[str, JSON]) -> None:
        form = normal.get("format")
        if form in _FORMATS:
            written["format"] = form
        elif form is not None and not is_annotation(str(form)):
            self.checked["format"] += 1
        if "pattern" in normal:
            if compiles(compact({"type": "string", "pattern": normal["pattern"]})):
                written["pattern"] = normal["pattern"]
            else:
                self.checked["pattern"] += 1
        if "pattern" in written and "format" in written:
            del written["format"]
            self.checked["format"] += 1

    def _write_array(self, normal: Normal, written: dict[str, JSON], depth: int) -> None:
        written.update({key: normal[key] for key in ("minItems", "maxItems") if key in normal})
        if "prefixItems" in normal:
            written["prefixItems"] = [self.part(part, depth + 1) for part in normal["prefixItems"]]
        if "items" in normal:
            written["items"] = self.part(normal["items"], depth + 1)

    def _write_object(self, normal: Normal, written: dict[str, JSON], depth: int) -> JSON:
        required = list(normal.get("required", ()))
        properties = dict(normal.get("properties", {}))
        patterns = dict(normal.get("patternProperties", {}))
        rest = normal.get("additionalProperties", True)
        if "propertyNames" in normal:
            properties, patterns, rest = self._named(normal["propertyNames"], properties, patterns, rest)
        for name in required:
            if name not in properties:
                properties[name] = self.document.member({**normal, "additionalProperties": rest}, name)
        if properties and patterns:
            properties, patterns = self._apart(properties, patterns)
        written["properties"] = {name: self.part(part, depth + 1) for name, part in properties.items()}
        if any(written["properties"][name] is False for name in required):
            if "object" in (kinds := kinds_of(written)):
                return {**written, "type": [kind for kind in kinds if kind != "object"]} if len(kinds) > 1 else False
        if required:
            written["required"] = required
        if patterns and not self._write_patterns(patterns, written, depth):
            self.checked["additionalProperties"] += rest is not True
            rest = True  # the names that the others match go on
        written["additionalProperties"] = self.part(rest, depth + 1)
        return self._sized(normal, written)

    def _apart(
        self, properties: Mapping[str, JSON], patterns: Mapping[str, JSON]
    ) -> tuple[dict[str, JSON], dict[str, JSON]]:
        """Say of listed members what the patterns say, too, and not of their names any more, where that is plain."""
        said: dict[str, list[JSON]] = {name: [part] for name, part in properties.items()}
        found: dict[str, JSON] = {}
        for pattern, part in patterns.items():
            named = [name for name in properties if matches(pattern, name)]
            other = other_names(pattern, named) if named else pattern
            if other is None or other in found or (other in patterns and other != pattern):
                other = pattern
            elif other != pattern:
                for name in named:
                    said[name].append(part)
            found[other] = part
        return {n: parts[0] if len(parts) == 1 else self.document.together(parts) for n, parts in said.items()}, found

    def _write_patterns(self, patterns: Mapping[str, JSON], written: dict[str, JSON], depth: int) -> bool:
        """Write the patterns that the engine takes; tell whether these are all."""
        taken = [one for one in patterns if _takes_pattern(one)]
        if taken:
            written["patternProperties"] = {one: self.part(patterns[one], depth + 1) for one in taken}
        self.checked["patternProperties"] += len(taken) < len(patterns)
        return len(taken) == len(patterns)

    def _named(
        self, names: JSON, properties: dict[str, JSON], patterns: dict[str, JSON], rest: JSON
    ) -> tuple[dict[str, JSON], dict[str, JSON], JSON]:
        """Write `propertyNames` as members: listed names as properties, a pattern as a pattern."""
        normal = self.document.normal(names)
        validator = self._validator(names, "propertyNames")
        kept = {name: part for name, part in properties.items() if validator is None or validator.is_valid(name)}
        gone: dict[str, JSON] = {name: False for name in properties if name not in kept}
        listed = normal.get("enum", [normal["const"]] if "const" in normal else [] if normal == NEVER else None)
        if listed is not None and all(map(_takes_pattern, patterns)):
            self.rewritten["propertyNames"] += 1
            more: dict[str, JSON] = {}
            for name in (name for name in listed if isinstance(name, str)):
                parts = [kept[name]] if name in kept else []
                parts += [part for pattern, part in patterns.items() if matches(pattern, name)]
                more[name] = parts[0] if len(parts) == 1 else self.document.together(parts) if parts else rest
            return {**kept, **gone, **more}, {}, False  # no other name is left for a pattern
        only = set(normal) - ANNOTATIONS - {"type"}
        if only == {"pattern"} and not patterns and compiles(compact({"type": "string", "pattern": normal["pattern"]})):
            self.rewritten["propertyNames"] += 1
            return {**kept, **gone}, {normal["pattern"]: rest}, False
        if only <= {"minLength", "maxLength"} and not patterns:
            self.rewritten["propertyNames"] += 1
            low, high = normal.get("minLength", 0), normal.get("maxLength", "")
            return {**kept, **gone}, {f"^[\\s\\S]{{{low},{high}}}$": rest}, False
        self.checked["propertyNames"] += 1
        return {**kept, **gone}, patterns, rest

    def _sized(self, normal: Normal, written: dict[str, JSON]) -> JSON:
        """Write how many members there may be as alternatives that say which."""
        required = written.get("required", [])
        least, most = normal.get("minProperties", 0), normal.get("maxProperties")
        optional = [n for n, p in written["properties"].items() if n not in required and p is not False]
        closed = written["additionalProperties"] is False and "patternProperties" not in written
        if closed and most is not None and most >= len(required) + len(optional):
            most = None
        need = least - len(required)
        if need <= 0 and most is None:
            return written
        if not optional and not normal.get("patternProperties"):  # here the engine counts itself
            return {**written, **{key: normal[key] for key in ("minProperties", "maxProperties") if key in normal}}
        if closed and most is None and comb(len(optional), need) <= _MOST_SETS:
            self.rewritten["minProperties"] += 1
            return _any_of({**written, "required": [*required, *more]} for more in combinations(optional, need))
        if closed and most is not None and need <= 1 and most - len(required) == 1 and len(optional) <= _MOST_SETS:
            self.rewritten["maxProperties"] += 1
            return _any_of(
                self._only(written, chosen) for chosen in ([] if need == 1 else [None], *optional) if chosen != []
            )
        self.checked["minProperties"] += need > 0
        self.checked["maxProperties"] += most is not None
        return written

    def _only(self, written: Mapping[str, JSON], chosen: Any) -> JSON:
        names = [chosen] if isinstance(chosen, str) else []
        required = [*written.get("required", ()), *names]
        properties = {n: p for n, p in written["properties"].items() if n in required}
        return {**written, "properties": properties, "required": required}


def _any_of(ways: Iterator[JSON]) -> JSON:
    return ({"anyOf": found} if found[1:] else found[0]) if (found := list(ways)) else False


def _takes_pattern(pattern: str) -> bool:
    """Tell whether the engine takes a pattern of names."""
    return compiles(compact({"type": "object", "patternProperties": {pattern: True}}))

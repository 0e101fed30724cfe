"""Two schemas in normal form merged into one that says what both say (see `schematune.schemas.normal`)."""

import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Any

from schematune.schemas.jsontext import JSON, compact
from schematune.schemas.patterns import matches

__all__ = ["ANNOTATIONS", "ANY", "NEVER", "Normal", "both", "equal"]

Normal = Mapping[str, JSON]
"""A schema in normal form."""

ANY: Normal = {}
"""The schema that everything fits."""

NEVER: Normal = {"not": {}}
"""The schema that nothing fits."""

ANNOTATIONS = frozenset(
    ("title", "description", "default", "examples", "deprecated", "$comment", "readOnly", "writeOnly")
)
"""Keywords that tell people something and forbid nothing."""

_LEAST = {"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"}
_MOST = {"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"}
_OBJECT = ("properties", "patternProperties", "additionalProperties")
_ARRAY = ("prefixItems", "items")
_GROUPS = (("if", "then", "else"), ("contains", "minContains", "maxContains"))


def both(one: Normal, other: Normal) -> Normal:
    """Return the normal form of what fits two normal forms.

    >>> both({"type": ["string", "null"], "minLength": 2}, {"type": "string", "pattern": "^a"})
    {'type': 'string', 'minLength': 2, 'pattern': '^a'}
    """
    if NEVER in (one, other):
        return NEVER
    if not one or not other:
        return one or other
    if any(key.startswith("unevaluated") for key in (*one, *other)):  # these see what stands beside them, and no more
        return {"allOf": [one, other]}
    merged: dict[str, JSON] = dict(one)
    left = {key: value for key, value in other.items() if key not in (*_OBJECT, *_ARRAY)}
    for group in _GROUPS:
        if group[0] in one and group[0] in left:
            _keep_apart(merged, {key: left.pop(key) for key in group if key in left})
    _merge_objects(merged, {key: other[key] for key in _OBJECT if key in other})
    _merge_arrays(merged, other)
    for key, value in left.items():
        if key not in merged:
            merged[key] = value
        elif key == "allOf":
            for part in value:
                _keep_apart(merged, part)
        elif key in _JOINED:
            joined: object = _JOINED[key](merged[key], value)
            if joined is NEVER:
                return NEVER
            if joined is NotImplemented:
                _keep_apart(merged, {key: value})
            else:
                merged[key] = joined
        elif key not in ANNOTATIONS and not _same(merged[key], value):
            _keep_apart(merged, {key: value})
    if "const" in merged and "enum" in merged:
        if not any(equal(merged["const"], value) for value in merged["enum"]):
            return NEVER
        del merged["enum"]
    return merged


def _keep_apart(merged: dict[str, JSON], part: Mapping[str, JSON]) -> None:
    if not any(_same(part, known) for known in merged.get("allOf", ())):
        merged["allOf"] = [*merged.get("allOf", ()), dict(part)]


def _same(one: JSON, other: JSON) -> bool:
    if one is other:  # a schema that refers to itself meets its own parts
        return True
    if one != other:
        return False
    try:
        return compact(one) == compact(other)  # Python's == would take true for 1
    except (TypeError, ValueError):
        return False


def _all_of(parts: Iterable[JSON]) -> JSON:
    """Return the schema of what fits all `parts`, which are not in normal form."""
    found: list[JSON] = []
    for group in parts:
        # what was put together before is taken apart again: else parts that refer in a circle grow without end
        for part in group["allOf"] if isinstance(group, Mapping) and group.keys() == {"allOf"} else (group,):
            if part is False:
                return False
            if part is not True and part != {} and not any(part is known for known in found):
                found.append(part)
    return True if not found else found[0] if len(found) == 1 else {"allOf": found}


def _merge_objects(merged: dict[str, JSON], other: Mapping[str, JSON]) -> None:
    """Merge what is said of members, or keep it apart where patterns and the rest cross."""
    one = {key: merged[key] for key in _OBJECT if key in merged}
    if not other or not one:
        merged.update(other)
        return
    crossed = any(
        b.get("patternProperties") and "additionalProperties" in a and a["additionalProperties"] not in (True, {})
        for a, b in ((one, other), (other, one))
    )
    if crossed and not _same(one.get("patternProperties"), other.get("patternProperties")):
        _keep_apart(merged, other)
        return
    names = dict.fromkeys((*one.get("properties", {}), *other.get("properties", {})))
    properties = {name: _all_of((*_said_of(name, one), *_said_of(name, other))) for name in names}
    patterns: dict[str, JSON] = dict(one.get("patternProperties", {}))
    for pattern, part in other.get("patternProperties", {}).items():
        patterns[pattern] = _all_of((patterns[pattern], part)) if pattern in patterns else part
    rest = _all_of(group["additionalProperties"] for group in (one, other) if "additionalProperties" in group)
    found = {"properties": properties, "patternProperties": patterns, "additionalProperties": rest}
    merged.update({key: value for key, value in found.items() if key in one or key in other})


def _said_of(name: str, group: Mapping[str, JSON]) -> Iterator[JSON]:
    """Yield what a group of keywords says of a member, apart from its patterns, which go on to be said."""
    if name in group.get("properties", {}):
        yield group["properties"][name]
    elif not any(matches(pattern, name) for pattern in group.get("patternProperties", {})):
        yield group.get("additionalProperties", True)


def _merge_arrays(merged: dict[str, JSON], other: Normal) -> None:
    """Merge what is said of elements, place by place."""
    one = {key: merged[key] for key in _ARRAY if key in merged}
    two = {key: other[key] for key in _ARRAY if key in other}
    if not one or not two:
        merged.update(two)
        return
    prefixes = [group.get("prefixItems", []) for group in (one, two)]
    rests = [group.get("items", True) for group in (one, two)]
    longest = max(map(len, prefixes))
    places = [
        _all_of(prefix[place] if place < len(prefix) else rest for prefix, rest in zip(prefixes, rests, strict=True))
        for place in range(longest)
    ]
    if places:
        merged["prefixItems"] = places
    if "items" in one or "items" in two:
        merged["items"] = _all_of(rests)


def _types(one: JSON, other: JSON) -> JSON:
    first, second = ([kinds] if isinstance(kinds, str) else list(kinds) for kinds in (one, other))
    kept = [kind for kind in first if kind in second or (kind == "integer" and "number" in second)]
    kept += ["integer"] if "number" in first and "integer" in second and "integer" not in kept else []
    if "number" in kept and "integer" in kept:
        kept.remove("integer")
    return NEVER if not kept else kept[0] if len(kept) == 1 else kept


def _common(one: list[JSON], other: list[JSON]) -> JSON:
    known = set(map(_key, other))
    return [value for value in one if _key(value) in known] or NEVER


def _key(value: JSON) -> Hashable:
    """Return what two JSON values share if and only if they are equal."""
    if isinstance(value, Mapping):
        return "object", frozenset((name, _key(part)) for name, part in value.items())
    if isinstance(value, list):
        return "array", tuple(map(_key, value))
    return isinstance(value, bool), value


def equal(one: JSON, other: JSON) -> bool:
    """Tell whether two JSON values are equal as JSON Schema has it.

    >>> equal([1], [1.0]), equal(1, True)
    (True, False)
    """
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return set(one) == set(other) and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    return type(one) is type(other) and one == other or _both_numbers(one, other) and one == other


def _both_numbers(one: JSON, other: JSON) -> bool:
    return isinstance(one, int | float) and isinstance(other, int | float)


def _multiple(one: JSON, other: JSON) -> JSON:
    whole = all(isinstance(step, int) or float(step).is_integer() for step in (one, other))
    if whole:
        return math.lcm(int(one), int(other))
    return max(one, other) if max(one, other) / min(one, other) % 1 == 0 else NotImplemented


_JOINED: dict[str, Callable[[Any, Any], Any]] = {
    **dict.fromkeys(_LEAST, min),
    **dict.fromkeys(_MOST, max),
    "type": _types,
    "enum": _common,
    "const": lambda one, other: one if equal(one, other) else NEVER,
    "required": lambda one, other: list(dict.fromkeys((*one, *other))),
    "uniqueItems": lambda one, other: one or other,
    "multipleOf": _multiple,
}

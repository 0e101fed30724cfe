"""Schemas without the parts that nothing fits: the engine refuses a schema that holds one."""

from collections.abc import Mapping, Set

from schematune.schemas.jsontext import JSON

__all__ = ["ANY_KIND", "kinds_of", "without"]

ANY_KIND = ["null", "boolean", "number", "string", "array", "object"]
"""The types of JSON, as schemas name them."""


def without(part: JSON, gone: Set[str]) -> JSON:
    """Write a part without references to definitions that nothing fits: the engine refuses what holds one.

    >>> without({"anyOf": [{"$ref": "#/$defs/never"}, {"type": "null"}]}, {"#/$defs/never"})
    {'anyOf': [{'type': 'null'}]}
    """
    if isinstance(part, list):
        return [without(one, gone) for one in part]
    if not isinstance(part, Mapping):
        return part
    if part.get("$ref") in gone:
        return False
    left = dict(part)
    if "anyOf" in left:
        left["anyOf"] = [way for way in without(left["anyOf"], gone) if way is not False]
        if not left["anyOf"]:
            return False
    for key in ("properties", "patternProperties"):
        if key in left:
            left[key] = {name: without(one, gone) for name, one in left[key].items()}
    left |= {key: without(left[key], gone) for key in ("items", "prefixItems", "additionalProperties") if key in left}
    if any(left.get("properties", {}).get(name) is False for name in left.get("required", ())):
        kinds = [kind for kind in kinds_of(left) if kind != "object"]
        return {**left, "type": kinds} if kinds else False
    return left


def kinds_of(written: Mapping[str, JSON]) -> list[str]:
    """Return the types that a part allows, all of them where it names none."""
    kinds = written.get("type", ANY_KIND)
    return [kinds] if isinstance(kinds, str) else list(kinds)

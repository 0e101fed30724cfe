"""Schemas in a normal form: references followed, `allOf` merged, old drafts' keywords written as today's.

The normal form of a schema is an equivalent JSON Schema (draft 2020-12) whose top level says in one place all that
can be said in one place. What cannot be merged (two patterns, two lists of branches) stays in `allOf`; members keep
their schemas, which are brought to normal form when they are looked at, so recursion costs nothing. Source: JSON
Schema Validation 2020-12 and the changes that each draft lists.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import unquote

from schematune.schemas.errors import SchemaError
from schematune.schemas.jsontext import JSON
from schematune.schemas.merge import ANNOTATIONS, ANY, NEVER, Normal, both
from schematune.schemas.patterns import matches
from schematune.schemas.validate import part_validator

__all__ = ["CHOICES", "Document", "negated", "resolve"]

CHOICES = ("anyOf", "oneOf", "if", "dependentSchemas", "dependentRequired")
"""Keywords that let a value take one of several ways."""

_DEEPEST = 64
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_DROPPED = {"$defs", "definitions", "$schema", "$id", "id", "$anchor", "$dynamicAnchor", "$recursiveAnchor",
            "$vocabulary", "allOf", "not", "unevaluatedProperties", "unevaluatedItems", *_REFERENCES}  # fmt: skip
_SIZED = {"Length": "string", "Items": "array", "Properties": "object"}
_COUNTS = {"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "minContains", "maxContains"}  # fmt: skip
_BOUNDS = {
    "minimum": ("number", "exclusiveMaximum", 0),
    "maximum": ("number", "exclusiveMinimum", 0),
    "exclusiveMinimum": ("number", "maximum", 0),
    "exclusiveMaximum": ("number", "minimum", 0),
    **{f"min{what}": (kind, f"max{what}", -1) for what, kind in _SIZED.items()},
    **{f"max{what}": (kind, f"min{what}", 1) for what, kind in _SIZED.items()},
}
_APART = {"type", "required", "properties", *_BOUNDS}
_TYPES = ("null", "boolean", "number", "string", "array", "object")


def resolve(schema: JSON, root: JSON) -> Normal:
    """Return the normal form of `schema`, whose local references point into `root`.

    Raises `SchemaError` for a reference that leads nowhere, or only to itself.

    >>> root = {"$defs": {"size": {"type": "integer", "minimum": 1}}}
    >>> resolve({"allOf": [{"$ref": "#/$defs/size"}, {"minimum": 3}], "description": "how many"}, root)
    {'description': 'how many', 'type': 'integer', 'minimum': 3}
    """
    known = _RESOLVED.get((id(schema), id(root)))
    if known is None:
        if len(_RESOLVED) >= _MOST_RESOLVED:
            _RESOLVED.clear()
        known = _RESOLVED[id(schema), id(root)] = schema, root, Document(root).normal(schema)
    return known[2]


def refs_stand_alone(root: JSON) -> bool:
    """Tell whether a document is of a draft, up to the seventh, in which what stands beside a `$ref` says nothing.

    >>> refs_stand_alone({"$schema": "http://json-schema.org/draft-07/schema#"}), refs_stand_alone({})
    (True, False)
    """
    dialect = root.get("$schema") if isinstance(root, Mapping) else None
    return isinstance(dialect, str) and _ALONE.search(dialect) is not None


_ALONE = re.compile(r"/draft-0[3-7]/")
_RESOLVED: dict[tuple[int, int], tuple[JSON, JSON, Normal]] = {}
_MOST_RESOLVED = 8192


class Document:
    """A schema document whose parts are brought to normal form once each.

    Parts are known by identity and kept, so the same part gives the same normal form.

    >>> document = Document({"properties": {"n": {"const": 1}}})
    >>> document.normal(document.root["properties"]["n"])
    {'const': 1}
    """

    def __init__(self, root: JSON, *, dynamic: bool = True) -> None:
        """`root` is what local references point into; `True` where there is nothing.

        With `dynamic`, dynamic references lead where they lead at first sight; else they say nothing.
        """
        self.root = root
        self._references = _REFERENCES if dynamic else _REFERENCES[:1]
        self._alone = refs_stand_alone(root)
        self._closes = dynamic or not any(key in node for node in _nodes(root) for key in _REFERENCES[1:])
        self._known: dict[int, tuple[JSON, Normal]] = {}
        self._ways: dict[int, tuple[Normal, str, list[Normal]]] = {}
        self._chosen: dict[tuple[int, int, bool], tuple[Normal, Normal, Normal]] = {}
        self._same: dict[frozenset[int], Mapping[str, JSON]] = {}
        self._together: dict[tuple[int, ...], JSON] = {}
        self._names: dict[str, JSON] | None = None

    def normal(self, schema: JSON, depth: int = 0) -> Normal:
        """Return the normal form of a part of the document, or of a schema that refers into it."""
        if not isinstance(schema, Mapping):
            return NEVER if schema is False else ANY
        known = self._known.get(id(schema))
        if known is None and schema.keys() == {"allOf"}:  # put together from parts anew each time
            same = self._same.setdefault(frozenset(map(id, schema["allOf"])), schema)
            known = self._known.get(id(same))
            if known is not None:
                self._known[id(schema)] = (schema, known[1])
        if known is None:
            if depth > _DEEPEST:
                raise SchemaError("references lead in a circle", where=str(schema.get("$ref", "")), fix="break it")
            known = self._known[id(schema)] = (schema, self._merge(schema, depth))
        return known[1]

    def settled(self, schema: JSON, value: JSON) -> Normal:
        """Return the normal form of a part of the document with the choices made that `value` makes."""
        normal = self.normal(schema)
        for _ in range(_DEEPEST):  # a choice can lead back to itself
            found = self.ways(normal)
            if found is None:
                return normal
            key, ways = found
            fitting = ((way, part_validator(way, self.root)) for way in ways)
            way = next((way for way, validator in fitting if validator is None or validator.is_valid(value)), None)
            if way is None:
                break
            normal = self.chosen(normal, key, way)
        return {name: part for name, part in normal.items() if name not in CHOICES}

    def member(self, normal: Normal, name: str) -> JSON:
        """Return the schema of an object's member: what is said of its name, or of all others."""
        if name in normal.get("properties", {}):
            return normal["properties"][name]
        known = [part for pattern, part in normal.get("patternProperties", {}).items() if matches(pattern, name)]
        if len(known) > 1:
            return self.together(known)
        return known[0] if known else normal.get("additionalProperties", normal.get("unevaluatedProperties", True))

    def together(self, parts: Sequence[JSON]) -> JSON:
        """Return the schema of what fits all of the parts; the same one for the same parts."""
        return self._together.setdefault(tuple(map(id, parts)), {"allOf": list(parts)})

    def _merge(self, schema: Mapping[str, JSON], depth: int) -> Normal:
        if self._alone:  # drafts that know only `dependencies`
            schema = {key: part for key, part in schema.items() if key not in ("dependentRequired", "dependentSchemas")}
        merged: Normal = _own(schema)
        if self._alone and isinstance(schema.get("$ref"), str):
            schema = {"$ref": schema["$ref"]}
            merged = {key: value for key, value in merged.items() if key in ANNOTATIONS}
        for key in self._references:
            if isinstance(schema.get(key), str):
                merged = both(merged, self.normal(self.target(schema[key]), depth + 1))
        parts = schema.get("allOf")
        for part in parts if isinstance(parts, list) else ():
            merged = both(merged, self.normal(part, depth + 1))
        if "not" in schema:
            other = negated(schema["not"])
            merged = both(merged, other if "not" in other else self.normal(other, depth + 1))
        return _closed(merged, schema) if self._closes else merged

    def ways(self, schema: Normal) -> tuple[str, list[Normal]] | None:
        """Return the first keyword of a normal form that leaves a choice, and its ways; None where there is none.

        A value that fits the schema fits the rest of it and at least one way.
        """
        key = next((key for key in CHOICES if key in schema), None)
        if key is None:
            return None
        if id(schema) not in self._ways:
            self._ways[id(schema)] = (
                schema,
                key,
                [way for way in map(self.normal, _ways(schema, key)) if way != NEVER],
            )
        return self._ways[id(schema)][1:]

    def chosen(self, schema: Normal, key: str, way: Normal, *, wide: bool = False) -> Normal:
        """Return the normal form of a schema whose choice `key` is made; the same one for the same arguments.

        Where `unevaluatedProperties` or `unevaluatedItems` stand beside, what fits fits the schema, but not the other way
        round: a value may fit several ways, each of which evaluates some of it. If `wide`, it is the other way round.
        """
        known = self._chosen.get((id(schema), id(way), wide))
        if known is None:
            gone = {
                key,
                "allOf",
                "unevaluatedProperties",
                "unevaluatedItems",
                *(("then", "else") if key == "if" else ()),
            }
            merged = both({name: value for name, value in schema.items() if name not in gone}, way)
            for part in schema.get("allOf", ()):
                merged = both(merged, part)
            merged = merged if wide or not self._closes else _closed(merged, schema)
            known = self._chosen[id(schema), id(way), wide] = (schema, way, merged)
        return known[2]

    def target(self, reference: str) -> JSON:
        """Return what a local reference points at; raises `SchemaError` where that is nothing."""
        base, _, fragment = reference.partition("#")
        node = self.root
        if base and base != self._id(self.root):
            node = self._named(base, reference)
        fragment = unquote(fragment)
        if fragment and not fragment.startswith("/"):
            return self._named(f"#{fragment}", reference)
        for part in fragment.split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            try:
                node = node[int(key)] if isinstance(node, list) else node[key]
            except (KeyError, ValueError, IndexError, TypeError):
                raise SchemaError(
                    f"the reference {reference!r} leads nowhere", where=reference, fix="add what it points at"
                ) from None
        return node

    def _id(self, node: JSON) -> str:
        found = node.get("$id", node.get("id")) if isinstance(node, Mapping) else ""
        return found.rstrip("#") if isinstance(found, str) else ""

    def _named(self, name: str, reference: str) -> JSON:
        if self._names is None:
            self._names = {}
            for node in _nodes(self.root):
                for key in ("$anchor", "$dynamicAnchor"):
                    if isinstance(node.get(key), str):
                        self._names.setdefault(f"#{node[key]}", node)
                if self._id(node):
                    self._names.setdefault(self._id(node), node)
        if name not in self._names:
            raise SchemaError(
                f"the reference {reference!r} leads out of the schema", where=reference, fix='copy it into "$defs"'
            )
        return self._names[name]


def negated(schema: JSON) -> Normal:
    """Return a schema for what does not fit `schema`, without `not` where that is easy.

    >>> negated({"required": ["a"]})
    {'type': 'object', 'properties': {'a': False}}
    >>> negated({"properties": {"kind": {"const": "x"}}})["required"]
    ['kind']
    """
    if not isinstance(schema, Mapping):
        return NEVER if schema is True else {}
    keys = set(schema) - ANNOTATIONS
    if not keys:
        return NEVER
    if keys == {"anyOf"}:
        return {"allOf": [negated(branch) for branch in schema["anyOf"]]}
    if keys == {"allOf"}:
        return {"anyOf": [negated(branch) for branch in schema["allOf"]]}
    if keys == {"not"}:
        return schema["not"] if isinstance(schema["not"], Mapping) else negated(schema["not"] is False)
    if keys == {"type"}:
        return _other_types(schema["type"])
    if keys == {"propertyNames"} and schema["propertyNames"] is False:
        return {"type": "object", "minProperties": 1}
    if keys <= {"required", "properties"}:
        ways: list[JSON] = [{"type": "object", "properties": {name: False}} for name in schema.get("required", ())]
        for name, part in schema.get("properties", {}).items():
            ways.append({"type": "object", "required": [name], "properties": {name: negated(part)}})
        return ways[0] if len(ways) == 1 else {"anyOf": ways} if ways else NEVER
    if len(keys) == 1:
        [key] = keys
        return _beyond(key, schema[key]) if key in _BOUNDS and type(schema[key]) in (int, float) else {"not": schema}
    if keys <= _APART:
        members = {key: schema[key] for key in ("properties", "required") if key in schema}
        parts = [*([members] if members else []), *({key: schema[key]} for key in schema if key in keys - set(members))]
        ways = [negated(part) for part in parts]
        if all("not" not in way for way in ways):
            return {"anyOf": ways}
    return {"not": schema}


def _beyond(key: str, bound: float) -> Normal:
    """Return a schema for what does not keep to a bound."""
    kind, other, step = _BOUNDS[key]
    if step and bound + step < 0:
        return NEVER
    return {"type": kind, other: bound + step}


def _ways(schema: Normal, key: str) -> Iterator[JSON]:
    """Yield the ways that a choice leaves."""
    if key == "if":
        yield {"allOf": [schema["if"], schema.get("then", True)]}
        yield {"allOf": [negated(schema["if"]), schema.get("else", True)]}
    elif key in ("anyOf", "oneOf"):
        yield from schema[key]
    else:
        (name, part), *others = schema[key].items()
        more = {key: dict(others)} if others else {}
        yield {"properties": {name: False}, **more}
        needs = (
            {"required": list(dict.fromkeys((name, *part)))}
            if key == "dependentRequired"
            else {"allOf": [{"required": [name]}, part]}
        )
        yield {**needs, **more}


def _other_types(kinds: JSON) -> Normal:
    given = [kinds] if isinstance(kinds, str) else list(kinds)
    if "integer" in given and "number" not in given:
        return {"not": {"type": kinds}}  # other numbers are no type
    left = [kind for kind in _TYPES if kind not in given]
    return {"type": left} if left else NEVER


def _own(schema: Mapping[str, JSON]) -> dict[str, JSON]:
    """Return what a schema says itself, in today's keywords."""
    own = {key: value for key, value in schema.items() if key not in _DROPPED}
    for bound, edge in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(own.get(edge), bool):
            if own.pop(edge) and bound in own:
                own[edge] = own.pop(bound)
    for key in _COUNTS & own.keys():
        if isinstance(own[key], float) and own[key].is_integer():
            own[key] = int(own[key])
    if isinstance(own.get("items"), list):
        own["prefixItems"] = own.pop("items")
        if "additionalItems" in own:
            own["items"] = own["additionalItems"]
    own.pop("additionalItems", None)
    for name, part in own.pop("dependencies", {}).items():
        kind = "dependentRequired" if isinstance(part, list | str) else "dependentSchemas"
        own[kind] = {**own.get(kind, {}), name: [part] if isinstance(part, str) else part}
    for kind in ("dependentRequired", "dependentSchemas"):
        if own.get(kind) == {}:
            del own[kind]
    if isinstance(own.get("required"), bool):  # draft 3 says it in the member
        del own["required"]
    if "if" in own and not {"then", "else", "unevaluatedProperties", "unevaluatedItems"} & set(schema):
        del own["if"]  # beside the last two it counts without then and else: it evaluates
    if "if" not in own:
        own.pop("then", None)
        own.pop("else", None)
    if isinstance(own.get("type"), list) and len(own["type"]) == 1:
        own["type"] = own["type"][0]
    return own


def _closed(merged: Normal, schema: Mapping[str, JSON]) -> Normal:
    """Add `unevaluatedProperties` and `unevaluatedItems`, as their simpler kin where nothing else evaluates."""
    for key, plain in (("unevaluatedProperties", "additionalProperties"), ("unevaluatedItems", "items")):
        if key not in schema or plain in merged:
            continue
        simple = not any(choice in merged for choice in (*CHOICES, "allOf", "not", "contains"))
        merged = {**merged, plain if simple else key: schema[key]}
    return merged


def _nodes(node: JSON) -> Iterator[Mapping[str, JSON]]:
    stack = [node]
    while stack:
        node = stack.pop()
        if isinstance(node, Mapping):
            yield node
            stack.extend(node.values())
        elif isinstance(node, list):
            stack.extend(node)

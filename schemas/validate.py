"""Schemas checked and values validated, with formats on and nothing fetched.

jsonschema-rs does the work (draft chosen by `$schema`, 2020-12 without one). A `$ref` that leaves the
document is refused before a validator is built, and the validator's own retriever refuses too. A schema has bounds:
`check_bounds` refuses what is nested too deeply, too large, or no JSON that can be written as UTF-8.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol
from urllib.parse import urljoin

import jsonschema_rs

from schematune.schemas.errors import SchemaError
from schematune.schemas.jsontext import JSON, compact, strict_loads

__all__ = [
    "MAX_DEPTH",
    "MAX_NODES",
    "Validator",
    "check_bounds",
    "check_schema",
    "is_open",
    "is_valid",
    "listed",
    "part_validator",
    "validator",
    "violations",
]

MAX_DEPTH = 64
"""How deep a schema's JSON may be nested."""

MAX_NODES = 200_000
"""How many values a schema's JSON may hold, the listed ones of an `enum` included."""

MAX_CROSSED = 1_000_000
"""How many values the ways of a choice may come to, each together with what stands beside the choice."""

MAX_LITERAL = 50_000
"""How long the JSON of one listed value (of `enum`, `const`) or one name may be, in characters."""

MAX_PATTERN = 10_000
"""How long a pattern may be, in characters: engines take a gigabyte for some twice as long."""

_MANY_WAYS = 200
_MOST_CACHED = 100_000
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_LARGEST = 1.7976931348623157e308
_BROKEN = (ValueError, TypeError, OverflowError, jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError)


_NOTHING: Any = jsonschema_rs.Registry([])
"""A registry without documents, which fetches none."""


class Validator(Protocol):
    """What checks values against one schema."""

    def is_valid(self, instance: Any) -> bool:
        """Tell whether a value fits."""

    def iter_errors(self, instance: Any) -> Iterator[Any]:
        """Yield what keeps a value from fitting."""


def _refuse(uri: str) -> JSON:
    raise ValueError(f"remote reference {uri} is not fetched")


@dataclass(frozen=True)
class _Unreadable:
    """What is wrong with a value that the validator cannot read: a number or a nesting beyond all bounds."""

    message: str
    instance_path: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Checker:
    """A validator for which what it cannot read is not valid, where its library would raise."""

    inner: Validator

    def is_valid(self, instance: Any) -> bool:
        try:
            return self.inner.is_valid(instance)
        except _BROKEN:
            return False

    def iter_errors(self, instance: Any) -> Iterator[Any]:
        try:
            yield from self.inner.iter_errors(instance)
        except _BROKEN as error:
            yield _Unreadable(f"cannot be checked: {str(error).splitlines()[0]}")


def _validator(text: str, documents: str = "", formats: bool = True) -> Validator:
    made = _built if len(text) + len(documents) <= _MOST_CACHED else _built.__wrapped__
    return made(text, documents, formats)


@lru_cache(maxsize=4096)
def _built(text: str, documents: str, formats: bool) -> Validator:
    schema = strict_loads(text)
    options: Any = {"pattern_options": jsonschema_rs.FancyRegexOptions(backtrack_limit=100_000), "retriever": _refuse}
    if documents:
        known = list(strict_loads(documents).items())
        options["registry"] = jsonschema_rs.Registry(known, retriever=_refuse)
    return _Checker(jsonschema_rs.validator_for(schema, validate_formats=formats, **options))


def _crossed(node: Mapping[str, JSON]) -> int:
    """Return how many values a choice's ways come to, each with all that stands beside the choice."""
    most = max((len(ways) for ways in map(node.get, ("anyOf", "oneOf")) if isinstance(ways, list)), default=0)
    if most < _MANY_WAYS:
        return 0
    beside = sum(1 for key, part in node.items() if key not in ("anyOf", "oneOf") for _ in _values(part))
    return most * beside


def _values(node: JSON) -> Iterator[JSON]:
    """Yield a value and all in it."""
    stack = [node]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(node.values() if isinstance(node, Mapping) else node if isinstance(node, list) else ())


def check_bounds(schema: JSON, *, where: str = "schema") -> str:
    """Return a schema as compact JSON; raises `SchemaError` where it is too deep, too large or no JSON.

    >>> check_bounds({"const": float("nan")})
    Traceback (most recent call last):
    ...
    schematune.schemas.errors.SchemaError: schema: it holds NaN, or a number beyond all bounds; mend the schema
    """
    if not isinstance(schema, Mapping | bool):
        raise SchemaError("a schema is an object or a boolean", where=where, fix="mend the schema")
    level: list[JSON] = [schema]
    nodes = depth = 0
    while level:
        nodes, depth = nodes + len(level), depth + 1
        if depth > MAX_DEPTH + 1 or nodes > MAX_NODES:
            raise SchemaError(
                f"nested deeper than {MAX_DEPTH} levels or larger than {MAX_NODES} values",
                where=where,
                fix="split the schema or flatten it",
            )
        below: list[JSON] = []
        for node in level:
            if isinstance(node, Mapping):
                below += node.values()
                if _crossed(node) > MAX_CROSSED:
                    what = f"the ways of a choice times what stands beside them come to more than {MAX_CROSSED} values"
                    raise SchemaError(what, where=where, fix="say within the ways what is true of them")
            elif isinstance(node, list):
                below += node
            elif isinstance(node, int | float) and not -_LARGEST <= node <= _LARGEST:
                raise SchemaError("it holds NaN, or a number beyond all bounds", where=where, fix="mend the schema")
        level = below
    try:
        text = compact(schema)
        if not text.isascii():
            text.encode("utf-8")
    except (TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise SchemaError(f"it is no JSON in UTF-8: {reason}", where=where, fix="mend the schema") from error
    if len(text) > MAX_LITERAL and any(len(word) > MAX_LITERAL for word in _literals(schema)):
        raise SchemaError(f"a listed value or a name of over {MAX_LITERAL} characters", where=where, fix="shorten it")
    if len(text) > MAX_PATTERN and any(len(pattern) > MAX_PATTERN for pattern in _patterns(schema)):
        raise SchemaError(f"a pattern of over {MAX_PATTERN} characters", where=where, fix="shorten it")
    return text


def _patterns(schema: JSON) -> Iterator[str]:
    for node in _mappings(schema):
        yield from (part for part in (node.get("pattern"),) if isinstance(part, str))
        yield from node["patternProperties"] if isinstance(node.get("patternProperties"), Mapping) else ()


def _literals(schema: JSON) -> Iterator[str]:
    for node in _mappings(schema):
        yield from node
        yield from map(compact, node["enum"] if isinstance(node.get("enum"), list) else ())
        if "const" in node:
            yield compact(node["const"])


def is_open(schema: JSON, documents: Mapping[str, JSON]) -> bool:
    """Tell whether a schema within bounds refers out of itself, or is written in a dialect of one of the `documents`."""
    dialect = schema.get("$schema") if isinstance(schema, Mapping) else None
    return (isinstance(dialect, str) and dialect.rstrip("#") in documents) or any(_remote_references(schema))


def validator(schema: JSON, *, documents: Mapping[str, JSON] | None = None, formats: bool = True) -> Validator:
    """Return what checks values against a schema, whose references may lead into `documents`, by their URI.

    Without `formats` they are notes only. Raises `SchemaError` for a schema that cannot be used.

    >>> validator({"$ref": "https://x.org/n"}, documents={"https://x.org/n": {"type": "integer"}}).is_valid("x")
    False
    """
    text = check_bounds(schema)
    needed = dict(documents) if documents and is_open(schema, documents) else {}
    try:
        return _validator(text, compact(needed) if needed else "", formats)
    except _BROKEN as error:
        reason = str(error).splitlines()[0]
        raise SchemaError(f"no validator can be made of it: {reason}", where="schema", fix="mend the schema") from error


def _remote_references(schema: JSON) -> Iterator[tuple[str, str]]:
    stack: list[tuple[str, JSON]] = [("#", schema)]
    while stack:
        path, node = stack.pop()
        if isinstance(node, Mapping):
            for key in _REFERENCES:
                target = node.get(key)
                if isinstance(target, str) and not target.startswith("#"):
                    yield f"{path}/{key}", target
            stack.extend((f"{path}/{key}", value) for key, value in node.items())
        elif isinstance(node, list):
            stack.extend((f"{path}/{i}", value) for i, value in enumerate(node))


def _own_ids(schema: JSON, base: str = "") -> set[str]:
    """Return the names that a document and its parts give themselves, as written and as a whole URI."""
    if isinstance(schema, Mapping):
        own = {schema[key].rstrip("#") for key in ("$id", "id") if isinstance(schema.get(key), str)}
        whole = {urljoin(base, name) for name in own}
        base = min(whole, default=base)
        return (own | whole).union(*(_own_ids(value, base) for value in schema.values()))
    if isinstance(schema, list):
        return set().union(*(_own_ids(value, base) for value in schema))
    return set()


def check_schema(schema: JSON, *, where: str = "schema") -> None:
    """Raise `SchemaError` unless `schema` is a JSON Schema that can be validated without fetching anything.

    >>> check_schema({"type": "objekt"}, where="tools.json[0]")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    schematune.schemas.errors.SchemaError: tools.json[0]: not a valid JSON Schema: ...
    """
    text = check_bounds(schema, where=where)
    remote = list(_remote_references(schema))
    ids = _own_ids(schema) if remote else set()
    for path, target in remote:
        if target.split("#")[0] not in ids:
            raise SchemaError(
                f"{path} refers to {target!r}, outside this document; nothing is fetched",
                where=where,
                fix='copy it into "$defs" and refer to "#/$defs/..."',
            )
    try:
        # the registry keeps it from asking the network for a dialect that it does not know
        jsonschema_rs.meta.validate(schema if isinstance(schema, bool) else dict(schema), registry=_NOTHING)
        _validator(text)
    except _BROKEN as error:
        reason = str(error).splitlines()[0]
        place = "/".join(map(str, getattr(error, "instance_path", None) or ()))
        reason = f"#/{place}: {reason}" if place else reason
        fix = "mend the schema"
        if isinstance(error, jsonschema_rs.ReferencingError) and "$schema" in schema:
            known = "" if reason.startswith("Resource") else f" ({reason})"
            reason, fix = f"the dialect {schema['$schema']!r} is not known{known}", "known are drafts 4 to 2020-12"
        elif place.endswith(("/exclusiveMinimum", "/exclusiveMaximum")):
            fix = 'that is draft 4: add "$schema": "http://json-schema.org/draft-04/schema#"'
        raise SchemaError(f"not a valid JSON Schema: {reason}", where=where, fix=fix) from error


def is_valid(schema: JSON, value: JSON) -> bool:
    """Tell whether `value` fits `schema`, formats checked.

    >>> is_valid({"format": "date"}, "2026-02-30")
    False
    """
    return _validator(compact(schema)).is_valid(value)


def violations(schema: JSON, value: JSON) -> list[str]:
    """List what keeps `value` from fitting `schema`, each with its path; empty where it fits.

    >>> violations({"properties": {"n": {"type": "integer"}}}, {"n": "x"})
    ['n: "x" is not of type "integer"']
    """
    return listed(validator(schema), value)


def listed(validator: Validator, value: JSON) -> list[str]:
    """List what a validator says against a value."""
    return [f"{'.'.join(map(str, e.instance_path)) or '(top)'}: {e.message}" for e in validator.iter_errors(value)]


def part_validator(schema: JSON, root: JSON) -> Validator | None:
    """Return a validator of a part of the document `root`, into which its references point; None where that fails.

    >>> root = {"$defs": {"n": {"minimum": 2}}}
    >>> part_validator({"type": "integer", "$ref": "#/$defs/n"}, root).is_valid(1)
    False
    """
    dialect = {"$schema": root["$schema"]} if isinstance(root, Mapping) and "$schema" in root else {}
    if schema is root or not isinstance(schema, Mapping):
        whole: JSON = schema
    elif not any(key in node for node in _mappings(schema) for key in _REFERENCES):
        whole = {**dialect, **_moved(schema)}
    else:
        whole = {**dialect, "$defs": {"part": _moved(schema), "root": _moved(root)}, "$ref": "#/$defs/part"}
    try:
        return _validator(compact(whole))
    except _BROKEN:
        return None


def _mappings(node: JSON) -> Iterator[Mapping[str, JSON]]:
    return (part for part in _values(node) if isinstance(part, Mapping))


def _moved(node: JSON) -> JSON:
    """Return a part of a document as it is once the document is a definition named `root` of another."""
    if isinstance(node, list):
        return [_moved(item) for item in node]
    if not isinstance(node, Mapping):
        return node
    moved = {
        key: _moved(value)
        for key, value in node.items()
        if key not in ("$schema", "$id", "id") or isinstance(value, Mapping)
    }
    reference = moved.get("$ref")
    if isinstance(reference, str) and (reference == "#" or reference.startswith("#/")):
        moved["$ref"] = "#/$defs/root" + reference[1:]
    return moved

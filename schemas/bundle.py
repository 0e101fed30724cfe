"""Schemas of several documents made one: what a schema refers to is copied into it, from documents handed over.

Nothing is ever fetched. A caller who has the documents gives them by their URI; the metaschemas of the drafts are at
hand. In the bundle every `$ref` is a pointer into it, so whatever reads local references reads it: the grammar engines,
the sampler, the validator. Source: JSON Schema Core 2020-12, sections 8.2 and 9.3. Dynamic references keep their
meaning only in a validator that was given the documents themselves (`schematune.schemas.validate.validator`).
"""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any
from urllib.parse import quote, urljoin

from schematune.schemas.errors import SchemaError
from schematune.schemas.jsontext import JSON
from schematune.schemas.merge import ANNOTATIONS
from schematune.schemas.normal import refs_stand_alone
from schematune.schemas.validate import is_open

__all__ = ["bundled", "parts", "pointed", "without_formats", "without_siblings"]

_MEMBERS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies")
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems", "items")
_ONE = ("additionalProperties", "additionalItems", "items", "contains", "contentSchema", "not", "if", "then", "else",
        "propertyNames", "unevaluatedItems", "unevaluatedProperties")  # fmt: skip
_VALIDATION = {"type", "enum", "const", "multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum",
               "maxLength", "minLength", "pattern", "maxItems", "minItems", "uniqueItems", "maxContains", "minContains",
               "maxProperties", "minProperties", "required", "dependentRequired"}  # fmt: skip
_BESIDE = ANNOTATIONS | {"$ref", "$schema", "$defs", "definitions"}
_NAMES = ("$id", "id", "$anchor", "$dynamicAnchor", "$schema", "$vocabulary")

Place = tuple[str, str]
"""A document by its URI ("" for the schema itself), and a pointer into it."""


def parts(schema: JSON) -> Iterator[tuple[str, JSON]]:
    """Yield the subschemas right below a schema, each with its pointer.

    >>> list(parts({"properties": {"a/b": True}, "enum": [{"items": {}}], "not": {}}))
    [('/properties/a~1b', True), ('/not', {})]
    """
    if not isinstance(schema, Mapping):
        return
    for key, value in schema.items():
        if key in _MEMBERS and isinstance(value, Mapping):
            yield from ((f"/{key}/{_escaped(name)}", part) for name, part in value.items() if _is_schema(part))
        elif key in _LISTS and isinstance(value, list):
            yield from ((f"/{key}/{place}", part) for place, part in enumerate(value))
        elif key in _ONE and _is_schema(value):
            yield f"/{key}", value


def without_formats(schema: JSON) -> JSON:
    """Return a schema whose formats are notes only, as the specification has it by default: without them.

    >>> without_formats({"properties": {"format": {"type": "string", "format": "date"}}})
    {'properties': {'format': {'type': 'string'}}}
    """
    return _without(schema, {"format"})


def without_siblings(schema: JSON) -> JSON:
    """Return a schema without what stands beside a `$ref`, where its draft (up to the seventh) takes no notice of it.

    >>> without_siblings({"$schema": "http://json-schema.org/draft-07/schema#", "items": {"$ref": "#", "maxItems": 2}})
    {'$schema': 'http://json-schema.org/draft-07/schema#', 'items': {'$ref': '#'}}
    """
    return _alone(schema) if refs_stand_alone(schema) else schema


def _alone(schema: JSON) -> JSON:
    if not isinstance(schema, Mapping):
        return schema
    beside = isinstance(schema.get("$ref"), str)
    kept = {key: value for key, value in schema.items() if not beside or key in _BESIDE}
    return _rebuilt(kept, _alone)


def bundled(schema: JSON, documents: Mapping[str, JSON] | None = None) -> JSON:
    """Return a schema with all that it refers to in `documents`, which are schemas by their URI, as definitions.

    Without documents it is returned as it is. Where its own `$schema` is among them and leaves out the vocabulary of
    validation, so are its keywords. Raises `SchemaError` for what is referred to and not there.

    >>> bundled({"$ref": "https://x.org/n.json"}, {"https://x.org/n.json": {"type": "integer"}})
    {'$ref': '#/$defs/https:~1~1x.org~1n.json', '$defs': {'https://x.org/n.json': {'type': 'integer'}}}
    """
    return _Bundle(schema, documents).whole() if documents and is_open(schema, documents) else schema


def pointed(schema: JSON) -> JSON:
    """Return a schema that is whole, with pointers for references, where some go by the names that its parts have.

    >>> pointed({"$ref": "https://x.org/n", "$defs": {"n": {"$id": "https://x.org/n", "type": "integer"}}})
    {'$ref': '#/$defs/n', '$defs': {'n': {'type': 'integer'}}}
    """
    return _Bundle(schema, {}).whole() if is_open(schema, {}) else schema


class _Bundle:
    """Finds documents and parts of them by URI, and copies those that are referred to."""

    def __init__(self, schema: JSON, documents: Mapping[str, JSON]) -> None:
        self.schema = schema
        self.documents = {uri.rstrip("#"): document for uri, document in documents.items()}
        self.resources: dict[str, Place] = {}
        self.anchors: dict[tuple[str, str], Place] = {}
        self.wanted: dict[str, JSON] = {}
        self._index("", "", schema, "")

    def whole(self) -> JSON:
        """Return the bundle."""
        if not isinstance(self.schema, Mapping):
            return self.schema
        schema: JSON = self.schema
        dialect = schema.get("$schema")
        own = self.documents.get(dialect.rstrip("#")) if isinstance(dialect, str) else None
        if isinstance(own, Mapping):
            schema = {key: value for key, value in schema.items() if key != "$schema"}
            vocabularies = own.get("$vocabulary", {})
            if vocabularies and not any(name.endswith("/vocab/validation") for name in vocabularies):
                schema = _without(schema, _VALIDATION)
        written: dict[str, JSON] = self._written(schema, "")
        if isinstance(schema, Mapping) and "$schema" in schema:
            written["$schema"] = schema["$schema"]
        done: dict[str, JSON] = {}
        while left := [uri for uri in self.wanted if uri not in done]:
            for uri in left:
                done[uri] = self._written(self.wanted[uri], uri)
        return {**written, "$defs": {**written.get("$defs", {}), **done}} if done else written

    def _index(self, document: str, path: str, schema: JSON, base: str) -> None:
        """Remember where each URI and each anchor of a document stands."""
        if not isinstance(schema, Mapping):
            return
        base = _based(schema, base)
        if not path or _own_id(schema):
            self.resources.setdefault(base, (document, path))
        if not path:  # it may give itself another name than the one that it was handed over by
            self.resources.setdefault(document, (document, path))
        for name in _anchors(schema):
            self.anchors.setdefault((base, name), (document, path))
        for below, part in parts(schema):
            self._index(document, path + below, part, base)

    def _written(self, schema: JSON, base: str) -> Any:
        """Return a schema whose references are pointers into the bundle."""
        if not isinstance(schema, Mapping):
            return schema
        base = _based(schema, base)
        written = {
            key: value for key, value in schema.items() if key not in _NAMES or not isinstance(value, str | Mapping)
        }
        if isinstance(schema.get("$ref"), str):
            written["$ref"] = self._pointer(schema["$ref"], base)
        return _rebuilt(written, lambda part: self._written(part, base))

    def _pointer(self, reference: str, base: str) -> str:
        uri, _, fragment = _joined(base, reference).partition("#")
        if uri not in self.resources:
            self._open(uri, reference)
        document, path = self.resources[uri]
        if fragment and not fragment.startswith("/"):
            if (uri, fragment) not in self.anchors:
                raise SchemaError(f"the reference {reference!r} leads nowhere", where=reference, fix="add the anchor")
            document, path = self.anchors[uri, fragment]
            fragment = ""
        if not document:
            return "#" + quote(path, safe="/~$:@") + fragment
        self.wanted[document] = self.documents[document]
        return "#/$defs/" + quote(_escaped(document) + path, safe="/~$:@") + fragment

    def _open(self, uri: str, reference: str) -> None:
        """Index the document of a URI: one handed over, one inside of another, or a metaschema."""
        if uri in self.documents:
            self._index(uri, "", self.documents[uri], uri)
            return
        for name, document in list(self.documents.items()):
            self._index(name, "", document, name)
        registry: Any = import_module("jsonschema_specifications").REGISTRY
        if uri not in self.resources and uri in registry:
            self.documents[uri] = registry[uri].contents
            self._index(uri, "", self.documents[uri], uri)
        if uri not in self.resources:
            raise SchemaError(
                f"the reference {reference!r} leads to {uri!r}, which is not among the documents; nothing is fetched",
                where=reference,
                fix="hand it over: documents={uri: schema}",
            )


def _without(schema: JSON, gone: set[str]) -> JSON:
    if not isinstance(schema, Mapping):
        return schema
    kept = {key: value for key, value in schema.items() if key not in gone}
    return _rebuilt(kept, lambda part: _without(part, gone))


def _rebuilt(schema: dict[str, JSON], change: Any) -> dict[str, JSON]:
    """Change the subschemas right below a schema."""
    for key, value in schema.items():
        if key in _MEMBERS and isinstance(value, Mapping):
            schema[key] = {name: change(part) if _is_schema(part) else part for name, part in value.items()}
        elif key in _LISTS and isinstance(value, list):
            schema[key] = [change(part) for part in value]
        elif key in _ONE and _is_schema(value):
            schema[key] = change(value)
    return schema


def _is_schema(value: JSON) -> bool:
    return isinstance(value, Mapping | bool)


def _own_id(schema: Mapping[str, JSON]) -> str:
    found = schema.get("$id", schema.get("id"))
    return found if isinstance(found, str) and not found.startswith("#") else ""


def _based(schema: Mapping[str, JSON], base: str) -> str:
    return _joined(base, _own_id(schema)).rstrip("#")


def _anchors(schema: Mapping[str, JSON]) -> Iterator[str]:
    yield from (schema[key] for key in ("$anchor", "$dynamicAnchor") if isinstance(schema.get(key), str))
    yield from (schema[key][1:] for key in ("$id", "id") if str(schema.get(key, "")).startswith("#"))


def _joined(base: str, reference: str) -> str:
    """Resolve a reference; `urljoin` knows no fragments of URNs."""
    return base.partition("#")[0] + reference if reference.startswith("#") else urljoin(base, reference)


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")

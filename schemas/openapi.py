"""OpenAPI 3.0 and 3.1 documents as tools: each operation one, its parameters and the body its arguments.

An object as body gives its members as arguments, beside the parameters, where nothing collides and a call without
the body is no case of its own; any other body is the argument `body`. Schemas are brought to plain JSON Schema:
`nullable`, boolean `exclusiveMinimum` and `example` of 3.0 are rewritten, read-only members left out, references into
`components` bundled as `$defs`. Source: the OpenAPI Specification 3.0.4 and 3.1.1.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from schematune.schemas.errors import SchemaError
from schematune.schemas.jsontext import JSON

__all__ = ["is_openapi", "read_openapi"]

Found = tuple[str, str, str, dict[str, JSON]]
"""Where it stands, name, description, parameters."""

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_NO_PARAMETERS = {"accept", "content-type", "authorization"}
_MAPS = {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"}
_LISTS = {"anyOf", "oneOf", "allOf", "prefixItems"}
_ONES = {"items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames", "unevaluatedProperties"}  # fmt: skip
_NO_SCHEMA = {"discriminator", "xml", "externalDocs", "example", "nullable", "readOnly", "writeOnly"}
_SCHEMAS = "#/components/schemas/"


def is_openapi(value: Mapping[str, JSON]) -> bool:
    """Tell whether a document says that it is OpenAPI, or Swagger, its past."""
    return "paths" in value and ("openapi" in value or "swagger" in value)


def read_openapi(document: Mapping[str, JSON], where: str) -> Iterator[Found]:
    """Yield a tool for each operation of `document`, in its order.

    The name is the `operationId`, else the method and the path. Raises `SchemaError` for Swagger 2.0, a misshapen
    part and a reference that leads nowhere or out of the document.

    >>> pets = {"openapi": "3.1.0", "paths": {"/pets/{id}": {"get": {"operationId": "getPet", "summary": "Find a pet",
    ...     "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}]}}}}
    >>> [(name, parameters["properties"]) for _, name, _, parameters in read_openapi(pets, "pets.json")]
    [('getPet', {'id': {'type': 'integer'}})]
    """
    version = str(document.get("openapi", ""))
    if not version.startswith(("3.0", "3.1")):
        found = f"OpenAPI {version}" if version else f"Swagger {document.get('swagger')}"
        raise SchemaError(f"{found} cannot be read", where=where, fix="convert it to OpenAPI 3.0 or 3.1")
    reader = _Reader(document, where, version.startswith("3.0"))
    for path, item in _mapping(document["paths"], f"{where}: paths").items():
        item = reader.resolved(item, f"{where}: {path}")
        for method, operation in item.items():
            if method in _METHODS and isinstance(operation, Mapping):
                yield reader.operation(str(path), method, operation, item.get("parameters", []))


def _mapping(value: JSON, where: str) -> Mapping[str, JSON]:
    if not isinstance(value, Mapping):
        raise SchemaError("no JSON object where OpenAPI has one", where=where, fix="mend the document")
    return value


class _Reader:
    """Reads the operations of one document; `old` is 3.0 with its own dialect of JSON Schema."""

    def __init__(self, document: Mapping[str, JSON], where: str, old: bool) -> None:
        self.document, self.where, self.old = document, where, old

    def operation(self, path: str, method: str, operation: Mapping[str, JSON], shared: JSON) -> Found:
        name = str(operation.get("operationId") or f"{method}_{path.strip('/')}")
        name = re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip("_")
        where = f"{self.where}: {method.upper()} {path}"
        said = [str(operation.get(key) or "").strip() for key in ("summary", "description")]
        summary, description = said
        if summary and summary not in description:
            description = f"{summary.rstrip('.')}. {description}".strip() if description else summary
        properties: dict[str, JSON] = {}
        required: list[str] = []
        for parameter in self._parameters(operation.get("parameters", []), shared, where):
            key = str(parameter["name"])
            key = key if key not in properties else f"{key}_{parameter['in']}"
            properties[key] = self._parameter_schema(parameter, where)
            required += [key] if parameter.get("required") else []
        if operation.get("requestBody") is not None:
            self._add_body(self.resolved(operation["requestBody"], where), properties, required, where)
        parameters: dict[str, JSON] = {"type": "object", "properties": properties}
        if required:
            parameters["required"] = required
        return where, name, description, self._bundled(parameters, where)

    def _parameters(self, own: JSON, shared: JSON, where: str) -> list[Mapping[str, JSON]]:
        """Return the parameters, those of the operation in place of the path's, without the headers HTTP owns."""
        found: dict[tuple[str, str], Mapping[str, JSON]] = {}
        for one in [*(shared or []), *(own or [])]:
            parameter = self.resolved(one, where)
            if not isinstance(parameter.get("name"), str) or not isinstance(parameter.get("in"), str):
                raise SchemaError("a parameter without name or place", where=where, fix='add "name" and "in"')
            if parameter["in"] != "header" or parameter["name"].lower() not in _NO_PARAMETERS:
                found[parameter["name"], parameter["in"]] = parameter
        return list(found.values())

    def _parameter_schema(self, parameter: Mapping[str, JSON], where: str) -> JSON:
        schema = parameter.get("schema")
        if schema is None:
            schema = next((media.get("schema") for media in (parameter.get("content") or {}).values()), {})
        schema = self.plain(schema if schema is not None else {}, where)
        if isinstance(schema, dict) and parameter.get("description"):
            schema = {**schema, "description": str(parameter["description"])}
        return schema

    def _add_body(self, body: Mapping[str, JSON], properties: dict[str, JSON], required: list[str], where: str) -> None:
        """Add the body's members, or the body as one argument."""
        content = _mapping(body.get("content", {}), where)
        kinds = sorted(content, key=lambda kind: (not re.search(r"[/+]json\b", kind), "form" not in kind))
        if not kinds:
            return
        given = _mapping(content[kinds[0]], where).get("schema", {})
        target = self.resolved(given, where) if isinstance(given, Mapping) else {}
        schema = self.plain(target, where)
        members = schema.get("properties") if isinstance(schema, dict) else None
        needed = schema.get("required", []) if isinstance(schema, dict) else []
        plain = set(schema) <= {"type", "properties", "required", "title", "description", "additionalProperties"}
        closed = isinstance(schema, dict) and schema.get("additionalProperties", False) is False
        if members and plain and closed and not set(members) & set(properties) and (body.get("required") or not needed):
            properties.update(members)
            required += [key for key in members if key in needed]
            return
        key = "body" if "body" not in properties else "request_body"
        properties[key] = self.plain(given, where)
        required += [key] if body.get("required") else []

    def resolved(self, value: JSON, where: str) -> Mapping[str, JSON]:
        """Follow the references of a part to what it is."""
        seen: set[str] = set()
        while isinstance(value, Mapping) and isinstance(value.get("$ref"), str):
            if value["$ref"] in seen:
                raise SchemaError(f"the reference {value['$ref']!r} leads to itself", where=where, fix="mend it")
            seen.add(value["$ref"])
            value = self._target(value["$ref"], where)
        return _mapping(value, where)

    def _target(self, reference: str, where: str) -> JSON:
        if not reference.startswith("#/"):
            raise SchemaError(f"the reference {reference!r} leaves the document", where=where, fix="bundle it first")
        node: Any = self.document
        for part in reference[2:].split("/"):
            part = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(node, Mapping) or part not in node:
                raise SchemaError(f"the reference {reference!r} leads nowhere", where=where, fix="mend it")
            node = node[part]
        return node

    def plain(self, schema: JSON, where: str) -> Any:
        """Return a schema as plain JSON Schema, its references into `components` still as they are."""
        if isinstance(schema, bool):
            return schema
        schema = _mapping(schema, where)
        found: dict[str, JSON] = {}
        for key, value in schema.items():
            if key in _MAPS and isinstance(value, Mapping):
                kept = {n: part for n, part in value.items() if key != "properties" or not self._read_only(part)}
                found[key] = {name: self.plain(part, where) for name, part in kept.items()}
            elif key in _LISTS and isinstance(value, list):
                found[key] = [self.plain(part, where) for part in value]
            elif key in _ONES and isinstance(value, Mapping | bool):
                found[key] = self.plain(value, where)
            elif key not in _NO_SCHEMA:
                found[key] = value
        if isinstance(schema.get("properties"), Mapping) and isinstance(found.get("required"), list):
            hidden = {name for name, part in schema["properties"].items() if self._read_only(part)}
            found["required"] = [name for name in found["required"] if name not in hidden]
        if "example" in schema and "examples" not in found:
            found["examples"] = [schema["example"]]
        return _modern(found, bool(schema.get("nullable"))) if self.old else found

    def _read_only(self, schema: JSON) -> bool:
        return isinstance(schema, Mapping) and schema.get("readOnly") is True

    def _bundled(self, parameters: dict[str, JSON], where: str) -> dict[str, JSON]:
        """Return the parameters with the schemas that they refer to, directly or not, as `$defs`."""
        definitions: dict[str, JSON] = {}
        waiting: list[str] = []

        def moved(node: JSON) -> JSON:
            if isinstance(node, list):
                return [moved(item) for item in node]
            if not isinstance(node, Mapping):
                return node
            turned = {key: moved(value) for key, value in node.items()}
            reference = node.get("$ref")
            if isinstance(reference, str):
                name = reference.removeprefix(_SCHEMAS) if reference.startswith(_SCHEMAS) else reference
                self._target(reference, where)
                if "/" in name:  # into the middle of a schema, or elsewhere in the document
                    name = re.sub(r"\W+", "_", name).strip("_")
                names[name] = reference
                waiting.append(name)
                turned["$ref"] = f"#/$defs/{name}"
            return turned

        names: dict[str, str] = {}
        bundled: dict[str, JSON] = dict(moved(parameters))
        while waiting:
            name = waiting.pop()
            if name not in definitions:
                definitions[name] = None  # its place, kept while it is read
                definitions[name] = moved(self.plain(self._target(names[name], where), where))
        return {**bundled, "$defs": definitions} if definitions else bundled


def _modern(schema: dict[str, JSON], nullable: bool) -> dict[str, JSON]:
    """Return a schema of 3.0 as later drafts say it."""
    for key, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        exclusive = schema.get(key)
        if isinstance(exclusive, bool):
            del schema[key]
            if exclusive and bound in schema:
                schema[key] = schema.pop(bound)
    if nullable and isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
        if isinstance(schema.get("enum"), list) and None not in schema["enum"]:
            schema["enum"] = [*schema["enum"], None]
    return schema

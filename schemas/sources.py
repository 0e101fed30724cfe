"""Tools from what people already have: functions, pydantic models, tool lists, JSON Schema, files.

Each source becomes plain tools: a name, a description and a JSON Schema of type object. Dispatch is by
the shape of the source; what fits none is refused with the shapes that do.
"""

import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_type_hints

import yaml
from pydantic import BaseModel, ConfigDict, create_model, validate_call
from pydantic.errors import PydanticUserError

from schematune.schemas.errors import SchemaError
from schematune.schemas.jsontext import JSON
from schematune.schemas.mcp_server import McpServer
from schematune.schemas.openapi import is_openapi, read_openapi

__all__ = ["RawTool", "read_source"]

RawTool = tuple[str, str, str, dict[str, JSON], Callable[..., Any] | None]
"""Where it stands, name, description, parameters, function."""

_ARGUMENT = re.compile(r"^\s*(\w+)\s*(?:\([^)]*\))?\s*:\s*(.+)$")


def read_source(source: Any, where: str) -> Iterator[RawTool]:
    """Yield the tools of one source.

    `source` is a Python function, a pydantic model, an OpenAI, Anthropic or MCP tool, a JSON Schema, an OpenAPI
    document, an `McpServer`, a list of these, `{"tools": [...]}`, or the path of a `.json`, `.jsonl` or `.yaml` file that holds any
    of them. Raises `SchemaError`.
    """
    if isinstance(source, str | Path):
        yield from _read_file(Path(source))
    elif isinstance(source, type) and issubclass(source, BaseModel):
        description = inspect.cleandoc(source.__doc__ or "")
        yield where, source.__name__, description, _tidy(source.model_json_schema()), source
    elif isinstance(source, McpServer):
        for item in source.tools():
            for found in _from_mapping(item, repr(source)):
                yield *found[:4], source.function(found[1])
    elif callable(source):
        yield _from_function(source, where)
    elif isinstance(source, Mapping):
        yield from _from_mapping(source, where)
    elif isinstance(source, list | tuple):
        for place, item in enumerate(source):
            yield from read_source(item, f"{where}[{place}]")
    else:
        raise SchemaError(
            f"a {type(source).__name__} is no tool",
            where=where,
            fix="give a function, a pydantic model, a tool definition, a JSON Schema or a path",
        )


def _read_file(path: Path) -> Iterator[RawTool]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SchemaError(f"cannot be read: {error}", where=str(path), fix="check the path") from error
    rows: list[tuple[str, str]] = [(str(path), text)]
    if path.suffix == ".jsonl":
        rows = [(f"{path}:{n}", line) for n, line in enumerate(text.split("\n"), start=1) if line.strip()]
    for where, row in rows:
        value = _parsed(row, where, path.suffix in (".yaml", ".yml"))
        if isinstance(value, Mapping) and "title" not in value and _is_schema(value):
            value = {"title": re.sub(r"\W+", "_", path.stem), **value}
        yield from read_source(value, where)


def _parsed(text: str, where: str, as_yaml: bool) -> Any:
    try:
        return yaml.load(text, _JsonLoader) if as_yaml else json.loads(text)  # noqa: S506 - a safe loader
    except (ValueError, yaml.YAMLError) as error:
        raise SchemaError(f"no {'YAML' if as_yaml else 'JSON'}: {error}", where=where, fix="mend the file") from error


class _JsonLoader(yaml.SafeLoader):
    """Reads what JSON has: a date stays the text that it is."""

    yaml_implicit_resolvers = {
        first: [(tag, regexp) for tag, regexp in known if tag != "tag:yaml.org,2002:timestamp"]
        for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def _is_schema(value: Mapping[str, JSON]) -> bool:
    keys = ("properties", "$schema", "$defs", "type", "anyOf", "oneOf", "allOf", "$ref", "enum")
    return not isinstance(value.get("function"), Mapping) and "name" not in value and any(k in value for k in keys)


def _from_mapping(source: Mapping[str, JSON], where: str) -> Iterator[RawTool]:
    if isinstance(source.get("tools"), list):
        yield from read_source(source["tools"], f"{where}.tools")
        return
    if is_openapi(source):
        yield from ((*found, None) for found in read_openapi(source, where))
        return
    if isinstance(source.get("function"), Mapping):
        source, where = source["function"], f"{where}.function"
    if _is_schema(source):
        name = source.get("title")
        if not isinstance(name, str) or not name:
            raise SchemaError("a JSON Schema needs a name", where=where, fix='add "title"')
        parameters = {key: value for key, value in source.items() if key not in ("title", "description")}
        yield where, name, str(source.get("description", "")), parameters, None
        return
    name = source.get("name")
    if not isinstance(name, str) or not name.strip():
        raise SchemaError("a tool without a name", where=where, fix='add "name"')
    schemas = [source[key] for key in ("parameters", "input_schema", "inputSchema") if source.get(key) is not None]
    parameters = schemas[0] if schemas else {"type": "object", "properties": {}}
    if not isinstance(parameters, Mapping):
        raise SchemaError("the parameters are no JSON Schema object", where=f"{where} ({name})")
    yield where, name, str(source.get("description") or ""), dict(parameters), None


def _from_function(function: Callable[..., Any], where: str) -> RawTool:
    name = getattr(function, "__name__", type(function).__name__)
    place = f"{where} ({name})"
    documentation = inspect.getdoc(function) or ""
    description = re.split(r"\n\s*\n|\n(?:Args|Arguments|Parameters|Returns):", documentation)[0]
    matches = [match for line in documentation.splitlines() if (match := _ARGUMENT.match(line))]
    notes = {match[1]: match[2] for match in matches}
    fields: dict[str, Any] = {}
    try:
        hints = get_type_hints(function, include_extras=True)
        for argument, parameter in inspect.signature(function).parameters.items():
            if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY):
                raise SchemaError(
                    f"the argument {argument!r} cannot be given by name", where=place, fix="use named arguments"
                )
            if argument not in hints:
                raise SchemaError(f"the argument {argument!r} has no type", where=place, fix="add a type hint")
            default = ... if parameter.default is parameter.empty else parameter.default
            fields[argument] = (hints[argument], default)
        model = create_model(name, __config__=ConfigDict(arbitrary_types_allowed=False), **fields)
        schema = _tidy(model.model_json_schema())
        bound = validate_call(function)
    except (PydanticUserError, NameError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise SchemaError(f"no JSON Schema for its arguments: {reason}", where=place, fix="use JSON types") from error
    for argument, note in notes.items():
        if argument in schema.get("properties", {}):
            schema["properties"][argument].setdefault("description", note)
    return place, name, " ".join(description.split()), schema, bound


def _tidy(schema: dict[str, JSON]) -> dict[str, JSON]:
    """Take out the titles that pydantic adds, and the model's own description (the tool has it)."""

    def clean(node: JSON, inside: str) -> JSON:
        if isinstance(node, list):
            return [clean(item, "") for item in node]
        if not isinstance(node, Mapping):
            return node
        named = inside in ("properties", "$defs")
        return {
            key: clean(value, "" if named else key)
            for key, value in node.items()
            if named or key != "title" or not isinstance(value, str)
        }

    tidied: dict[str, JSON] = clean(schema, "")
    tidied.pop("description", None)
    tidied.setdefault("properties", {})
    return tidied

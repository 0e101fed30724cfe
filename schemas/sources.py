"""Tools from what people already have: functions, pydantic models, tool lists, JSON Schema, files.

Each source becomes plain tools: a name, a description and a JSON Schema of type object. Dispatch is by
the shape of the source; what fits none is refused with the shapes that do.
"""

import json
import re
from collections.abc import Callable, Hashable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from schematune.schemas.errors import SchemaError
from schematune.schemas.functions import from_class, from_function
from schematune.schemas.jsontext import JSON, strict_loads
from schematune.schemas.mcp_server import McpServer
from schematune.schemas.openapi import is_openapi, read_openapi

__all__ = ["RawTool", "read_source"]

_TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")
_FORMS = ("parameters", "input_schema", "inputSchema")


class RawTool(NamedTuple):
    """A tool as it was found: `where` it stands, and `extras`, what its form says besides, which is kept for the way back."""

    where: str
    name: str
    description: str
    parameters: dict[str, JSON]
    function: Callable[..., Any] | None = None
    extras: Mapping[str, JSON] = {}


def read_source(source: Any, where: str) -> Iterator[RawTool]:
    """Yield the tools of one source.

    `source` is a Python function, a pydantic model, a dataclass, a TypedDict, an OpenAI, Anthropic or MCP tool, a JSON
    Schema, an OpenAPI document, an `McpServer`, a list of these, `{"tools": [...]}` (or the whole answer of an MCP server
    to `tools/list`), or the path of a `.json`, `.jsonl` or `.yaml` file that holds any of them. Raises `SchemaError`.
    """
    if isinstance(source, str | Path):
        yield from _read_file(Path(source))
    elif isinstance(source, McpServer):
        for item in source.tools():
            for found in _from_mapping(item, repr(source)):
                yield found._replace(function=source.function(found.name))
    elif callable(source):
        read = from_class if isinstance(source, type) else from_function
        yield RawTool(where, *read(source, where))
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
    if re.match(r"https?:/", str(path)):
        raise SchemaError(
            "an address is not fetched",
            where=str(path),
            fix="save it to a file, or give McpServer(url) for a live server",
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
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
        return yaml.load(text, _JsonLoader) if as_yaml else strict_loads(text)  # noqa: S506 - a safe loader
    except (ValueError, yaml.YAMLError) as error:
        raise SchemaError(f"no {'YAML' if as_yaml else 'JSON'}: {error}", where=where, fix="mend the file") from error


_JSON_WORDS = {
    "tag:yaml.org,2002:bool": re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"),
    "tag:yaml.org,2002:int": re.compile(r"^[-+]?(?:0|[1-9][0-9]*|0x[0-9a-fA-F]+)$"),
    "tag:yaml.org,2002:float": re.compile(r"^[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$"),
}
"""What YAML 1.2 takes for a value that is no text; 1.1 takes more."""

_NO_JSON = ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value")


class _JsonLoader(yaml.SafeLoader):
    """Reads what JSON has: a date, `on`, `no` and `9:30` stay the texts that they are, and keys are texts."""

    yaml_implicit_resolvers = {
        first: [(tag, _JSON_WORDS.get(tag, regexp)) for tag, regexp in known if tag not in _NO_JSON]
        for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, JSON]:
        found = super().construct_mapping(node, deep)
        return {key if isinstance(key, str) else json.dumps(key): value for key, value in found.items()}


def _is_schema(value: Mapping[str, JSON]) -> bool:
    keys = ("properties", "$schema", "$defs", "type", "anyOf", "oneOf", "allOf", "$ref", "enum")
    return not isinstance(value.get("function"), Mapping) and "name" not in value and any(k in value for k in keys)


def _from_mapping(source: Mapping[str, JSON], where: str) -> Iterator[RawTool]:
    if isinstance(source.get("result"), Mapping) and "jsonrpc" in source:  # what a server answered to tools/list
        source, where = source["result"], f"{where}.result"
    if isinstance(source.get("tools"), list):
        yield from read_source(source["tools"], f"{where}.tools")
        return
    if is_openapi(source):
        yield from (RawTool(*found) for found in read_openapi(source, where))
        return
    if isinstance(source.get("function"), Mapping):
        source, where = source["function"], f"{where}.function"
    if source.get("type") == "json_schema":  # OpenAI's response_format, in both of its shapes
        source = source["json_schema"] if isinstance(source.get("json_schema"), Mapping) else source
        source = {**source, "parameters": source.get("schema")}
    if _is_schema(source):
        yield _from_schema(source, where)
        return
    name = source.get("name")
    if not isinstance(name, str) or not name.strip():
        raise SchemaError("a tool without a name", where=where, fix='add "name"')
    parameters = next(
        (source[key] for key in _FORMS if source.get(key) is not None), {"type": "object", "properties": {}}
    )
    if not isinstance(parameters, Mapping):
        raise SchemaError("the parameters are no JSON Schema object", where=f"{where} ({name})")
    extras = {
        key: value for key, value in source.items() if key not in ("name", "description", "type", "schema", *_FORMS)
    }
    yield RawTool(where, name, str(source.get("description") or ""), dict(parameters), None, extras)


def _from_schema(source: Mapping[str, JSON], where: str) -> RawTool:
    name, kind = source.get("title"), source.get("type")
    if isinstance(kind, str) and kind not in _TYPES:
        fix = (
            "leave it out: the host runs it, no call of it is to be learnt"
            if "properties" not in source
            else '"type": "object"'
        )
        raise SchemaError(f"of type {kind!r}, which JSON Schema does not have", where=where, fix=fix)
    if not isinstance(name, str) or not name:
        raise SchemaError("a JSON Schema needs a name", where=where, fix='add "title"')
    parameters = {key: value for key, value in source.items() if key not in ("title", "description")}
    return RawTool(where, name, str(source.get("description", "")), parameters)

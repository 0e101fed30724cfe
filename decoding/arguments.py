"""The rules of one tool's arguments object: `%json` for the schema, spans of the request where values are copied.

What a schema says is left to llguidance. Arguments that are only ever copied are taken out of it where the object
is simple enough to be written field by field: they are a terminal that matches word-aligned parts of the request,
which costs the same for every length. Elsewhere the spans are listed.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from schematune.decoding.guided import guided
from schematune.schemas.jsontext import JSON, compact
from schematune.schemas.spans import can_copy, narrowed, spans_of
from schematune.schemas.tool import Tool

__all__ = ["Source", "arguments_rule", "quoted", "sequence", "terminals"]

_MOST_SPANS = 4000
_SIMPLE = {"type", "properties", "required", "additionalProperties", "title", "description", "$defs", "definitions"}
_ANNOTATIONS = {"$schema", "$id", "$comment", "default", "examples"}
_CHUNK = re.compile(r"\w+|\s+|[^\w\s]")
_EDGES = "EDGES: /[^\\s\\x00-\\x1f]([^\\x00-\\x1f]*[^\\s\\x00-\\x1f])?/"


@dataclass(frozen=True)
class Source:
    """What a tool's copied arguments are taken from.

    `names` are the paths of these arguments; `request` is the text and `now` its moment. `cut` gives some of the
    paths a text of their own instead: the request without words that belong elsewhere.
    """

    names: tuple[str, ...] = ()
    request: str = ""
    now: str = ""
    cut: Mapping[str, str] = field(default_factory=dict)


def arguments_rule(tool: Tool, source: Source, rule: str, spaced: bool) -> tuple[str, dict[str, str]]:
    """Write the rules of a tool's arguments object, and tell which terminals they use, by the text each cuts from."""
    schema = tool.strict
    for path in source.names:
        schema = narrowed(schema, path, source.cut.get(path, source.request), source.now)
    names = tuple(name for name in source.names if can_copy(tool.properties.get(name)))
    if not names:
        return _object(compact(dict(schema)), rule, spaced, tool.name), {}
    if _is_simple(schema):
        own = {name: f"SPAN_{rule.upper()}_{place}" for place, name in enumerate(names) if name in source.cut}
        named = tuple((name, own.get(name, "SPAN")) for name in names)
        texts = {terminal: source.cut.get(name, source.request) for name, terminal in named}
        return _fields(compact(dict(schema)), rule, spaced, named, tool.name), texts
    found = {name: spans_of(source.cut.get(name, source.request)) for name in names}
    if any(len(spans) > _MOST_SPANS for spans in found.values()):
        return _object(compact(dict(schema)), rule, spaced, tool.name), {}
    shared = {name: f"schematune_spans_{place}" for place, name in enumerate(names)}
    definitions = {**schema.get("$defs", {}), **{shared[name]: {"enum": found[name]} for name in names}}
    inner = schema.get("properties", {})
    properties = {n: {"$ref": f"#/$defs/{shared[n]}"} if n in shared else p for n, p in inner.items()}
    whole = {**schema, "properties": properties, "$defs": definitions}
    return f"{rule}: %json {_guided(whole, spaced, tool.name)}", {}


def terminals(texts: Mapping[str, str]) -> list[str]:
    """Write the terminals of what can be cut out of texts between words, quoted and escaped as in JSON.

    A line break stays raw: `EDGES` refuses it, so no span crosses it.
    """
    lines = [_EDGES] if texts else []
    for name, text in texts.items():
        chunks = [c if c.isspace() else quoted(c)[1:-1] for c in _CHUNK.findall(text)]
        some = "SOME" + name.removeprefix("SPAN")
        lines += [f'{name}: "\\"" ({some} & EDGES) "\\""', f"{some}: %regex " + compact({"substring_chunks": chunks})]
    return lines


def quoted(text: str) -> str:
    """Write a text as a Lark string."""
    return json.dumps(text, ensure_ascii=False)


def sequence(rule: str, items: list[str], needed: list[bool], comma: str, *, empty: bool) -> list[str]:
    """Write rules for a subsequence of `items`, in order, the needed ones always there.

    `rule_firstN` is what may follow while nothing is written, `rule_restN` what may follow something;
    `empty` allows the subsequence without items.
    """
    last = len(items)
    lines = [f'{rule}_rest{last}: ""'] + ([f'{rule}_first{last}: ""'] if empty else [])
    for place in reversed(range(last)):
        first, rest = f"{items[place]} {rule}_rest{place + 1}", f"{comma} {items[place]} {rule}_rest{place + 1}"
        skip_first = not needed[place] and (empty or place + 1 < last)
        lines.append(f"{rule}_first{place}: {first}" + (f" | {rule}_first{place + 1}" if skip_first else ""))
        lines.append(f"{rule}_rest{place}: {rest}" + (f" | {rule}_rest{place + 1}" if not needed[place] else ""))
    return lines


def _is_simple(schema: Mapping[str, JSON]) -> bool:
    """Tell whether the object can be written field by field: listed properties and nothing else said."""
    keys, properties = set(schema), schema.get("properties", {})
    known = keys <= _SIMPLE | _ANNOTATIONS and schema.get("additionalProperties") is False
    references = [target for target in _references(properties) if not target.startswith(("#/$defs/", "#/definitions/"))]
    return known and not references and set(schema.get("required", ())) <= set(properties)


def _references(node: JSON) -> Iterator[str]:
    if isinstance(node, Mapping):
        yield from (value for key, value in node.items() if key == "$ref" and isinstance(value, str))
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


@lru_cache(maxsize=2048)
def _object(schema: str, rule: str, spaced: bool, tool: str) -> str:
    return f"{rule}: %json {_guided(json.loads(schema), spaced, tool)}"


@lru_cache(maxsize=2048)
def _fields(schema: str, rule: str, spaced: bool, copied: tuple[tuple[str, str], ...], tool: str) -> str:
    """Write an arguments object field by field, so that the copied ones can be terminals."""
    whole, terminal = json.loads(schema), dict(copied)
    comma, colon = (", ", ": ") if spaced else (",", ":")
    definitions = {key: whole[key] for key in ("$defs", "definitions") if key in whole}
    items, needed, lines = [], [], []
    for place, (name, part) in enumerate(whole["properties"].items()):
        value = terminal.get(name, "")
        if not value:
            value = f"{rule}_value{place}"
            shared = definitions if any(_references(part)) else {}
            whole_part = {**part, **shared} if isinstance(part, dict) else part
            lines.append(f"{value}: %json {_guided(whole_part, spaced, f'{tool}.{name}')}")
        items.append(f"{quoted(quoted(name) + colon)} {value}")
        needed.append(name in whole.get("required", ()))
    empty = not any(needed)
    fields = sequence(rule, items, needed, quoted(comma), empty=empty)
    return "\n".join([f'{rule}: "{{" {rule}_first0 "}}"', *fields, *lines])


def _guided(schema: JSON, spaced: bool, where: str) -> str:
    return guided(schema, spaced=spaced, where=where).text

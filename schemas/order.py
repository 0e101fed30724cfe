"""The order of arguments: that of the schema, in which they are written, and that in which requests say them.

A completion writes a call's arguments one after the other, and a small model errs least where that runs along with
the request: what was copied is behind it, what is still to come ahead. The objects of a schema have no order of their
own, so a tool set with another one takes and gives the same calls.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from schematune.schemas.call import Call
from schematune.schemas.jsontext import JSON
from schematune.schemas.merge import equal
from schematune.schemas.normal import Document
from schematune.schemas.pair import Pair
from schematune.schemas.tool import Tool, ToolSet

__all__ = ["in_spoken_order", "ordered"]

LEAST = 5
"""Places seen before an argument is moved."""


def ordered(value: JSON, schema: JSON, document: Document) -> JSON:
    """Return `value` as it is written: the keys of its objects in the order of their schema, others after them.

    What is one of an enum is written as it stands there, a whole number where the schema wants an integer without a
    point. `document` is what the schema's references point into. Where a schema leaves a choice, it is the first way
    that the value fits.

    >>> document = Document({"$ref": "#/$defs/n", "$defs": {"n": {"properties": {"a": {}, "b": {}}}}})
    >>> ordered({"b": 1, "c": 2, "a": 3}, document.root, document)
    {'a': 3, 'b': 1, 'c': 2}
    """
    if not isinstance(value, Mapping | list | float):
        return value
    normal = document.settled(schema, value)
    for listed in (*normal.get("enum", ()), *([normal["const"]] if "const" in normal else [])):
        if equal(listed, value):
            return _whole(listed)
    if isinstance(value, float):
        return int(value) if value.is_integer() and "integer" in str(normal.get("type")) else value
    if isinstance(value, list):
        prefix, rest = normal.get("prefixItems", []), normal.get("items", True)
        parts = [*prefix, *[rest] * (len(value) - len(prefix))]
        return [ordered(item, part, document) for item, part in zip(value, parts, strict=False)]
    known = dict.fromkeys((*normal.get("properties", {}), *normal.get("required", ())))
    keys = [key for key in known if key in value] + [key for key in value if key not in known]
    return {key: ordered(value[key], document.member(normal, key), document) for key in keys}


def _whole(value: JSON) -> JSON:
    """Write the whole numbers of a listed value without a point, as the grammar does."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, Mapping):
        return {key: _whole(part) for key, part in value.items()}
    return [_whole(part) for part in value] if isinstance(value, list) else value


def in_spoken_order(tools: ToolSet, pairs: Iterable[Pair]) -> ToolSet:
    """Return `tools` with the arguments of each in the order in which the requests of `pairs` mostly say them.

    An argument's place is the mean of where it stands in its requests, from 0 to 1: by the evidence, or where its
    value is found. One that was hardly ever placed follows the one that it follows in the schema.

    >>> pairs = [Pair.of(f"to {x} from here", [Call("go", {"start": "here", "end": x})]) for x in "abcde"]
    >>> tools = ToolSet({"name": "go", "parameters": {"properties": {n: {"type": "string"} for n in ("start", "end")}}})
    >>> list(in_spoken_order(tools, pairs)["go"].properties)
    ['end', 'start']
    """
    places: dict[tuple[str, str], list[float]] = defaultdict(list)
    for pair in pairs:
        for number, call in enumerate(pair.calls):
            for name, place in _placed(pair, number, call):
                places[call.name, name].append(place / max(1, len(pair.said)))
    means = {key: sum(found) / len(found) for key, found in places.items() if len(found) >= LEAST}
    return tools._with(
        _sorted(tool, {name: means[tool.name, name] for name in tool.properties if (tool.name, name) in means})
        for tool in tools
    )


def _placed(pair: Pair, number: int, call: Call) -> Iterable[tuple[str, int]]:
    """Yield the arguments of a call that have a place in the request, with the place of the first of their values."""
    starts: dict[str, int] = {}
    for item in pair.evidence:
        at, _, path = item.path.partition(".")
        name = path.split(".")[0]
        if at == str(number) and item.start >= 0:
            starts[name] = min(item.start, starts.get(name, item.start))
    for name, value in call.arguments.items():
        if name in starts:
            yield name, starts[name]
        elif (found := _find(pair.said, value)) >= 0:
            yield name, found


def _find(request: str, value: JSON) -> int:
    """Return where the first of the texts and numbers in `value` stands in `request`, or -1."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        return min((found for item in value if (found := _find(request, item)) >= 0), default=-1)
    return -1 if value is None or isinstance(value, bool) or value == "" else request.find(str(value))


def _sorted(tool: Tool, places: Mapping[str, float]) -> Tool:
    order: dict[str, tuple[float, int]] = {}
    last = -1.0
    for number, name in enumerate(tool.properties):
        last = places.get(name, last)
        order[name] = (last, number)
    properties = {name: tool.properties[name] for name in sorted(order, key=lambda name: order[name])}
    return replace(tool, parameters={**tool.parameters, "properties": properties}) if places else tool

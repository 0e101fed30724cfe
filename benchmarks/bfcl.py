"""BFCL's own rule for cases that list what they accept.

Each expected call is `{name: {argument: [acceptable values]}}`, where `""` among the values means that the
argument may be left out. Strings are compared without case, spaces and the signs `,./-_*^`; an integer stands
for a float, never the other way round; an argument that is not listed is wrong. Written from what the
leaderboard's checker does, with one difference: parallel calls are matched to the expected ones in the best
way, where BFCL takes the first that fits, so that their order truly does not count.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from schematune.benchmarks.cases import Accept
from schematune.schemas.call import Call
from schematune.schemas.jsontext import JSON
from schematune.schemas.tool import Tool, ToolSet

__all__ = ["bfcl_exact", "standard"]

_TYPES: dict[Any, type] = {"integer": int, "number": float, "boolean": bool, "array": list, "object": dict}
_SIGNS = re.compile(r"[ ,./\-_*^]")


def bfcl_exact(calls: Sequence[Call], accept: Sequence[Accept], tools: ToolSet) -> bool:
    """Tell whether `calls` are what `accept` expects, in any order.

    >>> tools = ToolSet({"name": "f", "parameters": {"properties": {"city": {"type": "string"}}}})
    >>> bfcl_exact([Call("f", {"city": "new-york"})], [{"f": {"city": ["New York", "NYC"]}}], tools)
    True
    """
    if len(calls) != len(accept):
        return False
    fitting = [[place for place, call in enumerate(calls) if _fits(call, expected, tools)] for expected in accept]
    owner: dict[int, int] = {}
    return all(_match(place, fitting, owner, set()) for place in range(len(accept)))


def standard(text: str) -> str:
    """Return a string as BFCL compares it.

    >>> standard("April 1, 2024"), standard("it's")
    ('april12024', 'it"s')
    """
    return _SIGNS.sub("", text).lower().replace("'", '"')


def _match(expected: int, fitting: list[list[int]], owner: dict[int, int], tried: set[int]) -> bool:
    """Find a call for `expected`, moving earlier choices where need be (an augmenting path)."""
    for call in fitting[expected]:
        if call in tried:
            continue
        tried.add(call)
        if call not in owner or _match(owner[call], fitting, owner, tried):
            owner[call] = expected
            return True
    return False


def _fits(call: Call, expected: Accept, tools: ToolSet) -> bool:
    name, accepted = next(iter(expected.items()))
    if call.name != name or name not in tools.names:
        return False
    tool: Tool = tools[name]
    given = call.arguments
    return (
        all(argument in given for argument in tool.required)
        and all(argument in given or "" in values for argument, values in accepted.items())
        and all(
            argument in accepted
            and argument in tool.properties
            and _argument_fits(tool.properties[argument], value, accepted[argument])
            for argument, value in given.items()
        )
    )


def _argument_fits(schema: JSON, value: JSON, accepted: Sequence[JSON]) -> bool:
    """Compare one value: by the schema's type, or plainly where the answers are of another type."""
    declared = schema.get("type") if isinstance(schema, Mapping) else None
    kind = _TYPES.get(declared if isinstance(declared, str) else None, str)
    if kind is float and type(value) is int:
        value = float(value)
    answer_kind = next((type(answer) for answer in accepted if answer != ""), None)
    if type(value) is not kind and type(value) is not answer_kind:
        return False
    if type(value) is kind and answer_kind in (None, kind):
        return any(_COMPARE.get(kind, _same)(value, answer) for answer in accepted)
    return any(_same(value, answer) for answer in accepted)


def _same(value: JSON, answer: JSON) -> bool:
    """Equal by value, lists and objects too; true is not 1."""
    if isinstance(value, bool) or isinstance(answer, bool):
        return value is answer
    if isinstance(value, list) and isinstance(answer, list):
        return len(value) == len(answer) and all(map(_same, value, answer))
    return bool(value == answer)


def _same_string(value: str, answer: JSON) -> bool:
    return isinstance(answer, str) and standard(value) == standard(answer)


def _loosely(value: JSON, answer: JSON) -> bool:
    return _same_string(value, answer) if isinstance(value, str) else _same(value, answer)


def _same_list(values: list[JSON], answer: JSON) -> bool:
    """Compare lists item by item; an empty one stands for an argument that may be left out."""
    if answer == "":
        return not values
    if not isinstance(answer, list) or len(values) != len(answer):
        return False
    return all(
        _same_object(value, item) if isinstance(value, dict) else _loosely(value, item)
        for value, item in zip(values, answer, strict=True)
    )


def _same_object(value: dict[str, JSON], answer: JSON) -> bool:
    """Compare an object whose keys each list the values that they accept."""
    if not isinstance(answer, Mapping):
        return False
    options = {key: item if isinstance(item, list) else [item] for key, item in answer.items()}
    return all(key in value or "" in items for key, items in options.items()) and all(
        key in options and any(_loosely(item, option) for option in options[key]) for key, item in value.items()
    )


_COMPARE: dict[type, Any] = {str: _same_string, list: _same_list, dict: _same_object}

"""Arguments whose values, in training, only ever stood in the request: `SpanRules`.

A rule says that the values of a tool's argument were, in practically every training pair, literal word-aligned
spans of the request, or dates, times and numbers that it says (`schematune.schemas.said`). The grammar of a tuned adapter
then lets nothing else stand there, so such a value cannot be made up, and more of its tokens are forced. Plain
data: the rules are learnt once, kept in the adapter's contract, and applied to each request. An argument inside an
object is named by its path, `amount.value`, and the elements of an array by `attendees.*`.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from schematune.schemas.errors import ContractError
from schematune.schemas.jsontext import JSON
from schematune.schemas.pair import Pair
from schematune.schemas.said import can_say, said_values
from schematune.schemas.tool import ToolSet

__all__ = ["LONGEST", "MOST_SPANS", "SpanRules", "can_copy", "is_span", "narrowed", "spans_of"]

LEAST = 5
"""Values seen before a rule is believed."""

SHARE = 0.99
"""Share of the values that must be spans."""

SAID_SHARE = 0.95
"""Share of the dates and times that must be among those said, where any are: to read one is harder than to copy."""

LONGEST = 24
"""Words (and single signs) in the longest span that the grammar offers."""

_UNIT = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+|\w+|[^\w\s]")
MOST_SPANS = 1000
"""Spans of a request that are listed for an argument inside another; a longer request leaves such arguments free."""

_BREAK = re.compile(r"[\x00-\x1f]")
_PLAIN = {"type", "title", "description", "default", "examples", "deprecated", "minLength"}


def can_copy(schema: JSON) -> bool:
    """Tell whether an argument's schema is a plain string, which spans may stand in for.

    >>> can_copy({"type": "string", "description": "a city"}), can_copy({"type": "string", "format": "date"})
    (True, False)
    """
    if not isinstance(schema, Mapping) or schema.get("type") != "string" or not set(schema) <= _PLAIN:
        return False
    least = schema.get("minLength", 0)
    return isinstance(least, int) and least <= 1  # a span is never empty


def is_span(value: str, request: str) -> bool:
    """Tell whether `value` stands in one line of `request`, beginning and ending at a word boundary.

    >>> is_span("York", "to New York, please"), is_span("Yor", "to New York, please")
    (True, False)
    """
    units = [match.span() for match in _UNIT.finditer(request)]
    starts, ends = {start for start, _ in units}, {end for _, end in units}
    place = request.find(value) if value and not _BREAK.search(value) else -1
    while place >= 0:
        if place in starts and place + len(value) in ends:
            return True
        place = request.find(value, place + 1)
    return False


def spans_of(request: str, longest: int = LONGEST) -> list[str]:
    """List the distinct word-aligned spans of the lines of `request`, of at most `longest` words or single signs.

    >>> spans_of("to New York!", 2)
    ['to', 'to New', 'New', 'New York', 'York', 'York!', '!']
    """
    found: dict[str, None] = {}
    for line in _BREAK.split(request):
        units = [match.span() for match in _UNIT.finditer(line)]
        for first, (start, _) in enumerate(units):
            found.update(dict.fromkeys(line[start:end] for _, end in units[first : first + longest]))
    return list(found)


class SpanRules(Mapping[str, tuple[str, ...]]):
    """For each tool, the arguments that are only ever copied from the request, dates and times by what they mean.

    A read-only mapping from a tool's name to argument names.

    >>> from schematune.schemas.call import Call
    >>> pairs = [Pair.of(f"play {x} now", [Call("play", {"song": x})]) for x in "abcde"]
    >>> tools = ToolSet({"name": "play", "parameters": {"properties": {"song": {"type": "string"}}}})
    >>> SpanRules.learn(pairs, tools).to_dict()
    {'play': ['song']}
    """

    def __init__(self, rules: Mapping[str, Iterable[str]] | None = None) -> None:
        """Keep `rules`; tools without an argument are left out."""
        kept = {tool: tuple(arguments) for tool, arguments in (rules or {}).items()}
        self._rules = {tool: arguments for tool, arguments in kept.items() if arguments}

    @classmethod
    def learn(cls, pairs: Iterable[Pair], tools: ToolSet) -> "SpanRules":
        """Find the rules that `pairs` bear out: by at least five values, 99 % of spans, 95 % of what is said."""
        leaves = {tool.name: dict(_leaves(tool.parameters)) for tool in tools}
        seen: Counter[tuple[str, str]] = Counter()
        found: Counter[tuple[str, str]] = Counter()
        for pair in pairs:
            for call in pair.calls:
                for path, schema in leaves.get(call.name, {}).items():
                    for value in _values_at(dict(call.arguments), path.split(".")):
                        seen[call.name, path] += 1
                        found[call.name, path] += _stands(schema, path, value, pair)
        return cls(
            {
                name: [
                    path
                    for path, schema in known.items()
                    if seen[name, path] >= LEAST
                    and found[name, path] >= seen[name, path] * (SAID_SHARE if can_say(schema) else SHARE)
                ]
                for name, known in leaves.items()
            }
        )

    def to_dict(self) -> dict[str, list[str]]:
        """Return the rules as JSON."""
        return {tool: list(arguments) for tool, arguments in self._rules.items()}

    @classmethod
    def from_dict(cls, value: JSON) -> "SpanRules":
        """Read what `to_dict` wrote; raises `ContractError`."""
        right = isinstance(value, Mapping) and all(
            isinstance(names, list) and all(isinstance(name, str) for name in names) for names in value.values()
        )
        if not right:
            raise ContractError("the span rules are no mapping of tools to argument names", where="spans")
        return cls(value)

    def __getitem__(self, tool: str) -> tuple[str, ...]:
        """Return the copied arguments of `tool`."""
        return self._rules[tool]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the tools that have a rule."""
        return iter(self._rules)

    def __len__(self) -> int:
        """Return the number of tools that have a rule."""
        return len(self._rules)

    def __repr__(self) -> str:
        """Show the rules."""
        return f"SpanRules({self.to_dict()})"


def _leaves(schema: JSON, path: str = "") -> Iterator[tuple[str, Mapping[str, JSON]]]:
    """Yield the arguments that a rule can be about, by their paths; references are not followed."""
    if not isinstance(schema, Mapping):
        return
    if path and (can_copy(schema) or can_say(schema)):
        yield path, schema
    properties, items = schema.get("properties"), schema.get("items")
    for name, part in properties.items() if isinstance(properties, Mapping) else ():
        if "." not in name and name != "*":
            yield from _leaves(part, f"{path}.{name}" if path else name)
    if path and schema.get("type") == "array":
        yield from _leaves(items, f"{path}.*")


def _values_at(value: JSON, path: list[str]) -> Iterator[JSON]:
    if not path:
        yield value
    elif path[0] == "*":
        for item in value if isinstance(value, list) else ():
            yield from _values_at(item, path[1:])
    elif isinstance(value, dict) and path[0] in value:
        yield from _values_at(value[path[0]], path[1:])


def _stands(schema: Mapping[str, JSON], path: str, value: JSON, pair: Pair) -> bool:
    """Tell whether the rule would let `value` stand; a request that says no date at all leaves it free."""
    if can_copy(schema):
        return isinstance(value, str) and is_span(value, pair.request)
    values = said_values(schema, pair.request, pair.context.get("now", ""), path.split(".")[-1])
    return not values or value in values


def narrowed(schema: Mapping[str, JSON], paths: Iterable[str], request: str, now: str) -> Mapping[str, JSON]:
    """Return `schema` with the arguments at `paths` held to what `request` says, as enums.

    Copied strings at the top are left to the grammar, which has a cheaper way; so are requests with more than
    `MOST_SPANS` spans.

    >>> place = {"type": "object", "properties": {"n": {"type": "integer"}}}
    >>> narrowed({"properties": {"place": place}}, ["place.n"], "the 2 of us, or 3", "")["properties"]["place"]
    {'type': 'object', 'properties': {'n': {'enum': [2, 3]}}}
    """
    for path in paths:
        schema = _narrowed(schema, path.split("."), request, now)
    return schema


def _narrowed(schema: JSON, path: list[str], request: str, now: str, depth: int = 0, name: str = "") -> Any:
    if not isinstance(schema, Mapping):
        return schema
    if not path:
        values: list[JSON] = []
        if can_say(schema):
            values = said_values(schema, request, now, name)
        elif depth > 1 and can_copy(schema):
            values = [*spans_of(request)]
        return {"enum": values} if 0 < len(values) <= MOST_SPANS else schema
    if path[0] == "*":
        return {**schema, "items": _narrowed(schema.get("items"), path[1:], request, now, depth + 1, name)}
    inner = schema.get("properties")
    if not isinstance(inner, Mapping) or path[0] not in inner:
        return schema
    part = _narrowed(inner[path[0]], path[1:], request, now, depth + 1, path[0])
    return {**schema, "properties": {**inner, path[0]: part}}

"""Arguments whose values, in training, only ever stood in the request: `SpanRules`.

A rule says that the values of a tool's argument were, in practically every training pair, literal word-aligned
spans of the request, or dates, times and numbers that it says (`schematune.schemas.said`). The grammar of a tuned adapter
then lets nothing else stand there, so such a value cannot be made up, and more of its tokens are forced. Plain
data: the rules are learnt once, kept in the adapter's contract, and applied to each request. An argument inside an
object is named by its path, `amount.value`, and the elements of an array by `attendees.*`. Where the copied values
of a tool's calls never took the same words of the request, they stand apart, and `clash` finds where they do not.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schematune.schemas.call import Call
from schematune.schemas.errors import ContractError
from schematune.schemas.jsontext import JSON
from schematune.schemas.pair import Pair
from schematune.schemas.said import can_say, said_values
from schematune.schemas.tool import ToolSet

__all__ = [
    "LONGEST", "MOST_SPANS", "Copied", "SpanRules", "can_copy", "clash", "is_span", "narrowed", "places", "spans_of", "units",
]  # fmt: skip

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
_Leaves = Mapping[str, Mapping[str, JSON]]
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


def units(text: str) -> list[tuple[int, int]]:
    """Return where the words and single signs of a text begin and end.

    >>> units("to York!")
    [(0, 2), (3, 7), (7, 8)]
    """
    return [match.span() for match in _UNIT.finditer(text)]


def is_span(value: str, request: str) -> bool:
    """Tell whether `value` stands in one line of `request`, beginning and ending at a word boundary.

    >>> is_span("York", "to New York, please"), is_span("Yor", "to New York, please")
    (True, False)
    """
    return next(places(value, request), None) is not None


def places(value: str, request: str) -> Iterator[tuple[int, int]]:
    """Yield where `value` stands in `request` as `is_span` means it."""
    known = units(request)
    starts, ends = {start for start, _ in known}, {end for _, end in known}
    place = request.find(value) if value and not _BREAK.search(value) else -1
    while place >= 0:
        if place in starts and place + len(value) in ends:
            yield place, place + len(value)
        place = request.find(value, place + 1)


def spans_of(request: str, longest: int = LONGEST) -> list[str]:
    """List the distinct word-aligned spans of the lines of `request`, of at most `longest` words or single signs.

    >>> spans_of("to New York!", 2)
    ['to', 'to New', 'New', 'New York', 'York', 'York!', '!']
    """
    found: dict[str, None] = {}
    for line in _BREAK.split(request):
        known = units(line)
        for first, (start, _) in enumerate(known):
            found.update(dict.fromkeys(line[start:end] for _, end in known[first : first + longest]))
    return list(found)


@dataclass(frozen=True)
class Copied:
    """A copied value: its argument's path, and where it stands in the request."""

    path: str
    start: int
    end: int


class SpanRules(Mapping[str, tuple[str, ...]]):
    """For each tool, the arguments that are only ever copied from the request, dates and times by what they mean.

    A read-only mapping from a tool's name to argument names; `apart` are the tools whose copied values never
    take the same words.

    >>> from schematune.schemas.call import Call
    >>> pairs = [Pair.of(f"play {x} now", [Call("play", {"song": x})]) for x in "abcde"]
    >>> tools = ToolSet({"name": "play", "parameters": {"properties": {"song": {"type": "string"}}}})
    >>> SpanRules.learn(pairs, tools).to_dict()
    {'copied': {'play': ['song']}, 'apart': []}
    """

    def __init__(self, rules: Mapping[str, Iterable[str]] | None = None, apart: Iterable[str] = ()) -> None:
        """Keep `rules`; tools without an argument are left out."""
        kept = {tool: tuple(arguments) for tool, arguments in (rules or {}).items()}
        self._rules = {tool: arguments for tool, arguments in kept.items() if arguments}
        self.apart = frozenset(apart) & set(self._rules)

    @classmethod
    def learn(cls, pairs: Iterable[Pair], tools: ToolSet) -> "SpanRules":
        """Find the rules that `pairs` bear out: by at least five values, 99 % of spans, 95 % of what is said.

        Tools stand apart by at least five calls with several copied values, 99 % of them without a clash.
        """
        pairs = list(pairs)
        leaves = {tool.name: dict(_leaves(tool.parameters)) for tool in tools}
        seen: Counter[tuple[str, str]] = Counter()
        found: Counter[tuple[str, str]] = Counter()
        for pair in pairs:
            for call in pair.calls:
                for path, schema in leaves.get(call.name, {}).items():
                    for value in _values_at(dict(call.arguments), path.split(".")):
                        seen[call.name, path] += 1
                        found[call.name, path] += _stands(schema, path, value, pair)
        copied = {
            name: [
                path
                for path, schema in known.items()
                if seen[name, path] >= LEAST
                and found[name, path] >= seen[name, path] * (SAID_SHARE if can_say(schema) else SHARE)
            ]
            for name, known in leaves.items()
        }
        return cls(copied, _standing_apart(copied, leaves, pairs))

    def to_dict(self) -> dict[str, JSON]:
        """Return the rules as JSON."""
        copied = {tool: list(arguments) for tool, arguments in self._rules.items()}
        return {"copied": copied, "apart": sorted(self.apart)}

    @classmethod
    def from_dict(cls, value: JSON) -> "SpanRules":
        """Read what `to_dict` wrote; raises `ContractError`."""
        copied = value.get("copied") if isinstance(value, Mapping) else None
        apart: Any = value.get("apart") if isinstance(value, Mapping) else None
        if not isinstance(copied, Mapping) or not all(_are_names(names) for names in (*copied.values(), apart)):
            raise ContractError("the span rules are no mapping of tools to argument names", where="spans")
        return cls(copied, apart)

    def __getitem__(self, tool: str) -> tuple[str, ...]:
        """Return the copied arguments of `tool`."""
        return self._rules[tool]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the tools that have a rule."""
        return iter(self._rules)

    def __len__(self) -> int:
        """Return the number of tools that have a rule."""
        return len(self._rules)

    def __eq__(self, other: object) -> bool:
        """Two are equal where they copy the same and the same tools stand apart."""
        apart = other.apart if isinstance(other, SpanRules) else self.apart
        return super().__eq__(other) and self.apart == apart

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Show the rules."""
        return f"SpanRules({self.to_dict()})"


def clash(rules: SpanRules, tools: ToolSet, call: Call, request: str) -> tuple[Copied, Copied] | None:
    """Return two copied values of `call` that take the same words of `request`, where its tool's stand apart.

    The longer value comes first. A value that stands in the request several times takes a place that is free.

    >>> tools = ToolSet({"name": "play", "parameters": {"properties": {x: {"type": "string"} for x in "ab"}}})
    >>> rules = SpanRules({"play": ["a", "b"]}, apart=["play"])
    >>> clash(rules, tools, Call("play", {"a": "Blue Moon", "b": "Moon"}), "play Blue Moon")
    (Copied(path='a', start=5, end=14), Copied(path='b', start=10, end=14))
    """
    if call.name not in rules.apart or call.name not in tools:
        return None
    leaves = dict(_leaves(tools[call.name].parameters))
    return _clash(_copied(rules[call.name], leaves, call), request)


def _clash(copied: Iterable[tuple[str, str]], request: str) -> tuple[Copied, Copied] | None:
    taken: list[Copied] = []
    for path, value in sorted(copied, key=lambda item: -len(item[1])):
        known = [Copied(path, *place) for place in places(value, request)]
        free = [one for one in known if not any(_overlap(one, other) for other in taken)]
        if known and not free:
            return next(other for other in taken if _overlap(known[0], other)), known[0]
        taken += free[:1]
    return None


def _overlap(one: Copied, other: Copied) -> bool:
    return one.start < other.end and other.start < one.end


def _copied(paths: Iterable[str], leaves: _Leaves, call: Call) -> Iterator[tuple[str, str]]:
    """Yield the texts that the rules' `paths` copy in a call, with their paths."""
    for path in paths:
        if can_copy(leaves.get(path)):
            values = _values_at(dict(call.arguments), path.split("."))
            yield from ((path, value) for value in values if isinstance(value, str))


def _standing_apart(
    rules: Mapping[str, Sequence[str]], leaves: Mapping[str, _Leaves], pairs: Iterable[Pair]
) -> list[str]:
    """Return the tools whose calls never have a clash."""
    seen: Counter[str] = Counter()
    clear: Counter[str] = Counter()
    for pair in pairs:
        for call in pair.calls:
            copied = list(_copied(rules.get(call.name, ()), leaves.get(call.name, {}), call))
            if len(copied) > 1:
                seen[call.name] += 1
                clear[call.name] += _clash(copied, pair.said) is None
    return [name for name in rules if seen[name] >= LEAST and clear[name] >= seen[name] * SHARE]


def _are_names(value: JSON) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


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
        return isinstance(value, str) and is_span(value, pair.said)
    values = said_values(schema, pair.said, pair.context.get("now", ""), path.split(".")[-1])
    return not values or value in values


def narrowed(schema: Mapping[str, JSON], path: str, request: str, now: str) -> Mapping[str, JSON]:
    """Return `schema` with the arguments at `path` held to what `request` says, as enums.

    Copied strings at the top are left to the grammar, which has a cheaper way; so are requests with more than
    `MOST_SPANS` spans.

    >>> place = {"type": "object", "properties": {"n": {"type": "integer"}}}
    >>> narrowed({"properties": {"place": place}}, "place.n", "the 2 of us, or 3", "")["properties"]["place"]
    {'type': 'object', 'properties': {'n': {'enum': [2, 3]}}}
    """
    narrow: Mapping[str, JSON] = _narrowed(schema, path.split("."), request, now)
    return narrow


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

"""Arguments whose values, in training, only ever stood in the request: `SpanRules`.

A rule says that the values of a tool's argument were, in practically every training pair, literal word-aligned
spans of the request, or dates and times that it says (`schematune.schemas.said`). The grammar of a tuned adapter
then lets nothing else stand there, so such a value cannot be made up, and more of its tokens are forced. Plain
data: the rules are learnt once, kept in the adapter's contract, and applied to each request.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from schematune.schemas.errors import ContractError
from schematune.schemas.jsontext import JSON
from schematune.schemas.pair import Pair
from schematune.schemas.said import can_say, said_values
from schematune.schemas.tool import ToolSet

__all__ = ["LONGEST", "SpanRules", "can_copy", "is_span", "spans_of"]

LEAST = 5
"""Values seen before a rule is believed."""

SHARE = 0.99
"""Share of the values that must be spans."""

SAID_SHARE = 0.95
"""Share of the dates and times that must be among those said, where any are: to read one is harder than to copy."""

LONGEST = 24
"""Words (and single signs) in the longest span that the grammar offers."""

_UNIT = re.compile(r"\w+|[^\w\s]")
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
        """Find the rules that `pairs` bear out: by at least five values, 99 % of spans, 95 % of dates and times."""
        seen: Counter[tuple[str, str]] = Counter()
        found: Counter[tuple[str, str]] = Counter()
        for pair in pairs:
            for call in pair.calls:
                known = tools[call.name].properties if call.name in tools else {}
                for name, value in call.arguments.items():
                    if isinstance(value, str):
                        seen[call.name, name] += 1
                        found[call.name, name] += _stands(known.get(name), value, pair)
        return cls(
            {
                tool.name: [
                    name
                    for name, schema in tool.properties.items()
                    if seen[tool.name, name] >= LEAST
                    and found[tool.name, name] >= seen[tool.name, name] * (SAID_SHARE if can_say(schema) else SHARE)
                ]
                for tool in tools
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


def _stands(schema: JSON, value: str, pair: Pair) -> bool:
    """Tell whether the rule would let `value` stand; a request that says no date at all leaves it free."""
    if can_copy(schema):
        return is_span(value, pair.request)
    values = said_values(schema, pair.request, pair.context.get("now", "")) if can_say(schema) else None
    return values is not None and (not values or value in values)

"""What a user's examples always make of a word, kept to in the pairs made beside them.

Where the examples of a tool always take "my" for the owner of a list, or "bistro" for the kind of a place, a made
request that says the word and a call that leaves it out would teach the opposite. Such a call is completed: the argument
gets the word that the request says. Where it has another value there, the pair goes.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from schematune.schemas.call import RESERVED, Call
from schematune.schemas.jsontext import JSON
from schematune.schemas.pair import Evidence, Pair
from schematune.schemas.realistic import concept
from schematune.schemas.tool import ToolSet

__all__ = ["Agreement", "borrowed_share"]

KINDS = ("kind", "quality", "feature", "food", "service", "unit", "manner", "nearness", "warmth")
"""Concepts whose values are words for kinds of things and not names: one example that takes such a word holds the others to it."""

VAGUE = ("thing", *KINDS)
"""Concepts whose made-up values are further from what people say than other examples' are."""

FEW_VALUES = 0.7
"""Share of an argument's values in examples that are distinct, under which it has few: those that it was seen with."""


LEAST = 2
"""Examples that must take a word for an argument's value before the rest is held to it, where the word may be a name."""

SHARE = 0.9
"""Share of the examples with the word that must."""

_LONGEST = 3
_WORD = re.compile(r"[\w'-]+")


def borrowed_share(name: str, known: Sequence[JSON]) -> float:
    """Return how often a value of an argument is one of those `known` from examples, and not a new one.

    >>> borrowed_share("size", ["small", "large", "small", "large"]), borrowed_share("city", ["Oslo", "Bergen", "Ulm", "Graz"])
    (0.95, 0.3)
    """
    few = len(known) > 3 and len({str(value).lower() for value in known}) < FEW_VALUES * len(known)
    return 0.95 if few else 0.85 if concept(name) in VAGUE else 0.3


class Agreement:
    """The words that examples always take for the value of an argument, by tool.

    >>> tools = ToolSet({"name": "add", "parameters": {"properties": {"owner": {"type": "string"}}}})
    >>> mine = [Pair.of(f"add it to my {x}", [Call("add", {"owner": "my"})]) for x in ("list", "pile")]
    >>> made = Agreement(mine, tools).completed(Pair.of("put it on my heap", [Call("add", {})]))
    >>> made.calls[0].arguments
    {'owner': 'my'}
    """

    def __init__(self, examples: Iterable[Pair], tools: ToolSet) -> None:
        """`examples` fit `tools`; only those of one call teach something."""
        self.tools = tools
        self.words: dict[str, dict[str, str]] = {}
        single = [pair for pair in examples if len(pair.calls) == 1 and pair.calls[0].name in tools]
        taken: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        for pair in single:
            for name, value in pair.calls[0].arguments.items():
                if isinstance(value, str) and 0 < len(_WORD.findall(value)) <= _LONGEST and self._open(pair, name):
                    taken[pair.calls[0].name, value.lower()][name] += 1
        loose: Counter[tuple[str, str]] = Counter(
            (pair.calls[0].name, words) for pair in single for words in _phrases(_without_values(pair))
        )
        for (tool, word), names in taken.items():
            name, many = names.most_common(1)[0]
            least = 1 if concept(name) in KINDS else LEAST
            if many >= least and many >= SHARE * (names.total() + loose[tool, word]):
                self.words.setdefault(tool, {})[word] = name

    def _open(self, pair: Pair, name: str) -> bool:
        schema = self.tools[pair.calls[0].name].properties.get(name)
        return (
            isinstance(schema, dict)
            and schema.get("type") == "string"
            and not {"enum", "format", "pattern"} & set(schema)
        )

    def completed(self, pair: Pair) -> Pair | None:
        """Return the pair with what the examples would make of its words; None where it says something else."""
        calls, evidence, text = list(pair.calls), list(pair.evidence), pair.said
        for start, end in _loose(text, [item for item in evidence if item.start >= 0]):
            words = text[start:end].lower()
            near = self._nearest(calls, evidence, words, start)
            if near is None or any(start < item.end and item.start < end for item in evidence):
                continue
            name = self.words[calls[near].name][words]
            known = calls[near].arguments.get(name)
            if known is not None:
                if str(known).lower() != words:
                    return None
                continue
            calls[near] = Call(calls[near].name, {**calls[near].arguments, name: text[start:end]})
            evidence.append(Evidence(f"{near}.{name}", "span", start, end))
        if len(evidence) == len(pair.evidence):
            return pair
        return replace(pair, calls=tuple(calls), evidence=tuple(evidence))

    def _nearest(self, calls: list[Call], evidence: list[Evidence], words: str, place: int) -> int | None:
        """Return the call that the words at a place belong to: of those that know them, the one said nearest."""
        known = [
            n for n, call in enumerate(calls) if call.name not in RESERVED and words in self.words.get(call.name, {})
        ]

        def distance(number: int) -> int:
            own = [item for item in evidence if item.path.startswith(f"{number}.") and item.start >= 0]
            return min((max(item.start - place, place - item.end, 0) for item in own), default=10**6)

        return min(known, key=distance, default=None)


def _without_values(pair: Pair) -> str:
    """Return what a request says besides the texts of its call."""
    text = pair.said
    values = [value for value in pair.calls[0].arguments.values() if isinstance(value, str) and value]
    for value in sorted(values, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", " | ", text, count=1, flags=re.IGNORECASE)
    return text


def _phrases(text: str) -> set[str]:
    spans = [match.span() for match in _WORD.finditer(text.lower())]
    return {
        text[spans[n][0] : spans[last][1]].lower()
        for n in range(len(spans))
        for last in range(n, min(n + _LONGEST, len(spans)))
        if "|" not in text[spans[n][0] : spans[last][1]]
    }


def _loose(text: str, evidence: list[Evidence]) -> Iterator[tuple[int, int]]:
    """Yield the runs of up to three words that say no argument yet, longer ones first."""
    spans = [match.span() for match in _WORD.finditer(text)]
    free = [(start, end) for start, end in spans if all(end <= item.start or start >= item.end for item in evidence)]
    for many in range(_LONGEST, 0, -1):
        for n in range(len(free) - many + 1):
            start, end = free[n][0], free[n + many - 1][1]
            if (
                not re.search(r"[^\w\s'-]", text[start:end])
                and spans.index(free[n + many - 1]) - spans.index(free[n]) == many - 1
            ):
                yield start, end

"""What can be seen of a request beside a set of tools, whatever the tools: numbers that a linear model weighs to choose one.

Each word of the request with each word of a tool's name is a feature (which verbs ask for which deeds is learnt so), and so
is how much of the tool's name, of its description and of its arguments the request says, how much of that no other tool has,
and whether another tool has more.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from rapidfuzz import fuzz

from schematune.decoding.slots import Array, hashed, ids_of, is_assent, stem, telling
from schematune.schemas.lexicon import words_of
from schematune.schemas.pair import REPLY
from schematune.schemas.tool import Tool

__all__ = ["several_seen", "tools_seen"]

_ALIKE = 80
"""From what likeness, of 100, on a word counts as another misspelt."""

_FEW = 6
"""Words of a line that says little."""

_WORDS = re.compile(r"[^\W\d_]+|\d+")
_MOST = 60
"""Words of a request that are paired with those of names."""


@lru_cache(maxsize=4096)
def _words(
    name: str, description: str, arguments: tuple[str, ...]
) -> tuple[tuple[str, ...], frozenset[str], frozenset[str]]:
    """Return the stems of a tool's name, of what else its description says, and of its arguments' names."""
    named = tuple(dict.fromkeys(map(stem, words_of(name))))
    described = telling(description) - frozenset(named)
    return named, described, frozenset(stem(w) for one in arguments for w in words_of(one)) - frozenset(named)


def tools_seen(request: str, tools: Sequence[Tool]) -> list[Array]:
    """Return the buckets of a request as one for each of the tools.

    >>> from schematune.schemas.tool import ToolSet
    >>> [len(one) > 3 for one in tools_seen("play a song", list(ToolSet([{"name": "play"}, {"name": "pay"}])))]
    [True, True]
    """
    lines, replies = _sides(request.lower())
    low = [word for line in lines for word in _WORDS.findall(line)]
    said = list(dict.fromkeys(stem(word) for word in low))[:_MOST]
    last = [_Last.of(when, some) for when, some in (("now", lines), ("heard", replies))]
    talks = [one for one, is_said in zip(last, (len(lines) > 1, bool(replies)), strict=True) if is_said]
    spoken = frozenset(said)
    known = [_words(tool.name, tool.description, tuple(tool.properties)) for tool in tools]
    shared = Counter(word for named, described, _ in known for word in {*named, *described})
    found = [[word for word in named if _stands(word, said)] for named, _, _ in known]
    told_of = [described & spoken for _, described, _ in known]
    weights = [_weight(*words, shared) for words in zip(found, told_of, strict=True)]
    best, numbers = max(weights, default=0.0), sum(word.isdigit() for word in low)
    ties = min(weights.count(best), 4)
    words = hashed([*(f"said {word}" for word in said), *(f"{one.when} {word}" for one in last for word in one.stems)])
    rows = list[Array]()
    for tool, hit, told, weight, (named, _, arguments) in zip(tools, found, told_of, weights, known, strict=True):
        alone = sum(shared[word] == 1 for word in {*hit, *told})
        lacking = sum(_is_number(tool, name) for name in tool.required) > numbers
        marks = [
            "tool", f"words{min(len(said) // 6, 8)}", f"share{round(4 * len(hit) / max(len(named), 1))}", f"hit{len(hit)}", f"first{named[:1] == tuple(hit[:1])}",
            f"last{bool(hit) and hit[-1:] == list(named[-1:])}", f"described{min(len(told), 4)}",
            f"arguments{min(len(arguments & spoken), 4)}", f"listed{min(len(_listed(tool) & spoken), 3)}", f"alone{min(alone, 3)}", f"lacking{lacking}",
            f"best{weight >= best} {min(int(weight), 4)}", f"behind{min(int(2 * (best - weight)), 8)}", f"ties{ties}{weight >= best}",
            *(mark for one in talks for mark in one.marks(named, tool)),
        ]  # fmt: skip
        pairs = ids_of(hashed([f"name {word}" for word in named])[:, None], words[None, :])
        rows.append(np.concatenate([ids_of(hashed(["mark"]), hashed(marks)), pairs.ravel()]))
    return rows


def several_seen(request: str, tool: Tool) -> Array:
    """Return the buckets of a request as one that wants several calls, `tool`'s for one.

    >>> tool = Tool("sail", "", {"properties": {"to": {"type": "string"}}})
    >>> len(several_seen("to Rome and to Oslo", tool)) > len(several_seen("to Rome", tool))
    True
    """
    lines, _ = _sides(request)
    line = lines[-1] if lines else ""
    words = [stem(word) if not word.isdigit() else "#" for word in _WORDS.findall(line.lower())][:_MOST]
    kinds = [schema.get("type") for schema in tool.properties.values() if isinstance(schema, dict)]
    numbers = sum(word == "#" for word in words) - sum(kind in ("integer", "number") for kind in kinds)
    lists = "array" in kinds
    joined, commas = words.count("and"), line.count(",") + line.count(";")
    named = sum(word in words for word in {stem(word) for word in words_of(tool.name)})
    marks = [
        "", f"and{min(joined, 4)}", f"commas{min(commas, 4)}", f"numbers{max(-3, min(4, numbers))}", f"ends{min(len(re.findall(r'[.?!] ', line)), 3)}",
        f"words{min(len(words) // 5, 6)}", f"arguments{min(len(kinds), 6)}", f"and{min(joined, 3)} numbers{max(-2, min(3, numbers))}", f"named{min(named, 2)}",
        f"talk{REPLY in request}", f"capitals{min(len(re.findall(r'[A-Z][a-z]+', line[1:])), 5)}",
    ]  # fmt: skip
    texts = [*marks, *words, *(f"{a} {b}" for a, b in zip(["<", *words], [*words, ">"], strict=True))]
    crossed = [f"{text} {lists}" for text in texts]
    return ids_of(hashed(["several"]), hashed(list(dict.fromkeys([*texts, *crossed]))))


def _sides(request: str) -> tuple[list[str], list[str]]:
    """Return the lines of the user's in what is heard of a conversation, and the assistant's."""
    lines = request.split("\n")
    return [line for line in lines if line[:1] != REPLY], [line for line in lines if line[:1] == REPLY]


@dataclass(frozen=True)
class _Last:
    """The last line of one side, small letters: the stems of its words, and whether it is mere assent, or short."""

    when: str
    stems: tuple[str, ...]
    kind: str

    @classmethod
    def of(cls, when: str, lines: Sequence[str]) -> "_Last":
        words = list(dict.fromkeys(_WORDS.findall(lines[-1] if lines else "")))[:_MOST]
        return cls(when, tuple(map(stem, words)), "assent" if is_assent(words) else str(len(words) < _FEW))

    def marks(self, named: Sequence[str], tool: Tool) -> list[str]:
        """Return how much of a tool's name and choices it says."""
        hit = [word in self.stems for word in named]
        listed = len(_listed(tool).intersection(self.stems))
        marks = f"hit{sum(hit)}", f"all{all(hit)}", f"first{hit[:1]}", f"listed{min(listed, 2)}"
        return [f"{self.when} {mark} {self.kind}" for mark in marks]


@lru_cache(maxsize=4096)
def _values(values: tuple[str, ...]) -> frozenset[str]:
    return frozenset(stem(word) for value in values for word in re.findall(r"[a-z]+", value.lower()) if len(word) > 2)


def _listed(tool: Tool) -> frozenset[str]:
    """Return the stems of the values that a tool's arguments list."""
    known = [schema for schema in tool.properties.values() if isinstance(schema, dict) and "enum" in schema]
    return _values(tuple(value for schema in known for value in schema["enum"] if isinstance(value, str)))


def _stands(word: str, said: Sequence[str]) -> bool:
    return word in said or (len(word) > 4 and any(len(one) > 3 and fuzz.ratio(word, one) >= _ALIKE for one in said))


def _weight(hit: Sequence[str], described: frozenset[str], shared: Counter[str]) -> float:
    """Return how much of a tool is said, what others have too counting less; the same in whatever order the words come."""
    return math.fsum([*(1 / shared[word] for word in hit), *(0.5 / shared[word] for word in described)])


def _is_number(tool: Tool, name: str) -> bool:
    schema = tool.properties.get(name)
    return isinstance(schema, dict) and schema.get("type") in ("integer", "number")

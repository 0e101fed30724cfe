"""What can be seen of a request beside a set of tools, whatever the tools: numbers that a linear model weighs to choose one.

Each word of the request with each word of a tool's name is a feature (which verbs ask for which deeds is learnt so), and so
is how much of the tool's name, of its description and of its arguments the request says, how much of that no other tool has,
and whether another tool has more.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from rapidfuzz import fuzz

from schematune.decoding.slots import Array, hashed, ids_of, stem, telling
from schematune.schemas.lexicon import words_of
from schematune.schemas.tool import Tool

__all__ = ["tools_seen"]

_ALIKE = 80
"""From what likeness, of 100, on a word counts as another misspelt."""

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
    low = re.findall(r"[^\W\d_]+|\d+", request.lower())
    said = list(dict.fromkeys(stem(word) for word in low))[:_MOST]
    spoken = frozenset(said)
    known = [_words(tool.name, tool.description, tuple(tool.properties)) for tool in tools]
    shared = Counter(word for named, described, _ in known for word in {*named, *described})
    found = [[word for word in named if _stands(word, said)] for named, _, _ in known]
    heard = [described & spoken for _, described, _ in known]
    weights = [_weight(*words, shared) for words in zip(found, heard, strict=True)]
    best, numbers = max(weights, default=0.0), sum(word.isdigit() for word in low)
    ties = min(weights.count(best), 4)
    words, rows = hashed([f"said {word}" for word in said]), []
    for tool, hit, told, weight, (named, _, arguments) in zip(tools, found, heard, weights, known, strict=True):
        alone = sum(shared[word] == 1 for word in {*hit, *told})
        lacking = sum(_is_number(tool, name) for name in tool.required) > numbers
        marks = [
            "tool", f"words{min(len(said) // 6, 8)}", f"share{round(4 * len(hit) / max(len(named), 1))}", f"hit{len(hit)}", f"first{named[:1] == tuple(hit[:1])}",
            f"last{bool(hit) and hit[-1:] == list(named[-1:])}", f"described{min(len(told), 4)}",
            f"arguments{min(len(arguments & spoken), 4)}", f"listed{min(len(_listed(tool) & spoken), 3)}", f"alone{min(alone, 3)}", f"lacking{lacking}",
            f"best{weight >= best} {min(int(weight), 4)}", f"behind{min(int(2 * (best - weight)), 8)}", f"ties{ties}{weight >= best}",
        ]  # fmt: skip
        pairs = ids_of(hashed([f"name {word}" for word in named])[:, None], words[None, :])
        rows.append(np.concatenate([ids_of(hashed(["mark"]), hashed(marks)), pairs.ravel()]))
    return rows


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

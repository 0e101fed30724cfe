"""Which of a request's words an argument's value takes: a linear-chain conditional random field over them.

After Lafferty, McCallum and Pereira 2001, "Conditional random fields". Each word begins an argument's value, goes on with one or
is no part of any; how likely each is follows from the words around it, and from what the word before is. Features stand
once for all tools and once for each (Daumé III 2007, "Frustratingly easy domain adaptation"), so that tools with an argument of
the same name learn from each other. `schematune.trainer.tagger` fits one; what stands in a call already is held fixed when
it tells what may follow.
"""

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from schematune.schemas.gazetteer import kinds_of
from schematune.schemas.spans import LONGEST, places, units

__all__ = ["TAGGED", "Array", "Reading", "Tagger", "moves_of", "shape_of", "words_about"]

TAGGED = 2**15
"""Buckets that the features of a word in its place are hashed to."""

MOST_WORDS = 256
"""Words (and single signs) of the longest request that is read."""

Array = np.ndarray[Any, np.dtype[Any]]
Span = tuple[int, int]

_SAME = re.compile(r"(.)\1+")
_AFFIXES = (2, 3, 4)


def words_about(words: Sequence[str], tool: str) -> list[list[int]]:
    """Return the buckets of each word in its place, in order, for requests of a tool.

    >>> [len(one) > 20 for one in words_about(["play", "Hey", "Jude"], "play_song")]
    [True, True, True]
    """
    low = ["<<", "<", *(word.lower() for word in words), ">", ">>"]
    kinds = [frozenset[str](), *kinds_of(words), frozenset[str]()]
    found = []
    for place, word in enumerate(words):
        before2, before, here, after, after2 = low[place : place + 5]
        grams = [
            "", f"0{here}", f"b{before}", f"a{after}", f"c{before2}", f"d{after2}", f"e{before} {here}",
            f"f{here} {after}", f"g{before2} {before}", f"h{after} {after2}", f"i{shape_of(word)}",
            *(f"j{here[:size]}" for size in _AFFIXES), *(f"k{here[-size:]}" for size in _AFFIXES),
            *(f"{part}{kind}" for part, some in zip("lmn", kinds[place : place + 3], strict=True) for kind in some),
        ]  # fmt: skip
        found.append(sorted({zlib.crc32(f"{of}\0{gram}".encode()) % TAGGED for gram in grams for of in ("", tool)}))
    return found


def shape_of(word: str) -> str:
    """Return how a word is written: capitals, letters and digits, runs of a kind once.

    >>> shape_of("McCoy"), shape_of("A380")
    ('AaAa', 'A9')
    """
    return _SAME.sub(
        r"\1", "".join("A" if c.isupper() else "9" if c.isdigit() else "a" if c.isalpha() else c for c in word)
    )


@dataclass(frozen=True)
class Tagger:
    """A conditional random field for the arguments of some tools.

    `names` are the arguments, `known` which of them a tool has. The states of a tool are 0 for no argument, then for each of
    its arguments one that begins a value and one that goes on with it. `table` holds the weights of features, int8 of shape
    (buckets, 1 + 2 x names), to be multiplied by `scale`, float32 of shape (states); `moves` those of one state after
    another, float32 of shape (1 + states, states), the last row for the first word.
    """

    names: tuple[str, ...]
    known: Mapping[str, tuple[str, ...]]
    table: Array
    scale: Array
    moves: Array

    def states(self, tool: str) -> list[int]:
        """Return the columns of a tool's states."""
        return [0, *(1 + 2 * self.names.index(name) + part for name in self.known[tool] for part in (0, 1))]

    def read(self, tool: str, request: str) -> "Reading | None":
        """Read a request as one of a tool; None where the tool has no such argument, or the request too many words."""
        found = units(request) if self.known.get(tool) else []
        if not 0 < len(found) <= MOST_WORDS:
            return None
        states = self.states(tool)
        table = self.table[:, states]
        sums = [table[row].sum(axis=0, dtype=np.int64) for row in words_about([request[a:b] for a, b in found], tool)]
        logits = np.stack(sums) * self.scale[states]
        moves = self.moves[[*states, -1]][:, states]
        return Reading(
            request, found, self.known[tool], np.exp(logits - logits.max(axis=1, keepdims=True)), moves_of(moves)
        )


def moves_of(weights: Array) -> Array:
    """Return the factors of moves, shape (1 + states, states): a value goes on only where it has begun."""
    factors = np.exp(weights)
    for state in range(2, factors.shape[1], 2):
        factors[[row for row in range(len(factors)) if row not in (state - 1, state)], state] = 0.0
    return factors


class Reading:
    """What a tagger makes of one request.

    `words` are the places of its words, `names` the arguments; `factors` (words, states) and `moves` (1 + states, states)
    multiply to the weight of a sequence of states.
    """

    def __init__(self, request: str, words: Sequence[Span], names: Sequence[str], factors: Array, moves: Array) -> None:
        """See the class."""
        self.request, self.words, self.names, self.factors, self.moves = request, words, list(names), factors, moves

    def holding(self, used: Mapping[str, Any]) -> "Reading":
        """Return the reading in which arguments have the values that they are given: None where they have none.

        A value that stands in the request takes its words, the first that are free; any other takes none.
        """
        factors, taken = self.factors.copy(), list[Span]()
        for name in used:
            if name in self.names:
                factors[:, self._state(name) : self._state(name) + 2] = 0.0
        for name, value in sorted(used.items(), key=lambda item: -len(str(item[1]))):
            place = self._place(value, taken) if name in self.names else None
            if place is not None:
                taken.append(place)
                factors[place[0] : place[1] + 1] = 0.0
                factors[place[0], self._state(name)] = 1.0
                factors[place[0] + 1 : place[1] + 1, self._state(name) + 1] = 1.0
        return Reading(self.request, self.words, self.names, factors, self.moves)

    def without(self, values: Sequence[Any]) -> "Reading":
        """Return the reading in which the words of some values, the first that are free, belong to no argument."""
        factors, taken = self.factors.copy(), list[Span]()
        for value in sorted(values, key=lambda one: -len(str(one))):
            place = self._place(value, taken)
            if place is not None:
                taken.append(place)
                factors[place[0] : place[1] + 1, 1:] = 0.0
        return Reading(self.request, self.words, self.names, factors, self.moves)

    def best(self) -> list[int]:
        """Return the likeliest sequence of states (Viterbi 1967), a state a word."""
        with np.errstate(divide="ignore"):
            logs, moves = np.log(self.factors), np.log(self.moves)
        state, back = logs[0] + moves[-1], []
        for here in logs[1:]:
            ways = state[:, None] + moves[:-1]
            back.append(ways.argmax(axis=0))
            state = ways.max(axis=0) + here
        path = [int(state.argmax())]
        for before in reversed(back):
            path.append(int(before[path[-1]]))
        return path[::-1]

    def log_probability(self, states: Sequence[int]) -> float:
        """Return the logarithm of how probable a sequence of states is, a state a word; -inf for one that cannot be."""
        with np.errstate(divide="ignore"):
            logs, moves = np.log(self.factors), np.log(self.moves)
        path = logs[np.arange(len(states)), list(states)].sum() + moves[-1, states[0]]
        return (
            float(path + moves[list(states[:-1]), list(states[1:])].sum()) - _totals(self.factors[None], self.moves)[0]
        )

    def absent(self, later: Sequence[str]) -> list[float]:
        """Return for each argument of `later` how probable it is that it has no value, those before it having none."""
        ways = [self.factors]
        for name in later:
            ways.append(ways[-1].copy())
            ways[-1][:, self._state(name) : self._state(name) + 2] = 0.0
        logs = _totals(np.stack(ways), self.moves)
        return [float(np.exp(min(0.0, after - before))) for before, after in zip(logs, logs[1:], strict=False)]

    def spans(self, name: str) -> dict[str, float]:
        """Return how probable each text is as the value of an argument that has one; empty where none can be."""
        state = self._state(name)
        ahead, back, sizes = _marginals(self.factors, self.moves)
        goes, begins = self.moves[state + 1, state + 1], self.moves[state, state + 1]
        leaves = self.moves[:-1].copy()
        leaves[:, state + 1] = 0.0
        found: dict[str, float] = {}
        for first in range(len(self.words)):
            weight = ahead[first, state]
            for last in range(first, min(first + LONGEST, len(self.words))):
                if last > first:
                    weight *= (begins if last == first + 1 else goes) * self.factors[last, state + 1] / sizes[last]
                if weight < 1e-9:
                    break
                end = 1.0
                if last + 1 < len(self.words):
                    own = leaves[state if last == first else state + 1]
                    end = float(own @ (self.factors[last + 1] * back[last + 1])) / sizes[last + 1]
                text = self.request[self.words[first][0] : self.words[last][1]]
                if "\n" in text:
                    break
                found[text] = found.get(text, 0.0) + float(weight * end)
        total = sum(found.values())
        return {text: one / total for text, one in found.items()} if total > 0 else {}

    def _state(self, name: str) -> int:
        return 1 + 2 * self.names.index(name)

    def _place(self, value: Any, taken: Sequence[Span]) -> Span | None:
        starts = {start: number for number, (start, _) in enumerate(self.words)}
        ends = {end: number for number, (_, end) in enumerate(self.words)}
        for start, end in places(value, self.request) if isinstance(value, str) else ():
            first, last = starts[start], ends[end]
            if all(last < other[0] or other[1] < first for other in taken):
                return first, last
        return None


def _totals(ways: Array, moves: Array) -> list[float]:
    """Return the logarithm of the weight of all sequences, for factors of shape (ways, words, states)."""
    state, logs = ways[:, 0] * moves[-1], np.zeros(len(ways))
    for place in range(ways.shape[1]):
        if place:
            state = (state @ moves[:-1]) * ways[:, place]
        size = np.maximum(state.sum(axis=1), 1e-300)
        logs, state = logs + np.log(size), state / size[:, None]
    return [float(log) for log in logs]


def _marginals(factors: Array, moves: Array) -> tuple[Array, Array, Array]:
    """Return what comes up to each word and after it, each of shape (words, states), and the sizes taken out on the way."""
    count = len(factors)
    ahead, back, sizes = np.zeros_like(factors), np.ones_like(factors), np.zeros(count)
    state = factors[0] * moves[-1]
    for place in range(count):
        if place:
            state = (state @ moves[:-1]) * factors[place]
        sizes[place] = max(float(state.sum()), 1e-300)
        ahead[place] = state = state / sizes[place]
    for place in range(count - 2, -1, -1):
        back[place] = moves[:-1] @ (factors[place + 1] * back[place + 1]) / sizes[place + 1]
    return ahead, back, sizes

"""One row kept to what its mask does not hold: choices taken back, values written in their place, ends that fit.

A value that does not fit is taken back to the latest choice of a token, that token barred there, and the row goes on from
that place; each time that the same value fails again, twice as many choices are taken back. A value that keeps failing,
or a row that has used up its budget of tokens taken back, is given an example of what fits there, as far as the grammar
takes it. What is left then is a row that failed, with its violations.
"""

import json
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import accumulate

from schematune.decoding.closing import Closer
from schematune.decoding.grammar import Grammar
from schematune.decoding.watch import Checks, Path, Violation, Watch
from schematune.schemas.errors import SchematuneError
from schematune.schemas.jsontext import JSON, compact
from schematune.schemas.order import ordered
from schematune.schemas.values import Sampler

__all__ = ["PATIENCE", "Guard"]

PATIENCE = 6
"""Failures of a value before an example is written in its place."""

_EXAMPLES = 8
_ROUNDS = 48


class Guard:
    """Checks the tokens of one row as they come, and says what becomes of it where they do not fit.

    `budget` is the number of tokens that may be taken back. After `accept` has returned a violation, `back` tells to
    how many tokens to return, and `instead` what may be written from there on.
    """

    def __init__(self, grammar: Grammar, budget: int) -> None:
        """`grammar` has something to check: `grammar.watched`."""
        self.grammar = grammar
        self.watch = Watch(grammar.watched)
        self.budget, self.spent = budget, 0
        self.barred: dict[int, set[int]] = {}
        self.violation: Violation | None = None
        self.wrong: tuple[int, ...] = ()  # what stood there with the last violation
        self._ends: list[int] = []  # where the bytes of each token end
        self._choices: list[int] = []
        self._failures: Counter[int] = Counter()
        self._given: set[tuple[int, str]] = set()
        self._exchanged = 0

    def accept(self, tokens: Sequence[int], chosen: bool) -> Violation | None:
        """Read the tokens that are new in `tokens`, of which the first was `chosen`, the others forced."""
        new = tokens[len(self._ends) :]
        if not new:
            return None
        if chosen:
            self._choices.append(len(self._ends))
        pieces = [self.grammar.bytes_of([token]) for token in new]
        last = self._ends[-1] if self._ends else 0
        self._ends += list(accumulate(map(len, pieces), initial=last))[1:]
        return self._seen(self.watch.feed(b"".join(pieces)), tokens)

    def end(self, tokens: Sequence[int]) -> Violation | None:
        """Tell what is wrong with a row that ends after `tokens`."""
        return self._seen(self.watch.end(), tokens)

    def _seen(self, found: Violation | None, tokens: Sequence[int]) -> Violation | None:
        if found is not None:
            self.violation, self.wrong = found, tuple(tokens)
        return found

    def back(self, tokens: Sequence[int], tried: int | None = None) -> int | None:
        """Return how many of `tokens` stay after a violation, None where the budget or the choices are used up.

        `tried` is a token that was to come next, and would have ended the row.
        """
        found = self.violation
        assert found is not None
        self._failures[found.start] += 1
        failed = self._failures[found.start]
        if failed >= PATIENCE:
            return None
        before = [place for place in self._choices if self._start(place) <= found.end]
        if tried is not None:
            before.append(len(tokens))
        many = 1 if failed < 3 else 2 ** (failed - 2)
        return self._return(before[-many:][:1], tokens, tried)

    def dead_end(self, tokens: Sequence[int]) -> int | None:
        """Return how many of `tokens` stay where nothing is left to choose after them."""
        return self._return(self._choices[-1:], tokens, None)

    def _return(self, places: Sequence[int], tokens: Sequence[int], tried: int | None) -> int | None:
        for place in places:
            cost = len(tokens) - place
            if self.spent + cost > self.budget:
                return None
            self.spent += cost
            token = tried if place == len(tokens) else tokens[place]
            assert token is not None
            self._forget(place)
            self.barred.setdefault(place, set()).add(token)
            return place
        return None

    def _start(self, place: int) -> int:
        return self._ends[place - 1] if place else 0

    def _forget(self, place: int) -> None:
        """Leave out all tokens from a place on."""
        del self._ends[place:]
        self._choices = [choice for choice in self._choices if choice < place]
        self.barred = {choice: tokens for choice, tokens in self.barred.items() if choice <= place}
        self.watch.restart(bytes(self.watch.data[: self._start(place)]))

    def instead(self, tokens: Sequence[int]) -> tuple[int, list[int]] | None:
        """Return an example for the value that failed, or for one around it: how many tokens stay, and what follows."""
        found = self.violation
        assert found is not None
        self._exchanged += 1
        if self._exchanged > _ROUNDS:
            return None
        places, checks = dict(self.watch.places), self.watch.checks or self._only()
        for path in (found.path[:length] for length in range(len(found.path), -1, -1)):
            if path not in places or checks is None:
                continue
            start = places[path][0]
            place = next((n for n in range(len(self._ends)) if self._ends[n] > start), len(self._ends))
            lead = bytes(self.watch.data[self._start(place) : start])
            for text in _examples(checks, path, len(self._given), self.grammar.spaced):
                if (start, text) in self._given:
                    continue
                self._given.add((start, text))
                more = self._fitting(tokens[:place], lead + text.encode())
                if more is not None:
                    self._forget(place)
                    return place, more
        return None

    def _only(self) -> Checks | None:
        checks = {id(checks): checks for _, checks in self.grammar.watched}
        return next(iter(checks.values())) if len(checks) == 1 else None

    def _fitting(self, kept: Sequence[int], data: bytes) -> list[int] | None:
        """Return the tokens of `data`, where the grammar takes them after those kept and they are right."""
        more = self.grammar.tokens_of(data)
        matcher = self.grammar.after(kept)
        if matcher is None or matcher.validate_tokens(more) < len(more):
            return None
        watch = Watch(self.grammar.watched)
        watch.restart(self.grammar.bytes_of(kept))
        return more if watch.feed(data) is None else None

    def ended(self, tokens: Sequence[int], end: Sequence[int], closer: Closer, limit: int) -> list[int] | None:
        """Return `tokens` as they can be ended by `end` in at most `limit`, values that do not fit exchanged; or None."""
        other = Guard(self.grammar, 0)
        whole = [*tokens, *end]
        other.watch.restart(bytes(self.watch.data))
        other._ends, other._given = list(self._ends), set(self._given)
        for _ in range(_ROUNDS):
            if other.accept(whole, False) is None and other.end(whole) is None:
                return whole if len(whole) <= limit else None
            mended = other.instead(whole)
            if mended is None:
                return None
            whole = [*whole[: mended[0]], *mended[1]]
            matcher = self.grammar.after(whole)
            more = None if matcher is None or len(whole) > limit else closer(matcher, whole, limit - len(whole))
            if more is None:
                return None
            whole += more
        return None

    def violations(self) -> tuple[str, ...]:
        """Return what was wrong last, for an error."""
        return () if self.violation is None else (str(self.violation),)


def _examples(checks: Checks, path: Path, seed: int, spaced: bool) -> Iterable[str]:
    """Return texts of values that fit at a path, the shortest first."""
    part = checks.at(path) if path else checks.schema
    sampler = Sampler(random.Random(seed), root=checks.schema if isinstance(checks.schema, dict) else None)
    found: set[str] = set()
    try:
        for _ in range(_EXAMPLES):
            found.add(_written(ordered(sampler.value(part), part, checks.document), spaced))
    except (SchematuneError, ValueError, RecursionError):
        pass
    return sorted(found, key=lambda text: (len(text), text))


def _written(value: JSON, spaced: bool) -> str:
    return json.dumps(value, ensure_ascii=False) if spaced else compact(value)

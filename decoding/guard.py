"""One row kept to what its mask does not hold: choices taken back, values written in their place, ends that fit.

A value that does not fit is taken back to the latest choice of a token, that token barred there, and the row goes on from
that place; each time that the same value fails again, twice as many choices are taken back. A value that keeps failing,
or a row that has used up its budget of tokens taken back, is given an example of what fits there, as far as the grammar
takes it. What is left then is a row that failed, with its violations.
"""

import json
from bisect import bisect
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate

from schematune.decoding.checks import Checks, Path
from schematune.decoding.closing import Closer
from schematune.decoding.grammar import Grammar
from schematune.decoding.watch import Violation, Watch
from schematune.schemas.jsontext import JSON, compact

__all__ = ["PATIENCE", "Guard"]

PATIENCE = 6
"""Failures of a value before an example is written in its place."""

_EXAMPLES = 8
_DEEP = 6
_LONG = 64  # choices in a value, of which half are taken back at once
_ROUNDS = 48


class Guard:
    """Checks the tokens of one row as they come, and says what becomes of it where they do not fit.

    `budget` is the number of tokens that may be taken back. After `accept` has returned a violation, `back` tells to
    how many tokens to return, and `instead` what may be written from there on.
    """

    def __init__(self, grammar: Grammar, budget: int) -> None:
        """`grammar` is made of schemas: `grammar.checks`."""
        self.grammar = grammar
        self.watch = Watch(grammar.checks)
        self.budget, self.spent = budget, 0
        self.floor = 0  # so many tokens have gone out and stay
        self.barred: dict[int, set[int]] = {}
        self.violation: Violation | None = None
        self.wrong: tuple[int, ...] = ()  # what stood there with the last violation
        self._ends: list[int] = []  # where the bytes of each token end
        self._choices: list[int] = []
        self._failures: Counter[int] = Counter()
        self._given: set[tuple[int, str]] = set()
        self._asked: Counter[Path] = Counter()
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
        before = [place for place in self._choices if place >= self.floor and self._start(place) <= found.end]
        if tried is not None:
            before.append(len(tokens))
        inside = sum(self._ends[place] > found.start for place in before if place < len(self._ends))
        many = max(1 if failed < 3 else 2 ** (failed - 2), inside // 2 if inside > _LONG else 0)
        return self._return(before[-many:][:1], tokens, tried)

    def dead_end(self, tokens: Sequence[int]) -> int | None:
        """Return how many of `tokens` stay where nothing is left to choose after them."""
        return self._return([place for place in self._choices[-1:] if place >= self.floor], tokens, None)

    @property
    def settled(self) -> int:
        """How many of the first tokens nothing to come can make wrong."""
        return bisect(self._ends, self.watch.settled)

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
        assert self.violation is not None
        return self._exchange(tokens, self.violation.path)

    def _exchange(self, tokens: Sequence[int], path: Path) -> tuple[int, list[int]] | None:
        self._exchanged += 1
        places, checks = dict(self.watch.places), self.watch.checks or self._only()
        if self._exchanged > _ROUNDS or checks is None:
            return None
        self._asked[path] += 1
        deepest = max(0, len(path) - (self._asked[path] - 1) // 2)  # what fails again is wrong further out
        for part in (path[:length] for length in range(deepest, -1, -1)):
            if part not in places:
                continue
            start = places[part][0]
            place = next((n for n in range(len(self._ends)) if self._ends[n] > start), len(self._ends))
            if place < self.floor:
                return None
            lead = bytes(self.watch.data[self._start(place) : start])
            values = checks.examples(part, _EXAMPLES, len(self._given))
            texts = {_written(value, self.grammar.spaced) for value in values}
            for text in sorted(texts, key=lambda text: (len(text), text)):
                if (start, text) in self._given:
                    continue
                self._given.add((start, text))
                more = self._fitting(tokens[:place], lead + text.encode())
                if more is not None:
                    self._forget(place)
                    return place, more
        return None

    def _anew(self, path: Path) -> tuple[int, list[int]] | None:
        """Return how many tokens stand before the value at `path`, or before one around it that was not begun anew yet."""
        for part in (path[:length] for length in range(len(path), -1, -1)):
            start = self.watch.places.get(part, [-1])[0]
            if start < 0 or (start, "") in self._given:
                continue
            self._given.add((start, ""))
            place = next((n for n in range(len(self._ends)) if self._ends[n] > start), len(self._ends))
            self._forget(place)
            return place, []
        return None

    def _only(self) -> Checks | None:
        checks = {id(checks): checks for _, checks in self.grammar.checks}
        return next(iter(checks.values())) if len(checks) == 1 else None

    def _fitting(self, kept: Sequence[int], data: bytes) -> list[int] | None:
        """Return the tokens of `data`, where the grammar takes them after those kept and they are right."""
        more = self.grammar.tokens_of(data)
        matcher = self.grammar.after(kept)
        if matcher is None or matcher.validate_tokens(more) < len(more):
            return None
        watch = Watch(self.grammar.checks)
        watch.restart(self.grammar.bytes_of(kept))
        return more if watch.feed(data) is None else None

    @classmethod
    def ended(cls, grammar: Grammar, tokens: Sequence[int], closer: Closer, limit: int) -> list[int] | None:
        """Return `tokens` as they can be ended within `limit`, an example in the place of what does not fit; or None."""
        guard, whole = cls(grammar, 0), list(tokens)
        guard.watch.restart(grammar.bytes_of(whole))
        guard._ends = list(accumulate(len(grammar.bytes_of([token])) for token in whole))
        for _ in range(_ROUNDS):
            matcher = grammar.after(whole)
            if matcher is None or len(whole) > limit:
                return None
            begun = len(guard.watch.path)
            more, complete = closer.go(matcher, whole, limit - len(whole))
            whole += more
            wrong = guard.accept(whole, False) or (guard.end(whole) if complete else None)
            if wrong is None and complete:
                return whole
            path = wrong.path if wrong is not None else guard.watch.path
            if wrong is None and len(path) > begun + _DEEP:  # it goes ever deeper: write what it began with
                path = path[: begun + 1]
            mended = guard._exchange(whole, path) or guard._anew(path)
            if mended is None:
                return None
            whole = [*whole[: mended[0]], *mended[1]]
            if guard.accept(whole, False) is not None:
                return None
        return None

    def violations(self) -> tuple[str, ...]:
        """Return what was wrong last, for an error."""
        return () if self.violation is None else (str(self.violation),)


def _written(value: JSON, spaced: bool) -> str:
    return json.dumps(value, ensure_ascii=False) if spaced else compact(value)

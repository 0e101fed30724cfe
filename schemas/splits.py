"""Splits that share neither a family of wordings nor a value.

A pair's split follows from the template of its wording, by a hash; a value's from the value itself. The values of
each split come from a random state of its own, and where an argument has many values (texts, dates, large
numbers; enums, flags and times of day have few) those that one split says no other says.
"""

import random
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache
from hashlib import blake2b
from typing import get_args

from schematune.schemas.jsontext import JSON
from schematune.schemas.pair import Split
from schematune.schemas.values import Sampler

__all__ = ["SPLITS", "SplitSampler", "Splits", "Strayed", "leaves"]

SPLITS: tuple[Split, ...] = get_args(Split)

WIDER = 2.0
"""How much larger a split's share of the values is than its share of the pairs: its pairs find theirs sooner."""

DAYS = 14
"""Days that belong to one split together: requests of a split say "tomorrow" as those of another do."""

PROBES = 192
"""Values drawn to learn whether an argument has many."""

FIRST = 32
"""Values after which the probing ends where it is plain already."""

PLAINLY_FEW, PLAINLY_MANY = 0.6, 0.97
"""Shares of them that are distinct where it is."""

MANY = 0.7
"""Share of them that must be distinct for that."""

TRIES = 200
"""Values drawn until one belongs to the split."""


@dataclass(frozen=True)
class Splits:
    """Shares of the splits that are set apart, and the `seed` that their families and values are drawn by.

    `taken` are values (as `Splits.key` writes them) that training has from elsewhere, a user's examples, say.

    >>> splits = Splits(dev=0.5, test=0.5)
    >>> splits.of_template("noun/led") in ("dev", "test"), Splits(dev=0, test=0).of_value("Oslo")
    (True, 'train')
    """

    dev: float = 0.04
    test: float = 0.04
    seed: int = 0
    taken: Collection[str] = field(default=frozenset(), compare=False)
    _known: dict[str, Split] = field(default_factory=dict, init=False, compare=False, repr=False)

    def of_template(self, template: str) -> Split:
        """Return the split of a family of wordings."""
        return _of_template(template, self.dev, self.test, self.seed)

    def of_value(self, value: JSON) -> Split:
        """Return the split that a value belongs to."""
        key = self.key(value)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            wider = min(WIDER, 0.9 / max(self.dev + self.test, 1e-9))
            found = self._known[key] = _of_key(key, wider * self.dev, wider * self.test, self.seed)
        return found

    def admits(self, split: Split, value: JSON) -> bool:
        """Tell whether pairs of a split may have a value, of an argument that has many."""
        return self.of_value(value) == split and (split == "train" or self.key(value) not in self.taken)

    @property
    def apart(self) -> bool:
        """Whether anything is set apart at all."""
        return self.dev + self.test > 0

    @staticmethod
    def key(value: JSON) -> str:
        """Write a value as it is compared: texts whatever their case.

        >>> Splits.key("Oslo"), Splits.key(20)
        ('oslo', '20')
        """
        return str(value).casefold()


@lru_cache(maxsize=65536)
def _of_template(template: str, dev: float, test: float, seed: int) -> Split:
    draw = random.Random(f"{seed}-{template}").random()
    return "dev" if draw < dev else "test" if draw < dev + test else "train"


_MOST_KNOWN = 65536


def _of_key(key: str, dev: float, test: float, seed: int) -> Split:
    day = _day(key)
    said = f"{seed}={key if day is None else day // DAYS}"
    draw = int.from_bytes(blake2b(said.encode("utf-8", "surrogatepass"), digest_size=6).digest()) / 2**48
    return "dev" if draw < dev else "test" if draw < dev + test else "train"


def _day(text: str) -> int | None:
    """Return the number of the day that a text is, or a moment of it."""
    if len(text) < 10 or text[4] != "-" or text[7] != "-":
        return None
    try:
        return date.fromisoformat(text[:10]).toordinal()
    except ValueError:
        return None


def leaves(value: JSON) -> Iterator[JSON]:
    """Yield the texts and numbers in a value.

    >>> list(leaves({"a": [1, "x", None], "b": True}))
    [1, 'x']
    """
    if isinstance(value, dict):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield value


class Strayed(Exception):
    """An argument has many values, and none that belongs to the split was found."""


class SplitSampler(Sampler):
    """Draws the values of one split: where an argument has many, only those that belong to it.

    Drawing raises `Strayed` where it finds none of them.
    """

    def __init__(
        self,
        rng: random.Random,
        *,
        root: JSON,
        splits: Splits,
        split: Split,
        probed: dict[tuple[int, str], tuple[JSON, bool]] | None = None,
    ) -> None:
        """`probed` is what the samplers of one tool know of which arguments have many values."""
        super().__init__(rng, root=root)
        self.splits, self.split = splits, split
        self._probed = {} if probed is None else probed

    def _draw(self, schema: JSON, name: str, depth: int) -> JSON:
        drawn = super()._draw(schema, name, depth)
        if not self.splits.apart or isinstance(drawn, bool | dict | list | None):
            return drawn
        if self.splits.admits(self.split, drawn) or not self._has_many(schema, name, depth):
            return drawn
        budget = self._parts, self._draws
        for _ in range(TRIES):
            self._parts, self._draws = budget
            drawn = super()._draw(schema, name, depth)
            if self.splits.admits(self.split, drawn):
                return drawn
        raise Strayed(name)

    def _has_many(self, schema: JSON, name: str, depth: int) -> bool:
        """Tell by what is drawn for an argument, on different days, whether it has many values."""
        key = id(schema), name
        if key not in self._probed:
            kept = self.rng, self.today, self._parts, self._draws
            self.rng = random.Random(f"many {name}")
            values, drawn = set[str](), 0
            try:
                for probe in range(PROBES):
                    if probe == FIRST and not PLAINLY_FEW < len(values) / FIRST < PLAINLY_MANY:
                        break
                    self.today, self._parts, self._draws = date(2026, 1, 1) + timedelta(21 * probe), *kept[2:]
                    values.add(self.splits.key(super()._draw(schema, name, depth)))
                    drawn = probe + 1
            finally:
                self.rng, self.today, self._parts, self._draws = kept
            self._probed[key] = schema, len(values) >= MANY * drawn
        return self._probed[key][1]

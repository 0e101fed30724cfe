"""Pairs made in shards: each has a random state of its own, so that it is the same whoever makes it, and when.

A shard's state follows from the seed, the tools' fingerprint and the shard's number. Workers make shards and do the
checks that look at one pair alone; what depends on the pairs before is left to the one that takes the shards in
their order (`schematune.schemas.stream`). The processes are those of `datasets` (`Dataset.map(num_proc=...)`).
"""

import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from weakref import WeakValueDictionary

from schematune.schemas.agreement import Agreement
from schematune.schemas.augment import near_duplicates
from schematune.schemas.checks import Checker
from schematune.schemas.errors import SchematuneError
from schematune.schemas.examples import Multiplier
from schematune.schemas.invent import invent_tools
from schematune.schemas.jsontext import JSON, compact, strict_loads
from schematune.schemas.pair import Pair, Split
from schematune.schemas.pools import local_to
from schematune.schemas.splits import DAYS, SPLITS, TRIES, Splits, SplitSampler, Strayed, leaves
from schematune.schemas.synthesize import VARIANTS, Synthesizer
from schematune.schemas.tool import Tool, ToolSet

__all__ = ["SHARD", "Maker", "SplitSynthesizer", "outcomes"]

SHARD = 256
"""Pairs tried in one shard."""

OTHERS = 60
"""Tools made up for requests that no tool serves."""

REWORDED = 8
"""Times that a pair which is set apart is worded anew with values of its split, before it is given up."""


class Steady(random.Random):
    """A random state of which each choice takes one number, however many things there are to choose from.

    So a request whose values are drawn again is mostly worded as before. (Python's own takes a few more at times.)
    """

    def random(self) -> float:
        """Return the next number in [0, 1); that this is defined here makes Python derive all choices from it."""
        return super().random()


class SplitSynthesizer(Synthesizer):
    """Makes pairs that know their split, and say no value that a pair of another split says."""

    def __init__(self, tools: ToolSet, rng: random.Random, *, others: Sequence[Tool], splits: Splits) -> None:
        """See the class."""
        super().__init__(tools, rng, others=others)
        self.splits = splits
        self._probed: dict[int, dict[tuple[int, str], tuple[JSON, bool]]] = {}
        self._values = {split: random.Random() for split in SPLITS}
        self.of_split = {split: self._for(split) for split in SPLITS}
        self._turn_to("train")

    def _for(self, split: Split) -> dict[int, tuple[Tool, SplitSampler]]:
        rng = self._values[split]
        made: dict[int, tuple[Tool, SplitSampler]] = {}
        for tool in (*self.tools, *self.others):
            probed = self._probed.setdefault(id(tool), {})
            sampler = SplitSampler(rng, root=tool.parameters, splits=self.splits, split=split, probed=probed)
            made[id(tool)] = tool, sampler
        return made

    def restart(self, state: str) -> None:
        """Begin anew from a named random state; each split's values come from one of their own."""
        self.rng.seed(state)
        for split, rng in self._values.items():
            rng.seed(f"{state}-{split}")

    def samplers(self, split: Split) -> dict[str, SplitSampler]:
        """Return what draws the values of the tools' arguments for a split."""
        return {tool.name: self.of_split[split][id(tool)][1] for tool in self.tools}

    def moment(self) -> datetime | None:
        """Draw a time to stand in the context, on a day of the split."""
        drawn, rng = super().moment(), self._values[self._split]
        if drawn is None:
            return None
        for _ in range(TRIES if self.splits.apart else 0):
            if self.splits.of_value(drawn.date().isoformat()) == self._split:
                break
            drawn = datetime(2024, 1, 1, drawn.hour, drawn.minute) + timedelta(days=rng.randrange(1600))
        return drawn

    def arguments(self, tool: Tool, today: date, *, share: float | None = None) -> dict[str, JSON]:
        """Draw arguments for one call, around a day of the split."""
        for _ in range(TRIES if self.splits.apart else 0):
            if self.splits.of_value(today.isoformat()) == self._split:
                break
            today += timedelta(days=DAYS)
        return super().arguments(tool, today, share=share)

    def filled(self, tool: Tool, values: Mapping[str, JSON]) -> dict[str, JSON]:
        """Return drawn values, some replaced by nouns of the tools that the split may say."""
        return self._kinds.fill(tool, values, self.rng, may=self._may)

    def _may(self, noun: str) -> bool:
        return not self.splits.apart or self.splits.admits(self._split, noun)

    def drawn(self) -> Pair | None:
        """Make one pair; None where it could not be given values of its split."""
        self._turn_to("train")
        state = self.rng.getstate() if self.splits.apart else ()
        pair = self._unstrayed()
        split = self.splits.of_template(pair.template) if pair else "train"
        if split == "train":
            return pair
        after = self.rng.getstate()
        self._turn_to(split)
        for _ in range(REWORDED):  # the same words as far as the values let it be, other values
            self.rng.setstate(state)
            pair = self._unstrayed()
            if pair is not None and self.splits.of_template(pair.template) == split:
                break
        else:
            pair = None
        self.rng.setstate(after)
        return replace(pair, split=split) if pair else None

    def _unstrayed(self) -> Pair | None:
        try:
            return self.pair()
        except Strayed:
            return None

    def _turn_to(self, split: Split) -> None:
        self._split, self._samplers = split, self.of_split[split]  # type: ignore[assignment]


@dataclass(frozen=True)
class _Recipe:
    """All that the shards follow from, as plain values that another process can take."""

    tools: str
    parallel: bool
    examples: str
    seed: int
    dev: float
    test: float
    locales: tuple[str, ...]


class Maker:
    """Makes any shard of one run: pairs, or the reasons why they were thrown away."""

    def __init__(
        self,
        tools: ToolSet,
        *,
        examples: Iterable[Pair] = (),
        seed: int = 0,
        dev: float,
        test: float,
        locales: tuple[str, ...] = (),
    ) -> None:
        """`examples` are multiplied; shares `dev` and `test` are set apart; values are as in `locales`."""
        own = [replace(pair, id="") for pair in examples]  # what is made of them gets its own
        rows = compact([pair.to_dict() for pair in own])
        self._recipe = _Recipe(compact(tools.openai()), tools.parallel, rows, seed, dev, test, locales)
        self.state = f"{seed}-{tools.fingerprint}{'-'.join(locales)}"
        rng = Steady(self.state)
        taken = frozenset(
            Splits.key(leaf) for pair in own for call in pair.calls for leaf in leaves(dict(call.arguments))
        )
        strange = random.Random(f"{seed}-others")
        others = [*invent_tools(strange, OTHERS), *near_duplicates(tools, strange, each=2)]
        self.fresh = SplitSynthesizer(tools, rng, others=others, splits=Splits(dev, test, seed, taken))
        self.multiplier = Multiplier(own, tools, rng) if own else None
        if self.multiplier:
            self.multiplier.samplers = dict(self.fresh.samplers("train"))
        self.agreement = Agreement(own, tools) if own else None
        self.checker = Checker(tools)
        _MADE[self._recipe] = self

    def __reduce__(self) -> tuple[Any, ...]:
        """Pass on the recipe: a forked process has the maker already."""
        return _maker, (self._recipe,)

    def shard(self, number: int) -> Iterator[Pair | str]:
        """Yield the outcomes of one shard: a pair, or why there is none (empty where no check threw it away)."""
        self.fresh.restart(f"{self.state}-{number}")
        for _ in range(SHARD):
            with local_to(self._recipe.locales):
                outcome = self._outcome()
            yield outcome

    def _outcome(self) -> Pair | str:
        rng = self.fresh.rng
        try:
            multiplied = self.multiplier is not None and rng.random() < VARIANTS
            pair = self.multiplier.pair() if self.multiplier and multiplied else self.fresh.drawn()
        except Strayed:
            pair = None
        if pair is not None and self.agreement is not None:
            pair = self.agreement.completed(pair)
            if pair is None:
                return "contradicts"
        return "" if pair is None else self.checker.flaw(pair) or pair

    def __call__(self, numbers: Any) -> dict[str, list[str]]:
        """Make the shards of a batch of rows; a row for each, as JSON."""
        rows = (
            [one if isinstance(one, str) else one.to_dict() for one in self.shard(number)]
            for number in numbers["shard"]
        )
        return {"outcomes": [compact(row) for row in rows]}


_MADE: WeakValueDictionary[_Recipe, Maker] = WeakValueDictionary()


def _maker(recipe: _Recipe) -> Maker:
    known = _MADE.get(recipe)
    if known is not None:
        return known
    tools = ToolSet(strict_loads(recipe.tools), parallel=recipe.parallel)
    examples = [Pair.from_dict(row) for row in strict_loads(recipe.examples)]
    return Maker(tools, examples=examples, seed=recipe.seed, dev=recipe.dev, test=recipe.test, locales=recipe.locales)


def outcomes(maker: Maker, numbers: Sequence[int], *, workers: int = 1) -> Iterator[Pair | str]:
    """Yield the outcomes of shards, in order; the same whatever the number of `workers` (processes).

    >>> tools = ToolSet({"name": "add", "parameters": {"properties": {"n": {"type": "integer"}}, "required": ["n"]}})
    >>> len(list(outcomes(Maker(tools, dev=0, test=0), range(2)))) == 2 * SHARD
    True
    """
    if workers == 1 or len(numbers) == 1:
        for number in numbers:
            yield from maker.shard(number)
        return
    for row in _spread(maker, numbers, workers):
        yield from (one if isinstance(one, str) else Pair.from_dict(one) for one in json.loads(row))


def _spread(maker: Maker, numbers: Sequence[int], workers: int) -> Iterator[str]:
    """Have processes make shards; what they made is read from a temporary file, row by row, in order."""
    from datasets import Dataset  # type: ignore[import-untyped]

    with TemporaryDirectory(prefix="schematune-") as folder, _silent():
        try:
            made = Dataset.from_dict({"shard": list(numbers)}).map(
                maker,
                batched=True,
                batch_size=1,
                num_proc=min(workers, len(numbers)),
                remove_columns=["shard"],
                load_from_cache_file=False,
                new_fingerprint=f"shards-{numbers[0]}",
                cache_file_name=str(Path(folder) / "shards.arrow"),
            )
        except RuntimeError as error:  # what the engine says of a process that was killed
            reason = str(error).splitlines()[0]
            raise SchematuneError(
                f"a worker ended: {reason}", where="workers", fix="use fewer, or free memory"
            ) from error
        for row in made:
            yield row["outcomes"]
        del made  # the file is mapped until then


@contextmanager
def _silent() -> Iterator[None]:
    """Show no bar of the engine's own: the one over all shards is shown elsewhere."""
    from datasets import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    shown = not are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            enable_progress_bars()

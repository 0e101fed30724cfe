"""Pairs as they come: a stream that checks what the shards yield, for sets of any size.

Only what the checks must remember of each pair, its request, stays in memory.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from itertools import islice
from math import ceil
from pathlib import Path
from typing import Any

from tqdm import tqdm

from schematune.schemas.call import ASK
from schematune.schemas.checks import Checker
from schematune.schemas.datacard import fingerprint_of, save_with_card
from schematune.schemas.errors import ExampleError, SchemaError
from schematune.schemas.jsontext import JSON
from schematune.schemas.pair import Pair, Pairs, read_examples
from schematune.schemas.pools import known_locales
from schematune.schemas.privacy import Scrubber
from schematune.schemas.shards import SHARD, Maker, outcomes
from schematune.schemas.teacher import Teacher
from schematune.schemas.tool import ToolSet

__all__ = ["PairStream"]

ROUND = 64
"""Shards that each worker makes before the next ones are given out, at most."""

TAUGHT = 2048
"""Pairs that a teacher is given at a time."""


def _named(source: object) -> dict[str, JSON]:
    return {"file": Path(source).name} if isinstance(source, str | Path) else {}


class PairStream:
    """Yields `n` checked pairs, once; the arguments are those of `schematune.synthesize`.

    `rejected` counts what the checks threw away so far, by reason; `replaced` what was scrubbed in the examples, by kind.

    >>> tools = ToolSet({"name": "add", "parameters": {"properties": {"n": {"type": "integer"}}, "required": ["n"]}})
    >>> stream = PairStream(tools, 20, seed=1)
    >>> next(iter(stream)).id
    'pair-0'
    """

    def __init__(
        self,
        tools: Any,
        n: int,
        *,
        examples: str | Path | Pairs | Iterable[Pair] | None = None,
        seed: int = 0,
        avoid: Iterable[Pair] = (),
        teacher: Teacher | None = None,
        scrub: bool | Scrubber = False,
        locale: str | Sequence[str] = (),
        dev: float = 0.04,
        test: float = 0.04,
        workers: int = 1,
        progress: bool = False,
    ) -> None:
        """See the class; raises `ExampleError` for examples that do not fit, and for a number or shares that cannot be."""
        tools = tools if isinstance(tools, ToolSet) else ToolSet(tools)
        if n < 0:
            raise ExampleError(f"{n} pairs cannot be made", where="n", fix="ask for none or more")
        if min(dev, test) < 0 or dev + test >= 1:
            what = f"dev={dev} and test={test} leave nothing to train on, or are no shares"
            raise ExampleError(what, where="dev, test", fix="shares from 0, below 1 together")
        locales = known_locales(locale)
        self.tools, self.n, self.seed, self.teacher = tools, n, seed, teacher
        self.workers, self.progress = max(1, workers), progress
        self.replaced: Counter[str] = Counter()
        self.left_out = 0
        self.own = read_examples(examples, tools) if isinstance(examples, str | Path) else Pairs(examples or ())
        avoided = avoid if isinstance(avoid, Pairs) else Pairs(avoid)
        self.scrubber = Scrubber(seed=seed, tools=tools) if scrub is True else scrub or None
        unseen = list(avoided)
        if self.scrubber:  # before anything is made of them; what is avoided is known again by the same stand-ins
            self.own = self.scrubber.pairs(self.own)
            self.replaced, self.left_out = Counter(self.scrubber.replaced), self.scrubber.unfit
            unseen += self.scrubber.pairs(avoided)
        self._checker = Checker(tools, avoid=unseen)
        self._given: dict[str, JSON] = {
            "seed": seed,
            "options": {"pairs": n, "dev": dev, "test": test, **({"locale": list(locales)} if locales else {})},
            "tools": {"fingerprint": tools.fingerprint, "names": list(tools.names)},
            "inputs": {
                name: {**file, **fingerprint_of(pair.to_dict() for pair in pairs)}
                for name, pairs, file in (("examples", self.own, _named(examples)), ("avoid", avoided, {}))
                if len(pairs)
            },
        }
        self._maker = Maker(tools, examples=self.own, seed=seed, dev=dev, test=test, locales=locales)
        self.rejected: Counter[str] = self._checker.rejected

    def __iter__(self) -> Iterator[Pair]:
        """Yield the pairs, a user's examples first; raises `SchemaError` where no more distinct ones are found."""
        pairs = self._pairs() if self.teacher is None else self._taught(self._pairs(), self.teacher)
        with tqdm(pairs, total=self.n, unit="pair", desc="synthesise", disable=not self.progress) as bar:
            yield from bar

    @property
    def origin(self) -> dict[str, JSON]:
        """What a data card says of how the pairs were made; complete once the stream has ended."""
        taught = {"teacher": {"model": self.teacher.model, **asdict(self.teacher.spent)}} if self.teacher else {}
        scrubbed = {"replaced": dict(self.replaced), "left_out": self.left_out} if self.scrubber else {}
        return {**self._given, **scrubbed, **taught, "rejected": dict(self.rejected)}

    def save(self, path: str | Path, *, licence: str = "") -> dict[str, JSON]:
        """Write the pairs as they come, and their data card beside them, which is returned; see `Pairs.save`.

        Until the last pair is written there is no file of that name, or the old one.
        """
        rows = (pair.to_dict() for pair in self)
        try:
            return save_with_card(Path(path), rows, lambda: self.origin, licence=licence)
        finally:
            rows.close()

    def _pairs(self) -> Iterator[Pair]:
        kept = [pair for pair in self.own if self._checker.passes(pair, own=True)][: self.n]
        yield from kept
        many, misses = len(kept), 0
        for outcome in self._outcomes() if many < self.n else ():
            pair = None if isinstance(outcome, str) else outcome
            reason = outcome if isinstance(outcome, str) else self._checker.staleness(outcome)
            if pair is None or reason:
                self.rejected.update([reason] if reason else [])
                misses += 1
                if misses > 2000 + 20 * self.n:
                    raise SchemaError(
                        f"only {many} of {self.n} distinct pairs were found: {dict(self.rejected)}",
                        fix="ask for fewer, or give more examples",
                    )
                continue
            self._checker.remember(pair)
            yield replace(pair, id=f"pair-{many}", seed=self.seed)
            many += 1
            if many == self.n:
                return

    def _outcomes(self) -> Iterator[Pair | str]:
        """Yield the outcomes of all shards, for ever; workers get as many at a time as should be enough."""
        done = 0
        while True:
            wanted = ceil(max(0, self.n - self._checker.accepted) * 1.02 / SHARD)
            many = min(max(1, wanted), ROUND * self.workers)
            yield from outcomes(self._maker, range(done, done + many), workers=self.workers)
            done += many

    def _taught(self, pairs: Iterator[Pair], teacher: Teacher) -> Iterator[Pair]:
        """Yield the pairs, the requests of the synthetic calls put anew by a teacher where that passes the checks."""
        for first in pairs:
            group = [first, *islice(pairs, TAUGHT - 1)]
            yield from self._put_anew(group, teacher)

    def _put_anew(self, group: Sequence[Pair], teacher: Teacher) -> Sequence[Pair]:
        places = [
            n
            for n, pair in enumerate(group)
            if pair.source == "synthetic" and pair.calls[0].name != ASK and len(pair.messages) == 1
        ]
        taught = list(group)
        for place, pair in zip(places, teacher.rewritten([group[place] for place in places]), strict=True):
            if pair is None:
                self.rejected["teacher"] += 1
            elif self._checker.passes(pair):
                taught[place] = pair
        return taught

"""The arms of a comparison: long prompts and the tuned short one, decoded freely or under the grammar.

The arms are a table. Every case goes through all of them before the next case comes, in an order that
rotates, one request at a time: whatever else the machine does then slows all arms alike. The latency of the
long arms is also taken with their prefix cached, on a sample, in the same round. What fails is a score like
any other; only a base or an adapter that cannot be loaded stops a run.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from schematune.benchmarks.cases import Case, one_tool_set, sample
from schematune.benchmarks.scoring import Score, aggregate, score
from schematune.schemas.call import Answer, Usage
from schematune.schemas.errors import ExampleError, RenderError, SchemaError, SchematuneError
from schematune.schemas.jsontext import JSON
from schematune.schemas.pair import Pair
from schematune.schemas.tool import ToolSet

if TYPE_CHECKING:
    from schematune.decoding.adapter import Adapter
    from schematune.decoding.base import Base
    from schematune.decoding.caller import Caller

__all__ = ["ARMS", "Arm", "Bench", "Run", "pick_arms", "run_arms"]

CACHED_SAMPLE = 50
"""Cases on which the long arms are timed with their prefix cached."""

NEAREST = 8
"""Examples shown in the shots arms."""

_KEEP = 32


@dataclass(frozen=True)
class Arm:
    """One way to answer: `tuned` (adapter, short prompt) or long (tools in the prompt), and how it decodes."""

    name: str
    tuned: bool = False
    grammar: bool = False
    shots: bool = False


ARMS: Mapping[str, Arm] = {
    arm.name: arm
    for arm in (
        Arm("long"),
        Arm("long+grammar", grammar=True),
        Arm("long+shots", shots=True),
        Arm("long+shots+grammar", shots=True, grammar=True),
        Arm("tuned", tuned=True),
        Arm("tuned+grammar", tuned=True, grammar=True),
    )
}


def pick_arms(names: Sequence[str]) -> list[Arm]:
    """Return the arms of these names, in the table's order; raises `ExampleError` for one that is not there.

    >>> [arm.name for arm in pick_arms(["tuned", "long"])]
    ['long', 'tuned']
    """
    unknown = [name for name in names if name not in ARMS]
    if unknown or not names:
        raise ExampleError(f"there is no arm {(*unknown, '')[0]!r}", where="arms", fix=f"known: {', '.join(ARMS)}")
    return [arm for name, arm in ARMS.items() if name in names]


@dataclass
class Run:
    """The scores of one arm, in the order of the cases; `cached_ms` by the case's place."""

    arm: Arm
    scores: list[Score] = field(default_factory=list)
    cached_ms: dict[int, float] = field(default_factory=dict)

    def metrics(self) -> dict[str, JSON]:
        """Return the figures of the arm, see `schematune.benchmarks.scoring.aggregate`."""
        return aggregate(self.scores, cached_ms=list(self.cached_ms.values()))


@dataclass
class Bench:
    """What the arms run on: a base, an adapter for the tuned ones, examples for the shots.

    `base` is a loaded base or the name of one; `adapter` a folder or a loaded adapter. `max_new_tokens`
    bounds each output, so that an arm that rambles ends.
    """

    base: "Base | str" = "builtin"
    adapter: "Adapter | str | Path | None" = None
    shots: Sequence[Pair] = ()
    nearest: int = NEAREST
    max_new_tokens: int = 256
    device: str = "auto"
    _callers: "dict[tuple[str, bool, str], Caller]" = field(default_factory=dict, repr=False)

    def loaded(self) -> "Base":
        """Return the base, loaded once; raises `ModelError`."""
        from schematune.decoding.base import Base, load_base

        if not isinstance(self.base, Base):
            self.base = load_base(self.base, device=self.device)
        return self.base

    def caller(self, arm: Arm, tools: ToolSet, *, cached: bool = False) -> "Caller":
        """Return the caller of an arm for these tools, made once; all share one base."""
        from schematune.decoding.caller import Caller

        key = (arm.name, cached, tools.fingerprint)
        if key not in self._callers:
            if len(self._callers) >= _KEEP:  # cases that bring their own tools: each set is used once
                self._callers = {old: caller for old, caller in self._callers.items() if ARMS[old[0]].tuned}
            self._callers[key] = Caller(
                self.adapter if arm.tuned else None,
                tools=tools,
                base=self.loaded(),
                constrained=arm.grammar,
                prompt="short" if arm.tuned else "long",
                shots=self.shots if arm.shots else (),
                nearest=self.nearest if arm.shots else 0,
                cache_prefix=cached,
                max_new_tokens=self.max_new_tokens,
                device=self.device,
            )
        return self._callers[key]

    def score(self, arm: Arm, case: Case, *, cached: bool = False) -> Score:
        """Answer one case and score it; the latency is wall time, failures included."""
        try:
            caller = self.caller(arm, case.tools, cached=cached)
        except (SchemaError, RenderError) as error:
            if not case.own:
                raise
            return score(case, Answer.failed(error))
        begun = time.perf_counter()
        answer = _ask(caller, case)
        milliseconds = (time.perf_counter() - begun) * 1000
        if answer.error is not None and not answer.usage.prompt_tokens:
            answer = replace(answer, usage=Usage(_length(caller, case)))
        return score(case, answer, latency_ms=milliseconds, parse=caller.base.renderer.parse)


def _ask(caller: "Caller", case: Case) -> Answer:
    pair = case.pair
    try:
        [answer] = caller.batch([pair.messages], contexts=[pair.context or None], permits=[pair.tools], size=1)
    except SchematuneError as error:
        answer = Answer.failed(error)
    return answer


def _length(caller: "Caller", case: Case) -> int:
    """Count the tokens of a prompt that was too long to be tried: it is what the arm would have cost."""
    try:
        return len(caller.prompt_tokens(case.pair.messages, context=case.pair.context or None, permit=case.pair.tools))
    except SchematuneError:
        return 0


def run_arms(
    cases: Sequence[Case],
    arms: Sequence[Arm],
    bench: Bench,
    *,
    cached: int = CACHED_SAMPLE,
    seed: int = 0,
    progress: bool = True,
) -> dict[str, Run]:
    """Run every case through every arm and return the runs by the arms' names.

    `cached` cases, drawn with `seed`, also time the long arms with their prefix cached, where the cases share
    one tool set. Raises `ExampleError` where an arm lacks what it needs, `ModelError` and `ContractError`
    where the base or the adapter cannot be loaded.
    """
    _check(cases, arms, bench)
    bench.loaded()
    runs = {arm.name: Run(arm) for arm in arms}
    timed: set[int] = set()
    if not any(case.own for case in cases):
        timed = set(sample(range(len(cases)), cached, seed=seed))
        _warm_up(cases[0], arms, bench, cached=bool(timed))
    with tqdm(total=len(cases) * len(arms), desc="arms", unit="call", disable=not progress) as bar:
        for place, case in enumerate(cases):
            for arm in _rotated(arms, place):
                runs[arm.name].scores.append(bench.score(arm, case))
                if place in timed and not arm.tuned:
                    runs[arm.name].cached_ms[place] = bench.score(arm, case, cached=True).latency_ms
                bar.update()
    return runs


def _check(cases: Sequence[Case], arms: Sequence[Arm], bench: Bench) -> None:
    if not cases:
        raise ExampleError("no case to score", where="cases", fix="give at least one")
    if any(arm.tuned or arm.shots for arm in arms):
        one_tool_set(cases)
    if any(arm.tuned for arm in arms) and bench.adapter is None:
        raise ExampleError("a tuned arm needs an adapter", where="arms", fix="tune one, or leave the tuned arms out")
    if any(arm.shots for arm in arms) and not bench.shots:
        raise ExampleError("a shots arm needs examples", where="arms", fix="give examples, or leave the shots arms out")


def _warm_up(case: Case, arms: Sequence[Arm], bench: Bench, *, cached: bool) -> None:
    """Answer once by each caller, unscored: the first call builds the grammar and the cached prefix."""
    for arm in arms:
        bench.score(arm, case)
        if cached and not arm.tuned:
            bench.score(arm, case, cached=True)


def _rotated(arms: Sequence[Arm], place: int) -> Iterator[Arm]:
    """Yield the arms beginning with another one at each place, so that none always follows the same one."""
    start = place % len(arms)
    yield from arms[start:]
    yield from arms[:start]

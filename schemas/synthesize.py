"""Training pairs for a tool set, made offline from the schemas and the user's own examples.

A pair starts from a call: a tool, a choice of its arguments, valid values; then a request is worded that
says them. Some requests leave out what is required (`ask`), some want what no tool here does (`no_tool`),
some want several calls. Examples are kept, and multiplied by swapping the values that can be traced in
them. Every pair passes the checks of `schematune.schemas.checks`; what fails is counted by reason.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from schematune.schemas.call import RESERVED, Call
from schematune.schemas.jsontext import JSON
from schematune.schemas.lexicon import SMALL_TALK
from schematune.schemas.normal import resolve
from schematune.schemas.pair import Pair, Pairs
from schematune.schemas.teacher import Teacher
from schematune.schemas.tool import Tool, ToolSet
from schematune.schemas.values import Sampler
from schematune.schemas.wording import Piece, Worder, join_pieces, typo

if TYPE_CHECKING:
    from schematune.schemas.privacy import Scrubber

__all__ = ["Synthesizer", "synthesize"]

KINDS = {"call": 0.72, "parallel": 0.09, "ask": 0.09, "no_tool": 0.10}
"""Shares of the kinds of pairs; what a tool set cannot have (no required argument, one tool) goes to calls."""

VARIANTS = 0.5
"""Share of the made pairs that are the user's examples with other values, where there are examples."""


class Synthesizer:
    """Makes pairs for one tool set, one after the other, from one random state.

    `others` are tools that the set does not have: requests for them are worded for `no_tool`. `context`
    is the share of pairs that know the date. Iterating never ends.

    >>> tools = ToolSet({"name": "add", "parameters": {"properties": {"n": {"type": "integer"}}, "required": ["n"]}})
    >>> pair = next(iter(Synthesizer(tools, random.Random(1))))
    >>> pair.calls[0].name in ("add", "ask", "no_tool")
    True
    """

    def __init__(
        self, tools: ToolSet, rng: random.Random, *, others: Sequence[Tool] = (), context: float | None = None
    ) -> None:
        """See the class; without `context`, tool sets with dates get 0.75 and others 0.1."""
        self.tools, self.rng = tools, rng
        names = set(tools.names)
        self.others = [tool for tool in others if tool.name not in names]
        self.askable = [tool for tool in tools if tool.required]
        dated = any('"date' in str(tool.parameters).replace("'", '"') for tool in tools)
        self._samplers: dict[int, tuple[Tool, Sampler]] = {}
        self.context = context if context is not None else 0.75 if dated else 0.1

    def __iter__(self) -> Iterator[Pair]:
        """Yield pairs for ever."""
        while True:
            yield self.pair()

    def moment(self) -> datetime | None:
        """Draw a time to stand in the context, or None for a request without one."""
        if self.rng.random() >= self.context:
            return None
        return datetime(2024, 1, 1, 8) + timedelta(days=self.rng.randrange(1600), minutes=15 * self.rng.randrange(48))

    def pair(self, kind: str | None = None) -> Pair:
        """Make one pair of a kind (`"call"`, `"parallel"`, `"ask"`, `"no_tool"`), drawn by share where None."""
        return self.pair_at(self.moment(), kind)

    def pair_at(self, moment: datetime | None, kind: str | None = None) -> Pair:
        """Make one pair whose context is `moment`."""
        rng = self.rng
        kind = kind or rng.choices(list(KINDS), list(KINDS.values()))[0]
        known, now = moment is not None, moment or datetime(2026, 1, 1) + timedelta(days=rng.randrange(700))
        worder = Worder(rng, today=now.date() if known else None, lower=rng.random() < 0.4, terse=rng.random() < 0.2)
        if kind == "ask" and self.askable:
            calls, pieces, shape = self._ask(worder, now.date())
        elif kind == "no_tool":
            calls, pieces, shape = self._refusal(worder, now.date())
        else:
            many = rng.choice((2, 2, 2, 3)) if kind == "parallel" and self.tools.parallel else 1
            calls, pieces, shape = self._calls(worder, now.date(), many)
        pieces = self._slipped(pieces, lower=worder.lower)
        text, evidence = join_pieces(pieces)
        if calls[0].name in RESERVED:  # what is said there is no argument of a call
            evidence = ()
        context = {"now": now.isoformat(timespec="minutes") + "+00:00"} if known else {}
        return Pair.of(text, calls, context=context, source="synthetic", template=shape, evidence=evidence)

    def arguments(self, tool: Tool, today: date, *, share: float | None = None) -> dict[str, JSON]:
        """Draw arguments for one call: the required ones and a share of the others, dates in order."""
        if id(tool) not in self._samplers:
            self._samplers[id(tool)] = tool, Sampler(self.rng, root=tool.parameters)
        sampler = self._samplers[id(tool)][1].on(today)
        share = self.rng.choice((0.1, 0.3, 0.5, 0.9)) if share is None else share
        chosen = [name for name in tool.properties if name in tool.required or self.rng.random() < share]
        values = {name: sampler.value(tool.properties[name], name) for name in chosen}
        dates = [n for n in chosen if resolve(tool.properties[n], tool.parameters).get("format") == "date"]
        values.update(zip(dates, sorted(values[name] for name in dates), strict=True))
        return values

    def _one(self, worder: Worder, tool: Tool, today: date, place: int) -> tuple[Call, list[Piece], str]:
        drawn = self.arguments(tool, today)
        values = {name: worder.fit(tool.properties[name], drawn[name], tool.parameters) for name in drawn}
        pieces, shape = worder.request(tool, values, place)
        return Call(tool.name, values), pieces, shape

    def _calls(self, worder: Worder, today: date, many: int) -> tuple[list[Call], list[Piece], str]:
        calls, pieces, shapes = [], [], []
        joint = self.rng.choice((" and", ", then", ". also", ", and", " and then", ". then", "; ", ", plus", " + "))
        for place in range(many):
            call, part, shape = self._one(worder, self.rng.choice(list(self.tools)), today, place)
            pieces += [Piece(joint.strip())] * bool(place) + part
            calls.append(call)
            shapes.append(shape)
        return calls, pieces, "+".join(shapes)

    def _ask(self, worder: Worder, today: date) -> tuple[list[Call], list[Piece], str]:
        tool = self.rng.choice(self.askable)
        many = min(len(tool.required), self.rng.choice((1, 1, 1, 2, 2, 9)))
        left_out = set(self.rng.sample(tool.required, many))
        drawn = self.arguments(tool, today, share=self.rng.choice((0.0, 0.2)))
        kept = {n: worder.fit(tool.properties[n], v, tool.parameters) for n, v in drawn.items() if n not in left_out}
        pieces, shape = worder.request(tool, kept)
        return [Call.ask(tool.name, [n for n in tool.required if n in left_out])], pieces, f"ask:{shape}"

    def _refusal(self, worder: Worder, today: date) -> tuple[list[Call], list[Piece], str]:
        if not self.others or self.rng.random() < 0.2:
            return [Call.no_tool()], [Piece(self.rng.choice(SMALL_TALK))], "smalltalk"
        _, pieces, shape = self._one(worder, self.rng.choice(self.others), today, 0)
        return [Call.no_tool()], pieces, f"other:{shape}"

    def _slipped(self, pieces: list[Piece], *, lower: bool) -> list[Piece]:
        """Lower the case and let a few keys slip, in the words around the values only."""
        sloppy = 0.12 if self.rng.random() < 0.25 else 0.0
        return [
            piece
            if piece.paths
            else replace(
                piece,
                text=typo(piece.text, self.rng) if self.rng.random() < sloppy else piece.text,
            )
            for piece in (replace(p, text=p.text.lower()) if lower and not p.paths else p for p in pieces)
        ]


def synthesize(
    tools: ToolSet,
    n: int,
    *,
    examples: str | Path | Pairs | Iterable[Pair] | None = None,
    seed: int = 0,
    avoid: Iterable[Pair] = (),
    teacher: Teacher | None = None,
    scrub: "bool | Scrubber" = False,
    dev: float = 0.04,
    test: float = 0.04,
    workers: int = 1,
    progress: bool = False,
) -> Pairs:
    """Make `n` checked pairs for `tools`; the same arguments give the same pairs, whatever the number of `workers`.

    `examples` (a JSON Lines file in the case format, or pairs) are kept as they are, first, and make up
    about half of what follows with their values swapped. `avoid` are pairs (a test set) whose requests may
    not come out. A `teacher` puts the synthetic requests anew, where what it writes passes the checks. Shares `dev`
    and `test` of the synthetic pairs are set apart: splits share neither a family of wordings nor, where an argument
    has many values, a value (`schematune.schemas.splits`). `scrub` replaces personal data in the examples first
    (`schematune.schemas.privacy`). `workers` are processes. The result's `rejected` counts
    what the checks threw away, by reason. `progress` shows a bar. For more pairs than fit the memory there is
    `schematune.schemas.stream.PairStream`, which takes the same arguments.

    Raises `ExampleError` for examples that do not fit, `SchemaError` where a tool cannot be sampled.

    >>> tools = ToolSet({"name": "add", "parameters": {"properties": {"n": {"type": "integer"}}, "required": ["n"]}})
    >>> pairs = synthesize(tools, 20, seed=1)
    >>> len(pairs), all(not tools.violations(call) for pair in pairs for call in pair.calls)
    (20, True)
    """
    from schematune.schemas.stream import PairStream

    stream = PairStream(
        tools, n, examples=examples, seed=seed, avoid=avoid, teacher=teacher, scrub=scrub, dev=dev, test=test,
        workers=workers, progress=progress,
    )  # fmt: skip
    pairs = list(stream)
    return Pairs(pairs, rejected=stream.rejected, origin=stream.origin)

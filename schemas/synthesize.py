"""Training pairs for a tool set, made offline from the schemas and the user's own examples.

A pair starts from a call: a tool, a choice of its arguments, valid values; then a request is worded that
says them. Some requests leave out what is required (`ask`), some want what no tool here does (`no_tool`),
some want several calls. Examples are kept, and multiplied by swapping the values that can be traced in
them. Every pair passes the checks of `schematune.schemas.checks`; what fails is counted by reason.
"""

import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schematune.schemas.augment import marks
from schematune.schemas.call import RESERVED, Call
from schematune.schemas.described import form_of
from schematune.schemas.dialogue import Aside, Dialogue
from schematune.schemas.errors import SchemaError
from schematune.schemas.frames import plan
from schematune.schemas.jsontext import JSON
from schematune.schemas.kinds import Kinds
from schematune.schemas.lexicon import SMALL_TALK
from schematune.schemas.normal import resolve
from schematune.schemas.pair import Pair, Pairs
from schematune.schemas.pieces import Piece, join_pieces
from schematune.schemas.records import record, worded_as_record
from schematune.schemas.roles import ranges
from schematune.schemas.several import in_a_row
from schematune.schemas.teacher import Teacher
from schematune.schemas.tool import Tool, ToolSet
from schematune.schemas.turns import Turns, answered_turns, changeable, changed_turns
from schematune.schemas.values import Sampler
from schematune.schemas.wording import Worder, typo

if TYPE_CHECKING:
    from schematune.schemas.privacy import Scrubber

__all__ = ["Synthesizer", "synthesize"]

KINDS = {"call": 0.67, "parallel": 0.09, "ask": 0.09, "no_tool": 0.10, "turns": 0.05}
"""Shares of the kinds of pairs; what a tool set cannot have (no required argument, one tool) goes to calls."""

FEW = (1, 2, 2, 3, 3, 4, 6)
"""How many optional arguments a request has at most, on average, drawn anew for each."""

ROWS = 0.4
"""Share of the requests for several calls that are for one tool, with what tells the calls apart in a row."""

TALKS, ASIDES = 0.6, 0.4
"""Share of the conversations with an assistant that asks, offers and says back; and of these, that were of something else first."""

SLIPS = 0.04
"""Share of the calls in whose requests a value is said that is taken back at once."""

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
        self,
        tools: ToolSet,
        rng: random.Random,
        *,
        others: Sequence[Tool] = (),
        context: float | None = None,
        kinds: Mapping[str, float] = KINDS,
        offers: bool = False,
    ) -> None:
        """See the class; without `context`, tool sets with dates get 0.75 and others 0.1.

        `kinds` are the shares of the kinds of pairs; with `offers` the assistant of a conversation may say values that
        the user only agrees to.
        """
        self.tools, self.rng, self.kinds, self.offers = tools, rng, kinds, offers
        names = set(tools.names)
        self.others = [tool for tool in others if tool.name not in names]
        self.askable = [tool for tool in tools if tool.required]
        dated = any(re.search("['\"]date|yyyy-mm-dd", str(tool.parameters), re.IGNORECASE) for tool in tools)
        self._kinds = Kinds(tools)
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
        """Make one pair of a kind (`"call"`, `"parallel"`, `"ask"`, `"no_tool"`, `"turns"`), drawn by share where None."""
        return self.pair_at(self.moment(), kind)

    def pair_at(self, moment: datetime | None, kind: str | None = None) -> Pair:
        """Make one pair whose context is `moment`."""
        rng = self.rng
        kind = kind or rng.choices(list(self.kinds), list(self.kinds.values()))[0]
        known, now = moment is not None, moment or datetime(2026, 1, 1) + timedelta(days=rng.randrange(700))
        worder = Worder(rng, today=now.date() if known else None, lower=rng.random() < 0.4, terse=rng.random() < 0.2)
        if kind == "turns" and (turned := self._turned(worder, now.date())):
            return turned.pair(context=_context(moment))
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
        return Pair.of(text, calls, context=_context(moment), source="synthetic", template=shape, evidence=evidence)

    def arguments(self, tool: Tool, today: date, *, share: float | None = None) -> dict[str, JSON]:
        """Draw arguments for one call: the required ones and a share of the others, dates in order."""
        sampler = self._sampler(tool, today)
        optional = [name for name in tool.properties if name not in tool.required and name not in tool.impossible]
        if share is None:  # of a long list people use a few
            share = min(self.rng.choice((0.1, 0.3, 0.5, 0.9)), self.rng.choice(FEW) / max(len(optional), 1))
        likely = plan(tool).likely if share else {}
        chosen = [
            name
            for name in tool.properties
            if name in tool.required
            or (self.rng.random() < max(share, likely.get(name, 0.0)) and name not in tool.impossible)
        ]
        try:
            values = {name: sampler.value(tool.properties[name], name) for name in chosen}
            if not tool.is_plain and not tool.validator.is_valid(values):  # what is said of the arguments together
                values = dict(sampler.value(tool.strict))
        except SchemaError as error:
            raise SchemaError(error.what, where=f"{tool.name}.{error.where}".rstrip("."), fix=error.fix) from error
        for low, high in ranges(tuple(values)):
            swapped = {**values, low: values[high], high: values[low]}
            if _is_above(values[low], values[high]) and tool.validator.is_valid(swapped):
                values = swapped
        values = self.filled(tool, values)
        dates = [n for n in values if form_of(resolve(tool.properties.get(n, {}), tool.parameters)) == "date"]
        values.update(zip(dates, sorted(values[name] for name in dates), strict=True))
        return values

    def filled(self, tool: Tool, values: Mapping[str, JSON]) -> dict[str, JSON]:
        """Return drawn values, some of them replaced by what is known to be said there."""
        return self._kinds.fill(tool, values, self.rng)

    def _sampler(self, tool: Tool, today: date) -> Sampler:
        if id(tool) not in self._samplers:
            self._samplers[id(tool)] = tool, Sampler(self.rng, root=tool.parameters)
        return self._samplers[id(tool)][1].on(today)

    def _one(self, worder: Worder, tool: Tool, today: date, place: int) -> tuple[Call, list[Piece], str]:
        drawn = self.arguments(tool, today)
        values = {name: worder.fit(tool.properties.get(name, {}), drawn[name], tool.parameters) for name in drawn}
        if self.rng.random() < SLIPS and (other := self._other_value(worder, tool, values, today)):
            worder.slips[f"{place}.{other[0]}"] = other[1]
        pieces, shape = self._worded(worder, tool, values, place)
        return Call(tool.name, values), pieces, shape

    def _worded(self, worder: Worder, tool: Tool, values: Mapping[str, JSON], place: int) -> tuple[list[Piece], str]:
        if worded_as_record(self.rng, tool):
            return record(worder, tool, values, place)
        return worder.request(tool, values, place)

    def _calls(self, worder: Worder, today: date, many: int) -> tuple[list[Call], list[Piece], str]:
        if many > 1 and self.rng.random() < ROWS and (row := self._row(worder, today, many)):
            return row
        calls: list[Call] = []
        pieces: list[Piece] = []
        shapes: list[str] = []
        joint = self.rng.choice((" and", ", then", ". also", ", and", " and then", ". then", "; ", ", plus", " + "))
        for _ in range(many):
            call, part, shape = self._one(worder, self.rng.choice(list(self.tools)), today, len(calls))
            if call in calls:  # nobody asks for the same twice
                continue
            if calls:
                ended = next((piece.text for piece in reversed(pieces) if piece.text), "")[-1:] in tuple(".?!,;:")
                pieces.append(Piece(joint.strip(" .,;") if ended else joint.strip()))
            pieces += part
            calls.append(call)
            shapes.append(shape)
        return calls, pieces, "+".join(shapes)

    def _row(self, worder: Worder, today: date, many: int) -> tuple[list[Call], list[Piece], str] | None:
        """Word several calls of one tool that differ in an argument or two; None where that cannot be."""
        tool = self.rng.choice(list(self.tools))
        drawn = self.arguments(tool, today)
        values = {name: worder.fit(tool.properties.get(name, {}), drawn[name], tool.parameters) for name in drawn}
        names = [name for name in changeable(tool, values) if not isinstance(values[name], str) or values[name]]
        rows = dict[str, list[JSON]]()
        for name in self.rng.sample(names, min(len(names), self.rng.choice((1, 1, 1, 2)))):
            row = [values[name], *(self._another(worder, tool, name, today) for _ in range(many - 1))]
            if len(set(map(str, row))) == many:
                rows[name] = row
        made = in_a_row(self.rng, worder, tool, values, rows) if rows else None
        fits = made is not None and (tool.is_plain or all(tool.validator.is_valid(dict(c.arguments)) for c in made[0]))
        return made if fits else None

    def _another(self, worder: Worder, tool: Tool, name: str, today: date) -> JSON:
        value = self._sampler(tool, today).value(tool.properties[name], name)
        return worder.fit(tool.properties[name], value, tool.parameters)

    def _other_value(
        self, worder: Worder, tool: Tool, values: Mapping[str, JSON], today: date
    ) -> tuple[str, JSON] | None:
        """Draw another value for one of the arguments; None where none can change on its own."""
        names = changeable(tool, values)
        if not names:
            return None
        name = self.rng.choice(names)
        value = self._another(worder, tool, name, today)
        fits = tool.is_plain or tool.validator.is_valid({**values, name: value})
        return (name, value) if fits and value != values[name] else None

    def _turned(self, worder: Worder, today: date) -> Turns | None:
        """Make a conversation: what was left out is said when asked for, or a value is said anew after the call."""
        rng = self.rng
        talks = rng.random() < TALKS
        tool = rng.choice(list(self.tools) if talks else self.askable or list(self.tools))
        drawn = self.arguments(tool, today)
        values = {name: worder.fit(tool.properties.get(name, {}), drawn[name], tool.parameters) for name in drawn}
        if talks:
            other = self._other_value(worder, tool, values, today) if rng.random() < 0.2 else None
            aside = self._aside(worder, today) if rng.random() < ASIDES else None
            return Dialogue(rng, worder, self.offers).about(tool, values, aside=aside, change=other)
        if tool.required and rng.random() < 0.5:
            missing = rng.sample(tool.required, min(len(tool.required), rng.choice((1, 1, 2))))
            return answered_turns(rng, worder, tool, values, missing)
        other = self._other_value(worder, tool, values, today)
        return changed_turns(rng, worder, tool, values, *other) if other else None

    def _aside(self, worder: Worder, today: date) -> Aside:
        """Draw a request that was talked of before."""
        tool = self.rng.choice(self.others or list(self.tools))
        drawn = self.arguments(tool, today)
        return Aside(
            tool, {n: worder.fit(tool.properties.get(n, {}), value, tool.parameters) for n, value in drawn.items()}
        )

    def _ask(self, worder: Worder, today: date) -> tuple[list[Call], list[Piece], str]:
        tool = self.rng.choice(self.askable)
        many = min(len(tool.required), self.rng.choice((1, 1, 1, 2, 2, 9)))
        left_out = set(self.rng.sample(tool.required, many))
        drawn = self.arguments(tool, today, share=self.rng.choice((0.0, 0.2)))
        kept = {
            n: worder.fit(tool.properties.get(n, {}), v, tool.parameters) for n, v in drawn.items() if n not in left_out
        }
        pieces, shape = self._worded(worder, tool, kept, 0)
        return [Call.ask(tool.name, [n for n in tool.required if n in left_out])], pieces, f"ask:{shape}"

    def _refusal(self, worder: Worder, today: date) -> tuple[list[Call], list[Piece], str]:
        if not self.others or self.rng.random() < 0.2:
            return [Call.no_tool()], [Piece(self.rng.choice(SMALL_TALK))], "smalltalk"
        for _ in range(5):
            other = self.rng.choice(self.others)
            _, pieces, shape = self._one(worder, other, today, 0)
            words = " ".join(piece.text for piece in pieces if not piece.paths).lower()
            if any(re.search(rf"\b{re.escape(mark)}\b", words) for mark in marks(other, self.tools)):
                return [Call.no_tool()], pieces, f"other:{shape}"
        return [Call.no_tool()], [Piece(self.rng.choice(SMALL_TALK))], "smalltalk"

    def _slipped(self, pieces: list[Piece], *, lower: bool) -> list[Piece]:
        """Lower the case and let a few keys slip, in the words around the values only."""
        sloppy = 0.12 if self.rng.random() < 0.25 else 0.0
        if not lower and not sloppy:
            return pieces

        def changed(piece: Piece) -> Piece:
            if piece.paths:
                return piece
            text = piece.text.lower() if lower else piece.text
            text = typo(text, self.rng) if sloppy and self.rng.random() < sloppy else text
            return piece if text == piece.text else replace(piece, text=text)

        return [changed(piece) for piece in pieces]


def _is_above(one: JSON, two: JSON) -> bool:
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (one, two))
    return numbers and bool(one > two)


def _context(moment: datetime | None) -> dict[str, str]:
    return {"now": moment.isoformat(timespec="minutes") + "+00:00"} if moment else {}


def synthesize(
    tools: Any,
    n: int,
    *,
    examples: str | Path | Pairs | Iterable[Pair] | None = None,
    seed: int = 0,
    avoid: Iterable[Pair] = (),
    teacher: Teacher | None = None,
    scrub: "bool | Scrubber" = False,
    locale: str | Sequence[str] = (),
    dev: float = 0.04,
    test: float = 0.04,
    workers: int = 1,
    progress: bool = False,
) -> Pairs:
    """Make `n` checked pairs for `tools` (a `ToolSet`, or what makes one); the same arguments give the same pairs, whatever the number of `workers`.

    `examples` (a JSON Lines file in the case format, or pairs) are kept as they are, first, and make up
    about half of what follows with their values swapped. `avoid` are pairs (a test set) whose requests may
    not come out. A `teacher` puts the synthetic requests anew, where what it writes passes the checks. Shares `dev`
    and `test` of the synthetic pairs are set apart: splits share neither a family of wordings nor, where an argument
    has many values, a value (`schematune.schemas.splits`). `scrub` replaces personal data in the examples first
    (`schematune.schemas.privacy`). People, towns, companies, streets, addresses and phones are those of the `locale` (or several,
    as faker names them: `"de_DE"`), of a mix of locales by default. `workers` are processes. The result's `rejected` counts
    what the checks threw away, by reason. `progress` shows a bar. For more pairs than fit the memory there is
    `schematune.schemas.stream.PairStream`, which takes the same arguments.

    Raises `ExampleError` for examples that do not fit, `SchemaError` where a tool cannot be sampled, or for a locale that is not known.

    >>> tools = ToolSet({"name": "add", "parameters": {"properties": {"n": {"type": "integer"}}, "required": ["n"]}})
    >>> pairs = synthesize(tools, 20, seed=1)
    >>> len(pairs), all(not tools.violations(call) for pair in pairs for call in pair.calls)
    (20, True)
    """
    from schematune.schemas.stream import PairStream

    stream = PairStream(
        tools, n, examples=examples, seed=seed, avoid=avoid, teacher=teacher, scrub=scrub, locale=locale, dev=dev, test=test,
        workers=workers, progress=progress,
    )  # fmt: skip
    pairs = list(stream)
    return Pairs(pairs, rejected=stream.rejected, origin=stream.origin)

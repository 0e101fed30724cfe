"""What a request's words alone say of a call of any tool: `Reader`, which an untuned base is shipped with.

A linear-chain conditional random field over the words, as an adapter's tagger is (`schematune.decoding.tagger`), but with one set of
weights for the arguments of all tools, of what can be seen of both (`schematune.decoding.slots`); and a linear model that
chooses among tools (`schematune.decoding.choosing`). Fit by `schematune.trainer.reader` to the pairs that the base was trained on.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from schematune.decoding.choosing import several_seen, tools_seen
from schematune.decoding.prior import Answers, deflated, inflated, yes_or_no
from schematune.decoding.slots import SEEN, Array, slots_of, words_seen
from schematune.decoding.tagger import MOST_WORDS, Reading, moves_of
from schematune.schemas.call import NO_TOOL
from schematune.schemas.errors import ModelError
from schematune.schemas.jsontext import JSON
from schematune.schemas.spans import can_copy, units
from schematune.schemas.tool import Tool, ToolSet

__all__ = ["COLUMNS", "MOVES", "READER", "SEVERAL", "AnyTool", "Reader", "move_kinds"]

READER = "reader.safetensors"
"""The file of a base's reader, in its folder."""

COLUMNS = 4
"""What a bucket weighs for: see `Reader`."""

MOVES = 8
"""Kinds of moves from one word's state to the next one's."""

NOT_MEANT = 0.25
"""Share of the requests a reader is fit to that are beside tools of another matter."""

MOST_SLOTS = 24
"""Arguments of the largest tool whose requests are read."""


def move_kinds(states: int) -> Array:
    """Return the kind of each move, int64 of shape (1 + states, states), the last row the first word's; -1 where there is none.

    >>> move_kinds(3).tolist()
    [[0, 1, -1], [4, 5, 2], [4, 5, 3], [6, 7, -1]]
    """
    kinds = np.full((states + 1, states), -1, dtype=np.int64)
    kinds[1:-1, 0], kinds[1:-1, 1::2] = 4, 5
    kinds[0, 0], kinds[0, 1::2], kinds[-1, 0], kinds[-1, 1::2] = 0, 1, 6, 7
    for state in range(2, states, 2):
        kinds[state - 1, state], kinds[state, state] = 2, 3
    return kinds


@dataclass(frozen=True)
class Reader:
    """A linear model of requests beside tools.

    `table` holds the weights, int8 of shape (buckets, 4): of a word that begins an argument's value (or is of none), of one that
    goes on with it, of a request for a tool, and of one that wants several calls; `scale`, float32 of shape (4), multiplies them. `moves`, float32 of shape (8),
    weigh the kinds of moves.
    """

    table: Array
    scale: Array
    moves: Array

    def read(self, tool: Tool, request: str) -> Reading | None:
        """Read a request as one of a tool; None where the tool has no argument, or too many, or the request too many words."""
        found = units(request)
        if not (0 < len(found) <= MOST_WORDS and 0 < len(tool.properties) <= MOST_SLOTS):
            return None
        slots = slots_of(tool)
        outside, inside = words_seen(request, found, tool, slots)
        bags = [ids for nothing, some in zip(outside, inside, strict=True) for ids in (nothing, *some)]
        starts = np.cumsum([0, *(len(ids) for ids in bags[:-1])])
        sums = np.add.reduceat(self.table[np.concatenate(bags), :2].astype(np.int32), starts) * self.scale[:2]
        sums = sums.reshape(len(found), 1 + len(slots), 2)
        logits = np.concatenate([sums[:, 0, :1], sums[:, 1:].reshape(len(found), -1)], axis=1)
        kinds = move_kinds(logits.shape[1])
        moves = moves_of(np.where(kinds >= 0, self.moves[kinds], 0.0))
        factors = np.exp(logits - logits.max(axis=1, keepdims=True))
        return Reading(request, found, [slot.name for slot in slots], factors, moves)

    def chosen(self, request: str, tools: ToolSet) -> dict[str, float]:
        """Return the log-probability of each tool to be the one that is wanted, and under `no_tool` that none is."""
        logits = np.array([
            0.0, *(self.table[ids, 2].sum(dtype=np.int64) * self.scale[2] for ids in tools_seen(request, list(tools)))
        ])  # fmt: skip
        return dict(zip((NO_TOOL, *tools.names), (logits - np.logaddexp.reduce(logits)).tolist(), strict=True))

    def several(self, request: str, tool: Tool) -> float:
        """Return how probable it is that a request wants several calls, where `tool` is the likeliest."""
        ids = several_seen(request, tool)
        return float(1 / (1 + np.exp(-self.table[ids, 3].sum(dtype=np.int64) * self.scale[3])))

    def save(self, folder: Path) -> None:
        """Write the reader into a base's folder; raises `OSError`."""
        from safetensors.numpy import save_file

        save_file({"table": deflated(self.table), "scale": self.scale, "moves": self.moves}, folder / READER)

    @classmethod
    def load(cls, folder: Path) -> "Reader | None":
        """Read the reader of a base's folder; None where it has none. Raises `ModelError` for a broken one."""
        from safetensors import SafetensorError, safe_open

        if not (folder / READER).exists():
            return None
        try:
            with safe_open(folder / READER, framework="numpy") as file:
                packed, scale, moves = (file.get_tensor(name) for name in ("table", "scale", "moves"))
            if scale.shape != (COLUMNS,) or moves.shape != (MOVES,):
                raise ValueError("tables of the wrong shape")
            return cls(inflated(packed, (SEEN, COLUMNS)), scale, moves)
        except (OSError, ValueError, SafetensorError) as error:
            raise ModelError(
                f"the reader cannot be read: {error}", where=str(folder / READER), fix="copy the whole folder again"
            ) from error


@dataclass(frozen=True)
class AnyTool:
    """A reader beside the tools that may be called: leans a base's decoding as an adapter's prior does its own."""

    reader: Reader
    tools: ToolSet
    trust: ClassVar[float] = 3.0
    doubt: ClassVar[float] = 2.0
    """How much surer than it is the reader must be that no tool is meant: people word what they want otherwise than the pairs it is fit to."""

    alone: ClassVar[float] = 2.0
    """How much surer than it is the reader must be that several calls are wanted: two numbers joined by "and" may be one call's."""

    sure: ClassVar[float] = 3.0
    """How much the reader's choice among tools counts: a small base is sure of the wrong one."""

    needs: ClassVar[float] = 2.0
    """What it counts for a tool that its required arguments are said."""

    def about(self, request: str) -> "_Said":
        """Return what a request says."""
        return _Said(self.reader, self.tools, request)


_READ = 5
"""Likeliest tools whose arguments are looked for to choose among them."""

_UNSAID = 0.1
"""The probability that a required argument is said has at least."""

_LEAST_SEVERAL = 0.002
"""The probability that a request wants several calls has at least."""

_LEAST = 0.02
"""The probability that something is missing has at least."""

SEVERAL = 0.12
"""Share of the requests a reader is fit to that want several calls."""

_ASKED = 0.13
"""Share of the mix's requests for a tool that leave out what it must be told."""


def _is_said(schema: JSON) -> bool:
    """Tell whether a value of a schema is words or a number of the request: the reader sees others at times only."""
    return can_copy(schema) or (isinstance(schema, Mapping) and schema.get("type") in ("integer", "number"))


@dataclass(frozen=True)
class _Said:
    """What a request says to a reader."""

    reader: Reader
    tools: ToolSet
    request: str
    read: dict[str, Reading | None] = field(default_factory=dict)
    required: dict[str, Mapping[str, float]] = field(default_factory=dict)

    def answers(self, kind: str, tool: str = "", argument: str = "") -> Answers:
        if kind == "missing":
            return self._missing(tool)
        if kind == "several":
            return self._several()
        if kind != "tool":
            return {}
        logs = dict(self._logs)
        none = logs.pop(NO_TOOL) - AnyTool.doubt
        some = _log_sum(logs)
        if len(logs) > 1:
            for name in self._likeliest:
                logs[name] += AnyTool.needs * sum(math.log(max(one, _UNSAID)) for one in self._required(name).values())
        among, total = _log_sum(logs), float(np.logaddexp(some, none))
        rate = math.log((1 - NOT_MEANT) / len(logs))
        logs = {name: AnyTool.sure * (log - among) for name, log in logs.items()}
        share = some - _log_sum(logs)
        found = {name: (log + share - total, rate) for name, log in logs.items()}
        return {**found, NO_TOOL: (none - total, math.log(NOT_MEANT))}

    @cached_property
    def _logs(self) -> Mapping[str, float]:
        return self.reader.chosen(self.request, self.tools)

    @cached_property
    def _likeliest(self) -> Sequence[str]:
        """The tools whose arguments are looked for: a large set has too many for each of them."""
        return sorted(self.tools.names, key=lambda name: -self._logs[name])[:_READ]

    def _required(self, tool: str) -> Mapping[str, float]:
        """Return how probable it is of each required argument of a tool that it is said; none where that cannot be seen."""
        if tool not in self.required:
            reading = self.reading(tool)
            names = self.tools[tool].required
            self.required[tool] = {n: 1 - reading.absent([n])[0] for n in names} if reading is not None else {}
        return self.required[tool]

    def _missing(self, tool: str) -> Answers:
        """Return how probable it is that a request leaves out what a tool must be told, and that it does not.

        Never more probable than usual: people say things in ways that the pairs do not, and what is not seen may be said.
        Nothing of a tool that is not among the likeliest.
        """
        schemas = self.tools[tool].properties
        known = self._required(tool) if tool in self._likeliest else {}
        shares = [share for name, share in known.items() if name in schemas and _is_said(schemas[name])]
        if not shares:
            return {}
        said = min(max(math.prod(shares), 1 - _ASKED), 1 - _LEAST)
        return yes_or_no(1 - said, said, _ASKED)

    def _several(self) -> Answers:
        """Return how probable it is that a request wants several calls, and that it wants one."""
        if not self.tools.names:
            return {}
        share = self.reader.several(self.request, self.tools[self._likeliest[0]])
        share = share / (share + math.exp(AnyTool.alone) * (1 - share))
        share = min(max(share, _LEAST_SEVERAL), 1 - _LEAST_SEVERAL)
        return yes_or_no(share, 1 - share, SEVERAL)

    def reading(self, tool: str) -> Reading | None:
        if tool not in self.read:
            self.read[tool] = self.reader.read(self.tools[tool], self.request)
        return self.read[tool]


def _log_sum(logs: Mapping[str, float]) -> float:
    return float(np.logaddexp.reduce(list(logs.values())))

"""An adapter's prior and the reader of its base, side by side: a request is read by both.

The prior was fit to the pairs of one tool set (`schematune.decoding.prior`), the reader to requests for all sorts of tools
(`schematune.decoding.reader`): the one knows the words of its pairs, the other what an argument's name and description say. What
they say is multiplied, each to a power (a logarithmic opinion pool, Genest and Zidek 1986, "Combining probability distributions: a
critique"). `Shares` are the powers, chosen when an adapter is tuned (`schematune.trainer.joining`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from schematune.decoding.prior import Answers, Prior, Said, Shares, ToolPrior, yes_or_no
from schematune.decoding.reader import AnyTool, Reader
from schematune.decoding.tagger import Reading
from schematune.schemas.call import NO_TOOL
from schematune.schemas.tool import ToolSet

__all__ = ["Joined", "advised", "chosen", "chosen_jointly", "joined", "unsaid"]

UNTAGGED = 0.6
"""What the reader counts where the tagger knows nothing of an argument: numbers, dates, and what its pairs never say."""

_MOST, _UNLIKELY = 5, 5.0
"""Of how many tools it is looked for what they are not told, and how much less likely than the likeliest one they are at most (nats)."""

_LACKING = 0.95
"""The probability that something is missing has at most: the right tool may be another."""

_LEAST = 1e-30
_SURE = 1e-6
"""Nothing is surer than this."""


def joined(tagged: Reading | None, read: Reading, share: float) -> Reading:
    """Return a tagger's reading to the power of 1 - `share` times a reader's of the same words to that of `share`.

    It is of all arguments that the reader knows: where the tagger knows nothing of one, nothing of the tagger's speaks for or
    against it, and what the reader says of its words counts to the power of `UNTAGGED`; so does all where there is no tagger.
    """
    if tagged is None:
        return Reading(read.request, read.words, read.names, read.factors**UNTAGGED, read.moves**UNTAGGED)
    own = _places_of(read, tagged)
    known = np.array([place > 0 or state == 0 for state, place in enumerate(own)])
    powers = np.where(known, share, UNTAGGED)
    outside = np.maximum(read.factors[:, :1], _LEAST)
    factors = tagged.factors[:, own] ** (1 - share) * outside**share
    factors = factors * np.maximum(read.factors / outside, _LEAST) ** powers
    rows = [*own, len(tagged.moves) - 1]
    moves = tagged.moves[rows][:, own] ** (1 - share) * read.moves**share
    moves = np.where(read.moves > 0, moves, 0.0)
    return Reading(read.request, read.words, read.names, factors / factors.max(axis=1, keepdims=True), moves)


def _places_of(read: Reading, tagged: Reading) -> list[int]:
    """Return for each state of a reader's reading the tagger's; that of no argument for an argument it does not know."""
    places = {name: 1 + 2 * number for number, name in enumerate(tagged.names)}
    return [0, *(places[n] + part if n in places else 0 for n in read.names for part in (0, 1))]


def unsaid(reading: Reading, required: Sequence[str]) -> float | None:
    """Return the log-odds that the argument is not said which is likeliest not to be, of a tool's required ones; None where none is known."""
    shares = [reading.absent([name])[0] for name in required if name in reading.names]
    if not shares:
        return None
    most = min(max(*shares, _SURE), 1 - _SURE)
    return math.log(most / (1 - most))


def chosen(reader: Reader, heard: str, tools: ToolSet) -> dict[str, float]:
    """Return what a reader says of each tool and of `no_tool`, which it must be surer of than it is."""
    logs = reader.chosen(heard, tools)
    return {**logs, NO_TOOL: logs[NO_TOOL] - AnyTool.doubt}


def chosen_jointly(own: Answers, read: dict[str, float], share: float) -> Answers:
    """Return what a prior says of tools, leant by the logarithms of a reader's choice among them to the power of `share`.

    >>> chosen_jointly({"a": (-1.0, -0.7), "b": (-1.0, -0.7)}, {"a": -0.1, "b": -2.4}, 0.0)["a"]
    (-1.0, -0.7)
    """
    both = [name for name in own if name in read]
    if not both or not share:
        return own
    logs = np.array([own[name][0] for name in both])
    leant = logs + share * np.array([read[name] for name in both])
    leant += np.logaddexp.reduce(logs) - np.logaddexp.reduce(leant)
    return {**own, **{name: (float(log), own[name][1]) for name, log in zip(both, leant, strict=True)}}


@dataclass(frozen=True)
class Joined:
    """The prior of an adapter beside the reader of its base, for the tools that may be called.

    `heard` is the request with the other side's last lines, by which the reader chooses among tools.
    """

    prior: Prior
    reader: Reader
    tools: ToolSet
    shares: Shares
    heard: str = ""

    @property
    def trust(self) -> float:
        """As much as the prior's."""
        return self.prior.trust

    def about(self, request: str) -> Said:
        """Return what a request says to both."""
        return _Said(self, request, self.prior.about(request))


@dataclass(frozen=True)
class _Said:
    """What a request says to a prior and a reader."""

    both: Joined
    request: str
    own: Said
    read: dict[str, Reading | None] = field(default_factory=dict)

    def answers(self, kind: str, tool: str = "", argument: str = "") -> Answers:
        if kind == "missing":
            return self._missing(tool)
        return self._tools if kind == "tool" else self.own.answers(kind, tool, argument)

    def _missing(self, tool: str) -> Answers:
        """Return how probable it is that a tool is not told what it must be.

        Never more probable than usual: of a tool that is not meant nothing is said, and to ask for it is no better for that.
        Nothing of a tool that is not among the likeliest: a large set has too many to read a request as one of each.
        """
        lacking, required = self.both.shares.lacking, self.both.tools[tool].required
        reading = self.reading(tool) if lacking is not None and required and tool in self._likeliest else None
        odds = unsaid(reading, required) if reading is not None else None
        if lacking is None or odds is None:
            return {}
        share = min(lacking.probability(odds), _LACKING)
        return yes_or_no(min(share, lacking.usual), 1 - share, lacking.usual)

    @cached_property
    def _tools(self) -> Answers:
        own, share = self.own.answers("tool"), self.both.shares.tools
        if not own or not share:
            return own
        return chosen_jointly(own, chosen(self.both.reader, self.both.heard or self.request, self.both.tools), share)

    @cached_property
    def _likeliest(self) -> Sequence[str]:
        """The tools that may be called of which it is looked for what they are not told."""
        logs = {name: log for name, (log, _) in self._tools.items() if name in self.both.tools}
        least = max(logs.values(), default=0.0) - _UNLIKELY
        return sorted((name for name in logs if logs[name] >= least), key=lambda name: -logs[name])[:_MOST]

    def reading(self, tool: str) -> Reading | None:
        if tool not in self.read:
            own = self.own.reading(tool)
            read = self.both.reader.read(self.both.tools[tool], self.request)
            self.read[tool] = own if read is None else joined(own, read, self.both.shares.words)
        return self.read[tool]


def advised(prior: ToolPrior | None, reader: Reader | None, tools: ToolSet, heard: str, *, tuned: bool) -> Prior | None:
    """Return what leans decoding, None for nothing: an adapter's prior, beside the reader where it gives it a share; untuned, the reader."""
    if not tuned:
        return AnyTool(reader, tools) if reader is not None else None
    if prior is None or prior.shares is None or reader is None:
        return prior
    return Joined(prior, reader, tools, prior.shares, heard)

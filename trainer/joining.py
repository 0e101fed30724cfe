"""How much a base's reader counts beside an adapter's prior, found on pairs that the prior was not fit to.

The shares (`schematune.decoding.joined`) are those that make the user's own requests likeliest, of families of wordings kept aside;
with too few of these they are what was best, on average, for tool sets that are described, and for those that are not. When a
request leaves out what its tool must be told is learnt from all pairs kept aside.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from schematune.decoding.joined import chosen, chosen_jointly, joined, unsaid
from schematune.decoding.prior import Array, Lacking, Shares
from schematune.decoding.reader import Reader
from schematune.decoding.tagger import Reading, Tagger
from schematune.schemas.call import ASK
from schematune.schemas.pair import Pair, heard_in
from schematune.schemas.tool import ToolSet
from schematune.trainer.weighing import is_own, shares

__all__ = ["Judge", "logistic"]

_DESCRIBED, _BARE = Shares(0.3, 0.4), Shares(0.2, 0.1)
"""The shares without examples: a reader goes by what a description says."""

_LEAST = 10
"""Requests by which shares are chosen."""

_MOST = 150
"""Requests that are looked at to choose a share."""

_MOST_ASKED = 300
"""Requests that are looked at to learn when to ask."""

_ASKS = 5
"""Requests that leave something out by which it is learnt when to ask."""

_RARE = 0.01
"""What share of all leaves something out, at least."""

_RIDGE = 0.05

_TOOLS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7)
_WORDS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
_NEAR = {"tools": 0.02, "words": 0.05}
"""How much likelier a request must become, in nats, that a larger share is taken."""


class Judge:
    """Chooses the shares of a reader beside a prior: `shares`, once `choice`, `words` and `asked` were told of requests kept aside."""

    def __init__(self, reader: Reader, tools: ToolSet) -> None:
        """`tools` are those that the prior is fit to."""
        self.reader, self.tools = reader, tools
        schemas = [schema for tool in tools for schema in tool.properties.values()]
        told = sum(isinstance(schema, Mapping) and bool(schema.get("description")) for schema in schemas)
        self.shares = _DESCRIBED if 2 * told >= len(schemas) else _BARE

    def choice(self, requests: Sequence[tuple[Pair, str]], logs: Sequence[Mapping[str, float]]) -> None:
        """Choose the share in the choice of tools: pairs with the right tool, and the logarithms that the prior gives each tool."""
        lost = dict.fromkeys(_TOOLS, 0.0)
        some = _some(list(zip(requests, logs, strict=True)))
        for (pair, right), own in some:
            read = chosen(self.reader, heard_in(pair.messages), self.tools)
            for share in lost:
                leant = chosen_jointly({name: (log, 0.0) for name, log in own.items()}, read, share)
                lost[share] -= leant[right][0]
        if len(some) >= _LEAST:
            self.shares = replace(self.shares, tools=_least(lost, len(some), _NEAR["tools"]))

    def words(self, tagger: Tagger, requests: Sequence[tuple[str, str, Sequence[int]]]) -> None:
        """Choose the share in which words an argument takes: requests, each the tool, the text and the states among the tool's own."""
        lost, count = dict.fromkeys(_WORDS, 0.0), 0
        for tool, text, states in _some(requests):
            tagged, read = tagger.read(tool, text), self.reader.read(self.tools[tool], text)
            if tagged is None or read is None:
                continue
            ways = {share: _log(tagged, joined(tagged, read, share), states) for share in lost}
            if all(map(math.isfinite, ways.values())):
                count += 1
                for share, log in ways.items():
                    lost[share] -= log
        if count >= _LEAST:
            self.shares = replace(self.shares, words=_least(lost, count, _NEAR["words"]))

    def asked(self, tagger: Tagger, pairs: Sequence[Pair]) -> None:
        """Learn when to ask for what is missing, from pairs of one call that were kept aside, calls and questions."""
        rows = [
            (odds, one.calls[0].name == ASK, is_own(one))
            for one in _some(pairs, _MOST_ASKED)
            if (odds := self._odds(tagger, one)) is not None
        ]
        asks = sum(is_ask for _, is_ask, _ in rows)
        if min(asks, len(rows) - asks) >= _ASKS:
            lacking = logistic(np.array(rows, dtype=float)[:, :2], np.array(shares([own for *_, own in rows])))
            self.shares = replace(self.shares, lacking=lacking)

    def _odds(self, tagger: Tagger, pair: Pair) -> float | None:
        """Return the log-odds that a request leaves out what its tool must be told; None where nothing is known of it."""
        name = pair.calls[0].about
        read = self.reader.read(self.tools[name], pair.said) if name in self.tools else None
        if read is None:
            return None
        return unsaid(joined(tagger.read(name, pair.said), read, self.shares.words), self.tools[name].required)


def logistic(rows: Array, weights: Array) -> Lacking | None:
    """Fit the log-odds of the second column by the first, by Newton's steps with a little L2 regularisation; None where they do not rise.

    >>> logistic(np.array([(-2, 0), (-1, 0), (1, 1), (2, 1)] * 9), np.ones(36)).slope > 1
    True
    >>> logistic(np.array([(-2, 1), (-1, 1), (1, 0), (2, 0)] * 9), np.ones(36)) is None
    True
    """
    inputs, goals = np.stack([np.ones(len(rows)), rows[:, 0]], axis=1), rows[:, 1]
    found = np.array([-2.0, 0.5])
    for _ in range(30):
        said = 1 / (1 + np.exp(-np.clip(inputs @ found, -30, 30)))
        slope = inputs.T @ (weights * (said - goals)) + _RIDGE * found
        bend = (inputs * (weights * said * (1 - said))[:, None]).T @ inputs + _RIDGE * np.eye(2)
        found = found - np.clip(np.linalg.solve(bend, slope), -1, 1)
    usual = float((weights @ goals) / weights.sum())
    return Lacking(float(found[0]), float(found[1]), min(max(usual, _RARE), 1 - _RARE)) if found[1] > 0 else None


def _log(tagged: Reading, both: Reading, states: Sequence[int]) -> float:
    """Return the logarithm of the probability of a tagger's states when its arguments alone may have words."""
    columns = [0, *(1 + 2 * both.names.index(name) + part for name in tagged.names for part in (0, 1))]
    rows = [*columns, len(both.moves) - 1]
    own = Reading(both.request, both.words, tagged.names, both.factors[:, columns], both.moves[rows][:, columns])
    return own.log_probability(states)


def _some(requests: Sequence[Any], most: int = _MOST) -> Sequence[Any]:
    return requests[:: max(1, -(-len(requests) // most))]


def _least(lost: Mapping[float, float], count: int, near: float) -> float:
    """Return the least share that is about as good as the best one."""
    best = min(lost.values())
    return min(share for share, loss in lost.items() if loss <= best + near * count)

"""How much a base's reader counts beside an adapter's prior, found on pairs that the prior was not fit to.

The shares (`schematune.decoding.joined`) are those that make the user's own requests likeliest, of families of wordings kept aside;
with too few of these they are what was best, on average, for tool sets that are described, and for those that are not.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from schematune.decoding.joined import chosen_jointly, joined
from schematune.decoding.prior import Shares
from schematune.decoding.reader import AnyTool, Reader
from schematune.decoding.tagger import Reading, Tagger
from schematune.schemas.call import NO_TOOL
from schematune.schemas.pair import Pair, heard_in
from schematune.schemas.tool import ToolSet

__all__ = ["Judge"]

_DESCRIBED, _BARE = Shares(0.3, 0.4), Shares(0.2, 0.1)
"""The shares without examples: a reader goes by what a description says."""

_LEAST = 10
"""Requests by which shares are chosen."""

_MOST = 150
"""Requests that are looked at."""

_TOOLS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7)
_WORDS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
_NEAR = {"tools": 0.02, "words": 0.05}
"""How much likelier a request must become, in nats, that a larger share is taken."""


class Judge:
    """Chooses the shares of a reader beside a prior: `shares`, once `choice` and `words` were told of requests kept aside."""

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
            read = self.reader.chosen(heard_in(pair.messages), self.tools)
            read[NO_TOOL] -= AnyTool.doubt
            for share in lost:
                leant = chosen_jointly({name: (log, 0.0) for name, log in own.items()}, read, share)
                lost[share] -= leant[right][0]
        if len(some) >= _LEAST:
            self.shares = Shares(_least(lost, len(some), _NEAR["tools"]), self.shares.words)

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
            self.shares = Shares(self.shares.tools, _least(lost, count, _NEAR["words"]))


def _log(tagged: Reading, both: Reading, states: Sequence[int]) -> float:
    """Return the logarithm of the probability of a tagger's states when its arguments alone may have words."""
    columns = [0, *(1 + 2 * both.names.index(name) + part for name in tagged.names for part in (0, 1))]
    rows = [*columns, len(both.moves) - 1]
    own = Reading(both.request, both.words, tagged.names, both.factors[:, columns], both.moves[rows][:, columns])
    return own.log_probability(states)


def _some(requests: Sequence[Any]) -> Sequence[Any]:
    return requests[:: len(requests) // _MOST + 1]


def _least(lost: Mapping[float, float], count: int, near: float) -> float:
    """Return the least share that is about as good as the best one."""
    best = min(lost.values())
    return min(share for share, loss in lost.items() if loss <= best + near * count)

"""Calls mended after decoding: arguments that take the same words of the request, where their tool's never do.

The mask knows one argument at a time, so two of them can be copied from the same words. Either may be the wrong
one: the call is decoded again with the words of the first taken from the second, and the other way round, and
the completion that the model finds likelier is kept.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from schematune.decoding.base import Base
from schematune.decoding.loop import log_likelihoods
from schematune.decoding.rows import Decoded
from schematune.schemas.call import Call
from schematune.schemas.spans import Copied, SpanRules, clash
from schematune.schemas.tool import ToolSet

__all__ = ["ROUNDS", "Cuts", "first_clash", "mended", "repairs"]

ROUNDS = 2
"""Times that a call is decoded anew."""

Cuts = Mapping[str, Mapping[str, str]]
"""For a tool's arguments, by their paths, the text they may be spans of: the request without some words."""

_NO_CUTS: Cuts = {}


def first_clash(
    rules: SpanRules, tools: ToolSet, calls: Sequence[Call], request: str
) -> tuple[str, Copied, Copied] | None:
    """Return the first clash in `calls`, with the name of its tool."""
    for call in calls:
        found = clash(rules, tools, call, request)
        if found:
            return call.name, *found
    return None


def repairs(request: str, cuts: Cuts, found: tuple[str, Copied, Copied]) -> list[Cuts]:
    """Return the two ways to mend a clash, on top of `cuts`; none that leaves an argument no word.

    >>> repairs("play X Y", {}, ("play", Copied("a", 5, 8), Copied("b", 7, 8)))
    [{'play': {'b': 'play \\n\\n\\n'}}, {'play': {'a': 'play X \\n'}}]
    """
    tool, one, two = found
    ways: list[Cuts] = []
    for kept, other in ((one, two), (two, one)):
        known = cuts.get(tool, {})
        before = known.get(other.path, request)
        # a line break keeps the offsets and is what no span crosses
        text = before[: kept.start] + "\n" * (kept.end - kept.start) + before[kept.end :]
        if any(letter.isalnum() for letter in text):
            ways.append({**cuts, tool: {**known, other.path: text}})
    return ways


def mended(
    first: Decoded,
    again: Callable[[list[Cuts]], list[Decoded]],
    *,
    base: Base,
    rules: SpanRules,
    tools: ToolSet,
    request: str,
    prompt: Sequence[int],
) -> Decoded:
    """Return `first`, or the likeliest completion without a clash that decoding `again` under cuts came to.

    `prompt` is the whole prompt of `request` as token ids. Passes and milliseconds are those of all of it. Where
    a clash cannot be mended, `first` is what there is. Raises `DecodeError` where `first` is no call.
    """
    best, cuts, passes, start = first, _NO_CUTS, first.passes, time.perf_counter()
    found = first_clash(rules, tools, base.renderer.parse(first.text), request) if rules.apart else None
    for _ in range(ROUNDS):
        ways = repairs(request, cuts, found) if found else []
        tried = [(one, way) for one, way in zip(again(ways), ways, strict=True) if one.finished] if ways else []
        if not tried:
            break
        passes += sum(one.passes for one, _ in tried)
        scores = log_likelihoods(base.model, prompt, [one.tokens for one, _ in tried], base.adapter)
        best, cuts = tried[scores.index(max(scores))]
        found = first_clash(rules, tools, base.renderer.parse(best.text), request)
    milliseconds = first.milliseconds + (time.perf_counter() - start) * 1000
    return replace(first if found else best, passes=passes, milliseconds=milliseconds)

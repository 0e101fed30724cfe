"""Pairs as a reader hears them (`schematune.schemas.pair.heard_in`): both sides of a conversation, and where in them each value is said."""

from collections.abc import Sequence
from dataclasses import replace

from schematune.schemas.pair import Evidence, Pair, heard_turns
from schematune.schemas.spans import places

__all__ = ["heard_of"]


def heard_of(pair: Pair) -> tuple[str, list[Evidence]]:
    """Return a pair's conversation as a reader hears it, and the evidence with places there, that of what was offered too.

    >>> turns = {"role": "user", "content": "a song"}, {"role": "assistant", "content": "Hey Jude?"}, {"role": "user", "content": "yes, now"}
    >>> text, [item] = heard_of(Pair(turns, (), evidence=(Evidence("0.when", "span", 12, 15),)))
    >>> text[item.start : item.end]
    'now'
    """
    starts, replies, own, there = list[tuple[int, int]](), list[tuple[int, str]](), 0, 0
    turns = heard_turns(pair.messages)
    for replied, text in turns:
        if replied:
            replies.append((there, text))
        else:
            starts.append((own, there))
            own += len(text) + 1
        there += len(text) + 1
    evidence = [
        _in_said(item, starts) if item.start >= 0 else _in_replies(item, pair, replies) for item in pair.evidence
    ]
    return "\n".join(text for _, text in turns), evidence


def _in_said(item: Evidence, starts: Sequence[tuple[int, int]]) -> Evidence:
    own, there = max(one for one in starts if one[0] <= item.start)
    return item.moved(there - own)


def _in_replies(item: Evidence, pair: Pair, replies: Sequence[tuple[int, str]]) -> Evidence:
    """Return the evidence of what was offered with its last place in the replies, any other as it is."""
    number, _, name = item.path.partition(".")
    call = pair.calls[int(number)] if int(number) < len(pair.calls) else None
    value = call.arguments.get(name) if call is not None else None
    if item.rule != "offered" or not isinstance(value, str) or not value:
        return item
    found = [(at + start, at + end) for at, text in replies for start, end in places(value, text)]
    return replace(item, start=found[-1][0], end=found[-1][1]) if found else item

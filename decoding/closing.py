"""Closing near the token budget: the shortest way that a grammar lets an output end.

Where few tokens are left, the decoder looks how the output could still be ended: strings closed, objects and arrays
too, what is required and still missing written as short as it may be. Nothing of the model is asked, only the grammar,
so it costs no forward pass; an output that would be cut off takes this end instead, and is valid.
"""

import re
from collections.abc import Sequence
from weakref import WeakKeyDictionary

import llguidance
import numpy as np
from transformers import PreTrainedTokenizerBase

__all__ = ["Closer", "window"]

_MOST = 128
_SHARE = 4
_LONGEST = 16
_SIGNS = frozenset('"}],0123456789abcdefghijklmnopqrstuvwxyz')
_STUCK = 48  # tokens inside one string, after which the way to its end is not found so
_DEEPEST = 24  # objects and arrays opened on the way to an end
_FILLS = 1000  # the rank from which on a token inside a string does not close it

Ranks = np.ndarray[tuple[int], np.dtype[np.int64]]
Allowed = np.ndarray[tuple[int], np.dtype[np.bool_]]

_KNOWN: WeakKeyDictionary[PreTrainedTokenizerBase, dict[int, "Closer"]] = WeakKeyDictionary()


def window(limit: int) -> int:
    """Return how many tokens before the limit an end is looked for: a quarter of them, 128 at most.

    >>> window(160), window(4096)
    (40, 128)
    """
    return min(_MOST, -(-limit // _SHARE))


class Closer:
    """Finds ends for one tokenizer's outputs; `Closer.of` keeps it."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, vocabulary: int) -> None:
        """`vocabulary` is the number of logits of the model."""
        self.tokenizer, self.vocabulary = tokenizer, vocabulary
        pieces = [str(piece) for piece in tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))][:vocabulary]
        pieces += [""] * (vocabulary - len(pieces))
        self._inside = _ranked(pieces, (r'"[}\]]*', r"[0-9a-z]+"))
        self._outside = _ranked(pieces, (r"[}\]]+", r'""[}\]]*', r'"', r",", r"[0-9]", r"[a-z]"))
        self._single = np.array([len(piece) == 1 for piece in pieces])

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase, vocabulary: int) -> "Closer":
        """Return the closer of a tokenizer, made once."""
        known = _KNOWN.setdefault(tokenizer, {})
        if vocabulary not in known:
            known[vocabulary] = cls(tokenizer, vocabulary)
        return known[vocabulary]

    def __call__(self, matcher: llguidance.LLMatcher, tokens: Sequence[int], room: int) -> list[int] | None:
        """Return tokens that end an output which so far is `tokens`, at most `room` of them, or None.

        `matcher` stands after `tokens`; it is left as it is.
        """
        found, ended = self.go(matcher, tokens, room)
        return found if ended else None

    def go(self, matcher: llguidance.LLMatcher, tokens: Sequence[int], room: int) -> tuple[list[int], bool]:
        """Go towards an end: return the tokens, and whether they end the output or are as far as it goes."""
        matcher = matcher.deep_copy()
        inside = _is_inside(self._text(tokens), False)
        before: Allowed | None = None
        found: list[int] = []
        filled = depth = 0
        while not matcher.is_stopped() and not matcher.is_accepting():
            taken = matcher.compute_ff_tokens()
            if taken:
                before = None
            else:
                allowed = self._allowed(matcher)
                taken = [self._shortest(allowed, before if inside else None, inside)]
                before = allowed if inside else None
            if matcher.is_error() or len(found) + len(taken) > room or filled > _STUCK or depth > _DEEPEST:
                return found, False
            if not matcher.consume_tokens(taken):
                return found, False
            text = self._text(taken)
            depth += 0 if inside else sum(text.count(sign) for sign in "{[") - sum(text.count(sign) for sign in "}]")
            still = _is_inside(text, inside)
            filled = filled + 1 if inside and still else 0
            inside = still
            found += taken
        return found, True

    def _allowed(self, matcher: llguidance.LLMatcher) -> Allowed:
        bits = np.frombuffer(matcher.compute_bitmask(), dtype=np.uint8)
        return np.unpackbits(bits, count=self.vocabulary, bitorder="little").view(np.bool_)

    def _shortest(self, allowed: Allowed, before: Allowed | None, inside: bool) -> int:
        """Return the allowed token that closes most, or goes on least.

        Inside a string that may not close yet, a letter that may stand here and could not `before` is a step on in its
        pattern.
        """
        ranks = self._inside if inside else self._outside
        best = int(np.where(allowed, ranks, np.iinfo(np.int64).max).argmin())
        if before is not None and ranks[best] >= _FILLS:
            new = np.flatnonzero(allowed & ~before & self._single)
            if len(new):
                return int(new[0])
        return best

    def _text(self, tokens: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(tokens), skip_special_tokens=False, clean_up_tokenization_spaces=False))


def _ranked(pieces: Sequence[str], wanted: Sequence[str]) -> Ranks:
    """Rank tokens: those of the first pattern first, the longest of them first; others by their number."""
    ranks = np.arange(len(pieces), dtype=np.int64) + 1_000_000
    likely = [(n, piece) for n, piece in enumerate(pieces) if len(piece) <= _LONGEST and piece[:1] in _SIGNS]
    for order, pattern in enumerate(wanted):
        for token, piece in likely:
            if re.fullmatch(pattern, piece):
                ranks[token] = min(ranks[token], 1000 * (order + 1) - len(piece))
    return ranks


def _is_inside(text: str, inside: bool) -> bool:
    """Tell whether JSON text that began inside a string, or outside, ends inside one."""
    quotes: int = sum(quote == '"' for quote in re.findall(r'\\.|"', text, re.DOTALL))
    return inside != (quotes % 2 == 1)

"""Requests that are almost the same: found by MinHash, confirmed by the texts themselves.

Two requests are alike where their sets of four-letter pieces overlap by `ALIKE` (Jaccard). MinHash with locality-
sensitive hashing (Broder, 1997; the library is rensa) finds the few that may be, whatever the number known.
"""

from collections.abc import Set
from functools import lru_cache
from typing import Any

from rensa import RMinHash, RMinHashLSH  # type: ignore[import-untyped]

__all__ = ["ALIKE", "LEAKED", "Similar", "overlap"]

ALIKE = 0.9
"""Share of the pieces of two requests that both have, from which on they are taken for the same."""

LEAKED = 0.8
"""The same for a request that must stay unseen: there less is enough."""

_PIECE = 4
_HASHES = 64
_BANDS = 16


class Similar:
    """Texts known so far, each under a key of its own kind: only texts of the same key are compared.

    >>> similar = Similar()
    >>> similar.add("could you book a table for two at Nopi on Friday, please")
    >>> similar.find("could you book a table for two at Nopi on Friday, please!")
    'could you book a table for two at Nopi on Friday, please'
    >>> similar.find("a table for two")
    ''
    """

    def __init__(self, threshold: float = ALIKE) -> None:
        """`threshold` is the overlap from which on two texts are alike."""
        self.threshold = threshold
        self._texts: list[tuple[str, str]] = []
        self._index: Any = RMinHashLSH(threshold=threshold, num_perm=_HASHES, num_bands=_BANDS)

    def add(self, text: str, key: str = "") -> None:
        """Remember a text."""
        self._index.insert(len(self._texts), _hashed(text))
        self._texts.append((text, key))

    def find(self, text: str, key: str = "") -> str:
        """Return a known text of the same key that is alike, or an empty one."""
        for place in self._index.query(_hashed(text)) if self._texts else ():
            known: tuple[str, str] = self._texts[place]
            if known[1] == key and overlap(text, known[0]) >= self.threshold:
                return known[0]
        return ""


def overlap(one: str, other: str) -> float:
    """Return the Jaccard similarity of two texts' pieces, from 0 to 1.

    >>> overlap("play jazz", "play jazz"), overlap("play", "stop")
    (1.0, 0.0)
    """
    first, second = _pieces(one), _pieces(other)
    return len(first & second) / max(1, len(first | second))


def _pieces(text: str) -> Set[str]:
    return {text[place : place + _PIECE] for place in range(max(1, len(text) - _PIECE + 1))}


@lru_cache(maxsize=8)
def _hashed(text: str) -> Any:
    found = RMinHash(num_perm=_HASHES, seed=1)
    found.update(list(_pieces(text)))
    return found

"""What each pair counts for where the words of requests are fitted, and which are kept aside to judge the fit."""

import zlib
from collections.abc import Sequence

from schematune.schemas.pair import Pair

__all__ = ["family_of", "is_own", "is_unseen", "shares"]

_OWN = 2.0  # how much the user's own requests weigh together, in those made of them
_FOLDS = 4


def is_own(pair: Pair) -> bool:
    """Tell whether a pair is the user's own, and not made by synthesis.

    >>> is_own(Pair.of("hi", [], source="synthetic"))
    False
    """
    return not pair.source.startswith(("synthetic", "from "))


def family_of(pair: Pair) -> str:
    """Return what a pair was worded by: a form, or an example.

    An example that was read from a file is of the family of those that were made of it.

    >>> family_of(Pair.of("hi", [], source="example:a:1")), family_of(Pair.of("hi", [], source="from a", template="a"))
    ('example:a:1', 'a')
    """
    return pair.template or (pair.source if pair.source.startswith("example:") else pair.said)


def is_unseen(family: str) -> bool:
    """Tell whether the requests of a family of wordings, one in four, are kept aside.

    >>> sum(is_unseen(str(number)) for number in range(400))
    99
    """
    return zlib.crc32(family.encode()) % _FOLDS == 0


def shares(own: Sequence[bool]) -> list[float]:
    """Return what each of some requests counts for, 1 for the heaviest: the user's own together twice the others, or more.

    >>> shares([True, False, False, False, False]), shares([False, False])
    ([1.0, 0.125, 0.125, 0.125, 0.125], [1.0, 1.0])
    """
    mine = sum(own)
    other = min(1.0, mine / (_OWN * (len(own) - mine))) if 0 < mine < len(own) else 1.0
    return [1.0 if one else other for one in own]

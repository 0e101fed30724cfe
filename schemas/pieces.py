"""The pieces that a request is joined of, each knowing which argument it says: evidence falls out of the joining."""

from collections.abc import Sequence
from dataclasses import dataclass

from schematune.schemas.pair import Evidence

__all__ = ["Piece", "join_pieces"]


@dataclass(frozen=True)
class Piece:
    """A part of a request: literal words, or (with `paths` and `rule`) the saying of arguments.

    `glued` pieces follow the one before without a space.
    """

    text: str
    paths: tuple[str, ...] = ()
    rule: str = ""
    glued: bool = False


def join_pieces(pieces: Sequence[Piece]) -> tuple[str, tuple[Evidence, ...]]:
    """Join pieces into a text and say where each argument stands in it.

    >>> join_pieces([Piece("to"), Piece("Oslo", ("0.city",), "span"), Piece(", please")])
    ('to Oslo, please', (Evidence(path='0.city', rule='span', start=3, end=7),))
    """
    text = ""
    evidence: list[Evidence] = []
    for piece in pieces:
        if not piece.text:
            continue
        sign = not piece.paths and piece.text[0] in ",.:;?!%)"  # a value may begin with one: "./notes"
        if text and not piece.glued and not sign and text[-1] not in "(#$€£\n":
            text += " "
        span = len(text), len(text) + len(piece.text)
        evidence.extend(Evidence(path, piece.rule, *span) for path in piece.paths)
        text += piece.text
    return text, tuple(evidence)

"""Requests for several calls of one tool at once: what they share is said once, what tells them apart in a row.

"The weather in Oslo and in Bergen on Friday", "lamps for the hall and the attic, 40 and 60 watts": people rarely say the
whole again for each.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

from schematune.schemas.call import Call
from schematune.schemas.jsontext import JSON
from schematune.schemas.normal import resolve
from schematune.schemas.pieces import Piece
from schematune.schemas.tool import Tool
from schematune.schemas.wording import Worder

__all__ = ["in_a_row"]


def in_a_row(
    rng: random.Random, worder: Worder, tool: Tool, values: Mapping[str, JSON], rows: Mapping[str, Sequence[JSON]]
) -> tuple[list[Call], list[Piece], str] | None:
    """Word one request for as many calls as each of `rows` has values, all else being as in `values`.

    `rows` are the arguments that differ, with the value for each call, the first that of `values`. None where
    the wording says one of them in pieces that cannot be said in a row.
    """
    pieces, shape = worder.request(tool, values)
    many = len(next(iter(rows.values())))
    joint = rng.choice(
        (("and", "and"), (",", "and"), (",", "and"), (", and", "and"), (",", ","), ("and also", "and also"), ("&", "&"))
    )
    for name, row in rows.items():
        found = [number for number, piece in enumerate(pieces) if f"0.{name}" in piece.paths]
        if len(found) != 1 or pieces[found[0]].paths != (f"0.{name}",):
            return None
        schema = resolve(tool.properties.get(name, {}), tool.parameters)
        said: list[Piece] = []
        for place, value in enumerate(row):
            said += [Piece(joint[place == many - 1])] * bool(place)
            path = f"{place}.{name}"
            said += (
                [pieces[found[0]]]
                if place == 0
                else worder.phrase(name, schema, value, path, tool.parameters, bare=True)
            )
        pieces[found[0] : found[0] + 1] = said
    if len(rows) > 1 and rng.random() < 0.7:
        pieces.append(Piece(rng.choice(("respectively", ", respectively", ", in that order"))))
    shared = [_for_all(piece, many, rows) for piece in pieces]
    return (
        [Call(tool.name, {**values, **{n: row[k] for n, row in rows.items()}}) for k in range(many)],
        shared,
        f"row:{shape}",
    )


def _for_all(piece: Piece, many: int, rows: Mapping[str, Sequence[JSON]]) -> Piece:
    """Let a piece that says a shared argument say it for every call."""
    ends = [path.partition(".")[2] for path in piece.paths]
    if not ends or any(end.split(".")[0] in rows for end in ends):
        return piece
    return replace(piece, paths=tuple(f"{place}.{end}" for place in range(many) for end in ends))

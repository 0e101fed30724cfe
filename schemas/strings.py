"""Texts within a schema's bounds, by construction: by pattern, by format, or by what the name says they are."""

import random
import string
from datetime import date

from schematune.schemas.described import form_of
from schematune.schemas.errors import SchemaError
from schematune.schemas.merge import Normal
from schematune.schemas.patterns import from_pattern, matches
from schematune.schemas.realistic import FORMATS, clock, concept, hints, in_state, town, worded

__all__ = ["text"]

_REPEATS = (6, 6, 2, 0, 12, 40, 1, 100, 6, 3, 250, 1000)


def text(schema: Normal, name: str, rng: random.Random, today: date, *, bounds: bool = False) -> str | None:
    """Draw a text for a normal form of type string, or None where none was found.

    `bounds` draws texts of the least and the greatest length now and then. Raises `SchemaError` for a pattern that
    cannot be read.

    >>> text({"type": "string", "maxLength": 3}, "title", random.Random(0), date(2026, 1, 1))
    'Sen'
    """
    low, high = int(schema.get("minLength", 0)), int(schema.get("maxLength", 100_000))
    if low > high:
        return None
    form = form_of(schema)
    if form == "clock" and low <= 5 <= high:
        return clock(rng)
    if "pattern" in schema:
        return _patterned(schema, low, high, rng, today)
    if form in FORMATS:
        return _formatted(str(form), low, high, rng, today)
    told = str(schema.get("description", ""))
    said = hints(told)
    found = rng.choice(said) if said and rng.random() < 0.4 else worded(concept(name), rng, today, name)
    found = town(rng) if found not in said and in_state(told) else found
    for _ in range(6):  # one that fits reads better than one that is made to
        if low <= len(found) <= high:
            break
        found = worded(concept(name), rng, today, name)
    if bounds and rng.random() < 0.2:
        low = high if high <= low + 40 and rng.random() < 0.5 else low
        high = low
    return _fitted(found, low, high, rng)


def _fitted(found: str, low: int, high: int, rng: random.Random) -> str:
    if len(found) < low:
        found += "".join(rng.choices(string.ascii_lowercase, k=low - len(found)))
    cut = found[:high]
    return cut.rstrip() if len(cut.rstrip()) >= low else cut


def _formatted(form: str, low: int, high: int, rng: random.Random, today: date) -> str | None:
    for _ in range(30):
        found = str(FORMATS[form](rng, today))
        if low <= len(found) <= high:
            return found
    return None


def _patterned(schema: Normal, low: int, high: int, rng: random.Random, today: date) -> str | None:
    """Draw a text that a pattern matches; the format, where there is one, is tried first and checked by the caller."""
    pattern, form = schema["pattern"], schema.get("format")
    if form in FORMATS and rng.random() < 0.5:
        found = _formatted(str(form), low, high, rng, today)
        if found is not None and matches(pattern, found):
            return found
    for repeats in _REPEATS:
        found = from_pattern(pattern, rng, repeats)
        if len(found) < low and not pattern.endswith("$"):
            found = _fitted(found, low, high, rng)
        if low <= len(found) <= high and matches(pattern, found):
            return found
    raise SchemaError(f"no text was found for the pattern {pattern!r}", where="pattern", fix='add "examples"')

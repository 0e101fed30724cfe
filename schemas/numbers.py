"""Numbers within a schema's bounds, by construction: round and small where they may be, as people give them."""

import math
import random
import re
from fractions import Fraction

from schematune.schemas.lexicon import words_of
from schematune.schemas.merge import Normal

__all__ = ["number"]

_MINUTES = re.compile("minute|duration|length|seconds")
_ROUND_MINUTES = (5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240)


def number(schema: Normal, name: str, rng: random.Random, *, bounds: bool = False) -> float | int | None:
    """Draw a number for a normal form of type number or integer, or None where the bounds leave none.

    `bounds` draws a bound itself now and then.

    >>> number({"type": "integer", "minimum": 4, "multipleOf": 5, "maximum": 9}, "n", random.Random(0))
    5
    """
    usual = (
        None
        if bounds or schema.keys() & {"multipleOf", "exclusiveMinimum", "exclusiveMaximum"}
        else _known(schema, name, rng)
    )
    if usual is not None:
        return usual
    kinds = schema.get("type", "number")
    whole = "number" not in kinds if isinstance(kinds, list) else kinds == "integer"
    low, high = _limits(schema)
    if low is not None and high is not None and low > high:
        return None
    step = Fraction(str(schema["multipleOf"])) if "multipleOf" in schema else None
    if whole:
        step = Fraction(1 if step is None else step.numerator)
    if step is not None:
        return _stepped(schema, name, step, low, high, rng, bounds)
    start, end = _usual(low, high)
    if bounds and rng.random() < 0.3:
        edges: list[float | int] = [
            schema[key] for key in ("minimum", "maximum") if key in schema and start <= schema[key] <= end
        ]
        if edges:
            return rng.choice(edges)
    if rng.random() < 0.5 and int(end) > int(start) + 1:
        return rng.randint(int(start) + 1, int(min(end, start + 200)) - (int(end) == end <= start + 200))
    drawn = round(start + (min(end, start + 500) - start) * rng.random(), rng.choice((1, 1, 2)))
    return drawn if start < drawn < end else (start + end) / 2


_FEW = {"people", "guests", "passengers", "adults", "children", "kids", "infants", "pets", "seats", "rooms", "beds", "baths", "bedrooms",
        "nights", "copies", "tickets", "travelers", "travellers", "persons", "attendees", "players", "floors"}  # fmt: skip
_COUNTS = _FEW | {
    "count",
    "limit",
    "page",
    "pages",
    "results",
    "items",
    "quantity",
    "days",
    "weeks",
    "offset",
    "times",
    "lines",
    "rows",
    "size",
}


_COUNTED = re.compile(r"\b(?:number of|how many|N)\b")


def _known(schema: Normal, name: str, rng: random.Random) -> float | int | None:
    """Draw a number such as people give for what has the name; None where it is none of those, or out of bounds."""
    words = words_of(name)
    last = words[-1] if words else ""
    whole = schema.get("type") == "integer"
    low, high = _limits(schema)
    drawn: float | int | None = None
    if last in ("latitude", "lat", "longitude", "lon", "lng"):
        most = 66 if last.startswith("la") else 179
        drawn = rng.randint(-most, most) if whole else round(rng.uniform(-most, most), rng.choice((2, 4, 4)))
    elif last == "year":
        drawn = rng.choice((rng.randint(1950, 2035), rng.randint(2010, 2030)))
    elif {*words, *(f"{word}s" for word in words)} & _FEW and last not in ("size", "price", "id", "rate"):
        drawn = rng.choice((rng.randint(1, 4), rng.randint(1, 9)))
    elif last in ("id", "ids", "number", "no", "code", "index") and not whole and high is None:
        drawn = rng.randrange(1, 10 ** rng.randint(1, 6))
    elif last == "age":
        drawn = rng.randint(1, 90)
    elif not whole and high is None and (last in _COUNTS or _COUNTED.search(str(schema.get("description", "")))):
        drawn = rng.choice((rng.randint(1, 10), rng.choice((5, 10, 20, 25, 50, 100))))
    fits = drawn is not None and (low is None or drawn >= low) and (high is None or drawn <= high)
    return drawn if fits else None


def _limits(schema: Normal) -> tuple[float | None, float | None]:
    """Return the least and the greatest that may be, whether or not they themselves may."""
    lows = [schema[key] for key in ("minimum", "exclusiveMinimum") if key in schema]
    highs = [schema[key] for key in ("maximum", "exclusiveMaximum") if key in schema]
    return max(lows, default=None), min(highs, default=None)


def _usual(low: float | None, high: float | None) -> tuple[float, float]:
    """Return bounds to draw between where a schema leaves them open."""
    if low is None:
        low = 1 if high is None or high > 1 else high - 100
    return low, max(low + 1, low * 4, 100) if high is None else high


def _stepped(
    schema: Normal, name: str, step: Fraction, low: float | None, high: float | None, rng: random.Random, bounds: bool
) -> float | int | None:
    """Draw a multiple of `step`."""
    start, end = _usual(low, high)
    first, last = math.ceil(Fraction(start) / step), math.floor(Fraction(end) / step)
    if low is not None and first * step == schema.get("exclusiveMinimum"):
        first += 1
    if high is not None and last * step == schema.get("exclusiveMaximum"):
        last -= 1
    if high is None:
        last = max(last, first + 3)
    if low is None:
        first = min(first, last)
    if first > last:
        return None
    if bounds and rng.random() < 0.3:
        return _plain(rng.choice((first, last)) * step)
    if step == 1:
        return _count(name, first, last, rng)
    for _ in range(20):
        found = _plain(rng.randint(first, last) * step)
        if (found / float(step)).is_integer():  # 34.76 is no multiple of 0.01 for who divides floats
            break
    return found


def _plain(found: Fraction) -> float | int:
    return int(found) if found.denominator == 1 else float(found)


def _count(name: str, low: int, high: int, rng: random.Random) -> int:
    """Draw a whole number: minutes are round, others mostly small."""
    minutes = [n for n in _ROUND_MINUTES if low <= n <= high]
    if _MINUTES.search(name) and high >= 60 and minutes:
        return rng.choice(minutes)
    small = min(high, max(low, 12) if low <= 12 else low + 12)
    return rng.randint(low, small if rng.random() < 0.6 else high)

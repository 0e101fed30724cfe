"""What an argument's words say of its values beyond its schema: the form of a text, the unit of a number.

Many tools say "YYYY-MM-DD" or "in kilograms" in a description, and nothing in the schema. Values are drawn in that
form, and said with that unit.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

from schematune.schemas.jsontext import JSON
from schematune.schemas.lexicon import words_of

__all__ = ["MEASURES", "form_of", "is_clock", "unit_of"]

MEASURES: dict[str, tuple[str, ...]] = {
    "minutes": ("minutes", "min", "mins"), "hours": ("hours", "h", "hrs"), "days": ("days",), "nights": ("nights",), "weeks": ("weeks",),
    "months": ("months",), "years": ("years",), "seconds": ("seconds", "sec", "s"), "milliseconds": ("ms", "milliseconds"),
    "percent": ("%", "percent"), "miles": ("miles", "mi"), "km": ("km", "kilometers", "kilometres"),
    "meters": ("meters", "m", "metres"), "cm": ("cm", "centimeters"), "mm": ("mm", "millimeters"), "feet": ("feet", "ft"),
    "inches": ("inches", "in"), "kg": ("kg", "kilos", "kilograms"), "grams": ("grams", "g"), "lbs": ("pounds", "lbs"),
    "liters": ("liters", "litres", "l"), "ml": ("ml", "milliliters"), "celsius": ("degrees", "degrees celsius", "°C"),
    "fahrenheit": ("degrees", "degrees fahrenheit", "°F"), "degrees": ("degrees",), "mb": ("MB", "megabytes"), "gb": ("GB", "gigabytes"),
    "pixels": ("pixels", "px"), "people": ("people",), "usd": ("dollars", "usd", "bucks", "$"), "eur": ("euros", "eur", "€"),
    "gbp": ("pounds", "gbp", "£"),
}  # fmt: skip
"""How the units of numbers are said, the usual way first."""

_SAME = {
    "minute": "minutes", "mins": "minutes", "min": "minutes", "hour": "hours", "day": "days", "seconds": "seconds", "sec": "seconds",
    "secs": "seconds", "ms": "milliseconds", "percentage": "percent", "pct": "percent", "mile": "miles", "kilometers": "km", "kilometres": "km",
    "metres": "meters", "centimeters": "cm", "centimetres": "cm", "millimeters": "mm", "kilograms": "kg", "kilos": "kg", "kgs": "kg",
    "pounds": "lbs", "litres": "liters", "milliliters": "ml", "megabytes": "mb", "gigabytes": "gb", "px": "pixels", "dollars": "usd",
    "euros": "eur", "$": "usd",
}  # fmt: skip
_NAMED = {"minutes", "hours", "days", "nights", "weeks", "months", "years", "seconds", "percent", "miles", "km", "meters", "people",
          "kg", "grams", "celsius", "fahrenheit", "usd", "eur", "gbp", "cm", "mm", "pixels", "milliseconds"}  # fmt: skip
_ALSO_NAMED = ("minute", "mins", "percentage", "pct", "seconds", "secs", "ms", "kilometers", "kilograms", "px")
_IN = re.compile(
    rf"\b(?:in|as a) (?:the |whole |us )?({'|'.join(sorted({*MEASURES, *_SAME} - {'$', 'in'}, key=len, reverse=True))})\b"
)
_ISO_DAY = re.compile(r"(?<![a-z])yyyy-mm-dd(?![a-z0-9])(?!['\"]?[t ]+hh)", re.IGNORECASE)
_CLOCK = re.compile(r"(?<![\w-])hh:mm\b(?!:ss)", re.IGNORECASE)
_OTHERS = ("enum", "const", "examples")
_LENGTHS = {"date": 10, "clock": 5}


def form_of(schema: Mapping[str, JSON]) -> str:
    """Return the format of a string schema; where it says none, `"date"` or `"clock"` by its pattern or its description.

    >>> form_of({"type": "string", "description": "Day (YYYY-MM-DD)"}), form_of({"type": "string", "format": "email"})
    ('date', 'email')
    """
    if "format" in schema:
        return str(schema["format"])
    if "pattern" in schema:
        return "clock" if is_clock(schema) else ""
    if schema.get("type") != "string" or any(key in schema for key in _OTHERS):
        return ""
    told = _told_form(str(schema.get("description", "")))
    long = _LENGTHS.get(told, 0)
    return told if schema.get("minLength", long) <= long <= schema.get("maxLength", long) else ""


@lru_cache(maxsize=4096)
def _told_form(description: str) -> str:
    if _ISO_DAY.search(description):
        return "date"
    return "clock" if _CLOCK.search(description) and "yy" not in description.lower() else ""


@lru_cache(maxsize=4096)
def _matches_clock(pattern: str) -> bool:
    try:
        return all(re.search(pattern, t) for t in ("00:00", "09:30", "23:59")) and not re.search(pattern, "24:00")
    except re.error:
        return False


def is_clock(schema: Mapping[str, JSON]) -> bool:
    """Tell whether a string schema holds times of day as HH:MM, by what its pattern accepts."""
    pattern = schema.get("pattern")
    return isinstance(pattern, str) and _matches_clock(pattern)


def unit_of(name: str, schema: Mapping[str, JSON]) -> str:
    """Return the unit of a number, a key of `MEASURES`, by the argument's name or its description; empty where none.

    >>> unit_of("duration_minutes", {}), unit_of("weight", {"description": "The weight in kilograms"}), unit_of("n", {})
    ('minutes', 'kg', '')
    """
    return _unit(name, str(schema.get("description", "")))


@lru_cache(maxsize=16384)
def _unit(name: str, description: str) -> str:
    last = words_of(name)[-1:] or [""]
    if last[0] in _NAMED or last[0] in _ALSO_NAMED:
        return _SAME.get(last[0], last[0])
    told = _IN.search(description.lower())
    return _SAME.get(told[1], told[1]) if told else ""

"""Dates, times of day and numbers that a request says: the inverse of `schematune.schemas.sayings`, for the grammar.

Every span of the request is looked up among the sayings; a match inside a longer one does not count ("12 march" in
"12 march 2027"). Numbers are read outside dates and times, times outside dates. What people may mean by half a
clock ("at 6:30") is listed twice, morning and evening: the model chooses, but only among what was said.
"""

import calendar
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from schematune.schemas.described import is_clock, unit_of
from schematune.schemas.jsontext import JSON
from schematune.schemas.sayings import number_words, sayings

__all__ = ["can_say", "said_values"]

_LONGEST = 7
"""Words and single signs in the longest saying of a date or a time."""

_UNIT = re.compile(r"\w+|[^\w\s]")
_YEAR = re.compile(r"(.*?)[ ,]*\b(\d{4})")
_ISO = re.compile(r"(\d{4})-(\d{2})-(\d{2})")
_DAY_MONTH_YEAR = re.compile(r"(\d{1,2})[./](\d{1,2})[./](\d{4})")
_NUMBER = re.compile(r"(?<![\w.,:])(\d{1,3}(?:,\d{3})+|\d+)(\.\d+)?(k?)(?![\w:]|[.,]\d)")
_MINUS = re.compile(r"(?:^|[\s(\[{=,;:\0])[-\u2212]$|(?:^|[^\W\d_]{2}[^\w)]+|[^\w)\s]\s*)(?:minus|negative)\s$")
_TIMES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12}
_MORE = re.compile(rf"\s?({'|'.join(_TIMES)})\b")
_PERCENT = re.compile(r"\s?(?:%|percent\b|per cent\b)")
_SHARE = re.compile(r"\b(?:fraction|decimal|(?:between )?0 (?:to|and|-) 1\b|0\.\d+)", re.IGNORECASE)
_NOTES = {"type", "title", "description", "default", "examples", "deprecated"}
_STRING = _NOTES | {"format", "pattern"}
_BOUNDS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
_ALSO = {
    "yesterday": -1, "the day before yesterday": -2, "this morning": 0, "this afternoon": 0, "today": 0, "now": 0,
    "the day after tomorrow": 2, "day after tomorrow": 2, "tmr": 1, "tmrw": 1, "in a week": 7, "a week from now": 7,
}  # fmt: skip
_SHORT_DAYS = {"tues": "tue", "weds": "wed", "thur": "thu", "thurs": "thu", "sept": "sep"}
_KNOWN = [
    *(name.lower() for names in (calendar.day_name, calendar.month_name[1:]) for name in names),
    *("today", "tonight", "tomorrow", "yesterday", "morning", "afternoon", "evening", "midnight", "midday", "quarter"),
]


def can_say(schema: JSON) -> bool:
    """Tell whether an argument's schema is a date, a time of day or a number, and no more than that.

    >>> can_say({"type": "string", "format": "date"}), can_say({"type": "string"}), can_say({"type": "integer"})
    (True, False, True)
    """
    if not isinstance(schema, Mapping):
        return False
    if _is_number(schema):
        return set(schema) <= _NOTES | _BOUNDS
    if schema.get("type") != "string" or not set(schema) <= _STRING:
        return False
    return _is_date(schema) or ("format" not in schema and is_clock(schema))


def said_values(schema: Mapping[str, JSON], request: str, now: str = "", name: str = "") -> list[JSON]:
    """List the dates, times or numbers that `request` says for an argument of `schema`, in order of value.

    `now` is the context's moment in ISO 8601, without which days of the week mean nothing; `name` is the argument's,
    which may tell its unit. One letter wrong in a long word is read over. Empty where nothing is said.

    >>> said_values({"type": "string", "format": "date"}, "tommorow, or on 3 may", "2026-04-20T11:25+02:00")
    ['2026-04-21', '2026-05-03']
    >>> said_values({"type": "integer"}, "six of us, on 3 may at 9:30", "2026-04-20T11:25+02:00")
    [6]
    """
    today = date.fromisoformat(now[:10]) if now else None
    days, rest = _matches(_mended(request.lower()), lambda said: _days(said, today))
    if _is_date(schema):
        return sorted(days)
    times, rest = _matches(rest, lambda said: _times().get(said, ()))
    if not _is_number(schema):
        return sorted(times or _matches(rest, lambda said: _bare_times().get(said, ()))[0])
    timed = unit_of(name, schema) == "minutes"
    shares = bool(_SHARE.search(str(schema.get("description", ""))))
    found = _matches(rest, lambda said: _minutes().get(said, ()))[0] if timed else _numbers(rest, shares=shares)
    return sorted(value for value in found if _fits(schema, value))


def _is_date(schema: Mapping[str, JSON]) -> bool:
    return schema.get("format") == "date" and "pattern" not in schema


def _is_number(schema: Mapping[str, JSON]) -> bool:
    return schema.get("type") in ("integer", "number")


def _fits(schema: Mapping[str, JSON], value: float) -> bool:
    low, high = schema.get("minimum", value), schema.get("maximum", value)
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    whole = schema["type"] == "number" or isinstance(value, int)
    return whole and low <= value <= high and (above is None or value > above) and (below is None or value < below)


def _matches(text: str, look: Callable[[str], Iterable[Any]]) -> tuple[set[Any], str]:
    """Find the longest spans that `look` knows; return what they mean, and the text without them."""
    units = [match.span() for match in _UNIT.finditer(text)]
    found: set[Any] = set()
    for count in range(min(_LONGEST, len(units)), 0, -1):
        for first in range(len(units) - count + 1):
            start, end = units[first][0], units[first + count - 1][1]
            meanings = set() if "\0" in text[start:end] else set(look(text[start:end]))
            if meanings:
                found |= meanings
                text = text[:start] + "\0" * (end - start) + text[end:]
    return found, text.replace("\0", " ")


def _mended(text: str) -> str:
    return re.sub(r"[^\W\d_]+", lambda word: _nearest(word.group()), text)


@lru_cache(maxsize=16384)
def _nearest(word: str) -> str:
    if len(word) < 5:
        return _SHORT_DAYS.get(word, word)
    return next(iter(get_close_matches(word, _KNOWN, 1, 0.82)), _SHORT_DAYS.get(word, word))


def _days(said: str, today: date | None) -> tuple[str, ...]:
    written = _DAY_MONTH_YEAR.fullmatch(said)
    if written:
        return _day(int(written[3]), int(written[2]), int(written[1]))
    iso = _ISO.fullmatch(said)
    if iso:
        return _day(int(iso[1]), int(iso[2]), int(iso[3]))
    dated = _YEAR.fullmatch(said)
    if dated and dated[1] in _month_days():
        return _day(int(dated[2]), *_month_days()[dated[1]])
    if today is None:
        return ()
    if said in _near(today):
        return (_near(today)[said],)
    if said in _month_days():
        years = (today.year - 1, today.year, today.year + 1)
        found = [day for year in years for day in _day(year, *_month_days()[said])]
        recent, far = (today - timedelta(days=92)).isoformat(), (today + timedelta(days=365)).isoformat()
        return tuple(day for day in found if recent <= day < far)  # "on 2 february" may just be over
    return ()


def _day(year: int, month: int, day: int) -> tuple[str, ...]:
    try:
        return (date(year, month, day).isoformat(),)
    except ValueError:
        return ()


@lru_cache(maxsize=1)
def _month_days() -> dict[str, tuple[int, int]]:
    """Return month and day by every saying of a day without its year."""
    found = {}
    for number in range(366):
        day = date(2024, 1, 1) + timedelta(days=number)
        for way in sayings({"type": "string", "format": "date"}, "", day.isoformat()):
            dated = _YEAR.fullmatch(way.lower())
            if dated and not dated[1].isdigit():
                found[dated[1]] = (day.month, day.day)
    return found


@lru_cache(maxsize=512)
def _near(today: date) -> dict[str, str]:
    """Return the days of the weeks around `today` by what they are called then."""
    found: dict[str, str] = {}
    for ahead in range(28, -1, -1):  # what comes sooner wins
        day = (today + timedelta(days=ahead)).isoformat()
        for way in sayings({"type": "string", "format": "date"}, "", day, today):
            found[way.lower()] = day
    return found | {said: (today + timedelta(days=ahead)).isoformat() for said, ahead in _ALSO.items()}


@lru_cache(maxsize=1)
def _times() -> dict[str, tuple[str, ...]]:
    """Return times of day by every saying that can be nothing else; both halves of the day where it names none."""
    found: dict[str, list[str]] = {}
    for minute in range(24 * 60):
        time, twelve = f"{minute // 60:02}:{minute % 60:02}", (minute // 60) % 12 or 12
        ways = [way.lower() for way in sayings({"type": "string", "format": "time"}, "", time)]
        ways += [re.sub(r" in the \w+", "", way) for way in ways]  # "half past six"
        for way in [*ways, f"{twelve}:{minute % 60:02}"]:
            if way not in _bare_times() and time not in found.setdefault(way, []):
                found[way].append(time)
    return {way: tuple(times) for way, times in found.items()}


@lru_cache(maxsize=1)
def _bare_times() -> dict[str, tuple[str, ...]]:
    """Return times of day by sayings that may be other numbers: "at 9", "at nine", "14.30"."""
    found: dict[str, list[str]] = {}
    for minute in range(24 * 60):
        time, twelve = f"{minute // 60:02}:{minute % 60:02}", (minute // 60) % 12 or 12
        ways = {f"{minute // 60}.{minute % 60:02}", f"{twelve}.{minute % 60:02}"}
        ways |= {str(twelve), str(minute // 60), number_words(twelve)} if minute % 60 == 0 else set()
        for way in ways:
            found.setdefault(way, []).append(time)
    return {way: tuple(times) for way, times in found.items()}


@lru_cache(maxsize=1)
def _minutes() -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for value in range(1, 1441):
        ways = [*sayings({"type": "integer"}, "minutes", value), f"{value}min", f"{value}m", f"{value} minute"]
        hours = value / 60
        ways += [f"{hours:g}h", f"{hours:g} h", f"{hours:g} hours"] if value % 30 == 0 else []
        if value < 100:
            ways += [f"{number_words(value)} minutes"]
        found |= {way.lower(): (value,) for way in ways}
    return found


def _numbers(text: str, *, shares: bool = False) -> set[float]:
    """Return the numbers of a text: digits, with a sign, thousands with commas or a k, millions, and words up to a thousand.

    Percents are `shares` of one where the argument is told so.

    >>> sorted(_numbers("from -5 to 1.2 million, 7-3")), _numbers("at 5 %", shares=True)
    ([-5, 3, 7, 1200000], {0.05})
    """
    found: set[float] = set()
    rest = text
    for one in _NUMBER.finditer(text):
        value = float(one[1].replace(",", "") + (one[2] or "")) * (1000 if one[3] else 1)
        more = _MORE.match(text, one.end())
        value *= _TIMES[more[1]] if more else 1
        value /= 100 if shares and _PERCENT.match(text, one.end()) else 1
        value = -value if _MINUS.search(text[max(0, one.start() - 24) : one.start()]) else value
        found.add(int(value) if value.is_integer() else round(value, 6))
        end = more.end() if more else one.end()
        rest = rest[: one.start()] + "\0" * (end - one.start()) + rest[end:]
    return found | _matches(rest, lambda said: _words().get(said, ()))[0]


@lru_cache(maxsize=1)
def _words() -> dict[str, tuple[int, ...]]:
    words: dict[str, tuple[int, ...]] = {
        number_words(value): (value,) for value in [*range(1001), *range(1000, 21000, 500)]
    }
    for unit in ("dozen", "million", "billion"):
        words |= {f"{number_words(count)} {unit}": (count * _TIMES[unit],) for count in range(1, 100)}
    return words | {
        "a million": (10**6,),
        "half a million": (500_000,),
        "half a dozen": (6,),
        "a dozen": (12,),
        "dozen": (12,),
        "a couple": (2,),
        "a hundred": (100,),
        "a thousand": (1000,),
    }

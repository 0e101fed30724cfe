"""Dates and times of day that a request says: the inverse of `schematune.schemas.sayings`, for the grammar.

Every span of the request is looked up among the sayings of dates (relative to the context's day) and times;
a match inside a longer one does not count ("12 march" in "12 march 2027"). What people may mean by a bare hour is
listed twice, morning and evening: the model chooses, but only among what was said.
"""

import calendar
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from difflib import get_close_matches
from functools import lru_cache

from schematune.schemas.jsontext import JSON
from schematune.schemas.sayings import sayings
from schematune.schemas.values import is_clock

__all__ = ["can_say", "said_values"]

_LONGEST = 7
"""Words and single signs in the longest saying of a date or a time."""

_UNIT = re.compile(r"\w+|[^\w\s]")
_YEAR = re.compile(r"(.*?)[ ,]*\b(\d{4})")
_ISO = re.compile(r"(\d{4})-(\d{2})-(\d{2})")
_DAY_MONTH_YEAR = re.compile(r"(\d{1,2})[./](\d{1,2})[./](\d{4})")
_PLAIN = {"type", "title", "description", "default", "examples", "deprecated", "format", "pattern"}
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
    """Tell whether an argument's schema is a date or a time of day, and no more than that.

    >>> can_say({"type": "string", "format": "date"}), can_say({"type": "string"}), can_say({"enum": ["2026-01-01"]})
    (True, False, False)
    """
    if not isinstance(schema, Mapping) or schema.get("type") != "string" or not set(schema) <= _PLAIN:
        return False
    return _is_date(schema) or ("format" not in schema and is_clock(schema))


def said_values(schema: Mapping[str, JSON], request: str, now: str = "") -> list[str]:
    """List the dates or times that `request` says for an argument of `schema`, in order of value.

    `now` is the context's moment in ISO 8601, without which days of the week mean nothing. One letter wrong in a
    long word is read over. Empty where nothing is said.

    >>> said_values({"type": "string", "format": "date"}, "tommorow, or on 3 may", "2026-04-20T11:25+02:00")
    ['2026-04-21', '2026-05-03']
    """
    if _is_date(schema):
        today = date.fromisoformat(now[:10]) if now else None
        return sorted({day for _, day in _matches(request, lambda said: _days(said, today))})
    return sorted({time for _, time in _matches(request, lambda said: _times().get(said, ()))})


def _is_date(schema: Mapping[str, JSON]) -> bool:
    return schema.get("format") == "date" and "pattern" not in schema


def _matches(request: str, look: Callable[[str], tuple[str, ...]]) -> Iterator[tuple[tuple[int, int], str]]:
    """Yield the places of the longest spans that `look` knows, with what they mean."""
    text = _mended(request.lower())
    units = [match.span() for match in _UNIT.finditer(text)]
    taken: list[tuple[int, int]] = []
    for count in range(min(_LONGEST, len(units)), 0, -1):
        for first in range(len(units) - count + 1):
            start, end = units[first][0], units[first + count - 1][1]
            if any(start < other_end and end > other for other, other_end in taken):
                continue
            meanings = look(text[start:end])
            if meanings:
                taken.append((start, end))
                yield from (((start, end), meaning) for meaning in meanings)


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
    """Return times of day by every saying; what names no half of the day stands for both."""
    found: dict[str, list[str]] = {}
    schema = {"type": "string", "format": "time"}
    for minute in range(24 * 60):
        time = f"{minute // 60:02}:{minute % 60:02}"
        twelve = (minute // 60) % 12 or 12
        ways = [way.lower() for way in sayings(schema, "", time)] + [f"{minute // 60}.{minute % 60:02}"]
        ways += [re.sub(r" in the \w+", "", way) for way in ways]  # "half past six"
        ways += [f"{twelve}:{minute % 60:02}", f"{twelve}.{minute % 60:02}"]
        ways += [str(twelve), str(minute // 60)] if minute % 60 == 0 else []
        for way in ways:
            if time not in found.setdefault(way, []):
                found[way].append(time)
    return {way: tuple(times) for way, times in found.items()}

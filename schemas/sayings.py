"""How people say values: every way that we know, so that one can be chosen, or found in a text.

`sayings(schema, name, value, now)` lists the ways for one value. Choosing from the list words a request;
looking for its members in a person's own request traces an argument that is no literal span of it.
"""

import calendar
from collections.abc import Mapping
from datetime import date, datetime
from functools import lru_cache

from schematune.schemas.described import MEASURES, form_of, unit_of
from schematune.schemas.grammar import singular
from schematune.schemas.jsontext import JSON
from schematune.schemas.lexicon import words_of

__all__ = ["number_words", "plain", "sayings"]

_ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()  # noqa: E501
_TENS = "_ _ twenty thirty forty fifty sixty seventy eighty ninety".split()


def number_words(number: int) -> str:
    """Write a whole number from 0 to 999,999 in words.

    >>> number_words(45), number_words(200), number_words(1512)
    ('forty-five', 'two hundred', 'one thousand five hundred and twelve')
    """
    if number < 20:
        return _ONES[number]
    if number < 100:
        return _TENS[number // 10] + (f"-{_ONES[number % 10]}" if number % 10 else "")
    size, word = (100, "hundred") if number < 1000 else (1000, "thousand")
    rest = number % size
    joint = " and " if rest and (size == 100 or rest < 100) else " "
    return f"{number_words(number // size)} {word}" + (f"{joint}{number_words(rest)}" if rest else "")


_SIGNS = {"EUR": "€", "GBP": "£", "USD": "$"}
_COINS = {
    "EUR": ("euros", "euro", "eur", "€"),
    "GBP": ("pounds", "quid", "gbp", "£", "pound"),
    "USD": ("dollars", "bucks", "usd", "$", "dollar"),
    "CHF": ("francs", "swiss francs", "chf"),
    "JPY": ("yen", "jpy"),
    "INR": ("rupees", "inr"),
}


def plain(text: str) -> str:
    """Write an identifier or an enum value as words.

    >>> plain("video_conference"), plain("Oak"), plain("in-transit")
    ('video conference', 'Oak', 'in transit')
    """
    if "_" in text or "-" in text or (text[:1].islower() and text.lower() != text):
        return " ".join(words_of(text))
    return text


def _numbers(value: float) -> list[str]:
    digits = f"{value:g}" if isinstance(value, float) and abs(value) < 1e6 else str(value)
    ways = [digits]
    if isinstance(value, float) and not value.is_integer():
        ways.append(f"{value:.2f}")
        return ways
    whole = int(value)
    if 0 <= whole <= 20:
        ways += [number_words(whole)] * 2
    elif 20 < whole < 1_000_000 and (whole % 10 == 0 or whole < 100):
        ways.append(number_words(whole))
    if whole >= 1000:
        ways.append(f"{whole:,}")
        if whole % 100 == 0:
            ways.append(f"{whole / 1000:g}k")
    return ways


_WEEKDAYS = [day.lower() for day in calendar.day_name]


def _ordinal(day: int) -> str:
    return f"{day}{'th' if 4 <= day <= 20 else {1: 'st', 2: 'nd', 3: 'rd'}.get(day % 10, 'th')}"


@lru_cache(maxsize=16384)
def _dates(value: str, today: date | None) -> tuple[str, ...]:
    try:
        day = date.fromisoformat(value)
    except ValueError:
        return (value,)
    month, short = calendar.month_name[day.month], calendar.month_abbr[day.month]
    dated = [f"{day.day} {month}", f"{month} {day.day}", f"{month} {_ordinal(day.day)}", f"the {_ordinal(day.day)} of {month}",
             f"{day.day} {short}", f"{short} {day.day}", f"{_ordinal(day.day)} {month}", f"{_ordinal(day.day)} of {month}"]  # fmt: skip
    full = [f"{way} {day.year}" for way in dated] + [
        value,
        f"{month} {day.day}, {day.year}",
        f"{day.day}.{day.month}.{day.year}",
    ]
    if today is None:
        return tuple(full)
    ahead = (day - today).days
    if not 0 <= ahead < 365:
        return tuple(full)
    near: list[str] = {
        0: ["today", "today", "tonight", "this evening"],
        1: ["tomorrow", "tomorrow", "tmrw", "tomorrow"],
    }.get(ahead, [])
    if 1 <= ahead <= 7:
        weekday = _WEEKDAYS[day.weekday()]
        cased = weekday.title()
        near += [weekday, cased, cased, f"this {cased}", cased[:3], f"next {cased}"]
    if 2 <= ahead <= 6:
        near.append(f"in {number_words(ahead)} days")
    if 1 < ahead < 28 and day.month == today.month:
        near.append(f"the {_ordinal(day.day)}")
    return tuple(near + dated[: 2 if near else None] if near else dated + [value])


@lru_cache(maxsize=4096)
def _clock(value: str) -> tuple[str, ...]:
    try:
        hour, minute = int(value[:2]), int(value[3:5])
    except ValueError:
        return (value,)
    half, twelve = ("am" if hour < 12 else "pm"), (hour % 12 or 12)
    ways = [
        f"{hour}:{minute:02}",
        f"{hour:02}:{minute:02}",
        f"{twelve}:{minute:02} {half}",
        f"{twelve}:{minute:02}{half}",
    ]
    part = "in the morning" if hour < 12 else "in the afternoon" if hour < 18 else "in the evening"
    if minute == 0:
        ways += [str(hour)] if 7 <= hour <= 12 else []
        ways += [
            f"{twelve}{half}",
            f"{twelve}{half}",
            f"{twelve} {half}",
            f"{twelve} {part}",
            f"{_ONES[twelve]} {part}",
            f"{twelve} o'clock {part}",
        ]
        ways += ["noon", "midday", "12 noon"] if hour == 12 else ["midnight"] if hour == 0 else []
    elif minute == 30:
        ways += [f"half past {_ONES[twelve]} {part}", f"{twelve}.30{half}"]
    elif minute in (15, 45):
        near = _ONES[twelve] if minute == 15 else _ONES[twelve % 12 + 1]
        ways.append(f"quarter {'past' if minute == 15 else 'to'} {near} {part}")
    return tuple(ways)


def _moments(value: str, today: date | None) -> list[str]:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return [value]
    days, times = _dates(moment.date().isoformat(), today), _clock(f"{moment:%H:%M}")
    return [f"{day} at {time}" for day, time in zip(days, times * 9, strict=False)] + [value]


def _strings(schema: Mapping[str, JSON], name: str, value: str, today: date | None) -> list[str]:
    form = form_of(schema)
    if form == "date":
        return list(_dates(value, today))
    if form == "date-time":
        return _moments(value, today)
    if form in ("time", "clock"):
        return list(_clock(value)) + ([value] if form == "time" else [])
    if "enum" in schema or "const" in schema:
        if value in _COINS and "urrency" in name + str(schema.get("description", "")):
            return [value, *_COINS[value][:3]]
        return [plain(value)]
    return [value]


_HOURS = {
    30: ("half an hour", "30m"), 60: ("an hour", "1 hour", "one hour", "1h"), 90: ("an hour and a half", "90 min", "1.5 hours"),
    45: ("three quarters of an hour",),
}  # fmt: skip
"""How minutes are said that are no number of minutes."""


def _measured(value: float, unit: str) -> list[str]:
    """List the ways to say a number with its unit, and the number alone."""
    digits = f"{value:g}" if isinstance(value, float) and abs(value) < 1e6 else str(value)
    said = MEASURES[unit]
    ways = [
        f"{sign}{digits}" if sign in "$€£" else digits + sign if sign == "%" else f"{digits} {sign}" for sign in said
    ]
    if value == int(value) and 0 <= value < 100 and said[0] != "%":
        ways.append(f"{number_words(int(value))} {said[0]}")
    if unit == "minutes" and value == int(value):
        if value % 60 == 0 and value > 60:
            hours = int(value) // 60
            ways += [f"{hours} hours", f"{hours}h", f"{number_words(hours)} hours"]
        ways += _HOURS.get(int(value), ())
    if value == 1:
        ways = [singular(way) for way in ways]
    return [*ways, digits]


_READ_OUT = (["year"], ["id"], ["number"], ["no"], ["code"])
"""How the names of numbers end that are read out as they are written: no amounts."""


def sayings(schema: Mapping[str, JSON], name: str, value: JSON, today: date | None = None) -> list[str]:
    """List the ways in which people say `value` (a string or a number), the usual ones first.

    `schema` is resolved; `today` makes relative dates possible. Other values have no sayings.

    >>> sayings({"type": "string", "format": "date"}, "day", "2026-11-23", date(2026, 11, 22))[0]
    'tomorrow'
    """
    if isinstance(value, str):
        return _strings(schema, name, value, today)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return []
    if words_of(name)[-1:] in _READ_OUT:
        return [str(value)]
    unit = unit_of(name, schema)
    return _measured(value, unit) if unit else [*_numbers(value), *_sums(value, name)]


_MONEY = frozenset(
    (
        "price",
        "cost",
        "budget",
        "fee",
        "salary",
        "payment",
        "rent",
        "fare",
        "income",
        "revenue",
        "debt",
        "deposit",
        "investment",
    )
)
"""Words in the names of numbers that are sums of money, though nothing tells the currency."""


def _sums(value: float, name: str) -> list[str]:
    if not _MONEY & set(words_of(name)):
        return []
    digits = f"{value:,}"
    return [f"${digits}", f"€{digits}", f"£{digits}", f"{digits} dollars", f"{digits} euros"]


def amount_sayings(number: float, currency: str) -> list[str]:
    """List the ways to say a sum of money in a currency given by its code.

    >>> amount_sayings(20, "EUR")[:3]
    ['20 EUR', '20 euros', '20 euro']
    """
    digits = f"{number:,.2f}" if isinstance(number, float) and not number.is_integer() else f"{number:g}"
    ways = [f"{digits} {currency}", *(f"{digits} {coin}" for coin in _COINS.get(currency, ())[:3])]
    if currency in _SIGNS:
        ways += [f"{_SIGNS[currency]}{digits}", f"{digits}{_SIGNS[currency]}", f"{_SIGNS[currency]}{digits}"]
    return ways

"""What kinds of things words are known to be: countries, towns, given names, months, numbers, as lists tell.

Lists of names are what a tagger knows of the world beyond its pairs (Ratinov and Roth 2009, "Design challenges and misconceptions in
named entity recognition": gazetteers). They come from faker, geography and people's names, and from the calendar; what a word is on a
list does not say what it is in a request ("Paris" the town, the given name), only what it may be.
"""

import calendar
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from schematune.schemas.pools import pool

__all__ = ["kinds_of"]

_WORD = re.compile(r"\w+|[^\w\s]")
_LONGEST = 5
"""Words of the longest name that is looked for."""

_NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen "
    "twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million half dozen couple"
)
_ORDINALS = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth last next"
_DAYS = "today tomorrow tonight yesterday now soon later weekend midnight noon midday"
_PARTS = "morning afternoon evening night am pm a.m p.m o'clock oclock"
_SPANS = "second seconds minute minutes hour hours day days week weeks month months year years decade century"


def _listed() -> Iterator[tuple[str, str]]:
    from faker.providers.address.en import Provider as Countries
    from faker.providers.address.en_US import Provider as States
    from faker.providers.color import Provider as Colors
    from faker.providers.geo import Provider as Towns
    from faker.providers.person.en import Provider as Names

    yield from (("country", name) for name in Countries.countries)
    yield from (("state", name) for name in States.states)
    yield from (("town", name) for _, _, name, _, _ in Towns.land_coords)
    yield from (("given", name) for name in Names.first_names)
    yield from (("family", name) for name in Names.last_names)
    yield from (("language", name) for name in pool("language"))
    yield from (("color", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)) for name in Colors.all_colors)
    for kind, words in (
        ("number", _NUMBERS),
        ("ordinal", _ORDINALS),
        ("day", _DAYS),
        ("part", _PARTS),
        ("span", _SPANS),
    ):
        yield from ((kind, word) for word in words.split())
    yield from (("month", name) for name in (*calendar.month_name, *calendar.month_abbr) if name)
    yield from (("weekday", name) for name in (*calendar.day_name, *calendar.day_abbr))


@lru_cache(maxsize=1)
def _lists() -> dict[tuple[str, ...], frozenset[str]]:
    found: dict[tuple[str, ...], set[str]] = {}
    for kind, name in _listed():
        found.setdefault(tuple(_WORD.findall(name.lower())), set()).add(kind)
    return {words: frozenset(kinds) for words, kinds in found.items() if 0 < len(words) <= _LONGEST}


@lru_cache(maxsize=1)
def _codes() -> frozenset[str]:
    from faker.providers.address.en_US import Provider as States

    return frozenset(States.states_abbr)


def kinds_of(words: Sequence[str]) -> list[frozenset[str]]:
    """Return for each word what it is known to be a name of, or (with a `+`) to go on with one that began before it.

    >>> [sorted(kinds) for kinds in kinds_of(["to", "New", "Zealand", "in", "May"])]
    [[], ['country'], ['country+'], [], ['given', 'month']]
    """
    low, known = [word.lower() for word in words], _lists()
    found: list[set[str]] = [set() for _ in words]
    for place, word in enumerate(words):
        if word in _codes():
            found[place].add("code")
        for size in range(min(_LONGEST, len(words) - place), 0, -1):
            kinds = known.get(tuple(low[place : place + size]), frozenset())
            for kind in kinds:
                if f"{kind}+" not in found[place]:
                    found[place].add(kind)
                    for later in range(place + 1, place + size):
                        found[later].add(f"{kind}+")
    return [frozenset(kinds) for kinds in found]

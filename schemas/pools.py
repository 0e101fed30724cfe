"""Pools of realistic values, of one locale or of several: from faker, seeded, made once per process."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache

from faker import Faker
from faker.config import AVAILABLE_LOCALES

from schematune.schemas.errors import SchemaError

__all__ = ["known_locales", "local_to", "pool"]

_LOCALES = ("en_US", "en_GB", "de_DE", "fr_FR", "es_ES", "it_IT", "en_IN", "nl_NL", "pl_PL")
_MAKERS: dict[str, tuple[str, int]] = {
    "person": ("name", 1200), "first_name": ("first_name", 800), "city": ("city", 1200), "country": ("country", 200),
    "company": ("company", 800), "street": ("street_address", 600), "email": ("email", 800), "job": ("job", 400),
    "word": ("word", 900), "color": ("color_name", 120), "currency": ("currency_code", 60), "url": ("url", 300),
    "phone": ("phone_number", 400), "file": ("file_name", 400), "phrase": ("catch_phrase", 600),
    "language": ("language_name", 150), "state": ("state", 300), "state_code": ("state_abbr", 300), "sentence": ("sentence", 500), "product": ("bs", 500),
}  # fmt: skip


_LOCAL = frozenset(("person", "first_name", "city", "company", "street"))
_LOCAL_TOO = _LOCAL | {"email", "phone", "state", "job"}
"""Kinds that are another locale's where one is asked for."""

_ASKED: ContextVar[tuple[str, ...]] = ContextVar("locales", default=())


def known_locales(locale: str | Sequence[str]) -> tuple[str, ...]:
    """Return one locale or several, as a tuple; raises `SchemaError` for one that faker does not have.

    >>> known_locales("nl_NL"), known_locales(())
    (('nl_NL',), ())
    """
    locales = (locale,) if isinstance(locale, str) else tuple(locale)
    for locale in locales:
        if locale not in AVAILABLE_LOCALES:
            same = sorted(name for name in AVAILABLE_LOCALES if name[:2] == locale[:2].lower())
            fix = f"like {', '.join(same) or 'de_DE'}"
            raise SchemaError(f"there is no locale {locale!r}", where="locale", fix=fix)
    return locales


@contextmanager
def local_to(locales: tuple[str, ...]) -> Iterator[None]:
    """Draw names of people, towns, companies, streets, ... as they are in known locales, as long as this lasts; by default in several.

    >>> with local_to(known_locales("nl_NL")):
    ...     len(pool("city")) > 50, pool("city") == pool("street")
    (True, False)
    """
    token = _ASKED.set(locales)
    try:
        yield
    finally:
        _ASKED.reset(token)


def pool(kind: str) -> tuple[str, ...]:
    """Return realistic values of one kind (`person`, `city`, `company`, `email`, ...), always the same ones.

    >>> len(pool("country")) > 50
    True
    """
    asked = _ASKED.get()
    local = kind in (_LOCAL_TOO if asked else _LOCAL)
    return _pool(kind, (asked or _LOCALES) if local else ("en_US",))


@lru_cache(maxsize=256)
def _pool(kind: str, locales: tuple[str, ...]) -> tuple[str, ...]:
    maker, size = _MAKERS[kind]
    values: dict[str, None] = {}
    for locale in locales:
        fake = Faker(locale)
        fake.seed_instance(f"{kind}-{locale}")
        for provider in fake.get_providers():
            if isinstance(getattr(provider, "cities", None), list):  # made of a set: another order in each process
                provider.cities = sorted(provider.cities)
        make = getattr(fake, maker, None)
        if make is None:  # not every locale has states
            continue
        for _ in range(size // len(locales)):
            values[str(make()).replace("\n", ", ")] = None
    return tuple(values) or _pool(kind, ("en_US",))

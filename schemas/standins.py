"""Stand-ins for personal data: of the same kind and shape, valid where the original was, and never the original.

They are drawn in the order in which originals turn up, not computed from them: who knows the seed but not the
texts learns nothing.
"""

import ipaddress
import random
import re
import string
from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from importlib import import_module

from schematune.schemas.errors import ExampleError
from schematune.schemas.names import PARTICLES, first_names, last_names
from schematune.schemas.personal import read_day, stdnum

__all__ = ["StandIns"]

TRIES = 4000
"""Numbers drawn until one has a right checksum."""

_MONTHS = "January February March April May June July August September October November December".split()
_STREETS = "Maple Cedar Harbour Mill Station Garden Linden Orchard Bridge Chapel Meadow Castle Spring Forge Willow Granary Quarry Beacon".split()
_PLAIN = ("calle avenida plaza paseo via viale piazza corso rua ulica rue boulevard place chemin impasse quai cours de del della di la le les los "
          "las du des dei da do l d st street rd road ave avenue ln lane dr drive way ct court sq square blvd terrace crescent close pl parkway "
          "highway row mews n s e w north south east west apt apartment suite unit flat bis ter p o po box ul str straße strasse weg allee "
          "platz gasse").split()  # fmt: skip
_ENDINGS = re.compile(r"(?i)(straße|strasse|str|weg|allee|platz|gasse|damm|ufer|straat|laan|gracht|plein|kade)$")


class StandIns:
    """Gives each original its stand-in: the same one every time.

    >>> given = StandIns(random.Random(0))
    >>> one = given("email", "Ada@Lovelace.org", "ada@lovelace.org")
    >>> one == given("email", "Ada@Lovelace.org", "ada@lovelace.org") != "Ada@Lovelace.org"
    True
    """

    def __init__(self, rng: random.Random) -> None:
        """See the class."""
        self.rng = rng
        self._known: dict[tuple[str, str], str] = {}
        self._used: set[tuple[str, str]] = set()

    def __reduce__(self) -> str:
        """Refuse to be written: who has the originals' stand-ins has the originals."""
        raise ExampleError("stand-ins are not written to disk", where="StandIns", fix="make them anew with a seed")

    def __call__(self, kind: str, text: str, key: str) -> str:
        """Return what stands for `text`, which has the `key` that all ways of writing it share."""
        if kind == "person":
            return self._person(text)
        if kind == "birth_date":
            return self._day(text, key)
        drawn = self._drawn(kind, key, lambda: _MAKERS[kind](self.rng, text, key))
        if kind in ("iban", "card", "national_id"):
            return _written_as(text, drawn)
        if kind == "phone":
            return _phone_as(text, drawn)
        return drawn.lower() if text.islower() else drawn

    def _drawn(self, kind: str, key: str, make: Callable[[], str]) -> str:
        """Return what is known to stand for a key, or something new that stands for nothing else."""
        if (kind, key) not in self._known:
            drawn = make()
            for _ in range(50):
                if (kind, drawn.casefold()) not in self._used and drawn.casefold() != key.casefold():
                    break
                drawn = make()
            self._known[kind, key] = drawn
            self._used |= {(kind, drawn.casefold()), (kind, key.casefold())}
        return self._known[kind, key]

    def _person(self, text: str) -> str:
        """Replace a name word by word, so that a first name alone is the same as in the whole name."""
        words = list(re.finditer(r"[^\W\d_]+(?:['’-][^\W\d_]+)*", text))
        said = [word[0] for word in words if len(word[0]) > 1 and word[0].casefold() not in PARTICLES]

        def other(match: re.Match[str]) -> str:
            word, folded = match[0], match[0].casefold()
            if word not in said:
                return word
            first = word == said[0] and not (len(said) == 1 and folded not in first_names())
            names = first_names() if first else last_names()
            locale = names.get(folded, "en_US")
            stand_in = self._drawn("name", folded, lambda: self.rng.choice(_names(locale, first)))
            return _cased_as(word, stand_in)

        return re.sub(r"[^\W\d_]+(?:['’-][^\W\d_]+)*", other, text)

    def _day(self, text: str, key: str) -> str:
        """Replace a day of birth; one that was seen in another form is known again, even where it can be read twice."""
        day = read_day(text)
        if day is None:
            return text
        other = _swapped(text, day)
        if other and ("birth_date", key) not in self._known and ("birth_date", other.isoformat()) in self._known:
            day = other
        drawn = self._drawn("birth_date", day.isoformat(), lambda: _near(self.rng, day))
        return _day_as(text, day, date.fromisoformat(drawn))


def _names(locale: str, first: bool) -> list[str]:
    provider = import_module(f"faker.providers.person.{locale}").Provider
    listed = getattr(provider, "first_names" if first else "last_names", ())
    names = sorted(
        {name for name in (listed if isinstance(listed, Iterable) else ()) if re.fullmatch(r"[^\W\d_]{3,}", name)}
    )
    return names if len(names) > 50 else _names("en_US", first)


def _cased_as(original: str, text: str) -> str:
    if original.isupper() and len(original) > 1:
        return text.upper()
    return text.lower() if original.islower() else text


def _alike(rng: random.Random, text: str, *, keep: int = 0) -> str:
    """Return a text of the same classes of letters, letter by letter, its beginning kept."""
    return text[:keep] + "".join(_like(rng, letter) for letter in text[keep:])


def _like(rng: random.Random, letter: str) -> str:
    if letter.isdigit():
        return rng.choice(string.digits)
    if letter.isalpha():
        return rng.choice(string.ascii_uppercase if letter.isupper() else string.ascii_lowercase)
    return letter


def _written_as(original: str, plain: str) -> str:
    """Put plain letters and digits into the shape of the original: its spaces, dashes and case.

    >>> _written_as("de89 3704-00", "FR112233")
    'fr11 2233-00'
    """
    left = iter(plain)
    return "".join(_case(letter, next(left, letter)) if letter.isalnum() else letter for letter in original)


def _case(original: str, letter: str) -> str:
    return letter.lower() if original.islower() else letter.upper() if original.isupper() else letter


def _secret(rng: random.Random, text: str, key: str) -> str:
    prefix = re.match(r"(?:[A-Za-z]+[-_])+|AKIA|ASIA|AIza|eyJ|SG\.|-----BEGIN [A-Z ]+-----", text)
    if text.startswith("-----"):
        head, body, tail = re.split(r"(?<=KEY-----)|(?=-----END)", text, maxsplit=2)
        return head + _alike(rng, body) + tail
    return _alike(rng, text, keep=min(prefix.end() if prefix else 0, len(text) - 4))


def _email(rng: random.Random, text: str, key: str) -> str:
    local, _, host = text.partition("@")
    parts = re.split(r"([\W\d_]+)", local)
    pool = [name for name in _names("en_US", True) if name.isascii()]
    new = "".join(
        _cased_as(part, rng.choice(pool)) if len(part) > 1 and part.isalpha() else _alike(rng, part) for part in parts
    )
    return f"{new}@example.{rng.choice(('com', 'org', 'net'))}"


def _iban(rng: random.Random, text: str, key: str) -> str:
    iban = stdnum("iban")
    found = ""
    for _ in range(TRIES):
        body = _alike(rng, key[4:])
        found = key[:2] + str(iban.calc_check_digits(key[:2] + "00" + body)) + body
        if iban.is_valid(found, check_country=iban.is_valid(key)):
            break
    return found


def _card(rng: random.Random, text: str, key: str) -> str:
    body = key[:2] + _alike(rng, key[2:-1])
    return body + str(stdnum("luhn").calc_check_digit(body))


def _national_id(rng: random.Random, text: str, key: str) -> str:
    name, _, plain = key.partition(":")
    valid = stdnum(name).is_valid
    for keep in (0, len(plain) // 2, len(plain) - 5):
        for _ in range(TRIES):
            drawn = _alike(rng, plain, keep=keep)
            drawn = drawn if name != "es.nie" else plain[0] + drawn[1:]
            if drawn != plain and valid(_written_as(text, drawn)):
                return drawn
    return _alike(rng, plain)


def _phone(rng: random.Random, text: str, key: str) -> str:
    """Draw other last digits, the country's and the area's kept; returns the number as E.164."""
    if not key.startswith("+"):
        return _alike(rng, key, keep=min(3, len(key) - 5))
    library = import_module("phonenumbers")
    national = str(library.parse(key).national_number)
    keep = len(key) - min(7, max(4, len(national) - 3))
    drawn = key
    for _ in range(200):
        drawn = _alike(rng, key, keep=keep)
        if drawn != key and library.is_valid_number(library.parse(drawn)):
            break
    return drawn


def _phone_as(text: str, drawn: str) -> str:
    """Write a drawn number's last digits into the shape of the original; an extension stays.

    >>> _phone_as("(415) 555-2671 x3", "+14155550199")
    '(415) 555-0199 x3'
    """
    number = re.split(r"(?i)\s*(?:x|ext)\.?\s*\d+$", text)[0]
    places = [place for place, letter in enumerate(number) if letter.isdigit()]
    letters = list(text)
    for place, digit in zip(reversed(places), reversed(drawn.lstrip("+")), strict=False):
        letters[place] = digit
    return "".join(letters)


def _ip(rng: random.Random, text: str, key: str) -> str:
    known = ipaddress.ip_address(key)
    if known.version == 6:
        return ":".join(["2001", "db8", *(f"{rng.randrange(1, 65536):x}" for _ in range(6))])
    parts = key.split(".")
    if known.is_private:
        return ".".join([*parts[:2], str(rng.randrange(256)), str(rng.randrange(1, 255))])
    return f"{rng.choice(('192.0.2', '198.51.100', '203.0.113'))}.{rng.randrange(1, 255)}"


def _address(rng: random.Random, text: str, key: str) -> str:
    """Replace a street's name and its numbers; the words that say what it is stay."""

    def other(match: re.Match[str]) -> str:
        word = match[0]
        if word[0].isdigit():
            return str(rng.randint(1, 9)) + _alike(rng, word[1:])
        if word.casefold() in _PLAIN:
            return word
        ending = _ENDINGS.search(word)
        stem = rng.choice(_STREETS) + (ending[0] if ending and ending.start() else "")
        return _cased_as(word, stem)

    return re.sub(r"\w+", other, text)


def _swapped(text: str, day: date) -> date | None:
    """Return the other reading of a date of which two numbers may be the month."""
    if not re.fullmatch(r"\d{1,2}[/-]\d{1,2}[/-]\d{2,4}", text) or day.day > 12:
        return None
    return date(day.year, day.day, day.month)


def _near(rng: random.Random, day: date) -> str:
    return (day + timedelta(rng.choice((-1, 1)) * rng.randint(30, 900))).isoformat()


def _day_as(text: str, day: date, new: date) -> str:
    """Write a new date as the old one is written.

    >>> _day_as("3rd of May 1984", date(1984, 5, 3), date(1985, 12, 22))
    '22nd of December 1985'
    """
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        return new.isoformat()
    numbers = re.findall(r"\d+", text)
    first, last = int(numbers[0]), numbers[-1]
    if len(numbers) == 2:
        values = [new.day, new.year]
    else:
        by_day = first == day.day and (first != day.month or "." in text)
        year = new.year if len(last) == 4 else new.year % 100
        values = [new.day, new.month, year] if by_day else [new.month, new.day, year]
    left = iter(values)
    text = re.sub(
        r"\d+",
        lambda match: str(next(left)).zfill(len(match[0]) if len(numbers) == 3 or match[0][0] == "0" else 1),
        text,
    )
    text = re.sub(r"(?<=\d)(?:st|nd|rd|th)\b", _ordinal(new.day), text)
    return re.sub(r"[A-Za-z]{3,}", lambda match: _month_as(match[0], new.month), text)


def _month_as(word: str, month: int) -> str:
    """Return another month's name as long as the one given; other words stay."""
    named = next((name for name in _MONTHS if name.casefold().startswith(word.casefold()[:3])), "")
    full = _MONTHS[month - 1]
    return _cased_as(word, full if word.casefold() == named.casefold() else full[:3]) if named else word


def _ordinal(number: int) -> str:
    return "th" if 10 < number % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")


_MAKERS: Mapping[str, Callable[[random.Random, str, str], str]] = {
    "secret": _secret,
    "url": _secret,
    "email": _email,
    "iban": _iban,
    "card": _card,
    "national_id": _national_id,
    "phone": _phone,
    "ip": _ip,
    "address": _address,
}

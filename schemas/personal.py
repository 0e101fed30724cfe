"""Personal data in texts: where it stands, of which kind, and what makes two of them the same.

Phone numbers are found by `phonenumbers`, checksums done by `python-stdnum` (the extra `schematune[privacy]`), names by
`schematune.schemas.names`; the rest by its form. What looks alike but is none (order numbers, versions, amounts)
is told by the words before it. Nothing is guessed by a model, so what no rule knows is missed.
"""

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from importlib import import_module
from typing import Any

from schematune.schemas.errors import ExampleError
from schematune.schemas.lexicon import words_of
from schematune.schemas.names import find_names, is_name

__all__ = ["KINDS", "Found", "find", "kind_of_argument", "read_day", "stdnum"]

KINDS = ("url", "secret", "email", "iban", "birth_date", "national_id", "card", "phone", "ip", "address", "person")
"""The kinds, in the order in which they are looked for: what one has found the next ones leave."""

REGIONS = ("US", "GB", "DE", "FR")
"""Regions whose phone numbers are found without a country code."""


@dataclass(frozen=True)
class Found:
    """A piece of personal data: its kind, offsets, and a key that all ways of writing it share."""

    kind: str
    start: int
    end: int
    key: str


def stdnum(name: str) -> Any:
    """Return a module of python-stdnum; raises `ExampleError` where the extra is missing."""
    try:
        return import_module(f"stdnum.{name}")
    except ImportError as error:
        raise ExampleError("the package python-stdnum is missing", fix='pip install "schematune[privacy]"') from error


def _phonenumbers() -> Any:
    try:
        return import_module("phonenumbers")
    except ImportError as error:
        raise ExampleError("the package phonenumbers is missing", fix='pip install "schematune[privacy]"') from error


_SECRET = re.compile(
    r"\b(?:sk|pk|rk)[-_](?:live[-_]|test[-_]|proj-|ant-)?[A-Za-z0-9_-]{16,}|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_\w{20,}"
    r"|\bglpat-[\w-]{16,}|\bhf_[A-Za-z0-9]{16,}|\bxox[abprs]-[A-Za-z0-9-]{10,}|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bAIza[\w-]{30,}"
    r"|\bnpm_[A-Za-z0-9]{20,}|\bpypi-[\w-]{20,}|\bSG\.[\w-]{16,}\.[\w-]{16,}|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]+?-----END [A-Z ]*PRIVATE KEY-----"
)
_SECRET_SAID = re.compile(
    r"(?i)\b(?:password|passwd|passphrase|pwd|api[ _-]?key|access[ _-]?token|auth[ _-]?token|token|secret(?:[ _-]?key)?|bearer)"
    r"(?:\s+is|\s*[:=]|\s)\s*[\"'`]?([^\s\"'`,;]{6,})"
)
_URL = re.compile(
    r"(?i)\b[a-z][a-z0-9+.-]*://(?:(?P<user>[^\s:/@]+):(?P<word>[^\s/@]+)@)[^\s\"'<>]*|"
    r"\bhttps?://[^\s\"'<>?]+\?[^\s\"'<>]*?(?:token|key|password|secret|sig|signature|auth)=(?P<value>[^\s&\"'<>]{6,})"
)
_EMAIL = re.compile(r"[\w.+%-]*\w@[^\W_](?:[\w-]*[^\W_])?(?:\.[^\W_][\w-]*)*\.[^\W\d_]{2,}")
_IBAN = re.compile(r"\b[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]{4}){2,7}(?:[ -]?[A-Za-z0-9]{1,3})?\b")
_CARD = re.compile(r"(?<![\w.])\d(?:[ -]?\d){12,18}(?![\w])")
_NO_CARD = re.compile(
    r"(?i)(?:serial|imei|isbn|tracking|parcel|part|order|invoice|ticket)(?: ?(?:no\.?|number|id|#|is))*:?\s*$"
)
_NETWORK = re.compile(r"4|5[1-5]|2[2-7]|3[47]|6011|64[4-9]|65|35|30[0-5]|36|38")
_IDS: tuple[tuple[str, str, bool], ...] = (
    ("us.ssn", r"\d{3}-\d{2}-\d{4}", False),
    ("us.ssn", r"\d{9}", True),
    ("es.dni", r"\d{8}-?[A-Z]", False),
    ("es.nie", r"[XYZ]-?\d{7}-?[A-Z]", False),
    ("it.codicefiscale", r"[A-Z]{6}\d{2}[A-EHLMPR-T]\d{2}[A-Z]\d{3}[A-Z]", False),
    ("fr.nir", r"[12] ?\d{2} ?\d{2} ?\d[\dAB] ?\d{3} ?\d{3} ?\d{2}", False),
    ("ch.ssn", r"756\.\d{4}\.\d{4}\.\d{2}", False),
    ("br.cpf", r"\d{3}\.\d{3}\.\d{3}-\d{2}", False),
    ("se.personnummer", r"\d{6}(?:\d{2})?[-+]\d{4}", False),
    ("fi.hetu", r"\d{6}[-+A]\d{3}[0-9A-Y]", False),
    ("cn.ric", r"\d{17}[0-9X]", False),
    ("mx.curp", r"[A-Z]{4}\d{6}[HM][A-Z]{5}[A-Z0-9]\d", False),
    ("in_.aadhaar", r"\d{4} \d{4} \d{4}", False),
    ("nl.bsn", r"\d{9}", True),
    ("de.idnr", r"\d{2} ?\d{3} ?\d{3} ?\d{3}", True),
    ("pl.pesel", r"\d{11}", True),
    ("gb.nhs", r"\d{3} ?\d{3} ?\d{4}", True),
    ("tr.tckimlik", r"\d{11}", True),
    ("be.nn", r"\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}", False),
)  # fmt: skip
"""Modules of python-stdnum, how the number is written, and whether a word must say what it is."""

_ID_SAID = re.compile(
    r"(?i)(?:ssn|social security|bsn|burgerservicenummer|steuer-?id|steueridentifikationsnummer|idnr|tax id|pesel|nhs|"
    r"t\.?c\.?|kimlik|national (?:id|insurance)|identity|id card|personal number|citizen)\D{0,25}$"
)
_NO_PHONE = re.compile(
    r"(?i)(?:order|invoice|ticket|ref|reference|no|nr|number|id|code|account|tracking|parcel|isbn|sku|part|serial|model|case|"
    r"booking|confirmation|policy|version|v|#)[.:#]?\s*(?:no\.?|number|id|is|#|:)?\s*$"
)
_PHONE_SAID = re.compile(
    r"(?i)(?:phone|mobile|cell|tel|fax|whatsapp|sms|ring|call(?: \w+)? (?:on|at)|text|reach (?:me|her|him|them) (?:on|at)|"
    r"number is|hotline|handy|callback)\D{0,20}$|(?i:\bcall\b|\btext\b|\bdial\b)\s*$"
)
_IP4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w]|\.\d)")
_IP6 = re.compile(r"(?<![\w:])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])")
_VERSION_SAID = re.compile(
    r"(?i)(?:\bv|version|release|firmware|build|update to|upgrade to|section|chapter|clause)\.?\s*$"
)
_DAY = (
    r"\d{4}-\d{2}-\d{2}|\d{1,2}[./-]\d{1,2}[./-](?:\d{4}|\d{2})|"
    r"\d{1,2}(?:st|nd|rd|th|\.)?(?: of)? (?:MONTH)\.?,? \d{4}|(?:MONTH)\.? \d{1,2}(?:st|nd|rd|th)?,? \d{4}"
).replace("MONTH", "jan\\w*|feb\\w*|mar\\w*|apr\\w*|may|june?|july?|aug\\w*|sep\\w*|oct\\w*|nov\\w*|dec\\w*")
_DAY_ALONE = re.compile(_DAY, re.IGNORECASE)
_BIRTH = re.compile(
    rf"(?i)(?:\bborn|\bdate of birth|\bd\.?o\.?b\.?|\bbirth ?day(?! (?:party|dinner|cake|present|gift|card|lunch))|\bbirth ?date|\bgeburtsdatum|\bgeboren)\b[^\d\n]{{0,25}}?({_DAY})(?!\w)"
)
_SUFFIX = "street|st|road|rd|avenue|ave|lane|ln|drive|dr|way|court|ct|square|sq|boulevard|blvd|terrace|crescent|close|place|pl|parkway|highway|row|mews"
_ADDRESS = re.compile(
    rf"\b\d{{1,5}}[A-Za-z]?,? (?:(?:N|S|E|W|North|South|East|West)\.? )?(?:[A-Z0-9][\w'’.-]*,? ){{1,4}}(?i:{_SUFFIX})\b\.?"
    rf"(?:,? (?i:apt|apartment|suite|unit|flat|#)\.? ?\w{{1,5}})?"
    rf"|\b\d{{1,5}} (?:[a-z]+ ){{1,2}}(?:street|road|avenue|lane|drive|boulevard)\b"
    r"|\b[A-ZÄÖÜ][\wäöüß-]*(?:straße|strasse|str\.|weg|allee|platz|gasse|damm|ufer|straat|laan|gracht|plein|kade) \d{1,4}[a-z]?\b"
    r"|\b(?:[A-ZÄÖÜ][\wäöüß-]+(?:er|e) )(?:Straße|Strasse|Str\.|Weg|Allee|Platz) \d{1,4}[a-z]?\b"
    r"|\b\d{1,4}(?: bis| ter)?,? (?:rue|avenue|boulevard|place|chemin|impasse|quai|cours) (?:(?:de|du|des|la|le|les|l'|d') ?)*[A-ZÀ-Þ][\w'’-]*(?: [A-ZÀ-Þ][\w'’-]*)*"
    r"|\b(?:Calle|Avenida|Plaza|Paseo|Via|Viale|Piazza|Corso|Rua|Ulica|ul\.) (?:(?:de|del|la|los|las|di|della|dei|da|do) )*[A-ZÀ-Þ][\w'’-]*(?: [A-ZÀ-Þ][\w'’-]*)*,? \d{1,4}\b"
    r"|\b(?i:p\.? ?o\.? box) \d{2,6}\b"
)
_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()


def find(text: str, *, regions: tuple[str, ...] = REGIONS, kinds: tuple[str, ...] = KINDS) -> list[Found]:
    """Return the personal data in a text, in order, without overlaps.

    >>> [(one.kind, one.key) for one in find("mail anna@x.org or call +49 30 901820, order 4155550123")]
    [('email', 'anna@x.org'), ('phone', '+4930901820')]
    """
    return list(_find(text, regions, kinds))


@lru_cache(maxsize=256)  # the same text is looked at several times in a row
def _find(text: str, regions: tuple[str, ...], kinds: tuple[str, ...]) -> tuple[Found, ...]:
    found: list[Found] = []
    for kind in KINDS:
        for start, end, key in _finder(kind, text, regions) if kind in kinds else ():
            if start < end and all(end <= other.start or other.end <= start for other in found):
                found.append(Found(kind, start, end, key))
    return tuple(sorted(found, key=lambda one: one.start))


def _finder(kind: str, text: str, regions: tuple[str, ...]) -> Iterator[tuple[int, int, str]]:
    if kind == "phone":
        yield from _phones(text, regions)
    elif kind == "person":
        spans = sorted(set(find_names(text)), key=lambda span: span[0] - span[1])
        yield from ((start, end, text[start:end].casefold()) for start, end in spans)
    else:
        yield from _FINDERS[kind](text)


def _secrets(text: str) -> Iterator[tuple[int, int, str]]:
    for match in _SECRET.finditer(text):
        yield *match.span(), match[0]
    for match in _SECRET_SAID.finditer(text):
        word = match[1].rstrip(".!?")
        if re.search(r"\d", word) and re.search(r"[A-Za-z]", word) and "://" not in word and "@" not in word[1:-1]:
            yield match.start(1), match.start(1) + len(word), word


def _urls(text: str) -> Iterator[tuple[int, int, str]]:
    for match in _URL.finditer(text):
        for group in ("user", "word", "value"):
            if match[group]:
                yield *match.span(group), match[group]


def _emails(text: str) -> Iterator[tuple[int, int, str]]:
    for match in _EMAIL.finditer(text):
        yield *match.span(), match[0].casefold()


def _ibans(text: str) -> Iterator[tuple[int, int, str]]:
    iban = stdnum("iban")

    def valid(number: str) -> bool:
        return bool(iban.is_valid(number, check_country=False))

    for match in _IBAN.finditer(text):
        words = match[0]
        while len(words) > 14 and not valid(words) and " " in words:  # a word that follows may look like a part
            words = words.rpartition(" ")[0]
        if valid(words):
            yield match.start(), match.start() + len(words), re.sub(r"\W", "", words).upper()


def _cards(text: str) -> Iterator[tuple[int, int, str]]:
    valid = stdnum("luhn").is_valid
    for match in _CARD.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        told = _NO_CARD.search(text[: match.start()])
        if not told and _NETWORK.match(digits) and valid(digits) and len(set(digits)) > 1:
            yield *match.span(), digits


def _ids(text: str) -> Iterator[tuple[int, int, str]]:
    for name, form, said in _IDS:
        for match in re.finditer(rf"(?<![\w.-])(?:{form})(?![\w]|[ .-]\d)", text, re.IGNORECASE):
            if (not said or _ID_SAID.search(text[: match.start()])) and stdnum(name).is_valid(match[0]):
                yield *match.span(), f"{name}:{re.sub(r'[^0-9A-Za-z]', '', match[0]).upper()}"


def _phones(text: str, regions: tuple[str, ...]) -> Iterator[tuple[int, int, str]]:
    if sum(letter.isdigit() for letter in text) < 7:
        return
    library = _phonenumbers()
    for region in (None, *regions):
        for match in library.PhoneNumberMatcher(text, region):
            before = text[: match.start]
            grouped = re.search(r"\d[ ()./-]+\d", match.raw_string) is not None
            sure = match.raw_string.startswith(("+", "00")) or (grouped and not _NO_PHONE.search(before))
            if (sure or _PHONE_SAID.search(before)) and not _DAY_ALONE.match(match.raw_string):
                number = library.format_number(match.number, library.PhoneNumberFormat.E164)
                yield match.start, match.end, number


def _addresses_of_hosts(text: str) -> Iterator[tuple[int, int, str]]:
    for match in (*_IP4.finditer(text), *_IP6.finditer(text)):
        try:
            known = ipaddress.ip_address(match[0])
        except ValueError:
            continue
        plain = known.is_loopback or known.is_unspecified or known.is_multicast
        if not plain and not _VERSION_SAID.search(text[: match.start()]) and len(match[0]) > 4:
            yield *match.span(), str(known)


def _births(text: str) -> Iterator[tuple[int, int, str]]:
    for match in _BIRTH.finditer(text):
        day = read_day(match[1])
        if day:
            yield *match.span(1), day.isoformat()


def _streets(text: str) -> Iterator[tuple[int, int, str]]:
    for match in _ADDRESS.finditer(text):
        yield *match.span(), " ".join(re.findall(r"\w+", match[0].casefold()))


_FINDERS: Mapping[str, Any] = {
    "secret": _secrets,
    "url": _urls,
    "email": _emails,
    "iban": _ibans,
    "card": _cards,
    "national_id": _ids,
    "ip": _addresses_of_hosts,
    "birth_date": _births,
    "address": _streets,
}


def read_day(text: str) -> date | None:
    """Read a date as people write it; of two numbers that may both be the month the first is it (with dots, the second).

    >>> [str(read_day(day)) for day in ("3 May 1984", "05/03/1984", "3.5.1984", "May 3rd, 1984")]
    ['1984-05-03', '1984-05-03', '1984-05-03', '1984-05-03']
    """
    if not _DAY_ALONE.fullmatch(text.strip()):
        return None
    numbers = [int(number) for number in re.findall(r"\d+", text)]
    month = re.search(r"[A-Za-z]{3,}", re.sub(r"(?i)\d(st|nd|rd|th)|\bof\b", "", text))
    try:
        if re.match(r"\d{4}-", text):
            return date(*numbers)
        if month:
            return date(numbers[1], _MONTHS.index(month[0][:3].lower()) + 1, numbers[0])
        one, other, year = numbers
        year += 0 if year > 99 else 1900 if year > 30 else 2000
        return date(year, other, one) if "." in text or one > 12 else date(year, one, other)
    except (ValueError, IndexError):
        return None


_PEOPLE = frozenset(
    "person recipient attendee attendees guest guests patient employee customer client contact contacts assignee sender "
    "colleague participant participants passenger passengers invitee invitees surname firstname lastname fullname traveler travelers "
    "traveller travellers manager tenant beneficiary payee cardholder".split()
)  # fmt: skip


def kind_of_argument(name: str, value: str) -> str:
    """Tell by an argument's name and look of which kind its whole value is; empty where the name does not say.

    >>> kind_of_argument("customer_name", "Ada Lovelace"), kind_of_argument("city", "Paris")
    ('person', '')
    """
    words = words_of(name)
    last = words[-1] if words else ""
    people = last in _PEOPLE or (
        last == "name" and len(words) > 1 and words[-2] in _PEOPLE | {"first", "last", "full", "family", "given"}
    )
    if people and is_name(value, sure=False):
        return "person"
    if {"dob", "birth", "birthday", "birthdate"} & set(words) and read_day(value):
        return "birth_date"
    if last in ("password", "passwd", "secret", "passphrase", "pin") or words[-2:] in (
        ["api", "key"],
        ["access", "token"],
    ):
        return "secret"
    if {"phone", "mobile", "telephone", "tel", "fax", "cell"} & set(words) and re.fullmatch(
        r"[+\d][\d ()./-]{5,}\d", value
    ):
        return "phone"
    return (
        "address"
        if last in ("street", "address") and re.search(r"\d", value) and "@" not in value and "." not in value
        else ""
    )

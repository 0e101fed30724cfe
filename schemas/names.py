"""Names of people in texts, found by lists of first and last names (faker's) and by the words around them.

What is a name only sometimes (Paris, May, Mark, Grace) needs a cue: a title, "call ...", "my name is ...", a known
last name after it. A name in lower case is found after a cue only; one that no list has, after a title or an
introduction only.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib import import_module

from schematune.schemas.lexicon import ADJECTIVES, NOUNS, VERBS
from schematune.schemas.pools import pool

__all__ = ["PARTICLES", "find_names", "first_names", "is_name", "last_names"]

_LOCALES = (
    "en_US", "en_GB", "en_IE", "de_DE", "fr_FR", "es_ES", "es_MX", "it_IT", "en_IN", "nl_NL", "pl_PL", "pt_BR", "sv_SE",
    "no_NO", "da_DK", "fi_FI", "tr_TR", "cs_CZ", "hu_HU", "ro_RO", "hr_HR",
)  # fmt: skip

_RARER = (
    "pt_PT", "fr_BE", "nl_BE", "es_CL", "es_CO", "es_AR", "zh_CN", "zh_TW", "ja_JP", "vi_VN", "en_NG", "yo_NG", "ig_NG", "ha_NG",
    "en_PK", "ga_IE", "en_KE", "en_NZ", "lt_LT", "lv_LV", "et_EE", "sl_SI", "sk_SK", "de_AT", "fr_CA",
)  # fmt: skip
"""Locales whose first names need a last name or a cue."""

PARTICLES = frozenset("van von der den de del della di da dos la le el bin al zu ter ten".split())

_SOMETIMES = frozenset(
    """
    april may june august summer autumn dawn eve will mark bill rob sue pat drew grace hope faith joy rose lily ivy daisy
    iris violet ruby jade amber pearl crystal jack frank ernest miles chase grant hunter mason carter cooper page paige
    penny robin jay dean earl duke baron art guy gene ray max rich lance wade dale glen cliff heath brook river forest
    ocean star storm sky angel jesus marina rosa jose santiago paris london florence austin jordan sydney chelsea victoria
    charlotte madison savannah lincoln jackson houston dallas denver phoenix orlando carolina georgia virginia dakota asia
    india china chad israel kenya brittany lourdes milan verona valencia sofia geneva adelaide regina helena alexandria
    lorraine diego troy nancy vienna lima cairo rio roma cordoba leon trinidad bradford chester lancaster bristol preston
    wells york kent devon norfolk surrey essex hamilton wellington houston memphis jasper logan burton kingston clay reed
    stone bear wolf fox hawk golden royal prince princess king queen major general pope bishop judge sunny misty stormy
    siri alexa echo cortana mercedes lexus opel ford tesla honda nova delta omega alpha gemini mercury apollo atlas orion
    christmas easter monday sunday welcome thanks happy merry dear hello love honey sweetie baby buddy junior senior many
    cash banks price sterling sage basil rosemary ginger olive cherry clementine coco harmony melody symphony serenity
    destiny liberty justice independence constance patience prudence charity clarity trinity infinity genesis eden
    kim lee san santa saint notre dame grand mont monte lake fort port mount cape bay la las los le el de the
    """.split()
)  # fmt: skip
_NO_PERSON_AFTER = frozenset(
    """
    street st road rd avenue ave lane drive square place station airport hospital museum park hotel university college
    school church bridge tower hall house arena stadium beach bay island islands city county river lake mountain hills
    falls springs heights valley restaurant bar cafe pub grill kitchen bakery inc ltd gmbh corp llc group company airlines
    bank festival cup open award prize albert project report release edition line pro max mini plus ultra day week
    """.split()
)
_COMMON = (
    frozenset(NOUNS)
    | frozenset(ADJECTIVES)
    | frozenset(VERBS)
    | frozenset(
        """
        the a an and or of to in on at for with from by my your our their his her its it this that these those me you us
        him them she he we they who what when where why how yes no not is are was were be been am do does did can could
        should would please thanks hi hey hello good morning evening today tomorrow tonight yesterday monday tuesday
        wednesday thursday friday saturday sunday january february march april june july september october november
        december team support sales marketing finance legal staff all everyone everybody anyone nobody mom mum dad boss
        doctor dentist landlord kids wife husband friend friends colleagues english french german spanish italian dutch
        """.split()
    )
)  # fmt: skip

_CAP = r"[A-ZÀ-ÖØ-ÞŁŚŻŠŽČĐ][^\W\d_]*(?:['’-][^\W\d_]+)*"
_WORD = r"[^\W\d_]+(?:['’-][^\W\d_]+)*"
_NAME = rf"{_CAP}(?:\s+(?:(?:{'|'.join(sorted(PARTICLES))})\s+)*(?:[A-Z]\.\s+)?{_CAP}){{0,3}}"
_TITLED = re.compile(
    rf"\b(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Professor|Herr|Frau|Mme|Monsieur|Madame|Señora?|Signora?)\.?\s+({_NAME})"
)
_INTRODUCED = re.compile(
    rf"(?:(?i:\bmy (?:full )?name is|\bi am called|\bname\s*:|\bon behalf of|\b(?:kind |best |warm )?regards,|\bsincerely,"
    rf"|\bsigned,|\bcheers,)\s*)({_NAME})"
)
_INTRODUCED_LOWER = re.compile(rf"(?i:\bmy name is|\bmy name's)\s+({_WORD}(?:\s+{_WORD})?)")
_ADDRESSED = re.compile(
    rf"\b(?i:call|ring|phone|text|email|e-mail|mail|message|ping|invite|ask|tell|remind|thank|contact|notify|assign (?:it |this )?to|"
    rf"send (?:it |this )?to|forward (?:it |this )?to|meeting with|call with|lunch with|dinner with|chat with|share (?:it |this )?with|birthday of|"
    rf"i'm|i am|this is)\s+({_WORD}(?:\s+{_CAP})?)"
)
_CAPPED = re.compile(_NAME)
_INITIALLED = re.compile(rf"\b(?:[A-Z]\. ?){{1,3}}({_CAP})")


@lru_cache(maxsize=1)
def first_names() -> dict[str, str]:
    """Return known first names, folded, each with a locale that has it."""
    return _listed("first_names", "first_names_female", "first_names_male", "first_romanized_names")


@lru_cache(maxsize=1)
def last_names() -> dict[str, str]:
    """Return known last names, folded, each with a locale that has it."""
    return _listed("last_names", "last_romanized_names")


def _listed(*kinds: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for locale in (*_LOCALES, *_RARER):
        try:
            provider = import_module(f"faker.providers.person.{locale}").Provider
        except ImportError:  # not in every version
            continue
        listed = (getattr(provider, kind, ()) for kind in kinds)
        for name in (name for names in listed if isinstance(names, Iterable) for name in names):
            if len(name) > 1 and re.fullmatch(_WORD, name):
                found.setdefault(name.casefold(), locale)
    return found


@lru_cache(maxsize=1)
def _places() -> frozenset[str]:
    return frozenset(word.casefold() for name in pool("country") for word in name.split())


def is_name(text: str, *, sure: bool = True) -> bool:
    """Tell whether a text is a person's name; where it is said to be one anyway, it need not be `sure`.

    >>> is_name("Anna Schmidt"), is_name("Paris"), is_name("Paris", sure=False), is_name("sales team", sure=False)
    (True, False, True, False)
    """
    words = [word for word in re.findall(_WORD, text) if word.casefold() not in PARTICLES]
    if not 1 <= len(words) <= 5 or re.search(r"\d", text):
        return False
    folded = [word.casefold() for word in words]
    first, last = folded[0] in first_names(), folded[-1] in last_names()
    if sure:
        return _is_sure(words)
    known = any(word in first_names() or word in last_names() for word in folded)
    plain = all(word in _COMMON for word in folded)
    return (first or last or known or all(word[0].isupper() for word in words)) and not plain


def _is_sure(words: list[str]) -> bool:
    """Tell whether capitalised words are a name without any cue."""
    folded = [word.casefold() for word in words]
    doubtful = folded[0] in _SOMETIMES or folded[0] in _COMMON or folded[0] in _places()
    if folded[-1] in _NO_PERSON_AFTER or folded[0] not in first_names():
        return False
    if len(words) == 1:
        return not doubtful and len(folded[0]) > 2 and first_names()[folded[0]] in _LOCALES
    if folded[-1] in last_names():
        return not doubtful or (folded[0] in _SOMETIMES and folded[-1] not in _COMMON)
    return not doubtful and all(word not in _COMMON and word not in _places() for word in folded[1:])


def find_names(text: str) -> Iterator[tuple[int, int]]:
    """Yield where people are named, as offsets; spans may overlap.

    >>> said = "call April about Anna's table in Paris"
    >>> [said[slice(*span)] for span in find_names(said)]
    ['April', 'Anna']
    """
    for pattern in (_TITLED, _INTRODUCED):
        for match in pattern.finditer(text):
            yield _until_common(text, *match.span(1))
    for match in _INTRODUCED_LOWER.finditer(text):
        words = match[1].split()
        if words[0].casefold() not in _COMMON:
            many = len(words) == 2 and words[1].casefold() not in _COMMON
            yield match.start(1), match.start(1) + len(match[1] if many else words[0])
    for match in _ADDRESSED.finditer(text):
        first = match[1].split()[0]
        folded, upper = _bare(first).casefold(), first[0].isupper()
        common = folded in _COMMON and not (
            upper and folded in _SOMETIMES and not re.match(r"\s*\d", text[match.end() :])
        )
        if folded in first_names() and not common and (upper or folded not in _SOMETIMES):
            yield _until_common(text, match.start(1), match.end(1))
    for match in _INITIALLED.finditer(text):
        if match[1].casefold() not in _COMMON | _NO_PERSON_AFTER:
            yield match.start(), _unpossessed(text, match.end())
    for match in _CAPPED.finditer(text):
        yield from _named(text, match.start(), match.end())


def _named(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the name in a run of capitalised words; a run may begin with other words."""
    places = [(m.start() + start, m.end() + start) for m in re.finditer(_WORD, text[start:end])]
    for number, (begin, stop) in enumerate(places):
        for last in range(len(places) - 1, number - 1, -1):
            words = [_bare(text[slice(*place)]) for place in places[number : last + 1]]
            words = [word for word in words if word.casefold() not in PARTICLES and len(word) > 1]
            if words and _is_sure(words) and (last > number or not _leads_on(text, stop)):
                yield begin, _unpossessed(text, places[last][1])
                return


def _leads_on(text: str, end: int) -> bool:
    """Tell whether a word that makes the name a place's or a firm's follows."""
    follows = re.match(rf"\s+({_WORD})", text[end:])
    return follows is not None and follows[1][0].isupper() and follows[1].casefold() in _NO_PERSON_AFTER


def _until_common(text: str, start: int, end: int) -> tuple[int, int]:
    """Cut a name off before the first word that is no part of one."""
    for match in re.finditer(_WORD, text[start:end]):
        folded = _bare(match[0]).casefold()
        if match.start() and folded in _COMMON and folded not in last_names():
            end = start + len(text[start : start + match.start()].rstrip())
            break
    return start, _unpossessed(text, end)


def _bare(word: str) -> str:
    return re.sub(r"['’]s$", "", word)


def _unpossessed(text: str, end: int) -> int:
    return end - 2 if text[max(0, end - 2) : end] in ("'s", "’s") else end

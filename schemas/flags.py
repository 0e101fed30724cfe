"""How people say a flag: by what it means, not by its name and "true".

A description mostly says the meaning: "Whether the loan can be renewed", "If true, include details", "Ignore the rules
for this request". Where it does not, the words of the name do: a deed is asked for ("don't notify them"), a quality is
stated ("it should be private"), a thing is wanted with the rest or not ("without breakfast").
"""

import random
import re
from collections.abc import Mapping
from functools import lru_cache

from schematune.schemas.jsontext import JSON
from schematune.schemas.lexicon import ADJECTIVES, VERBS, words_of

__all__ = ["flag", "meaning", "switch"]

MEANT = 0.5
"""Share of the flags said in the description's words, where it has a meaning."""

_EMPTY = {
    "is",
    "has",
    "have",
    "with",
    "include",
    "includes",
    "should",
    "be",
    "are",
    "enable",
    "enabled",
    "allow",
    "get",
    "show",
    "needs",
    "flag",
}
_DEEDS = {"notify", "ignore", "skip", "use", "force", "overwrite", "confirm", "remember", "keep", "return", "recurse", "preview", "exclude",
          "replace", "insert", "append", "expand", "follow", "wait", "retry", "validate", "strip", "apply", "highlight", "group", "wrap", "hide"}  # fmt: skip
_QUALITY = re.compile(r".*(?:able|ible|ed|ful|less|ive|al|ous|ary|ent|ant|ic)$")
_AUXILIARY = re.compile(r"\b(is|are|was|were|can|should|must|will|may|could)\b")
_WHETHER = re.compile(r"\b(?:whether|if)(?: or not)?(?: true,?| set,?| enabled,?)?\s+(.+)", re.IGNORECASE)
_TRUE_TO = re.compile(r"\b(?:true|yes|flag|switch|option|boolean)\s+to\s+(.+)", re.IGNORECASE)


def flag(value: JSON, schema: Mapping[str, JSON]) -> bool | None:
    """Return what a flag says, one that is an enum of yes and no as well; None for any other value.

    >>> flag("No", {"enum": ["Yes", "No", "any"]}), flag("any", {"enum": ["Yes", "No", "any"]})
    (False, None)
    """
    if isinstance(value, bool):
        return value
    words = {str(option).lower() for option in schema.get("enum", ())}
    if {"true", "false"} <= words or {"yes", "no"} <= words:
        return {"true": True, "yes": True, "false": False, "no": False}.get(str(value).lower())
    return None


def switch(name: str, value: bool, schema: Mapping[str, JSON], rng: random.Random) -> str:
    """Say a flag.

    >>> switch("with_breakfast", False, {}, random.Random(2))
    'without breakfast'
    """
    meant = meaning(str(schema.get("description", "")))
    if meant and rng.random() < MEANT:
        return rng.choice(meant[not value])
    return rng.choice(_by_name(name)[not value])


@lru_cache(maxsize=4096)
def meaning(description: str) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Read the ways to say yes and the ways to say no out of a flag's description; None where it has no meaning to say.

    >>> meaning("Whether the loan can be renewed.")
    (('the loan can be renewed',), ('the loan can not be renewed',))
    >>> meaning("If true, include all details")[1][0], meaning("Boolean flag.")
    ("don't include all details", None)
    """
    first = re.split(r"[.;(\n]", description.strip())[0].strip()
    first = re.sub(r"^optional[,:]?\s+", "", first, flags=re.IGNORECASE)
    told = _TRUE_TO.search(first)
    asked = _WHETHER.search(first)
    said = told[1] if told else asked[1] if asked else first
    if not 1 < len(said.split()) <= 9 or re.search(r"\buser\b|true|false|\bor not\b", said, re.IGNORECASE):
        return None
    said = said[0].lower() + said[1:] if said[1:2].islower() or said[1:2] == " " else said
    word, _, rest = said.partition(" ")
    if word == "to":
        return _deed(rest)
    if told or (_is_deed(word) and not (asked and _AUXILIARY.search(said))):
        return _deed(said)
    if word == "only" and not asked:
        return (said,), (f"not {said}", f"{said}: no")
    helper = _AUXILIARY.search(said) if asked else None
    return ((said,), (f"{said[: helper.end()]} not{said[helper.end() :]}",)) if helper else None


def _deed(said: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return (said, f"please {said}", f"and {said}"), (f"don't {said}", f"do not {said}", f"no need to {said}")


def _is_deed(word: str) -> bool:
    return word in VERBS or word in _DEEDS or word in ("include", "allow", "enable")


@lru_cache(maxsize=4096)
def _by_name(name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    words = words_of(name) or [name or "it"]
    kept = [word for word in words if word not in _EMPTY]
    said = " ".join(kept or words)
    flat = (f"{said}: yes", f"{said} please"), (f"{said}: no",)
    if _is_deed(words[0]) and words[0] not in _EMPTY:
        on, off = _deed(said)
        return on + flat[0], off + flat[1]
    if words[0] in ("is", "be", "are", "should") or _QUALITY.match(kept[-1] if kept else "") or said in ADJECTIVES:
        on = (said, said, f"make it {said}", f"it should be {said}", f"it is {said}", f"and {said}")
        return on + flat[0], (f"not {said}", f"it isn't {said}", f"it should not be {said}", f"not {said}", *flat[1])
    on = (f"with {said}", f"with {said}", said, f"and {said}", f"include {said}", f"including {said}")
    return on + flat[0], (
        f"without {said}",
        f"without {said}",
        f"no {said}",
        f"leave out {said}",
        f"skip the {said}",
        *flat[1],
    )

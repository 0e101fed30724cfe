"""Strings that a regular expression matches, by construction from Python's own parse of it."""

import random
import re
import string
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from schematune.schemas.errors import SchemaError

__all__ = ["counts_far", "from_pattern", "matches", "readable"]

_PRINTABLE = string.ascii_letters + string.digits + " -_.,"
_CLASSES = {
    "CATEGORY_DIGIT": string.digits,
    "CATEGORY_WORD": string.ascii_letters + string.digits + "_",
    "CATEGORY_SPACE": " ",
    "CATEGORY_NOT_SPACE": string.ascii_letters + string.digits,
    "CATEGORY_NOT_DIGIT": string.ascii_letters,
    "CATEGORY_NOT_WORD": " -.",
}
_PROPERTIES = {"Lu": "A-Z", "Ll": "a-z", "L": "A-Za-z", "Letter": "A-Za-z", "N": "0-9", "Nd": "0-9", "P": "!-/:-@",
               "S": "$+<=>", "Z": " ", "Zs": " "}  # fmt: skip


def from_pattern(pattern: str, rng: random.Random, repeats: int = 6) -> str:
    """Return a string that the regular expression `pattern` matches, mostly: look-around is left to be checked.

    What may be repeated is at most `repeats` times more than it must. Raises `SchemaError`.

    >>> bool(re.fullmatch("[A-Z]{2}-[0-9]+", from_pattern("^[A-Z]{2}-[0-9]+$", random.Random(1))))
    True
    """
    try:
        return _Writer(rng, repeats).write(_parsed(pattern))
    except (re.error, KeyError, RecursionError, IndexError, OverflowError) as error:
        raise SchemaError(f"the pattern {pattern!r} cannot be sampled: {error}", fix='add "examples"') from error


def matches(pattern: str, text: str) -> bool:
    """Tell whether a pattern is found in `text`; one that cannot be read matches nothing."""
    try:
        return re.search(readable(pattern), text) is not None
    except re.error:
        return False


@lru_cache(maxsize=4096)
def counts_far(text: str) -> bool:
    """Tell whether a pattern in a text counts to hundreds or beyond: it takes long to compile.

    >>> counts_far("[a-z]{1,5000}"), counts_far("a{1,20}")
    (True, False)
    """
    return re.search(r"\{\d*,?\d{3,}\}", text) is not None


def readable(pattern: str) -> str:
    r"""Return a pattern of a schema (ECMA-262) as Python reads it: named groups, Unicode properties, slashes.

    >>> readable(r"^(?<year>\d{4})\/\p{Lu}$")
    '^(?P<year>\\d{4})\\/[A-Z]$'
    """
    found = re.sub(r"\(\?<(?=[A-Za-z_])", "(?P<", pattern)
    found = re.sub(r"\\k<(\w+)>", r"(?P=\1)", found)
    found = re.sub(r"\\u\{([0-9A-Fa-f]+)\}", lambda match: f"\\U{int(match[1], 16):08x}", found)
    return re.sub(r"(\[[^\]]*)?\\p\{(?:\w+=)?(\w+)\}", _property, found)


def _property(match: re.Match[str]) -> str:
    letters = _PROPERTIES.get(match[2], "A-Za-z")
    return f"{match[1]}{letters}" if match[1] else f"[{letters}]"


@lru_cache(maxsize=4096)
def _parsed(pattern: str) -> Any:
    return re._parser.parse(readable(pattern))  # type: ignore[attr-defined]


class _Writer:
    """Writes a string for a parsed pattern; groups are remembered for references to them."""

    def __init__(self, rng: random.Random, repeats: int) -> None:
        self.rng, self.repeats = rng, repeats
        self.groups: dict[int, str] = {}

    def write(self, parsed: Any) -> str:
        return "".join(_NODES[str(code)](self, argument) for code, argument in parsed)

    def literal(self, argument: Any) -> str:
        return chr(argument)

    def other(self, argument: Any) -> str:
        return self.rng.choice(_PRINTABLE.replace(chr(argument), ""))

    def any(self, argument: Any) -> str:
        return self.rng.choice(string.ascii_lowercase)

    def one_of(self, argument: Any) -> str:
        letters, negated = _letters(tuple((str(code), value) for code, value in argument))
        return self.rng.choice(letters if not negated else _others(letters))

    def branch(self, argument: Any) -> str:
        return self.write(self.rng.choice(argument[1]))

    def group(self, argument: Any) -> str:
        number, *_, inner = argument
        found = self.write(inner)
        if number is not None:
            self.groups[number] = found
        return found

    def atomic(self, argument: Any) -> str:
        return self.write(argument)

    def repeat(self, argument: Any) -> str:
        low, high, inner = argument
        return "".join(self.write(inner) for _ in range(self.rng.randint(low, min(int(high), low + self.repeats))))

    def category(self, argument: Any) -> str:
        return self.rng.choice(_CLASSES[str(argument)])

    def known(self, argument: Any) -> str:
        return self.groups.get(argument, "")

    def nothing(self, argument: Any) -> str:
        return ""


@lru_cache(maxsize=4096)
def _letters(items: tuple[tuple[str, Any], ...]) -> tuple[str, bool]:
    """Return the characters that a class lists, and whether it means all others."""
    letters, negated = "", False
    for code, value in items:
        if code == "NEGATE":
            negated = True
        elif code == "LITERAL":
            letters += chr(value)
        elif code == "RANGE":
            letters += "".join(chr(c) for c in range(value[0], min(value[1], value[0] + 512) + 1))
        else:
            letters += _CLASSES[str(value)]
    return letters, negated


@lru_cache(maxsize=4096)
def _others(letters: str) -> str:
    return "".join(c for c in _PRINTABLE if c not in letters) or "".join(
        c for c in map(chr, range(0x21, 0x250)) if c.isprintable() and c not in letters
    )


_NODES: dict[str, Callable[[_Writer, Any], str]] = {
    "LITERAL": _Writer.literal,
    "NOT_LITERAL": _Writer.other,
    "ANY": _Writer.any,
    "IN": _Writer.one_of,
    "BRANCH": _Writer.branch,
    "SUBPATTERN": _Writer.group,
    "ATOMIC_GROUP": _Writer.atomic,
    "MAX_REPEAT": _Writer.repeat,
    "MIN_REPEAT": _Writer.repeat,
    "POSSESSIVE_REPEAT": _Writer.repeat,
    "CATEGORY": _Writer.category,
    "GROUPREF": _Writer.known,
    "AT": _Writer.nothing,
    "ASSERT": _Writer.nothing,
    "ASSERT_NOT": _Writer.nothing,
}

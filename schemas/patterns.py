"""Strings that a regular expression matches, by construction from Python's own parse of it."""

import random
import re
import string
from typing import Any

from schematune.schemas.errors import SchemaError

__all__ = ["from_pattern"]


def from_pattern(pattern: str, rng: random.Random) -> str:
    """Return a string that the regular expression `pattern` matches (repeats are kept short).

    >>> bool(re.fullmatch("[A-Z]{2}-[0-9]+", from_pattern("^[A-Z]{2}-[0-9]+$", random.Random(1))))
    True
    """
    try:
        return _generate(re._parser.parse(pattern), rng)  # type: ignore[attr-defined]
    except (re.error, KeyError, RecursionError) as error:
        raise SchemaError(f"the pattern {pattern!r} cannot be sampled: {error}", fix='add "examples"') from error


def _generate(parsed: Any, rng: random.Random) -> str:
    return "".join(_NODES[str(code)](argument, rng) for code, argument in parsed)


def _repeat(argument: Any, rng: random.Random) -> str:
    low, high, inner = argument
    return "".join(_generate(inner, rng) for _ in range(rng.randint(low, min(high, low + 6))))


_CLASSES = {
    "CATEGORY_DIGIT": string.digits,
    "CATEGORY_WORD": string.ascii_letters + string.digits + "_",
    "CATEGORY_SPACE": " ",
    "CATEGORY_NOT_SPACE": string.ascii_letters + string.digits,
    "CATEGORY_NOT_DIGIT": string.ascii_letters,
    "CATEGORY_NOT_WORD": " -.",
}
_PRINTABLE = string.ascii_letters + string.digits + " -_.,"


def _one_of(argument: Any, rng: random.Random) -> str:
    letters, negated = "", False
    for code, value in argument:
        if str(code) == "NEGATE":
            negated = True
        elif str(code) == "LITERAL":
            letters += chr(value)
        elif str(code) == "RANGE":
            letters += "".join(chr(c) for c in range(value[0], min(value[1], value[0] + 512) + 1))
        else:
            letters += _CLASSES[str(value)]
    return rng.choice([c for c in _PRINTABLE if c not in letters] if negated else letters)


_NODES: dict[str, Any] = {
    "LITERAL": lambda a, rng: chr(a),
    "NOT_LITERAL": lambda a, rng: rng.choice([c for c in _PRINTABLE if c != chr(a)]),
    "ANY": lambda a, rng: rng.choice(string.ascii_lowercase),
    "IN": _one_of,
    "BRANCH": lambda a, rng: _generate(rng.choice(a[1]), rng),
    "SUBPATTERN": lambda a, rng: _generate(a[-1], rng),
    "MAX_REPEAT": _repeat,
    "MIN_REPEAT": _repeat,
    "POSSESSIVE_REPEAT": _repeat,
    "CATEGORY": lambda a, rng: rng.choice(_CLASSES[str(a)]),
    "AT": lambda a, rng: "",
    "ASSERT": lambda a, rng: "",
    "ASSERT_NOT": lambda a, rng: "",
}

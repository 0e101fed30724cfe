"""Patterns of member names without the names that stand in `properties`.

The engine asks a listed member to fit its own part and those of all patterns that match its name, and finds what fits
both by itself, which it gives up where references lead in a circle. Patterns that leave listed names out spare it that.
"""

import re
from collections.abc import Iterable, Sequence

from schematune.schemas.patterns import readable

__all__ = ["other_names"]

_ONE_CLASS = re.compile(r"(\^?)(?:(\.|\[[\w-]+\])([*+]))?(\$?)")
_ALL, _LINE = "[^]", "."


def other_names(pattern: str, names: Iterable[str]) -> str | None:
    r"""Return a pattern that matches what `pattern` does, without `names`; None where that is not plain to write.

    Plain are patterns that match everything, and those of one class of characters, repeated.

    >>> other_names("^[a-e]*$", ["bed"])
    '^(?:[acde][abcde]*|b(?:[abcd][abcde]*|e(?:[abce][abcde]*|d[abcde]+)?)?)?$'
    >>> other_names("^x-", ["x-y"]) is None
    True
    """
    found = _ONE_CLASS.fullmatch(pattern)
    if found is None:
        return None
    begin, letters, times, end = found.groups()
    whole = bool(begin and end)
    if letters is None if whole else times == "+":
        return None
    known = _letters(letters) if whole else _ALL  # the empty text is found in every name
    matched = sorted({name for name in names if re.search(readable(pattern), name)})
    return f"^{_others(matched, known, empty=times != '+')}$"


def _others(names: Sequence[str], letters: str, *, empty: bool) -> str:
    """Write all texts of some letters that are none of `names`; the `empty` one, too, unless it is among them."""
    if not any(names):
        return f"{_class(letters)}{'*' if empty and not names else '+'}"
    first = sorted({name[0] for name in names if name})
    rest = _class(letters, first)
    ways = [f"{rest}{_class(letters)}*"] if rest else []
    for letter in first:
        below = [name[1:] for name in names if name[:1] == letter]
        ways.append(re.escape(letter) + _others(below, letters, empty=True))
    return f"(?:{'|'.join(ways)}){'?' if empty and '' not in names else ''}"


def _letters(written: str) -> str:
    """Return the letters of a class, all but line breaks as a dot."""
    if written == ".":
        return _LINE
    kind = re.compile(written)
    return "".join(letter for letter in map(chr, range(128)) if kind.match(letter))


def _class(letters: str, but: Iterable[str] = ()) -> str:
    """Write a class of letters without some, empty where none is left."""
    gone = "".join(re.escape(letter) for letter in but)
    if letters in (_ALL, _LINE):
        gone += "\\n" * (letters == _LINE)
        return f"[^{gone}]" if gone else "[\\s\\S]"
    kept = "".join(letter for letter in letters if letter not in set(but))
    return f"[{re.escape(kept)}]" if kept else ""

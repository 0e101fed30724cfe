"""Values checked as they grow: each as soon as it is complete, against what its place in the schema asks of it.

`Watch` reads the bytes of one output and tells the first value that does not fit (`schematune.decoding.checks`). A key
that stands twice, a member that may not be there and an element that stands twice are seen at once.
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from schematune.decoding.checks import HELD, Checks, Path
from schematune.schemas.jsontext import JSON, compact
from schematune.schemas.merge import NEVER, Normal
from schematune.schemas.validate import part_validator

__all__ = ["Violation", "Watch"]

_SETTLING = HELD | {"uniqueItems"}
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_WORD = re.compile(rb"[-+.\w]+")
_GAP = re.compile(rb"[\s,:]*")


@dataclass(frozen=True)
class Violation:
    """A value that does not fit: its path, why, and the bytes of the output that it takes, from `start` to `end`."""

    path: Path
    why: str
    start: int
    end: int

    def __str__(self) -> str:
        """Write path and reason as `schematune.schemas.validate.violations` does."""
        return f"{'.'.join(map(str, self.path)) or '(top)'}: {self.why}"


@dataclass(slots=True)
class _Frame:
    """An object or array that is not complete."""

    value: Any
    normal: Normal
    key: str | None = None
    seen: set[str] = field(default_factory=set)


class Watch:
    """Reads one output as it is written and tells the first value that does not fit.

    `heads` are the texts after which a value begins, each with the checks of that value: one empty text where the
    output is nothing but the value.

    >>> watch = Watch([(b"", Checks({"type": "array", "uniqueItems": True}))])
    >>> watch.feed(b'["a",'), str(watch.feed(b'"a"'))
    (None, '1: "a" stands twice')
    """

    def __init__(self, heads: Sequence[tuple[bytes, Checks]]) -> None:
        """See the class."""
        self.heads = sorted(heads, key=lambda head: -len(head[0]))
        self.plain = self.heads[0][1] if len(heads) == 1 and not heads[0][0] else None
        self._pattern = re.compile(b"|".join(b"(%s)" % re.escape(head) for head, _ in self.heads))
        self.restart(b"")

    def restart(self, data: bytes) -> None:
        """Begin anew with bytes that were found right before."""
        self.data = bytearray()
        self.frames: list[_Frame] = []
        self.checks: Checks | None = None
        self.places: dict[Path, list[int]] = {}
        self.complete = 0
        self.settled = 0  # the bytes that nothing to come can make wrong
        self.news: list[tuple[int, Path, JSON]] = []  # members and elements of the values, and these, as they completed
        self.spans: list[tuple[int, int]] = []  # where each of these stands in the bytes
        self._place, self._inside = 0, False
        if data:
            self._read(data, checking=False)

    def feed(self, data: bytes) -> Violation | None:
        """Read on, and return the first value that does not fit."""
        return self._read(data, checking=True)

    def end(self) -> Violation | None:
        """Tell what is wrong with an output that ends here: a number at its end is complete only now."""
        if self._place < len(self.data) and self.plain is not None and not self._inside and not self.frames:
            return self._read(b" ", checking=True)
        return None

    def _read(self, data: bytes, *, checking: bool) -> Violation | None:
        self.data += data
        if self._inside and b'"' not in data:
            return None
        while True:
            if self.checks is None and not self._begin():
                return None
            match = _GAP.match(self.data, self._place)
            self._place = match.end() if match else self._place
            if self._place >= len(self.data):
                return None
            read = self._next()
            if read is None:
                return None
            found = read(checking)
            if found is not None:
                return found

    def _begin(self) -> bool:
        """Look for the next value; tell whether one begins."""
        if self.plain is not None:
            if self.complete:
                return False
            self.checks = self.plain
            return True
        match = self._pattern.search(self.data, self._place)
        if match is None:
            return False
        self.checks, self._place = self.heads[(match.lastindex or 1) - 1][1], match.end()
        self.places = {}
        return True

    def _next(self) -> Callable[[bool], Violation | None] | None:
        """Read the next sign or scalar, and return what is to be done about it; None where it is not complete."""
        start = self._place
        sign = self.data[start]
        if sign in b'"':
            match = _STRING.match(self.data, start)
            self._inside = match is None
            if match is None:
                self._opened(start)
                return None
        elif sign in b"{[":
            self._opened(start)
            self._place += 1
            self.frames.append(_Frame({} if sign in b"{" else [], self._normal()))
            return lambda checking: None
        elif sign in b"}]":
            self._place += 1
            if not self.frames:
                return lambda checking: Violation((), "no JSON", start, start + 1)
            return lambda checking: self._closed(checking)
        else:
            match = _WORD.match(self.data, start)
            self._opened(start)
            if match is not None and match.end() == len(self.data) and match[0] not in (b"true", b"false", b"null"):
                return None
        if match is None:
            return lambda checking: Violation(self.path, "no JSON", start, start + 1)
        self._place = match.end()
        text = match[0]
        return lambda checking: self._scalar(text, start, checking)

    def _opened(self, start: int) -> None:
        if not (self.frames and isinstance(self.frames[-1].value, dict) and self.frames[-1].key is None):
            self.places.setdefault(self.path, [start, start])

    def _normal(self) -> Normal:
        """Return what the value that begins here must fit."""
        assert self.checks is not None
        if not self.frames:
            return self.checks.top
        frame = self.frames[-1]
        return self.checks.child(frame.normal, len(frame.value) if frame.key is None else frame.key)

    @property
    def path(self) -> Path:
        """The path of the value that is being read, or of the object whose key is."""
        keys = [len(frame.value) if isinstance(frame.value, list) else frame.key for frame in self.frames]
        return tuple(key for key in keys if key is not None)

    def _scalar(self, text: bytes, start: int, checking: bool) -> Violation | None:
        try:
            value = json.loads(text.decode())
            if isinstance(value, str):
                value.encode()
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError("a number out of range")
        except ValueError as error:
            return Violation(self.path, f"cannot be read: {error}", start, self._place)
        if self.frames and isinstance(self.frames[-1].value, dict) and self.frames[-1].key is None:
            return self._keyed(value, start, checking)
        self._opened(start)
        return self._completed(value, self._normal(), checking)

    def _keyed(self, name: str, start: int, checking: bool) -> Violation | None:
        frame, why = self.frames[-1], ""
        if checking:
            if name in frame.value:
                why = f"the key {compact(name)} stands twice"
            elif len(frame.value) >= frame.normal.get("maxProperties", math.inf):
                why = "too many members"
            else:
                why = self._misnamed(frame.normal, name)
        if why:
            return Violation(self.path, why, start, self._place)
        frame.key = name
        return None

    def _misnamed(self, normal: Normal, name: str) -> str:
        assert self.checks is not None
        if self.checks.child(normal, name) == NEVER:
            return f"{compact(name)} may not be there"
        if "propertyNames" in normal:
            names = self.checks.normal(normal["propertyNames"])
            wrong = self.checks.wrong(names, name, part_validator(names, self.checks.schema))
            return f"the name {compact(name)}: {wrong[1]}" if wrong else ""
        return ""

    def _closed(self, checking: bool) -> Violation | None:
        frame = self.frames.pop()
        return self._completed(frame.value, frame.normal, checking)

    def _completed(self, value: JSON, normal: Normal, checking: bool) -> Violation | None:
        path, checks = self.path, self.checks
        assert checks is not None
        self.places[path][1] = self._place
        top = not self.frames
        if checking:
            found = checks.wrong(normal, value, checks.whole if top else checks.validator(normal))
            if found is not None:
                return self._placed(path + found[0], found[1])
        if len(self.frames) < 2:
            self.news.append((self.complete, path, value))
            self.spans.append((self.places[path][0], self.places[path][1]))
            if top or self.frames[0].normal.keys() <= _SETTLING:
                self.settled = self._place
        if top:
            self.checks, self.complete = None, self.complete + 1
            return None
        frame = self.frames[-1]
        if isinstance(frame.value, dict):
            frame.value[frame.key], frame.key = value, None
            return None
        if frame.normal.get("uniqueItems") is True:
            text = _canonical(value)
            if checking and text in frame.seen:
                return self._placed(path, f"{compact(value)[:200]} stands twice")
            frame.seen.add(text)
        frame.value.append(value)
        return None

    def _placed(self, path: Path, why: str) -> Violation:
        """Return a violation with the bytes of its value, or of the nearest one around it that is known."""
        known = path
        while known not in self.places:
            known = known[:-1]
        return Violation(path, why, *self.places[known])


def _canonical(value: JSON) -> str:
    """Write a value so that equal ones are written the same: 1.0 is 1, the keys sorted."""
    return compact(_plain(value), ordered=False)


def _plain(value: JSON) -> JSON:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value

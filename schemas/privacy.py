"""Personal data in pairs and texts replaced by stand-ins of the same kind and shape, before anything is made of them.

The same original gets the same stand-in throughout a run, in requests, contexts and the arguments of calls alike, so
what a request says is still what its call holds. What is found, and what is missed, is told by
`python -m schematune.benchmarks.privacy`; rules find, no model does, so read what matters.
"""

import json
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from schematune.schemas.call import RESERVED, Call
from schematune.schemas.errors import ExampleError
from schematune.schemas.jsontext import JSON, compact
from schematune.schemas.names import first_names, is_name, last_names
from schematune.schemas.pair import Evidence, Message, Pair, Pairs
from schematune.schemas.personal import KINDS, REGIONS, Found, find, kind_of_argument, read_day
from schematune.schemas.standins import StandIns
from schematune.schemas.tool import ToolSet

__all__ = ["Scrubber"]

Segment = tuple[int, int, str]
"""A part of a text, by its offsets, and what comes in its place."""


@dataclass(frozen=True)
class _Known:
    """An original that a pair is known to hold somewhere."""

    kind: str
    text: str
    key: str


class Scrubber:
    """Finds personal data and replaces it; `replaced` counts places by kind.

    `kinds` are those looked for, `keep` texts that stay as they are (a product's name, say), `regions` those whose phone
    numbers are known without a country code. With `tools`, values that their schemas list stay, and a pair whose calls
    do not fit once scrubbed is left out and counted in `unfit`. The stand-ins are in memory only: a scrubber cannot be
    written to disk. Needs the extra `schematune[privacy]`.

    >>> scrubber = Scrubber(seed=1)
    >>> said = scrubber.text("Tell Ada Lovelace at ada@lovelace.org, order 66")
    >>> "Ada" in said, "Lovelace" in said, "order 66" in said, dict(scrubber.replaced)
    (False, False, True, {'person': 1, 'email': 1})
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        keep: Iterable[str] = (),
        kinds: Iterable[str] = KINDS,
        regions: Iterable[str] = REGIONS,
        tools: ToolSet | None = None,
    ) -> None:
        """See the class; raises `ExampleError` for a kind that there is not."""
        self.kinds, self.regions, self.tools = tuple(kinds), tuple(regions), tools
        unknown = set(self.kinds) - set(KINDS)
        if unknown:
            raise ExampleError(f"no kind {sorted(unknown)[0]!r}", where="Scrubber", fix=f"known: {', '.join(KINDS)}")
        listed = (text for tool in tools or () for text in _listed(tool.parameters))
        self.keep = frozenset(text.casefold() for text in (*keep, *listed))
        self.replaced: Counter[str] = Counter()
        self.unfit = 0
        self._stand_ins = StandIns(random.Random(f"{seed}-stand-ins"))

    def __repr__(self) -> str:
        """Show what was replaced, not what it was."""
        return f"Scrubber({dict(self.replaced)})"

    def text(self, text: str) -> str:
        """Return a text with its personal data replaced."""
        return _applied(text, self._segments(text, ()))

    def pairs(self, pairs: Iterable[Pair]) -> Pairs:
        """Return the pairs with their personal data replaced, requests, contexts and calls together."""
        scrubbed = (self._pair(pair) for pair in pairs)
        return Pairs(pair for pair in scrubbed if pair is not None)

    def _pair(self, pair: Pair) -> Pair | None:
        known = self._known(pair)
        segments, said = list[Segment](), 0
        for text in (m["content"] for m in pair.messages if m.get("role") == "user" and isinstance(m["content"], str)):
            found = self._segments(text, known, counted=False)
            segments += [(start + said, end + said, new) for start, end, new in found]
            said += len(text) + 1
        calls = tuple(
            call if call.name in RESERVED else Call(call.name, self._value("", dict(call.arguments), known))
            for call in pair.calls
        )
        fits = self.tools is None or not any(map(self.tools.violations, calls))
        if not fits and self.tools is not None and not any(map(self.tools.violations, pair.calls)):
            self.unfit += 1
            return None
        return replace(
            pair,
            messages=tuple(self._message(message, known) for message in pair.messages),
            calls=calls,
            context={name: str(self._value(name, value, known)) for name, value in pair.context.items()},
            evidence=tuple(_moved(item, segments) for item in pair.evidence),
            id=self.text(pair.id),
        )

    def _known(self, pair: Pair) -> list[_Known]:
        """Collect what any part of a pair shows to be personal: the others may not."""
        known: dict[tuple[str, str], _Known] = {}
        named: set[str] = set()  # by the calls: two of these may stand side by side in a request
        places = [("", text) for message in pair.messages for text in _texts(message)]
        values = [
            leaf for call in pair.calls if call.name not in RESERVED for leaf in _leaves("", dict(call.arguments))
        ]
        for name, text in (*places, *values, *pair.context.items()):
            kind = kind_of_argument(name, text) if name else ""
            day = read_day(text) if kind == "birth_date" else None
            whole = (
                [Found(kind, 0, len(text), day.isoformat() if day else text.casefold())] if kind in self.kinds else []
            )
            for found in whole or find(text, regions=self.regions, kinds=self.kinds):
                said = text[found.start : found.end]
                if said.casefold() not in self.keep:
                    named.update([said] if name and found.kind == "person" else [])
                    known.setdefault((found.kind, said.casefold()), _Known(found.kind, said, found.key))
        return sorted(known.values(), key=lambda one: (one.kind == "person", one.text not in named, -len(one.text)))

    def _segments(self, text: str, known: Iterable[_Known], *, counted: bool = True) -> list[Segment]:
        """Return what in a text is replaced by what, in order."""
        found = [
            one
            for one in _whole(text, known) or _again(text, known)
            if text[one.start : one.end].casefold() not in self.keep
        ]
        for one in find(text, regions=self.regions, kinds=self.kinds):
            apart = all(one.end <= other.start or other.end <= one.start for other in found)
            if apart and text[one.start : one.end].casefold() not in self.keep:
                found.append(one)
        if counted:
            self.replaced.update(one.kind for one in found)
        found.sort(key=lambda one: one.start)
        return [(one.start, one.end, self._stand_ins(one.kind, text[one.start : one.end], one.key)) for one in found]

    def _message(self, message: Message, known: list[_Known]) -> Message:
        new: dict[str, Any] = dict(message)
        if isinstance(message.get("content"), str):
            new["content"] = _applied(message["content"], self._segments(message["content"], known))
        elif message.get("content") is not None:
            new["content"] = self._value("", message["content"], known)
        if message.get("tool_calls"):
            new["tool_calls"] = [self._tool_call(call, known) for call in message["tool_calls"]]
        return new

    def _tool_call(self, call: JSON, known: list[_Known]) -> JSON:
        function = call.get("function", {})
        written = function.get("arguments")
        if isinstance(written, str):
            try:
                written = compact(self._value("", json.loads(written), known))
            except ValueError:
                written = _applied(written, self._segments(written, known))
        elif written is not None:
            written = self._value("", written, known)
        return {**call, "function": {**function, "arguments": written}}

    def _value(self, name: str, value: JSON, known: list[_Known]) -> Any:
        """Return an argument with what is personal in it replaced; numbers are where the pair says the same digits."""
        if isinstance(value, dict):
            return {key: self._value(key, item, known) for key, item in value.items()}
        if isinstance(value, list):
            return [self._value(name, item, known) for item in value]
        if isinstance(value, str):
            return _applied(value, self._segments(value, known))
        if isinstance(value, int) and not isinstance(value, bool) and _whole(str(value), known):
            return int(_applied(str(value), self._segments(str(value), known)))
        return value


def _listed(schema: JSON) -> Iterator[str]:
    """Yield the texts that a schema lists as values."""
    if isinstance(schema, Mapping):
        listed = schema.get("enum")
        for value in [*(listed if isinstance(listed, list) else ()), schema.get("const"), schema.get("default")]:
            if isinstance(value, str):
                yield value
        for part in schema.values():
            yield from _listed(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _listed(part)


def _leaves(name: str, value: JSON) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(key, item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(name, item)
    elif isinstance(value, str):
        yield name, value


def _texts(message: Message) -> Iterator[str]:
    content = message.get("content")
    yield from (text for _, text in _leaves("", content))


_WORDS = r"[^\W\d_]+(?:['’-][^\W\d_]+)*"


def _whole(text: str, known: Iterable[_Known]) -> list[Found]:
    """Tell a text that is as a whole an original, perhaps written differently: other spaces, another form of a date."""
    plain, day = _plain(text), read_day(text) if re.search(r"\d", text) and len(text) < 30 else None
    for one in known:
        if one.kind == "birth_date" and day is not None and one.key == day.isoformat():
            return [Found(one.kind, 0, len(text), one.key)]
        same = plain == _plain(one.text) or (one.kind == "phone" and _ends_alike(plain, _plain(one.text)))
        if one.kind in ("phone", "card", "iban", "national_id") and plain and same:
            return [Found(one.kind, 0, len(text), one.key)]
    return []


def _ends_alike(one: str, other: str) -> bool:
    """Tell whether two phone numbers are one, of which one may lack the country's code."""
    short, long = sorted((one.lstrip("0"), other.lstrip("0")), key=len)
    return len(short) > 6 and short.isdigit() and long.endswith(short) and len(long) - len(short) < 4


def _plain(text: str) -> str:
    return re.sub(r"[\W_]", "", text).upper()


def _again(text: str, known: Iterable[_Known]) -> list[Found]:
    """Find the originals of a pair in one of its texts, whatever their case; of names each part too."""
    found: list[Found] = []
    for one in known:
        parts = [one.text]
        if one.kind == "person":
            words = re.findall(_WORDS, one.text)
            parts += [word for word in words if len(words) > 1 and _tells(word)]
        for part in parts:
            cased = one.kind == "person" and part[0].isupper() and not is_name(part)  # Mark, but not to mark
            for match in re.finditer(rf"(?<!\w){re.escape(part)}(?!\w)", text, 0 if cased else re.IGNORECASE):
                if all(match.end() <= other.start or other.end <= match.start() for other in found):
                    key = one.key if part == one.text else part.casefold()
                    found.append(Found(one.kind, *match.span(), key))
    return found


def _tells(word: str) -> bool:
    """Tell whether a part of a name names somebody on its own."""
    folded = word.casefold()
    return is_name(word) or (
        len(word) > 3 and folded in last_names() and folded not in first_names() and word[0].isupper()
    )


def _applied(text: str, segments: Iterable[Segment]) -> str:
    parts, end = [], 0
    for start, stop, new in segments:
        parts += [text[end:start], new]
        end = stop
    return "".join((*parts, text[end:]))


def _moved(item: Evidence, segments: list[Segment]) -> Evidence:
    """Return evidence where it stands after the replacements."""
    if item.start < 0:
        return item
    return replace(item, start=_place(item.start, segments, False), end=_place(item.end, segments, True))


def _place(place: int, segments: list[Segment], is_end: bool) -> int:
    shift = 0
    for start, stop, new in segments:
        if stop <= place:
            shift += len(new) - (stop - start)
        elif start < place:
            return start + shift + (len(new) if is_end else 0)
    return place + shift

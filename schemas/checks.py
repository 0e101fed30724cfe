"""The checks that every pair passes before it may teach, in a cascade, each reject counted by its reason.

`schema`: the calls fit the tools. `round trip`: written and parsed, the calls are the same.
`evidence`: every argument of a synthetic pair is said in the request or follows from the context.
`ambiguous`: another tool takes the same arguments, and the request names it as well or better.
`leaked`: the request stands in a set that must stay unseen, or one that is almost the same does.
`duplicate`: the request was there before; `near duplicate`: one that is almost the same (synthetic pairs only).
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from schematune.schemas.call import RESERVED, Call
from schematune.schemas.errors import SchematuneError
from schematune.schemas.form import COMPACT
from schematune.schemas.jsontext import JSON
from schematune.schemas.lexicon import words_of
from schematune.schemas.pair import Pair
from schematune.schemas.similar import LEAKED, Similar
from schematune.schemas.tool import Tool, ToolSet

__all__ = ["Checker", "folded"]

MAX_REQUEST = 4000
"""Characters in a request; longer ones are no request but a document."""


def folded(text: str) -> str:
    """Return a request as duplicates are looked for: lower case, letters and digits only.

    >>> folded("Book it,  NOW!")
    'book it now'
    """
    return " ".join(re.findall(r"\w+", text.lower()))


class Checker:
    """Checks pairs one after the other; remembers requests, counts rejects."""

    def __init__(self, tools: ToolSet, *, avoid: Iterable[Pair] = ()) -> None:
        """`avoid` are pairs whose requests may not pass."""
        self.tools = tools
        self.rejected: Counter[str] = Counter()
        self.accepted = 0
        self._unseen: set[str] = set()
        self._leaks, self._known = Similar(LEAKED), Similar()
        for pair in avoid:
            said = _said(pair)
            self._unseen.add(_turns(pair, said))
            self._leaks.add(said)
        self._seen: set[str] = set()
        self._words = {tool.name: frozenset(words_of(tool.name)) for tool in tools}

    def passes(self, pair: Pair, *, own: bool = False) -> bool:
        """Tell whether `pair` passes; `own` pairs (a user's examples) need no evidence.

        >>> tools = ToolSet({"name": "f", "parameters": {"properties": {"n": {"type": "integer"}}}})
        >>> checker = Checker(tools)
        >>> checker.passes(Pair.of("f with x", [Call("f", {"n": "x"})])), dict(checker.rejected)
        (False, {'schema': 1})
        """
        reason = self.flaw(pair, own=own) or self.staleness(pair, own=own)
        if reason:
            self.rejected[reason] += 1
            return False
        self.remember(pair)
        return True

    def flaw(self, pair: Pair, *, own: bool = False) -> str:
        """Return what is wrong with a pair by itself, whatever came before it; empty where nothing is."""
        if not pair.request.strip() or len(pair.request) > MAX_REQUEST:
            return "length"
        if any(self.tools.violations(call) for call in pair.calls):
            return "schema"
        if not _round_trips(pair.calls):
            return "round trip"
        if not own and not _has_evidence(pair):
            return "evidence"
        return "ambiguous" if not own and self._is_ambiguous(pair) else ""

    def staleness(self, pair: Pair, *, own: bool = False) -> str:
        """Return why a request is not new: it must stay unseen, or was there before; empty where it is new."""
        said = _said(pair)
        turns = _turns(pair, said)
        if turns in self._unseen or self._leaks.find(said):
            return "leaked"
        if turns in self._seen:
            return "duplicate"
        return "near duplicate" if not own and self._known.find(said, _day(pair)) else ""

    def remember(self, pair: Pair) -> None:
        """Count a pair as accepted; its request is not new from now on."""
        said = _said(pair)
        self._seen.add(_turns(pair, said))
        self._known.add(said, _day(pair))
        self.accepted += 1

    def _is_ambiguous(self, pair: Pair) -> bool:
        """Tell whether another tool takes a call's arguments and has as many words of its name in the request."""
        for call in pair.calls:
            if call.name in RESERVED:
                continue
            others = [tool for tool in self.tools if tool.name != call.name and _takes(tool, call)]
            said = set(folded(pair.said).split()) if others else set()
            own = len(self._words[call.name] & said)
            if any(len(self._words[tool.name] & said) >= max(own, 1) for tool in others):
                return True
        return False


def _takes(tool: Tool, call: Call) -> bool:
    names = set(call.arguments)
    if not names or not names <= set(tool.properties) or not set(tool.required) <= names:
        return False
    return tool.validator.is_valid(dict(call.arguments))


def _said(pair: Pair) -> str:
    return " | ".join(folded(str(message.get("content") or "")) for message in pair.messages)


def _day(pair: Pair) -> str:
    return pair.context.get("now", "")[:10]


def _turns(pair: Pair, said: str) -> str:
    """Return what makes a request new: what everybody said, and the day it was said on."""
    return f"{said} @ {_day(pair)}"


def _round_trips(calls: tuple[Call, ...]) -> bool:
    try:
        return COMPACT.parse(COMPACT.write(calls)) == calls
    except (SchematuneError, ValueError):
        return False


def _leaves(value: JSON, path: str) -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}")
    elif isinstance(value, list) and value:
        for place, item in enumerate(value):
            yield from _leaves(item, f"{path}.{place}")
    else:
        yield path


def _has_evidence(pair: Pair) -> bool:
    traced = {evidence.path for evidence in pair.evidence}
    for place, call in enumerate(pair.calls):
        if call.name in RESERVED:
            continue
        for name, value in call.arguments.items():
            wanted = set(_leaves(value, f"{place}.{name}"))
            if not wanted <= traced:
                return False
    said = pair.said
    return all(0 <= e.start < e.end <= len(said) for e in pair.evidence if e.rule != "default")

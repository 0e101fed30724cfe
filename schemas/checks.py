"""The checks that every pair passes before it may teach, in a cascade, each reject counted by its reason.

`schema`: the calls fit the tools. `round trip`: written and parsed, the calls are the same.
`evidence`: every argument of a synthetic pair is said in the request or follows from the context.
`duplicate`: the request was there before.
`leaked`: the request stands in a set that must stay unseen.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from schematune.schemas.call import RESERVED, Call
from schematune.schemas.errors import SchematuneError
from schematune.schemas.form import COMPACT
from schematune.schemas.jsontext import JSON
from schematune.schemas.pair import Pair
from schematune.schemas.tool import ToolSet

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
        self._unseen = {_turns(pair) for pair in avoid}
        self._seen: set[str] = set()

    def passes(self, pair: Pair, *, own: bool = False) -> bool:
        """Tell whether `pair` passes; `own` pairs (a user's examples) need no evidence.

        >>> tools = ToolSet({"name": "f", "parameters": {"properties": {"n": {"type": "integer"}}}})
        >>> checker = Checker(tools)
        >>> checker.passes(Pair.of("f with x", [Call("f", {"n": "x"})])), dict(checker.rejected)
        (False, {'schema': 1})
        """
        reason = self._reason(pair, own)
        if reason:
            self.rejected[reason] += 1
            return False
        self._seen.add(_turns(pair))
        self.accepted += 1
        return True

    def _reason(self, pair: Pair, own: bool) -> str:
        if not pair.request.strip() or len(pair.request) > MAX_REQUEST:
            return "length"
        if any(self.tools.violations(call) for call in pair.calls):
            return "schema"
        if not _round_trips(pair.calls):
            return "round trip"
        if not own and not _has_evidence(pair):
            return "evidence"
        turns = _turns(pair)
        if turns in self._unseen:
            return "leaked"
        return "duplicate" if turns in self._seen else ""


def _turns(pair: Pair) -> str:
    """Return what makes a request new: what everybody said, and the day it was said on."""
    said = " | ".join(folded(str(message.get("content") or "")) for message in pair.messages)
    return f"{said} @ {pair.context.get('now', '')[:10]}"


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
    request = pair.request
    return all(0 <= e.start < e.end <= len(request) for e in pair.evidence if e.rule != "default")

"""Cases: requests with their right calls and the tools at hand, read from JSON Lines.

The format is that of pairs (`id`, `source`, `messages`, `calls`, `context`), with two additions: `tools` in
OpenAI's form where a case brings its own, and `accept` where several answers are right (BFCL). A broken row
is an error that names the file and line. A wrong gold call is not: public data has some, so such a case is
kept, marked and counted. That no test request was trained on is checked here too, in code.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from schematune.schemas.errors import ExampleError, SchemaError
from schematune.schemas.files import read_jsonl
from schematune.schemas.jsontext import JSON, digest
from schematune.schemas.pair import Pair, Pairs
from schematune.schemas.tool import ToolSet

__all__ = ["Accept", "Case", "cases_of", "decontaminate", "one_tool_set", "read_cases", "sample", "tools_in"]

Accept = Mapping[str, Mapping[str, Sequence[JSON]]]
"""One expected call as BFCL writes it: `{name: {argument: [acceptable values]}}`, `""` for "may be left out"."""

T = TypeVar("T")


@dataclass(frozen=True)
class Case:
    """One request to score: the pair, the tools at hand, and what else is accepted.

    `own` says that the tools came with the case; `gold_invalid` says what is wrong with the gold call, and
    is empty where it fits its tool.
    """

    id: str
    pair: Pair
    tools: ToolSet
    accept: tuple[Accept, ...] = ()
    own: bool = False
    gold_invalid: str = ""

    @property
    def synthetic(self) -> bool:
        """Whether the request was made by a program."""
        pair = self.pair
        return bool(pair.template) or pair.seed is not None or pair.source.lower().startswith("synth")


def read_cases(path: str | Path, tools: ToolSet | None = None, *, skipped: list[str] | None = None) -> list[Case]:
    """Read a file of cases; those without `tools` of their own take `tools`.

    Raises `ExampleError` for a missing or empty file, a broken row (a broken tool included), and a case that
    has no tools where none are given. Where a list `skipped` is given, what is wrong with a broken case is
    put there instead, and the case left out; a line that is no JSON stays an error.
    """
    cases: list[Case] = []
    known: dict[str, ToolSet] = {}
    for where, row in read_jsonl(Path(path)):
        try:
            cases.append(_read_case(row, where, tools, known))
        except ExampleError as error:
            if skipped is None:
                raise
            skipped.append(str(error))
    if not cases:
        raise ExampleError("no case in it that can be used", where=str(path), fix="one JSON object per line")
    return cases


def cases_of(pairs: Iterable[Pair], tools: ToolSet) -> list[Case]:
    """Make cases of pairs, all over `tools`.

    >>> from schematune.schemas.call import Call
    >>> tools = ToolSet({"name": "f", "parameters": {"properties": {"n": {"type": "integer"}}}})
    >>> [case.gold_invalid for case in cases_of([Pair.of("one", [Call("f", {"n": "x"})])], tools)]
    ['f.n: "x" is not of type "integer"']
    """
    return [_case(pair.id or f"case-{n}", pair, tools, (), False) for n, pair in enumerate(pairs, start=1)]


def sample(items: Sequence[T], limit: int | None, *, seed: int = 0) -> list[T]:
    """Return at most `limit` items, drawn with `seed`, in the order they had.

    >>> len(sample(range(100), 10)), sample("abc", None)
    (10, ['a', 'b', 'c'])
    """
    if limit is None or limit >= len(items):
        return list(items)
    return [items[place] for place in sorted(random.Random(seed).sample(range(len(items)), limit))]


def one_tool_set(cases: Sequence[Case], *, where: str = "cases") -> ToolSet:
    """Return the tool set that all cases share; raises `ExampleError` where they differ."""
    found = {case.tools.fingerprint: case.tools for case in cases}
    if len(found) != 1:
        raise ExampleError(
            f"the cases bring {len(found)} tool sets, and an adapter is tuned on one",
            where=where,
            fix="leave the tuned and the shots arms out (--arms long,long+grammar)",
        )
    return next(iter(found.values()))


def tools_in(*files: Path) -> ToolSet:
    """Return all the tools that the rows of some files bring; raises `ExampleError` where two of a name differ."""
    found: dict[str, JSON] = {}
    for file in files:
        for where, row in read_jsonl(file):
            for tool in row.get("tools") or ():
                name = (tool.get("function") or tool).get("name") if isinstance(tool, Mapping) else None
                if found.setdefault(str(name), tool) != tool:
                    raise ExampleError(f"another tool is named {name!r} as well", where=where, fix="rename one")
    if not found:
        raise ExampleError("no row brings tools", where=", ".join(map(str, files)), fix="name a file of tools")
    return ToolSet(list(found.values()))


def decontaminate(train: Iterable[Pair], test: Iterable[Pair], *, strict: bool = False) -> tuple[Pairs, int]:
    """Drop the training pairs whose request stands in the test, and return the rest and how many went.

    Requests are compared lower-cased and with white space folded: the whole conversation of each, and the
    last message of a training pair too. With `strict` the first one raises `ExampleError` instead.

    >>> kept, dropped = decontaminate([Pair.of("Hi  there", []), Pair.of("bye", [])], [Pair.of("hi there", [])])
    >>> [pair.request for pair in kept], dropped
    (['bye'], 1)
    """
    train = train if isinstance(train, Pairs) else Pairs(train)
    seen = {_conversation(pair) for pair in test}
    kept = [pair for pair in train if _conversation(pair) not in seen and _folded(pair.request) not in seen]
    dropped = len(train) - len(kept)
    if dropped and strict:
        raise ExampleError(
            f"{dropped} training requests stand in the test as well", where="pairs", fix="call decontaminate() first"
        )
    return Pairs(kept, rejected=train.rejected), dropped


def _folded(text: str) -> str:
    return " ".join(text.lower().split())


def _conversation(pair: Pair) -> str:
    users = (str(message.get("content", "")) for message in pair.messages if message.get("role") == "user")
    return "\n".join(map(_folded, users))


def _read_case(row: JSON, where: str, tools: ToolSet | None, known: dict[str, ToolSet]) -> Case:
    pair = Pair.from_dict(row, where=where)
    own = _own_tools(row, known, where)
    at_hand = own or tools
    if at_hand is None:
        raise ExampleError("the case brings no tools", where=where, fix="give them: --tools FILE")
    unknown = [name for name in pair.tools or () if name not in at_hand.names]
    if unknown:
        raise ExampleError(f"it permits {unknown[0]!r}, which is none of the tools", where=where, fix="mend the names")
    name = pair.id or f"{Path(where.rsplit(':', 1)[0]).name}:{where.rsplit(':', 1)[1]}"
    return _case(name, pair, at_hand, _read_accept(row, where), own is not None)


def _case(name: str, pair: Pair, tools: ToolSet, accept: tuple[Accept, ...], own: bool) -> Case:
    wrong = [line for call in pair.calls for line in tools.violations(call)]
    return Case(name, pair, tools, accept, own, wrong[0] if wrong else "")


def _own_tools(row: JSON, known: dict[str, ToolSet], where: str) -> ToolSet | None:
    """Return the tools that stand in a row (a list of names is none), one object for the same tools."""
    listed = row.get("tools")
    if not listed or (isinstance(listed, list) and all(isinstance(tool, str) for tool in listed)):
        return None
    key = digest(listed)
    if key not in known:
        try:
            known[key] = ToolSet(listed)
        except SchemaError as error:
            raise ExampleError(f"a tool cannot be used: {error}", where=where, fix="mend the case's tools") from error
    return known[key]


def _read_accept(row: JSON, where: str) -> tuple[Accept, ...]:
    accept = row.get("accept") or ()
    right = isinstance(accept, list | tuple) and all(
        isinstance(call, Mapping)
        and len(call) == 1
        and all(isinstance(args, Mapping) and all(isinstance(v, list) for v in args.values()) for args in call.values())
        for call in accept
    )
    if not right:
        raise ExampleError(
            '"accept" cannot be read', where=where, fix="for each expected call {name: {argument: [values]}}"
        )
    return tuple(accept)

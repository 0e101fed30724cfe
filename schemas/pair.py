"""A pair (a request and the calls it should lead to), with the evidence for it, and sets of pairs.

Files are JSON Lines (or Parquet) in the case format: `id`, `source`, `messages`, `calls`, and where they apply
`context`, `tools`, `split`, `template`, `seed`, `evidence`. An empty `calls` list means `no_tool`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from schematune.schemas.call import Call
from schematune.schemas.datacard import card_path, check_card, save_with_card
from schematune.schemas.errors import ExampleError
from schematune.schemas.jsontext import JSON, digest
from schematune.schemas.rows import read_rows, write_rows
from schematune.schemas.tool import ToolSet

__all__ = [
    "REPLY",
    "Evidence",
    "Message",
    "Pair",
    "Pairs",
    "Split",
    "heard_in",
    "heard_turns",
    "read_examples",
    "said_in",
]

Message = Mapping[str, Any]
"""An OpenAI chat message: `role` and `content`, and for tool turns `tool_calls` or `tool_call_id`."""

Split = Literal["train", "dev", "test"]


REPLY = "\u2039"
"""What the lines of an assistant begin with in `heard_in`."""

_REPLIES = 2


def heard_turns(messages: Sequence[Message]) -> list[tuple[bool, str]]:
    """Return what the user said and, between it, the assistant's last two replies: whether each is one, and its text.

    A reply is one line that begins with `REPLY`.
    """
    last = [n for n, message in enumerate(messages) if message.get("role") == "assistant"][-_REPLIES:]
    turns = list[tuple[bool, str]]()
    for number, message in enumerate(messages):
        text = message.get("content")
        if isinstance(text, str) and message.get("role") == "user":
            turns.append((False, text))
        elif isinstance(text, str) and number in last and text.strip():
            turns.append((True, f"{REPLY} {' '.join(text.split())}"))
    return turns


def heard_in(messages: Sequence[Message]) -> str:
    """Return what `said_in` does with the assistant's last two replies between it, each in a line that begins with `REPLY`.

    >>> print(heard_in([{"role": "user", "content": "a table"}, {"role": "assistant", "content": "When?"}, {"role": "user", "content": "at nine"}]))
    a table
    \u2039 When?
    at nine
    """
    return "\n".join(text for _, text in heard_turns(messages))


def said_in(messages: Sequence[Message]) -> str:
    """Return what the user said in a conversation, a line break between messages.

    >>> said_in([{"role": "user", "content": "a table"}, {"role": "assistant", "content": "When?"}, {"role": "user", "content": "at nine"}])
    'a table\\nat nine'
    """
    contents = [message.get("content") for message in messages if message.get("role") == "user"]
    return "\n".join(text for text in contents if isinstance(text, str))


@dataclass(frozen=True)
class Evidence:
    """Why one argument has its value.

    `path` is the call's place and the argument's path (`"0.when.date"`); `rule` is `"span"` (a literal
    part of the request), `"said"` (the request says it in other words), `"context"` (it follows from the
    context), `"offered"` (the assistant said it and the user agreed, there) or `"default"`; `start` and `end` are
    offsets into what the user said (`Pair.said`), -1 where none.
    """

    path: str
    rule: str
    start: int = -1
    end: int = -1

    def moved(self, by: int, *, calls: int = 0) -> "Evidence":
        """Return the evidence of a request that stands `by` letters further on, and its call by `calls`.

        >>> Evidence("0.city", "span", 2, 6).moved(10, calls=1), Evidence("0.day", "default").moved(10)
        (Evidence(path='1.city', rule='span', start=12, end=16), Evidence(path='0.day', rule='default', start=-1, end=-1))
        """
        place, _, path = self.path.partition(".")
        here = replace(self, path=f"{int(place) + calls}.{path}") if calls else self
        return replace(here, start=self.start + by, end=self.end + by) if self.start >= 0 else here


@dataclass(frozen=True)
class Pair:
    """A request (OpenAI messages) and the calls it should lead to.

    `context` is what the program knows (now, time zone, locale); `tools` names the tools permitted, all
    where it is None; `source` says where the pair comes from; `template` is the family of its wording
    (splits never share one); `evidence` traces each argument.

    >>> pair = Pair.of("weather in Oslo", [Call("weather", {"city": "Oslo"})])
    >>> pair.request
    'weather in Oslo'
    """

    messages: tuple[Message, ...]
    calls: tuple[Call, ...]
    context: Mapping[str, str] = field(default_factory=dict)
    tools: tuple[str, ...] | None = None
    id: str = ""
    source: str = ""
    template: str = ""
    seed: int | None = None
    evidence: tuple[Evidence, ...] = ()
    split: Split = "train"

    @classmethod
    def of(cls, request: str, calls: Sequence[Call], **rest: Any) -> "Pair":
        """Make a pair of one user message."""
        return cls(({"role": "user", "content": request},), tuple(calls) or (Call.no_tool(),), **rest)

    @property
    def request(self) -> str:
        """The last user message."""
        users = [m["content"] for m in self.messages if m.get("role") == "user"]
        return str(users[-1]) if users else ""

    @property
    def said(self) -> str:
        """All that the user said, a line break between messages: what copied arguments are spans of."""
        return said_in(self.messages)

    def to_dict(self) -> dict[str, JSON]:
        """Return the pair as one row of the case format; empty fields are left out."""
        row: dict[str, JSON] = {
            "id": self.id or digest([[dict(m) for m in self.messages], dict(self.context)])[:16],
            "source": self.source,
            "messages": [dict(message) for message in self.messages],
            "calls": [{"name": call.name, "arguments": dict(call.arguments)} for call in self.calls],
        }
        optional: dict[str, JSON] = {
            "context": dict(self.context),
            "tools": list(self.tools or ()),
            "template": self.template,
            "seed": self.seed,
            "evidence": [[e.path, e.rule, e.start, e.end] for e in self.evidence],
            "split": self.split if self.split != "train" else "",
        }
        return row | {key: value for key, value in optional.items() if value or value == 0}

    @classmethod
    def from_dict(cls, row: JSON, *, where: str = "") -> "Pair":
        """Read one row of the case format; raises `ExampleError` that names `where`.

        A row without `calls` whose last message is an assistant's with `tool_calls` (OpenAI's form for fine-tuning) has
        those for calls.
        """
        try:
            row = _with_calls(row)
            messages = tuple(row["messages"])
            calls = tuple(Call.from_dict(call) for call in row["calls"]) or (Call.no_tool(),)
            names = row.get("tools") or None
            names = tuple(names) if names and all(isinstance(name, str) for name in names) else None
            pair = cls(
                messages,
                calls,
                dict(row.get("context") or {}),
                names,
                str(row.get("id", "")),
                str(row.get("source", "")),
                str(row.get("template", "")),
                row.get("seed"),
                tuple(Evidence(*item) for item in row.get("evidence", ())),
                row.get("split") or "train",
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ExampleError(
                f"no pair: {error!r}", where=where, fix='needs "messages" and "calls", see the case format'
            ) from error
        if not any(isinstance(m, Mapping) and m.get("role") == "user" and m.get("content") for m in messages):
            raise ExampleError("no user message", where=where, fix='add {"role": "user", "content": ...}')
        return pair


def _with_calls(row: JSON) -> JSON:
    """Return a row with the calls that its last message makes, where it lists none itself."""
    if "calls" in row or not row["messages"] or not row["messages"][-1].get("tool_calls"):
        return row
    *before, last = row["messages"]
    return {**row, "messages": before, "calls": last["tool_calls"]}


class Pairs(Sequence[Pair]):
    """Pairs with their splits, and the count of what was rejected on the way, by reason.

    `origin` is what the data card says of how they were made (`schematune.schemas.datacard`).
    """

    def __init__(
        self,
        pairs: Iterable[Pair],
        *,
        rejected: Mapping[str, int] | None = None,
        origin: Mapping[str, JSON] | None = None,
    ) -> None:
        """See the class."""
        self._pairs = tuple(pairs)
        self.rejected: Counter[str] = Counter(rejected or {})
        self.origin: Mapping[str, JSON] = origin or {}

    def __getitem__(self, key: Any) -> Any:
        """Return one pair, or a slice as `Pairs`."""
        return Pairs(self._pairs[key]) if isinstance(key, slice) else self._pairs[key]

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self._pairs)

    def __iter__(self) -> Iterator[Pair]:
        """Iterate over the pairs."""
        return iter(self._pairs)

    def __eq__(self, other: object) -> bool:
        """Two sets are equal where their pairs are, in order."""
        return isinstance(other, Pairs) and self._pairs == other._pairs

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Show the size of each split."""
        return f"Pairs({len(self)}: {dict(Counter(pair.split for pair in self))})"

    def _of(self, split: Split) -> "Pairs":
        return Pairs(pair for pair in self if pair.split == split)

    @property
    def train(self) -> "Pairs":
        """The pairs to tune on."""
        return self._of("train")

    @property
    def dev(self) -> "Pairs":
        """The pairs to choose checkpoints and thresholds on."""
        return self._of("dev")

    @property
    def test(self) -> "Pairs":
        """The pairs to score on."""
        return self._of("test")

    def save(self, path: str | Path, *, licence: str = "") -> None:
        """Write the pairs, whole or not at all: as Parquet where the name ends in `.parquet`, else as JSON Lines.

        A data card is put beside them (`PATH.card.json`) where it is known how they were made; `licence` is that of
        the examples among them.
        """
        rows = (pair.to_dict() for pair in self)
        if self.origin:
            save_with_card(Path(path), rows, lambda: self.origin, licence=licence)
        else:
            card_path(Path(path)).unlink(missing_ok=True)
            write_rows(Path(path), rows)

    @classmethod
    def load(cls, path: str | Path) -> "Pairs":
        """Read pairs, JSON Lines or Parquet.

        Raises `ExampleError` that names the file and line, also where they are not those that their card describes.
        """
        check_card(Path(path))
        return cls(Pair.from_dict(row, where=where) for where, row in read_rows(Path(path)))


def read_examples(path: str | Path, tools: ToolSet) -> Pairs:
    """Read a user's own examples and check each against `tools`.

    Each example gets `source="example:FILE:LINE"`. Raises `ExampleError` for a file without an example
    and for a gold call that does not fit its tool.
    """
    pairs = []
    for where, row in read_rows(Path(path)):
        pair = Pair.from_dict(row, where=where)
        wrong = [line for call in pair.calls for line in tools.violations(call)]
        if wrong:
            raise ExampleError(f"the gold call is invalid: {wrong[0]}", where=where, fix="mend or drop it")
        name = f"example:{Path(path).name}:{where.rsplit(':', 1)[1]}"
        pairs.append(replace(pair, source=name))
    if not pairs:
        raise ExampleError("no example in it", where=str(path), fix="one JSON object per line")
    return Pairs(pairs)

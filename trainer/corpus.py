"""The text that the built-in base is pretrained on: blocks of tools, requests and calls, made as they are read.

A block is one set of tools (left out of a share of the blocks: the short prompt), one context, and several
requests with their calls as chat turns. Tool sets are invented, or drawn from catalogues of real tool
definitions (`Sources.tools`); requests are worded by the synthesiser, or are people's own
(`Sources.cases`, intents and slots renamed in part, so that they teach reading rather than recall).
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from schematune.schemas.augment import renamed
from schematune.schemas.call import Call
from schematune.schemas.checks import folded
from schematune.schemas.described import is_clock
from schematune.schemas.errors import SchematuneError
from schematune.schemas.files import read_jsonl
from schematune.schemas.frames import verb_and_thing
from schematune.schemas.invent import invent_tools, restyled, tool_set
from schematune.schemas.pair import Pair
from schematune.schemas.realistic import concept
from schematune.schemas.spans import can_copy, is_span
from schematune.schemas.synthesize import Synthesizer
from schematune.schemas.tool import Tool, ToolSet
from schematune.trainer.asked import fields_to_learn, written_block
from schematune.trainer.namespaces import in_namespaces
from schematune.trainer.retelling import retold_pair
from schematune.trainer.talk import among_talk
from schematune.trainer.written import WrittenTool

__all__ = ["Block", "Corpus", "Sources"]

SHARES = {"invented": 0.28, "catalogue": 0.12, "people": 0.15, "written": 0.45}
"""Shares of the kinds of blocks; without catalogues, people's requests or written ones all are invented."""

RECORDS = 0.1
"""Share of the invented blocks that are one thing to be read out of texts (plain extraction), and no tools."""

KINDS = {"call": 0.45, "parallel": 0.13, "ask": 0.07, "no_tool": 0.16, "turns": 0.19}
"""Shares of the kinds of pairs in what the synthesiser words: more of what is hard to learn than in pairs to tune on."""

DESCRIBED = 0.15
"""Share of the blocks whose tools tell in words alone how a day or a time is to be written."""

IN_STATE = 0.06
"""Share of the tools whose towns are to be written with the code of their state."""

NAMESPACES = 0.2
"""Share of the blocks whose tools have a namespace in their names."""

TALK = 0.3
"""Share of the requests beside which people say something else, where people's sentences are at hand."""

_LONG, _VERY_LONG = 2048, 8192


@dataclass(frozen=True)
class Block:
    """One row to train on: tools (none for a short prompt), and pairs that share one context."""

    tools: ToolSet
    shown: bool
    pairs: tuple[Pair, ...]


@dataclass
class Sources:
    """What the corpus draws on besides inventions: tool definitions, and people's requests with their tools."""

    tools: list[Tool] = field(default_factory=list)
    cases: list[tuple[list[Tool], list[Pair]]] = field(default_factory=list)
    written: list[list[WrittenTool]] = field(default_factory=list)

    @classmethod
    def read(
        cls,
        catalogues: Sequence[Path] = (),
        people: Sequence[Path] = (),
        avoid: Sequence[Path] = (),
        written: Path | None = None,
    ) -> "Sources":
        """Read tool catalogues (JSON Lines of tools, or of servers with `tools`) and folders of cases.

        A folder of cases has `tools.json` and one or more `.jsonl` files of cases. Tools that cannot be
        used are passed over, with the reason printed. `avoid` are files of cases to be scored on: a request
        that stands in one of them is left out, and how many were is printed. `written` is a folder of
        requests written for the project (`schematune.trainer.written`).
        """
        sources = cls()
        rows = [(where, row) for path in avoid for where, row in read_jsonl(path)]
        unseen = {folded(Pair.from_dict(row, where=where).request) for where, row in rows}
        if written is not None:
            sources.written = fields_to_learn(written, [row for _, row in rows])
        for path in catalogues:
            for where, row in read_jsonl(path):
                for definition in row.get("tools", [row]):
                    try:
                        sources.tools.extend(ToolSet([definition]))
                    except SchematuneError as error:
                        print(f"passed over {where}: {error}")
        for folder in people:
            tools = ToolSet(folder / "tools.json")
            pairs = [
                Pair.from_dict(row, where=where)
                for file in sorted(folder.glob("*.jsonl"))
                for where, row in read_jsonl(file)
            ]
            usable = [pair for pair in pairs if pair.calls[0].name in tools]
            kept = [pair for pair in usable if folded(pair.request) not in unseen]
            print(
                f"{folder}: {len(kept)} requests, {len(usable) - len(kept)} left out because they are to be scored on"
            )
            sources.cases.append((list(tools), kept))
        return sources


class Corpus:
    """Blocks without end, the same ones for the same seed."""

    def __init__(self, sources: Sources, seed: int, *, longest: int = 1024) -> None:
        """`longest` is the number of tokens that a block may have: from 2,048 on there are sets of up to 40 tools, from 8,192 on of up to 120."""
        self.counts = (1, 1, 2, 3, 4, 5, 6, 8, 10, *((16, 24, 40) if longest >= _LONG else ()))
        self.many = (1, 1, 2, 3, 4, 6, 8, *((16, 40) if longest >= _LONG else ()))
        self.many += (80, 120) if longest >= _VERY_LONG else ()
        self.rng = random.Random(seed)
        self.sources = sources
        self.shares = dict(SHARES)
        if not sources.tools:
            self.shares["catalogue"] = 0.0
        if not sources.cases:
            self.shares["people"] = 0.0
        if not sources.written:
            self.shares["written"] = 0.0
        self.sentences = [pair.request for _, pairs in sources.cases for pair in pairs]

    def __iter__(self) -> Iterator[Block]:
        """Yield blocks for ever."""
        while True:
            kind = self.rng.choices(list(self.shares), list(self.shares.values()))[0]
            block = self._MAKERS[kind](self)
            if block.pairs:
                yield self._as_served(block, apart=kind == "people")

    def _as_served(self, block: Block, *, apart: bool) -> Block:
        """Put other talk beside some requests, and tools into namespaces; people's requests are taken for one each (`apart`)."""
        rng, tools, pairs = self.rng, list(block.tools), block.pairs
        if self.sentences:
            share = TALK / 2 if apart else TALK
            pairs = tuple(
                among_talk(pair, self.sentences, rng, apart=apart) if rng.random() < share else pair for pair in pairs
            )
        if rng.random() < NAMESPACES:
            tools, pairs = in_namespaces(tools, pairs, rng)
        return replace(block, tools=tool_set(tools), pairs=pairs)

    def _worded(self, tools: list[Tool], others: list[Tool]) -> Block:
        rng = self.rng
        tools = [_in_state(tool) if rng.random() < IN_STATE else tool for tool in tools]
        makers = Synthesizer(tool_set(tools), rng, others=others, kinds=KINDS, offers=True)
        moment, pairs = makers.moment(), []
        for _ in range(rng.choice((6, 10, 16))):
            try:
                pairs.append(retold_pair(makers.pair_at(moment), rng))
            except (SchematuneError, ValueError, KeyError, TypeError):  # a schema that cannot be sampled yet
                continue
        shown = tool_set([_described(tool) for tool in tools]) if rng.random() < DESCRIBED else makers.tools
        return Block(shown, rng.random() < 0.92, tuple(pairs))

    def _invented(self) -> Block:
        count = self.rng.choice(self.counts)
        tools = invent_tools(self.rng, count + 3)
        if self.rng.random() < RECORDS:
            return self._worded([_record(tools[0], self.rng)], tools[count:])
        return self._worded(tools[:count], tools[count:])

    def _catalogue(self) -> Block:
        count = self.rng.choice(self.many)
        start = self.rng.randrange(len(self.sources.tools))  # neighbours are of one field: near-duplicates
        near = self.sources.tools[start : start + count // 2 + 1]
        drawn = self.rng.sample(self.sources.tools, min(count + 3, len(self.sources.tools)))
        known = {tool.name: restyled(tool, self.rng) if self.rng.random() < 0.5 else tool for tool in near + drawn}
        tools = [tool for tool in known.values() if len(str(tool.parameters)) < 1500]
        return self._worded(tools[:count] or invent_tools(self.rng, 2), tools[count : count + 3])

    def _people(self) -> Block:
        rng = self.rng
        weights = [3 if any(tool.properties for tool in tools) else 1 for tools, _ in self.sources.cases]
        tools, pairs = rng.choices(self.sources.cases, weights)[0]
        drawn = rng.sample(pairs, min(len(pairs), rng.choice((8, 12, 16))))
        chosen = [_lowered(_swapped(pair, pairs, rng), rng) for pair in drawn]
        needed = {call.name for pair in chosen for call in pair.calls}
        by_name = {tool.name: tool for tool in tools}
        refused = set(rng.sample(sorted(needed), len(needed) // 6))  # tools taken away: their requests want no_tool
        extra = [tool.name for tool in rng.sample(tools, min(len(tools), rng.choice((0, 2, 4))))]
        names = list(dict.fromkeys([*sorted(needed), *extra]))
        rng.shuffle(names)
        kept = [name for name in names if name not in refused][:12] or names[:1]
        renaming = {
            name: renamed(by_name[name], rng) if rng.random() < 0.6 else (by_name[name], _same) for name in kept
        }
        turns = [
            replace(
                pair,
                calls=tuple(renaming[c.name][1](c) for c in pair.calls)
                if pair.calls[0].name in renaming
                else (Call.no_tool(),),
            )
            for pair in chosen
        ]
        unique = {tool.name: tool for tool, _ in renaming.values()}
        if len(unique) < len(renaming):
            return Block(tool_set(list(unique.values())), True, ())
        return Block(tool_set(list(unique.values())), rng.random() < 0.92, tuple(turns))

    def _written(self) -> Block:
        tools, pairs = written_block(self.sources.written, self.rng)
        return Block(tool_set(tools), self.rng.random() < 0.96, tuple(pairs))

    _MAKERS: dict[str, Any] = {
        "invented": _invented,
        "catalogue": _catalogue,
        "people": _people,
        "written": _written,
    }


def _described(tool: Tool) -> Tool:
    """Let a tool's descriptions tell how its days and times are written, in the place of their formats."""
    notes = {"date": "YYYY-MM-DD", "date-time": "YYYY-MM-DDTHH:MM:SSZ"}

    def told(schema: Any) -> Any:
        note = (
            notes.get(schema.get("format", ""), "HH:MM" if is_clock(schema) else "") if isinstance(schema, dict) else ""
        )
        if not note:
            return schema
        kept = {key: value for key, value in schema.items() if key not in ("format", "pattern", "description")}
        return {**kept, "description": f"{schema.get('description', '')} Format: {note}.".strip()}

    properties = {name: told(schema) for name, schema in tool.properties.items()}
    return replace(tool, parameters={**tool.parameters, "properties": properties})


def _in_state(tool: Tool) -> Tool:
    """Let a tool's towns and places be written with the code of their state, as its descriptions then say."""

    def told(name: str, schema: Any) -> Any:
        if not can_copy(schema) or concept(name) not in ("city", "place"):
            return schema
        return {**schema, "description": "The city and state, e.g. Reno, NV"}

    properties = {name: told(name, schema) for name, schema in tool.properties.items()}
    return replace(tool, parameters={**tool.parameters, "properties": properties})


def _record(tool: Tool, rng: random.Random) -> Tool:
    """Make a thing of a tool, as the title of a JSON Schema names one."""
    words = verb_and_thing(tool.name)[1].split()
    name = rng.choice(("".join(map(str.capitalize, words)), "_".join(words)))
    return replace(tool, name=name, description=rng.choice(("", f"{' '.join(words).capitalize()}.")))


def _same(call: Call) -> Call:
    return call


def _swapped(pair: Pair, others: Sequence[Pair], rng: random.Random) -> Pair:
    """Put another person's words, now and then, where a value is copied: what stands around it must tell."""
    text, swaps = pair.request, {}
    for call in pair.calls if rng.random() < 0.5 else ():
        for name, value in call.arguments.items():
            alike = [other.calls[0] for other in rng.sample(others, min(len(others), 400))]
            known = [other.arguments.get(name) for other in alike if other.name == call.name]
            fresh = [new for new in known if isinstance(new, str) and new not in text]
            if isinstance(value, str) and fresh and is_span(value, text) and text.count(value) == 1:
                swaps[name] = rng.choice(fresh)
                text = text.replace(value, swaps[name])
    if any(text.count(new) != 1 for new in swaps.values()):  # one swap went into another
        return pair
    calls = tuple(Call(call.name, {**call.arguments, **swaps}) if swaps else call for call in pair.calls[:1])
    return replace(pair, messages=({"role": "user", "content": text},), calls=calls) if swaps else pair


def _lowered(pair: Pair, rng: random.Random) -> Pair:
    """Give a person's request, and its values, another casing now and then: corpora are lower-cased."""
    if rng.random() < 0.6:
        return pair
    turn = rng.choice((str.capitalize, str.title, str.capitalize))
    text = turn(pair.request)

    def cased(value: Any) -> Any:
        if isinstance(value, str):
            at = text.lower().find(value.lower())
            return text[at : at + len(value)] if at >= 0 else value
        return value

    calls = tuple(Call(c.name, {k: cased(v) for k, v in c.arguments.items()}) for c in pair.calls)
    return replace(pair, messages=({"role": "user", "content": text},), calls=calls)

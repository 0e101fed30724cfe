"""Blocks of requests that were written for the project (`schematune.trainer.written`), beside tools of their field and of others.

The same form is told with other values each time, in other letters, of tools under other names; some stand beside tools that
do not serve them, and two of different tools are asked for in one breath.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from schematune.schemas.augment import renamed, turned
from schematune.schemas.call import RESERVED, Call
from schematune.schemas.checks import folded
from schematune.schemas.jsontext import JSON, digest
from schematune.schemas.lexicon import words_of
from schematune.schemas.pair import Evidence, Pair
from schematune.schemas.similar import LEAKED, Similar
from schematune.schemas.splits import leaves
from schematune.schemas.tool import Tool
from schematune.trainer.written import WrittenTool, read_written

__all__ = ["fields_to_learn", "held_out", "in_one_breath", "written_block"]

NOT_SERVED = 0.17
"""Share of the requests that no tool beside them serves."""

NEARLY = 0.6
"""Share of those that resemble what a tool does; the others want a tool that is not there."""

TOGETHER = 0.07
"""Share of the requests that are two of different tools."""

LOWER = 0.12
"""Share of the requests in small letters throughout."""

RENAMED = 0.3
"""Share of the tools under other names, or the same ones in another style."""

_COMMON = 4
"""Words of the longest text that is not looked for among those to be scored on."""

_BETWEEN = (
    " And ",
    ". Also, ",
    ", and ",
    ". Then ",
    "; ",
    ". And another thing: ",
    ". Besides that, ",
    " and then ",
    ", plus ",
    ".\n",
)


def held_out(one: WrittenTool) -> bool:
    """Tell whether a tool is kept from training, to see with its requests what was learnt from the others."""
    return int(digest(one.tool.name)[:8], 16) % 25 == 0


def fields_to_learn(folder: Path, avoid: Iterable[Mapping[str, JSON]]) -> list[list[WrittenTool]]:
    """Read the files of a folder, one for each field, and leave out what is held out or to be scored on.

    `avoid` are cases to be scored on: a tool that has the name of one of theirs goes, and a request that is like one of
    theirs. How many went is printed. Raises `ExampleError` for a file that is wrong.
    """
    names, seen, fields, tools_gone, forms_gone = set[str](), Similar(LEAKED), list[list[WrittenTool]](), 0, 0
    for row in avoid:
        names |= {_plain_name(_name_of(one)) for one in (*(row.get("tools") or ()), *row["calls"])}
        for message in row["messages"]:
            seen.add(folded(str(message.get("content") or "")))
    for path in sorted(folder.glob("*.txt")):
        kept = list[WrittenTool]()
        for one in read_written(path):
            if held_out(one):
                continue
            if _plain_name(one.tool.name) in names:
                tools_gone += 1
                continue
            forms = [form for form in one.forms if not any(_is_known(text, seen) for text in form.texts)]
            forms_gone += len(one.forms) - len(forms)
            kept.append(replace(one, forms=forms, missed=[t for t in one.missed if not _is_known(t, seen)]))
        fields.append(kept)
    count = sum(len(one.forms) for kept in fields for one in kept)
    print(
        f"{folder}: {count} forms, {tools_gone} tools and {forms_gone} forms left out because they are to be scored on"
    )
    return fields


def _is_known(text: str, seen: Similar) -> bool:
    """Tell whether a text is like one that is known; what many say ("yes, please") is nobody's."""
    return len(text.split()) > _COMMON and bool(seen.find(folded(text)))


def _name_of(tool: JSON) -> str:
    """Return the name of a tool as a case lists it: a name, or a definition."""
    return tool if isinstance(tool, str) else str(tool.get("function", tool).get("name", ""))


def _plain_name(name: str) -> str:
    return " ".join(words_of(name)).lower()


def written_block(fields: Sequence[Sequence[WrittenTool]], rng: random.Random) -> tuple[list[Tool], list[Pair]]:
    """Return tools and requests to them, of which some want none."""
    own = rng.choice(fields)
    kept = rng.sample(own, min(len(own), rng.choice((1, 1, 1, 2, 3, 4, 6, 8, 12))))
    others = [one for field in fields if field is not own for one in field]
    beside = rng.sample(others, min(len(others), rng.choice((0, 0, 0, 1, 3, 6))))
    tools = {one.tool.name: one for one in [*kept, *beside]}
    asked = [one for one in tools.values() if one.forms]
    absent, elsewhere = ([one for one in some if one.tool.name not in tools and one.forms] for some in (own, others))
    forms = [(one, form) for one in asked for form in one.forms]
    rng.shuffle(forms)
    pairs = list[Pair]()
    for one, form in forms[: rng.choice((6, 10, 16))]:
        way = rng.random()
        if way < NOT_SERVED:
            pairs.append(_unserved(kept, absent, elsewhere, rng))
        elif way < NOT_SERVED + TOGETHER and len(asked) > 1:
            first, second = (_single(other, rng) for other in rng.sample(asked, 2))
            pairs.append(in_one_breath(first, second, rng))
        else:
            pairs.append(one.pair(form, rng))
    shown = [one.tool for one in tools.values()]
    rng.shuffle(shown)
    return _under_other_names(shown, [_small(pair, rng) for pair in pairs], rng)


def _single(one: WrittenTool, rng: random.Random) -> Pair:
    forms = [form for form in one.forms if len(form.turns) == 1]
    return one.pair(rng.choice(forms or one.forms), rng)


def _unserved(
    kept: Sequence[WrittenTool], absent: Sequence[WrittenTool], others: Sequence[WrittenTool], rng: random.Random
) -> Pair:
    """Return a request that nothing serves: a near miss, or one for a tool that is not there."""
    missed = [text for one in kept for text in one.missed]
    if missed and rng.random() < NEARLY:
        return Pair.of(rng.choice(missed), [Call.no_tool()], source="written")
    one = rng.choice(absent if absent and rng.random() < 0.6 else others or kept)
    pair = _single(one, rng)
    return replace(pair, calls=(Call.no_tool(),), evidence=())


def in_one_breath(first: Pair, second: Pair, rng: random.Random) -> Pair:
    """Return two requests of one turn each as one that wants both; the first, where one of them is no such request.

    >>> one, two = (Pair.of(text, [Call(text.split()[0])]) for text in ("Play jazz.", "Stop it"))
    >>> in_one_breath(one, two, random.Random(0)).calls
    (Call(name='Play', arguments={}), Call(name='Stop', arguments={}))
    """
    if any(len(pair.messages) > 1 or pair.calls[0].name in RESERVED for pair in (first, second)):
        return first
    between = rng.choice(_BETWEEN)
    begun = first.request.rstrip(".;, ") if between[0] in ".,;" else first.request
    text = begun + between + second.request
    shift, calls = len(begun) + len(between), len(first.calls)
    later = tuple(item.moved(shift, calls=calls) for item in second.evidence)
    return replace(
        Pair.of(text, [*first.calls, *second.calls], source=first.source), evidence=(*first.evidence, *later)
    )


def _small(pair: Pair, rng: random.Random) -> Pair:
    """Return a pair in small letters now and then; values that are copied follow."""
    if rng.random() >= LOWER:
        return pair
    copied = {(item.path.split(".")[0], item.path.split(".")[1]) for item in pair.evidence if item.rule == "span"}
    mixed = [item for item in pair.evidence if item.rule == "offered"]
    texts = [value for call in pair.calls for value in leaves(dict(call.arguments)) if isinstance(value, str)]
    if mixed or len(pair.said.lower()) != len(pair.said) or not texts:
        return pair
    calls = tuple(
        Call(
            call.name,
            {name: _lower(value) if (str(n), name) in copied else value for name, value in call.arguments.items()},
        )
        for n, call in enumerate(pair.calls)
    )
    messages = tuple(
        {**message, "content": str(message["content"]).lower()} if message["role"] == "user" else message
        for message in pair.messages
    )
    return replace(pair, messages=messages, calls=calls)


def _lower(value: Any) -> Any:
    if isinstance(value, list):
        return [_lower(item) for item in value]
    return value.lower() if isinstance(value, str) else value


def _under_other_names(
    tools: Sequence[Tool], pairs: Sequence[Pair], rng: random.Random
) -> tuple[list[Tool], list[Pair]]:
    made = {tool.name: renamed(tool, rng) for tool in tools if rng.random() < RENAMED}
    shown = [made[tool.name][0] if tool.name in made else tool for tool in tools]
    if len({tool.name for tool in shown}) < len(shown):
        return list(tools), list(pairs)
    return shown, [_turned_pair(pair, made) for pair in pairs]


def _turned_pair(pair: Pair, made: Mapping[str, tuple[Tool, Any]]) -> Pair:
    """Return a pair whose calls and evidence name tools and arguments as they are shown."""
    calls, evidence = list[Call](), list[Evidence]()
    for place, call in enumerate(pair.calls):
        name = call.about
        turn = made[name][1] if name in made else None
        calls.append(turn(call) if turn else call)
        for item in pair.evidence:
            number, _, path = item.path.partition(".")
            if int(number) == place:
                new = next(iter(turn(Call(name, {path: ""})).arguments)) if turn else path
                evidence.append(replace(item, path=f"{number}.{new}"))
    messages = tuple(turned(message, made) for message in pair.messages)
    return replace(pair, messages=messages, calls=tuple(calls), evidence=tuple(evidence))

"""Pairs with their tools in the prompt, made harder to answer from memory: for models that read tools at run time.

A short prompt has no tools in it. A model that is to read them (the built-in base, or one tuned to serve tools that it
never saw) must not learn names by heart: tools and arguments go by other names, stand in another order, next to tools
that are almost the same, and now and then the right one is missing, so that `no_tool` is right. Names are masked as in
Hammer (arXiv 2410.04587): what is left to go by is the description.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from schematune.schemas.call import ASK, RESERVED, Call
from schematune.schemas.frames import verb_and_thing
from schematune.schemas.jsontext import JSON, compact
from schematune.schemas.lexicon import ALSO_CALLED, NOUNS, VERBS, invented, words_of
from schematune.schemas.pair import Evidence, Pair
from schematune.schemas.tool import Tool, ToolSet

__all__ = ["Shown", "augmented", "marks", "near_duplicates", "renamed", "turned"]

DROPPED = 0.08
"""Share of the pairs whose tool is taken away."""

MASKED = 0.3
"""Share of the pairs whose tools and arguments have names that say nothing; as many have their own in another style."""


_PLAIN = {"type", "properties", "required", "additionalProperties", "description", "title", "$defs", "definitions"}


@dataclass(frozen=True)
class Shown:
    """A pair and the tools that its prompt shows."""

    tools: ToolSet
    pair: Pair

    def to_dict(self) -> dict[str, JSON]:
        """Return a row of the case format that brings its own tools, in OpenAI's form."""
        return {**self.pair.to_dict(), "tools": self.tools.openai()}


def augmented(
    pairs: Iterable[Pair], tools: ToolSet, *, seed: int = 0, distractors: int = 6, copies: int = 1
) -> Iterator[Shown]:
    """Yield each pair `copies` times with tools to show: the right ones, up to `distractors` others, all renamed.

    Evidence follows the renaming. The same arguments give the same rows.

    >>> tools = ToolSet({"name": "add", "parameters": {"properties": {"n": {"type": "integer"}}}})
    >>> pairs = [Pair.of("add 2", [Call("add", {"n": 2})])] * 20
    >>> all(not row.tools.violations(row.pair.calls[0]) for row in augmented(pairs, tools))
    True
    """
    rng = random.Random(f"{seed}-{tools.fingerprint}-shown")
    others = list(near_duplicates(tools, rng, each=3))
    for pair in pairs:
        for _ in range(copies):
            yield _shown(pair, tools, others, rng, distractors)


def _shown(pair: Pair, tools: ToolSet, others: Sequence[Tool], rng: random.Random, distractors: int) -> Shown:
    needed = list(dict.fromkeys(_served(call) for call in pair.calls if _served(call)))
    known = [tool for tool in tools if tool.name not in needed]
    extra = rng.sample(known, rng.randint(0, min(len(known), distractors)))
    room = distractors - len(extra)
    extra += rng.sample(list(others), rng.randint(0, min(len(others), room)))
    gold = [tools[name] for name in needed]
    if gold and rng.random() < DROPPED and (extra or len(gold) > 1):
        pair, gold = replace(pair, calls=(Call.no_tool(),), evidence=()), []
    shown = [*gold, *extra] or [rng.choice(list(tools))]
    rng.shuffle(shown)
    masked = rng.choices((True, False, None), (MASKED, MASKED, 1 - 2 * MASKED))[0]
    if masked is None:
        return Shown(_set(shown, tools), pair)
    return _renamed(pair, shown, tools, rng, masked=masked)


def _served(call: Call) -> str:
    return "" if call.about in RESERVED else call.about


def _set(shown: Sequence[Tool], like: ToolSet) -> ToolSet:
    return ToolSet([tool.openai() for tool in shown], parallel=like.parallel)


def _renamed(pair: Pair, shown: Sequence[Tool], like: ToolSet, rng: random.Random, *, masked: bool) -> Shown:
    made: dict[str, tuple[Tool, Callable[[Call], Call]]] = {}
    taken: set[str] = set()
    for tool in shown:
        new, turn = renamed(tool, rng, masked=masked)
        if new.name in taken or new.name in RESERVED:
            new, turn = tool, _unchanged
        taken.add(new.name)
        made[tool.name] = new, turn
    calls = tuple(made[_served(call)][1](call) if _served(call) in made else call for call in pair.calls)
    evidence = tuple(_followed(item, pair, made) for item in pair.evidence)
    messages = tuple(turned(message, made) for message in pair.messages)
    return Shown(
        _set([tool for tool, _ in made.values()], like),
        replace(pair, calls=calls, evidence=evidence, messages=messages, tools=None),
    )


def _unchanged(call: Call) -> Call:
    return call


def _followed(item: Evidence, pair: Pair, made: Mapping[str, tuple[Tool, Callable[[Call], Call]]]) -> Evidence:
    """Return evidence with the path that its argument has by its new name."""
    place, name, *rest = item.path.split(".")
    call = pair.calls[int(place)]
    turn = made[call.name][1]
    return replace(item, path=".".join([place, *turn(Call(call.name, {name: None})).arguments, *rest]))


def turned(message: Mapping[str, JSON], made: Mapping[str, tuple[Tool, Callable[[Call], Call]]]) -> Mapping[str, JSON]:
    """Return a message whose calls have the new names; what was asked in words stays as it was."""
    if not message.get("tool_calls"):
        return message
    turned = []
    for raw in message["tool_calls"]:
        call = Call.from_dict(raw)
        new = made[call.name][1](call) if call.name in made else call
        turned.append({**raw, "function": {"name": new.name, "arguments": compact(dict(new.arguments))}})
    return {**message, "tool_calls": turned}


def renamed(tool: Tool, rng: random.Random, *, masked: bool = False) -> tuple[Tool, Callable[[Call], Call]]:
    """Return a tool under other names, its arguments in another order, and the function that renames its calls.

    Names are `masked` (they say nothing), or the same words in another style.

    >>> tool = Tool("find_flight", "Find a flight.", {"type": "object", "properties": {"to_city": {"type": "string"}}})
    >>> new, turn = renamed(tool, random.Random(3), masked=True)
    >>> turn(Call("find_flight", {"to_city": "Rome"})) == Call(new.name, {next(iter(new.properties)): "Rome"})
    True
    """
    if not set(tool.parameters) <= _PLAIN:  # other keywords may name arguments
        return tool, _unchanged
    name = (
        f"{rng.choice(('tool', 'fn', 'action', invented(rng)))}_{rng.randrange(1, 99)}"
        if masked
        else _styled(tool.name, rng)
    )
    slots = {slot: f"{rng.choice(('arg', 'p', 'x', invented(rng)))}{n}" if masked else _slot(slot, rng) for n, slot in enumerate(tool.properties)}  # fmt: skip
    if len(set(slots.values())) < len(slots):
        slots = {slot: slot for slot in slots}
    names = list(tool.properties)
    rng.shuffle(names)
    parameters = {
        **tool.parameters,
        "properties": {slots[slot]: _told(tool.properties[slot], slot, masked) for slot in names},
        "required": [slots[slot] for slot in tool.required],
    }
    about = tool.description or " ".join(words_of(tool.name))

    def turn(call: Call) -> Call:
        if call.name == ASK:
            return Call.ask(name, [slots.get(slot, slot) for slot in call.arguments["missing"]])
        return Call(name, {slots.get(key, key): value for key, value in call.arguments.items()})

    return Tool(name, about if masked else tool.description, parameters), turn


def _told(schema: JSON, slot: str, masked: bool) -> JSON:
    """Return an argument's schema, with a description where the name no longer says what it is."""
    if not masked or not isinstance(schema, Mapping) or schema.get("description"):
        return schema
    return {**schema, "description": " ".join(words_of(slot))}


def _slot(slot: str, rng: random.Random) -> str:
    parts = words_of(slot) or [slot]
    return rng.choice((slot, slot, parts[-1], "_".join(parts), parts[0] + "".join(part.title() for part in parts[1:])))


def _styled(name: str, rng: random.Random) -> str:
    words = words_of(name) or [name]
    styles = (
        "".join(word.title() for word in words), "_".join(reversed(words)), ".".join(words), "_".join(words), words[-1],
        f"{rng.choice(list(VERBS))}_{'_'.join(words)}", f"{invented(rng)}_{rng.choice(NOUNS)}",
    )  # fmt: skip
    return rng.choice(styles)


def near_duplicates(tools: ToolSet, rng: random.Random, *, each: int) -> Iterator[Tool]:
    """Yield tools that are almost those of a set: another verb on the same thing, or the same verb on another.

    None does what a tool of the set does: verbs and things that people take for one another do not count as others.

    >>> tools = ToolSet({"name": "cancel_order", "description": "Cancel an order.", "parameters": {"properties": {}}})
    >>> sorted(len(set(t.name.split("_")) & {"cancel", "order"}) for t in near_duplicates(tools, random.Random(1), each=2))
    [1, 1]
    """
    known = [verb_and_thing(tool.name, tool.description) for tool in tools]
    for tool in tools:
        verb, thing = verb_and_thing(tool.name, tool.description)
        for _ in range(each):
            other = (rng.choice(list(VERBS)), thing) if rng.random() < 0.5 else (verb, rng.choice(NOUNS))
            near = Tool(
                "_".join([other[0], *other[1].split()]), f"{other[0].capitalize()} {other[1]}.", tool.parameters
            )
            if thing and not any(_alike(other, own) for own in known) and marks(near, tools):
                yield near


def marks(other: Tool, tools: ToolSet) -> tuple[str, ...]:
    """Return the words of which a request for `other` must say one, so that no tool of the set is meant as well.

    >>> tools = ToolSet({"name": "cancel_order", "parameters": {"properties": {}}})
    >>> marks(Tool("cancel_carpet", "", {}), tools), "ship" in marks(Tool("ship_order", "", {}), tools)
    (('carpet',), True)
    """
    verb, thing = verb_and_thing(other.name, other.description)
    known = [verb_and_thing(tool.name, tool.description) for tool in tools]
    verbs = () if any(_same(verb, own, VERBS) for own, _ in known) else (verb, *VERBS.get(verb, ()))
    things = () if any(_same(thing, own, ALSO_CALLED) for _, own in known) else (thing,)
    return (*verbs, *things)


def _alike(one: tuple[str, str], two: tuple[str, str]) -> bool:
    return _same(one[0], two[0], VERBS) and _same(one[1], two[1], ALSO_CALLED)


def _same(one: str, two: str, also: Mapping[str, Sequence[str]]) -> bool:
    """Tell whether two words are the same, or people say one for the other."""
    first, second = {one, *also.get(one, ())}, {two, *also.get(two, ())}
    return bool(first & second) or bool(set(one.split()) & set(two.split()))

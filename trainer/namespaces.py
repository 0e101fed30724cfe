"""Tools under the names that servers and frameworks give them: `Banks_1.CheckBalance`, `mcp__files__read_file`, `crm-2/find`.

Made names are a verb and a thing. A reader of tools that knows only those guesses a name where it should copy it.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from schematune.schemas.augment import turned
from schematune.schemas.call import ASK, RESERVED, Call
from schematune.schemas.lexicon import NOUNS, invented, words_of
from schematune.schemas.pair import Pair
from schematune.schemas.tool import Tool

__all__ = ["in_namespaces"]


def in_namespaces(
    tools: Sequence[Tool], pairs: Sequence[Pair], rng: random.Random
) -> tuple[list[Tool], tuple[Pair, ...]]:
    """Return tools under names with one of a few namespaces each, and the pairs whose calls name them so.

    >>> tools, pairs = in_namespaces([Tool("find_bus", "", {})], [Pair.of("a bus", [Call("find_bus")])], random.Random(2))
    >>> tools[0].name == pairs[0].calls[0].name, tools[0].name.lower().endswith("bus")
    (True, True)
    """
    spaces = [_space(rng) for _ in range(rng.choice((1, 1, 2, 3)))]
    between, cased = rng.choice((".", ".", ".", "_", "__", "-", "/", ":")), rng.choice((_camel, _camel, _snake, str))
    names = {tool.name: f"{rng.choice(spaces)}{between}{cased(tool.name)}" for tool in tools}
    if len(set(names.values())) < len(names):
        return list(tools), tuple(pairs)
    turn = _turn(names)
    made = {tool.name: (replace(tool, name=names[tool.name]), turn) for tool in tools}
    return [tool for tool, _ in made.values()], tuple(
        replace(
            pair,
            calls=tuple(turn(call) for call in pair.calls),
            messages=tuple(turned(message, made) for message in pair.messages),
        )
        for pair in pairs
    )


def _space(rng: random.Random) -> str:
    word = rng.choice((rng.choice(NOUNS), rng.choice(NOUNS), invented(rng)))
    number = rng.randrange(1, 10)
    return rng.choice(
        (f"{word.title()}s_{number}", f"{word.title()}_{number}", word, f"mcp__{word}", f"{word}{number}", word.title())
    )


def _camel(name: str) -> str:
    return "".join(word[:1].upper() + word[1:] for word in words_of(name)) or name


def _snake(name: str) -> str:
    return "_".join(words_of(name)) or name


def _turn(names: dict[str, str]) -> Callable[[Call], Call]:
    def turn(call: Call) -> Call:
        if call.name == ASK:
            tool = str(call.arguments.get("tool", ""))
            return Call(ASK, {**call.arguments, "tool": names.get(tool, tool)})
        return call if call.name in RESERVED else replace(call, name=names.get(call.name, call.name))

    return turn

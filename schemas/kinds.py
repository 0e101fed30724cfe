"""What a tool's arguments of a kind are filled with: words that the tool set itself has for its things.

An argument like `item_type` takes a noun ("a novel", "the table"), and which ones there are nobody lists. The nearest nouns are the
tool's own: what it acts on, what the argument is the type of, and what else they are called; then what its sister tools
act on.
"""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence

from schematune.schemas.frames import plan
from schematune.schemas.jsontext import JSON
from schematune.schemas.lexicon import ALSO_CALLED, words_of
from schematune.schemas.realistic import concept
from schematune.schemas.roles import is_kind
from schematune.schemas.tool import Tool

__all__ = ["Kinds"]

_VAGUE = {
    "object",
    "item",
    "entity",
    "thing",
    "element",
    "type",
    "kind",
    "category",
    "class",
    "of",
    "the",
    "name",
    "title",
    "id",
    "genre",
    "format",
}
_OWN, _SISTERS = 0.45, 0.3
"""Shares of the values that are the tool's own nouns, and its sisters'; the others are drawn as any kind's."""


class Kinds:
    """The nouns of a tool set, as values for arguments that take a kind of thing."""

    def __init__(self, tools: Iterable[Tool]) -> None:
        """See the class."""
        self._tools = list(tools)
        self._known: dict[str, Mapping[str, tuple[Sequence[str], Sequence[str]]]] = {}

    def of(self, tool: Tool) -> Mapping[str, tuple[Sequence[str], Sequence[str]]]:
        """Return for each argument of a tool that takes a kind of thing the tool's own nouns, and its sisters'.

        >>> from schematune.schemas.tool import ToolSet
        >>> definition = {"name": "rate_kettle", "parameters": {"properties": {"item_type": {"type": "string"}}}}
        >>> tools = ToolSet(definition)
        >>> Kinds(tools).of(tools["rate_kettle"])
        {'item_type': (('kettle',), ())}
        """
        if tool.name not in self._known:
            free = tuple(
                name for name, schema in tool.properties.items() if isinstance(schema, dict) and set(schema) <= _PLAIN
            )
            sisters = [noun for other in self._tools if other.name != tool.name for noun in _nouns(other)]
            found = {}
            for name in free:
                if is_kind(name, free):
                    said = [*_about(name), *_things(tool)]
                    own = tuple(noun for noun in _called(said) if noun not in _things(tool) or len(said) < 2)
                    found[name] = own, tuple(noun for noun in _called(sisters) if noun not in own and noun not in said)
            self._known[tool.name] = found
        return self._known[tool.name]

    def fill(
        self, tool: Tool, values: Mapping[str, JSON], rng: random.Random, *, may: Callable[[str], bool] = bool
    ) -> dict[str, JSON]:
        """Return `values` with nouns of the tools in the place of some that are kinds; `may` tells which nouns may stand."""
        filled = dict(values)
        for name, (own, sisters) in self.of(tool).items():
            roll = rng.random()
            nouns = own if roll < _OWN else sisters if roll < _OWN + _SISTERS else ()
            if name in filled and isinstance(filled[name], str) and nouns:
                noun = rng.choice(nouns)
                noun = f"{noun}s" if rng.random() < 0.15 and not noun.endswith("s") else noun
                filled[name] = noun if may(noun) else filled[name]
        return filled


_PLAIN = {"type", "title", "description"}


def _about(name: str) -> list[str]:
    words = [word for word in words_of(name) if word not in _VAGUE]
    return [" ".join(words)] if words else []


def _things(tool: Tool) -> list[str]:
    made = plan(tool)
    return [made.thing] if made.thing and made.thing not in _VAGUE else []


def _nouns(tool: Tool) -> list[str]:
    """Return what a tool acts on, and what its arguments name that have a name or a title."""
    named = [name for name in tool.properties if concept(name) in ("title", "maker", "thing", "company", "landmark")]
    return [*_things(tool), *(noun for name in named for noun in _about(name) if len(noun.split()) == 1)]


def _called(nouns: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for noun in nouns for name in (noun, *ALSO_CALLED.get(noun, ()))))

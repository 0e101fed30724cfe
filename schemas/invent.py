"""Tool sets made up at random: for pretraining the built-in base, and for requests that no tool serves.

Names, descriptions and parameters are drawn from general words, in the naming styles that tools have; a
share of the words is invented, so that a tool must be read, not remembered.
"""

import random
from collections.abc import Callable, Sequence
from typing import Any

from schematune.schemas.jsontext import JSON
from schematune.schemas.lexicon import ADJECTIVES, NOUNS, VERBS, invented
from schematune.schemas.pools import pool
from schematune.schemas.tool import Tool, ToolSet

__all__ = ["invent_tool", "invent_tools", "restyled", "tool_set"]

_Make = Callable[[random.Random, str], dict[str, JSON]]


def _string(rng: random.Random, noun: str) -> dict[str, JSON]:
    return {"type": "string"}


def _choices(rng: random.Random, noun: str) -> dict[str, JSON]:
    source = rng.choice((ADJECTIVES, ADJECTIVES, NOUNS, pool("word")))
    options = rng.sample(source, rng.randint(2, 6))
    if rng.random() < 0.2:
        options = [invented(rng) for _ in options]
    style = rng.choice((str, str, str.upper, str.title, lambda o: f"{o}_{rng.choice(NOUNS)}"))
    return {"type": "string", "enum": list(dict.fromkeys(style(option) for option in options))}


def _integer(rng: random.Random, noun: str) -> dict[str, JSON]:
    low = rng.choice((0, 1, 1, 1, 5, 10))
    bounds: dict[str, JSON] = rng.choice(
        ({}, {"minimum": low}, {"minimum": low, "maximum": low + rng.choice((5, 9, 20, 50, 100, 1000))})
    )
    return {"type": "integer", **bounds}


def _number(rng: random.Random, noun: str) -> dict[str, JSON]:
    return {
        "type": "number",
        **rng.choice(({}, {}, {"minimum": 0}, {"minimum": 0, "maximum": rng.choice((1, 10, 100, 5000))})),
    }


def _flag(rng: random.Random, noun: str) -> dict[str, JSON]:
    return {"type": "boolean", **rng.choice(({}, {"default": False}, {"default": True}))}


def _clock(rng: random.Random, noun: str) -> dict[str, JSON]:
    return {"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"}


def _many(rng: random.Random, noun: str) -> dict[str, JSON]:
    item = rng.choice((_string, _string, _choices, _integer))(rng, noun)
    return {"type": "array", "items": item, "minItems": 1, "maxItems": rng.choice((2, 3, 4))}


def _money(rng: random.Random, noun: str) -> dict[str, JSON]:
    key, code = rng.choice(("value", "amount", "sum")), rng.choice(("currency", "currency_code", "unit"))
    coins = rng.sample(("EUR", "USD", "GBP", "CHF", "JPY", "INR", "CAD", "SEK"), rng.randint(2, 5))
    properties: dict[str, JSON] = {key: {"type": "number", "minimum": 0}, code: {"type": "string", "enum": coins}}
    return {"type": "object", "properties": properties, "required": [key, code]}


def _nested(rng: random.Random, noun: str) -> dict[str, JSON]:
    properties = dict(_parameter(rng, noun, simple=True) for _ in range(rng.randint(2, 3)))
    required = [name for name in properties if rng.random() < 0.6]
    return {"type": "object", "properties": properties, "required": required}


def _of_format(form: str) -> _Make:
    return lambda rng, noun: {"type": "string", "format": form}


_SIMPLE: tuple[tuple[tuple[str, ...], _Make, float], ...] = (
    (("name", "title", "label", "subject", "{noun}_name", "{noun}", "{noun}_title", "heading"), _string, 9),
    (("city", "place", "location", "{noun}_location", "address", "venue", "town", "region", "country", "area"), _string, 6),
    (("from", "origin", "start", "pickup", "source", "departure_{noun}"), _string, 2),
    (("to", "destination", "target", "dropoff", "arrival_{noun}"), _string, 2),
    (("person", "recipient", "owner", "contact", "customer", "author", "user", "{noun}_owner", "doctor", "guest"), _string, 5),
    (("company", "vendor", "brand", "employer", "supplier", "store"), _string, 3),
    (("message", "text", "note", "body", "comment", "content", "reason", "description", "feedback"), _string, 5),
    (("query", "keyword", "topic", "search_term", "question", "phrase"), _string, 4),
    (("id", "code", "{noun}_id", "reference", "number", "{noun}_number", "serial", "account", "symbol"), _string, 5),
    (("language", "target_language", "lang"), _string, 1.5),
    (("city", "town", "country", "state", "province", "{noun}_city", "landmark", "nearest_{noun}"), _string, 5),
    (("{noun}_type", "kind", "category", "style", "genre", "{noun}_kind"), _string, 4),
    (("artist", "author", "performer", "speaker", "{noun}_author"), _string, 2),
    (("service", "app", "platform", "provider", "{noun}_service"), _string, 2),
    (("when", "{noun}_time", "period", "time_range", "day", "date"), _string, 3),
    (("count", "{noun}_count", "rating", "score", "number_of_{noun}s", "year"), _string, 3),
    (("sort", "order", "condition", "quality", "unit", "position", "{noun}_feature", "ingredient", "dish"), _string, 3),
    (("{adj}_{noun}", "{noun}_{noun2}", "{inv}", "{word}", "{noun}", "{adj}"), _string, 8),
    (("kind", "type", "category", "status", "mode", "size", "priority", "{noun}_type", "unit", "level", "format", "color", "{noun}"), _choices, 12),
    (("count", "quantity", "limit", "people", "guests", "days", "nights", "copies", "max_results", "{noun}_count", "hours", "minutes",
      "duration_minutes", "year", "age", "page", "number_of_{noun}s", "seats", "rating", "floor"), _integer, 12),
    (("amount", "price", "budget", "weight", "height", "distance", "temperature", "rate", "{noun}_size", "length", "width", "value",
      "percentage", "speed", "{adj}_{noun}", "score"), _number, 9),
    (("urgent", "include_{noun}", "{adj}", "is_{adj}", "with_{noun}", "notify", "recurring", "show_{noun}", "private"), _flag, 6),
    (("date", "day", "{noun}_date", "due_date", "start_date", "deadline", "on"), _of_format("date"), 9),
    (("until", "end_date", "last_day", "return_date"), _of_format("date"), 2),
    (("time", "start_time", "at", "{noun}_time"), _clock, 5),
    (("when", "starts_at", "{noun}_at", "timestamp"), _of_format("date-time"), 0.6),
    (("email", "{noun}_email", "contact_email"), _of_format("email"), 2),
    (("url", "link", "website"), _of_format("uri"), 1),
)  # fmt: skip
_NESTED: tuple[tuple[tuple[str, ...], _Make, float], ...] = (
    (
        (
            "items",
            "tags",
            "{noun}s",
            "names",
            "attendees",
            "people",
            "ingredients",
            "ids",
            "features",
            "members",
            "values",
        ),
        _many,
        9,
    ),
    (("amount", "price", "budget", "payment"), _money, 2),
    (("{noun}", "details", "client", "options", "{adj}_{noun}", "filter"), _nested, 2),
)
_NOTES = (
    "The {words}.",
    "{Words} to use.",
    "Which {words}.",
    "The {words} of the {noun}.",
    "{Words}.",
    "What the {words} is.",
    "Optional {words}.",
)


def _parameter(rng: random.Random, noun: str, *, simple: bool = False) -> tuple[str, dict[str, JSON]]:
    kinds = _SIMPLE if simple or rng.random() < 0.85 else _NESTED
    names, make, _ = rng.choices(kinds, [weight for _, _, weight in kinds])[0]
    name = _named(rng.choice(names), rng, noun)
    schema = make(rng, noun)
    words = name.replace("_", " ")
    if rng.random() < 0.7:
        schema["description"] = rng.choice(_NOTES).format(words=words, Words=words.capitalize(), noun=noun)
    return name, schema


def _named(template: str, rng: random.Random, noun: str) -> str:
    return template.format(
        noun=noun if rng.random() < 0.6 else rng.choice(NOUNS), noun2=rng.choice(NOUNS), adj=rng.choice(ADJECTIVES),
        inv=invented(rng), word=rng.choice(pool("word")),
    )  # fmt: skip


_STYLES: tuple[Callable[[list[str]], str], ...] = (
    "_".join,
    "_".join,
    "_".join,
    lambda words: words[0] + "".join(word.title() for word in words[1:]),
    lambda words: "".join(word.title() for word in words),
    lambda words: f"{words[-1]}.{'_'.join(words[:-1])}" if len(words) > 1 else words[0],
    "-".join,
    lambda words: "_".join([*words[1:], words[0]]),
)
_ABOUT = (
    "{Verb} {a} {thing}.", "{Verb} {a} {thing}.", "{Verb} the {thing} of a {noun2}.", "{Verb} {a} {thing} for the user.",
    "{Verb} {thing}s.", "{Verb} {a} {thing} in the {noun2}.", "{Verbs} {a} {thing}.", "Use this to {verb} {a} {thing}.",
    "{Verb} {a} {thing}, with the {noun2} if wanted.", "Tool that can {verb} {a} {thing}.", "{Verb} {thing} by {noun2}.",
)  # fmt: skip


def invent_tool(rng: random.Random, *, noun: str | None = None, verb: str | None = None) -> Tool:
    """Make up one tool.

    >>> tool = invent_tool(random.Random(4))
    >>> bool(tool.name and tool.description) and tool.parameters["type"]
    'object'
    """
    noun = noun or (invented(rng) if rng.random() < 0.12 else rng.choice(NOUNS))
    verb = verb or rng.choice(list(VERBS))
    noun2 = rng.choice(NOUNS)
    thing = rng.choice((noun, noun, f"{rng.choice(ADJECTIVES)} {noun}", f"{noun} {noun2}"))
    style = rng.choice(_STYLES)
    about = rng.choice(_ABOUT).format(
        Verb=verb.title(),
        verb=verb,
        Verbs=verb.title() + "s",
        thing=thing,
        noun2=noun2,
        a="an" if thing[0] in "aeiou" else "a",
    )
    chosen: dict[str, dict[str, JSON]] = {}
    for _ in range(rng.choice((0, 1, 2, 2, 3, 3, 3, 4, 4, 5, 6))):
        name, schema = _parameter(rng, noun)
        chosen.setdefault(name, schema)
    share = rng.choice((0.3, 0.6, 0.9))
    required = [name for name in chosen if rng.random() < share]
    parameters = {"type": "object", "properties": chosen, "required": required}
    return Tool(style([verb, *thing.split()]), about, parameters)


def invent_tools(rng: random.Random, count: int) -> list[Tool]:
    """Make up `count` tools of different names; near-duplicates (same noun or same verb) among them."""
    tools: dict[str, Tool] = {}
    while len(tools) < count:
        near = rng.choice(list(tools.values())) if tools and rng.random() < 0.25 else None
        noun = _noun_of(near) if near and rng.random() < 0.7 else None
        tool = invent_tool(rng, noun=noun)
        tools.setdefault(tool.name, tool)
    return list(tools.values())


def _noun_of(tool: Tool) -> str:
    known = [word for word in tool.description.rstrip(".").split() if word in _NOUN_SET]
    return known[-1] if known else tool.description.split()[-1].rstrip(".,")


_NOUN_SET = set(NOUNS)


def restyled(tool: Tool, rng: random.Random) -> Tool:
    """Return a known tool under another name and with its arguments in another order and partly dropped."""
    names = list(tool.properties)
    rng.shuffle(names)
    kept = names[: rng.randint(1, len(names))] if names else []
    properties = {name: tool.properties[name] for name in kept}
    required = [name for name in tool.required if name in properties]
    name = tool.name if rng.random() < 0.7 else invented(rng)
    return Tool(name, tool.description, {**tool.parameters, "properties": properties, "required": required})


def tool_set(tools: Sequence[Tool]) -> ToolSet:
    """Make a set of tools that are known to be right, without checking them again."""
    made: Any = object.__new__(ToolSet)
    made.parallel = True
    made._tools = {tool.name: tool for tool in tools}
    return made  # type: ignore[no-any-return]

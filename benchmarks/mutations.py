"""Random schemas, and schemas made worse: what a compiler has to survive.

Everything is drawn from one `random.Random`, so a case is known by its seed and its number. What comes out is JSON, but
mostly no good schema: keywords with values of the wrong kind, nesting without end, huge enums, patterns that explode,
references in circles, numbers at the edge, text that is no text.
"""

import copy
import random
from collections.abc import Callable, Sequence
from typing import Any

from schematune.schemas.jsontext import JSON

__all__ = ["made_up", "mutated", "scrambled"]

_KEYWORDS = (
    "type", "enum", "const", "properties", "required", "additionalProperties", "patternProperties", "propertyNames",
    "minProperties", "maxProperties", "dependentRequired", "dependentSchemas", "dependencies", "items", "prefixItems",
    "contains", "minContains", "maxContains", "minItems", "maxItems", "uniqueItems", "additionalItems", "minLength",
    "maxLength", "pattern", "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "allOf",
    "anyOf", "oneOf", "not", "if", "then", "else", "$ref", "$dynamicRef", "$recursiveRef", "$id", "id", "$anchor",
    "$dynamicAnchor", "$defs", "definitions", "$schema", "unevaluatedProperties", "unevaluatedItems", "x-guidance",
)  # fmt: skip
_TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")
_FORMATS = (
    "date",
    "date-time",
    "time",
    "email",
    "uuid",
    "uri",
    "ipv4",
    "regex",
    "hostname",
    "duration",
    "nonsense",
    "",
)
_NAMES = (
    "a",
    "b",
    "name",
    "",
    " ",
    "a/b",
    "a~b",
    "%",
    "$ref",
    "type",
    "é",
    "\u0000",
    "𝄞",
    '"',
    "\\",
    "\ud800",
    "x" * 300,
)
_PATTERNS = (
    "^(a+)+$", "(a|aa)*b", "^(?=a)b", "[", "(", "a{2,1}", "a{0,100000}", "(a{0,1000}){0,1000}", "((a?){30}){30}", "\\1", "(a)\\1",
    ".*" * 30, "(" * 200 + ")" * 200, "[^\\x00-\\uFFFF]", "\\p{L}+", "\\p{Nope}", "^$", "$^", "^[\\s\\S]{3,9}$", "(?<n>a)\\k<n>",
    "(?i)a", "\\d{1,99999}", "[\\w-\\d]", "\\u{1F600}", "(?:x|y|z){1,5}$", "a**", "x" * 20000, "\\", "\\x", "[a-\\", "(?P<a>b", "\ud800",
)  # fmt: skip
_NUMBERS = (
    0,
    -0.0,
    1,
    -1,
    2,
    3,
    0.1,
    1e-320,
    1e308,
    -1e308,
    10**19,
    10**30,
    -(10**400),
    2**53 + 1,
    0.5,
    7.0,
    1e16,
    100_000,
    2**31,
)


def made_up(rng: random.Random, depth: int = 4) -> JSON:
    """Return a random schema, mostly a sound one."""
    if depth <= 0 or rng.random() < 0.1:
        return rng.choice([True, False, {}, {"type": rng.choice(_TYPES)}, {"$ref": "#"}, {"enum": [1, "a", None]}])
    below: Callable[[], JSON] = lambda: made_up(rng, depth - 1)  # noqa: E731
    makers: Sequence[Callable[[], dict[str, JSON]]] = (
        lambda: {"type": "object", "properties": {n: below() for n in _some(rng, "abcd")}, "required": _some(rng, "abcd")},
        lambda: {"type": "object", "additionalProperties": below(), "minProperties": rng.randrange(4)},
        lambda: {"type": "object", "patternProperties": {rng.choice(_PATTERNS[18:25]): below()}, "propertyNames": below()},
        lambda: {"type": "array", "items": below(), "minItems": rng.randrange(3), "uniqueItems": True},
        lambda: {"prefixItems": [below(), below()], "contains": below(), "maxContains": rng.randrange(4)},
        lambda: {"type": "string", "pattern": rng.choice(_PATTERNS), "maxLength": rng.randrange(30)},
        lambda: {"type": "string", "format": rng.choice(_FORMATS)},
        lambda: {"type": rng.choice(["integer", "number"]), "minimum": rng.choice(_NUMBERS), "multipleOf": rng.choice(_NUMBERS)},
        lambda: {rng.choice(["anyOf", "oneOf", "allOf"]): [below() for _ in range(rng.randrange(1, 5))]},
        lambda: {"if": below(), "then": below(), "else": below()},
        lambda: {"not": below(), "unevaluatedProperties": False, "anyOf": [below(), below()]},
        lambda: {"$defs": {"a": below()}, "$ref": "#/$defs/a", "properties": {"b": {"$ref": "#/$defs/a"}}},
        lambda: {"dependentRequired": {"a": ["b"], "b": ["c"]}, "dependentSchemas": {"c": below()}},
    )  # fmt: skip
    found = rng.choice(makers)()
    return {**found, **rng.choice(makers)()} if rng.random() < 0.3 else found


def mutated(schema: JSON, rng: random.Random) -> JSON:
    """Return a copy of a schema with one to five things made worse."""
    whole: list[JSON] = [copy.deepcopy(schema)]
    for _ in range(rng.randint(1, 5)):
        holder, key = _place(whole, rng)
        holder[key] = rng.choice(_WORSE)(holder[key], rng)
    return whole[0]


def scrambled(text: str, rng: random.Random) -> bytes:
    """Return a text as bytes of which some are changed, left out, doubled or cut off."""
    data = bytearray(text.encode("utf-8", "surrogatepass"))
    for _ in range(rng.randint(1, 8)):
        place = rng.randrange(len(data) + 1)
        kind = rng.randrange(5)
        if kind == 0:
            data[place : place + 1] = bytes([rng.randrange(256)])
        elif kind == 1:
            del data[place : place + rng.randrange(9)]
        elif kind == 2:
            data[place:place] = data[place : place + rng.randrange(40)]
        elif kind == 3:
            data[place:place] = rng.choice(
                (b"[" * 3000, b'{"a":' * 2000, b"1e999", b"NaN", b'"\\ud800"', b"\x00", b'"a":1,' * 2)
            )
        else:
            del data[place:]
    return bytes(data)


def _some(rng: random.Random, names: str) -> list[str]:
    return [name for name in names if rng.random() < 0.5]


def _place(whole: list[JSON], rng: random.Random) -> tuple[Any, Any]:
    """Return a random place in a tree: what holds it, and its key."""
    holder: Any = whole
    key: Any = 0
    while rng.random() < 0.8:
        value = holder[key]
        if isinstance(value, dict) and value:
            holder, key = value, rng.choice(list(value))
        elif isinstance(value, list) and value:
            holder, key = value, rng.randrange(len(value))
        else:
            break
    return holder, key


def _value(rng: random.Random) -> JSON:
    return rng.choice((
        None, True, False, "", [], {}, rng.choice(_NUMBERS), rng.choice(_NAMES), rng.choice(_PATTERNS), rng.choice(_TYPES),
        [rng.choice(_TYPES)] * 2, [[]], {"a": {}}, [rng.choice(_NAMES)], {rng.choice(_NAMES): rng.choice(_NUMBERS)},
    ))  # fmt: skip


def _given(old: JSON, rng: random.Random) -> JSON:
    """Add a keyword with a value of any kind."""
    name = rng.choice(_KEYWORDS)
    value = rng.choice((_value(rng), old, [old], {rng.choice(_NAMES): old}))
    return {**old, name: value} if isinstance(old, dict) else {name: value}


def _nested(old: JSON, rng: random.Random) -> JSON:
    wraps: Sequence[Callable[[JSON], JSON]] = (
        lambda x: {"items": x}, lambda x: {"properties": {"a": x}}, lambda x: {"not": x}, lambda x: {"allOf": [x]},
        lambda x: {"anyOf": [x, {"type": "null"}]}, lambda x: {"if": x}, lambda x: [x], lambda x: {"additionalProperties": x},
        lambda x: {"oneOf": [x, {"required": ["a"]}]}, lambda x: {"const": x}, lambda x: {"enum": [x]},
    )  # fmt: skip
    wrap = rng.choice(wraps)
    for _ in range(rng.choice((1, 3, 10, 30, 60, 70, 200, 900, 3000))):
        old = wrap(old)
    return old


def _huge(old: JSON, rng: random.Random) -> JSON:
    many = rng.choice((300, 3000, 30000))
    makers: Sequence[Callable[[], JSON]] = (
        lambda: {"enum": [f"value {n}" for n in range(many)]},
        lambda: {"enum": list(range(many))},
        lambda: {"properties": {f"p{n}": {"type": "integer"} for n in range(many // 10)}, "required": [f"p{n}" for n in range(0, many // 10, 3)]},
        lambda: {"anyOf": [{"const": {"k": n}} for n in range(many // 10)]},
        lambda: {"oneOf": [{"required": [f"p{n}"]} for n in range(many // 30)]},
        lambda: {"allOf": [{"anyOf": [{"required": [f"p{n}"]}, {"required": [f"q{n}"]}]} for n in range(many // 100)]},
        lambda: {"type": "string", "minLength": many, "maxLength": many * 7},
        lambda: {"type": "array", "minItems": many, "items": old, "maxItems": many * 3},
        lambda: {"properties": {f"p{n}": {} for n in range(60)}, "additionalProperties": False, "minProperties": 20, "maxProperties": 30},
        lambda: {"dependentRequired": {f"p{n}": [f"p{n + 1}"] for n in range(many // 100)}},
        lambda: {"dependentSchemas": {f"p{n}": {"oneOf": [{"required": [f"q{n}"]}, old]} for n in range(many // 100)}},
        lambda: {"prefixItems": [old] * (many // 10)},
    )  # fmt: skip
    return rng.choice(makers)()


def _referring(old: JSON, rng: random.Random) -> JSON:
    target = rng.choice(
        (
            "#",
            "#/$defs/a",
            "#/properties/a",
            "#/items",
            "#/allOf/0",
            "#/anyOf/1",
            "#a",
            "",
            "other.json",
            "#/%",
            "#/~",
            "http://x/",
            "#/$defs/é",
        )
    )
    choices: Sequence[JSON] = (
        {"$ref": target},
        {"$ref": target, "$defs": {"a": {"$ref": target}}},
        {"allOf": [{"$ref": target}, old]},
        {"anyOf": [{"$ref": target}, {"not": {"$ref": target}}]},
        {"$defs": {"a": {"properties": {"a": {"$ref": "#/$defs/b"}}}, "b": {"items": {"$ref": "#/$defs/a"}}}, "$ref": target},
        {"$dynamicRef": target, "$dynamicAnchor": "a"},
        {"not": {"$ref": "#"}},
        {"if": {"$ref": "#"}, "then": old},
    )  # fmt: skip
    return rng.choice(choices)


_WORSE: Sequence[Callable[[JSON, random.Random], JSON]] = (
    lambda old, rng: _value(rng),
    lambda old, rng: made_up(rng),
    _given,
    _given,
    _nested,
    _huge,
    _referring,
    lambda old, rng: {"pattern": rng.choice(_PATTERNS), "type": "string"},
    lambda old, rng: {"patternProperties": {rng.choice(_PATTERNS): old}},
    lambda old, rng: dict(reversed(old.items())) if isinstance(old, dict) else [old, old],
)

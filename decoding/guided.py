"""A JSON Schema as the grammar engine's `%json`: as it stands where the engine enforces it, else rewritten.

Strict first: a schema that the engine takes whole is enforced whole. Another is rewritten
(`schematune.decoding.rewrite`), and only what has no equivalent is left to be checked. `Guided.account` tells which
keyword is which.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

import llguidance

from schematune.decoding.rewrite import Rewritten, rewritten
from schematune.schemas.bundle import without_siblings
from schematune.schemas.errors import SchemaError
from schematune.schemas.jsontext import JSON, compact, strict_loads
from schematune.schemas.merge import ANNOTATIONS
from schematune.schemas.validate import check_bounds, check_schema, part_validator

__all__ = ["Guided", "account", "compiled", "guided", "keywords", "reason_of"]

T = TypeVar("T")

_MEMBERS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies")
_VALUES = ("enum", "const", "default", "examples", "example")
_NOTES = ANNOTATIONS | {"$schema", "$id", "id", "$defs", "definitions", "$anchor", "$dynamicAnchor", "example"}
_CALENDAR = re.compile('"format":"date(?:-time)?"')  # the engine lets 30 February through
_MOST_CACHED = 100_000
_NEVER: dict[str, JSON] = {"not": {}}


@dataclass(frozen=True)
class Guided:
    """A schema as the engine's text, the schema that the text holds, and what became of its keywords.

    `rewritten` counts the keywords that are enforced in another form, `checked` those that the mask does not hold (or
    not wholly), so that values are checked against the schema.
    """

    text: str
    schema: JSON
    rewritten: Mapping[str, int] = field(default_factory=dict)
    checked: Mapping[str, int] = field(default_factory=dict)

    def account(self, schema: JSON) -> dict[str, str]:
        """Tell of each keyword of the schema that this was made of: `"enforced"`, `"rewritten"` or `"checked"`.

        >>> schema = {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}
        >>> guided(schema).account(schema)
        {'type': 'enforced', 'items': 'enforced', 'uniqueItems': 'checked'}
        """
        kinds = {**dict.fromkeys(self.rewritten, "rewritten"), **dict.fromkeys(self.checked, "checked")}
        if "dependentRequired" in kinds or "dependentSchemas" in kinds:
            kinds["dependencies"] = kinds.get("dependentRequired", kinds.get("dependentSchemas", ""))
        kinds |= {key: kinds["if"] for key in ("then", "else") if "if" in kinds}
        return {key: kinds.get(key, "enforced") for key in dict.fromkeys(keywords(schema))}


def guided(schema: JSON, *, spaced: bool = False, where: str = "schema") -> Guided:
    """Write a schema for the engine, `spaced` as `json.dumps` does or compact; raise `SchemaError`, naming `where`.

    >>> guided({"type": "integer", "minimum": 1}).checked
    {}
    """
    text = check_bounds(schema, where=where)
    found = (_guided if len(text) <= _MOST_CACHED else _guided.__wrapped__)(text, spaced)
    if isinstance(found, str):
        raise SchemaError(f"no grammar can be made of it: {found}", where=where, fix="simplify the schema")
    return found


def account(schema: JSON) -> dict[str, str]:
    """Tell of each keyword of any schema what becomes of it: as `Guided.account`, or `"refused"`.

    Refused are all keywords where no grammar can be made of the schema, and those that the mask does not hold where no
    validator can be made of it either.

    >>> account({"type": "array", "items": False, "minItems": 1})
    {'type': 'refused', 'items': 'refused', 'minItems': 'refused'}
    """
    try:
        found = guided(schema).account(schema)
    except SchemaError:
        return dict.fromkeys(keywords(schema), "refused")
    if part_validator(schema, schema) is not None:
        return found
    return {key: "refused" if kind == "checked" else kind for key, kind in found.items()}


def compiled(schema: JSON, tokenizer: llguidance.LLTokenizer) -> tuple[Guided, llguidance.LLMatcher]:
    """Compile a schema for plain structured output in compact JSON; raise `SchemaError`.

    The same as compiling `guided(schema).text`, at half the cost for what the engine takes as it stands.
    """
    check_bounds(schema)

    def compile(text: str) -> tuple[llguidance.LLMatcher | None, list[str]]:
        matcher = llguidance.LLMatcher(tokenizer, text, log_level=0)
        failed = matcher.is_error()
        return (None, [matcher.get_error()]) if failed else (matcher, list(matcher.get_grammar_warnings()))

    found, made = _first(schema, False, compile)
    if made is None or isinstance(found, str):
        raise SchemaError(f"no grammar can be made of it: {found}", where="schema", fix="simplify the schema")
    return found, made


@lru_cache(maxsize=4096)
def _guided(text: str, spaced: bool) -> Guided | str:
    def validate(grammar: str) -> tuple[bool | None, list[str]]:
        failed, messages = llguidance.LLMatcher.validate_grammar_with_warnings(grammar)
        return (None if failed else True), list(messages)

    return _first(strict_loads(text), spaced, validate)[0]


def _first(
    schema: JSON, spaced: bool, take: Callable[[str], tuple[T | None, list[str]]]
) -> tuple[Guided | str, T | None]:
    """Return the first form that the engine takes with what `take` made of it, or why it takes none."""
    reason, never, schema = "", False, without_siblings(schema)
    for form, lenient in _forms(schema):
        if form.schema is False:
            never = True
            break
        written = _text(form.schema, spaced, lenient)
        made, messages = take(f"start: %json {written}")
        if made is not None:
            noted = Counter(_named(messages)) if lenient else Counter[str]()
            noted["format"] += len(_CALENDAR.findall(written))
            return Guided(written, form.schema, form.rewritten, {**+noted, **form.checked}), made
        reason = reason or (messages[0] if messages else "")
    return "nothing fits it" if never or not reason else reason_of(reason), None


def _forms(schema: JSON) -> Iterator[tuple[Rewritten, bool]]:
    """Yield the forms to try, and whether the engine may leave out what it does not take."""
    yield Rewritten(schema), False
    other = None
    try:
        other = rewritten(schema)
    except (SchemaError, RecursionError):
        pass
    except (TypeError, AttributeError, ValueError, LookupError, ArithmeticError):
        check_schema(schema)  # a keyword's value of the wrong kind: that says which
        raise
    if other is not None:
        yield other, False
        yield other, True
    yield Rewritten(schema), True


def _text(schema: JSON, spaced: bool, lenient: bool) -> str:
    options: dict[str, JSON] = {
        "whitespace_flexible": False,
        "item_separator": ", " if spaced else ",",
        "key_separator": ": " if spaced else ":",
    }
    whole = (dict[str, JSON]() if schema else _NEVER) if isinstance(schema, bool) else schema
    return compact({**whole, "x-guidance": {**options, "lenient": True} if lenient else options})


def _named(messages: list[str]) -> Iterator[str]:
    """Yield the keywords that the engine's warnings name."""
    for message in messages:
        yield from (word.strip('"[] ') for word in message.split(":")[-1].split(","))


def keywords(schema: JSON) -> Iterator[str]:
    """Yield the keywords of a schema and its parts that forbid something."""
    if isinstance(schema, list):
        for item in schema:
            yield from keywords(item)
    if not isinstance(schema, Mapping):
        return
    for key, value in schema.items():
        if key not in _NOTES:
            yield key
        if key in _MEMBERS and isinstance(value, Mapping):
            yield from keywords(list(value.values()))
        elif key not in _VALUES and key not in _NOTES:
            yield from keywords(value)


def reason_of(message: str) -> str:
    """Return the telling line of llguidance's message."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("error:")]
    first = lines[0].split("failed to compile JSON schema: ")[-1] if lines else "no reason given"
    return errors[0].removeprefix("error: ") if errors else first

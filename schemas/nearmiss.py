"""Near misses: values that break a schema in one place and for one reason, which is told.

A valid value is changed where a keyword bounds it, one change at a time; what comes out is kept where the validator
finds one violation, of that keyword. They are what a model that almost knows the schema writes: negatives for
preference training, and tests.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schematune.schemas.jsontext import JSON
from schematune.schemas.merge import Normal
from schematune.schemas.normal import Document
from schematune.schemas.validate import part_validator

__all__ = ["BROKEN", "NearMiss", "near_misses"]

_OTHERS: tuple[JSON, ...] = ("twelve", 12, True, 0.5, [], {}, None)
BROKEN = {"date": "2026-02-30", "time": "25:00:00Z", "date-time": "2026-02-30T10:00:00Z", "email": "nobody at home",
           "uuid": "12345", "ipv4": "300.1.1.1", "ipv6": "12345::", "uri": "not a uri", "duration": "5 minutes"}  # fmt: skip
"""For each format a text that is almost one."""

Path = tuple[str | int, ...]

Change = tuple[str, Sequence[JSON]]
"""A keyword, and values that should break it."""


@dataclass(frozen=True)
class NearMiss:
    """A value that breaks `keyword` at `path`, and nothing else."""

    value: JSON
    keyword: str
    path: Path


def near_misses(schema: JSON, value: JSON) -> Iterator[NearMiss]:
    """Yield the near misses of a value that fits `schema`, in the order of its parts.

    >>> schema = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 9}}, "required": ["n"]}
    >>> [(miss.value, miss.keyword) for miss in near_misses(schema, {"n": 3})]
    [('twelve', 'type'), ({}, 'required'), ({'n': 'twelve'}, 'type'), ({'n': 10}, 'maximum')]
    """
    validator = part_validator(schema, schema)
    if validator is None:
        return
    for path, keyword, candidates in _Finder(Document(schema)).changes(schema, value, ()):
        for changed in candidates:
            whole = _with(value, path, changed)
            errors = list(validator.iter_errors(whole))
            if len(errors) == 1 and _keyword(errors[0]) == keyword:
                yield NearMiss(whole, keyword, path)
                break


def _keyword(error: Any) -> str:
    return next((str(part) for part in reversed(error.schema_path) if isinstance(part, str)), "")


def _with(value: JSON, path: Path, changed: JSON) -> JSON:
    """Return `value` with the part at `path` replaced; the rest is shared."""
    if not path:
        return changed
    if isinstance(value, list):
        return [_with(item, path[1:], changed) if place == path[0] else item for place, item in enumerate(value)]
    return {key: _with(item, path[1:], changed) if key == path[0] else item for key, item in value.items()}


class _Finder:
    """Finds the changes worth trying."""

    def __init__(self, document: Document) -> None:
        self.document = document

    def changes(self, schema: JSON, value: JSON, path: Path) -> Iterator[tuple[Path, str, Sequence[JSON]]]:
        """Yield where to change something, which keyword that should break, and to what, the best first."""
        normal = self.document.settled(schema, value)
        yield from ((path, keyword, candidates) for keyword, candidates in _here(normal, value))
        if isinstance(value, Mapping):
            for key in value:
                yield from self.changes(self.document.member(normal, key), value[key], (*path, key))
        elif isinstance(value, list):
            prefix = normal.get("prefixItems", [])
            for place, item in enumerate(value[:3]):
                part = prefix[place] if place < len(prefix) else normal.get("items", True)
                yield from self.changes(part, item, (*path, place))


def _here(normal: Normal, value: JSON) -> Iterator[Change]:
    if "type" in normal:
        yield "type", [other for other in _OTHERS if type(other) is not type(value)]
    for keyword in ("enum", "const"):
        if keyword in normal:
            yield keyword, [f"{value}x" if isinstance(value, str) else 987654321]
    if isinstance(value, bool) or value is None:
        return
    if isinstance(value, int | float):
        yield from _numbers(normal, value)
    elif isinstance(value, str):
        yield from _texts(normal, value)
    elif isinstance(value, list):
        yield from _arrays(normal, value)
    else:
        yield from _objects(normal, value)


def _objects(normal: Normal, value: Mapping[str, JSON]) -> Iterator[Change]:
    required = normal.get("required", ())
    yield from (("required", [_without(value, key)]) for key in required)
    more = {**value, "unknown_member": "twelve"}
    yield from ((keyword, [more]) for keyword in ("additionalProperties", "maxProperties") if keyword in normal)
    if normal.get("minProperties") == len(value):
        yield "minProperties", [_without(value, key) for key in value if key not in required]


def _without(value: Mapping[str, JSON], key: str) -> JSON:
    return {name: item for name, item in value.items() if name != key}


def _numbers(normal: Normal, value: float) -> Iterator[Change]:
    for keyword, step in (("minimum", -1), ("maximum", 1), ("exclusiveMinimum", 0), ("exclusiveMaximum", 0)):
        if keyword in normal:
            yield keyword, [normal[keyword] + step]
    if "multipleOf" in normal:
        yield "multipleOf", [value + normal["multipleOf"] / 2, value + 1, value - 1]


def _texts(normal: Normal, value: str) -> Iterator[Change]:
    if normal.get("minLength", 0) > 0:
        yield "minLength", [value[: normal["minLength"] - 1]]
    if "maxLength" in normal:
        yield "maxLength", [value + "x" * (normal["maxLength"] + 1 - len(value))]
    if "pattern" in normal:
        yield "pattern", [f"{value}!", f" {value}", value[1:], value[:-1], value.swapcase(), "", "?"]
    if normal.get("format") in BROKEN:
        yield "format", [BROKEN[normal["format"]]]


def _arrays(normal: Normal, value: list[JSON]) -> Iterator[Change]:
    if normal.get("minItems", 0) > 0:
        yield "minItems", [value[: normal["minItems"] - 1]]
    if value and normal.get("maxItems", 1000) < 1000:
        more = range(normal["maxItems"] + 1 - len(value))
        yield "maxItems", [[*value, *(value[-1] for _ in more)], [*value, *(f"{value[-1]}{n}" for n in more)]]
    if value and normal.get("uniqueItems"):
        yield "uniqueItems", [[*value, value[0]]]

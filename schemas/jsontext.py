"""JSON text as schematune writes and reads it: compact, keys kept in order, duplicate keys caught."""

import hashlib
import json
from typing import Any

__all__ = ["JSON", "compact", "digest", "strict_loads"]

JSON = Any
"""A value that `json.loads` can return."""


def compact(value: JSON, *, ordered: bool = True) -> str:
    """Write `value` as JSON without spaces, keys in the order they have (or else sorted), non-ASCII kept.

    >>> compact({"b": [1, "é"], "a": None})
    '{"b":[1,"é"],"a":null}'
    >>> compact({"b": [1, "é"], "a": None}, ordered=False)
    '{"a":null,"b":[1,"é"]}'
    """
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False, sort_keys=not ordered)


def digest(value: JSON, *, ordered: bool = True) -> str:
    """Return the SHA-256 of `value` as compact JSON; where keys are `ordered`, a reordered schema differs."""
    return hashlib.sha256(compact(value, ordered=ordered).encode("utf-8", "surrogatepass")).hexdigest()


def _no_duplicates(items: list[tuple[str, JSON]]) -> dict[str, JSON]:
    keys: dict[str, JSON] = {}
    for key, value in items:
        if key in keys:
            raise ValueError(f"the key {key!r} stands twice in one object")
        keys[key] = value
    return keys


def _no_constant(name: str) -> JSON:
    raise ValueError(f"{name} is not JSON")


def strict_loads(text: str) -> JSON:
    """Parse JSON text; a key that stands twice in one object, NaN and Infinity are errors.

    Raises `ValueError`.

    >>> strict_loads('{"a":1,"a":2}')
    Traceback (most recent call last):
    ...
    ValueError: the key 'a' stands twice in one object
    """
    try:
        return json.loads(text, object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error

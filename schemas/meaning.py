"""What a part of a request may mean as the value of an argument: the words themselves, a date or a number, a listed value, a list."""

import re
from collections.abc import Mapping

from schematune.schemas.described import form_of
from schematune.schemas.jsontext import JSON
from schematune.schemas.said import can_say, said_values
from schematune.schemas.spans import can_copy

__all__ = ["means_itself", "meanings"]

_BETWEEN = re.compile(r"\s*(?:[,;&+/]|\b(?:and|plus|or|then)\b)\s*", re.IGNORECASE)
_SIGNS = re.compile(r"[\W_]+")
_WRITTEN = ("email", "idn-email", "uri", "url", "uuid", "hostname", "ipv4", "ipv6")
"""Formats of texts that are said as they are written."""

_FORMS = {"date": {"format": "date"}, "clock": {"pattern": r"^([01]\d|2[0-3]):[0-5]\d$"}}
"""What stands for the forms that a description tells in words."""


def means_itself(schema: JSON) -> bool:
    """Tell whether any text means itself for an argument of `schema`.

    >>> means_itself({"type": "string"}), means_itself({"type": "string", "description": "Day (YYYY-MM-DD)"})
    (True, False)
    """
    return isinstance(schema, Mapping) and can_copy(schema) and form_of(schema) not in _FORMS


def meanings(schema: JSON, text: str, now: str = "", name: str = "") -> list[JSON]:
    """List the values that a text may mean for an argument of `schema`; empty where it means none.

    `now` is the context's moment in ISO 8601, `name` the argument's name.

    >>> meanings({"type": "string", "format": "date"}, "tomorrow", "2026-04-20T11:25+02:00"), meanings({"enum": ["in_stock"]}, "In stock")
    (['2026-04-21'], ['in_stock'])
    >>> meanings({"type": "string", "description": "Day (YYYY-MM-DD)"}, "3 may 2026"), meanings({"type": "string"}, "3 may 2026")
    (['2026-05-03'], ['3 may 2026'])
    >>> meanings({"type": "array", "items": {"type": "integer"}}, "three, 4 and 12")
    [[3, 4, 12]]
    """
    if not isinstance(schema, Mapping):
        return []
    if "enum" in schema:
        values = schema["enum"]
        return [value for value in values if isinstance(value, str) and _plain(value) == _plain(text)]
    if schema.get("type") == "array":
        parts = [part for part in _BETWEEN.split(text) if part]
        found = [meanings(schema.get("items"), part, now, name)[:1] for part in parts]
        return [[value for some in found for value in some]] if parts and all(found) else []
    if means_itself(schema) or (schema.get("type") == "string" and schema.get("format") in _WRITTEN):
        return [text]
    told = _FORMS[form_of(schema)] if can_copy(schema) else {}
    return said_values({**schema, **told}, text, now, name) if told or can_say(schema) else []


def _plain(text: str) -> str:
    return _SIGNS.sub(" ", text.casefold()).strip()

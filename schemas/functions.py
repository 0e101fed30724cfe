"""Tools from Python: functions, methods, objects that can be called, pydantic models, dataclasses, TypedDicts.

Type hints give the schema (pydantic makes it), docstrings and the texts in `Annotated` the descriptions. Docstrings
are read in the styles of Google, NumPy and Sphinx.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass
from functools import partial
from typing import Any, NotRequired, Required, get_args, get_origin, get_type_hints

from pydantic import BaseModel, TypeAdapter, validate_call
from pydantic.errors import PydanticUserError
from typing_extensions import is_typeddict

from schematune.schemas.errors import SchemaError
from schematune.schemas.jsontext import JSON

__all__ = ["argument_notes", "from_class", "from_function"]

Made = tuple[str, str, dict[str, JSON], Callable[..., Any]]
"""Name, description, parameters, function."""

_BROKEN = (PydanticUserError, NameError, TypeError, ValueError)
_DATA = {"default", "const", "enum", "examples"}
"""Keywords whose values are data, not schemas."""


def from_class(kind: type, where: str) -> Made:
    """Read a pydantic model, a dataclass or a TypedDict; calling its function makes one. Raises `SchemaError`.

    >>> @dataclass
    ... class Point:
    ...     "A point."
    ...     x: int
    >>> name, description, parameters, function = from_class(Point, "tools[0]")
    >>> name, description, parameters["properties"], function(x="3").x
    ('Point', 'A point.', {'x': {'type': 'integer'}}, 3)
    """
    place, documentation = f"{where} ({kind.__name__})", inspect.cleandoc(kind.__doc__ or "")
    if issubclass(kind, BaseModel):
        return kind.__name__, documentation, _described(kind.model_json_schema(), kind, {}), kind
    if not is_dataclass(kind) and not is_typeddict(kind):
        raise SchemaError(
            f"the class {kind.__name__} says nothing of its members",
            where=place,
            fix="make it a pydantic model, a dataclass or a TypedDict, or give a function",
        )
    if documentation.startswith(f"{kind.__name__}("):  # a dataclass without words has its signature there
        documentation = ""
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(kind)
        parameters = _described(adapter.json_schema(), kind, argument_notes(documentation))
    except _BROKEN as error:
        raise _no_schema(error, place) from error

    def function(**members: JSON) -> Any:
        return adapter.validate_python(members)

    function.__name__ = function.__qualname__ = kind.__name__
    return kind.__name__, _first(documentation), parameters, function


def from_function(function: Callable[..., Any], where: str) -> Made:
    """Read a function, a method, a `functools.partial` or an object with `__call__`; raises `SchemaError`.

    Its arguments need type hints; what a partial has fixed is no argument any more. The function that comes back checks
    what it is given.
    """
    inner: Any = function
    fixed: set[str] = set()
    while isinstance(inner, partial):
        fixed |= set(inner.keywords)
        inner = inner.func
    name = getattr(inner, "__name__", type(inner).__name__)
    if not inspect.isroutine(inner) and not isinstance(inner, type):
        documentation = inspect.cleandoc(type(inner).__doc__ or getattr(inner.__call__, "__doc__", "") or "")
        inner = inner.__call__
        function = inner if not isinstance(function, partial) else function
    else:
        documentation = inspect.getdoc(inner) or ""
    place = f"{where} ({name})"
    try:
        hints = get_type_hints(inner, include_extras=True)
        _check_arguments(function, hints, place)
        taken: Any = function  # pydantic takes functions as it takes types
        adapter: TypeAdapter[Any] = TypeAdapter(taken)
        schema = adapter.json_schema()
        bound = validate_call(function)
    except _BROKEN as error:
        raise _no_schema(error, place) from error
    schema.pop("additionalProperties", None)
    parameters = _described(schema, inner, argument_notes(documentation))
    for key in fixed & set(parameters["properties"]):
        del parameters["properties"][key]
    return name, _first(documentation), parameters, bound


def _check_arguments(function: Callable[..., Any], hints: Mapping[str, Any], place: str) -> None:
    for argument, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY):
            raise SchemaError(
                f"the argument {argument!r} cannot be given by name", where=place, fix="use named arguments"
            )
        if argument not in hints:
            raise SchemaError(f"the argument {argument!r} has no type", where=place, fix="add a type hint")


def _no_schema(error: Exception, place: str) -> SchemaError:
    return SchemaError(
        f"no JSON Schema for its arguments: {str(error).splitlines()[0]}", where=place, fix="use JSON types"
    )


def _first(documentation: str) -> str:
    """Return the first paragraph of a docstring, in one line."""
    first = re.split(r"\n\s*\n|\n(?:Args|Arguments|Parameters|Attributes|Returns):|\n:\w+", f"\n{documentation}")[0]
    return " ".join(first.split())


def _described(schema: dict[str, JSON], source: Any, notes: Mapping[str, str]) -> dict[str, JSON]:
    """Return a schema of pydantic's without its titles, with the descriptions that hints and docstrings give."""
    tidied: dict[str, JSON] = _tidied(schema, "")
    tidied.pop("description", None)
    properties = tidied.setdefault("properties", {})
    try:
        hints = get_type_hints(source, include_extras=True)
    except (NameError, TypeError):  # names that only pydantic can see
        hints = {}
    for argument, part in properties.items():
        note = _annotated(hints.get(argument)) or notes.get(argument)
        if note and isinstance(part, dict):
            part.setdefault("description", note)
    return tidied


def _annotated(hint: Any) -> str:
    """Return the text in `Annotated[str, "the text"]`, or in its `Doc("the text")`."""
    while get_origin(hint) in (Required, NotRequired):
        hint = get_args(hint)[0]
    found = (getattr(one, "documentation", one) for one in getattr(hint, "__metadata__", ()))
    return next((one for one in found if isinstance(one, str)), "")


def _tidied(node: JSON, inside: str) -> Any:
    """Take out the titles that pydantic adds; `inside` is the keyword whose value the node is."""
    if isinstance(node, list):
        return [_tidied(item, "") for item in node]
    if not isinstance(node, Mapping):
        return node
    named = inside in ("properties", "$defs")
    return {
        key: value if key in _DATA and not named else _tidied(value, "" if named else key)
        for key, value in node.items()
        if named or key != "title" or not isinstance(value, str)
    }


_HEADING = re.compile(
    r"(Args|Arguments|Params|Parameters|Keyword Args|Keyword Arguments|Other Parameters|Attributes)(:?)\s*$"
)
_OTHER = re.compile(r"[A-Z][A-Za-z ]+:\s*$")
_ENTRY = re.compile(r"\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)$")
_FIELD = re.compile(r":(?:param|parameter|arg|argument|key|keyword)\s+(?:[^:]*\s)?\*{0,2}(\w+)\s*:\s*(.*)$")


@dataclass
class _Reader:
    """Where the reading of a docstring stands: the style of its section, and the entries that go on."""

    style: str = ""
    names: tuple[str, ...] = ()
    depth: int = 0


def argument_notes(documentation: str) -> dict[str, str]:
    """Read what a docstring says of each argument, in the style of Google, NumPy or Sphinx, or as `name: words`.

    >>> argument_notes("Look.\\n\\nArgs:\\n    city (str): The town,\\n        or village.\\n    day: When.")
    {'city': 'The town, or village.', 'day': 'When.'}
    >>> argument_notes("Look.\\n\\nParameters\\n----------\\ncity : str\\n    The town.")
    {'city': 'The town.'}
    >>> argument_notes("Look.\\n\\n:param str city: The town.\\n:returns: Text.")
    {'city': 'The town.'}
    """
    lines = documentation.splitlines()
    found: dict[str, list[str]] = {}
    at = _Reader()
    for number, line in enumerate(lines):
        below = lines[number + 1].strip() if number + 1 < len(lines) else ""
        _read(line, below, at, found)
    return {name: " ".join(words) for name, words in found.items() if words}


def _read(line: str, below: str, at: _Reader, found: dict[str, list[str]]) -> None:
    """Read one line of a docstring; `below` is the one after it."""
    said, depth = line.strip(), len(line) - len(line.lstrip())
    heading = _HEADING.match(said)
    underlined = bool(re.fullmatch(r"-{3,}", below))
    if not said or re.fullmatch(r"-{3,}", said):
        return
    if underlined or (heading and heading[2]) or (_OTHER.match(said) and depth == 0):
        at.style = "" if not heading else "numpy" if underlined else "google"
        at.names, at.depth = (), -1
    elif field := _FIELD.match(said):
        at.style, at.names, at.depth = "sphinx", (field[1],), depth
        found[field[1]] = [field[2]] if field[2] else []
    elif said.startswith(":") and at.style == "sphinx":
        at.names = ()
    elif at.style == "numpy" and depth == 0:
        at.names = tuple(re.findall(r"\w+", said.split(":")[0]))
        found |= {name: [] for name in at.names}
    elif at.style in ("google", "") and (entry := _ENTRY.match(said)) and (at.depth < 0 or depth <= at.depth):
        at.names, at.depth = ((entry[1],), depth) if at.style else ((), 0)
        found.setdefault(entry[1], [entry[2]] if entry[2] else [])
    else:
        for name in at.names:
            found[name].append(said)

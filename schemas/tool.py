"""A tool and a set of tools: one value type for every source, with a fingerprint.

The fingerprint covers names, descriptions and parameters, key order included (outputs are written in
schema order), but not the order of the tools: the same tools in another order are the same set.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from schematune.schemas.bundle import pointed
from schematune.schemas.call import ASK, NO_TOOL, RESERVED, Call
from schematune.schemas.errors import SchemaError
from schematune.schemas.jsontext import JSON, compact, digest
from schematune.schemas.merge import NEVER
from schematune.schemas.normal import Document
from schematune.schemas.sources import read_source
from schematune.schemas.validate import Validator, check_schema, listed, validator

__all__ = ["Tool", "ToolSet"]


@dataclass(frozen=True)
class Tool:
    """One tool: its name, what it does, and the JSON Schema (type object) of its arguments.

    `bound` names arguments that the program gives and the model never sees; they are not in
    `parameters`. `function` is what `Answer.run` calls. `extras` is what its definition says besides (MCP's
    `annotations` and `outputSchema`, OpenAI's `strict`): it is written out again, and is no part of the fingerprint.
    """

    name: str
    description: str
    parameters: Mapping[str, JSON]
    bound: tuple[str, ...] = ()
    function: Callable[..., Any] | None = field(default=None, compare=False, repr=False)
    extras: Mapping[str, JSON] = field(default_factory=dict, compare=False, repr=False)

    @property
    def properties(self) -> Mapping[str, JSON]:
        """The arguments by name, in the order in which they are written."""
        return self.parameters.get("properties", {})  # type: ignore[no-any-return]

    @cached_property
    def required(self) -> tuple[str, ...]:
        """The required arguments, in schema order."""
        needed = set(self.parameters.get("required", ()))
        return tuple(name for name in self.properties if name in needed)

    @cached_property
    def strict(self) -> Mapping[str, JSON]:
        """The parameters as calls are held to: no argument that the schema does not list.

        A schema that says something of `additionalProperties` keeps what it says, and one without
        `properties` is open.
        """
        closed = {} if "additionalProperties" in self.parameters or "properties" not in self.parameters else _CLOSED
        return {**self.parameters, **closed}

    @cached_property
    def validator(self) -> Validator:
        """What calls are held to, ready to check them."""
        return validator(self.strict)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the validator behind: it is made anew where it is needed."""
        return {name: value for name, value in self.__dict__.items() if name != "validator"}

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the tool as the model and the grammar see it."""
        return digest(self._seen())

    @cached_property
    def document(self) -> Document:
        """The parameters as a document whose parts are brought to normal form once."""
        return Document(self.parameters)

    @cached_property
    def is_plain(self) -> bool:
        """Whether each argument may be what it may be whatever the others are."""
        return set(self.parameters) <= _PLAIN

    @cached_property
    def impossible(self) -> frozenset[str]:
        """The arguments that no value fits: a schema forbids them so (`false`, `{"not": {}}`)."""
        return frozenset(name for name, part in self.properties.items() if self.document.normal(part) == NEVER)

    @cached_property
    def identity(self) -> str:
        """SHA-256 of the tool whatever the order of its keys: what calls it takes, and its words."""
        return digest(self._seen(), ordered=False)

    def _seen(self) -> dict[str, JSON]:
        """Return what the model and the grammar see of the tool."""
        function = {"name": self.name, "description": self.description, "parameters": dict(self.parameters)}
        return {"type": "function", "function": function}

    def openai(self) -> dict[str, JSON]:
        """Return the tool in OpenAI's form."""
        seen = self._seen()
        return {**seen, "function": {**seen["function"], **self._also("strict")}}

    def mcp(self) -> dict[str, JSON]:
        """Return the tool in MCP's form, as `tools/list` has it."""
        own = {"name": self.name, "description": self.description, "inputSchema": dict(self.parameters)}
        return own | self._also("title", "annotations", "outputSchema", "icons", "execution", "_meta")

    def anthropic(self) -> dict[str, JSON]:
        """Return the tool in Anthropic's form."""
        own = {"name": self.name, "description": self.description, "input_schema": dict(self.parameters)}
        return own | self._also("strict", "cache_control", "input_examples", "defer_loading")

    def _also(self, *keys: str) -> dict[str, JSON]:
        return {key: self.extras[key] for key in keys if key in self.extras}


_PLAIN = {"type", "properties", "required", "additionalProperties", "title", "description", "default", "examples",
          "$schema", "$id", "id", "$defs", "definitions", "$comment"}  # fmt: skip
_CLOSED: dict[str, JSON] = {"additionalProperties": False}


class ToolSet:
    """A set of tools, checked once and fingerprinted.

    `sources` is one source or a list of them (see `schematune.schemas.sources.read_source`): functions,
    pydantic models, OpenAI, Anthropic or MCP tools, JSON Schemas, OpenAPI documents, live MCP servers,
    paths of JSON or YAML files. `parallel` says
    whether one request may lead to several calls. `bound` names arguments that the program fills in
    (a user id, say): they are taken out of every tool that has them, and the model never sees them.

    Raises `SchemaError` for a broken schema, a tool without a name, a name that stands twice or is
    reserved (`no_tool`, `ask`), or a reference that leaves the document.

    >>> def add(a: int, b: int = 1) -> int:
    ...     '''Add two numbers.'''
    ...     return a + b
    >>> tools = ToolSet([add])
    >>> tools["add"].required, tools["add"].function(a=2)
    (('a',), 3)
    """

    def __init__(self, sources: Any, *, parallel: bool = True, bound: Iterable[str] = ()) -> None:
        """See the class."""
        many = sources if isinstance(sources, list | tuple) else [sources]
        self.parallel = parallel
        hidden = tuple(bound)
        tools: dict[str, Tool] = {}
        for place, source in enumerate(many):
            for found in read_source(source, f"tools[{place}]"):
                if found.name in tools:
                    raise SchemaError(
                        f"the name {found.name!r} stands twice", where=found.where, fix="rename one of the tools"
                    )
                if found.name in RESERVED:
                    raise SchemaError(f"the name {found.name!r} is reserved", where=found.where, fix="rename the tool")
                made = Tool(found.name, found.description, found.parameters, (), found.function, found.extras)
                tools[found.name] = _checked(made, hidden, found.where)
        if not tools:
            raise SchemaError("no tool at all", where="tools", fix="give at least one")
        unknown = set(hidden) - {name for tool in tools.values() for name in tool.bound}
        if unknown:
            raise SchemaError(f"no tool has the bound argument {sorted(unknown)[0]!r}", where="bound")
        self._tools = tools

    def __getitem__(self, name: str) -> Tool:
        """Return the tool of that name."""
        return self._tools[name]

    def __len__(self) -> int:
        """Return the number of tools."""
        return len(self._tools)

    def __iter__(self) -> Iterator[Tool]:
        """Iterate over the tools, in the order given."""
        return iter(self._tools.values())

    def __contains__(self, name: object) -> bool:
        """Tell whether there is a tool of that name."""
        return name in self._tools

    def __repr__(self) -> str:
        """Show the names and the beginning of the fingerprint."""
        return f"ToolSet({', '.join(self._tools)}; {self.fingerprint[:12]})"

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in the order given."""
        return tuple(self._tools)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the tools (in any order) and whether calls may be parallel."""
        return digest([self.parallel, sorted(tool.fingerprint for tool in self)])

    def openai(self) -> list[dict[str, JSON]]:
        """Return the tools in OpenAI's form."""
        return [tool.openai() for tool in self]

    def mcp(self) -> list[dict[str, JSON]]:
        """Return the tools in MCP's form.

        >>> tools = ToolSet({"name": "f", "parameters": {"properties": {"n": {"type": "integer"}}}})
        >>> ToolSet(tools.mcp()).fingerprint == ToolSet(tools.anthropic()).fingerprint == tools.fingerprint
        True
        """
        return [tool.mcp() for tool in self]

    def anthropic(self) -> list[dict[str, JSON]]:
        """Return the tools in Anthropic's form."""
        return [tool.anthropic() for tool in self]

    def subset(self, names: Iterable[str]) -> "ToolSet":
        """Return the tools of these names only; raises `SchemaError` for a name that is not here."""
        wanted = list(dict.fromkeys(names))
        unknown = [name for name in wanted if name not in self]
        if unknown:
            raise SchemaError(f"no tool named {unknown[0]!r}", where="tools", fix=f"known: {', '.join(self.names)}")
        if not wanted:
            raise SchemaError("a subset without a tool", where="tools", fix="permit at least one")
        return self._with(self._tools[name] for name in wanted)

    def single(self) -> "ToolSet":
        """Return the same tools, of which one request leads to one call at most."""
        other = self._with(self)
        other.parallel = False
        return other

    def rebind(self, other: "ToolSet") -> "ToolSet":
        """Return these tools with the functions of `other`, matched by name."""
        return self._with(
            replace(tool, function=other[tool.name].function) if tool.name in other else tool for tool in self
        )

    def violations(self, call: Call) -> list[str]:
        """List what is wrong with a call: its name, its arguments; empty where it is right.

        >>> ToolSet({"name": "f", "parameters": {"properties": {"n": {"type": "integer"}}}}).violations(
        ...     Call("f", {"n": "x"}))
        ['f.n: "x" is not of type "integer"']
        """
        if call.name == NO_TOOL:
            return [] if not call.arguments else ["no_tool: takes no arguments"]
        if call.name == ASK:
            return self._ask_violations(call)
        if call.name not in self:
            return [f"{call.name}: no such tool"]
        return [f"{call.name}.{line}" for line in listed(self._tools[call.name].validator, dict(call.arguments))]

    def _ask_violations(self, call: Call) -> list[str]:
        tool, missing = str(call.arguments.get("tool")), call.arguments.get("missing")
        if set(call.arguments) != {"tool", "missing"} or tool not in self:
            return ["ask.tool: names no tool of the set"]
        names = missing if isinstance(missing, list) and all(isinstance(name, str) for name in missing) else []
        if not names or len(set(names)) < len(names) or not set(names) <= set(self._tools[tool].required):
            return [f"ask.missing: not required arguments of {tool}, each once"]
        return []

    def _with(self, tools: Iterable[Tool]) -> "ToolSet":
        other = object.__new__(ToolSet)
        other.parallel = self.parallel
        other._tools = {tool.name: tool for tool in tools}
        return other


def _checked(tool: Tool, hidden: Sequence[str], where: str) -> Tool:
    place = f"{where} ({tool.name})"
    check_schema(tool.parameters, where=place)
    compact(dict(tool.parameters))
    given = _opened(tool.parameters)
    kind = given.get("type", "object")
    if kind != "object" and not (isinstance(kind, list) and "object" in kind):
        raise SchemaError(
            f"the parameters are of type {kind!r}", where=place, fix='put it into an object: "type": "object"'
        )
    tool = replace(tool, parameters={"type": "object", **given, **({} if kind == "object" else {"type": "object"})})
    unlisted = (
        [] if "patternProperties" in given else [n for n in given.get("required", ()) if n not in tool.properties]
    )
    if unlisted and tool.strict.get("additionalProperties") is False:
        raise SchemaError(
            f"{unlisted[0]!r} is required and not listed, so no call would do",
            where=place,
            fix='add it to "properties"',
        )
    bound = tuple(name for name in hidden if name in tool.properties)
    parameters = dict(tool.parameters)
    if bound:
        parameters["properties"] = {k: v for k, v in tool.properties.items() if k not in bound}
        parameters["required"] = [name for name in tool.parameters.get("required", ()) if name not in bound]
    return replace(tool, parameters=parameters, bound=bound)


def _opened(parameters: Mapping[str, JSON]) -> Mapping[str, JSON]:
    """Return parameters that list their members themselves, where they say them by a `$ref` or in an `allOf`.

    References by name (`$id`) become pointers.
    """
    parameters = pointed(parameters)
    if not ("$ref" in parameters or "allOf" in parameters):
        return parameters
    kept = {key: parameters[key] for key in ("$schema", "$id", "$defs", "definitions") if key in parameters}
    opened = {**kept, **Document(parameters).normal(parameters)}
    opened = {key: value for key, value in opened.items() if key not in ("title", "description")}
    try:  # something may refer into what stands no longer there
        check_schema(opened)
    except SchemaError:
        return parameters
    return opened if "properties" in opened else parameters

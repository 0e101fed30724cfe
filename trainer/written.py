"""Requests written for the project: files of tools, and of what people ask of each, with their values marked.

    tool kettle.boil: Boil water in the kettle.
      temperature integer: Degrees Celsius to reach.
      mode eco|fast?=eco: How to heat.
      guests string[]?: Who gets a cup.
      = guests: Anna; Bob; Mr. Lopez
      > Get the kettle up to {80|temperature} degrees for {Anna|guests} and {Bob|guests}, and {hurry|mode|fast}.
      > I need hot water.
      < How hot shall it be?
      > {95|temperature} degrees, please.
      ! How much does a kettle weigh?

Under a tool stand its arguments (`?` behind a type: optional; `=` behind that: a default), values that may stand in the
place of a text argument's (`=`), requests (`>`; with replies, `<`, a conversation, whose last line is a request) and
requests that the tool does not serve, though they resemble what it does (`!`). A mark is what is said, the argument, and
where they differ the value; `#2` behind an argument says that it is the second call's. The last mark of an argument
counts, of a list all do; `-` for a value takes it back. Where a required argument has no mark, the answer is to ask.

`python -m schematune.trainer.written FILE ...` checks files and prints what is wrong, or how much there is.
"""

import json
import random
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from schematune.schemas.call import ASK, Call
from schematune.schemas.errors import ExampleError, SchematuneError
from schematune.schemas.jsontext import JSON
from schematune.schemas.pair import Evidence, Message, Pair
from schematune.schemas.tool import Tool, ToolSet

__all__ = ["Form", "Mark", "WrittenTool", "read_written"]

_SWAPPED = 0.75
"""Share of the values that are put in another's place, where others are known."""

_TYPES = ("string", "integer", "number", "boolean")
_TOOL = re.compile(r"tool ([\w./:-]+): (.+)")
_ARGUMENT = re.compile(r"([\w.-]+) ([^\s?:]+?)(\[\])?(\?)?(?:=([^:]*))?: (.+)")
_MARK = re.compile(r"\{([^{}|]+)\|([\w.-]+)(?:#(\d))?(?:\|([^{}|]*))?\}")
_ARTICLE = re.compile(r"\b[Aa]n?(?= $)")
_ROLES = {">": "user", "<": "assistant"}


@dataclass(frozen=True)
class Mark:
    """A value as it is said: the argument, the number of the call (from 1; 0: every call), and the value where it differs."""

    said: str
    argument: str
    call: int = 0
    value: str | None = None


@dataclass(frozen=True)
class Form:
    """A request, or a conversation: turns of a role and the parts of its text, marks among them."""

    turns: tuple[tuple[str, tuple[str | Mark, ...]], ...]
    where: str

    @property
    def texts(self) -> list[str]:
        """What is said in each turn, as it is written."""
        return ["".join(part if isinstance(part, str) else part.said for part in parts) for _, parts in self.turns]

    @property
    def marks(self) -> list[Mark]:
        """All marks, in order."""
        return [part for _, parts in self.turns for part in parts if isinstance(part, Mark)]


@dataclass
class WrittenTool:
    """A tool, the forms of what is asked of it, what it does not serve, and other values for its arguments."""

    tool: Tool
    forms: list[Form] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    values: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    @cached_property
    def pools(self) -> dict[str, list[str]]:
        """What may be said for each text argument or choice: its listed values, and those of its forms."""
        pools = {name: list(values) for name, values in self.values.items()}
        for form in self.forms:
            for mark in form.marks:
                if mark.value is None and self._kind(mark.argument) == "string":
                    pools.setdefault(mark.argument, []).append(mark.said)
        for name in self.tool.properties:
            choices = self._schema(name).get("enum", [])
            pools.setdefault(name, []).extend(choice for choice in choices if choice.isalpha())
        return {name: list(dict.fromkeys(pool)) for name, pool in pools.items() if len(set(pool)) > 1}

    def pair(self, form: Form, rng: random.Random | None = None) -> Pair:
        """Return a form as a pair; with a random state some values are others'. Raises `ValueError` for a value of another type."""
        swaps = self._swaps(form, rng) if rng is not None else {}
        messages, length = list[Message](), 0
        found: list[dict[str, list[tuple[JSON, Evidence]]]] = [
            {} for _ in range(max([1, *(m.call for m in form.marks)]))
        ]
        for role, parts in form.turns:
            text = ""
            for part in parts:
                if isinstance(part, str):
                    text += part
                    continue
                said = swaps.get((part.argument, part.said), part.said)
                text = _with_article(text, said) if said != part.said else text
                value = self._value(part, said)
                start = length + len(text) if role == "user" else -1
                copied = value == said and self._kind(part.argument) == "string"
                rule = "offered" if start < 0 else "span" if copied else "said"
                text += said
                for place in [part.call - 1] if part.call else range(len(found)):
                    item = Evidence(f"{place}.{part.argument}", rule, start, start + len(said) if start >= 0 else -1)
                    self._put(found[place], part.argument, value, item)
            messages.append({"role": role, "content": text})
            length += len(text) + 1 if role == "user" else 0
        calls = tuple(self._call({name: [v for v, _ in items] for name, items in own.items()}) for own in found)
        evidence = tuple(
            item
            for own, call in zip(found, calls, strict=True)
            if call.name != ASK
            for items in own.values()
            for _, item in items
        )
        return Pair(tuple(messages), calls, evidence=evidence, source="written", template=form.where)

    def _put(self, found: dict[str, list[tuple[JSON, Evidence]]], name: str, value: JSON, item: Evidence) -> None:
        if value is None:
            found.pop(name, None)
        elif self.tool.properties[name].get("type") == "array":
            if all(value != before for before, _ in found.get(name, [])):
                found.setdefault(name, []).append((value, item))
        else:
            found[name] = [(value, item)]

    def _call(self, found: dict[str, list[JSON]]) -> Call:
        arguments = {
            name: found[name] if schema.get("type") == "array" else found[name][0]
            for name, schema in self.tool.properties.items()
            if name in found
        }
        missing = [name for name in self.tool.required if name not in arguments]
        return Call.ask(self.tool.name, missing) if missing else Call(self.tool.name, arguments)

    def _schema(self, name: str) -> JSON:
        schema = self.tool.properties[name]
        return schema["items"] if schema.get("type") == "array" else schema

    def _kind(self, name: str) -> str:
        schema = self._schema(name)
        return "enum" if "enum" in schema else str(schema["type"])

    def _value(self, mark: Mark, said: str) -> JSON:
        kind, told = self._kind(mark.argument), said if mark.value is None else mark.value
        if told == "-" and mark.value is not None:
            return None
        if kind in ("integer", "number"):
            number = float(re.sub(r"[,$€£%]", "", told))
            if kind == "integer" and number != int(number):
                raise ValueError(f"{told!r} is no integer")
            return int(number) if number == int(number) else number
        if kind == "boolean":
            return {"true": True, "false": False}[told.lower()]
        if kind == "enum":
            same = [choice for choice in self._schema(mark.argument)["enum"] if choice.lower() == told.lower()]
            if not same:
                raise ValueError(f"{told!r} is none of the choices")
            return same[0]
        return told

    def _swaps(self, form: Form, rng: random.Random) -> dict[tuple[str, str], str]:
        """Draw what is said in the place of a form's values; no two of them the same."""
        swaps = dict[tuple[str, str], str]()
        used = {mark.said for mark in form.marks}
        for mark in form.marks:
            key = mark.argument, mark.said
            if mark.value is not None or key in swaps or rng.random() >= _SWAPPED:
                continue
            new = self._other(mark, rng)
            if new not in used:
                swaps[key] = new
                used.add(new)
        return swaps

    def _other(self, mark: Mark, rng: random.Random) -> str:
        if self._kind(mark.argument) in ("integer", "number"):
            return _number_like(mark.said, rng)
        pool = self.pools.get(mark.argument, [mark.said])
        if self._kind(mark.argument) == "enum" and mark.said.islower():
            return rng.choice(pool).lower()
        return rng.choice(pool)


def _with_article(text: str, said: str) -> str:
    """Return a text whose article at its end goes with what is said next.

    >>> _with_article("A ", "ounce"), _with_article("it is an ", "pound"), _with_article("an ", "8")
    ('An ', 'it is a ', 'an ')
    """
    return _ARTICLE.sub(lambda found: found[0][0] + ("n" if said[:1].lower() in "aeiou8" else ""), text)


def _number_like(said: str, rng: random.Random) -> str:
    """Return another number of about the size of one in digits, written alike."""
    found = re.fullmatch(r"([$€£]?)(-?)(\d{1,3}(?:,\d{3})+|\d+)(\.\d+)?(%?)", said)
    if not found:
        return said
    before, sign, whole, part, after = found.groups()
    size = int(whole.replace(",", ""))
    new = size + rng.randint(-30, 20) if 1900 <= size <= 2050 else rng.randint(max(1, size // 3), max(9, size * 2))
    new = new // 10 * 10 if size >= 100 and size % 10 == 0 and new >= 10 else new
    digits = f"{new:,}" if "," in whole else str(new)
    decimals = "." + "".join(str(rng.randint(1, 9)) for _ in part[1:]) if part else ""
    return f"{before}{sign}{'0' if size == 0 else digits}{decimals}{after}"


def read_written(path: Path) -> list[WrittenTool]:
    """Read a file of tools and requests; raises `ExampleError` that names each line that is wrong."""
    tools, last, wrong = list[WrittenTool](), "", list[str]()
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            last = ""
            continue
        try:
            if line.startswith("tool "):
                tools.append(_tool(line))
            else:
                _add(tools[-1], line, last, f"{path.name}:{number}")
        except (ValueError, KeyError, IndexError) as error:
            wrong.append(f"{path.name}:{number}: {error}: {line}")
        last = line[0]
    for one in tools:
        checked = ToolSet(one.tool.openai())
        [one.tool] = checked
        wrong += _faults(one, checked)
    if wrong:
        raise ExampleError("\n".join(wrong), where=str(path), fix="see schematune.trainer.written")
    return tools


def _tool(line: str) -> WrittenTool:
    found = _TOOL.fullmatch(line)
    if not found:
        raise ValueError("no `tool NAME: DESCRIPTION`")
    empty: dict[str, JSON] = {"type": "object", "properties": {}, "required": []}
    return WrittenTool(Tool(found[1], found[2], empty))


def _add(one: WrittenTool, line: str, last: str, where: str) -> None:
    """Add a line to a tool: an argument, values, a request or a reply."""
    sign, text = line[0], line[1:].strip()
    if sign == "=":
        name, _, values = text.partition(":")
        if name not in one.tool.properties:
            raise KeyError(f"no argument {name!r}")
        one.values[name] += [value.strip() for value in values.split(";") if value.strip()]
    elif sign == "!":
        one.missed.append(text)
    elif sign in _ROLES:
        turn = (_ROLES[sign], tuple(_parts(text)))
        going_on = (last, sign) in ((">", "<"), ("<", ">"))
        if going_on:
            one.forms[-1] = Form((*one.forms[-1].turns, turn), one.forms[-1].where)
        elif sign == ">":
            one.forms.append(Form((turn,), where))
        else:
            raise ValueError("a reply to nothing")
    else:
        _argument(one.tool, line)


def _argument(tool: Tool, line: str) -> None:
    found = _ARGUMENT.fullmatch(line)
    if not found:
        raise ValueError("no `ARGUMENT TYPE: DESCRIPTION`")
    name, kind, many, optional, default, told = found.groups()
    if "|" in kind:
        schema: dict[str, JSON] = {"type": "string", "enum": kind.split("|")}
    elif kind in _TYPES:
        schema = {"type": kind}
    else:
        raise ValueError(f"no type {kind!r}")
    schema = {"type": "array", "items": schema} if many else schema
    if default is not None:
        schema["default"] = default if schema["type"] == "string" else json.loads(default)
    tool.parameters["properties"][name] = {**schema, "description": told}
    if not optional and default is None:
        tool.parameters["required"].append(name)


def _parts(text: str) -> Iterator[str | Mark]:
    at = 0
    for found in _MARK.finditer(text):
        if found.start() > at:
            yield text[at : found.start()]
        yield Mark(found[1], found[2], int(found[3] or 0), found[4])
        at = found.end()
    if at < len(text):
        yield text[at:]


def _faults(one: WrittenTool, tools: ToolSet) -> Iterator[str]:
    """Yield what is wrong with the forms of a tool, the only one of `tools`."""
    for form in one.forms:
        plain = [part for _, parts in form.turns for part in parts if isinstance(part, str)]
        if form.turns[-1][0] != "user":
            yield f"{form.where}: a conversation ends with a reply"
        elif any("{" in part or "}" in part for part in plain):
            yield f"{form.where}: a mark that is none"
        else:
            try:
                calls = one.pair(form).calls
            except (ValueError, KeyError) as error:
                yield f"{form.where}: {error!r}"
            else:
                yield from (f"{form.where}: {text}" for call in calls for text in tools.violations(call))


def main(argv: Sequence[str] | None = None) -> int:
    """Check files, print what is wrong or one JSON object, and return the exit status."""
    wrong, counts = 0, {"tools": 0, "requests": 0, "conversations": 0, "asks": 0, "missed": 0}
    for name in sys.argv[1:] if argv is None else argv:
        try:
            tools = read_written(Path(name))
        except SchematuneError as error:
            print(f"error: {error}", file=sys.stderr)
            wrong += 1
            continue
        counts["tools"] += len(tools)
        counts["missed"] += sum(len(one.missed) for one in tools)
        for one in tools:
            counts["requests"] += len(one.forms)
            counts["conversations"] += sum(len(form.turns) > 1 for form in one.forms)
            counts["asks"] += sum(one.pair(form).calls[0].name == ASK for form in one.forms)
    print(json.dumps(counts))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

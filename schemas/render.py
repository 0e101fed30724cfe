"""The one renderer: requests and calls as text, for synthesis, training, serving and benchmarks alike.

The prompt is the base's stock chat template; the short prompt has no tools in it. A call is written in
the base's native tool-call syntax, found by rendering a probe call through the template and reading what
stands around it; where the template writes none, the compact form is used and `Form.reason` says why.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Protocol

from schematune.schemas.call import ASK, NO_TOOL, Call
from schematune.schemas.errors import InvalidOutputError, RenderError
from schematune.schemas.jsontext import JSON, compact, strict_loads
from schematune.schemas.pair import Message, Pair
from schematune.schemas.tool import ToolSet

__all__ = ["COMPACT", "ChatTokenizer", "Form", "Renderer", "context_text", "native_form", "ordered"]


class ChatTokenizer(Protocol):
    """What the renderer needs of a tokenizer (transformers' tokenizers have it)."""

    chat_template: Any

    def apply_chat_template(self, conversation: Any, **options: Any) -> Any:
        """Render messages as text."""


@dataclass(frozen=True)
class Form:
    """How a completion is written: the literal text around each call's name and arguments.

    One call is `before` name `between` arguments `after`; several are joined by `separator` inside
    `opening` and `closing`. `spaced` says that the JSON has a space after `,` and `:`; `bare` that the
    name stands without quotes. `parallel` is false where the template writes one call only.

    >>> COMPACT.write([Call("f", {"a": 1})]), COMPACT.write([Call("f"), Call("g")])
    ('{"name":"f","arguments":{"a":1}}', '[{"name":"f","arguments":{}},{"name":"g","arguments":{}}]')
    """

    name: str
    before: str
    between: str
    after: str
    opening: str = ""
    separator: str = ""
    closing: str = ""
    spaced: bool = True
    bare: bool = False
    parallel: bool = True
    reason: str = ""

    def json(self, value: JSON) -> str:
        """Write arguments in this form's JSON style."""
        return json.dumps(value, ensure_ascii=False) if self.spaced else compact(value)

    def written(self, name: str) -> str:
        """Write a tool's name as it stands in the completion."""
        return name if self.bare else json.dumps(name, ensure_ascii=False)

    def write(self, calls: Sequence[Call]) -> str:
        """Write `calls` (at least one) as a completion; raises `RenderError` where the form cannot."""
        texts = [
            f"{self.before}{self.written(c.name)}{self.between}{self.json(dict(c.arguments))}{self.after}" for c in calls
        ]
        if len(texts) == 1:
            return texts[0]
        if not self.parallel:
            raise RenderError(
                f"the template's {self.name} form writes one call, not {len(texts)}",
                fix='use form="compact" or ToolSet(..., parallel=False)',
            )
        return self.opening + self.separator.join(texts) + self.closing

    def parse(self, text: str) -> tuple[Call, ...]:
        """Read the calls back; spaces between the parts are tolerated, nothing else is.

        Raises `InvalidOutputError` that carries the text.

        >>> COMPACT.parse(' {"name": "f", "arguments": {"a": [1]}}')
        (Call(name='f', arguments={'a': [1]}),)
        """
        reader = _Reader(text)
        many = reader.skip(self.opening) if self.opening else True
        calls = [self._read_call(reader)]
        while many and not (self.closing and reader.skip(self.closing)):
            if reader.at_end() and not self.closing:
                break
            if self.separator.strip() and not reader.skip(self.separator):
                raise reader.error("another call or the end was expected")
            calls.append(self._read_call(reader))
        if not reader.at_end():
            raise reader.error("text after the last call")
        return tuple(calls)

    def _read_call(self, reader: "_Reader") -> Call:
        if not reader.skip(self.before):
            raise reader.error("no call begins here")
        name = reader.word() if self.bare else reader.value()
        if not reader.skip(self.between):
            raise reader.error("no arguments after the name")
        arguments = reader.value()
        if not isinstance(name, str) or not isinstance(arguments, dict):
            raise reader.error("the name is no string, or the arguments are no object")
        if not reader.skip(self.after):
            raise reader.error("the call is not closed")
        return Call(name, arguments)


COMPACT = Form("compact", '{"name":', ',"arguments":', "}", "[", ",", "]", spaced=False)


class _Reader:
    """Reads literals and JSON values from text, white space between them passed over."""

    def __init__(self, text: str) -> None:
        self.text, self.place = text, 0

    def at_end(self) -> bool:
        return not self.text[self.place :].strip()

    def skip(self, literal: str) -> bool:
        """Pass over `literal` and tell whether it was there; white space is not compared."""
        parts = re.findall(r"\w+|[^\w\s]", literal)
        match = re.compile(r"\s*" + r"\s*".join(map(re.escape, parts))).match(self.text, self.place)
        if match:
            self.place = match.end()
        return match is not None

    def word(self) -> str:
        match = re.compile(r"\s*([\w.\-/]+)").match(self.text, self.place)
        if not match:
            raise self.error("no name")
        self.place = match.end()
        return match[1]

    def value(self) -> JSON:
        start = self.place + len(self.text[self.place :]) - len(self.text[self.place :].lstrip())
        try:
            _, end = json.JSONDecoder().raw_decode(self.text, start)
            value = strict_loads(self.text[start:end])
        except (ValueError, RecursionError) as error:
            raise self.error(f"no JSON: {error}") from error
        self.place = end
        return value

    def error(self, what: str) -> InvalidOutputError:
        return InvalidOutputError(
            f"the output does not parse: {what}", where=f"character {self.place}", text=self.text, violations=[what]
        )


def ordered(schema: JSON, value: JSON) -> JSON:
    """Return `value` with the keys of its objects in the order of the schema, others after them.

    >>> ordered({"properties": {"a": {}, "b": {}}}, {"b": 1, "c": 2, "a": 3})
    {'a': 3, 'b': 1, 'c': 2}
    """
    if isinstance(value, Mapping):
        properties = schema.get("properties", {}) if isinstance(schema, Mapping) else {}
        keys = [key for key in properties if key in value] + [key for key in value if key not in properties]
        return {key: ordered(properties.get(key, {}), value[key]) for key in keys}
    if isinstance(value, list):
        items = schema.get("items", {}) if isinstance(schema, Mapping) else {}
        return [ordered(items, item) for item in value]
    return value


def context_text(context: Mapping[str, str]) -> str:
    """Write the context as it stands in the prompt.

    `now` (ISO 8601) is spelt out with the week that follows, so that a weekday is looked up, not
    computed; every other entry is a line of its own. Raises `RenderError` for a `now` that is no date.

    >>> print(context_text({"now": "2026-11-22T10:00+00:00", "locale": "en_GB"}).replace("\\n", " / "))
    ... # doctest: +ELLIPSIS
    now Sunday 2026-11-22 10:00 / tomorrow Monday 2026-11-23 / Tuesday 2026-11-24 / ... / locale en_GB
    """
    lines = []
    for key, value in context.items():
        if key != "now":
            lines.append(f"{key} {value}")
            continue
        try:
            now = datetime.fromisoformat(value)
        except ValueError as error:
            raise RenderError(
                f"{value!r} is no ISO 8601 date and time", where='context["now"]', fix="2026-11-22T10:00+00:00"
            ) from error
        lines.append(f"now {now:%A %Y-%m-%d %H:%M}")
        for days in range(1, 8):
            day = now + timedelta(days=days)
            lines.append(("tomorrow " if days == 1 else "") + f"{day:%A %Y-%m-%d}")
    return "\n".join(lines)


_PROBE_NAME, _PROBE_KEY = "probe_tool", "probe_key"
_PROBE_USER = {"role": "user", "content": "probe request"}


def _probe(tokenizer: ChatTokenizer, calls: int) -> str:
    call = {"type": "function", "function": {"name": _PROBE_NAME, "arguments": {_PROBE_KEY: ["probe value", 1]}}}
    turn = {"role": "assistant", "content": "", "tool_calls": [call] * calls}
    text = tokenizer.apply_chat_template([_PROBE_USER, turn], tokenize=False)
    start = _generation_prompt(tokenizer, text)
    return str(text[len(start) :])


def _generation_prompt(tokenizer: ChatTokenizer, text: str) -> str:
    starts = [
        str(tokenizer.apply_chat_template([_PROBE_USER], tokenize=False, add_generation_prompt=True, **options))
        for options in ({}, {"enable_thinking": False})
    ]
    fitting = [start for start in starts if text.startswith(start)]
    if not fitting:
        raise RenderError("an assistant turn does not begin with the generation prompt")
    return max(fitting, key=len)


def turn_ending(tokenizer: ChatTokenizer) -> str:
    """Return what the template writes after an assistant's turn (`<|im_end|>` and a line break, say)."""
    turn = {"role": "assistant", "content": "probe answer"}
    text = str(tokenizer.apply_chat_template([_PROBE_USER, turn], tokenize=False))
    return text.rsplit("probe answer", 1)[-1]


def native_form(tokenizer: ChatTokenizer) -> Form:
    """Find the tool-call syntax of a chat template by rendering probe calls through it.

    Returns the compact form, with `reason` set, where the template writes no call that holds the name and
    the arguments as JSON.
    """
    try:
        one, ending = _probe(tokenizer, 1), turn_ending(tokenizer)
        match = re.search(rf'("?){_PROBE_NAME}\1(.*?)(\{{"{_PROBE_KEY}":( ?)\["probe value",\4?1\]\}})', one, re.DOTALL)
        if not match:
            raise RenderError("the template does not write the name and the arguments as JSON")
        before, after = one[: match.start()], one[match.end() :].removesuffix(ending)
    except Exception as error:  # a template is a program: whatever it raises means the same here
        return _fallback(str(error).splitlines()[0] if str(error) else type(error).__name__)
    form = Form("native", before, match[2], after, spaced=bool(match[4]), bare=not match[1], parallel=False)
    if (form.before, form.between, form.after, form.spaced) == ('{"name":', ',"arguments":', "}", False):
        return COMPACT
    try:
        two = _probe(tokenizer, 2).removesuffix(ending)
    except Exception as error:
        return replace(form, reason=f"one call at a time: {str(error).splitlines()[0]}")
    whole = form.write([Call(_PROBE_NAME, {_PROBE_KEY: ["probe value", 1]})])
    if two.startswith(whole) and two.endswith(whole) and len(two) >= 2 * len(whole):
        return replace(form, parallel=True, separator=two[len(whole) : len(two) - len(whole)])
    return replace(form, reason="one call at a time: two calls are not written as one after the other")


def _fallback(reason: str) -> Form:
    return replace(COMPACT, reason=f"compact form, because {reason}")


class Renderer:
    """Renders requests and calls for one base.

    `form` is `"auto"` (the native syntax where the template has one), `"compact"`, or a `Form`.
    """

    def __init__(self, tokenizer: ChatTokenizer, form: str | Form = "auto") -> None:
        """See the class; raises `RenderError` for a tokenizer without a chat template."""
        if not getattr(tokenizer, "chat_template", None):
            raise RenderError("the base has no chat template", fix="set tokenizer.chat_template, or take a chat model")
        self.tokenizer = tokenizer
        if isinstance(form, Form):
            self.form = form
        elif form in ("auto", "compact"):
            self.form = native_form(tokenizer) if form == "auto" else COMPACT
        else:
            raise RenderError(f"there is no form {form!r}", fix='"auto" or "compact"')
        ending = turn_ending(tokenizer)
        self.ending = ending.strip() or ending

    def prompt(
        self,
        messages: Sequence[Message],
        *,
        context: Mapping[str, str] | None = None,
        tools: ToolSet | None = None,
        shots: Sequence[Pair] = (),
    ) -> list[int]:
        """Render a request as token ids: the short prompt without `tools`, the long one with them.

        `shots` are pairs shown as earlier turns. Control tokens written in the messages are neutralised
        by the tokenizer. Raises `RenderError` where the template refuses the messages.
        """
        rendered = self._apply(messages, context, tools, shots, sanitize_control_tokens=True, return_dict=False)
        return [int(token) for token in rendered]

    def prompt_text(
        self,
        messages: Sequence[Message],
        *,
        context: Mapping[str, str] | None = None,
        tools: ToolSet | None = None,
        shots: Sequence[Pair] = (),
    ) -> str:
        """Render a request as text, to look at; what is tokenised is `prompt`."""
        return str(self._apply(messages, context, tools, shots, tokenize=False))

    def _apply(
        self,
        messages: Sequence[Message],
        context: Mapping[str, str] | None,
        tools: ToolSet | None,
        shots: Sequence[Pair],
        **options: Any,
    ) -> Any:
        turns: list[dict[str, Any]] = []
        for shot in shots:
            turns.extend(self._plain(message) for message in shot.messages)
            turns.append({"role": "assistant", "content": self.form.write(shot.calls)})
        turns.extend(self._plain(message) for message in messages)
        if context:
            turns = _with_system(turns, context_text(context))
        if tools is not None and self._shows_tools:
            options["tools"] = tools.openai() + reserved_tools()
        elif tools is not None:
            turns = _with_system(turns, _tools_text(tools, self.form))
        try:
            return self.tokenizer.apply_chat_template(
                turns, add_generation_prompt=True, enable_thinking=False, date_string=_day(context), **options
            )
        except Exception as error:  # a template is a program: whatever it raises means the same here
            raise RenderError(
                f"the chat template refuses the messages: {error}", fix="check roles and their order"
            ) from error

    def completion(self, calls: Sequence[Call], tools: ToolSet) -> str:
        """Write calls as the completion to train on: keys in schema order, as the grammar emits them."""
        sorted_calls = [
            Call(c.name, ordered(tools[c.name].parameters, c.arguments) if c.name in tools else c.arguments)
            for c in calls
        ]
        return self.form.write(sorted_calls)

    def parse(self, text: str) -> tuple[Call, ...]:
        """Read the calls of a completion; raises `InvalidOutputError`."""
        return self.form.parse(text.removesuffix(self.ending))

    @cached_property
    def _shows_tools(self) -> bool:
        """Whether the template writes the tools that it is given; some leave them out without a word."""
        probe = _function(_PROBE_NAME, "probe", {})
        text = self.tokenizer.apply_chat_template([_PROBE_USER], tools=[probe], tokenize=False)
        return _PROBE_NAME in str(text)

    def _plain(self, message: Message) -> dict[str, Any]:
        """Return a message as templates read it: arguments as objects, calls as text where need be."""
        turn = dict(message)
        if not turn.get("tool_calls"):
            if turn.get("role") == "tool" and self.form.reason.startswith("compact form"):
                return {"role": "user", "content": f"Result: {turn.get('content', '')}"}
            return turn
        calls = [Call.from_dict(call) for call in turn["tool_calls"]]
        return {"role": "assistant", "content": self.form.write(calls)}


def _day(context: Mapping[str, str] | None) -> str:
    """Return the day for templates that write one: the context's, or the fixed day that Llama's name.

    Such a template takes the clock's day where it is given none, and a prompt would change overnight.
    """
    now = (context or {}).get("now")
    return f"{datetime.fromisoformat(now):%d %b %Y}" if now else "26 Jul 2024"


def _with_system(turns: list[dict[str, Any]], text: str) -> list[dict[str, Any]]:
    if turns and turns[0].get("role") == "system":
        return [{**turns[0], "content": f"{turns[0]['content']}\n{text}"}, *turns[1:]]
    return [{"role": "system", "content": text}, *turns]


def _tools_text(tools: ToolSet, form: Form) -> str:
    """Write tools for a template that has no place for them: a line each, and how a call is written."""
    lines = [compact(tool["function"]) for tool in tools.openai() + reserved_tools()]
    example = form.write([Call("NAME", {"ARGUMENT": "VALUE"})])
    return "\n".join(["Tools, one a line:", *lines, f"Answer with calls of these tools only, written as {example}"])


def reserved_tools() -> list[dict[str, JSON]]:
    """Return the reserved calls as tools, so that a base that reads tools in its prompt can make them.

    The built-in base's template leaves them out: it knows them.
    """
    missing = {"type": "array", "items": {"type": "string"}, "description": "Names of the missing arguments."}
    ask = {"tool": {"type": "string", "description": "The tool that would serve the request."}, "missing": missing}
    return [
        _function(NO_TOOL, "Say that no other tool here serves the request.", {}),
        _function(ASK, "Ask the user for required arguments that the request leaves out.", ask),
    ]


def _function(name: str, description: str, properties: dict[str, JSON]) -> dict[str, JSON]:
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}

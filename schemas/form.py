"""How calls are written as text: the compact form, and the native syntax of a chat template.

A template's syntax is found by rendering a probe call through it and reading what stands around the name and
the arguments; where the template writes none, the compact form is used and `Form.reason` says why.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from schematune.schemas.call import Call
from schematune.schemas.errors import InvalidOutputError, RenderError
from schematune.schemas.jsontext import JSON, compact, strict_loads

__all__ = ["COMPACT", "PROBE_NAME", "PROBE_USER", "ChatTokenizer", "Form", "native_form", "turn_ending"]


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
            f"{self.before}{self.written(c.name)}{self.between}{self.json(dict(c.arguments))}{self.after}"
            for c in calls
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


PROBE_NAME, _PROBE_KEY = "probe_tool", "probe_key"
PROBE_USER = {"role": "user", "content": "probe request"}


def _probe(tokenizer: ChatTokenizer, calls: int) -> str:
    call = {"type": "function", "function": {"name": PROBE_NAME, "arguments": {_PROBE_KEY: ["probe value", 1]}}}
    turn = {"role": "assistant", "content": "", "tool_calls": [call] * calls}
    text = tokenizer.apply_chat_template([PROBE_USER, turn], tokenize=False)
    start = _generation_prompt(tokenizer, text)
    return str(text[len(start) :])


def _generation_prompt(tokenizer: ChatTokenizer, text: str) -> str:
    starts = [
        str(tokenizer.apply_chat_template([PROBE_USER], tokenize=False, add_generation_prompt=True, **options))
        for options in ({}, {"enable_thinking": False})
    ]
    fitting = [start for start in starts if text.startswith(start)]
    if not fitting:
        raise RenderError("an assistant turn does not begin with the generation prompt")
    return max(fitting, key=len)


def turn_ending(tokenizer: ChatTokenizer) -> str:
    """Return what the template writes after an assistant's turn (`<|im_end|>` and a line break, say)."""
    turn = {"role": "assistant", "content": "probe answer"}
    text = str(tokenizer.apply_chat_template([PROBE_USER, turn], tokenize=False))
    return text.rsplit("probe answer", 1)[-1]


def native_form(tokenizer: ChatTokenizer) -> Form:
    """Find the tool-call syntax of a chat template by rendering probe calls through it.

    Returns the compact form, with `reason` set, where the template writes no call that holds the name and
    the arguments as JSON.
    """
    try:
        one, ending = _probe(tokenizer, 1), turn_ending(tokenizer)
        match = re.search(rf'("?){PROBE_NAME}\1(.*?)(\{{"{_PROBE_KEY}":( ?)\["probe value",\4?1\]\}})', one, re.DOTALL)
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
    whole = form.write([Call(PROBE_NAME, {_PROBE_KEY: ["probe value", 1]})])
    if two.startswith(whole) and two.endswith(whole) and len(two) >= 2 * len(whole):
        return replace(form, parallel=True, separator=two[len(whole) : len(two) - len(whole)])
    return replace(form, reason="one call at a time: two calls are not written as one after the other")


def _fallback(reason: str) -> Form:
    return replace(COMPACT, reason=f"compact form, because {reason}")

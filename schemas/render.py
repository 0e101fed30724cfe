"""The one renderer: requests and calls as text, for synthesis, training, serving and benchmarks alike.

The prompt is the base's stock chat template; the short prompt has no tools in it. Calls are written in the
form of `schematune.schemas.form`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from schematune.schemas.call import ASK, NO_TOOL, Call
from schematune.schemas.errors import RenderError
from schematune.schemas.form import COMPACT, PROBE_NAME, PROBE_USER, ChatTokenizer, Form, native_form, turn_ending
from schematune.schemas.jsontext import JSON, compact
from schematune.schemas.order import ordered
from schematune.schemas.pair import Message, Pair
from schematune.schemas.tool import ToolSet

__all__ = ["Renderer", "context_text"]


def _ordered_call(call: Call, tools: ToolSet) -> Call:
    if call.name in tools:
        document = tools[call.name].document
        return Call(call.name, ordered(call.arguments, document.root, document))
    tool = call.arguments.get("tool")
    if call.name == ASK and isinstance(tool, str) and tool in tools:
        missing = call.arguments.get("missing", [])
        return Call.ask(tool, [name for name in tools[tool].required if name in missing])
    return call


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
            turns.extend(self.plain(message) for message in shot.messages)
            turns.append({"role": "assistant", "content": self.form.write(shot.calls)})
        turns.extend(self.plain(message) for message in messages)
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
        return self.form.write([_ordered_call(call, tools) for call in calls])

    def parse(self, text: str) -> tuple[Call, ...]:
        """Read the calls of a completion; raises `InvalidOutputError`."""
        return self.form.parse(text.removesuffix(self.ending))

    @cached_property
    def _shows_tools(self) -> bool:
        """Whether the template writes the tools that it is given; some leave them out without a word."""
        probe = _function(PROBE_NAME, "probe", {})
        text = self.tokenizer.apply_chat_template([PROBE_USER], tools=[probe], tokenize=False)
        return PROBE_NAME in str(text)

    def plain(self, message: Message) -> dict[str, Any]:
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

"""The same answers from a model behind an OpenAI-compatible server: vLLM, llama.cpp's server, a hosted model.

The tools stand in the prompt, the schema of the calls goes along in `response_format` (or the tools as `tools`), and what
comes back is validated here all the same: where it does not fit, the model is told why and asked again, a bounded number
of times. An answer is valid or an error, whatever the server enforces.
"""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

from schematune.decoding.asked import Request, answered, bound_values, checked, chosen_tools, messages_of, rows_of
from schematune.decoding.calling import Calling
from schematune.schemas.call import ASK, NO_TOOL, Answer, Call, Usage
from schematune.schemas.errors import DecodeError, InvalidOutputError, SchematuneError, TruncatedError
from schematune.schemas.jsontext import JSON, compact, strict_loads
from schematune.schemas.render import context_text
from schematune.schemas.tool import Tool, ToolSet

__all__ = ["RemoteCaller", "calls_schema"]

_TASK = (
    "You turn a request into calls of tools. Take values from the request as they are said there, and leave out optional "
    'arguments that it does not mention. Where no tool serves the request, call "no_tool". Where it leaves out a required '
    'argument, call "ask" with the name of the tool and the names of the missing arguments, and nothing else.'
)


def calls_schema(tools: ToolSet, choice: str = "auto") -> dict[str, JSON]:
    """Return the JSON Schema of an answer, `{"calls": [...]}`, with the reserved calls as `choice` allows them.

    >>> tools = ToolSet({"name": "f", "parameters": {"properties": {"n": {"type": "integer"}}}})
    >>> [one["properties"]["name"]["const"] for one in calls_schema(tools)["properties"]["calls"]["items"]["anyOf"]]
    ['f', 'no_tool']
    """
    served = list(tools) if choice in ("auto", "required") else [tools[choice]] if choice != "none" else []
    ways = [_one(tool.name, dict(tool.strict)) for tool in served]
    ways += [_one(ASK, _question(tool)) for tool in served if tool.required]
    if choice in ("auto", "none"):
        ways.append(_one(NO_TOOL, {"type": "object", "properties": {}, "additionalProperties": False}))
    most = {} if tools.parallel else {"maxItems": 1}
    calls: dict[str, JSON] = {"type": "array", "minItems": 1, **most, "items": {"anyOf": ways}}
    return {"type": "object", "properties": {"calls": calls}, "required": ["calls"], "additionalProperties": False}


def _one(name: str, arguments: JSON) -> dict[str, JSON]:
    properties = {"name": {"const": name}, "arguments": arguments}
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}


def _question(tool: Tool) -> dict[str, JSON]:
    missing = {"type": "array", "items": {"enum": list(tool.required)}, "minItems": 1}
    properties = {"tool": {"const": tool.name}, "missing": missing}
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}


@dataclass
class _Said:
    """What a server said: a text, or calls of functions; whether it was cut off; the tokens of both sides."""

    text: str
    functions: list[tuple[str, str]]
    cut: bool
    tokens: tuple[int, int]

    def calls(self) -> list[Call]:
        """Read the calls; raises `TruncatedError` and `InvalidOutputError`."""
        if self.cut:
            what = f"the output was cut off after {self.tokens[1]} tokens"
            raise TruncatedError(what, fix="raise max_new_tokens", text=self.text)
        try:
            if self.functions:
                found = [Call(name, strict_loads(arguments or "{}")) for name, arguments in self.functions]
            else:
                found = [Call.from_dict(row) for row in strict_loads(self.text)["calls"]]
            if not found or not all(isinstance(call.arguments, Mapping) for call in found):
                raise ValueError("no calls")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InvalidOutputError(f"the output does not parse: {error}", text=self.text) from error
        return found


class RemoteCaller(Calling):
    """Answers requests with calls of `tools` by a model behind an OpenAI-compatible server.

    `model` is its name there; `base_url` and `api_key` are as for the `openai` package (the extra
    `schematune[teacher]`). `form` says how the schema is given: `"schema"` in `response_format`, `"tools"` as function
    tools. An answer that does not fit is asked for again up to `retries` times, with what is wrong with it; `timeout` is
    in seconds for each question, `workers` ask at the same time in a batch. `extra` goes along with every question
    (a server's own fields). It is called as a `Caller` is::

        caller = RemoteCaller("qwen3-32b", tools=[get_weather, BookTable], base_url="http://127.0.0.1:8000/v1")
        answer = caller("a table for two at Nopi on Friday", context={"now": "2026-11-22T10:00+00:00"})
    """

    def __init__(
        self,
        model: str,
        *,
        tools: Any,
        base_url: str | None = None,
        api_key: str | None = None,
        form: Literal["schema", "tools"] = "schema",
        retries: int = 2,
        max_new_tokens: int = 512,
        temperature: float = 0.0,
        timeout: float = 60.0,
        workers: int = 8,
        extra: Mapping[str, JSON] | None = None,
    ) -> None:
        """See the class; raises `DecodeError` where the `openai` package is missing or has no key."""
        try:
            from openai import OpenAI, OpenAIError
        except ImportError as error:
            raise DecodeError("the package openai is missing", fix='pip install "schematune[teacher]"') from error
        try:
            self._client = OpenAI(base_url=base_url, api_key=api_key, max_retries=2, timeout=timeout)
        except OpenAIError as error:
            raise DecodeError(str(error).splitlines()[0], where="RemoteCaller", fix="give api_key=") from error
        if form not in ("schema", "tools"):
            raise DecodeError(f"there is no form {form!r}", where="form", fix='"schema" or "tools"')
        self.tools = tools if isinstance(tools, ToolSet) else ToolSet(tools)
        self.model, self.form, self.retries, self.workers = model, form, retries, workers
        self.max_new_tokens, self.temperature, self.extra = max_new_tokens, temperature, dict(extra or {})

    def __repr__(self) -> str:
        """Show the model and where it is."""
        return f"RemoteCaller({self.model!r}, base_url={str(self._client.base_url)!r})"

    def batch(
        self,
        requests: Sequence[Request],
        *,
        contexts: Sequence[Mapping[str, str] | None] | None = None,
        permits: Sequence[Sequence[str] | None] | None = None,
        bound: Mapping[str, JSON] | None = None,
        choice: str = "auto",
        parallel: bool = True,
        size: int | None = None,
    ) -> list[Answer]:
        """Answer many requests in their order, `size` (or else `workers`) at a time; a failed one is an answer."""
        rows, values = rows_of(requests, contexts, permits), bound_values(self.tools, bound or {})

        def one(row: tuple[Request, Mapping[str, str] | None, Sequence[str] | None]) -> Answer:
            start = time.perf_counter()
            try:
                return self._answer(*row, choice, parallel, values, start)
            except SchematuneError as error:
                usage = Usage(latency_ms=(time.perf_counter() - start) * 1000)
                return Answer.failed(error, text=getattr(error, "text", ""), usage=usage)

        with ThreadPoolExecutor(max(size or self.workers, 1)) as pool:
            return list(pool.map(one, rows))

    def _answer(
        self,
        request: Request,
        context: Mapping[str, str] | None,
        permit: Sequence[str] | None,
        choice: str,
        parallel: bool,
        bound: Mapping[str, Mapping[str, JSON]],
        start: float,
    ) -> Answer:
        tools = chosen_tools(self.tools, permit, choice, parallel=parallel)
        messages: list[Any] = [{"role": "system", "content": self._prompt(tools, context)}, *messages_of(request)]
        asked = written = 0
        for attempt in range(self.retries + 1):
            said = self._say(messages, tools, choice)
            asked, written = asked + said.tokens[0], written + said.tokens[1]
            try:
                calls = checked(said.calls(), tools, choice, text=said.text)
            except InvalidOutputError as error:
                if attempt == self.retries:
                    raise
                wrong = "\n".join(error.violations) or error.what
                messages += [
                    {"role": "assistant", "content": said.text or "(nothing)"},
                    {"role": "user", "content": f"That does not fit the tools:\n{wrong}\nAnswer the request again."},
                ]
                continue
            usage = Usage(asked, written, attempt + 1, (time.perf_counter() - start) * 1000)
            return answered(calls, self.tools, bound, text=said.text, usage=usage)
        raise AssertionError("the last attempt returns or raises")

    def _prompt(self, tools: ToolSet, context: Mapping[str, str] | None) -> str:
        parts = [_TASK]
        if self.form == "schema":
            shown = "\n".join(compact(tool.openai()["function"]) for tool in tools)
            parts += ['Answer in JSON: {"calls": [{"name": ..., "arguments": {...}}]}.', f"Tools:\n{shown}"]
        if context:
            parts.append(context_text(context))
        return "\n\n".join(parts)

    def _say(self, messages: list[Any], tools: ToolSet, choice: str) -> _Said:
        from openai import OpenAIError

        schema = calls_schema(tools, choice)
        form: dict[str, Any]
        if self.form == "schema":
            form = {"response_format": {"type": "json_schema", "json_schema": {"name": "calls", "schema": schema}}}
        else:
            form = {"tools": _functions(schema), "tool_choice": "required"}
        try:
            answer = self._client.chat.completions.create(
                model=self.model, messages=messages, temperature=self.temperature, max_tokens=self.max_new_tokens,
                extra_body=self.extra or None, **form,
            )  # fmt: skip
        except OpenAIError as error:
            raise DecodeError(
                f"the server failed: {str(error).splitlines()[0]}",
                where=str(self._client.base_url),
                fix="check that it runs, its URL, the key and the model's name",
            ) from error
        asked, written = (getattr(answer.usage, name, 0) or 0 for name in ("prompt_tokens", "completion_tokens"))
        first = answer.choices[0] if answer.choices else None
        message = getattr(first, "message", None)
        called = [(one.function.name, one.function.arguments) for one in getattr(message, "tool_calls", None) or ()]
        text = compact(called) if called else getattr(message, "content", None) or ""
        return _Said(text, called, getattr(first, "finish_reason", "") == "length", (asked, written))


def _functions(schema: Mapping[str, JSON]) -> list[dict[str, JSON]]:
    """Return the calls of an answer's schema as function tools; the questions are one."""
    found: dict[str, JSON] = {}
    for way in schema["properties"]["calls"]["items"]["anyOf"]:
        name, arguments = way["properties"]["name"]["const"], way["properties"]["arguments"]
        if name == ASK:
            known = found.get(ASK, {"type": "object", "anyOf": []})
            arguments = {**known, "anyOf": [*known["anyOf"], arguments]}
        found[name] = arguments
    return [{"type": "function", "function": {"name": name, "parameters": part}} for name, part in found.items()]

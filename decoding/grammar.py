"""The grammar of a tool set's calls, for llguidance, and its compiled form.

`tool_grammar` writes a Lark grammar: the literal text of the base's `Form` around `%json` argument objects,
the reserved calls `no_tool` and `ask`, and parallel calls where both the tools and the form allow them. What
the grammar lets through is exactly what `Form.write` writes: compact or spaced JSON, keys in schema order.
`Grammar` is such a text compiled for one tokenizer, kept in a bounded cache.
"""

import json
import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from threading import Lock
from types import MappingProxyType
from typing import Any
from weakref import WeakKeyDictionary

import llguidance
import llguidance.hf
from transformers import PreTrainedTokenizerBase

from schematune.decoding.arguments import Source, arguments_rule, quoted, sequence, terminals
from schematune.decoding.base import Base
from schematune.decoding.checks import Checks, checks_of, is_open
from schematune.decoding.guided import compiled, guided, reason_of
from schematune.schemas.call import ASK, CHOICES, NO_TOOL
from schematune.schemas.errors import ModelError, SchemaError
from schematune.schemas.form import Form
from schematune.schemas.jsontext import JSON, compact
from schematune.schemas.spans import SpanRules, spans_of
from schematune.schemas.tool import Tool, ToolSet

__all__ = ["MAX_CALLS", "Grammar", "special_tokens", "tool_grammar"]

MAX_CALLS = 8
"""Calls in one output at most."""


def tool_grammar(
    tools: ToolSet,
    form: Form,
    *,
    choice: str = "auto",
    spans: SpanRules | None = None,
    request: str = "",
    now: str = "",
    cut: Mapping[str, Mapping[str, str]] | None = None,
    special: Mapping[str, int] | None = None,
) -> str:
    """Write the Lark grammar of the calls of `tools` in `form`.

    `choice` is one of `CHOICES` or a tool's name. With `spans`, the arguments of these rules take nothing
    but word-aligned spans of `request`, or the dates, times and numbers that it says at `now`; `cut` gives
    arguments of a tool, by their paths, another text to be spans of. `special` are the tokenizer's special
    tokens by text: where the form's literals hold one, the token itself is asked for. Raises `SchemaError`,
    which names the tool, for a schema that cannot be compiled and for a choice that is none.

    >>> from schematune.schemas.form import COMPACT
    >>> tools = ToolSet({"name": "f", "parameters": {"properties": {"n": {"type": "integer"}}}})
    >>> print(tool_grammar(tools, COMPACT, choice="none"))
    start: nothing
    nothing: "{\\"name\\":\\"no_tool\\",\\"arguments\\":{}}"
    """
    if choice not in CHOICES and choice not in tools.names:
        known = ", ".join((*CHOICES, *tools.names))
        raise SchemaError(f"there is no choice {choice!r}", where="choice", fix=f"known: {known}")
    literal = _Literals(special or {})
    nothing = f"nothing: {literal(_call(form, NO_TOOL, '{}'))}"
    if choice == "none":
        return "start: nothing\n" + nothing
    chosen = list(tools) if choice in CHOICES else [tools[choice]]
    copied = {} if spans is None or not spans_of(request, 1) else spans
    lines = _start(chosen, form, literal, nothing=choice == "auto", many=tools.parallel and form.parallel)
    lines += [nothing] if choice == "auto" else []
    used: dict[str, str] = {}
    for place, tool in enumerate(chosen):
        before, after = _call(form, tool.name, "\0").split("\0")
        source = Source(tuple(copied.get(tool.name, ())), request, now, (cut or {}).get(tool.name, {}))
        text, texts = arguments_rule(tool, source, f"a{place}", form.spaced)
        lines += [f"c{place}: {literal(before)} a{place} {literal(after)}", text]
        lines += _ask(tool, f"q{place}", form, literal)
        used |= texts
    return "\n".join(lines + terminals(used))


class Grammar:
    """A grammar compiled for one tokenizer.

    `text` is the Lark grammar, `vocabulary` the number of embeddings of the model (its logits), `stop` the
    tokens that end a turn. Outputs are validated all the same: `unenforced` lists what of the schemas the mask
    does not hold. Compiling is cached by text and tokenizer. Raises `SchemaError`, and `ModelError` for a
    tokenizer that the engine cannot use.
    """

    schemas: Mapping[str, JSON] = MappingProxyType({})
    """The schemas that the grammar was made of, by the name of their tool."""

    heads: Mapping[str, str] = MappingProxyType({})
    """The text before a value of a schema, by the name of its tool."""

    spaced = False
    """Whether the JSON has a space after `,` and `:`."""

    def __init__(
        self,
        text: str,
        tokenizer: PreTrainedTokenizerBase,
        *,
        vocabulary: int,
        stop: Iterable[int] = (),
        keep: bool = True,
        matcher: llguidance.LLMatcher | None = None,
    ) -> None:
        """See the class; `keep` is false for the grammar of one request, which is not worth its place.

        A `matcher` is the text compiled already.
        """
        self.text = text
        self.vocabulary = vocabulary
        self.stop = frozenset(stop)
        self._engine = _engine(tokenizer, vocabulary, self.stop)
        self._prototype = matcher or _compile(text, self._engine, keep)

    @property
    def unenforced(self) -> tuple[str, ...]:
        """The keywords of the schemas that are left to be checked, each with the name of its tool."""
        return tuple(f"{name}: {key}" for name, schema in self.schemas.items() for key in guided(schema).checked)

    @cached_property
    def watched(self) -> tuple[tuple[bytes, Checks], ...]:
        """What is checked while decoding: the text before a value, and its checks; nothing where the mask holds all."""
        return self.checks if any(_needs_checks(compact(schema)) for schema in self.schemas.values()) else ()

    @cached_property
    def checks(self) -> tuple[tuple[bytes, Checks], ...]:
        """What the schemas ask, whoever holds it: the text before a value, and its checks."""
        named = self.schemas.items()
        return tuple((self.heads.get(name, "").encode(), checks_of(compact(schema))) for name, schema in named)

    @classmethod
    def of(
        cls,
        tools: ToolSet,
        base: Base,
        *,
        choice: str = "auto",
        spans: SpanRules | None = None,
        request: str = "",
        now: str = "",
        cut: Mapping[str, Mapping[str, str]] | None = None,
    ) -> "Grammar":
        """Write and compile the grammar of `tools` for `base` in its form; the rest as for `tool_grammar`."""
        vocabulary, stop = vocabulary_of(base.model), base.stop
        special = special_tokens(base.tokenizer, vocabulary=vocabulary, stop=stop)
        given: Any = {"choice": choice, "spans": spans, "request": request, "now": now, "cut": cut}
        text = tool_grammar(tools, base.renderer.form, special=special, **given)
        made = cls(text, base.tokenizer, vocabulary=vocabulary, stop=stop, keep=not spans)
        made.schemas = {tool.name: tool.strict for tool in tools}
        made.spaced, literal = base.renderer.form.spaced, _Literals(special)
        made.heads = {name: literal.last(_call(base.renderer.form, name, "\0").split("\0")[0]) for name in made.schemas}
        return made

    @classmethod
    def of_schema(cls, schema: JSON, base: Base) -> "Grammar":
        """Compile the grammar of a JSON Schema of any draft, for plain structured output: compact JSON that fits it.

        `schematune.decoding.guided.guided(schema).account(schema)` tells what of it the mask enforces.
        """
        if not isinstance(schema, Mapping | bool):
            raise SchemaError("a schema is an object or a boolean", where="schema", fix="give a JSON Schema")
        engine = _engine(base.tokenizer, vocabulary_of(base.model), base.stop)
        found, matcher = compiled(schema, engine.tokenizer)
        text = f"start: %json {found.text}"
        made = cls(text, base.tokenizer, vocabulary=vocabulary_of(base.model), stop=base.stop, matcher=matcher)
        made.schemas = {"schema": schema}
        if found.checked and checks_of(compact(schema)).whole is None:
            raise SchemaError(
                f"{', '.join(found.checked)} can neither be enforced nor checked",
                where="schema",
                fix="simplify the schema",
            )
        return made

    def matcher(self) -> llguidance.LLMatcher:
        """Return a fresh matcher at the start of the grammar."""
        return self._prototype.deep_copy()

    def after(self, tokens: Sequence[int]) -> llguidance.LLMatcher | None:
        """Return a fresh matcher after `tokens`; None where the grammar does not take them."""
        matcher = self.matcher()
        return matcher if matcher.consume_tokens(list(tokens)) else None

    def bytes_of(self, tokens: Sequence[int]) -> bytes:
        """Return the text that tokens stand for, as UTF-8, which may begin or end inside a letter."""
        return self._engine.tokenizer.decode_bytes(list(tokens))

    def tokens_of(self, data: bytes) -> list[int]:
        """Return the tokens of a text, given as UTF-8."""
        return list(self._engine.tokenizer.tokenize_bytes(data))


def vocabulary_of(model: Any) -> int:
    """Return the number of logits of a model: its embeddings, which may be more than the tokenizer's tokens."""
    head = model.get_output_embeddings()
    return int((model.get_input_embeddings() if head is None else head).weight.shape[0])


def special_tokens(
    tokenizer: PreTrainedTokenizerBase, *, vocabulary: int, stop: Iterable[int] = ()
) -> Mapping[str, int]:
    """Return the tokens that the engine does not take for text, by their text.

    Those are the special tokens and all others that were added as `<...>`: `<tool_call>`, say.
    """
    return _engine(tokenizer, vocabulary, frozenset(stop)).special


@dataclass(frozen=True)
class _Engine:
    """A tokenizer as the engine knows it, with the tokens that it does not take for text."""

    tokenizer: llguidance.LLTokenizer
    special: Mapping[str, int]


_LOCK = Lock()
_ENGINES: WeakKeyDictionary[PreTrainedTokenizerBase, dict[Any, _Engine]] = WeakKeyDictionary()
_COMPILED: OrderedDict[tuple[int, str], tuple[_Engine, llguidance.LLMatcher]] = OrderedDict()
_MOST_COMPILED = 128


def _engine(tokenizer: PreTrainedTokenizerBase, vocabulary: int, stop: frozenset[int]) -> _Engine:
    with _LOCK:
        known = _ENGINES.setdefault(tokenizer, {})
        if (vocabulary, stop) not in known:
            ends: Any = sorted(stop) or None
            wrapped: Any = tokenizer
            try:
                found = llguidance.hf.from_tokenizer(wrapped, n_vocab=vocabulary, eos_token=ends)
            except ValueError as error:
                raise ModelError(
                    f"the grammar engine cannot use the tokenizer: {error}", fix="take a base with byte-level BPE"
                ) from error
            added = tokenizer.added_tokens_decoder.items()
            special = {token.content: number for number, token in added if found.is_special_token(number)}
            known[vocabulary, stop] = _Engine(found, special)
        return known[vocabulary, stop]


def _compile(text: str, engine: _Engine, keep: bool) -> llguidance.LLMatcher:
    key = (id(engine), text)
    with _LOCK:
        if key in _COMPILED:
            _COMPILED.move_to_end(key)
            return _COMPILED[key][1]
    matcher = llguidance.LLMatcher(engine.tokenizer, text, log_level=0)
    if matcher.is_error():
        raise SchemaError(f"the grammar does not compile: {reason_of(matcher.get_error())}", fix="simplify the schemas")
    if not keep:
        return matcher
    with _LOCK:
        _COMPILED[key] = (engine, matcher)  # the engine is kept, so that its id stays its own
        while len(_COMPILED) > _MOST_COMPILED:
            _COMPILED.popitem(last=False)
    return matcher


class _Literals:
    """Writes literal text as Lark: quoted, special tokens by their number."""

    def __init__(self, special: Mapping[str, int]) -> None:
        self.special = special
        words = sorted(special, key=len, reverse=True)
        self.pattern = re.compile("(" + "|".join(map(re.escape, words)) + ")") if words else None

    def __call__(self, text: str) -> str:
        parts = self.pattern.split(text) if self.pattern else [text]
        written = [f"<[{self.special[p]}]>" if p in self.special else quoted(p) for p in parts if p]
        return " ".join(written) or '""'

    def last(self, text: str) -> str:
        """Return what of a text follows the last special token."""
        return str(self.pattern.split(text)[-1]) if self.pattern else text


@lru_cache(maxsize=1024)
def _needs_checks(schema: str) -> bool:
    """Tell whether the mask leaves something of a schema open: a keyword, or keys that could stand twice."""
    found = guided(json.loads(schema))
    return bool(found.checked) or is_open(found.schema)


def _call(form: Form, name: str, arguments: str) -> str:
    return f"{form.before}{form.written(name)}{form.between}{arguments}{form.after}"


def _start(chosen: list[Tool], form: Form, literal: _Literals, *, nothing: bool, many: bool) -> list[str]:
    questions = [f"q{place}" for place, tool in enumerate(chosen) if tool.required]
    starts = ["call", *(["nothing"] if nothing else []), *questions]
    lines = ["call: " + " | ".join(f"c{place}" for place in range(len(chosen)))]
    if many:
        starts.append("many")
        more = f"({literal(form.separator)} call){{1,{MAX_CALLS - 1}}}"
        lines.append(f"many: {literal(form.opening)} call {more} {literal(form.closing)}")
    return ["start: " + " | ".join(starts), *lines]


def _ask(tool: Tool, rule: str, form: Form, literal: _Literals) -> list[str]:
    """Write the question for the required arguments of `tool`: some of them, in schema order."""
    if not tool.required:
        return []
    whole = form.json({"tool": tool.name, "missing": ["\0"]}).split(json.dumps("\0"))
    comma = ", " if form.spaced else ","
    before, after = _call(form, ASK, "\0").split("\0")
    names = [quoted(name) for name in tool.required]
    fields = sequence(rule, [quoted(name) for name in names], [False] * len(names), quoted(comma), empty=False)
    return [f"{rule}: {literal(before + whole[0])} {rule}_first0 {literal(whole[1] + after)}", *fields]

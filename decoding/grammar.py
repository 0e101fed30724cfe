"""The grammar of a tool set's calls, for llguidance, and its compiled form.

`tool_grammar` writes a Lark grammar: the literal text of the base's `Form` around `%json` argument objects,
the reserved calls `no_tool` and `ask`, and parallel calls where both the tools and the form allow them. What
the grammar lets through is exactly what `Form.write` writes: compact or spaced JSON, keys in schema order.
`Grammar` is such a text, a JSON Schema, a regular expression or a Lark grammar of the user's own, compiled for one
tokenizer by an engine (`schematune.decoding.engines`) and kept in a bounded cache.
"""

import json
import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, lru_cache
from threading import Lock
from types import MappingProxyType
from typing import Any, Literal, Protocol

import llguidance
from transformers import PreTrainedTokenizerBase

from schematune.decoding.arguments import Source, arguments_rule, quoted, sequence, terminals
from schematune.decoding.base import Base, stop_tokens
from schematune.decoding.checks import Checks, checks_of, is_open
from schematune.decoding.engines import Engine, engine_of
from schematune.decoding.guided import guided, keywords
from schematune.schemas.bundle import bundled, without_formats
from schematune.schemas.call import ASK, CHOICES, NO_TOOL
from schematune.schemas.errors import SchemaError
from schematune.schemas.form import Form
from schematune.schemas.jsontext import JSON, compact, strict_loads
from schematune.schemas.spans import SpanRules, spans_of
from schematune.schemas.tool import Tool, ToolSet
from schematune.schemas.validate import check_bounds

__all__ = ["MAX_CALLS", "Grammar", "OutlinesModel", "special_tokens", "tool_grammar"]

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


class OutlinesModel(Protocol):
    """A model of Outlines that runs here: `outlines.from_transformers(model, tokenizer)`."""

    model: Any
    hf_tokenizer: Any


class Grammar:
    """A grammar compiled for one tokenizer.

    `text` is the Lark grammar, `vocabulary` the number of embeddings of the model (its logits), `stop` the
    tokens that end a turn. Outputs are validated all the same: `unenforced` lists what of the schemas the mask
    does not hold. Compiling is cached by text and tokenizer. Raises `SchemaError`, and `ModelError` for a
    tokenizer that the engine cannot use or an engine that is not installed.
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
        engine: str = "llguidance",
        kind: Literal["lark", "regex", "schema"] = "lark",
    ) -> None:
        """See the class; `keep` is false for the grammar of one request, which is not worth its place.

        `kind` says what the text is: a Lark grammar, a regular expression, or a JSON Schema.
        """
        self.text = text
        self.vocabulary = vocabulary
        self.stop = frozenset(stop)
        self.engine = engine
        made = engine_of(engine, tokenizer, size=vocabulary, stop=self.stop)
        words: llguidance.LLTokenizer = engine_of("llguidance", tokenizer, size=vocabulary, stop=self.stop).tokenizer
        self._words = words
        self._prototype = _compile(made, kind, text, keep)

    @property
    def unenforced(self) -> tuple[str, ...]:
        """The keywords of the schemas that are left to be checked, each with the name of its tool.

        Another engine than llguidance does not tell what it leaves out: then these are all that the schemas use.
        """
        if self.engine != "llguidance":
            return tuple(
                f"{name}: {key}" for name, part in self.schemas.items() for key in dict.fromkeys(keywords(part))
            )
        return tuple(f"{name}: {key}" for name, schema in self.schemas.items() for key in guided(schema).checked)

    def account(self) -> dict[str, dict[str, str]]:
        """Tell of each schema, by its tool's name, which keywords are `"enforced"`, `"rewritten"` or `"checked"`.

        Enforced and rewritten ones are held by the mask, the others checked while decoding. `"refused"` there is none: no
        grammar is made then (`schematune.decoding.guided.account` tells of any schema).
        """
        if self.engine != "llguidance":
            return {name: dict.fromkeys(keywords(schema), "checked") for name, schema in self.schemas.items()}
        return {name: guided(schema).account(schema) for name, schema in self.schemas.items()}

    def is_watched(self, limit: int) -> bool:
        """Tell whether an output of up to `limit` tokens is checked while it is decoded, or the mask holds all."""
        if self.engine != "llguidance":
            return bool(self.schemas)
        return any(_needs_checks(compact(schema), limit > _ENDLESS) for schema in self.schemas.values())

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
        engine: str = "llguidance",
    ) -> "Grammar":
        """Write and compile the grammar of `tools` for `base` in its form; the rest as for `tool_grammar`.

        Of the other engines, xgrammar takes tools, but no `spans`.
        """
        vocabulary, stop = vocabulary_of(base.model), base.stop
        special = special_tokens(base.tokenizer, vocabulary=vocabulary, stop=stop)
        given: Any = {"choice": choice, "spans": spans, "request": request, "now": now, "cut": cut}
        text = tool_grammar(tools, base.renderer.form, special=special, **given)
        made = cls(text, base.tokenizer, vocabulary=vocabulary, stop=stop, keep=not spans, engine=engine)
        made.schemas = {tool.name: tool.strict for tool in tools}
        made.spaced, literal = base.renderer.form.spaced, _Literals(special)
        made.heads = {name: literal.last(_call(base.renderer.form, name, "\0").split("\0")[0]) for name in made.schemas}
        return made

    @classmethod
    def of_schema(
        cls,
        schema: JSON,
        base: Base | OutlinesModel,
        *,
        documents: Mapping[str, JSON] | None = None,
        formats: bool = True,
        engine: str = "llguidance",
    ) -> "Grammar":
        """Compile the grammar of a JSON Schema of any draft, for plain structured output: compact JSON that fits it.

        `base` is a base, or a model of Outlines. What the schema refers to outside of itself is taken from `documents`,
        schemas by their URI; nothing is fetched. Without `formats` they are notes, as the drafts from 2019-09 on have
        it by default. `account()` tells what the mask enforces.
        """
        if not isinstance(schema, Mapping | bool):
            raise SchemaError("a schema is an object or a boolean", where="schema", fix="give a JSON Schema")
        check_bounds(schema)
        whole = bundled(schema, documents)
        whole = whole if formats else without_formats(whole)
        made = cls(compact(whole), **_target(base), engine=engine, kind="schema")
        made.schemas = {"schema": whole}
        if made.unenforced and checks_of(compact(whole)).whole is None:
            raise SchemaError(
                f"{', '.join(made.unenforced)} can neither be enforced nor checked",
                where="schema",
                fix="simplify the schema",
            )
        return made

    @classmethod
    def of_regex(cls, pattern: str, base: Base | OutlinesModel, *, engine: str = "llguidance") -> "Grammar":
        """Compile a regular expression that the whole output matches, for exact formats that are not JSON.

        The syntax is that of Rust's `regex`: no look-around, no references back. A pattern that could need more than
        the engine's limits is refused: `SchemaError`.
        """
        return cls(pattern, **_target(base), engine=engine, kind="regex")

    @classmethod
    def of_lark(cls, text: str, base: Base | OutlinesModel, *, engine: str = "llguidance") -> "Grammar":
        """Compile a Lark grammar, whose rule `start` the output follows: SQL, say, or a notation of your own.

        The dialect is llguidance's: `%json {...}` and `%regex {...}` take part in it. xgrammar takes most of it.
        """
        return cls(text, **_target(base), engine=engine)

    def matcher(self) -> llguidance.LLMatcher:
        """Return a fresh matcher at the start of the grammar: llguidance's, or another engine's like it."""
        made: llguidance.LLMatcher = self._prototype.deep_copy()
        return made

    def after(self, tokens: Sequence[int]) -> llguidance.LLMatcher | None:
        """Return a fresh matcher after `tokens`; None where the grammar does not take them."""
        matcher = self.matcher()
        return matcher if matcher.consume_tokens(list(tokens)) else None

    def bytes_of(self, tokens: Sequence[int]) -> bytes:
        """Return the text that tokens stand for, as UTF-8, which may begin or end inside a letter."""
        return self._words.decode_bytes(list(tokens))

    def tokens_of(self, data: bytes) -> list[int]:
        """Return the tokens of a text, given as UTF-8."""
        return list(self._words.tokenize_bytes(data))


def _target(base: Base | OutlinesModel) -> dict[str, Any]:
    """Return the tokenizer of a model, how many logits it has, and what ends a turn."""
    if isinstance(base, Base):
        tokenizer, stop = base.tokenizer, base.stop
    else:
        tokenizer = base.hf_tokenizer
        stop = stop_tokens(base.model, tokenizer, "")
    return {"tokenizer": tokenizer, "vocabulary": vocabulary_of(base.model), "stop": stop}


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
    special: Mapping[str, int] = engine_of("llguidance", tokenizer, size=vocabulary, stop=frozenset(stop)).special
    return special


_LOCK = Lock()
_COMPILED: OrderedDict[tuple[int, str, str], tuple[Engine, Any]] = OrderedDict()
_MOST_COMPILED = 128
_ENDLESS = 512  # tokens that could hold an integer too long to be read


def _compile(engine: Engine, kind: str, text: str, keep: bool) -> Any:
    key = (id(engine), kind, text)
    with _LOCK:
        if key in _COMPILED:
            _COMPILED.move_to_end(key)
            return _COMPILED[key][1]
    matcher = engine.schema(strict_loads(text))[1] if kind == "schema" else getattr(engine, kind)(text)
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
def _needs_checks(schema: str, endless: bool) -> bool:
    """Tell whether the mask leaves something of a schema open: a keyword, or keys that could stand twice."""
    found = guided(json.loads(schema))
    return bool(found.checked) or is_open(found.schema, endless=endless)


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

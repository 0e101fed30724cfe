"""The grammar engines: each compiles a JSON Schema, a regular expression or a Lark grammar for one tokenizer.

llguidance is the default; xgrammar (the extra `schematune[xgrammar]`) and outlines_core can be chosen. A matcher steps
through a grammar token by token; those of the other engines have the methods of `llguidance.LLMatcher` that this
project uses, so the loop, the closing near the limit and the Outlines processor take any of them. They force no
tokens: fast-forward is llguidance's. What they let through that a schema forbids is theirs; outputs are validated.
"""

import copy
import importlib
import re
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import llguidance
import llguidance.hf
import numpy as np
from transformers import PreTrainedTokenizerBase

from schematune.decoding.guided import Guided, compiled, reason_of
from schematune.schemas.errors import ModelError, SchemaError
from schematune.schemas.jsontext import JSON, compact

__all__ = ["ENGINES", "Engine", "LLGuidance", "OutlinesCore", "XGrammar", "engine_of"]

ENGINES = ("llguidance", "xgrammar", "outlines_core")
"""The engines that can be chosen."""

_COMPACT = {"any_whitespace": False, "separators": (",", ":"), "strict_mode": False}
_JSON_RULE = re.compile(r"^(\w+): %json (\{.*\})$", re.MULTILINE)


class Engine(Protocol):
    """What compiles grammars for one tokenizer; each method raises `SchemaError` for what it cannot take."""

    def schema(self, schema: JSON) -> tuple[Guided | None, Any]:
        """Compile a schema as compact JSON: what became of its keywords, where that is known, and a matcher."""

    def regex(self, pattern: str) -> Any:
        """Compile a regular expression that a whole output matches."""

    def lark(self, text: str) -> Any:
        """Compile a Lark grammar whose rule `start` an output follows."""


class LLGuidance:
    """llguidance: schemas strict first, then rewritten; `special` are the tokens that it does not take for text."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, size: int, stop: frozenset[int]) -> None:
        """Wrap a tokenizer for a model of `size` logits; raises `ModelError` for one that cannot be used."""
        wrapped: Any = tokenizer
        ends: Any = sorted(stop) or None
        try:
            self.tokenizer = llguidance.hf.from_tokenizer(wrapped, n_vocab=size, eos_token=ends)
        except ValueError as error:
            raise ModelError(
                f"the grammar engine cannot use the tokenizer: {error}", fix="take a base with byte-level BPE"
            ) from error
        added = tokenizer.added_tokens_decoder.items()
        self.special: Mapping[str, int] = {
            token.content: number for number, token in added if self.tokenizer.is_special_token(number)
        }

    def schema(self, schema: JSON) -> tuple[Guided | None, Any]:
        """See `Engine`."""
        return compiled(schema, self.tokenizer)

    def regex(self, pattern: str) -> Any:
        """See `Engine`."""
        return self._matcher(llguidance.LLMatcher.grammar_from_regex(pattern), f"the pattern {pattern!r}")

    def lark(self, text: str) -> Any:
        """See `Engine`."""
        return self._matcher(text, "the grammar")

    def _matcher(self, text: str, what: str) -> Any:
        matcher = llguidance.LLMatcher(self.tokenizer, text, log_level=0)
        if matcher.is_error():
            raise SchemaError(f"{what} does not compile: {reason_of(matcher.get_error())}", fix="simplify it")
        return matcher


class XGrammar:
    """xgrammar: fast masks; of a schema it leaves out without a word what it does not know."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, size: int, stop: frozenset[int]) -> None:
        """Wrap a tokenizer; raises `ModelError` where the package is missing or cannot use it."""
        self.package: Any = _package("xgrammar", "schematune[xgrammar]")
        try:
            info = self.package.TokenizerInfo.from_huggingface(tokenizer, vocab_size=size, stop_token_ids=sorted(stop))
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"xgrammar cannot use the tokenizer: {error}", fix='engine="llguidance"') from error
        self.compiler = self.package.GrammarCompiler(info, max_threads=1)
        self.barred = frozenset(info.special_token_ids) - stop  # accepting one is refused with a warning on stderr
        self.size = size

    def schema(self, schema: JSON) -> tuple[Guided | None, Any]:
        """See `Engine`."""
        return None, self._made("the schema", self.compiler.compile_json_schema, compact(schema), **_COMPACT)

    def regex(self, pattern: str) -> Any:
        """See `Engine`."""
        return self._made(f"the pattern {pattern!r}", self.compiler.compile_regex, pattern)

    def lark(self, text: str) -> Any:
        """See `Engine`; the schemas in the grammar are written as compact JSON here too."""
        kind = self.package.Grammar
        try:
            named = {name: kind.from_json_schema(part, **_COMPACT) for name, part in _JSON_RULE.findall(text)}
        except RuntimeError as error:
            raise SchemaError(f"the grammar does not compile: {_told(error)}", fix='engine="llguidance"') from error
        return self._made(
            "the grammar", self.compiler.compile_lark, _JSON_RULE.sub(r"\1: @\1", text), named_grammars=named
        )

    def _made(self, what: str, compile: Any, text: str, **options: Any) -> Any:
        try:
            grammar = compile(text, **options)
            return _XGrammarMatcher(self, self.package.GrammarMatcher(grammar))
        except (RuntimeError, ValueError) as error:
            raise SchemaError(
                f"{what} does not compile in xgrammar: {_told(error)}", fix='engine="llguidance"'
            ) from error


class OutlinesCore:
    """outlines_core: schemas as regular expressions, compiled to a table of all tokens; no Lark grammars."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, size: int, stop: frozenset[int]) -> None:
        """Wrap a tokenizer; raises `ModelError` where nothing ends a turn."""
        self.package: Any = _package("outlines_core", "outlines")
        if not stop:
            raise ModelError("outlines_core needs a token that ends a turn", fix='engine="llguidance"')
        known = LLGuidance(tokenizer, size, stop).tokenizer
        words: dict[bytes, list[int]] = {}
        for token in range(known.vocab_size):
            if not known.is_special_token(token) and (word := known.decode_bytes([token])):
                words.setdefault(word, []).append(token)
        self.vocabulary = self.package.Vocabulary(min(stop), words)
        self.stop, self.size = stop, size

    def schema(self, schema: JSON) -> tuple[Guided | None, Any]:
        """See `Engine`."""
        try:
            pattern = self.package.json_schema.build_regex_from_schema(compact(schema), whitespace_pattern="")
        except (RuntimeError, ValueError, TypeError) as error:
            raise SchemaError(f"outlines_core does not take the schema: {_told(error)}", fix="llguidance") from error
        return None, self.regex(pattern)

    def regex(self, pattern: str) -> Any:
        """See `Engine`."""
        try:
            return _OutlinesMatcher(self, self.package.Index(pattern, self.vocabulary))
        except (RuntimeError, ValueError) as error:
            raise SchemaError(
                f"the pattern does not compile in outlines_core: {_told(error)}", fix="llguidance"
            ) from error

    def lark(self, text: str) -> Any:
        """Raise `SchemaError`: the engine knows regular languages only."""
        raise SchemaError("outlines_core takes no Lark grammar", where="engine", fix='"llguidance" or "xgrammar"')


class _Stepping:
    """What is the same for the matchers of the other engines."""

    def compute_ff_tokens(self) -> list[int]:
        """Return the tokens that are forced: none are known."""
        return []

    def is_error(self) -> bool:
        """Tell whether the matcher has failed: a token that does not fit leaves it as it was."""
        return False

    def get_error(self) -> str:
        """Return why it failed."""
        return ""

    def consume_tokens(self, tokens: Sequence[int]) -> bool:
        """Take tokens; tell whether all fit."""
        return self.try_consume_tokens(tokens) == len(tokens)

    def try_consume_tokens(self, tokens: Sequence[int]) -> int:
        """Take tokens as far as they fit; return how many did."""
        return next((place for place, token in enumerate(tokens) if not self.consume_token(token)), len(tokens))

    def consume_token(self, token: int) -> bool:
        """Take a token; tell whether it fits."""
        raise NotImplementedError


class _XGrammarMatcher(_Stepping):
    """A place in an xgrammar grammar."""

    def __init__(self, engine: XGrammar, matcher: Any) -> None:
        self.engine, self.matcher = engine, matcher

    def deep_copy(self) -> "_XGrammarMatcher":
        return _XGrammarMatcher(self.engine, self.matcher.fork())

    def consume_token(self, token: int) -> bool:
        return token not in self.engine.barred and bool(self.matcher.accept_token(token))

    def validate_tokens(self, tokens: Sequence[int]) -> int:
        taken = self.try_consume_tokens(tokens)
        self.matcher.rollback(taken)
        return taken

    def rollback(self, many: int) -> bool:
        self.matcher.rollback(many)
        return True

    def is_accepting(self) -> bool:
        return bool(self.matcher.is_completed() or self.matcher.is_terminated())

    def is_stopped(self) -> bool:
        """Tell whether nothing but an end may follow."""
        if self.matcher.is_terminated() or not self.matcher.is_completed():
            return bool(self.matcher.is_terminated())
        bits = np.unpackbits(np.frombuffer(self.compute_bitmask(), dtype=np.uint8), bitorder="little")
        return not set(np.flatnonzero(bits).tolist()) - set(self.matcher.stop_token_ids)

    def compute_bitmask(self) -> bytes:
        bits = self.engine.package.allocate_token_bitmask(1, self.engine.size)
        if self.matcher.is_terminated():
            bits.zero_()
        else:
            self.matcher.fill_next_token_bitmask(bits, 0)
        return bits.numpy().tobytes()  # type: ignore[no-any-return]


class _OutlinesMatcher(_Stepping):
    """A place in the table of outlines_core, which knows one token that ends."""

    def __init__(self, engine: OutlinesCore, index: Any, taken: Sequence[int] = ()) -> None:
        self.engine, self.index = engine, index
        self.taken = list(taken)
        self._enter()

    def _enter(self) -> None:
        self.guide = self.engine.package.Guide(self.index)
        for token in self.taken:
            self.guide.advance(token, return_tokens=False)

    def deep_copy(self) -> "_OutlinesMatcher":
        made = copy.copy(self)
        made.taken, made.guide = list(self.taken), copy.deepcopy(self.guide)
        return made

    def consume_token(self, token: int) -> bool:
        if self.is_stopped() or not self.guide.accepts_tokens([token]):
            return False
        self.guide.advance(token, return_tokens=False)
        self.taken.append(token)
        return True

    def validate_tokens(self, tokens: Sequence[int]) -> int:
        return self.deep_copy().try_consume_tokens(tokens)

    def rollback(self, many: int) -> bool:
        self.taken = self.taken[: len(self.taken) - many]
        self._enter()
        return True

    def is_accepting(self) -> bool:
        return bool(self.guide.is_finished())

    def is_stopped(self) -> bool:
        """Tell whether nothing but an end may follow."""
        ended = bool(self.taken) and self.taken[-1] in self.engine.stop
        return ended or (self.is_accepting() and set(self.guide.get_tokens()) <= self.engine.stop)

    def compute_bitmask(self) -> bytes:
        bits = np.zeros(-(-self.engine.size // 32) * 32, dtype=np.uint8)
        bits[self.guide.get_tokens()] = 1
        bits[sorted(self.engine.stop)] = self.is_accepting()
        return np.packbits(bits, bitorder="little").tobytes()


_KINDS: dict[str, type[LLGuidance] | type[XGrammar] | type[OutlinesCore]] = {
    "llguidance": LLGuidance,
    "xgrammar": XGrammar,
    "outlines_core": OutlinesCore,
}
_LOCK = Lock()
_KNOWN: WeakKeyDictionary[PreTrainedTokenizerBase, dict[Any, Any]] = WeakKeyDictionary()


def engine_of(name: str, tokenizer: PreTrainedTokenizerBase, *, size: int, stop: frozenset[int]) -> Any:
    """Return the engine `name` for a tokenizer and a model of `size` logits, made once.

    Raises `SchemaError` for a name that is none, `ModelError` for a package that is missing.
    """
    if name not in _KINDS:
        raise SchemaError(f"there is no engine {name!r}", where="engine", fix=f"known: {', '.join(ENGINES)}")
    with _LOCK:
        known = _KNOWN.setdefault(tokenizer, {})
        if (name, size, stop) not in known:
            known[name, size, stop] = _KINDS[name](tokenizer, size, stop)
        return known[name, size, stop]


def _package(name: str, wanted: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ModelError(f"the engine {name} is not installed", fix=f"pip install '{wanted}'") from error


def _told(error: Exception) -> str:
    """Return the telling line of an engine's error, without its clock and its own file."""
    lines = [line for line in str(error).strip().splitlines() if line.strip()] or [type(error).__name__]
    return re.sub(r"^\[[\d:]+\] \S+: ", "", lines[0])

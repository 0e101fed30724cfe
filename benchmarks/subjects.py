"""The engines under audit: each a way from a schema to a grammar, alone or as schematune uses it."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import llguidance

from schematune.benchmarks.suites import SchemaCase
from schematune.decoding.engines import engine_of
from schematune.decoding.guided import Guided, keywords
from schematune.schemas.bundle import bundled, without_formats
from schematune.schemas.errors import ExampleError, ModelError, SchemaError, SchematuneError
from schematune.schemas.jsontext import JSON, compact
from schematune.schemas.normal import Document
from schematune.schemas.order import ordered
from schematune.schemas.validate import validator

__all__ = ["Compiled", "Subject", "Verdicts", "judged", "subjects"]

_MOST_MASKS = 400
_OPTIONS: dict[str, JSON] = {"whitespace_flexible": False, "item_separator": ",", "key_separator": ":"}


@dataclass(frozen=True)
class Compiled:
    """A schema as one engine took it: a matcher, the schema whose key order it has, and a check afterwards."""

    matcher: Any
    schema: JSON
    check: Callable[[JSON], bool] | None = None
    guided: Guided | None = None
    ignored: Sequence[str] = ()


@dataclass(frozen=True)
class Subject:
    """A way from a schema to a grammar; `compile` raises `SchematuneError` where it refuses."""

    name: str
    compile: Callable[[SchemaCase, Any], Compiled]
    engine: str = "llguidance"
    tells: bool = True

    def prepare(self, tokenizer: Any) -> None:
        """Make the engine ready for a tokenizer; raises `ModelError` where it is not installed."""
        _engine(self.engine, tokenizer)


@dataclass
class Verdicts:
    """What came of one schema: why it was refused, or whether any verdict on its instances was wrong, and times."""

    refused: str = ""
    unsound: bool = False
    strict: bool = False
    strict_ordered: bool = False
    compile_ms: float = 0.0
    mask_us: list[float] = field(default_factory=list)
    keywords: Counter[str] = field(default_factory=Counter)


def subjects(tokenizer: Any, names: Sequence[str] | None = None) -> tuple[list[Subject], dict[str, str]]:
    """Return the engines that are compared, and why others are left out; raises `ExampleError` for names that are none."""
    known = [
        Subject("schematune-mask", _mask),
        Subject("schematune", _checked),
        Subject("llguidance", _alone(False)),
        Subject("llguidance-lenient", _alone(True)),
        Subject("xgrammar", _other("xgrammar"), "xgrammar", tells=False),
        Subject("outlines_core", _other("outlines_core"), "outlines_core", tells=False),
    ]
    unknown = set(names or ()) - {one.name for one in known}
    if unknown:
        fix = f"known: {', '.join(one.name for one in known)}"
        raise ExampleError(f"there is no engine {min(unknown)!r}", where="--engines", fix=fix)
    found: list[Subject] = []
    skipped: dict[str, str] = {}
    for one in known:
        if names is None or one.name in names:
            try:
                one.prepare(tokenizer)
                found.append(one)
            except ModelError as error:
                skipped[one.name] = str(error)
    return found, skipped


def judged(case: SchemaCase, engine: Subject, tokenizer: Any, *, masks: bool = True) -> Verdicts:
    """Put every instance of a case to an engine: with its own key order, and with the schema's."""
    begun = time.perf_counter()
    try:
        taken = engine.compile(case, tokenizer)
    except (SchematuneError, ValueError) as error:
        return Verdicts(f"refused: {error}", keywords=Counter(dict.fromkeys(["refused"], _many(case.schema))))
    found = Verdicts(compile_ms=(time.perf_counter() - begun) * 1000, keywords=_accounted(case, taken, engine))
    document = Document(taken.schema)
    for value, valid in case.tests:
        accepted = _takes(value, taken, tokenizer)
        excused = accepted or _takes(_in_order(value, document), taken, tokenizer)
        found.unsound |= not valid and excused
        found.strict |= valid and not accepted
        found.strict_ordered |= valid and not excused
    if masks:
        found.mask_us = _mask_times(case, taken.matcher, tokenizer)
    return found


def _many(schema: JSON) -> int:
    return len(set(keywords(schema)))


def _accounted(case: SchemaCase, taken: Compiled, engine: Subject) -> Counter[str]:
    """Count what became of the keywords: of other engines it is not known what they leave out."""
    if taken.guided is not None:
        return Counter(taken.guided.account(case.schema).values())
    if not engine.tells:
        return Counter({"untold": _many(case.schema)})
    left = len(set(taken.ignored) & set(keywords(case.schema)))
    return +Counter({"enforced": _many(case.schema) - left, "ignored": left})


def _engine(name: str, tokenizer: Any) -> Any:
    ends = frozenset([tokenizer.eos_token_id])
    return engine_of(name, tokenizer, size=len(tokenizer), stop=ends)


def _closed(case: SchemaCase) -> JSON:
    """Return a case's schema with the documents that it needs, its formats where they are checked."""
    whole = bundled(case.schema, case.documents)
    return whole if case.formats else without_formats(whole)


def _mask(case: SchemaCase, tokenizer: Any) -> Compiled:
    found, matcher = _engine("llguidance", tokenizer).schema(_closed(case))
    return Compiled(matcher, found.schema, guided=found)


def _checked(case: SchemaCase, tokenizer: Any) -> Compiled:
    found = _mask(case, tokenizer)
    check = validator(case.schema, documents=case.documents, formats=case.formats)
    return Compiled(found.matcher, found.schema, check.is_valid, found.guided)


def _alone(lenient: bool) -> Callable[[SchemaCase, Any], Compiled]:
    def compile(case: SchemaCase, tokenizer: Any) -> Compiled:
        schema = case.schema if case.formats else without_formats(case.schema)
        whole = schema if isinstance(schema, Mapping) else {} if schema else {"not": {}}
        text = compact({**whole, "x-guidance": {**_OPTIONS, "lenient": True} if lenient else _OPTIONS})
        matcher = llguidance.LLMatcher(_engine("llguidance", tokenizer).tokenizer, f"start: %json {text}", log_level=0)
        if matcher.is_error():
            raise SchemaError(matcher.get_error())
        warned = " ".join(matcher.get_grammar_warnings()) if lenient else ""
        return Compiled(matcher, schema, ignored=[key for key in set(keywords(schema)) if f'"{key}"' in warned])

    return compile


def _other(name: str) -> Callable[[SchemaCase, Any], Compiled]:
    def compile(case: SchemaCase, tokenizer: Any) -> Compiled:
        schema = case.schema if case.formats else without_formats(case.schema)
        return Compiled(_engine(name, tokenizer).schema(schema)[1], schema)

    return compile


def _in_order(value: JSON, document: Document) -> JSON:
    try:
        return ordered(value, document.root, document)
    except (SchematuneError, RecursionError):
        return value


def _takes(value: JSON, compiled: Compiled, tokenizer: Any) -> bool:
    tokens = _tokens(value, tokenizer)
    matcher = compiled.matcher.deep_copy()
    if matcher.validate_tokens(tokens) < len(tokens) or not matcher.consume_tokens(tokens):
        return False
    return bool(matcher.is_accepting()) and (compiled.check is None or compiled.check(value))


def _tokens(value: JSON, tokenizer: Any) -> list[int]:
    return [int(token) for token in tokenizer.encode(compact(value), add_special_tokens=False)]


def _mask_times(case: SchemaCase, matcher: Any, tokenizer: Any) -> list[float]:
    """Time the masks along the first valid instance, in microseconds."""
    value = next((value for value, valid in case.tests if valid), None)
    times: list[float] = []
    matcher = matcher.deep_copy()
    for token in _tokens(value, tokenizer)[:_MOST_MASKS]:
        begun = time.perf_counter()
        matcher.compute_bitmask()
        times.append((time.perf_counter() - begun) * 1e6)
        if matcher.validate_tokens([token]) < 1:
            break
        matcher.consume_token(token)
    return times

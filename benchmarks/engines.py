"""Which engine holds to the schema? `python -m schematune.benchmarks.engines --schemas FILE`.

Reads schemas with instances marked valid or invalid, one JSON object a line (`schema`, `tests`; MaskBench has them), or
the official test suite (`--suite DIR --drafts ...`), and asks of each engine whether its grammar lets exactly the valid
ones through, as compact JSON. `schematune-mask` is the mask alone, `schematune` the mask with the check that every output
passes; `llguidance` and `llguidance-lenient` are the engine below alone. An instance refused only for the order of its
keys is excused in the figures with `_ordered`. Mask times are those of the tokens of the valid instances.

Prints progress on stderr and one JSON object last; shares are of all schemas.
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import llguidance
import llguidance.hf
import numpy as np
from tqdm import tqdm

from schematune.decoding.guided import Guided, compiled
from schematune.schemas.errors import ExampleError, ModelError, SchemaError, SchematuneError
from schematune.schemas.jsontext import JSON, compact
from schematune.schemas.normal import Document
from schematune.schemas.order import ordered
from schematune.schemas.validate import part_validator

__all__ = ["Audit", "Case", "Engine", "audit", "main"]

DRAFTS = ("draft7", "draft2019-09", "draft2020-12")

_DIALECTS = {
    "draft7": "http://json-schema.org/draft-07/schema#",
    "draft2019-09": "https://json-schema.org/draft/2019-09/schema",
    "draft2020-12": "https://json-schema.org/draft/2020-12/schema",
}
_MOST_MASKS = 400


@dataclass(frozen=True)
class Case:
    """A schema, and (instance, valid) pairs."""

    schema: JSON
    tests: Sequence[tuple[JSON, bool]]


@dataclass(frozen=True)
class Compiled:
    """A schema as one engine took it: a matcher, the schema whose key order it has, and a check afterwards."""

    matcher: llguidance.LLMatcher
    schema: JSON
    check: Callable[[JSON], bool] | None = None
    guided: Guided | None = None


@dataclass(frozen=True)
class Engine:
    """A way from a schema to a grammar; `compile` raises `SchematuneError` where it refuses."""

    name: str
    compile: Callable[[JSON, llguidance.LLTokenizer], Compiled]


@dataclass
class Audit:
    """What came of one engine: counts of schemas, and times."""

    counts: Counter[str] = field(default_factory=Counter)
    keywords: Counter[str] = field(default_factory=Counter)
    compile_ms: list[float] = field(default_factory=list)
    mask_us: list[float] = field(default_factory=list)
    wrong: list[int] = field(default_factory=list)


def engines() -> list[Engine]:
    """Return the engines that are compared."""

    def alone(lenient: bool) -> Callable[[JSON, llguidance.LLTokenizer], Compiled]:
        options = {"whitespace_flexible": False, "item_separator": ",", "key_separator": ":"}

        def compile(schema: JSON, tokenizer: llguidance.LLTokenizer) -> Compiled:
            whole = schema if isinstance(schema, Mapping) else {} if schema else {"not": {}}
            text = compact({**whole, "x-guidance": {**options, "lenient": True} if lenient else options})
            matcher = llguidance.LLMatcher(tokenizer, f"start: %json {text}", log_level=0)
            if matcher.is_error():
                raise SchemaError(matcher.get_error())
            return Compiled(matcher, schema)

        return compile

    def mask(schema: JSON, tokenizer: llguidance.LLTokenizer) -> Compiled:
        found, matcher = compiled(schema, tokenizer)
        return Compiled(matcher, found.schema, guided=found)

    def checked(schema: JSON, tokenizer: llguidance.LLTokenizer) -> Compiled:
        found, validator = mask(schema, tokenizer), part_validator(schema, schema)
        if validator is None:
            raise SchemaError("no validator can be made of the schema")
        return replace(found, check=validator.is_valid)

    return [
        Engine("schematune-mask", mask),
        Engine("schematune", checked),
        Engine("llguidance", alone(False)),
        Engine("llguidance-lenient", alone(True)),
    ]


def audit(cases: Sequence[Case], engine: Engine, tokenizer: Any, *, masks: bool = True, quiet: bool = True) -> Audit:
    """Put every instance of every case to an engine; `tokenizer` is a Hugging Face one."""
    found = Audit()
    known = llguidance.hf.from_tokenizer(tokenizer)
    for number, case in enumerate(tqdm(cases, desc=engine.name, unit="schema", disable=quiet)):
        begun = time.perf_counter()
        try:
            taken = engine.compile(case.schema, known)
        except (SchematuneError, ValueError):
            found.wrong.append(number)
            continue
        found.compile_ms.append((time.perf_counter() - begun) * 1000)
        found.counts["compiled"] += 1
        if taken.guided is not None:
            found.keywords.update(taken.guided.account(case.schema).values())
        _judge(case, taken, tokenizer, found, number)
        if masks:
            found.mask_us += _mask_times(case, taken.matcher, tokenizer)
    return found


def _judge(case: Case, compiled: Compiled, tokenizer: Any, found: Audit, number: int) -> None:
    """Count whether all verdicts on the instances of one case are right, with their own key order and the schema's."""
    document = Document(compiled.schema)
    unsound = strict = strict_ordered = False
    for value, valid in case.tests:
        taken = _takes(value, compiled, tokenizer)
        excused = taken or _takes(_in_order(value, document), compiled, tokenizer)
        unsound |= not valid and excused
        strict |= valid and not taken
        strict_ordered |= valid and not excused
    found.counts["unsound"] += unsound
    found.counts["overstrict"] += strict
    found.counts["overstrict_ordered"] += strict_ordered
    found.counts["right"] += not (unsound or strict)
    found.counts["right_ordered"] += not (unsound or strict_ordered)
    if unsound or strict_ordered:
        found.wrong.append(number)


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


def _mask_times(case: Case, matcher: Any, tokenizer: Any) -> list[float]:
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


def read_maskbench(path: Path) -> list[Case]:
    """Read schemas with tests; raises `ExampleError`."""
    try:
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
        found = [Case(row["schema"], [(test["data"], test["valid"]) for test in row["tests"]]) for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        fix = 'JSON Lines of {"schema": ..., "tests": [{"data": ..., "valid": ...}]}'
        raise ExampleError(f"no schemas can be read: {error!r}", where=str(path), fix=fix) from error
    return [case for case in found if case.tests]


def read_suite(path: Path, drafts: Sequence[str]) -> list[Case]:
    """Read the groups of the official suite, optional parts aside; raises `ExampleError`."""
    files = [file for draft in drafts for file in sorted((path / "tests" / draft).glob("*.json"))]
    if not files:
        raise ExampleError("no test suite stands here", where=str(path), fix="give the folder that holds tests/")
    found = []
    for file in files:
        for group in json.loads(file.read_text("utf-8")):
            schema = group["schema"]
            if isinstance(schema, dict):
                schema = {"$schema": _DIALECTS.get(file.parent.name, _DIALECTS["draft2020-12"]), **schema}
            found.append(Case(schema, [(test["data"], test["valid"]) for test in group["tests"]]))
    return found


def figures(found: Audit, cases: int) -> dict[str, JSON]:
    """Return one engine's figures: shares of the cases, times, and what became of the keywords."""
    counts = ("compiled", "right", "right_ordered", "unsound", "overstrict", "overstrict_ordered")
    shares: dict[str, JSON] = {name: round(found.counts[name] / max(1, cases), 4) for name in counts}
    for name, times, points in (("compile_ms", found.compile_ms, (50, 95)), ("mask_us", found.mask_us, (50, 99))):
        shares |= {f"{name}_p{p}": round(float(np.percentile(times, p)), 2) if times else None for p in points}
    return shares | ({"keywords": dict(found.keywords)} if found.keywords else {})


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark from the command line and return the exit status."""
    options = _parser().parse_args(argv)
    try:
        cases = read_suite(options.suite, options.drafts) if options.suite else read_maskbench(options.schemas)
        cases = cases[: options.limit]
        tokenizer = _tokenizer(options.tokenizer)
    except (SchematuneError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    report: dict[str, JSON] = {}
    for engine in _wanted(options.engines):
        found = audit(cases, engine, tokenizer, masks=not options.no_masks, quiet=options.quiet)
        report[engine.name] = figures(found, len(cases))
        print(f"{engine.name}: {report[engine.name]}", file=sys.stderr, flush=True)
    print(json.dumps({"benchmark": "engines", "schemas": len(cases), "engines": report}), flush=True)
    return 0


def _wanted(names: Sequence[str] | None) -> Iterator[Engine]:
    return (engine for engine in engines() if names is None or engine.name in names)


def _tokenizer(name: str) -> Any:
    from transformers import AutoTokenizer

    from schematune.decoding.base import BUILTIN

    folder = str(BUILTIN) if name == "builtin" else name
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, model_max_length=10**9)
    except (OSError, ValueError) as error:
        raise ModelError(f"no tokenizer: {error}", where=name, fix="a local folder, or builtin") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m schematune.benchmarks.engines", description=(__doc__ or "").split("\n")[0]
    )
    add: Any = parser.add_argument
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--schemas", type=Path, metavar="FILE", help='JSON Lines of {"schema", "tests"}: MaskBench')
    source.add_argument("--suite", type=Path, metavar="DIR", help="the official JSON Schema test suite")
    add("--drafts", nargs="+", default=DRAFTS, metavar="DRAFT", help=f"of the suite ({' '.join(DRAFTS)})")
    add("--engines", nargs="+", metavar="NAME", help="some engines only")
    add("--tokenizer", default="builtin", help="builtin, or a local folder (builtin)")
    add("--limit", type=int, metavar="N", help="take the first N schemas only")
    add("--no-masks", action="store_true", help="do not time masks")
    add("--quiet", action="store_true", help="no progress bars")
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""Can a valid value be drawn for any schema? `python -m schematune.benchmarks.sampling --schemas FILE`.

Reads schemas with instances that are marked valid or invalid, one JSON object a line (`schema`, `tests`), and draws
values for those that have a valid one, and so can be met. The reference implementation, jsonschema, judges the
values with formats on; it takes no part in drawing them. Prints what failed on stderr and, as the last line of
stdout, one JSON object: the shares of schemas sampled, of values valid, of optional members seen both present and
absent, of branches taken, of near misses that are invalid for the reason they name; and instances per second.
"""

import argparse
import copy
import json
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import jsonschema
from tqdm import tqdm

from schematune.schemas.errors import ExampleError, SchematuneError
from schematune.schemas.jsontext import JSON, compact
from schematune.schemas.nearmiss import BROKEN, NearMiss, near_misses
from schematune.schemas.normal import Document
from schematune.schemas.validate import check_schema, part_validator
from schematune.schemas.values import Sampler

__all__ = ["Sampled", "judge_of", "main", "sample"]

_MISSES = 40
_DEEPEST = 4


@dataclass
class Sampled:
    """What came of one schema: the values, and counts of (right, all) things."""

    values: list[JSON] = field(default_factory=list)
    error: str = ""
    milliseconds: float = 0.0
    valid: int = 0
    members: tuple[int, int] = (0, 0)
    branches: tuple[int, int] = (0, 0)
    misses: tuple[int, int] = (0, 0)


def sample(schema: JSON, many: int, *, seed: int = 0) -> Sampled:
    """Draw `many` values for a schema and judge them; never raises for what is wrong with the schema.

    >>> sampled = sample({"type": "object", "properties": {"n": {"type": "integer"}}}, 10)
    >>> sampled.valid, sampled.members
    (10, (1, 1))
    """
    found = Sampled()
    begun = time.perf_counter()
    try:
        check_schema(schema)
        begun = time.perf_counter()
        sampler = Sampler(random.Random(seed), root=schema, cover=True)
        found.values = [sampler.value(schema) for _ in range(many)]
    except SchematuneError as error:
        found.error = str(error)
    found.milliseconds = (time.perf_counter() - begun) * 1000
    if found.error:
        return found
    judge = judge_of(schema)
    found.valid = sum(not list(islice(judge.iter_errors(value), 1)) for value in found.values)
    document = Document(schema)
    found.members = _members(document, schema, found.values)
    seen = Counter(taken for _, taken in _branches(document, schema, found.values, 0))
    found.branches = seen[True], seen.total()
    found.misses = _near(judge, schema, found.values[:2])
    return found


def judge_of(schema: JSON) -> Any:
    """Return the reference validator of a schema, with formats on."""
    kind: Any = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    formats = copy.copy(kind.FORMAT_CHECKER)
    formats.checkers = {**formats.checkers, "date-time": (_is_moment, ValueError)}  # it leaves this one to extras
    return kind(schema, format_checker=formats)


def _is_moment(value: JSON) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


def _members(document: Document, schema: JSON, values: Sequence[JSON]) -> tuple[int, int]:
    """Count the optional members of the whole that were seen both present and absent, and all of them."""
    normal = document.normal(schema)
    objects = [value for value in values if isinstance(value, dict)]
    optional = [
        name
        for name, part in normal.get("properties", {}).items()
        if name not in normal.get("required", ()) and part is not False
    ]
    both = [name for name in optional if len({name in value for value in objects}) == 2]
    return len(both), len(optional)


def _branches(document: Document, schema: JSON, values: Sequence[JSON], depth: int) -> Iterator[tuple[str, bool]]:
    """Yield each branch that stands where `values` pass, and whether one of them fits it."""
    normal = document.normal(schema)
    for key in ("anyOf", "oneOf"):
        for place, branch in enumerate(normal.get(key, ())):
            validator = part_validator(branch, document.root)
            if validator is not None and values:
                yield f"{key}/{place}", any(validator.is_valid(value) for value in values)
    if depth >= _DEEPEST:
        return
    for name, part in normal.get("properties", {}).items():
        yield from _branches(document, part, [v[name] for v in values if isinstance(v, dict) and name in v], depth + 1)
    if isinstance(normal.get("items"), dict):
        items = [item for value in values if isinstance(value, list) for item in value]
        yield from _branches(document, normal["items"], items, depth + 1)


def _near(judge: Any, schema: JSON, values: Sequence[JSON]) -> tuple[int, int]:
    """Count the near misses that the judge finds invalid for the reason they name and no other, and all of them."""
    right = made = 0
    for value in values:
        for miss in islice(near_misses(schema, value), _MISSES):
            errors = list(judge.iter_errors(miss.value))
            if miss.keyword == "format" and not errors and not _judged(judge, miss):
                continue
            made += 1
            right += bool(errors) and all(error.validator == miss.keyword for error in errors)
    return right, made


def _judged(judge: Any, miss: NearMiss) -> bool:
    """Tell whether the judge knows the format that a near miss breaks: without extras it knows few."""
    text = miss.value
    for part in miss.path:
        text = text[part]
    return any(BROKEN[form] == text for form in judge.format_checker.checkers if form in BROKEN)


def _schemas(path: Path, limit: int | None) -> list[JSON]:
    """Read the schemas that have a valid instance."""
    try:
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
        found = [row["schema"] for row in rows if any(test["valid"] for test in row["tests"])]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ExampleError(
            f"no schemas can be read: {error!r}", where=str(path), fix='JSON Lines of {"schema": ..., "tests": [...]}'
        ) from error
    return found[:limit]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark from the command line and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m schematune.benchmarks.sampling", description=(__doc__ or "").split("\n")[0]
    )
    add = parser.add_argument
    add("--schemas", type=Path, required=True, metavar="FILE", help='JSON Lines of {"schema", "tests"}: MaskBench')
    add("--values", type=int, default=50, metavar="N", help="values drawn for each schema (50)")
    add("--limit", type=int, metavar="N", help="take the first N schemas only")
    add("--seed", type=int, default=0)
    add("--quiet", action="store_true", help="no progress bar")
    options = parser.parse_args(argv)
    try:
        schemas = _schemas(options.schemas, options.limit)
    except SchematuneError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    found = []
    for schema in tqdm(schemas, unit="schema", desc="sample", disable=options.quiet):
        found.append(sample(schema, options.values, seed=options.seed))
        if found[-1].error or found[-1].valid < len(found[-1].values):
            print(found[-1].error[:300] or f"invalid: {compact(schema)[:300]}", file=sys.stderr)
    print(json.dumps(figures(found)), flush=True)
    return 0


def figures(found: Sequence[Sampled]) -> dict[str, JSON]:
    """Return the figures as one JSON object; shares are between 0 and 1."""
    sampled = [one for one in found if not one.error]
    each = sorted(one.milliseconds / len(one.values) for one in sampled if one.values)
    distinct = [len(set(map(compact, one.values))) / len(one.values) for one in sampled if one.values]
    return {
        "benchmark": "sampling",
        "schemas": len(found),
        "sampled": _share(len(sampled), len(found)),
        "valid": _share(sum(one.valid for one in sampled), sum(len(one.values) for one in sampled)),
        "schemas_all_valid": _share(sum(one.valid == len(one.values) for one in sampled), len(found)),
        "instances_per_s": round(1000 / statistics.median(each), 1) if each else None,
        "ms_per_instance_p95": round(each[int(0.95 * (len(each) - 1))], 3) if each else None,
        "ms_per_instance_worst": round(each[-1], 3) if each else None,
        "distinct": round(statistics.mean(distinct), 4) if distinct else None,
        "members_covered": _share(*map(sum, zip(*(one.members for one in sampled), strict=True))),
        "branches_covered": _share(*map(sum, zip(*(one.branches for one in sampled), strict=True))),
        "near_misses": sum(one.misses[1] for one in sampled),
        "near_misses_right": _share(*map(sum, zip(*(one.misses for one in sampled), strict=True))),
    }


def _share(right: int = 0, of: int = 0) -> float | None:
    return round(right / of, 6) if of else None


if __name__ == "__main__":
    sys.exit(main())

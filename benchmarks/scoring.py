"""Scoring: what one answer is worth, and what many are.

`exact` compares the calls as a multiset: numbers by value (1 is 1.0, but true is not 1), strings with their
case, an omitted argument equal to its schema's default; a case that lists what it accepts is scored by
BFCL's rule instead (`schematune.benchmarks.bfcl`). `tool` asks for the right tools only. `valid` means that
the output parses and fits the schema, `malformed` that it does not parse: an outcome of its own, never an
abstention. Nothing that failed leaves a denominator. Shares carry Wilson intervals, paired differences a
bootstrap's, all at 95 %.
"""

import math
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from schematune.benchmarks.bfcl import bfcl_exact
from schematune.benchmarks.cases import Case
from schematune.schemas.call import ASK, NO_TOOL, Answer, Call, Status
from schematune.schemas.errors import DecodeError, InvalidOutputError, TruncatedError
from schematune.schemas.jsontext import JSON
from schematune.schemas.tool import ToolSet

__all__ = ["Score", "aggregate", "exact", "paired_difference", "percentiles", "score", "wilson"]

Kind = Literal["call", "no_tool", "ask"]
"""What the right answer to a case is."""

RESAMPLES = 2000
_Z = 1.959963984540054


@dataclass(frozen=True)
class Score:
    """What came of one case under one arm.

    `kind` is what was wanted, `status` what came. `latency_ms` is wall time, failures included; `calls` and
    `error` are kept to be shown.
    """

    id: str
    kind: Kind
    status: Status
    exact: bool
    tool: bool
    valid: bool
    malformed: bool
    truncated: bool = False
    prompt_tokens: int = 0
    completion_tokens: int = 0
    forward_passes: int = 0
    latency_ms: float = 0.0
    calls: tuple[Call, ...] = ()
    error: str = ""


def score(
    case: Case,
    answer: Answer,
    *,
    latency_ms: float | None = None,
    parse: Callable[[str], Any] | None = None,
) -> Score:
    """Score `answer` against `case`.

    `latency_ms` is the time measured around the call (the answer's own where it is None); `parse` reads a
    completion as the base's form writes it, and tells a malformed output from an invalid one.
    """
    calls, gold, usage = answer.outcome(), case.pair.calls, answer.usage
    return Score(
        id=case.id,
        kind=_kind(gold),
        status=answer.status,
        exact=bfcl_exact(calls, case.accept, case.tools) if case.accept else exact(calls, gold, case.tools),
        tool=_names(calls) == (_accepted_names(case) if case.accept else _names(gold)),
        valid=answer.status != "error" and not any(case.tools.violations(call) for call in calls),
        malformed=_malformed(answer, parse),
        truncated=isinstance(answer.error, TruncatedError),
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        forward_passes=usage.forward_passes,
        latency_ms=usage.latency_ms if latency_ms is None else latency_ms,
        calls=calls,
        error=str(answer.error) if answer.error else "",
    )


def exact(calls: Sequence[Call], gold: Sequence[Call], tools: ToolSet) -> bool:
    """Tell whether `calls` are `gold`, in any order.

    >>> tools = ToolSet({"name": "f", "parameters": {"properties": {"n": {"type": "number", "default": 1}}}})
    >>> exact([Call("f", {})], [Call("f", {"n": 1.0})], tools), exact([Call("f")], [Call("f", {"n": True})], tools)
    (True, False)
    """
    return Counter(_key(call, tools) for call in calls) == Counter(_key(call, tools) for call in gold)


def wilson(right: int, of: int) -> tuple[float, float]:
    """Return the 95 % Wilson interval of a share.

    >>> tuple(round(bound, 3) for bound in wilson(8, 10))
    (0.49, 0.943)
    """
    if of == 0:
        return 0.0, 1.0
    share, square = right / of, _Z * _Z
    centre = (share + square / (2 * of)) / (1 + square / of)
    half = _Z / (1 + square / of) * math.sqrt(share * (1 - share) / of + square / (4 * of * of))
    low = 0.0 if right == 0 else max(0.0, centre - half)  # rounding would leave 1e-17 and 1 - 1e-16
    return low, 1.0 if right == of else min(1.0, centre + half)


def paired_difference(first: Sequence[float], second: Sequence[float], *, seed: int = 0) -> dict[str, float]:
    """Return the mean of `first - second`, case by case, with its 95 % percentile bootstrap interval.

    >>> paired_difference([1, 1, 1], [0, 0, 0])
    {'difference': 1.0, 'low': 1.0, 'high': 1.0}
    """
    if len(first) != len(second) or not first:
        raise ValueError(f"paired cases are needed, not {len(first)} and {len(second)}")
    differences = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    random, size = np.random.default_rng(seed), len(differences)
    means = [differences[random.integers(size, size=size)].mean() for _ in range(RESAMPLES)]
    low, high = np.percentile(means, [2.5, 97.5])
    return {"difference": float(differences.mean()), "low": float(low), "high": float(high)}


def percentiles(milliseconds: Sequence[float]) -> dict[str, float] | None:
    """Return the median, the 95th percentile and the mean, or None where nothing was measured."""
    if not milliseconds:
        return None
    p50, p95 = np.percentile(milliseconds, [50, 95])
    return {"p50": float(p50), "p95": float(p95), "mean": float(np.mean(milliseconds))}


def aggregate(scores: Sequence[Score], *, cached_ms: Sequence[float] = ()) -> dict[str, JSON]:
    """Return the figures of one arm: shares of all its cases between 0 and 1, each with its interval.

    `no_tool_right` is a share of the cases that no tool serves, `no_tool_wrong` (a false abstention) and
    `ask_wrong` of those that should not be answered so, `ask_right` of those that lack an argument; None
    where there is no such case.
    """
    found: dict[str, JSON] = {"cases": len(scores)}
    for name in ("exact", "tool", "valid", "malformed"):
        right = sum(getattr(item, name) for item in scores)
        found[name] = right / len(scores) if scores else 0.0
        found[f"{name}_ci"] = list(wilson(right, len(scores)))
    found["errors"] = _share([item.status == "error" for item in scores])
    found["truncated"] = _share([item.truncated for item in scores])
    for kind in (NO_TOOL, ASK):
        found[f"{kind}_cases"] = sum(item.kind == kind for item in scores)
        found[f"{kind}_right"] = _share([item.exact for item in scores if item.kind == kind])
        found[f"{kind}_wrong"] = _share([item.status == kind for item in scores if item.kind != kind])
    for name in ("prompt_tokens", "completion_tokens", "forward_passes"):
        found[name] = float(np.mean([getattr(item, name) for item in scores])) if scores else 0.0
    found["latency_ms"] = percentiles([item.latency_ms for item in scores])
    found["latency_ms_cached"] = percentiles(cached_ms)
    return found


def _share(marks: Sequence[bool]) -> float | None:
    return sum(marks) / len(marks) if marks else None


def _kind(gold: Sequence[Call]) -> Kind:
    return {NO_TOOL: "no_tool", ASK: "ask"}.get(gold[0].name, "call")  # type: ignore[return-value]


def _malformed(answer: Answer, parse: Callable[[str], Any] | None) -> bool:
    """Tell whether there was an output and it does not parse; a prompt too long to try has no output."""
    if not isinstance(answer.error, InvalidOutputError | TruncatedError):
        return False
    if parse is None:
        return isinstance(answer.error, TruncatedError) or "does not parse" in answer.error.what
    try:
        parse(answer.error.text)
    except DecodeError:
        return True
    return False


def _names(calls: Sequence[Call]) -> Counter[Hashable]:
    return Counter((call.name, str(call.arguments.get("tool"))) if call.name == ASK else call.name for call in calls)


def _accepted_names(case: Case) -> Counter[Hashable]:
    return Counter(name for expected in case.accept for name in expected)


def _key(call: Call, tools: ToolSet) -> Hashable:
    """Return what makes two calls equal; the order in which missing arguments are named does not count."""
    arguments: JSON = dict(call.arguments)
    if call.name == ASK and isinstance(arguments.get("missing"), list):
        return ASK, _canonical(arguments.get("tool")), frozenset(map(_canonical, arguments["missing"]))
    if call.name in tools.names:
        arguments = _with_defaults(tools[call.name].parameters, arguments, tools[call.name].parameters)
    return call.name, _canonical(arguments)


def _canonical(value: JSON) -> Hashable:
    """Return a hashable that is equal for equal JSON values: Python would take true for 1."""
    if isinstance(value, Mapping):
        return "object", frozenset((key, _canonical(item)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return "array", tuple(map(_canonical, value))
    kind = "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__
    return kind, value


def _with_defaults(schema: JSON, value: JSON, root: Mapping[str, JSON]) -> JSON:
    """Return `value` with what it omits filled in from the schema's defaults, in nested objects too."""
    schema = _resolved(schema, root)
    if isinstance(value, Mapping):
        properties = schema.get("properties", {})
        filled = {
            key: item["default"]
            for key, item in properties.items()
            if key not in value and isinstance(item, Mapping) and "default" in item
        }
        return filled | {key: _with_defaults(properties.get(key, {}), item, root) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_defaults(schema.get("items", {}), item, root) for item in value]
    return value


def _resolved(schema: JSON, root: Mapping[str, JSON]) -> Mapping[str, JSON]:
    """Follow local references and the one branch besides null; what stays unclear has no defaults."""
    for _ in range(8):
        if not isinstance(schema, Mapping):
            return {}
        reference = schema.get("$ref")
        branches = [
            branch
            for key in ("anyOf", "oneOf", "allOf")
            for branch in schema.get(key, ())
            if isinstance(branch, Mapping) and branch.get("type") != "null"
        ]
        if isinstance(reference, str) and reference.startswith("#/"):
            schema = root
            for part in reference[2:].split("/"):
                schema = schema.get(part.replace("~1", "/").replace("~0", "~"), {})
        elif len(branches) == 1 and "properties" not in schema:
            schema = branches[0]
        else:
            return schema
    return {}

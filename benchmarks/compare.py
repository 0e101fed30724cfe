"""Comparing an adapter with long prompts on the same base, on requests set apart.

`compare` takes a caller and the pairs to score on, runs the arms, and writes the report. `evaluate` is what
it, `python -m schematune.benchmarks.calls` and the demo have in common.
"""

import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from schematune.benchmarks.arms import CACHED_SAMPLE, NEAREST, Arm, Bench, pick_arms, run_arms
from schematune.benchmarks.cases import Case, cases_of, decontaminate
from schematune.benchmarks.report import Report, make_report
from schematune.schemas.errors import ExampleError
from schematune.schemas.pair import Pair

if TYPE_CHECKING:
    from schematune.decoding.caller import Caller

__all__ = ["Report", "compare", "default_arms", "evaluate", "tuning_seconds"]


def compare(
    caller: "Caller",
    pairs: Iterable[Pair],
    *,
    arms: Sequence[str] | None = None,
    examples: Iterable[Pair] = (),
    out: str | Path | None = "report.html",
    nearest: int = NEAREST,
    cached: int = CACHED_SAMPLE,
    max_new_tokens: int = 256,
    seed: int = 0,
    progress: bool = True,
) -> Report:
    """Score `caller`'s adapter against long prompts on the same base, and write the report to `out`.

    `pairs` are the requests to score on; none of them may have been trained on. `arms` are names out of
    `schematune.benchmarks.arms.ARMS`, by default all that can be run: the tuned ones where the caller has an
    adapter, the shots ones where there are `examples` to show (the `nearest` ones to each request; those that
    stand in the test are left out). `cached` requests time the long arms with their prefix cached as well;
    0 skips that. `out` is None for no file.

    Raises `ExampleError` for an arm that lacks what it needs and for no pair at all.
    """
    test = list(pairs)
    if not test:
        raise ExampleError("no pair to score on", where="compare(pairs)", fix="set some apart: pairs.test, pairs.dev")
    shots, dropped = decontaminate(examples, test)
    base = caller.base if caller.adapter is None else caller.base.name  # a tuned caller's model is tuned itself
    bench = Bench(base, caller.adapter, shots=shots, nearest=nearest, max_new_tokens=max_new_tokens)
    chosen = pick_arms(arms or default_arms(tuned=caller.adapter is not None, shots=bool(shots)))
    return evaluate(
        cases_of(test, caller.tools),
        chosen,
        bench,
        tuning_s=tuning_seconds(bench),
        counts={"decontaminated": dropped},
        out=out,
        cached=cached,
        seed=seed,
        progress=progress,
    )


def default_arms(*, tuned: bool, shots: bool) -> list[str]:
    """Return the arms that can be run, given whether there is an adapter and whether there are examples.

    >>> default_arms(tuned=True, shots=False)
    ['long', 'long+grammar', 'tuned', 'tuned+grammar']
    """
    return ["long", "long+grammar", *["long+shots"] * shots, *["tuned", "tuned+grammar"] * tuned]


def evaluate(
    cases: Sequence[Case],
    arms: Sequence[Arm],
    bench: Bench,
    *,
    tuning_s: float | None = None,
    facts: Mapping[str, str] | None = None,
    counts: Mapping[str, int] | None = None,
    out: str | Path | None = None,
    cached: int = CACHED_SAMPLE,
    seed: int = 0,
    progress: bool = True,
    title: str = "schematune benchmark",
) -> Report:
    """Run the arms, make the report, and write it to `out` where that is given.

    `facts` are shown on top of those that every report has, `counts` are put into its JSON.
    """
    runs = run_arms(cases, arms, bench, cached=cached, seed=seed, progress=progress)
    report = make_report(
        runs,
        cases,
        tuning_s=tuning_s,
        facts={**_facts(cases, bench), **(facts or {}), **_machine(bench)},
        counts=counts,
        seed=seed,
        title=title,
    )
    if out is not None:
        report.save(out)
    return report


def tuning_seconds(bench: Bench) -> float | None:
    """Return what the tuning took, as the adapter's contract has it; None where it does not say."""
    from schematune.decoding.adapter import Adapter

    if bench.adapter is None:
        return None
    if not isinstance(bench.adapter, Adapter):
        bench.adapter = Adapter.load(bench.adapter)
    metrics = bench.adapter.contract.metrics
    found = [metrics[name] for name in ("proof_seconds", "tuning_seconds") if name in metrics]
    return float(sum(found)) if found else None


def _facts(cases: Sequence[Case], bench: Bench) -> dict[str, str]:
    base = bench.loaded()
    sets = {case.tools.fingerprint: len(case.tools) for case in cases}
    tools = f"{next(iter(sets.values()))}" if len(sets) == 1 else f"{len(sets)} sets, brought by the cases"
    sources = sorted({case.pair.source for case in cases if case.pair.source})
    origin = f", from {sources[0]}" if len(sources) == 1 else ""
    return {
        "base": f"{base.name}, {base.model.num_parameters() / 1e6:,.1f} M parameters",
        "tools": tools,
        "requests": f"{len(cases)}{origin}",
    }


def _machine(bench: Bench) -> dict[str, str]:
    import torch

    device = bench.loaded().model.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{platform.machine()} CPU"
    threads = f", {torch.get_num_threads()} of {os.cpu_count()} threads" if device.type == "cpu" else ""
    return {"machine": name + threads, "date": date.today().isoformat()}

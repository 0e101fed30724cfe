"""The demo: the whole idea on a realistic tool set and requests written by hand, offline, on a CPU.

Tools become pairs, the pairs tune the built-in base, the adapter answers short prompts behind a grammar, and
a report compares that with long prompts. The test requests were written before any template for them existed,
and that none of them is trained on is checked here. Everything lands in one folder; a second run makes it all
anew.
"""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schematune.benchmarks.arms import CACHED_SAMPLE, Bench, pick_arms
from schematune.benchmarks.cases import Case, decontaminate, read_cases
from schematune.benchmarks.compare import evaluate
from schematune.benchmarks.report import Report, summary
from schematune.schemas.errors import SchematuneError
from schematune.schemas.pair import Pairs, read_examples
from schematune.schemas.tool import ToolSet

__all__ = ["main", "run_demo"]

PAIRS = 3000
"""Pairs to tune on, the hand-written examples among them."""

EPOCHS = 2.5
"""Passes over the pairs."""

BATCH = 16
"""Pairs in a step: few pairs teach more in many small steps."""

ARMS = ("long", "long+grammar", "long+shots", "tuned", "tuned+grammar")

MAX_NEW_TOKENS = 160
"""Twice the longest right answer: an arm that rambles is cut off, and counts as wrong."""

DATA = Path(__file__).parent / "demo"


def run_demo(
    out: str | Path = "demo-out",
    *,
    pairs: int = PAIRS,
    epochs: float = EPOCHS,
    base: str = "builtin",
    limit: int | None = None,
    cached: int = CACHED_SAMPLE,
    seed: int = 0,
    progress: bool = True,
) -> Report:
    """Run the demo into the folder `out`: `pairs.jsonl`, `adapter/`, `report.html`.

    Says on stderr what it does and how long that takes, and prints one JSON object last. `limit` scores only
    the first requests, to try things out; `cached` of them time the long arms with their prefix cached.
    Raises `SchematuneError`.
    """
    begun, folder = time.perf_counter(), Path(out)
    tools, examples, cases = _load()
    cases = cases[:limit]
    _say(f"schematune demo: {len(tools)} tools, {len(examples)} examples, {len(cases)} test requests, written by hand")
    with _stage("1/4  synthesise pairs from the tools and the examples") as said:
        made = _synthesise(tools, examples, cases, pairs, seed)
        made.save(folder / "pairs.jsonl")
        said.append(
            f"{len(made)} pairs pass every check, {made.rejected.total()} rejected; no test request is among them"
        )
    with _stage(f"2/4  tune a LoRA adapter on the base {base}") as said:
        from schematune.trainer.tune import tune

        started = time.perf_counter()
        adapter = tune(
            tools,
            made,
            base=base,
            out=folder / "adapter",
            epochs=epochs,
            batch_size=BATCH,
            seed=seed,
            progress=progress,
        )
        tuning_s = time.perf_counter() - started
        said.append(f"the adapter and its contract are in {adapter.path}")
    with _stage(f"3/4  answer the {len(cases)} test requests by {len(ARMS)} arms") as said:
        report = evaluate(
            cases,
            pick_arms(ARMS),
            Bench(base, adapter, shots=examples, max_new_tokens=MAX_NEW_TOKENS),
            tuning_s=tuning_s,
            facts={"tuned on": f"{len(made):,} pairs, {len(examples)} of them written by hand"},
            counts={"pairs": len(made), "examples": len(examples)},
            cached=cached,
            seed=seed,
            progress=progress,
            title="schematune demo",
        )
        said.append(f"{len(cases) * len(ARMS)} answers scored")
    with _stage("4/4  write the report") as said:
        said.append(f"open {report.save(folder / 'report.html')} in a browser")
    _say(f"\n{summary(report)}\n\nall in {time.perf_counter() - begun:.0f} s")
    print(json.dumps(report.json(), ensure_ascii=False), flush=True)
    return report


def _load() -> tuple[ToolSet, Pairs, list[Case]]:
    """Load the tools, the examples and the test set, and check that no request stands in both."""
    tools = ToolSet(str(DATA / "tools.json"))
    examples = read_examples(DATA / "examples.jsonl", tools)
    cases = read_cases(DATA / "test.jsonl", tools)
    decontaminate(examples, [case.pair for case in cases], strict=True)
    return tools, examples, cases


def _synthesise(tools: ToolSet, examples: Pairs, cases: list[Case], n: int, seed: int) -> Pairs:
    """Make the pairs to tune on; the test requests may not come out, and that they did not is checked."""
    from schematune.schemas.synthesize import synthesize

    test = [case.pair for case in cases]
    made = synthesize(tools, n, examples=examples, seed=seed, avoid=test, dev=0.02, test=0.0, progress=True)
    return decontaminate(made, test, strict=True)[0]


@contextmanager
def _stage(title: str) -> Iterator[list[str]]:
    """Say what begins, then how long it took and what came of it."""
    _say(f"\n{title}")
    begun, said = time.perf_counter(), list[str]()
    yield said
    _say(f"     {time.perf_counter() - begun:.1f} s: {'; '.join(said)}")


def main() -> int:
    """Run the demo with its defaults and return the exit status."""
    try:
        run_demo()
    except SchematuneError as error:
        _say(f"error: {error}")
        return 1
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

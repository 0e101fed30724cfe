"""Does anything crash? `python -m schematune.benchmarks.fuzzing --count 100000`.

Random schemas, schemas made worse (of `--schemas FILE`, JSON Lines with `schema` and `tests`, or made up), and bytes that
are no JSON go into compiling, checking and stepping through the grammar; patterns and Lark grammars too. Each case ends
in a result or in a typed error of schematune. All else is a failure: another exception, a process that dies, a call over
its bound of time or memory. Cases run in processes of their own, so that these are seen and counted.

A case is known by the seed and its number: `--only N` runs one again, here, and shows its error. Prints progress and
failures on stderr and one JSON object last.
"""

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import llguidance
from tqdm import tqdm

from schematune.benchmarks.mutations import made_up, mutated, scrambled
from schematune.benchmarks.suites import read_maskbench
from schematune.benchmarks.vocabularies import tokenizer_named
from schematune.benchmarks.workers import Worker
from schematune.decoding.engines import LLGuidance
from schematune.schemas.errors import SchematuneError
from schematune.schemas.jsontext import JSON, strict_loads
from schematune.schemas.validate import check_schema, validator

__all__ = ["Fuzzer", "main"]

SECONDS = 10.0
"""What one case may take, on one core."""

MEGABYTES = 1500
"""What a process may take beyond what it begins with, over the hundreds of cases that it serves."""

_STEPS = 40
_RULES = (
    'start: "a" b',
    "b: /[a-z]+/ | start",
    "start: %json {}",
    'X: "x"+',
    "start: X{1,900000}",
    "%ignore / /",
    "start: start",
)


@dataclass
class Fuzzer:
    """Makes case after case, and puts each through everything that takes schemas, text or tokens."""

    engine: LLGuidance
    schemas: Sequence[JSON] = ()
    values: Sequence[JSON] = (1, "a", None, [1, [2]], {"a": {"b": 1}}, 1e400, {"x": ["y", 2.5]})
    seed: int = 0

    def __call__(self, number: int) -> dict[str, Any]:
        """Run a case; returns what kind it was, how it ended and how long it took. Failures raise."""
        rng = random.Random(f"{self.seed}:{number}")
        begun = time.perf_counter()
        kind = rng.choices(("made", "worse", "bytes", "text"), (3, 5, 2, 1))[0]
        try:
            end = getattr(self, f"_{kind}")(rng)
        except SchematuneError:
            end = "refused"
        return {"kind": kind, "end": end, "seconds": time.perf_counter() - begun}

    def _base(self, rng: random.Random) -> JSON:
        return rng.choice(self.schemas) if self.schemas and rng.random() < 0.7 else made_up(rng)

    def _made(self, rng: random.Random) -> str:
        return self._try(made_up(rng, rng.randint(1, 6)), rng)

    def _worse(self, rng: random.Random) -> str:
        return self._try(mutated(self._base(rng), rng), rng)

    def _bytes(self, rng: random.Random) -> str:
        data = scrambled(json.dumps(self._base(rng)), rng)
        try:
            schema = strict_loads(data.decode("utf-8", rng.choice(("strict", "replace", "surrogateescape"))))
        except ValueError:
            return "no JSON"
        return self._try(schema, rng)

    def _text(self, rng: random.Random) -> str:
        """Compile a pattern or a grammar."""
        if rng.random() < 0.5:
            found = mutated({"pattern": "a"}, rng)
            pattern = found["pattern"] if isinstance(found, dict) and isinstance(found.get("pattern"), str) else "(a|b"
            matcher = self.engine.regex(scrambled(pattern, rng).decode("utf-8", "replace"))
        else:
            rules = "\n".join(rng.choices(_RULES, k=rng.randint(1, 4)))
            matcher = self.engine.lark(scrambled(rules, rng).decode("utf-8", "replace"))
        self._step(matcher, rng)
        return "compiled"

    def _try(self, schema: JSON, rng: random.Random) -> str:
        """Check a schema, compile it, check values with it, and walk through its grammar."""
        values = [rng.choice(self.values), mutated(rng.choice(self.values), rng)]
        errors = 0
        for work in (lambda: check_schema(schema), lambda: [validator(schema).is_valid(value) for value in values]):
            try:
                work()
            except SchematuneError:
                errors += 1
        guided, matcher = self.engine.schema(schema)
        assert guided is not None
        guided.account(schema)
        self._step(matcher, rng)
        return "compiled"

    def _step(self, matcher: Any, rng: random.Random) -> None:
        """Write some tokens that are allowed, and try some that are not."""
        for _ in range(_STEPS):
            if matcher.is_stopped():
                break
            matcher.validate_tokens([rng.randrange(self.engine.tokenizer.vocab_size) for _ in range(3)])
            forced = matcher.compute_ff_tokens()
            bits = int.from_bytes(matcher.compute_bitmask(), "little") if not matcher.is_error() else 0
            if matcher.is_error() or not bits:
                break
            allowed = [n for n in rng.sample(range(bits.bit_length()), min(64, bits.bit_length())) if bits >> n & 1]
            token = forced[0] if forced else allowed[0] if allowed else bits.bit_length() - 1
            if not matcher.consume_token(token):
                break


@dataclass
class _Tally:
    ends: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    first: dict[str, int] = field(default_factory=dict)


def run(fuzzer: Fuzzer, numbers: Sequence[int], *, seconds: float, megabytes: int, quiet: bool) -> dict[str, JSON]:
    """Run cases, and return what came of them."""
    tally, bar = _Tally(), tqdm(numbers, desc="cases", unit="case", disable=quiet)
    with Worker(fuzzer, seconds=seconds, megabytes=megabytes) as worker:
        for number in bar:
            done = worker(number)
            if done.kind == "done":
                tally.ends[f"{done.result['kind']}: {done.result['end']}"] += 1
                tally.seconds.append(done.result["seconds"])
                continue
            name = done.kind if done.kind != "raised" else done.told.split(":")[0]
            tally.failures[name] += 1
            tally.first.setdefault(name, number)
            tqdm.write(f"case {number}: {done.kind}: {done.told[:300]}", file=sys.stderr)
    times = sorted(tally.seconds) or [0.0]
    return {
        "benchmark": "fuzzing",
        "cases": len(numbers),
        "crashes": sum(tally.failures.values()) - tally.failures["timeout"],
        "over_time": tally.failures["timeout"],
        "failures": dict(tally.failures),
        "first": dict(tally.first),
        "ends": dict(sorted(tally.ends.items())),
        "seconds": {"p50": round(times[len(times) // 2], 4), "p99": round(times[len(times) * 99 // 100], 4), "most": round(times[-1], 3)},
        "bounds": {"seconds": seconds, "megabytes": megabytes},
    }  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark from the command line and return the exit status: 0 where nothing failed."""
    options = _parser().parse_args(argv)
    try:
        cases = read_maskbench(options.schemas) if options.schemas else []
        tokenizer = tokenizer_named(options.tokenizer)
        engine = LLGuidance(tokenizer, len(tokenizer), frozenset([tokenizer.eos_token_id]))
    except (SchematuneError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    values = [value for case in cases for value, _ in case.tests[:1]]
    fuzzer = Fuzzer(engine, [case.schema for case in cases], values or Fuzzer.values, options.seed)
    if options.only is not None:
        print(fuzzer(options.only))
        return 0
    numbers = range(options.start, options.start + options.count)
    report = run(fuzzer, numbers, seconds=options.seconds, megabytes=options.megabytes, quiet=options.quiet)
    print(json.dumps(report | {"seed": options.seed, "llguidance": llguidance.__version__}), flush=True)
    return 1 if report["failures"] else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m schematune.benchmarks.fuzzing", description=(__doc__ or "").split("\n")[0]
    )
    add: Any = parser.add_argument
    add("--count", "--limit", type=int, default=10_000, metavar="N", help="cases (10000)")
    add("--start", type=int, default=0, metavar="N", help="the number of the first case (0)")
    add("--only", type=int, metavar="N", help="run this case alone, in this process")
    add("--seed", type=int, default=0, help="what the cases are drawn by (0)")
    add("--schemas", type=Path, metavar="FILE", help='begin with these: JSON Lines of {"schema", "tests"}')
    add("--tokenizer", default="builtin", help="builtin, trained (32k), tekken (131k), or a local folder (builtin)")
    add("--seconds", type=float, default=SECONDS, help=f"the bound of one case ({SECONDS:g})")
    add("--megabytes", type=int, default=MEGABYTES, help=f"the bound of a process ({MEGABYTES})")
    add("--quiet", action="store_true", help="no progress bars")
    return parser


if __name__ == "__main__":
    sys.exit(main())

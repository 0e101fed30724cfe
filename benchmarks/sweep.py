"""Which settings of tuning are best? `python -m schematune.benchmarks.sweep --tools FILE --examples FILE --set ...`.

Holds out a part of the examples, tunes once for each `--set` on the others (and on pairs synthesised from them), and
scores the part held out by the tuned short prompt under the grammar. A set is a list of options of `tune`, and `pairs`
for the number of synthesised ones: `--set learning_rate=0.003 --set learning_rate=0.006,epochs=5,pairs=2000`. What is
chosen here has never seen a test set. Prints one line for each setting, and one JSON object last.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from schematune.benchmarks.cases import cases_of, decontaminate
from schematune.benchmarks.scoring import aggregate, score
from schematune.schemas.errors import ExampleError, SchematuneError
from schematune.schemas.jsontext import JSON
from schematune.schemas.pair import Pairs, read_examples
from schematune.schemas.tool import ToolSet

__all__ = ["main", "read_setting", "try_setting"]

BATCH = 16
"""Requests answered at a time."""

_KEPT = ("exact", "exact_ci", "tool", "valid")


def read_setting(text: str) -> dict[str, JSON]:
    """Read one `--set`; raises `ExampleError`.

    >>> read_setting("learning_rate=3e-3, rank=64,reorder=false")
    {'learning_rate': 0.003, 'rank': 64, 'reorder': False}
    """
    setting: dict[str, JSON] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = part.partition("=")
        if not equals or not name.strip().isidentifier():
            raise ExampleError(f"{part!r} is no option", where="--set", fix="name=value, separated by commas")
        try:
            setting[name.strip()] = json.loads(value)
        except ValueError:
            setting[name.strip()] = value.strip()
    return setting


def try_setting(
    setting: Mapping[str, JSON],
    tools: ToolSet,
    own: Pairs,
    held_out: Pairs,
    *,
    base: str = "builtin",
    device: str = "auto",
    seed: int = 0,
    progress: bool = False,
) -> dict[str, JSON]:
    """Tune with `setting` on `own` and score `held_out`; returns figures, shares between 0 and 1.

    Raises `SchematuneError`, for an option that `tune` does not have as well.
    """
    from schematune.decoding.caller import Caller
    from schematune.schemas.synthesize import synthesize
    from schematune.trainer.tune import tune

    options: dict[str, Any] = {"seed": seed, **setting}
    wanted = options.pop("pairs", 0)
    pairs = own
    if wanted:
        made = synthesize(tools, len(own) + wanted, examples=own, seed=seed, avoid=held_out, dev=0.0, test=0.0)
        pairs, _ = decontaminate(made, held_out)
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        adapter = tune(
            tools, pairs, base=base, out=Path(folder) / "adapter", device=device, evaluate=False, progress=progress, **options
        )  # fmt: skip
        seconds = time.perf_counter() - begun
        caller = Caller(adapter, tools=tools, device=device)
        answers = caller.batch(
            [p.messages for p in held_out],
            contexts=[p.context or None for p in held_out],
            permits=[p.tools for p in held_out],
            size=BATCH,
        )
        scores = [score(case, answer) for case, answer in zip(cases_of(held_out, tools), answers, strict=True)]
    figures = {name: value for name, value in aggregate(scores).items() if name in _KEPT}
    loss = adapter.contract.metrics.get("train_loss")
    return {"set": dict(setting), **figures, "pairs": len(pairs), "tuning_s": round(seconds, 1), "train_loss": loss}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark from the command line and return the exit status."""
    options = _parser().parse_args(argv)
    try:
        tools = ToolSet(str(options.tools))
        own, held_out = _split(read_examples(options.examples, tools), options.held_out, options.fold, options.seed)
        tried = []
        for setting in [read_setting(text) for text in options.set or [""]]:
            given: Any = {"base": options.base, "device": options.device, "seed": options.seed}
            tried.append(try_setting(setting, tools, own, held_out, **given, progress=not options.quiet))
            print(json.dumps(tried[-1]), file=sys.stderr, flush=True)
    except SchematuneError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    best = max(tried, key=lambda one: one["exact"])
    print(
        json.dumps({"benchmark": "sweep", "held_out": len(held_out), "tried": tried, "best": best["set"]}), flush=True
    )
    return 0


def _split(examples: Pairs, many: int, fold: int, seed: int) -> tuple[Pairs, Pairs]:
    """Shuffle the examples and hold out `many` of them, the `fold`-th such part; none of them is among the others."""
    every = list(examples)
    random.Random(seed).shuffle(every)
    held_out = every[fold * many : (fold + 1) * many]
    if not held_out or len(held_out) == len(every):
        raise ExampleError(
            f"{many} of {len(every)} examples cannot be held out (fold {fold})",
            where="--held-out",
            fix="hold out fewer",
        )
    rest, _ = decontaminate(every[: fold * many] + every[(fold + 1) * many :], held_out)
    return rest, Pairs(held_out)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m schematune.benchmarks.sweep", description=(__doc__ or "").split("\n")[0]
    )
    add = parser.add_argument
    add("--tools", type=Path, required=True, metavar="FILE", help="the tools, JSON")
    add("--examples", type=Path, required=True, metavar="FILE", help="examples to tune on and to hold out, JSON Lines")
    add("--held-out", type=int, default=200, metavar="N", help="examples held out (200)")
    add("--fold", type=int, default=0, metavar="K", help="which part of that size is held out (0)")
    add("--set", action="append", metavar="A=1,B=2", help="options of one run, see above; give it several times")
    add("--base", default="builtin", help="builtin, builtin-large, a folder or a hub name")
    add("--device", default="auto", help="auto, cpu or cuda")
    add("--seed", type=int, default=0, help="of the split, the synthesis and the tuning (0)")
    add("--quiet", action="store_true", help="no progress bars")
    return parser


if __name__ == "__main__":
    sys.exit(main())

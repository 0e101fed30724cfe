"""Is decoding behind the mask faster than without? `python -m schematune.benchmarks.speed --cases FILE...`.

Replays the gold calls of cases (BFCL's files, say) through a model, so that every engine writes the same tokens:
`free` is transformers' `generate` without a constraint, `free-loop` the same in schematune's loop, `outlines` its own
llguidance backend through `generate`, `schematune-slow` the mask without fast-forward, `schematune-ff` with it,
`schematune` with what it also reads ahead. Batches hold different cases, each row with the grammar of its own tools
(`mixed`); or copies of one case (`shared`), for which all rows share one grammar, or have one each
(`schematune-own`). Outlines takes one schema for all rows, so it is there at one row and in `shared`. Compiling is not
timed, nor is the kernel that Outlines compiles at its first use (where that fails, torch says so and goes on without); the
end of a turn is a token that `generate` pays for and schematune does not.

Models: `builtin`, the built-in base, and `qwen3`, a model of Qwen3's shape with 98 million random weights over the same
tokenizer. Each batch goes through all engines, in turning order; a ratio is that of the medians of one model and number
of rows. `greedy` tells how many free-running greedy outputs of the built-in base are the same with fast-forward as
without. Times in ms for a call. Prints progress on stderr and one JSON object last.
"""

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from schematune.benchmarks.cases import read_cases, sample
from schematune.benchmarks.replay import Item, OneByOne, item_of, replaying
from schematune.decoding.base import Base, load_base
from schematune.decoding.grammar import vocabulary_of
from schematune.decoding.loop import decode
from schematune.schemas.errors import DecodeError, ExampleError, SchematuneError
from schematune.schemas.jsontext import JSON, compact
from schematune.schemas.tool import ToolSet

__all__ = ["ENGINES", "main", "qwen3_shaped", "timed"]

Engine = Callable[[Base, Sequence[Item]], dict[str, float]]
"""Decodes a batch; returns what a call took in ms, whole and without the prefill, and the forward passes."""

ENGINES = ("free", "free-loop", "outlines", "schematune-slow", "schematune-ff", "schematune", "schematune-own")


def qwen3_shaped(base: Base, *, layers: int = 18, width: int = 640) -> Base:
    """Return a base of Qwen3's shape with random weights (fixed seed) over the tokenizer of `base`."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=vocabulary_of(base.model),
        hidden_size=width,
        intermediate_size=width * 16 // 5,
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
        num_key_value_heads=max(1, width // 128),
        head_dim=64,
        max_position_embeddings=base.context,
        tie_word_embeddings=True,
    )
    made: Any = Qwen3ForCausalLM(config)
    made.eval()
    made.generation_config.eos_token_id = sorted(base.stop)
    return replace(base, name="qwen3", model=made)


def _generate(base: Base, items: Sequence[Item], processor: Any = None) -> dict[str, float]:
    longest = max(len(item.prompt) for item in items)
    end = min(base.stop)
    inputs = torch.tensor([[end] * (longest - len(item.prompt)) + item.prompt for item in items])
    mask = torch.tensor([[0] * (longest - len(item.prompt)) + [1] * len(item.prompt) for item in items])
    model: Any = base.model
    options: dict[str, Any] = {"do_sample": False, "pad_token_id": end, "eos_token_id": sorted(base.stop)}
    options["max_new_tokens"] = max(len(item.gold) for item in items) + 8
    if processor is not None:
        processor.reset()
        options["logits_processor"] = [processor]
    with replaying(model, items, end) as (clock, cache), torch.inference_mode():
        output = model.generate(inputs, attention_mask=mask, past_key_values=cache, **options)
        ended = time.perf_counter()
    _check(items, output[:, longest:].tolist())
    return _times(clock, ended, len(items))


def _outlines(base: Base, items: Sequence[Item]) -> dict[str, float]:
    import outlines
    from outlines.backends import get_json_schema_logits_processor

    options = [
        {
            "type": "object",
            "properties": {"name": {"const": tool.name}, "arguments": dict(tool.strict)},
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for tool in items[0].tools
    ]
    wrapped: Any = outlines.from_transformers(base.model, base.tokenizer)  # type: ignore[arg-type]
    processor = get_json_schema_logits_processor("llguidance", wrapped, compact({"anyOf": options}))
    with warnings.catch_warnings():  # it compiles its kernel at the first use, with what torch deprecates
        warnings.simplefilter("ignore", DeprecationWarning)
        return _generate(base, items, processor)


def _loop(*, constrained: bool = True, forward: bool = True, draft: bool = False) -> Engine:
    def run(base: Base, items: Sequence[Item]) -> dict[str, float]:
        grammars: list[Any] = [item.grammar if constrained else None for item in items]
        grammars = grammars if forward else [OneByOne(grammar) for grammar in grammars]
        limits = [4 * len(item.gold) + 600 for item in items]
        options: dict[str, Any] = {"max_new_tokens": limits, "stop": base.stop, "draft": draft}
        with replaying(base.model, items, min(base.stop)) as (clock, _):
            found = decode(base.model, base.tokenizer, [item.prompt for item in items], grammars, **options)
            ended = time.perf_counter()
        _check(items, [list(one.tokens) for one in found])
        return _times(clock, ended, len(items))

    return run


def _check(items: Sequence[Item], written: Sequence[list[int]]) -> None:
    """Raise `DecodeError` where an engine did not write the gold tokens: then its time says nothing."""
    for item, tokens in zip(items, written, strict=True):
        if tokens[: len(item.gold)] != item.gold:
            raise DecodeError("the engine left the gold call", where=item.id, fix="leave the case out")


def _times(clock: Any, ended: float, rows: int) -> dict[str, float]:
    whole, decoding = ended - clock.begun, ended - clock.prefilled
    return {"ms": whole * 1000 / rows, "decode_ms": decoding * 1000 / rows, "passes": float(clock.passes)}


_RUN: dict[str, Engine] = {
    "free": _generate,
    "free-loop": _loop(constrained=False),
    "outlines": _outlines,
    "schematune-slow": _loop(forward=False),
    "schematune-ff": _loop(),
    "schematune": _loop(draft=True),
    "schematune-own": _loop(),
}


def timed(
    base: Base, items: Sequence[Item], rows: int, *, shared: bool, limit: int, quiet: bool = True
) -> dict[str, JSON]:
    """Time every engine over batches of `rows`: of different cases, or `shared`, copies of one."""
    names = [
        name for name in ENGINES if (shared or rows == 1 or name != "outlines") and (shared or name != "schematune-own")
    ]
    if shared:
        batches = [[item] * rows for item in items[:limit]]
    else:
        batches = [list(items[start : start + rows]) for start in range(0, min(len(items), limit * rows), rows)]
        batches = [batch for batch in batches if len(batch) == rows]
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    if batches and "outlines" in names:
        _outlines(base, batches[0][:1])  # the first use compiles
    for turn, batch in enumerate(tqdm(batches, desc=f"{base.name}, {rows} rows", disable=quiet)):
        own = [item.again(number, base) for number, item in enumerate(batch)] if shared else batch
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            found[name].append(_RUN[name](base, own if name == "schematune-own" else batch))
    return _summary(found, len(batches))


def _summary(found: dict[str, list[dict[str, float]]], batches: int) -> dict[str, JSON]:
    if not batches:
        return {"batches": 0}
    engines = {
        name: {key: round(float(np.median([one[key] for one in runs])), 2) for key in runs[0]}
        for name, runs in found.items()
    }
    ratios: dict[str, JSON] = {}
    for name, other in (("schematune-slow", "free"), ("schematune-ff", "free"), ("schematune", "free"), ("schematune-ff", "free-loop"),
                        ("schematune", "free-loop"), ("schematune", "outlines"), ("outlines", "free"), ("schematune-own", "schematune-ff")):  # fmt: skip
        if name in engines and other in engines:
            ratios[f"{name} / {other}"] = {
                key: round(
                    float(np.median([a[key] / b[key] for a, b in zip(found[name], found[other], strict=True)])), 3
                )
                for key in ("ms", "decode_ms")
            }
    return {"batches": batches, "engines": engines, "ratios": ratios}


def _greedy(base: Base, items: Sequence[Item]) -> dict[str, JSON]:
    """Decode greedily with fast-forward and without, and list the cases whose texts differ."""
    differ: list[JSON] = []
    for item in items:
        options: dict[str, Any] = {"max_new_tokens": 256, "stop": base.stop, "draft": False}
        slow: Any = OneByOne(item.grammar)
        texts = [
            decode(base.model, base.tokenizer, [item.prompt], [one], **options)[0].text for one in (item.grammar, slow)
        ]
        if texts[0] != texts[1]:
            differ.append({"id": item.id, "with": texts[0], "without": texts[1]})
    return {"calls": len(items), "equal": round(1 - len(differ) / max(1, len(items)), 4), "differ": differ}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark from the command line and return the exit status."""
    options = _parser().parse_args(argv)
    try:
        tools = ToolSet(options.tools) if options.tools else None
        cases = [case for path in options.cases for case in read_cases(path, tools, skipped=[])]
        base = load_base("builtin", device="cpu")
        known = [item for case in sample(cases, options.most) if case.pair.calls and (item := item_of(case, base))]
        if not known:
            raise ExampleError("no gold call that the grammar takes", where=str(options.cases[0]), fix="other cases")
    except (SchematuneError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    report: dict[str, JSON] = {}
    for name in options.models:
        model = base if name == "builtin" else qwen3_shaped(base)
        parameters = sum(part.numel() for part in model.model.parameters())
        report[name] = {"parameters": parameters}
        for rows in options.rows:
            given: Any = {"limit": options.limit, "quiet": options.quiet}
            report[name][str(rows)] = {
                kind: timed(model, known, rows, shared=kind == "shared", **given) for kind in ("mixed", "shared")
            }
            print(f"{name}, {rows} rows: {report[name][str(rows)]}", file=sys.stderr, flush=True)
    greedy = _greedy(base, known[: options.greedy])
    tokens = [len(item.gold) for item in known]
    prompts = [len(item.prompt) for item in known]
    print(
        json.dumps(
            {
                "benchmark": "speed",
                "cases": len(known),
                "tokens": {"gold": float(np.median(tokens)), "prompt": float(np.median(prompts))},
                "threads": torch.get_num_threads(),
                "models": report,
                "greedy": greedy,
            }
        ),
        flush=True,
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m schematune.benchmarks.speed", description=(__doc__ or "").split("\n")[0]
    )
    add: Any = parser.add_argument
    add(
        "--cases",
        nargs="+",
        type=Path,
        required=True,
        metavar="FILE",
        help="cases with gold calls: BFCL simple, multiple",
    )
    add("--tools", type=Path, metavar="FILE", help="tools of cases that bring none (SNIPS)")
    add("--models", nargs="+", choices=("builtin", "qwen3"), default=["builtin", "qwen3"], help="models (both)")
    add("--rows", nargs="+", type=int, default=[1, 8, 32], metavar="N", help="rows of a batch (1 8 32)")
    add("--limit", type=int, default=8, metavar="N", help="batches of each kind (8)")
    add("--most", type=int, default=256, metavar="N", help="cases drawn from the files (256)")
    add(
        "--greedy",
        type=int,
        default=100,
        metavar="N",
        help="calls decoded greedily with fast-forward and without (100)",
    )
    add("--quiet", action="store_true", help="no progress bars")
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""How fast is a base on this machine? `python -m schematune.benchmarks.pace [--base builtin]`.

Measures the time to the first token of a long prompt and the time of each token after it, at one row, with greedy
decoding and no grammar, beside a fixed product of two matrices: this machine's speed at the moment. Each round takes all
three in turn, so that what slows one slows the others, and medians of the rounds are given. Prints one JSON object last:
`ttft_ms` (of `prompt_tokens`), `ms_per_token`, `probe_ms`, both as multiples of the probe (`ttft_probes`,
`token_probes`), `parameters`, and `peak_mb`, the memory of the whole process at its highest.
"""

import argparse
import json
import resource
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Any

import torch

from schematune.decoding.base import Base, load_base
from schematune.schemas.errors import SchematuneError
from schematune.schemas.jsontext import JSON

__all__ = ["main", "measure", "probe"]

_SIDE = 768
_PRODUCTS = 8
_TEXT = "a table for two at the new place on Friday at eight, and what is the weather going to be like in Oslo? "


def probe() -> float:
    """Return the milliseconds that a fixed product of matrices takes: 8 times 768 x 768, float32."""
    made = torch.Generator().manual_seed(0)
    left, right = (torch.randn(_SIDE, _SIDE, generator=made) for _ in range(2))
    start = time.perf_counter()
    for _ in range(_PRODUCTS):
        left = torch.mm(left, right) / _SIDE
    return (time.perf_counter() - start) * 1000 / _PRODUCTS


@torch.inference_mode()
def measure(base: Base, *, prompt_tokens: int = 2000, new_tokens: int = 32, rounds: int = 5) -> dict[str, JSON]:
    """Measure a base; the prompt is cut to what its context holds with the new tokens. See the module."""
    model: Any = base.model
    words, many = base.tokenizer.encode(_TEXT, add_special_tokens=False), min(prompt_tokens, base.context - new_tokens)
    prompt = torch.tensor([[words[place % len(words)] for place in range(many)]], device=model.device)
    firsts, others, probes = list[float](), list[float](), list[float]()
    for number in range(rounds + 1):
        probes.append(probe())
        first, each = _decoded(model, prompt, new_tokens)
        if number:  # the first round warms up
            firsts.append(first)
            others += each
    first, token, unit = (statistics.median(values) for values in (firsts, others, probes))
    return {
        "prompt_tokens": prompt.shape[1],
        "ttft_ms": round(first, 1),
        "ms_per_token": round(token, 2),
        "probe_ms": round(unit, 3),
        "ttft_probes": round(first / unit, 1),
        "token_probes": round(token / unit, 2),
        "parameters": sum(p.numel() for p in model.parameters()),
        "threads": torch.get_num_threads(),
        "peak_mb": round(
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 if sys.platform == "darwin" else 1024)
        ),
    }


def _decoded(model: Any, prompt: torch.Tensor, many: int) -> tuple[float, list[float]]:
    """Return the milliseconds to the first token of a prompt, and of each of `many` after it."""
    start = time.perf_counter()
    output = model(input_ids=prompt, use_cache=True, logits_to_keep=1)
    token = output.logits[:, -1:].argmax(dim=-1)
    token.item()  # waits for the device
    first, each = (time.perf_counter() - start) * 1000, []
    for _ in range(many):
        start = time.perf_counter()
        output = model(input_ids=token, past_key_values=output.past_key_values, use_cache=True)
        token = output.logits[:, -1:].argmax(dim=-1)
        token.item()
        each.append((time.perf_counter() - start) * 1000)
    return first, each


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark from the command line and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m schematune.benchmarks.pace", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument(
        "--base", default="builtin", help="builtin, builtin-large, a local folder, or a hub name (builtin)"
    )
    parser.add_argument("--prompt-tokens", type=int, default=2000, metavar="N", help="tokens of the prompt (2000)")
    parser.add_argument("--new-tokens", type=int, default=32, metavar="N", help="tokens timed after it (32)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="rounds, after one to warm up (5)")
    options = parser.parse_args(argv)
    try:
        base = load_base(options.base)
    except SchematuneError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    found = measure(
        base, prompt_tokens=options.prompt_tokens, new_tokens=options.new_tokens, rounds=max(1, options.rounds)
    )
    print(json.dumps({"benchmark": "pace", "base": base.name, **found}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

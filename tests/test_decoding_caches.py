"""Every kind of cache: windows, convolutions, recurrent states, and what is taken back from them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
import transformers

from schematune.decoding.base import Base
from schematune.decoding.grammar import Grammar
from schematune.decoding.loop import Prefix, decode
from schematune.decoding.rows import Decoded, Sampling, allowed_tokens
from schematune.schemas.tool import ToolSet

Loaded = Callable[[str], Base]

MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "full attention": ("Llama", {}),
    "windows throughout": ("Mistral", {"sliding_window": 16, "head_dim": 8}),
    "windows by turns": ("GptOss", {"sliding_window": 16, "head_dim": 8, "num_local_experts": 4}),
    "convolutions": ("Lfm2", {"layer_types": ["conv", "full_attention"]}),
    "states": ("Mamba", {"state_size": 8}),
    "states beside attention": (
        "FalconH1",
        {"mamba_n_heads": 4, "mamba_d_head": 16, "mamba_d_ssm": 64, "mamba_d_state": 8},
    ),
    "states between attention": (
        "Jamba",
        {"attn_layer_period": 2, "attn_layer_offset": 1, "num_experts": 2, "expert_layer_period": 2},
    ),
}
CALLS = ToolSet(
    [
        {
            "name": "book",
            "parameters": {
                "properties": {"place": {"type": "string", "maxLength": 8}, "seat": {"enum": ["inside", "outside"]}},
                "minProperties": 2,
            },
        },
        {"name": "clock", "parameters": {"properties": {}}},
    ],
    parallel=False,
)
FORM = ToolSet(
    [
        {
            "name": "form",
            "parameters": {
                "properties": {
                    "day": {"type": "string", "format": "date"},
                    "tags": {"type": "array", "items": {"enum": ["a", "b", "c"]}, "uniqueItems": True, "minItems": 2},
                },
                "minProperties": 2,
            },
        }
    ],
    parallel=False,
)
SAID = ["weather in Oslo", "hm", "a table for two at eight"]


@pytest.fixture(scope="module")
def based(tiny_loaded: Loaded) -> Loaded:
    """Return a base with a tiny random model of a kind, the built-in family's tokenizer and template."""

    @cache
    def made(kind: str) -> Base:
        base = tiny_loaded("builtin")
        name, more = MODELS[kind]
        options: dict[str, Any] = {
            "vocab_size": base.model.config.vocab_size,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 4096,
            "initializer_range": 0.3,
            "pad_token_id": base.tokenizer.pad_token_id,
            "eos_token_id": base.tokenizer.eos_token_id,
            **more,
        }
        torch.manual_seed(0)
        config = getattr(transformers, f"{name}Config")(**options)
        return replace(base, model=getattr(transformers, f"{name}ForCausalLM")(config).eval())

    return made


def decoded(base: Base, prompts: Sequence[Sequence[int]], tools: ToolSet = CALLS, **options: Any) -> list[Decoded]:
    """Decode prompts together behind the grammar of some tools."""
    grammars = [Grammar.of(tools, base)] * len(prompts)
    return decode(base.model, base.tokenizer, prompts, grammars, stop=base.stop, max_new_tokens=200, **options)


def prompts_of(base: Base) -> list[list[int]]:
    """Render the short prompts of what is said."""
    return [base.renderer.prompt([{"role": "user", "content": text}]) for text in SAID]


@torch.inference_mode()
def slowly(base: Base, prompt: list[int]) -> list[int]:
    """Decode one row with no cache at all, one token at a time."""
    matcher, tokens = Grammar.of(CALLS, base).matcher(), list[int]()
    while not matcher.is_stopped():
        chosen = next(iter(matcher.compute_ff_tokens()), None)
        if chosen is None:
            model: Any = base.model
            logits = model(input_ids=torch.tensor([prompt + tokens]), use_cache=False).logits[0, -1]
            chosen = int(logits.masked_fill(~allowed_tokens(matcher, len(logits)), float("-inf")).argmax())
        if chosen in base.stop:
            break
        matcher.consume_token(chosen)
        tokens.append(chosen)
    return tokens


@pytest.mark.parametrize("kind", MODELS)
def test_a_cache_changes_nothing(based: Loaded, kind: str) -> None:
    base = based(kind)
    prompts = prompts_of(base)
    expected = [slowly(base, prompt) for prompt in prompts]
    assert [list(decoded(base, [prompt])[0].tokens) for prompt in prompts] == expected
    assert [list(row.tokens) for row in decoded(base, prompts)] == expected


@pytest.mark.parametrize("kind", MODELS)
def test_a_prefix_is_read_once_and_stays(based: Loaded, kind: str) -> None:
    base = based(kind)
    prompts = prompts_of(base)
    head = base.renderer.prompt([{"role": "user", "content": "a long word of greeting before it " * 2}])
    whole = [row.text for row in decoded(base, [head + prompt for prompt in prompts])]
    prefix = Prefix.of(base.model, head)
    for _ in range(2):
        assert [row.text for row in decoded(base, prompts, prefix=prefix)] == whole


@pytest.mark.parametrize("kind", MODELS)
def test_what_is_taken_back_leaves_no_trace(based: Loaded, kind: str) -> None:
    base = based(kind)
    undone, seeds = 0, [Sampling(seed=seed) for seed in range(4)]
    for prompt in prompts_of(base):
        for row in decoded(base, [prompt] * 4, FORM, sampling=seeds):
            assert row.finished and not row.violations
            [call] = base.renderer.parse(row.text)
            assert not FORM.violations(call)
            logs = dict((place, log) for place, log, _ in row.choices)
            model: Any = base.model
            with torch.inference_mode():
                logits = model(input_ids=torch.tensor([[*prompt, *row.tokens]]), use_cache=False).logits[0].float()
            for place, token in enumerate(row.tokens):
                if place in logs:
                    plain = logits[len(prompt) + place - 1].log_softmax(dim=-1)[token]
                    assert logs[place] == pytest.approx(float(plain), abs=5e-3)
            undone += row.undone
    assert undone > 0

"""The CPU's fast paths of tuning: the same function as what they stand in for."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from schematune.trainer.chunked import chunked_attention
from schematune.trainer.fused import can_fuse, fuse, unfuse

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")  # PEFT asks for it

HAS_UNITS = any(torch.cpu.get_capabilities().get(name) for name in ("avx512_bf16", "amx_bf16"))


def lora_model(**options: Any) -> Any:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2
    )  # fmt: skip
    model = get_peft_model(LlamaForCausalLM(config), LoraConfig(r=4, target_modules="all-linear", **options))
    for name, weight in model.named_parameters():  # B starts at zero, where no error would show
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.2)
    return model


def scores_and_gradients(model: Any, ids: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
    model.zero_grad()
    logits = model(input_ids=ids, use_cache=False).logits.float()
    logits.square().mean().backward()
    return logits.detach(), [w.grad.clone() for w in model.parameters() if w.requires_grad]


@settings(deadline=None, max_examples=30)
@given(length=st.integers(1, 300), rows=st.integers(1, 3), shared=st.sampled_from((1, 2, 4)), seed=st.integers(0, 1000))
def test_chunked_attention_is_causal_attention(length: int, rows: int, shared: int, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    query = torch.randn(rows, 4, length, 8, generator=draw)
    key, value = (torch.randn(rows, 4 // shared, length, 8, generator=draw) for _ in range(2))
    got, _ = chunked_attention(None, query, key, value, None, scaling=8**-0.5)
    wanted = torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True)
    assert torch.allclose(got, wanted.transpose(1, 2), atol=1e-5)


def test_chunked_attention_refuses_a_mask() -> None:
    part = torch.zeros(1, 1, 2, 4)
    with pytest.raises(ValueError, match="causal only"):
        chunked_attention(None, part, part, part, torch.zeros(1, 1, 2, 2))


def test_fused_lora_is_lora() -> None:
    model, ids = lora_model(), torch.arange(24).reshape(2, 12)
    logits, gradients = scores_and_gradients(model, ids)
    fuse(model)
    fused_logits, fused_gradients = scores_and_gradients(model, ids)
    assert torch.allclose(fused_logits, logits, atol=0.05 * float(logits.abs().max()))
    assert not torch.equal(fused_logits, logits), "bf16 left no trace: was it fused at all?"
    for fused, plain in zip(fused_gradients, gradients, strict=True):
        assert fused.dtype == torch.float32
        assert float((fused - plain).norm() / plain.norm()) < 0.05
    unfuse(model)
    assert all("forward" not in module.__dict__ for module in model.modules())
    assert torch.allclose(scores_and_gradients(model, ids)[0], logits, atol=0.05 * float(logits.abs().max()))


@pytest.mark.skipif(not HAS_UNITS, reason="this CPU has no bf16 units, so nothing is fused on it")
def test_what_is_fused() -> None:
    assert can_fuse(lora_model())


@pytest.mark.parametrize("options", [{"use_dora": True}, {"lora_dropout": 0.1}, {"modules_to_save": ["lm_head"]}])
def test_what_is_left_to_peft(options: dict[str, Any]) -> None:
    assert not can_fuse(lora_model(**options))

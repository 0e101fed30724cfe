"""LoRA on a CPU in bf16, each layer as one matrix product: `fuse` before the steps, `unfuse` after them.

PEFT computes `W x + s B (A x)`: two narrow products per layer, which a CPU is slow at, and four passes over
activations. For a small base it is cheaper to form `W + s B A` once a step and to multiply with that: the same
function (Hu et al. 2021, eq. 3), one wide product, and gradients of `A` and `B` by way of that of the sum. The
frozen weights turn to bf16, where a CPU's units are fast; `A` and `B`, and so all that is learnt, stay fp32.
"""

from functools import partial
from typing import Any

import torch

from schematune.trainer.chunked import CHUNKED

__all__ = ["can_fuse", "fuse", "unfuse"]


def can_fuse(model: Any) -> bool:
    """Tell whether a PEFT model is plain LoRA on linear layers, on a CPU with bf16 units.

    DoRA and other variants, dropout, biases that are trained and adapted embeddings are left to PEFT.
    """
    from peft.tuners.lora.layer import Linear, LoraLayer

    abilities = torch.cpu.get_capabilities()
    if model.device.type != "cpu" or not (abilities.get("avx512_bf16") or abilities.get("amx_bf16")):
        return False
    layers = [module for module in model.modules() if isinstance(module, LoraLayer)]
    plain = all(
        type(layer) is Linear
        and not layer.lora_variant
        and list(layer.lora_A) == ["default"]
        and isinstance(layer.lora_dropout["default"], torch.nn.Identity)
        for layer in layers
    )
    trained = [name for name, weight in model.named_parameters() if weight.requires_grad]
    return plain and bool(layers) and all(".lora_A." in name or ".lora_B." in name for name in trained)


def fuse(model: Any) -> None:
    """Turn the frozen weights to bf16 and every LoRA layer to one product; see the module.

    >>> import torch; from peft import LoraConfig, get_peft_model
    >>> layer = torch.nn.Sequential(torch.nn.Linear(8, 8, bias=False))
    >>> model = get_peft_model(layer, LoraConfig(r=2, target_modules=["0"]))
    >>> fuse(model); model(torch.ones(1, 8, dtype=torch.bfloat16)).dtype
    torch.bfloat16
    """
    from peft.tuners.lora.layer import Linear

    for weight in model.parameters():
        if not weight.requires_grad:
            weight.data = weight.data.to(torch.bfloat16)
    for module in model.modules():
        if type(module) is Linear:
            module.forward = partial(_forward, module)  # type: ignore[method-assign]
    head = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    if type(head) is torch.nn.Linear:
        head.forward = partial(_head, head)  # type: ignore[method-assign]
    config = getattr(model, "config", None)
    if getattr(config, "model_type", "") == "llama":  # others may mask windows, cap scores or share keys
        config._attn_implementation = CHUNKED  # type: ignore[union-attr]


def unfuse(model: Any) -> None:
    """Give PEFT its layers back, and the model its attention and fp32."""
    for module in model.modules():
        module.__dict__.pop("forward", None)
    config = getattr(model, "config", None)
    if getattr(config, "_attn_implementation", "") == CHUNKED:
        config._attn_implementation = "sdpa"  # type: ignore[union-attr]
    model.to(torch.float32)


def _forward(layer: Any, x: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
    change = layer.lora_B["default"].weight @ layer.lora_A["default"].weight
    weight = layer.base_layer.weight + (change * layer.scaling["default"]).to(torch.bfloat16)
    return torch.nn.functional.linear(x, weight, layer.base_layer.bias)


def _head(layer: Any, x: torch.Tensor) -> torch.Tensor:
    """Score a slice of the positions: copied, it is one product instead of one for each row."""
    return torch.nn.functional.linear(x.contiguous(), layer.weight, layer.bias)

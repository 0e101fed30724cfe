"""A Llama over a batch of packed documents: every layer as one product over all tokens, attention within documents.

The weights are those of transformers' `LlamaForCausalLM`, and so is what comes out for each document by itself; what
goes is the padding, and the graph of a whole model for each new shape. Two functions hold a layer but for its attention;
compiled, they serve all layers. Attention is the flash kernel for rows of different lengths on a GPU (Dao 2023,
arXiv 2307.08691), and one document after the other on a CPU.
"""

import inspect
from functools import cache
from typing import Any

import torch
from torch.nn import functional

from schematune.trainer.chunked import chunked_attention
from schematune.trainer.documents import Batch

__all__ = ["PackedLlama"]


class PackedLlama:
    """Runs a Llama (no biases, as many key-value heads as heads) over packed documents."""

    def __init__(self, model: Any, *, compiled: bool = False) -> None:
        """`compiled` lets inductor compile the layers (a C++ compiler on a CPU; seconds at the first step)."""
        self.model = model
        self.heads = model.config.num_attention_heads
        self.before: Any = torch.compile(_before, dynamic=False) if compiled else _before
        self.after: Any = torch.compile(_after, dynamic=False) if compiled else _after
        self.told: Any = torch.compile(_told, dynamic=True) if compiled else _told

    def hidden(self, batch: Batch) -> torch.Tensor:
        """Return what the final norm gives for each token, (T, width)."""
        inner = self.model.model
        eps = self.model.config.rms_norm_eps
        longest = int(batch.ends.diff().max())
        device = inner.embed_tokens.weight.device
        ids, places, ends = (part.to(device, non_blocking=True) for part in (batch.ids, batch.places, batch.ends))
        bounds = batch.ends.tolist() if device.type == "cpu" else []
        x = inner.embed_tokens(ids)
        cos, sin = (part[0].unsqueeze(1) for part in inner.rotary_emb(x, places[None]))
        for layer in inner.layers:
            own, mlp = layer.self_attn, layer.mlp
            matrices = own.q_proj.weight, own.k_proj.weight, own.v_proj.weight
            query, key, value = self.before(x, layer.input_layernorm.weight, *matrices, cos, sin, self.heads, eps)
            if bounds:
                mixed = _one_by_one(query, key, value, bounds)
            else:
                mixed = _varlen(query, key, value, ends, longest)
            matrices = mlp.gate_proj.weight, mlp.up_proj.weight, mlp.down_proj.weight
            x = self.after(x, mixed, own.o_proj.weight, layer.post_attention_layernorm.weight, *matrices, eps)
        return _norm(x, inner.norm.weight, eps)

    def loss(self, batch: Batch) -> torch.Tensor:
        """Return the weighted mean loss over what is to be told."""
        device = self.model.lm_head.weight.device
        wanted, targets, weights = (
            part.to(device, non_blocking=True) for part in (batch.wanted, batch.targets, batch.weights)
        )
        losses: torch.Tensor = self.told(self.hidden(batch)[wanted], self.model.lm_head.weight, targets)
        return (losses * weights).sum() / weights.sum()


def _norm(x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
    wide = x.float()
    return weight * (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)).to(x.dtype)


def _turned(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    first, second = x.chunk(2, -1)
    return x * cos + torch.cat((-second, first), -1) * sin


def _before(
    x: torch.Tensor,
    norm: torch.Tensor,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    cos: torch.Tensor,
    sin: torch.Tensor,
    heads: int,
    eps: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return a layer's queries, keys and values, each (T, heads, size)."""
    normed = _norm(x, norm, eps)
    parts = [functional.linear(normed, matrix).view(len(x), heads, -1) for matrix in (query, key, value)]
    return _turned(parts[0], cos, sin), _turned(parts[1], cos, sin), parts[2]


def _after(
    x: torch.Tensor,
    mixed: torch.Tensor,
    out: torch.Tensor,
    norm: torch.Tensor,
    gate: torch.Tensor,
    up: torch.Tensor,
    down: torch.Tensor,
    eps: float,
) -> torch.Tensor:
    """Return what a layer gives on, (T, width), from what its attention mixed, (T, heads, size)."""
    x = x + functional.linear(mixed.flatten(1), out)
    normed = _norm(x, norm, eps)
    opened = functional.silu(functional.linear(normed, gate)) * functional.linear(normed, up)
    return x + functional.linear(opened, down)


def _told(hidden: torch.Tensor, head: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(functional.linear(hidden, head).float(), targets, reduction="none")


def _one_by_one(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bounds: list[int]) -> torch.Tensor:
    mixed, scaling = [], query.shape[-1] ** -0.5
    for start, end in zip(bounds, bounds[1:], strict=False):
        own, theirs, told = (part[start:end].transpose(0, 1)[None] for part in (query, key, value))
        mixed.append(chunked_attention(None, own, theirs, told, scaling=scaling)[0][0])
    return torch.cat(mixed)


def _varlen(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, ends: torch.Tensor, longest: int
) -> torch.Tensor:
    from torch.nn.attention.varlen import varlen_attn

    mixed = varlen_attn(query, key, value, ends, ends, longest, longest, **_causal(varlen_attn))
    return mixed[0] if isinstance(mixed, tuple) else mixed


@cache
def _causal(attention: Any) -> dict[str, Any]:
    """Return what tells the kernel not to look ahead: torch has named it in two ways."""
    named = inspect.signature(attention).parameters
    return {"window_size": (-1, 0)} if "window_size" in named else {"is_causal": True}

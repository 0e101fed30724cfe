"""Attention heads that copy from the first step, written into a fresh Llama by hand.

In the first layer two heads look one position back and write the identity of the previous token into the
residual stream; in the second layer two heads look for places whose previous token is the one at hand, and
copy what stands there: the induction circuit of Olsson et al. 2022 (arXiv 2209.11895). Training finds such
heads by itself, later; to start with them saves most of the tokens that a small budget has.
"""

import math
from typing import Any

import torch

__all__ = ["write_copy_heads"]

CONSTANT = 0
"""The residual coordinate that is the same for every token: what a head reads to look at positions alone."""


def _orthogonal(rows: int, columns: int, generator: torch.Generator) -> torch.Tensor:
    square: torch.Tensor = torch.linalg.qr(torch.randn(max(rows, columns), max(rows, columns), generator=generator))[0]
    return square[:rows, :columns].contiguous()


@torch.no_grad()
def write_copy_heads(
    model: Any,
    *,
    seed: int = 0,
    spread: float = 0.5,
    constant: float = 4.0,
    back: float = 2.6,
    match: float = 8.0,
    copy: float = 5.0,
) -> None:
    """Initialise a Llama (fp32, tied embeddings, as many key-value heads as heads) with copying heads.

    `spread` is the standard deviation of the embeddings, `constant` the value of the constant coordinate,
    `back` and `match` are the gains of the two kinds of heads.
    """
    generator = torch.Generator().manual_seed(seed)
    config = model.config
    width, heads = config.hidden_size, config.num_attention_heads
    size = width // heads
    embeddings = model.model.embed_tokens.weight
    embeddings.copy_(torch.randn(embeddings.shape, generator=generator) * spread)
    embeddings[:, CONSTANT] = constant
    scale = 1 / math.sqrt(embeddings.pow(2).mean().item())  # what the first norm multiplies by
    model.model.norm.weight.fill_(0.1)
    for layer in model.model.layers:
        for name, matrix in layer.named_parameters():
            if matrix.dim() == 2:
                matrix.copy_(torch.randn(matrix.shape, generator=generator) / math.sqrt(matrix.shape[1]))
                if name.endswith(("o_proj.weight", "down_proj.weight")):
                    matrix.mul_(0.3)
    identity = torch.arange(1, width)  # the coordinates that tell tokens apart
    written = _orthogonal(width - 1, width - 1, generator)  # where layer 1 writes the previous token
    reads = torch.zeros(2 * size, width)
    reads[:, identity] = _orthogonal(2 * size, width - 1, generator)
    frequencies = config.rope_parameters["rope_theta"] ** (-torch.arange(0, size, 2).float() / size)
    for head in range(2):
        rows = slice(head * size, (head + 1) * size)
        _look_back(model.model.layers[0].self_attn, rows, frequencies, constant * scale, back)
        first = model.model.layers[0].self_attn
        first.v_proj.weight[rows] = reads[rows]
        first.o_proj.weight[:, rows] = 0
        first.o_proj.weight[1:, rows] = written @ reads[rows][:, identity].T
        _match(model.model.layers[1].self_attn, rows, reads, written, identity, match, copy)


def _look_back(attention: Any, rows: slice, frequencies: torch.Tensor, constant: float, gain: float) -> None:
    """Make a head whose score is highest one position back: queries and keys read the constant only."""
    size = rows.stop - rows.start
    half, used = size // 2, 7
    angle = frequencies[:used]
    query, key = torch.zeros(size), torch.zeros(size)
    query[:used] = 1.0
    key[:used] = torch.cos(angle)  # a key turned one position ahead meets the query that follows it
    key[half : half + used] = torch.sin(angle)
    strength = math.sqrt(gain * math.sqrt(size)) / constant
    for projection, vector in ((attention.q_proj, query), (attention.k_proj, key)):
        projection.weight[rows] = 0
        projection.weight[rows, CONSTANT] = vector * strength


def _match(
    attention: Any,
    rows: slice,
    reads: torch.Tensor,
    written: torch.Tensor,
    identity: torch.Tensor,
    gain: float,
    copy: float,
) -> None:
    """Make a head that compares the token at hand with what layer 1 wrote, on slow frequencies, and copies."""
    size, width = rows.stop - rows.start, reads.shape[1]
    half = size // 2
    slow = int(half * 0.45)
    places = torch.cat([torch.arange(half - slow, half), torch.arange(size - slow, size)])
    probe = reads[rows][: len(places)]
    strength = math.sqrt(gain)
    attention.q_proj.weight[rows] = 0
    attention.k_proj.weight[rows] = 0
    attention.q_proj.weight[rows.start + places] = probe * strength
    through = torch.zeros(len(places), width)
    through[:, identity] = probe[:, identity] @ written.T
    attention.k_proj.weight[rows.start + places] = through * strength
    attention.v_proj.weight[rows] = reads[rows]
    attention.o_proj.weight[:, rows] = 0
    attention.o_proj.weight[1:, rows] = reads[rows][:, identity].T * copy

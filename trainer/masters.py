"""How weights in bf16 are moved: fp32 masters, Muon on the matrices, AdamW on the rest, and the rate's schedule."""

import math
from collections import defaultdict
from typing import Any

import torch

__all__ = ["Masters", "Muon", "rate_at"]


class Muon:
    """Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/) for matrices, all of one shape at a time.

    Each moves by its momentum with the singular values set to about 1, so a step of a model is a few products of
    stacked matrices in the place of dozens of small ones.
    """

    def __init__(self, weights: list[torch.Tensor], *, momentum: float = 0.95) -> None:
        """`weights` are matrices in fp32, which `step` changes in place."""
        self.momentum = momentum
        shapes: dict[torch.Size, list[torch.Tensor]] = defaultdict(list)
        for weight in weights:
            shapes[weight.shape].append(weight)
        self.groups = list(shapes.values())
        self.buffers = [torch.zeros(len(group), *group[0].shape, device=group[0].device) for group in self.groups]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Move the weights by their gradients at `rate`."""
        for group, buffer in zip(self.groups, self.buffers, strict=True):
            gradients = torch.stack([weight.grad for weight in group if weight.grad is not None])
            buffer.lerp_(gradients, 1 - self.momentum)
            update = _orthogonal(gradients.lerp_(buffer, self.momentum))
            size = rate * math.sqrt(max(1.0, buffer.shape[1] / buffer.shape[2]))
            torch._foreach_add_(group, list(update.to(buffer.dtype).unbind()), alpha=-size)

    def state_dict(self) -> dict[str, Any]:
        """Return the momentum."""
        return {"buffers": self.buffers}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        for buffer, saved in zip(self.buffers, state["buffers"], strict=True):
            buffer.copy_(saved)


def _orthogonal(stack: torch.Tensor) -> torch.Tensor:
    """Return matrices (n, rows, columns) with their singular values near 1: five Newton-Schulz steps in bf16."""
    x = stack.bfloat16()
    wide = x.shape[1] <= x.shape[2]
    x = x if wide else x.mT
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=-4.7750, alpha=2.0315), x, beta=3.4445)
    return x if wide else x.mT


class Masters:
    """fp32 masters of bf16 weights: Muon for matrices, AdamW for embeddings and norms."""

    def __init__(self, model: Any, *, muon_rate: float, adam_rate: float) -> None:
        """See the class; takes the weights as they are now, in fp32, and turns the model to bf16."""
        self.names = [name for name, _ in model.named_parameters()]
        self.masters = [p.detach().clone().requires_grad_() for p in model.parameters()]
        model.to(torch.bfloat16)
        self.live = list(model.parameters())
        matrix = [p.dim() == 2 and "embed" not in name for name, p in zip(self.names, self.masters, strict=True)]
        self.muon = Muon([p for p, m in zip(self.masters, matrix, strict=True) if m])
        self.adam = torch.optim.AdamW(
            [p for p, m in zip(self.masters, matrix, strict=True) if not m],
            lr=adam_rate,
            betas=(0.9, 0.95),
            weight_decay=0.0,
        )
        self.muon_rate, self.adam_rate = muon_rate, adam_rate

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Move the masters by the gradients of the live weights at `rate` of the full rates; copy them back."""
        for master, live in zip(self.masters, self.live, strict=True):
            master.grad = live.grad.float() if live.grad is not None else torch.zeros_like(master)
            live.grad = None
        torch.nn.utils.clip_grad_norm_(self.masters, 1.0)
        self.muon.step(self.muon_rate * rate)
        self.adam.param_groups[0]["lr"] = self.adam_rate * rate
        self.adam.step()
        torch._foreach_copy_(self.live, self.masters)

    def state(self) -> dict[str, Any]:
        """Return the masters and the optimizers' states."""
        weights = dict(zip(self.names, (m.detach() for m in self.masters), strict=True))
        return {"weights": weights, "optimizers": [self.muon.state_dict(), self.adam.state_dict()]}

    def load(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave."""
        with torch.no_grad():
            for name, master, live in zip(self.names, self.masters, self.live, strict=True):
                master.copy_(state["weights"][name])
                live.copy_(master)
        self.muon.load_state_dict(state["optimizers"][0])
        self.adam.load_state_dict(state["optimizers"][1])


def rate_at(progress: float, flat: float) -> float:
    """Return the share of the full rate at `progress` (0 to 1): short warm-up, flat, cosine down to 3 %."""
    if progress < 0.005:
        return 0.1 + 0.9 * progress / 0.005
    if progress < flat:
        return 1.0
    return 0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - flat) / (1 - flat))))

"""How weights in bf16 are moved: fp32 masters, Muon on the matrices, AdamW on the rest, and the rate's schedule."""

import math
from typing import Any

import torch

__all__ = ["Masters", "rate_at"]


class Masters:
    """fp32 masters of bf16 weights: Muon for matrices, AdamW for embeddings and norms."""

    def __init__(self, model: Any, *, muon_rate: float, adam_rate: float) -> None:
        """See the class; takes the weights as they are now, in fp32, and turns the model to bf16."""
        self.names = [name for name, _ in model.named_parameters()]
        self.masters = [p.detach().clone().requires_grad_() for p in model.parameters()]
        model.to(torch.bfloat16)
        self.live = list(model.parameters())
        matrix = [p.dim() == 2 and "embed" not in name for name, p in zip(self.names, self.masters, strict=True)]
        self.optimizers: list[torch.optim.Optimizer] = [
            torch.optim.Muon(
                [p for p, m in zip(self.masters, matrix, strict=True) if m], lr=muon_rate, weight_decay=0.0
            ),
            torch.optim.AdamW(
                [p for p, m in zip(self.masters, matrix, strict=True) if not m],
                lr=adam_rate,
                betas=(0.9, 0.95),
                weight_decay=0.0,
            ),
        ]
        self.rates = [muon_rate, adam_rate]

    def step(self, rate: float) -> None:
        """Move the masters by the gradients of the live weights at `rate` of the full rates; copy them back."""
        for master, live in zip(self.masters, self.live, strict=True):
            master.grad = live.grad.float() if live.grad is not None else None
            live.grad = None
        torch.nn.utils.clip_grad_norm_(self.masters, 1.0)
        for optimizer, full in zip(self.optimizers, self.rates, strict=True):
            optimizer.param_groups[0]["lr"] = full * rate
            optimizer.step()
        with torch.no_grad():
            for master, live in zip(self.masters, self.live, strict=True):
                live.copy_(master)

    def state(self) -> dict[str, Any]:
        """Return the masters and the optimizers' states."""
        weights = dict(zip(self.names, (m.detach() for m in self.masters), strict=True))
        return {"weights": weights, "optimizers": [o.state_dict() for o in self.optimizers]}

    def load(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave."""
        with torch.no_grad():
            for name, master, live in zip(self.names, self.masters, self.live, strict=True):
                master.copy_(state["weights"][name])
                live.copy_(master)
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)


def rate_at(progress: float, flat: float) -> float:
    """Return the share of the full rate at `progress` (0 to 1): short warm-up, flat, cosine down to 3 %."""
    if progress < 0.005:
        return 0.1 + 0.9 * progress / 0.005
    if progress < flat:
        return 1.0
    return 0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - flat) / (1 - flat))))

"""Fits the prior of the tools: a linear classifier of the requests of pairs, its confidence measured on pairs it has not seen.

Multinomial logistic regression on hashed n-grams, weighted by how rare they are, with L2 regularisation, found by L-BFGS. How far
to trust it is a temperature (Guo et al. 2017, "On calibration of modern neural networks"), fit on a part of the pairs whose
families of wordings the other part does not have.
"""

import warnings
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from tqdm import tqdm

from schematune.decoding.prior import BUCKETS, Array, ToolPrior, features
from schematune.schemas.call import ASK
from schematune.schemas.pair import Pair, said_in

__all__ = ["fit_prior"]

_PENALTY = 5e-6
_STEPS = 80
_OWN = 2.0  # how much the user's own requests weigh together, in those made of them
_FOLDS = 4
_TEMPERATURES = tuple(0.4 * 1.15**step for step in range(24))


@dataclass(frozen=True)
class _Row:
    places: list[int]
    name: str
    own: bool
    family: str


def fit_prior(pairs: Iterable[Pair], *, progress: bool = False) -> ToolPrior | None:
    """Fit a prior to pairs of one call each; None where they are of one tool only.

    A pair that asks for what is missing counts for the tool that it asks about. The user's own requests together weigh
    twice as much as those made by synthesis. Deterministic. `progress` shows a bar where it takes over two seconds.

    >>> from schematune.schemas.call import Call
    >>> said = {"play": "play a song", "book": "book a table"}
    >>> prior = fit_prior(Pair.of(f"{text} {n}", [Call(name, {})]) for name, text in said.items() for n in "abcdef")
    >>> logs = prior.logs("could you play it")
    >>> max(logs, key=logs.get)
    'play'
    """
    rows = [row for pair in pairs if (row := _row(pair)) is not None]
    names = sorted({row.name for row in rows})
    if len(names) < 2:
        return None
    rarity = _rarity(rows)
    unseen = [zlib.crc32(row.family.encode()) % _FOLDS == 0 for row in rows]
    heat = 1.0
    with tqdm(total=2 * _STEPS, desc="tool prior", unit="step", delay=2, disable=not progress) as bar:
        seen = [row for row, out in zip(rows, unseen, strict=True) if not out]
        if len(seen) < len(rows) and {row.name for row in seen} == set(names):
            heat = _temperature(seen, [row for row, out in zip(rows, unseen, strict=True) if out], names, rarity, bar)
        weights = _fit(rows, names, rarity, bar)
    return ToolPrior.of(names, (weights / heat).numpy(), rarity, _rates(rows, names).numpy())


def _rates(rows: Sequence[_Row], names: Sequence[str]) -> torch.Tensor:
    """Return the logarithms of the shares of the names, weighted."""
    shares = torch.zeros(len(names))
    shares.index_add_(0, torch.tensor([names.index(row.name) for row in rows]), torch.tensor(_shares(rows)))
    return shares.log()


def _row(pair: Pair) -> _Row | None:
    if len(pair.calls) != 1:
        return None
    call, text = pair.calls[0], said_in(pair.messages)
    name = str(call.arguments.get("tool", "")) if call.name == ASK else call.name
    own = not pair.source.startswith(("synthetic", "from "))
    return _Row(features(text), name, own, pair.template or text) if name else None


def _rarity(rows: Sequence[_Row]) -> Array:
    counts = np.full(BUCKETS, 0.5)
    for row in rows:
        counts[row.places] += 1
    return np.log1p(len(rows) / counts).astype(np.float32)


def _shares(rows: Sequence[_Row]) -> list[float]:
    own = sum(row.own for row in rows)
    each = _OWN * (len(rows) - own) / own if own else 1.0
    raw = [max(1.0, each) if row.own else 1.0 for row in rows]
    total = sum(raw)
    return [weight / total for weight in raw]


def _matrix(rows: Sequence[_Row], rarity: Array) -> tuple[torch.Tensor, torch.Tensor]:
    """Return weighted buckets of unit length, sparse, of shape (rows, buckets), and the same turned."""
    places, values = (list[int](), list[int]()), list[float]()
    for number, row in enumerate(rows):
        weights = rarity[row.places]
        places[0].extend([number] * len(row.places))
        places[1].extend(row.places)
        values += (weights / max(float(np.sqrt((weights**2).sum())), 1e-6)).tolist()
    made = torch.sparse_coo_tensor(torch.tensor(places), values, (len(rows), BUCKETS), check_invariants=False)
    with warnings.catch_warnings():  # a multiplication is all that is asked of them, and it is five times faster
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return made.coalesce().to_sparse_csr(), made.t().coalesce().to_sparse_csr()


def _fit(rows: Sequence[_Row], names: Sequence[str], rarity: Array, bar: "tqdm[Any]") -> torch.Tensor:
    (matrix, turned), every = _matrix(rows, rarity), torch.arange(len(rows))
    goals, shares = torch.tensor([names.index(row.name) for row in rows]), torch.tensor(_shares(rows))
    rates, weights = _rates(rows, names), torch.zeros(BUCKETS, len(names))
    weights.grad = torch.zeros_like(weights)
    search = torch.optim.LBFGS([weights], max_iter=_STEPS, history_size=8, line_search_fn="strong_wolfe")

    def loss() -> float:
        bar.update(bar.n < (bar.total or 0))
        logs = (matrix @ weights + rates).log_softmax(dim=-1)
        slope = logs.exp() * shares[:, None]
        slope[every, goals] -= shares
        weights.grad = turned @ slope + 2 * _PENALTY * weights
        return float(_PENALTY * weights.square().sum() - (logs[every, goals] * shares).sum())

    search.step(loss)  # type: ignore[no-untyped-call]
    return weights


def _temperature(
    seen: Sequence[_Row], unseen: Sequence[_Row], names: Sequence[str], rarity: Array, bar: "tqdm[Any]"
) -> float:
    """Return what to divide logits by: what makes the requests of unseen families likeliest, the user's own where there are any."""
    weights, rates = _fit(seen, names, rarity, bar), _rates(seen, names)
    judged = [row for row in unseen if row.own] or list(unseen)
    logits = _matrix(judged, rarity)[0] @ weights
    goals = torch.tensor([names.index(row.name) for row in judged])
    losses = {heat: float(functional.cross_entropy(logits / heat + rates, goals)) for heat in _TEMPERATURES}
    return min(losses, key=lambda heat: losses[heat])

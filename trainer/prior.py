"""Fits the prior of the tools: linear classifiers of the requests of pairs, their confidence measured on pairs not seen.

Multinomial logistic regression on hashed n-grams, weighted by how rare they are, with L2 regularisation, found by L-BFGS. How far
to trust them is a temperature (Guo et al. 2017, "On calibration of modern neural networks"), fit on a part of the pairs whose
families of wordings the other part does not have.
"""

import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from tqdm import tqdm

from schematune.decoding.prior import BUCKETS, Array, Classifier, ToolPrior, features
from schematune.decoding.reader import Reader
from schematune.schemas.jsontext import compact
from schematune.schemas.pair import Pair, said_in
from schematune.schemas.tool import ToolSet
from schematune.trainer.joining import Judge
from schematune.trainer.tagger import fit_tagger
from schematune.trainer.weighing import family_of, is_own, is_unseen, shares

__all__ = ["fit_prior"]

_PENALTY = 5e-6
_STEPS = 80
_FOLDED = 2048  # buckets of the classifiers of arguments, which see few requests each
_MOST_VALUES = 32
_TEMPERATURES = tuple(0.4 * 1.15**step for step in range(24))


@dataclass(frozen=True)
class _Row:
    pair: Pair
    places: list[int]
    name: str
    own: bool
    family: str


_Judged = tuple[torch.Tensor, torch.Tensor, torch.Tensor, Sequence[_Row]]


def fit_prior(
    pairs: Iterable[Pair], tools: ToolSet, *, reader: Reader | None = None, progress: bool = False
) -> ToolPrior | None:
    """Fit a prior to pairs; None where they are of one tool only and no argument's values stand in their requests.

    Tools and options are learnt from pairs of one call each.

    A pair that asks for what is missing counts for the tool that it asks about. The user's own requests together weigh
    twice as much as those made by synthesis. Deterministic. `reader` is that of the base, for which a share beside the prior is chosen. `progress` shows a bar
    where it takes over two seconds.

    >>> from schematune.schemas.call import Call
    >>> said = {"play": "play a song", "book": "book a table"}
    >>> pairs = [Pair.of(f"{text} {n}", [Call(name, {})]) for name, text in said.items() for n in "abcdef"]
    >>> logs = fit_prior(pairs, ToolSet([{"name": name} for name in said])).logs("could you play it")
    >>> max(logs, key=logs.get)
    'play'
    """
    pairs = list(pairs)
    single = [pair for pair in pairs if len(pair.calls) == 1]
    told = [_row(pair, name) for pair in single if (name := pair.calls[0].about)]
    judge = Judge(reader, tools) if reader is not None else None
    tagger = fit_tagger(pairs, tools, judge=judge, progress=progress)
    if not told or (len({row.name for row in told}) < 2 and tagger is None):
        return None
    rarity = _rarity(told)
    with tqdm(desc="prior of the tools", unit="step", delay=2, disable=not progress) as bar:
        [classifier] = _calibrated([told], rarity, BUCKETS, bar, judge)
        asked = _arguments(single, tools)
        arguments = _calibrated(list(asked.values()), rarity, _FOLDED, bar)
    return ToolPrior(
        rarity, classifier, dict(zip(asked, arguments, strict=True)), tagger, judge.shares if judge else None
    )


def _row(pair: Pair, name: str) -> _Row:
    text = said_in(pair.messages)
    return _Row(pair, features(text), name, is_own(pair), family_of(pair))


def _arguments(pairs: Iterable[Pair], tools: ToolSet) -> dict[tuple[str, str, str], list[_Row]]:
    """Return, for each question about an argument that has several answers, the requests by their answer."""
    asked: dict[tuple[str, str, str], list[_Row]] = {}
    for pair in pairs:
        call = pair.calls[0]
        if call.name not in tools:
            continue
        tool, row = tools[call.name], _row(pair, "")
        for name, schema in tool.properties.items():
            given = name in call.arguments
            if name not in tool.required:
                asked.setdefault(("given", tool.name, name), []).append(replace(row, name="yes" if given else "no"))
            if given and isinstance(schema, Mapping) and ("enum" in schema or schema.get("type") == "boolean"):
                value = replace(row, name=compact(call.arguments[name]))
                asked.setdefault(("value", tool.name, name), []).append(value)
    return {
        key: rows
        for key, rows in asked.items()
        if 1 < len(counts := Counter(row.name for row in rows)) <= _MOST_VALUES and min(counts.values()) > 1
    }


def _calibrated(
    asked: Sequence[list[_Row]], rarity: Array, size: int, bar: "tqdm[Any]", judge: Judge | None = None
) -> list[Classifier]:
    """Fit a classifier to each set of rows, all as sure as makes the rows of unseen families likeliest.

    `judge` is told what is said of the user's own requests among these.
    """
    parts = [
        ([row for row in rows if not is_unseen(row.family)], [row for row in rows if is_unseen(row.family)])
        for rows in asked
    ]
    judged = [
        _judged(seen, unseen, rarity, size, bar)
        for (seen, unseen), rows in zip(parts, asked, strict=True)
        if len({row.name for row in seen}) > 1 and {row.name for row in seen} & {row.name for row in unseen}
    ]
    losses = {
        heat: sum(
            float(functional.cross_entropy(logits / heat + rates, goals, reduction="sum"))
            for logits, rates, goals, _ in judged
        )
        for heat in _TEMPERATURES
    }
    heat = min(losses, key=lambda one: losses[one]) if judged else 1.0
    if judge is not None and judged:
        _tell(judge, judged[0], heat, _names(parts[0][0]))
    made = list[Classifier]()
    for rows in asked:
        names = _names(rows)
        weights, rates = _fit(rows, names, rarity, size, bar) / heat, _rates(rows, names)
        made.append(Classifier.of(names, weights.numpy(), rates.numpy()))
    return made


def _tell(judge: Judge, judged: _Judged, heat: float, names: Sequence[str]) -> None:
    """Tell what is said of the user's own requests among those kept aside."""
    logits, rates, _, rows = judged
    logs = (logits / heat + rates).log_softmax(dim=-1).tolist()
    own = [(row, dict(zip(names, some, strict=True))) for row, some in zip(rows, logs, strict=True) if row.own]
    judge.choice([(row.pair, row.name) for row, _ in own], [some for _, some in own])


def _judged(seen: Sequence[_Row], unseen: Sequence[_Row], rarity: Array, size: int, bar: "tqdm[Any]") -> _Judged:
    """Return what is said of unseen rows, the user's own where there are any: logits, rates of the names, right ones, the rows."""
    names = _names(seen)
    weights = _fit(seen, names, rarity, size, bar)
    unseen = [row for row in unseen if row.name in names]
    rows = [row for row in unseen if row.own] or unseen
    logits = _matrix(rows, rarity, size)[0] @ weights
    return logits, _rates(seen, names), torch.tensor([names.index(row.name) for row in rows]), rows


def _names(rows: Iterable[_Row]) -> list[str]:
    return sorted({row.name for row in rows})


def _rates(rows: Sequence[_Row], names: Sequence[str]) -> torch.Tensor:
    """Return the logarithms of the shares of the names, weighted."""
    shares = torch.zeros(len(names))
    shares.index_add_(0, torch.tensor([names.index(row.name) for row in rows]), torch.tensor(_shares(rows)))
    return shares.log()


def _rarity(rows: Sequence[_Row]) -> Array:
    counts = np.full(BUCKETS, 0.5)
    for row in rows:
        counts[row.places] += 1
    return np.log1p(len(rows) / counts).astype(np.float32)


def _shares(rows: Sequence[_Row]) -> list[float]:
    raw = shares([row.own for row in rows])
    return [weight / sum(raw) for weight in raw]


def _matrix(rows: Sequence[_Row], rarity: Array, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return weighted buckets of unit length, sparse, of shape (rows, `size` buckets), and the same turned."""
    places, values = (list[int](), list[int]()), list[float]()
    for number, row in enumerate(rows):
        weights = rarity[row.places]
        places[0].extend([number] * len(row.places))
        places[1].extend(place % size for place in row.places)
        values += (weights / max(float(np.sqrt((weights**2).sum())), 1e-6)).tolist()
    made = torch.sparse_coo_tensor(torch.tensor(places), values, (len(rows), size), check_invariants=False)
    with warnings.catch_warnings():  # a multiplication is all that is asked of them, and it is five times faster
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return made.coalesce().to_sparse_csr(), made.t().coalesce().to_sparse_csr()


def _fit(rows: Sequence[_Row], names: Sequence[str], rarity: Array, size: int, bar: "tqdm[Any]") -> torch.Tensor:
    (matrix, turned), every = _matrix(rows, rarity, size), torch.arange(len(rows))
    goals, shares = torch.tensor([names.index(row.name) for row in rows]), torch.tensor(_shares(rows))
    rates, weights = _rates(rows, names), torch.zeros(size, len(names))
    weights.grad = torch.zeros_like(weights)
    search = torch.optim.LBFGS([weights], max_iter=_STEPS, history_size=8, line_search_fn="strong_wolfe")

    def loss() -> float:
        bar.update()
        logs = (matrix @ weights + rates).log_softmax(dim=-1)
        slope = logs.exp() * shares[:, None]
        slope[every, goals] -= shares
        weights.grad = turned @ slope + 2 * _PENALTY * weights
        return float(_PENALTY * weights.square().sum() - (logs[every, goals] * shares).sum())

    search.step(loss)  # type: ignore[no-untyped-call]
    return weights

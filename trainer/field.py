"""Sequences of states under a conditional random field: the loss of some that are known, and its slopes.

Forward and backward sums (Rabiner 1989, "A tutorial on hidden Markov models"), scaled at each place, over rows of like
length at once; the slopes are the expected less the observed counts (Lafferty et al. 2001).
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from schematune.decoding.tagger import TAGGED, moves_of

__all__ = ["Batch"]


@dataclass(frozen=True)
class Batch:
    """Sequences of one tool, the longest last: `states` and `held` (what is no padding) have the shape (places, rows).

    `starts` are the first rows that reach each place. `columns` are the tool's states among all; `states` count among these. `matrix` (places x rows, features), sparse, has
    the features of each place, `turned` is the same turned; `shares` (rows) weigh the rows.
    """

    columns: torch.Tensor
    matrix: torch.Tensor
    turned: torch.Tensor
    states: torch.Tensor
    held: torch.Tensor
    shares: torch.Tensor
    starts: tuple[int, ...]

    @classmethod
    def of(
        cls,
        grams: Sequence[Sequence[Sequence[int]]],
        states: Sequence[Sequence[int]],
        shares: Sequence[float],
        columns: Sequence[int],
    ) -> "Batch":
        """Make a batch of rows: for each the features of its places, and the states of these among all; the longest last."""
        rows, longest, known = len(states), max(map(len, states)), {state: place for place, state in enumerate(columns)}
        padded = [[known[state] for state in row] + [0] * (longest - len(row)) for row in states]
        held = [[True] * len(row) + [False] * (longest - len(row)) for row in states]
        found = [
            (place * rows + row, gram)
            for row, places in enumerate(grams)
            for place, some in enumerate(places)
            for gram in some
        ]
        shape = (rows * longest, TAGGED)
        made = torch.sparse_coo_tensor(
            torch.tensor(found).t(), torch.ones(len(found)), shape, check_invariants=False
        ).coalesce()
        with warnings.catch_warnings():  # a multiplication is all that is asked of them
            warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
            matrix, turned = made.to_sparse_csr(), made.t().coalesce().to_sparse_csr()
        return cls(
            torch.tensor(columns), matrix, turned, torch.tensor(padded).t().contiguous(),
            torch.tensor(held).t().contiguous(), torch.tensor(shares),
            tuple(next(row for row, some in enumerate(states) if len(some) > place) for place in range(longest)),
        )  # fmt: skip

    def logits(self, weights: torch.Tensor) -> torch.Tensor:
        """Return the logits of the tool's states, shape (places, rows, states), by the weights of features."""
        return (self.matrix @ weights[:, self.columns]).view(*self.states.shape, -1)

    def loss(self, logits: torch.Tensor, moves: torch.Tensor) -> float:
        """Return the negative logarithm of the probability of the states, each row's by its share.

        `moves`, of shape (1 + all states, all states), weigh one state after another, the last row the first.
        """
        return self._forward(logits, moves)[0]

    def slopes(self, logits: torch.Tensor, moves: torch.Tensor) -> tuple[float, torch.Tensor, torch.Tensor]:
        """Return the loss and its slopes by the weights of the features of the tool's states, and by its moves."""
        lost, factors, steps, ahead, sizes = self._forward(logits, moves)
        slope, going = torch.empty_like(factors), torch.zeros_like(steps)
        back, shares = torch.ones_like(factors[0]), self.shares[:, None]
        for place in range(len(factors) - 1, 0, -1):
            start = self.starts[place]
            here = factors[place, start:] * back[start:] / sizes[place, start:, None]
            slope[place] = ahead[place] * back
            going += ahead[place - 1, start:].t() @ (here * shares[start:])
            back[start:] = here @ steps.t()
        slope[0] = ahead[0] * back
        slope.scatter_add_(2, self.states[..., None], torch.full((*self.states.shape, 1), -1.0))
        slope *= (self.held * self.shares)[..., None]
        turn = torch.cat([going * steps - self._observed, slope[0].sum(dim=0, keepdim=True)])
        return lost, self.turned @ slope.flatten(0, 1), turn

    @cached_property
    def _observed(self) -> torch.Tensor:
        """How often one state comes after another, shape (states, states)."""
        counts = torch.zeros(len(self.columns), len(self.columns))
        seen = self.held[1:]
        weights = self.shares.expand_as(self.states)[1:][seen]
        return counts.index_put_((self.states[:-1][seen], self.states[1:][seen]), weights, accumulate=True)

    @cached_property
    def _allowed(self) -> torch.Tensor:
        count = len(self.columns)
        return torch.from_numpy(moves_of(np.zeros((count + 1, count), dtype=np.float32)))

    def _forward(
        self, logits: torch.Tensor, moves: torch.Tensor
    ) -> tuple[float, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the loss, the factors of places and of moves, and the sums up to each place with their sizes."""
        first, moves = moves[-1, self.columns], moves[self.columns][:, self.columns]
        tops = logits.amax(dim=-1)
        factors, steps = (logits - tops[..., None]).exp(), moves.exp() * self._allowed[:-1]
        ahead, sizes = torch.zeros_like(factors), torch.ones_like(tops)
        state = factors[0] * first.exp() * self._allowed[-1]
        for place, start in enumerate(self.starts):
            if place:
                state = (ahead[place - 1, start:] @ steps) * factors[place, start:]
            size = state.sum(dim=-1)
            ahead[place, start:], sizes[place, start:] = state / size[:, None], size
        right = logits.gather(2, self.states[..., None])[..., 0]
        weights = self.held * self.shares
        lost = ((sizes.log() + tops - right) * weights).sum() - (first[self.states[0]] * self.shares).sum()
        return float(lost - (self._observed * moves).sum()), factors, steps, ahead, sizes

"""The conditional random field's loss is what all sequences add up to, and its slopes are those of the loss."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from schematune.decoding.tagger import TAGGED, moves_of
from schematune.trainer.field import Batch


@st.composite
def batches(draw: st.DrawFn) -> tuple[Batch, list[list[list[int]]], list[list[int]]]:
    """Draw one to three rows of up to four places, in states that may follow one another, with their features."""
    lengths = sorted(draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
    states = [draw(st.lists(st.sampled_from([0, 1, 5]), min_size=count, max_size=count)) for count in lengths]
    for row in states:
        for place in range(len(row) - 1):
            state = row[place]
            if state and draw(st.booleans()):
                row[place + 1] = state + 1 if state % 2 else state
    grams = [[sorted({3, draw(st.integers(0, 9)), 7}) for _ in row] for row in states]
    shares = draw(st.lists(st.sampled_from([0.25, 1.0]), min_size=len(states), max_size=len(states)))
    return Batch.of(grams, states, shares, [0, 1, 2, 5, 6]), grams, states


def drawn(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return random weights of features and of moves, of seven states in all."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(TAGGED, 7, generator=generator), torch.randn(8, 7, generator=generator)


@given(batches(), st.integers(0, 1000))
@settings(deadline=None)
def test_the_loss_is_that_of_all_sequences(
    made: tuple[Batch, list[list[list[int]]], list[list[int]]], seed: int
) -> None:
    batch, grams, states = made
    weights, moves = drawn(seed)
    columns = batch.columns.tolist()
    own = moves_of(moves[[*columns, -1]][:, columns].double().numpy())
    wanted = 0.0
    for row, places, share in zip(states, grams, batch.shares.tolist(), strict=True):
        logits = np.stack([weights[some][:, columns].double().numpy().sum(axis=0) for some in places])

        def weight(way: tuple[int, ...], logits: np.ndarray = logits) -> float:
            steps = [own[-1, way[0]], *(own[one, two] for one, two in itertools.pairwise(way))]
            return float(np.prod(steps) * np.exp(sum(logits[place, state] for place, state in enumerate(way))))

        total = sum(weight(way) for way in itertools.product(range(len(columns)), repeat=len(row)))
        wanted -= share * math.log(weight(tuple(columns.index(state) for state in row)) / total)
    assert batch.loss(batch.logits(weights), moves) == pytest.approx(wanted, rel=1e-3, abs=1e-3)


@given(batches(), st.integers(0, 1000))
@settings(deadline=None)
def test_the_slopes_are_those_of_the_loss(
    made: tuple[Batch, list[list[list[int]]], list[list[int]]], seed: int
) -> None:
    batch, _, _ = made
    weights, moves = drawn(seed)
    lost, slope, turn = batch.slopes(batch.logits(weights), moves)
    assert lost == pytest.approx(batch.loss(batch.logits(weights), moves))
    step, generator = 1e-2, torch.Generator().manual_seed(seed)
    way, going = torch.randn(weights.shape, generator=generator), torch.randn(moves.shape, generator=generator)
    way[10:] = 0
    more = batch.loss(batch.logits(weights + step * way), moves + step * going)
    less = batch.loss(batch.logits(weights - step * way), moves - step * going)
    rows = [*batch.columns.tolist(), -1]
    said = (slope * way[:, batch.columns]).sum() + (turn * going[rows][:, batch.columns]).sum()
    assert (more - less) / (2 * step) == pytest.approx(float(said), rel=2e-2, abs=2e-2)

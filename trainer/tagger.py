"""Fits the tagger of an adapter to its pairs: which words of a request its arguments take.

The conditional random field of `schematune.decoding.tagger`, by maximum likelihood with L2 regularisation, found by L-BFGS. How far to
trust it is a temperature (Guo et al. 2017), fit on a part of the pairs whose families of wordings the other part does not have.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from tqdm import tqdm

from schematune.decoding.tagger import MOST_WORDS, TAGGED, Tagger, words_about
from schematune.schemas.call import Call
from schematune.schemas.pair import Pair
from schematune.schemas.spans import can_copy, places, units
from schematune.schemas.tool import ToolSet
from schematune.trainer.field import Batch
from schematune.trainer.joining import Judge
from schematune.trainer.weighing import family_of, is_own, is_unseen, shares

__all__ = ["fit_tagger", "marked"]

_LEAST = 2
"""Values of an argument that must be known."""

_SHARE = 0.9
"""Share of an argument's values that must stand in the request."""

_PENALTY = 0.05
_FAINT = 1
"""The largest weight, of 127, that is not kept."""

_STEPS = 60
_HEATS = tuple(0.7 * 1.2**step for step in range(12))


@dataclass(frozen=True)
class _Row:
    """A request of a tool: its text, the features of its words, their states, and what it counts for."""

    tool: str
    text: str
    grams: list[list[int]]
    states: list[int]
    own: bool
    family: str


def fit_tagger(
    pairs: Iterable[Pair], tools: ToolSet, *, judge: Judge | None = None, progress: bool = False
) -> Tagger | None:
    """Fit a tagger to pairs of one call each; None where no argument's values stand in their requests.

    It knows the string arguments at the top of each tool whose values, 90 % of them and two at least, are spans of the
    request; a tool that no pair calls has those that are called like another's. The user's own requests together weigh twice as much as those made by synthesis. Deterministic. `judge` is
    told of what was kept aside. `progress` shows a bar where it takes over two seconds.

    >>> from schematune.schemas.call import Call
    >>> pairs = [Pair.of(f"play {name} please", [Call("play", {"song": name})]) for name in ("Hey Jude", "Yesterday", "In My Life")]
    >>> tools = ToolSet({"name": "play", "parameters": {"properties": {"song": {"type": "string"}}}})
    >>> spans = fit_tagger(pairs, tools).read("play", "play Let It Be please").spans("song")
    >>> max(spans, key=spans.get)
    'Let It Be'
    """
    pairs = list(pairs)
    called = [(pair, pair.calls[0]) for pair in pairs if len(pair.calls) == 1 and pair.calls[0].name in tools]
    known = _known(called, tools)
    names = tuple(sorted({name for found in known.values() for name in found}))
    rows = [row for pair, call in called if (row := _row(pair, call, known, names)) is not None]
    if not names or not rows:
        return None
    columns = {
        tool: [0, *(1 + 2 * names.index(name) + part for name in of for part in (0, 1))] for tool, of in known.items()
    }
    seen, unseen = [row for row in rows if not is_unseen(row.family)], [row for row in rows if is_unseen(row.family)]
    with tqdm(desc="tagger of arguments", unit="step", delay=2, disable=not progress) as bar:
        heat = 1.0
        if seen and unseen:
            judged = [row for row in unseen if row.own] or unseen
            known_less = _fit(seen, columns, len(names), bar)
            heat = _heat(known_less, _batches(judged, columns))
            if judge is not None:
                told = [(r.tool, r.text, [columns[r.tool].index(s) for s in r.states]) for r in unseen if r.own]
                judge.words(less := _made(names, known, known_less, heat), told)
                judge.asked(less, [p for p in pairs if len(p.calls) == 1 and is_unseen(family_of(p))])
        return _made(names, known, _fit(rows, columns, len(names), bar), heat)


def _made(
    names: tuple[str, ...],
    known: Mapping[str, tuple[str, ...]],
    fitted: tuple[torch.Tensor, torch.Tensor],
    heat: float,
) -> Tagger:
    """Make a tagger of weights, at a temperature."""
    weights, moves = (part / heat for part in fitted)
    scale = weights.abs().amax(dim=0).clamp_min(1e-12) / 127
    table = (weights / scale).round().to(torch.int8)
    table[table.abs() <= _FAINT] = 0  # says nothing, and packs to half
    return Tagger(names, known, table.numpy(), scale.numpy(), moves.numpy())


def _known(called: Sequence[tuple[Pair, Call]], tools: ToolSet) -> dict[str, tuple[str, ...]]:
    """Return for each tool the arguments whose values stand in the requests; by their names for a tool never called."""
    seen, found = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for pair, call in called:
        for name, value in call.arguments.items():
            if isinstance(value, str) and can_copy(tools[call.name].properties.get(name)):
                seen[call.name, name] += 1
                found[call.name, name] += next(places(value, pair.said), None) is not None
    kept = {key for key, count in found.items() if count >= max(_LEAST, _SHARE * seen[key])}
    names, shown = {name for _, name in kept}, {call.name for _, call in called}
    known = {
        tool.name: tuple(
            name
            for name, schema in tool.properties.items()
            if (tool.name, name) in kept or (tool.name not in shown and name in names and can_copy(schema))
        )
        for tool in tools
    }
    return {tool: found for tool, found in known.items() if found}


def _row(pair: Pair, call: Call, known: Mapping[str, Sequence[str]], names: Sequence[str]) -> _Row | None:
    """Return a request with the states of its words; None where a value does not stand in it, or not on words of its own."""
    text = pair.said
    found = units(text)
    if call.name not in known or not 0 < len(found) <= MOST_WORDS:
        return None
    states = [0] * len(found)
    values = [(name, str(call.arguments[name])) for name in known[call.name] if name in call.arguments]
    for name, value in sorted(values, key=lambda item: -len(item[1])):
        begins = 1 + 2 * names.index(name)
        if not any(marked(states, found, place, begins) for place in places(value, text)):
            return None
    grams = words_about([text[a:b] for a, b in found], call.name)
    return _Row(call.name, text, grams, states, is_own(pair), family_of(pair))


def marked(states: list[int], words: Sequence[tuple[int, int]], place: tuple[int, int], begins: int) -> bool:
    """Give the words of a value their states, `begins` the first and the next one the others; False where one has a state already.

    `place` is where the value begins and ends, `words` where each word does. Nothing is changed where the words are taken, or none.

    >>> states = [0, 0, 0]
    >>> marked(states, [(0, 4), (5, 8), (9, 13)], (5, 13), 3), states, marked(states, [(0, 4), (5, 8), (9, 13)], (0, 8), 1)
    (True, [0, 3, 4], False)
    """
    inside = [number for number, (start, end) in enumerate(words) if place[0] <= start and end <= place[1]]
    if not inside or any(states[number] for number in inside):
        return False
    states[inside[0] : inside[-1] + 1] = [begins, *[begins + 1] * (len(inside) - 1)]
    return True


def _batches(rows: Sequence[_Row], columns: Mapping[str, Sequence[int]]) -> list[Batch]:
    """Return the requests of each tool."""
    weighed, batches = list(zip(rows, shares([row.own for row in rows]), strict=True)), []
    for tool, states in columns.items():
        some = sorted(
            ((row, share) for row, share in weighed if row.tool == tool), key=lambda item: len(item[0].states)
        )
        if some:
            known = [row for row, _ in some]
            held = [share for _, share in some]
            batches.append(Batch.of([row.grams for row in known], [row.states for row in known], held, states))
    return batches


def _fit(
    rows: Sequence[_Row], columns: Mapping[str, Sequence[int]], names: int, bar: "tqdm[Any]"
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the weights of features, shape (buckets, states), and of moves, shape (1 + states, states)."""
    batches, states = _batches(rows, columns), 1 + 2 * names
    weights, moves = torch.zeros(TAGGED, states), torch.zeros(1 + states, states)
    search = torch.optim.LBFGS([weights, moves], max_iter=_STEPS, history_size=8, line_search_fn="strong_wolfe")

    def loss() -> float:
        bar.update()
        weights.grad, moves.grad = 2 * _PENALTY * weights, 2 * _PENALTY * moves
        total = _PENALTY * float(weights.square().sum() + moves.square().sum())
        for batch in batches:
            lost, slope, turn = batch.slopes(batch.logits(weights), moves)
            weights.grad.index_add_(1, batch.columns, slope)
            before = torch.cat([batch.columns, torch.tensor([states])])
            moves.grad.index_put_((before[:, None], batch.columns[None, :]), turn, accumulate=True)
            total += lost
        return total

    search.step(loss)  # type: ignore[no-untyped-call]
    return weights, moves


def _heat(fitted: tuple[torch.Tensor, torch.Tensor], batches: Sequence[Batch]) -> float:
    """Return the temperature at which the states of requests that were not fitted are likeliest."""
    weights, moves = fitted
    logits = [batch.logits(weights) for batch in batches]

    def lost(heat: float) -> float:
        return sum(batch.loss(part / heat, moves / heat) for batch, part in zip(batches, logits, strict=True))

    return min(_HEATS, key=lost)

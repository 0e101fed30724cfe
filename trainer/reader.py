"""Fits the reader of a base: `python -m schematune.trainer.reader --out DIR --tools FILE ... --people DIR ... --avoid FILE ...`.

Reads the pairs that the base is trained on (`schematune.trainer.corpus`), each once as they are made, and finds the weights of
`schematune.decoding.reader` by stochastic gradients (Adam, Kingma and Ba 2015): of the conditional random field by its likelihood, of
the choice among tools by cross entropy. Pairs of invented tools from another seed are held out. The same seed gives the same
reader. Prints one JSON object last: the pairs read, and for those held out the shares of requests whose values are all found where
they are said, whose tool is chosen, and of which it is told whether they want several calls.
"""

import argparse
import json
import random
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional
from tqdm import tqdm

from schematune.decoding.choosing import several_seen, tools_seen
from schematune.decoding.reader import MOST_SLOTS, MOVES, NOT_MEANT, Reader, move_kinds
from schematune.decoding.slots import SEEN, slots_of, words_seen
from schematune.schemas.errors import SchematuneError
from schematune.schemas.pair import Evidence, Pair, heard_in
from schematune.schemas.spans import places, units
from schematune.schemas.tool import Tool, ToolSet
from schematune.trainer.corpus import Corpus, Sources
from schematune.trainer.hearing import heard_of
from schematune.trainer.retelling import Told, retold
from schematune.trainer.tagger import marked

__all__ = ["Row", "fit_reader", "main", "row_of", "states_of"]

ROWS = 48
"""Requests of a step."""

HELD_OUT = 400
"""Requests that are held out."""

_LONGEST = 160
_RATE = 0.01
_IN_ORDER = 0.35
"""Share of the tools that list their arguments in the order in which they are said."""

_KEPT = 60
"""Tool sets that are kept to stand beside the requests of others."""

_NEVER = -1e4
_LISTED = re.compile(r"\W*(?:\b(?:and|or|plus|then|also|as well as)\b)?\W*", re.IGNORECASE)


@dataclass(frozen=True)
class Row:
    """A request beside tools: the buckets of each tool, which is right (-1: none); and where its call is read, of each word.

    `words` holds for each word its buckets as one of no argument, then as one of each argument; `states` what it is.
    `many` are the buckets of a request that wants a call or several, and whether it wants `several`.
    """

    tools: list[np.ndarray]
    right: int
    words: list[list[np.ndarray]]
    states: list[int]
    many: np.ndarray | None = None
    several: bool = False


def row_of(pair: Pair, tools: ToolSet, rng: random.Random | None = None) -> Row | None:
    """Return a pair as a row to learn from, one of several calls without its words; None where no tool is called.

    With a random state, told as somebody may type it, and in part with the tool's arguments in the order in which they are said.
    """
    call, wanted = pair.calls[0], pair.calls[0].about
    if wanted not in tools:
        return None
    heard, evidence = heard_of(pair)
    told = Told(heard, 0) if rng is None else retold(heard, rng)
    words, found, spans = list[list[np.ndarray]](), units(heard), units(told.text)
    seen, right = tools_seen(told.text, list(tools)), tools.names.index(wanted)
    if len(pair.calls) > 1:
        same = all(other.name == call.name for other in pair.calls)
        return Row(seen if same else [], right, [], [], several_seen(told.text, tools[wanted]), several=True)
    many = several_seen(told.text, tools[wanted])
    tool = tools[call.name] if call.name in tools else None
    if tool is not None and rng is not None and rng.random() < _IN_ORDER:
        tool = _in_order(tool, evidence)
    states = _states(pair, tool, found) if tool is not None else []
    if tool is not None and states and len(spans) == len(found) + told.added:
        states = states + [0] * told.added
        outside, inside = words_seen(told.text, spans, tool, slots_of(tool))
        words = [[nothing, *some] for nothing, some in zip(outside, inside, strict=True)]
    return Row(seen, right, words, states if words else [], many)


def unfit(pair: Pair, tools: ToolSet, others: ToolSet, rng: random.Random) -> Row | None:
    """Return a pair's request beside `others` than its own tools, none of which is right."""
    names = {*tools.names}
    kept = [tool for tool in others if tool.name not in names]
    if len(pair.calls) != 1 or pair.calls[0].about not in tools or not kept:
        return None
    some = rng.sample(kept, min(len(kept), rng.choice((1, 1, 2, 3, 5, 8))))
    return Row(tools_seen(retold(heard_in(pair.messages), rng).text, some), -1, [], [])


def _in_order(tool: Tool, evidence: Sequence[Evidence]) -> Tool:
    """Return a tool with its arguments in the order in which they are said, those that are not said last."""
    said = {item.path.split(".")[1]: item.start for item in reversed(evidence) if item.start >= 0 and "." in item.path}
    names = sorted(tool.properties, key=lambda name: said.get(name, 10**6))
    return replace(tool, parameters={**tool.parameters, "properties": {name: tool.properties[name] for name in names}})


def _states(pair: Pair, tool: Tool, words: Sequence[tuple[int, int]]) -> list[int]:
    """Return the states of a request's words; none where they are not to be learnt from."""
    return (states_of(pair, tool, words) or []) if 0 < len(words) <= _LONGEST else []


def states_of(pair: Pair, tool: Tool, words: Sequence[tuple[int, int]]) -> list[int] | None:
    """Return what each word of a request is to its call: 0 nothing, 1 + 2 n the first of the n-th argument's value, 2 + 2 n a later one.

    By the evidence of the pair; a text without one is looked for. None where that does not come out: a value that is not
    said, two that take the same words.

    >>> from schematune.schemas.call import Call
    >>> [tool] = ToolSet({"name": "play", "parameters": {"properties": {"song": {"type": "string"}}}})
    >>> text = "play Hey Jude now"
    >>> states_of(Pair.of(text, [Call("play", {"song": "Hey Jude"})]), tool, units(text))
    [0, 1, 2, 0]
    """
    names, call, spans = list(tool.properties), pair.calls[0], dict[str, tuple[int, int]]()
    heard, evidence = heard_of(pair)
    if not 0 < len(names) <= MOST_SLOTS:
        return None
    for item in sorted(evidence, key=lambda item: item.start):
        name = item.path.split(".")[1]
        if item.start >= 0 and name in names:
            start, end = spans.get(name, (item.start, item.start))
            if not _LISTED.fullmatch(heard[end : item.start]):
                return None  # the parts of a list stand apart
            spans[name] = start, max(end, item.end)
    for name, value in call.arguments.items():
        if name in names and name not in spans and isinstance(value, str):
            place = next(places(value, heard), None)
            if place is None and not pair.evidence:
                return None
            spans.update({name: place} if place else {})
    states = [0] * len(words)
    in_order = sorted(spans.items(), key=lambda item: item[1][0] - item[1][1])
    return states if all(marked(states, words, place, 1 + 2 * names.index(name)) for name, place in in_order) else None


def rows(sources: Sources, seed: int) -> Iterator[Row]:
    """Yield rows without end."""
    rng, before = random.Random(seed), list[ToolSet]()
    for block in Corpus(sources, seed):
        for pair in block.pairs:
            others = rng.choice(before) if before and rng.random() < NOT_MEANT else None
            row = row_of(pair, block.tools, rng) if others is None else unfit(pair, block.tools, others, rng)
            if row is not None:
                yield row
        before = [*before[-_KEPT:], block.tools]


class _Weights:
    """The weights as they are learnt."""

    def __init__(self) -> None:
        self.words = torch.zeros(SEEN, 2, requires_grad=True)
        self.tools = torch.zeros(SEEN, 1, requires_grad=True)
        self.many = torch.zeros(SEEN, 1, requires_grad=True)
        self.moves = torch.zeros(MOVES, requires_grad=True)
        self.sparse = torch.optim.SparseAdam([self.words, self.tools, self.many], lr=_RATE)
        self.dense = torch.optim.Adam([self.moves], lr=_RATE)

    def step(self, batch: Sequence[Row], rate: float) -> float:
        for group in (*self.sparse.param_groups, *self.dense.param_groups):
            group["lr"] = rate
        loss = self._choice([row for row in batch if row.tools]) + self._spans([row for row in batch if row.states])
        loss = loss + self._several([row for row in batch if row.many is not None])
        self.sparse.zero_grad()
        self.dense.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.sparse.step()  # type: ignore[no-untyped-call]
        self.dense.step()
        return float(loss.detach())

    def _choice(self, batch: Sequence[Row]) -> torch.Tensor:
        """Return the cross entropy of the tools."""
        flat = _sums(self.tools, [ids for row in batch for ids in row.tools])[:, 0]
        parts = torch.split(flat, [len(row.tools) for row in batch])
        logits = torch.nn.utils.rnn.pad_sequence(list(parts), batch_first=True, padding_value=_NEVER)
        logits = torch.cat([torch.zeros(len(batch), 1), logits], dim=1)  # none of them
        return functional.cross_entropy(logits, torch.tensor([row.right + 1 for row in batch]))

    def _several(self, batch: Sequence[Row]) -> torch.Tensor:
        """Return the cross entropy of one call or several."""
        logits = _sums(self.many, [row.many for row in batch if row.many is not None])[:, 0]
        return functional.binary_cross_entropy_with_logits(logits, torch.tensor([float(row.several) for row in batch]))

    def _spans(self, batch: Sequence[Row]) -> torch.Tensor:
        """Return the negative log-likelihood of the states of words, a row's share of it."""
        if not batch:
            return torch.zeros(())
        longest, most = max(len(row.states) for row in batch), max(2 * len(row.words[0]) - 1 for row in batch)
        logits, gold, held = self._logits(batch, longest, most)
        kinds = torch.from_numpy(move_kinds(most))
        moves = torch.where(kinds >= 0, self.moves[kinds.clamp_min(0)], _NEVER)
        state = logits[0] + moves[-1]
        right = logits[0].gather(1, gold[0][:, None])[:, 0] + moves[-1][gold[0]]
        for place in range(1, longest):
            after = (state[:, :, None] + moves[:-1]).logsumexp(1) + logits[place]
            state = torch.where(held[place][:, None], after, state)
            said = logits[place].gather(1, gold[place][:, None])[:, 0] + moves[gold[place - 1], gold[place]]
            right = right + torch.where(held[place], said, 0.0)
        return (state.logsumexp(1) - right).mean()

    def _logits(self, batch: Sequence[Row], longest: int, most: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the logits of states, shape (places, rows, states), the right states, and what is no padding."""
        sums = _sums(self.words, [ids for row in batch for word in row.words for ids in word])
        spots = torch.tensor([
            (place, number, slot)
            for number, row in enumerate(batch) for place, word in enumerate(row.words) for slot in range(len(word))
        ])  # fmt: skip
        place, number, slot = spots.T
        own, size = slot > 0, (longest, len(batch), most)
        logits = torch.full(size, _NEVER)
        logits = logits.index_put((place[~own], number[~own], slot[~own]), sums[~own, 0])
        logits = logits.index_put((place[own], number[own], 2 * slot[own] - 1), sums[own, 0])
        logits = logits.index_put((place[own], number[own], 2 * slot[own]), sums[own, 1])
        gold, held = torch.zeros(size[:2], dtype=torch.int64), torch.zeros(size[:2], dtype=torch.bool)
        for column, row in enumerate(batch):
            gold[: len(row.states), column], held[: len(row.states), column] = torch.tensor(row.states), True
        return logits, gold, held

    def kept(self) -> Reader:
        """Return the reader with the weights to 8 bits."""
        every = torch.cat([self.words, self.tools, self.many], dim=1).detach()
        scale = every.abs().amax(dim=0).clamp_min(1e-12) / 127
        table = (every / scale).round().to(torch.int8).numpy()
        return Reader(table, scale.numpy(), self.moves.detach().numpy().copy())


def _sums(table: torch.Tensor, bags: Sequence[np.ndarray]) -> torch.Tensor:
    """Return the sum of a table's rows for each bag of them."""
    starts = np.cumsum([0, *(len(bag) for bag in bags[:-1])])
    flat = torch.from_numpy(np.concatenate(bags))
    return functional.embedding_bag(flat, table, torch.from_numpy(starts), mode="sum", sparse=True)


def fit_reader(sources: Sources, *, steps: int, seed: int = 0, progress: bool = True) -> Reader:
    """Fit a reader to 48 pairs a step."""
    weights, stream, average = _Weights(), rows(sources, seed), 0.0
    with tqdm(total=steps, desc="reader", unit="step", disable=not progress) as bar:
        for step in range(steps):
            loss = weights.step(list(islice(stream, ROWS)), _RATE * max(0.03, 1 - step / steps))
            average = loss if not step else 0.98 * average + 0.02 * loss
            bar.update()
            bar.set_postfix_str(f"loss {average:.3f}", refresh=False)
    return weights.kept()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    options = _parser().parse_args(argv)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        sources = Sources.read(options.tools, options.people, options.avoid, options.written)
        reader = fit_reader(sources, steps=options.steps, seed=options.seed, progress=not options.quiet)
        reader.save(options.out)
    except (SchematuneError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps({"pairs": options.steps * ROWS, **_judged(reader)}), flush=True)
    return 0


def _judged(reader: Reader) -> dict[str, float]:
    """Return how much of what is held out a reader finds."""
    right = spans = chosen = many = counted = called = 0
    for block in Corpus(Sources(), seed=999_999):
        for pair in block.pairs:
            if pair.calls[0].about not in block.tools:
                continue
            heard = heard_in(pair.messages)
            called += 1
            counted += (reader.several(heard, block.tools[pair.calls[0].about]) > 0.5) == (len(pair.calls) > 1)
            if len(pair.calls) != 1:
                continue
            logs = reader.chosen(heard, block.tools)
            many += 1
            chosen += max(logs, key=lambda name: logs[name]) == pair.calls[0].about
            name = pair.calls[0].name
            tool = block.tools[name] if name in block.tools else None
            if tool is not None and (states := _states(pair, tool, units(heard))):
                reading = reader.read(tool, heard)
                spans += 1
                right += reading is not None and reading.best() == states
        if many >= HELD_OUT:
            break
    shares = {"spans": right / spans, "tools": chosen / many, "several": counted / called}
    return {name: round(share, 4) for name, share in shares.items()}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m schematune.trainer.reader", description=(__doc__ or "").split("\n")[0]
    )
    add = parser.add_argument
    add("--out", type=Path, required=True, metavar="DIR", help="the base's folder, where the reader goes")
    add("--tools", type=Path, nargs="*", default=[], metavar="FILE", help="catalogues of tools, JSON Lines")
    add(
        "--people",
        type=Path,
        nargs="*",
        default=[],
        metavar="DIR",
        help="folders of people's requests with their tools",
    )
    add(
        "--avoid",
        type=Path,
        nargs="*",
        default=[],
        metavar="FILE",
        help="cases to be scored on: their requests are left out",
    )
    add("--written", type=Path, metavar="DIR", help="folder of requests written for the project (trainer/written)")
    add("--steps", type=int, default=2500, metavar="N", help=f"steps, {ROWS} pairs each (2500)")
    add("--seed", type=int, default=7, help="seed of the pairs (7)")
    add("--quiet", action="store_true", help="no progress bar")
    return parser


if __name__ == "__main__":
    sys.exit(main())

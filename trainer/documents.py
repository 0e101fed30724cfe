"""What a pretraining step reads: blocks of the corpus as documents of tokens, and documents packed into batches.

A block with many requests becomes several documents, each with the tools in front: the first call of each is made from
the tools alone, as in use, and the later ones may look at those before. A batch is one row of tokens without padding
between documents; which document a token is of, and where in it, travels beside the tokens.
"""

import os
import random
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch

from schematune.schemas.pair import Message
from schematune.schemas.render import Renderer
from schematune.trainer.corpus import Block, Corpus, Sources

__all__ = ["Batch", "Documents", "Feed", "encode", "pack", "split"]

SIZES = (1, 1, 2, 3, 4, 6, 16)
"""Requests in a document, drawn for each."""

Document = tuple[list[int], list[float]]
"""Token ids, and a loss weight for each: 1 on calls, less on requests, 0 on tools and context."""


class Batch(NamedTuple):
    """Documents one behind the other in a row of T tokens, of which n are to be told."""

    ids: torch.Tensor
    """Tokens, (T,) int32; zeros behind the last document."""
    places: torch.Tensor
    """Where in its document each token stands, (T,) int32."""
    ends: torch.Tensor
    """0, and where each document ends, (documents + 1,) int32; what fills the row up counts as a document."""
    wanted: torch.Tensor
    """Places whose next token counts, (n,) int64, filled up to a multiple of 512 with weights of 0."""
    targets: torch.Tensor
    """Those next tokens, (n,) int64."""
    weights: torch.Tensor
    """How much each counts, (n,) float32."""


def head(block: Block, renderer: Renderer) -> list[int]:
    """Return what stands before a block's first request, as token ids: the tools, where they are shown, and the context."""
    empty: list[Message] = [{"role": "user", "content": ""}]
    return renderer.prompt(empty, context=block.pairs[0].context, tools=block.tools if block.shown else None)[:-3]


def encode(
    block: Block, renderer: Renderer, *, limit: int, request_weight: float, before: list[int] | None = None
) -> Document:
    """Return a block as one document: 1 is the weight of calls, `request_weight` that of requests.

    Turns that would go over `limit` tokens are left out; two empty lists where not one fits. `before` is the block's
    `head` where it is known.
    """
    tokenizer: Any = renderer.tokenizer
    user, end, call = tokenizer.convert_tokens_to_ids(["<|user|>", "<|end|>", "<|call|>"])
    ids = list(head(block, renderer) if before is None else before)
    weights, answered = [0.0] * len(ids), False
    for pair in block.pairs:
        said = tokenizer.encode(pair.request, add_special_tokens=False)
        answer = tokenizer.encode(renderer.completion(pair.calls, block.tools), add_special_tokens=False) + [end]
        earlier = [token for message in pair.messages[:-1] for token in _earlier(message, renderer)]
        turn = [*earlier, user, *said, end, call]
        if len(ids) + len(turn) + len(answer) > limit:
            continue
        full = 1.0 if block.shown or answered else 0.2  # without tools the first call can only be guessed
        weights += [0.0] * (len(earlier) + 1) + [request_weight] * len(said) + [0.0, 0.0] + [full] * len(answer)
        ids, answered = ids + turn + answer, True
    return (ids, weights) if answered else ([], [])


def _earlier(message: Message, renderer: Renderer) -> list[int]:
    """Return a turn of a conversation before its last request, as the chat template writes it."""
    tokenizer: Any = renderer.tokenizer
    turn = renderer.plain(message)
    mark = {"assistant": "<|call|>", "tool": "<|result|>"}.get(turn["role"], "<|user|>")
    first, end = tokenizer.convert_tokens_to_ids([mark, "<|end|>"])
    return [first, *tokenizer.encode(turn["content"], add_special_tokens=False), end]


def split(
    block: Block, renderer: Renderer, rng: random.Random, *, limit: int, request_weight: float
) -> Iterator[Document]:
    """Yield a block as documents of one or more of its requests each; long lists of tools get more of them."""
    before = head(block, renderer)
    at = 0
    while at < len(block.pairs):
        size = max(rng.choice(SIZES), len(before) // 400)
        part = replace(block, pairs=block.pairs[at : at + size])
        ids, weights = encode(part, renderer, limit=limit, request_weight=request_weight, before=before)
        if ids:
            yield ids, weights
        at += size


def pack(documents: Sequence[Document], size: int) -> Batch:
    """Put documents into a row of `size` tokens; raises `ValueError` where they are longer together.

    >>> batch = pack([([5, 6, 7], [0.0, 0.0, 1.0]), ([8, 9], [0.0, 0.5])], size=8)
    >>> batch.ids.tolist(), batch.places.tolist(), batch.ends.tolist()
    ([5, 6, 7, 8, 9, 0, 0, 0], [0, 1, 2, 0, 1, 0, 1, 2], [0, 3, 5, 8])
    >>> batch.wanted[:2].tolist(), batch.targets[:2].tolist(), batch.weights[:3].tolist()
    ([1, 3], [7, 9], [1.0, 0.5, 0.0])
    """
    ids = torch.tensor([token for document, _ in documents for token in document], dtype=torch.int32)
    weights = torch.tensor([weight for _, own in documents for weight in own])
    lengths = [len(document) for document, _ in documents]
    if len(ids) > size:
        raise ValueError(f"{len(ids)} tokens do not fit into {size}")
    if len(ids) < size:
        lengths.append(size - len(ids))
        ids = torch.nn.functional.pad(ids, (0, lengths[-1]))
    wanted = weights[1:].nonzero().squeeze(1)
    spare = -len(wanted) % 512  # few shapes: each new one costs a compiler, or a CPU, time
    pad = torch.nn.functional.pad
    return Batch(
        ids=ids,
        places=torch.cat([torch.arange(length, dtype=torch.int32) for length in lengths]),
        ends=torch.tensor([0, *lengths], dtype=torch.int32).cumsum(0, dtype=torch.int32),
        wanted=pad(wanted, (0, spare)),
        targets=pad(ids[wanted + 1].long(), (0, spare)),
        weights=pad(weights[wanted + 1], (0, spare)),
    )


class Documents(torch.utils.data.IterableDataset[Batch]):
    """Batches of `size` tokens without end, other ones in each worker and for each seed."""

    def __init__(
        self, sources: Sources, renderer: Renderer, *, size: int, limit: int, request_weight: float, seed: int
    ) -> None:
        """`limit` is the length in tokens of the longest document."""
        self.sources, self.renderer, self.seed = sources, renderer, seed
        self.size, self.limit, self.request_weight = size, min(limit, size), request_weight

    def __iter__(self) -> Iterator[Batch]:
        """Yield batches; a document that does not fit any more opens the next one."""
        torch.set_num_threads(1)
        worker: Any = torch.utils.data.get_worker_info()
        if worker is not None:
            os.nice(15)  # what trains goes first
        seed = self.seed + (worker.id if worker is not None else 0) * 104_729
        rng, waiting, held = random.Random(seed), list[Document](), 0
        for block in Corpus(self.sources, seed, longest=self.limit):
            for document in split(block, self.renderer, rng, limit=self.limit, request_weight=self.request_weight):
                if held + len(document[0]) > self.size:
                    yield pack(waiting, self.size)
                    waiting, held = [], 0
                waiting.append(document)
                held += len(document[0])


class Feed:
    """Batches as they come, read ahead by a thread; where none is ready, one of those before again.

    A device that reads faster than the workers write is kept busy so. Each batch is read `replays` times more at
    most: at 0 the reader waits for a new one.
    """

    def __init__(self, batches: Iterable[Batch], *, replays: int = 0, seed: int = 0) -> None:
        """See the class; the batches are kept in memory where they may be read again.

        Their workers are forked here and not in the thread: a process forked while another thread imports waits for ever.
        """
        self.replays, self.rng = replays, random.Random(seed)
        self.fresh: list[Batch] = []
        self.kept: list[tuple[Batch, int]] = []
        self.read = self.again = 0
        self.room, self.ready = threading.Semaphore(64), threading.Semaphore(0)
        self.failure: BaseException | None = None
        threading.Thread(target=self._fill, args=(iter(batches),), daemon=True).start()

    def _fill(self, batches: Iterator[Batch]) -> None:
        try:
            for batch in batches:
                self.room.acquire()
                self.fresh.append(Batch(*(part.clone() for part in batch)) if self.replays else batch)
                self.ready.release()
        except BaseException as error:  # the reader raises it
            self.failure = error
            self.ready.release()

    def next(self) -> Batch:
        """Return a batch; raises what the workers raised."""
        if not self.ready.acquire(blocking=not self.kept):
            return self._again()
        if not self.fresh and self.failure is not None:
            raise self.failure
        batch = self.fresh.pop(0)
        self.room.release()
        self.read += 1
        if self.replays:
            self.kept.append((batch, self.replays))
        return batch

    def _again(self) -> Batch:
        place = self.rng.randrange(len(self.kept))
        batch, left = self.kept[place]
        self.kept[place] = self.kept[-1]
        self.kept.pop()
        if left > 1:
            self.kept.append((batch, left - 1))
        self.again += 1
        return batch

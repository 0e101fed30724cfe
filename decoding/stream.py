"""Answers as they are written: text and completed arguments, as soon as they can no longer be taken back.

What a model writes may still be taken back (`schematune.decoding.guard`) or cut for an end in time
(`schematune.decoding.closing`). A stream gives out only what will stay; the decoding thread keeps what it gave.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any

from schematune.decoding.checks import Path
from schematune.decoding.grammar import Grammar
from schematune.decoding.watch import Watch
from schematune.schemas.call import Answer
from schematune.schemas.jsontext import JSON

__all__ = ["Piece", "Progress", "Run", "astreamed", "streamed"]

Progress = Callable[[int, list[int]], None]
Run = Callable[[Progress, Callable[[], bool]], Answer]
_Told = list[int] | Answer | BaseException


@dataclass(frozen=True)
class Piece:
    """What is new in an answer: `text`, and the `fields` completed with it; with the last piece, the `answer`.

    A field is the number of its call, its path in the arguments, and its value; the last field of a call has an empty path
    and all arguments.
    """

    text: str = ""
    fields: tuple[tuple[int, Path, JSON], ...] = ()
    answer: Answer | None = None


class _Work:
    """A thread that makes an answer, and tells what there is of it."""

    def __init__(self, run: Run, tell: Callable[[_Told], Any]) -> None:
        self.stopped = Event()

        def work() -> None:
            try:
                tell(run(lambda _, tokens: tell(list(tokens)), self.stopped.is_set))
            except BaseException as error:
                tell(error)

        self.thread = Thread(target=work, daemon=True)
        self.thread.start()


class _Reader:
    """Turns what has gone out so far into pieces."""

    def __init__(self, grammar: Grammar | None, tokenizer: Any) -> None:
        self.grammar, self.tokenizer = grammar, tokenizer
        self.text, self.fields = "", 0
        self.answer: Answer | None = None
        self.watch = Watch(grammar.checks) if grammar is not None and grammar.schemas else None

    def told(self, told: _Told) -> Iterator[Piece]:
        """Turn all tokens so far, or the answer, into what is new; raise what is an error."""
        if isinstance(told, BaseException):
            raise told
        if isinstance(told, Answer):
            self.answer = told
            last = self.read(told.text) if told.error is None else Piece()
            yield Piece(last.text, last.fields, told)
            return
        text = self.tokenizer.decode(told, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        piece = self.read(str(text).rstrip("\ufffd"))  # half a letter at the end waits
        if piece.text or piece.fields:
            yield piece

    def read(self, text: str) -> Piece:
        """Read the whole text so far."""
        new, self.text = text[len(self.text) :], text
        if self.watch is None:
            return Piece(new)
        self.watch.restart(text.encode())
        news = self.watch.news[self.fields :]
        self.fields += len(news)
        return Piece(new, tuple(news))


def streamed(run: Run, grammar: Grammar | None, tokenizer: Any) -> Generator[Piece, None, None]:
    """Yield the pieces of an answer that `run` makes in a thread, given what to tell its progress and whether to stop.

    Closing the iterator stops the decoding. What `run` raises is raised here.
    """
    queue: SimpleQueue[_Told] = SimpleQueue()
    reader, work = _Reader(grammar, tokenizer), _Work(run, queue.put)
    try:
        while reader.answer is None:
            yield from reader.told(queue.get())
    finally:
        work.stopped.set()
        work.thread.join()


async def astreamed(run: Run, grammar: Grammar | None, tokenizer: Any) -> AsyncGenerator[Piece, None]:
    """Yield the same as `streamed` without blocking the event loop; cancelling the task stops the decoding, too."""
    loop, queue = asyncio.get_running_loop(), asyncio.Queue[_Told]()
    reader = _Reader(grammar, tokenizer)
    work = _Work(run, lambda told: loop.call_soon_threadsafe(queue.put_nowait, told))
    try:
        while reader.answer is None:
            for piece in reader.told(await queue.get()):
                yield piece
    finally:
        work.stopped.set()
        await asyncio.to_thread(work.thread.join)

"""Answers as they are written: text and completed arguments, as soon as they can no longer be taken back.

What a model writes may still be taken back (`schematune.decoding.guard`) or cut for an end in time
(`schematune.decoding.closing`). A stream gives out only what will stay; the decoding thread keeps what it gave.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any

from schematune.decoding.checks import Path
from schematune.decoding.grammar import Grammar
from schematune.decoding.watch import Watch
from schematune.schemas.call import Answer
from schematune.schemas.jsontext import JSON

__all__ = ["Piece", "streamed"]

Progress = Callable[[int, list[int]], None]


@dataclass(frozen=True)
class Piece:
    """What is new in an answer: `text`, and the `fields` completed with it; with the last piece, the `answer`.

    A field is the number of its call, its path in the arguments, and its value; the last field of a call has an empty path
    and all arguments.
    """

    text: str = ""
    fields: tuple[tuple[int, Path, JSON], ...] = ()
    answer: Answer | None = None


class _Reader:
    """Turns what has gone out so far into pieces."""

    def __init__(self, grammar: Grammar | None, tokenizer: Any) -> None:
        self.grammar, self.tokenizer = grammar, tokenizer
        self.text, self.fields = "", 0
        self.watch = Watch(grammar.checks) if grammar is not None and grammar.schemas else None

    def tokens(self, tokens: list[int]) -> Piece:
        """Read all tokens so far; half a letter at the end waits."""
        text = self.tokenizer.decode(tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return self.read(str(text).rstrip("\ufffd"))

    def read(self, text: str) -> Piece:
        """Read the whole text so far."""
        new, self.text = text[len(self.text) :], text
        if self.watch is None:
            return Piece(new)
        self.watch.restart(text.encode())
        news = self.watch.news[self.fields :]
        self.fields += len(news)
        return Piece(new, tuple(news))


def streamed(
    run: Callable[[Progress, Callable[[], bool]], Answer], grammar: Grammar | None, tokenizer: Any
) -> Generator[Piece, None, None]:
    """Yield the pieces of an answer that `run` makes in a thread, given what to tell its progress and whether to stop.

    Closing the iterator stops the decoding. What `run` raises is raised here.
    """
    queue: SimpleQueue[list[int] | Answer | BaseException] = SimpleQueue()
    stopped = Event()

    def work() -> None:
        try:
            queue.put(run(lambda _, tokens: queue.put(list(tokens)), stopped.is_set))
        except BaseException as error:
            queue.put(error)

    reader, thread = _Reader(grammar, tokenizer), Thread(target=work, daemon=True)
    thread.start()
    try:
        while isinstance(told := queue.get(), list):
            piece = reader.tokens(told)
            if piece.text or piece.fields:
                yield piece
        if isinstance(told, BaseException):
            raise told
        last = reader.read(told.text) if told.error is None else Piece()
        yield Piece(last.text, last.fields, told)
    finally:
        stopped.set()
        thread.join()

"""Work done in a process of its own, each piece within a bound on time and memory.

What a piece of work does to its process is seen from outside: a crash (a panic that aborts, a signal), a call that
takes too long, memory that runs out. The process is then replaced, and the next piece goes on in a fresh one.
"""

import multiprocessing
import resource
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Literal

__all__ = ["Done", "Worker"]


@dataclass(frozen=True)
class Done:
    """What came of a piece of work: its result, or how it ended without one and what is known of that."""

    kind: Literal["done", "raised", "crashed", "timeout"]
    result: Any = None
    told: str = ""


class Worker:
    """Runs `work` on one item after the other in a forked process.

    `seconds` bound each call, `megabytes` what the process may take beyond what it begins with (a `MemoryError`, or a
    crash of the libraries below). Use it as a context manager::

        with Worker(len, seconds=1.0) as worker:
            worker("abc").result
    """

    def __init__(self, work: Callable[[Any], Any], *, seconds: float, megabytes: int = 0) -> None:
        """See the class."""
        self.work, self.seconds, self.megabytes = work, seconds, megabytes
        self._process: Any = None
        self._connection: Any = None

    def __enter__(self) -> "Worker":
        """Return the worker; its process starts with the first item."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self._end()

    def __call__(self, item: Any) -> Done:
        """Do one piece of work."""
        if self._process is None:
            self._start()
        try:
            self._connection.send(item)
            if not self._connection.poll(self.seconds):
                self._end()
                return Done("timeout", told=f"over {self.seconds:g} s")
            done: Done = self._connection.recv()
            return done
        except (EOFError, OSError):
            self._process.join()
            code = self._process.exitcode
            self._end()
            return Done("crashed", told=f"signal {-code}" if code and code < 0 else f"exit status {code}")

    def _start(self) -> None:
        context = multiprocessing.get_context("fork")  # what is loaded and compiled here is there too
        self._connection, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(self.work, other, self.megabytes), daemon=True)
        self._process.start()
        other.close()

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._connection.close()
            self._process = None


def _serve(work: Callable[[Any], Any], connection: Connection, megabytes: int) -> None:
    if megabytes:
        with open("/proc/self/statm", encoding="ascii") as file:
            pages = int(file.read().split()[5])  # data and stack, which is what the limit counts
        most = pages * resource.getpagesize() + megabytes * 2**20
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    while True:
        try:
            item = connection.recv()
        except EOFError:
            return
        try:
            connection.send(Done("done", work(item)))
        except BaseException as error:  # a panic of Rust is no Exception
            connection.send(Done("raised", told=f"{type(error).__name__}: {error}"[:500]))

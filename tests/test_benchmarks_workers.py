"""Workers: what a piece of work does to its process is told, and the next piece is done all the same."""

import os
import time

import pytest

from schematune.benchmarks.workers import Worker
from schematune.schemas.errors import ModelError


def work(item: str) -> int:
    if item == "raise":
        raise ModelError("broken")
    if item == "crash":
        os.abort()
    if item == "leave":
        os._exit(3)
    if item == "hang":
        time.sleep(60)
    if item == "eat":
        return len(bytearray(600 * 2**20))
    return len(item)


def test_each_way_to_end_is_told_apart() -> None:
    with Worker(work, seconds=2.0, megabytes=200) as worker:
        done = {item: worker(item) for item in ("abc", "raise", "crash", "leave", "hang", "eat", "ab")}
    kinds = {item: one.kind for item, one in done.items()}
    assert kinds == {"abc": "done", "raise": "raised", "crash": "crashed", "leave": "crashed", "hang": "timeout",
                     "eat": "raised", "ab": "done"}  # fmt: skip
    assert (done["abc"].result, done["ab"].result) == (3, 2)
    assert done["crash"].told == "signal 6" and done["leave"].told == "exit status 3"
    assert "broken" in done["raise"].told and "MemoryError" in done["eat"].told


def test_a_tokenizer_that_is_not_there() -> None:
    from schematune.benchmarks.vocabularies import tokenizer_named

    assert len(tokenizer_named("builtin")) == 4096
    with pytest.raises(ModelError, match="builtin, trained or tekken"):
        tokenizer_named("/no/such/folder")

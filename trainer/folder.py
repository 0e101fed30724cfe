"""Where a run writes: a hidden folder beside the result, and one rename when everything is whole.

For `adapters/NAME` the work is done in `adapters/.NAME.partial`: its `run.json` holds the digest of all that
the run depends on, its checkpoints let a killed run go on, and its `result` becomes `adapters/NAME` at the
end. So a folder that looks finished is finished, and an older adapter of that name stands until then.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from schematune.schemas.contract import CONTRACT_FILE
from schematune.schemas.errors import TuneError
from schematune.schemas.files import write_text
from schematune.schemas.jsontext import compact

__all__ = ["Work", "check_out", "work_in"]

RUN_FILE = "run.json"


@dataclass(frozen=True)
class Work:
    """A run's folders: `partial` with the checkpoints, `result` which becomes `out`."""

    out: Path
    partial: Path

    @property
    def result(self) -> Path:
        """The folder that becomes the result."""
        return self.partial / "result"

    def land(self) -> None:
        """Move the result into its place; an older one of that name stands until the new one does."""
        for path in self.result.iterdir():
            _sync(path)
        _sync(self.result)
        old = _old(self.out)
        if self.out.exists():
            self.out.rename(old)
        try:
            self.result.rename(self.out)
        except OSError:
            if old.exists():
                old.rename(self.out)
            raise
        shutil.rmtree(old, ignore_errors=True)
        shutil.rmtree(self.partial, ignore_errors=True)


def check_out(out: Path) -> None:
    """Raise `TuneError` unless a result may be written to `out`: it is free, empty, or schematune's own."""
    _recover(out)
    if not out.exists():
        return
    own = out.is_dir() and ((out / CONTRACT_FILE).is_file() or not any(out.iterdir()))
    if not own:
        what = "holds files that schematune did not write" if out.is_dir() else "is a file"
        raise TuneError(f"it {what}, and is not overwritten", where=str(out), fix="give another out=")


@contextmanager
def work_in(
    out: Path, digest: str, *, resume: bool = True, say: Callable[[str], None] = lambda _: None
) -> Iterator[Work]:
    """Open the work folder of `out` for a run with this `digest`, and keep other processes out of it.

    Checkpoints of a run with another digest, or any where `resume` is false, are removed, which `say` tells.
    Where the body raises, checkpoints stay and everything else is removed; errors of the system (a full
    disk, no permission) come out as `TuneError`.
    """
    work = Work(out, out.parent / f".{out.name}.partial")
    try:
        check_out(out)
        work.partial.mkdir(parents=True, exist_ok=True)
        with _lock(work.partial):
            _begin(work, digest, resume, say)
            try:
                yield work
            except BaseException:
                _leave(work)
                raise
    except OSError as error:
        raise TuneError(
            f"cannot be written: {error.strerror or error}",
            where=str(error.filename or out),
            fix="free some space or give another out=, then call tune() again",
        ) from error


def _begin(work: Work, digest: str, resume: bool, say: Callable[[str], None]) -> None:
    shutil.rmtree(work.result, ignore_errors=True)
    earlier = [path for path in work.partial.glob("checkpoint-[0-9]*")]
    same = _digest(work.partial) == digest
    if earlier and not (same and resume):
        why = "resume=False" if same else "its tools, pairs, base or options were others"
        say(f"{work.out}: an interrupted run is not gone on with ({why}); starting anew")
    if not (same and resume):
        for path in earlier:
            shutil.rmtree(path)
        write_text(work.partial / RUN_FILE, compact({"digest": digest}) + "\n")
    work.result.mkdir()


def _leave(work: Work) -> None:
    """Keep only what a later run can go on from."""
    shutil.rmtree(work.result, ignore_errors=True)
    if not any(work.partial.glob("checkpoint-[0-9]*")):
        shutil.rmtree(work.partial, ignore_errors=True)


def _digest(partial: Path) -> str:
    try:
        return str(json.loads((partial / RUN_FILE).read_text(encoding="utf-8"))["digest"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _old(out: Path) -> Path:
    return out.parent / f".{out.name}.old"


def _recover(out: Path) -> None:
    """Put an older result back that a process killed between two renames left aside."""
    old = _old(out)
    if old.exists() and not out.exists():
        old.rename(out)
    elif old.exists():
        shutil.rmtree(old, ignore_errors=True)


def _sync(path: Path) -> None:
    with suppress(OSError):  # not every system lets a folder be synced
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def _lock(partial: Path) -> Iterator[None]:
    """Hold the folder for this process; the system lets go of it when the process dies."""
    try:
        import fcntl
    except ImportError:  # no such locks on this system
        yield
        return
    handle = os.open(partial, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise TuneError(
                "another process is tuning into it", where=str(partial), fix="wait for it, or give another out="
            ) from error
        yield
    finally:
        os.close(handle)

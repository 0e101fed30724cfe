"""Does every schema end in a valid value? `python -m schematune.benchmarks.compliance --schemas FILE`.

Reads schemas, one JSON object a line (`schema`; MaskBench has them), and has a base with random weights (`--base builtin`:
the built-in one) decode a value for each at temperature 1, with the default budget of tokens taken back. The reference
implementation, jsonschema, judges what comes out, with formats on; it takes no part in decoding. `--rows`
schemas are decoded together, and have `--seconds`, after which the values are ended; a process of its own decodes, so
that what hangs or crashes is counted and the rest goes on. With `--out FILE` each outcome is written as it comes, and a run begins where the last ended.

Prints progress and a table of what failed on stderr and, as the last line of stdout, one JSON object; shares are of all
schemas.
"""

import argparse
import json
import multiprocessing
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tqdm import tqdm

from schematune.benchmarks.randombase import random_base
from schematune.benchmarks.sampling import judge_of
from schematune.schemas.errors import ExampleError, SchematuneError
from schematune.schemas.jsontext import JSON

__all__ = ["comply", "figures", "main"]

_SHOWN = 40
_GRACE = 60.0
_REQUEST = "Write a value."


def comply(
    base: Any,
    schemas: Sequence[JSON],
    *,
    max_new_tokens: int = 4096,
    temperature: float = 1.0,
    seed: int = 0,
    seconds: float = 60,
) -> list[dict[str, JSON]]:
    """Decode a value for each schema, together, and judge them; never raises for what is wrong with a schema.

    An outcome is `"valid"`, `"invalid"`, `"unjudged"` where the reference implementation cannot tell, or the name of
    the error.
    """
    from schematune.decoding.rows import Sampling
    from schematune.decoding.structured import structured_batch

    begun = time.perf_counter()

    def late() -> bool:
        return time.perf_counter() - begun > seconds

    options: Any = {"max_new_tokens": max_new_tokens, "sampling": Sampling(temperature, seed=seed), "cancelled": late}
    found = structured_batch(base, [_REQUEST] * len(schemas), schemas, **options)
    rows: list[dict[str, JSON]] = []
    for schema, one in zip(schemas, found, strict=True):
        if isinstance(one, SchematuneError):
            text = str(getattr(one, "text", ""))[-300:]
            rows.append({"outcome": type(one).__name__, "why": str(one)[:500], "text": text})
            continue
        outcome, why = _verdict(schema, one.value)
        usage = one.usage
        rows.append(
            {
                "outcome": outcome,
                "why": why,
                "seconds": round(usage.latency_ms / 1000, 2),
                "tokens": usage.completion_tokens,
                "closed": usage.closed_tokens,
                "late": usage.latency_ms > seconds * 1000,
                **({} if outcome == "valid" else {"text": one.text[-300:]}),
            }
        )
    return rows


def _verdict(schema: JSON, value: JSON) -> tuple[str, str]:
    try:
        wrong = list(islice(judge_of(schema).iter_errors(value), 1))
    except Exception as error:  # a pattern that Python does not know, a reference that it would fetch
        return "unjudged", f"{type(error).__name__}: {str(error)[:200]}"
    return ("invalid", f"{wrong[0].json_path}: {wrong[0].message[:300]}") if wrong else ("valid", "")


def _work(pipe: Connection, folder: str, options: Mapping[str, Any]) -> None:
    """Decode what comes through the pipe, in a process of its own."""
    import torch

    from schematune.decoding.base import load_base

    torch.set_num_threads(1)
    base = load_base(folder, device="cpu")
    pipe.send("ready")
    while True:
        schemas = pipe.recv()
        try:
            pipe.send(comply(base, schemas, **options))
        except Exception as error:  # what is no typed error is what this counts
            pipe.send([{"outcome": "crash", "why": f"{type(error).__name__}: {str(error)[:300]}"}] * len(schemas))


class _Worker:
    """A process that decodes, started again when it hangs or dies."""

    def __init__(self, folder: str, options: Mapping[str, Any]) -> None:
        self.folder, self.options = folder, options
        self.process: Any = None

    def __call__(self, schemas: Sequence[JSON]) -> list[dict[str, JSON]]:
        """Return the outcomes of schemas decoded together; where that fails, of each alone."""
        rows = self._together(schemas)
        if len(schemas) > 1 and any(row["outcome"] in ("hang", "crash") for row in rows):
            return [row for schema in schemas for row in self._together([schema])]
        return rows

    def _together(self, schemas: Sequence[JSON]) -> list[dict[str, JSON]]:
        if self.process is None:
            context = multiprocessing.get_context("spawn")
            self.pipe, other = context.Pipe()
            self.process = context.Process(target=_work, args=(other, self.folder, self.options), daemon=True)
            self.process.start()
            other.close()
            self.pipe.recv()
        self.pipe.send(schemas)
        seconds = float(self.options["seconds"]) + _GRACE
        try:
            if self.pipe.poll(seconds):
                return list(self.pipe.recv())
            row: dict[str, JSON] = {"outcome": "hang", "why": f"no end after {seconds:.0f} s"}
        except (EOFError, OSError) as error:
            row = {"outcome": "crash", "why": f"the process died: {error!r}"}
        self.stop()
        return [row] * len(schemas)

    def stop(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.process = None


def figures(rows: Sequence[Mapping[str, JSON]]) -> dict[str, JSON]:
    """Return the figures as one JSON object.

    `finished` is the share of values that came out, `invalid` that of values that the judge refuses, `unjudged` (in
    `errors`) counts those that it cannot judge, `closed` those that had an end or a part written for them, `late` those
    that were ended because their time was up.

    >>> figures([{"outcome": "valid", "closed": 3}, {"outcome": "SchemaError"}])["errors"]
    {'SchemaError': 1}
    """
    counts = Counter(str(row["outcome"]) for row in rows)
    share = {name: round(counts[name] / max(1, len(rows)), 4) for name in ("valid", "invalid")}
    out = counts["valid"] + counts["invalid"] + counts["unjudged"]
    others = {name: many for name, many in counts.most_common() if name not in ("valid", "invalid", "crash")}
    return {
        "benchmark": "compliance",
        "schemas": len(rows),
        "finished": round(out / max(1, len(rows)), 4),
        **share,
        "errors": others,
        "crashes": counts["crash"],
        "closed": round(sum(bool(row.get("closed")) for row in rows) / max(1, len(rows)), 4),
        "late": sum(bool(row.get("late")) for row in rows),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark from the command line and return the exit status."""
    options = _parser().parse_args(argv)
    try:
        schemas = _read(options.schemas, options.limit, options.sample, options.seed)
        done = _done(options.out)
    except (SchematuneError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    folder = options.base
    if folder == "random":
        folder = str(random_base(options.folder or Path(tempfile.gettempdir()) / "schematune-random-base"))
    settings = {name: getattr(options, name) for name in ("max_new_tokens", "temperature", "seed", "seconds")}
    rows = [done[place] for place, _ in schemas if place in done]
    for row in _run(schemas, done, _Worker(folder, settings), options):
        rows.append(row)
        if options.out:
            with options.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
    _show(rows)
    print(json.dumps(figures(rows)), flush=True)
    return 0


def _run(
    schemas: Sequence[tuple[int, JSON]], done: Mapping[int, JSON], worker: _Worker, options: Any
) -> Iterator[dict[str, JSON]]:
    """Yield the outcomes of the schemas that are not done."""
    left = [(place, schema) for place, schema in schemas if place not in done]
    end = time.monotonic() + options.minutes * 60 if options.minutes else None
    try:
        for first in tqdm(range(0, len(left), options.rows), unit="batch", desc="comply", disable=options.quiet):
            if end is not None and time.monotonic() > end:
                break
            some = left[first : first + options.rows]
            found = worker([schema for _, schema in some])
            yield from ({"place": place, **row} for (place, _), row in zip(some, found, strict=True))
    finally:
        worker.stop()


def _read(path: Path, limit: int | None, sample: int | None, seed: int) -> list[tuple[int, JSON]]:
    """Read schemas with their places in the file; `sample` draws some of them, in random order."""
    try:
        lines = [line for line in path.read_text("utf-8").splitlines() if line.strip()]
        found = [(place, json.loads(line)["schema"]) for place, line in enumerate(lines)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        fix = 'JSON Lines of {"schema": ...}'
        raise ExampleError(f"no schemas can be read: {error!r}", where=str(path), fix=fix) from error
    if sample is not None:
        found = random.Random(seed).sample(found, min(sample, len(found)))
    return found[:limit]


def _done(path: Path | None) -> dict[int, dict[str, JSON]]:
    if path is None or not path.exists():
        return {}
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
    return {row["place"]: row for row in rows}


def _show(rows: Sequence[Mapping[str, JSON]]) -> None:
    """Print what failed, and why."""
    failed = [row for row in rows if row["outcome"] != "valid"]
    for row in sorted(failed, key=lambda row: str(row["outcome"]))[:_SHOWN]:
        print(f"{row['place']:>6}  {row['outcome']:<20}  {row.get('why', '')[:160]}", file=sys.stderr)
    if len(failed) > _SHOWN:
        print(f"and {len(failed) - _SHOWN} more", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m schematune.benchmarks.compliance", description=(__doc__ or "").split("\n")[0]
    )
    add = parser.add_argument
    add("--schemas", type=Path, required=True, metavar="FILE", help='JSON Lines of {"schema": ...}: MaskBench')
    add("--base", default="random", help="random, builtin, or a local folder (random)")
    add("--folder", type=Path, metavar="DIR", help="where the random base is kept (the temporary folder)")
    add("--max-new-tokens", type=int, default=4096, metavar="N", help="tokens of a value at most (4096)")
    add("--temperature", type=float, default=1.0)
    add("--rows", type=int, default=16, metavar="N", help="schemas decoded together (16)")
    add("--seconds", type=float, default=120.0, metavar="S", help="decoding time of those together (120)")
    add("--sample", type=int, metavar="N", help="draw N schemas by the seed, in random order")
    add("--limit", type=int, metavar="N", help="take the first N schemas only")
    add("--minutes", type=float, metavar="M", help="stop after so many minutes")
    add("--out", type=Path, metavar="FILE", help="write each outcome there; begin where the last run ended")
    add("--seed", type=int, default=0)
    add("--quiet", action="store_true", help="no progress bar")
    return parser


if __name__ == "__main__":
    sys.exit(main())

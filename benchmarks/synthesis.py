"""How fast are pairs made, and what share passes every check? `python -m schematune.benchmarks.synthesis --tools FILE`.

Prints the reasons for what was rejected on stderr and, as the last line of stdout, one JSON object: pairs
per second, the accepted share of all that was made, and the rejected by reason.
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from schematune.schemas.call import RESERVED
from schematune.schemas.errors import SchematuneError
from schematune.schemas.jsontext import JSON
from schematune.schemas.pair import Pairs
from schematune.schemas.synthesize import synthesize
from schematune.schemas.tool import ToolSet

__all__ = ["main", "measure"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark from the command line and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m schematune.benchmarks.synthesis")
    parser.add_argument("--tools", type=Path, required=True, metavar="FILE", help="the tools, JSON")
    parser.add_argument("--pairs", type=int, default=2000, metavar="N", help="pairs to make (2000)")
    parser.add_argument("--examples", type=Path, metavar="FILE", help="examples to multiply, JSON Lines")
    parser.add_argument("--out", type=Path, metavar="FILE", help="keep the pairs here, JSON Lines")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    try:
        tools = ToolSet(str(options.tools))
        pairs, seconds = measure(tools, options.pairs, examples=options.examples, seed=options.seed)
    except SchematuneError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if options.out:
        pairs.save(options.out)
    for reason, count in pairs.rejected.most_common():
        print(f"rejected {count:6}  {reason}", file=sys.stderr)
    print(json.dumps(figures(tools, pairs, seconds), ensure_ascii=False), flush=True)
    return 0


def measure(tools: ToolSet, n: int, *, examples: Path | None = None, seed: int = 0) -> tuple[Pairs, float]:
    """Make `n` pairs and return them with the seconds that it took; raises `SchematuneError`."""
    begun = time.perf_counter()
    pairs = synthesize(tools, n, examples=examples, seed=seed)
    return pairs, time.perf_counter() - begun


def figures(tools: ToolSet, pairs: Pairs, seconds: float) -> dict[str, JSON]:
    """Return the figures as one JSON object."""
    made = len(pairs) + pairs.rejected.total()
    kinds = Counter(pair.calls[0].name if pair.calls[0].name in RESERVED else "call" for pair in pairs)
    kinds["parallel"] = sum(len(pair.calls) > 1 for pair in pairs)
    return {
        "benchmark": "synthesis",
        "tools": len(tools),
        "pairs": len(pairs),
        "seconds": round(seconds, 3),
        "pairs_per_second": round(len(pairs) / seconds, 1) if seconds else None,
        "accepted": round(len(pairs) / made, 6) if made else None,
        "rejected": dict(pairs.rejected.most_common()),
        "kinds": dict(kinds),
        "wordings": len({pair.template for pair in pairs if pair.template}),
    }


if __name__ == "__main__":
    sys.exit(main())

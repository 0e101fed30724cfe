"""How fast are pairs made, and what share passes every check? `python -m schematune.benchmarks.synthesis --tools FILE`.

Prints the reasons for what was rejected on stderr and, as the last line of stdout, one JSON object: pairs
per second, of all that was made the share accepted and the share rejected for each reason, and how varied the
requests are: distinct-2 (of all pairs of neighbouring words the share that is distinct; Li et al., arXiv:1510.03055)
and self-BLEU (how much of a request others hold; Zhu et al., arXiv:1802.01886), of the same number of requests of
`--beside` too, people's own words, say. Less self-BLEU and more distinct pairs are more variety.
"""

import argparse
import itertools
import json
import math
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from schematune.schemas.call import RESERVED
from schematune.schemas.checks import folded
from schematune.schemas.errors import SchematuneError
from schematune.schemas.jsontext import JSON
from schematune.schemas.pair import Pairs
from schematune.schemas.synthesize import synthesize
from schematune.schemas.tool import ToolSet

__all__ = ["main", "measure", "variety"]

TEXTS = 1000
"""Requests whose variety is measured."""

GRAMS = 3
"""Words in the longest n-gram that self-BLEU looks at: requests are short."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark from the command line and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m schematune.benchmarks.synthesis")
    parser.add_argument("--tools", type=Path, required=True, metavar="FILE", help="the tools, JSON")
    parser.add_argument("--pairs", type=int, default=2000, metavar="N", help="pairs to make (2000)")
    parser.add_argument("--examples", type=Path, metavar="FILE", help="examples to multiply, JSON Lines")
    parser.add_argument("--beside", type=Path, metavar="FILE", help="requests to compare the variety with, JSON Lines")
    parser.add_argument("--out", type=Path, metavar="FILE", help="keep the pairs here, JSON Lines or Parquet")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes that make the pairs (1)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    try:
        tools = ToolSet(str(options.tools))
        beside = [pair.request for pair in Pairs.load(options.beside)] if options.beside else []
        pairs, seconds = measure(
            tools, options.pairs, examples=options.examples, seed=options.seed, workers=options.workers
        )
    except SchematuneError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if options.out:
        pairs.save(options.out)
    for reason, count in pairs.rejected.most_common():
        print(f"rejected {count:6}  {reason}", file=sys.stderr)
    found = figures(tools, pairs, seconds) | {"variety": variety([pair.request for pair in pairs])}
    if beside:
        found["variety_beside"] = variety(beside)
    print(json.dumps(found, ensure_ascii=False), flush=True)
    return 0


def measure(
    tools: ToolSet, n: int, *, examples: Path | None = None, seed: int = 0, workers: int = 1
) -> tuple[Pairs, float]:
    """Make `n` pairs and return them with the seconds that it took; raises `SchematuneError`."""
    begun = time.perf_counter()
    pairs = synthesize(tools, n, examples=examples, seed=seed, workers=workers)
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
        "pairs_per_s": round(len(pairs) / seconds, 1) if seconds else None,
        "accepted": round(len(pairs) / made, 6) if made else None,
        "rejected": {reason: round(count / made, 6) for reason, count in pairs.rejected.most_common()},
        "kinds": dict(kinds),
        "wordings": len({pair.template for pair in pairs if pair.template}),
    }


def variety(requests: Sequence[str], *, seed: int = 0) -> dict[str, JSON]:
    """Return distinct-2 and self-BLEU of up to `TEXTS` requests, drawn by `seed`; both between 0 and 1.

    >>> variety(["book a table", "book a table", "book a table"])
    {'requests': 3, 'distinct_2': 0.3333, 'self_bleu': 1.0}
    """
    drawn = [folded(text).split() for text in requests]
    drawn = random.Random(seed).sample(drawn, min(TEXTS, len(drawn)))
    pairs = [pair for words in drawn for pair in itertools.pairwise(words)]
    return {
        "requests": len(drawn),
        "distinct_2": round(len(set(pairs)) / max(1, len(pairs)), 4),
        "self_bleu": round(_self_bleu(drawn), 4),
    }


def _self_bleu(texts: Sequence[Sequence[str]]) -> float:
    """Return the mean BLEU of each text against all others: the geometric mean of its n-grams' clipped precision.

    No brevity penalty: among so many references one of the same length is always there.
    """
    counts = [[Counter(_grams(words, n)) for n in range(1, GRAMS + 1)] for words in texts]
    tops: list[dict[tuple[str, ...], list[int]]] = [{} for _ in range(GRAMS)]
    for one in counts:
        for top, grams in zip(tops, one, strict=True):
            for gram, count in grams.items():
                top[gram] = sorted((*top.get(gram, (0, 0)), count))[-2:]
    scores = [score for one in counts if (score := _bleu(one, tops)) is not None]
    return sum(scores) / max(1, len(scores))


def _bleu(own: Sequence[Counter[tuple[str, ...]]], tops: Sequence[dict[tuple[str, ...], list[int]]]) -> float | None:
    """Score one text's n-grams against the highest counts that others have; None for a text too short."""
    logs = []
    for grams, top in zip(own, tops, strict=True):
        if not grams:
            break
        # the highest count may be the text's own: then the next one is the others'
        others = {gram: top[gram][0] if top[gram][1] == count else top[gram][1] for gram, count in grams.items()}
        found = sum(min(count, others[gram]) for gram, count in grams.items())
        logs.append(math.log(max(found, 1e-9) / grams.total()))
    return math.exp(sum(logs) / len(logs)) if logs else None


def _grams(words: Sequence[str], n: int) -> Iterator[tuple[str, ...]]:
    return (tuple(words[place : place + n]) for place in range(len(words) - n + 1))


if __name__ == "__main__":
    sys.exit(main())

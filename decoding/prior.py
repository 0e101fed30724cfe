"""What a request's words alone say of the call that it wants.

A small model picks among tools and their options by a few words that its tuning showed it; linear classifiers over
n-grams, fit to the same pairs (`schematune.trainer.prior`), pick on other grounds and err elsewhere. `ToolPrior` holds
those of an adapter; how they lean its decoding is in `schematune.decoding.bias`.
"""

import math
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np

from schematune.decoding.tagger import TAGGED, Reading, Tagger
from schematune.schemas.errors import ContractError
from schematune.schemas.jsontext import compact, strict_loads

__all__ = [
    "BUCKETS", "PRIOR", "Answers", "Array", "Classifier", "Lacking", "Prior", "Said", "Shares", "ToolPrior", "deflated", "features", "inflated", "yes_or_no",
]  # fmt: skip

PRIOR = "tool_prior.safetensors"
"""The file of an adapter's prior."""

BUCKETS = 2**14
"""Buckets that n-grams are hashed to."""

_GRAMS = (3, 4, 5)
_PARTS = ("table", "scale", "rates")
_TAGGER = ("table", "scale", "moves")
_WORDS = re.compile(r"[^\W\d_]+|\d+")

Array = np.ndarray[Any, np.dtype[Any]]

Answers = dict[str, tuple[float, float]]
"""What may be answered, each with the logarithms of its probability given a request, and of its share among all."""


def yes_or_no(yes: float, no: float, usual: float) -> Answers:
    """Return the answers of a question of yes and no: their probabilities given a request, and the share of yes among all.

    >>> yes_or_no(1.0, 1.0, 0.5)["yes"] == (0.0, math.log(0.5))
    True
    """
    return {"yes": (math.log(yes), math.log(usual)), "no": (math.log(no), math.log(1 - usual))}


class Said(Protocol):
    """What one request says of the call that it wants."""

    def answers(self, kind: str, tool: str = "", argument: str = "") -> Answers:
        """Return what it says of a question (`"tool"`, `"several"`, `"missing"`, `"given"`, `"value"`); nothing where nothing is known of it."""

    def reading(self, tool: str) -> Reading | None:
        """Return what its words are to the arguments of a tool; None where none of them is copied."""


class Prior(Protocol):
    """What tells of any request which call it wants; `trust` is how much surer it is taken to be of words than it says."""

    @property
    def trust(self) -> float:
        """See the class."""

    def about(self, request: str) -> Said:
        """Return what a request says."""


def deflated(table: Array) -> Array:
    """Return a table of int8, most of it zeros, as the bytes of its DEFLATE stream (RFC 1951, in zlib's frame of RFC 1950)."""
    return np.frombuffer(zlib.compress(np.ascontiguousarray(table).tobytes(), 6), dtype=np.uint8)


def inflated(packed: Array, shape: tuple[int, int]) -> Array:
    """Return the table of a shape that `deflated` packed; raises `ValueError` where it is another's, without unpacking more.

    >>> table = np.eye(3, dtype=np.int8)
    >>> bool((inflated(deflated(table), (3, 3)) == table).all())
    True
    """
    size, stream = shape[0] * shape[1], zlib.decompressobj()
    try:
        raw = stream.decompress(packed.tobytes(), size + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if len(raw) != size or not stream.eof:
        raise ValueError("a table of another size")
    return np.frombuffer(raw, dtype=np.int8).reshape(shape)


def features(text: str) -> list[int]:
    """Return the buckets of a text's words, pairs of words and parts of words, each once and in order; digits are one word.

    >>> features("Play 12 songs") == features("play 7  songs!"), features("")
    (True, [])
    """
    words = ["#" if word.isdigit() else word for word in _WORDS.findall(text.lower())]
    grams = {f"w{word}" for word in words} | {f"b{a} {b}" for a, b in zip(["", *words], [*words, ""], strict=True)}
    for word in words:
        inside = f"<{word}>"
        grams.update(inside[at : at + size] for size in _GRAMS for at in range(len(inside) - size + 1))
    return sorted({zlib.crc32(gram.encode()) % BUCKETS for gram in grams}) if words else []


@dataclass(frozen=True)
class Classifier:
    """A linear classifier of texts by one of several answers.

    `names` are the answers; `table` holds the weights, int8 of shape (buckets, names), to be multiplied by `scale`, float32 of
    shape (names); `rates` are the logarithms of the shares of the names, which is what it says of a text without a word that
    it knows.
    """

    names: tuple[str, ...]
    table: Array
    scale: Array
    rates: Array

    @classmethod
    def of(cls, names: Sequence[str], weights: Array, rates: Array) -> "Classifier":
        """Make a classifier of float weights, shape (buckets, names), which are kept to 8 bits."""
        scale = np.maximum(np.abs(weights).max(axis=0), 1e-12) / 127
        table = np.rint(weights / scale).astype(np.int8)
        return cls(tuple(names), table, scale.astype(np.float32), np.asarray(rates, dtype=np.float32))

    def logs(self, places: Array, weights: Array) -> dict[str, float]:
        """Return the log-probability of each answer, given buckets and their weights."""
        rows = self.table[places % len(self.table)].astype(np.float32)
        logits = (weights @ rows) * self.scale + self.rates
        return dict(zip(self.names, (logits - np.logaddexp.reduce(logits)).tolist(), strict=True))


@dataclass(frozen=True)
class Lacking:
    """How probable it is that a request leaves out what its tool must be told: logistic in the log-odds that it is not said.

    `usual` is the share of such requests.
    """

    bias: float
    slope: float
    usual: float

    def probability(self, odds: float) -> float:
        """Return the probability, given the log-odds that the argument is not said which is likeliest unsaid.

        >>> Lacking(-1.0, 1.0, 0.1).probability(1.0)
        0.5
        """
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, self.bias + self.slope * odds))))


@dataclass(frozen=True)
class Shares:
    """How much a base's reader counts beside an adapter's prior, from 0: in the choice of a tool, and in which words an argument takes.

    `lacking` tells what both say of a request that leaves something out; None: nothing.
    """

    tools: float
    words: float
    lacking: Lacking | None = None

    def listed(self) -> list[float]:
        """Return the numbers that `of` takes."""
        one = self.lacking
        return [self.tools, self.words, *((one.bias, one.slope, one.usual) if one is not None else ())]

    @classmethod
    def of(cls, numbers: Sequence[float]) -> "Shares":
        """Make shares of their numbers; raises `TypeError` or `ValueError` for what are none.

        >>> Shares.of([0.1, 0.2]), Shares.of(Shares(0.1, 0.2, Lacking(-1.0, 1.0, 0.1)).listed()).lacking
        (Shares(tools=0.1, words=0.2, lacking=None), Lacking(bias=-1.0, slope=1.0, usual=0.1))
        """
        tools, words, *lacking = map(float, numbers)
        if not (0 <= tools and 0 <= words <= 1 and all(0 < usual < 1 for usual in lacking[2:])):
            raise ValueError(f"no shares: {numbers}")
        return cls(tools, words, Lacking(*lacking) if lacking else None)


@dataclass(frozen=True)
class ToolPrior:
    """What is fit to an adapter's pairs: classifiers of requests by their tool, and of each tool's by what its arguments are.

    `rarity` weighs each bucket, float32 of shape (buckets); `tools` tells the tool (or `no_tool`); `arguments` tells, for
    `("given", tool, argument)`, whether an optional argument is given (`yes`, `no`), and for `("value", tool, argument)`
    which of its values (as JSON) one has that can have a few. `tagger` tells which words a copied argument takes.
    """

    rarity: Array
    tools: Classifier
    arguments: Mapping[tuple[str, str, str], Classifier] = field(default_factory=dict)
    tagger: Tagger | None = None
    shares: Shares | None = None
    trust: ClassVar[float] = 6.0
    """How much surer the tagger is taken to be than it says: the model, tuned until it fits its pairs, says too much of its own."""

    def about(self, request: str) -> Said:
        """Return what a request says."""
        return _Said(self, request, self.read(request))

    def read(self, text: str) -> tuple[Array, Array]:
        """Return the buckets of a text and their weights, of unit length."""
        places = np.array(features(text), dtype=np.int64)
        weights = self.rarity[places]
        return places, weights / max(float(np.sqrt((weights**2).sum())), 1e-6)

    def logs(self, text: str) -> dict[str, float]:
        """Return the log-probability of each tool, given a text."""
        return self.tools.logs(*self.read(text))

    def save(self, folder: Path) -> None:
        """Write the prior into an adapter's folder; raises `OSError`."""
        from safetensors.numpy import save_file

        every = {("tool", "", ""): self.tools, **self.arguments}
        parts: dict[str, Array] = {"rarity": self.rarity}
        for number, one in enumerate(every.values()):
            parts |= {f"{number}.{name}": getattr(one, name) for name in _PARTS}
        listing = compact([[*key, *one.names] for key, one in every.items()])
        told = {"classifiers": listing}
        if self.tagger is not None:
            parts |= {f"tagger.{name}": getattr(self.tagger, name) for name in _TAGGER}
            parts["tagger.table"] = deflated(self.tagger.table)
            told["tagger"] = compact([self.tagger.names, dict(self.tagger.known)])
        if self.shares is not None:
            told["reader"] = compact(self.shares.listed())
        save_file(parts, folder / PRIOR, metadata=told)

    @classmethod
    def load(cls, folder: Path) -> "ToolPrior":
        """Read the prior of an adapter's folder; raises `ContractError`."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(folder / PRIOR, framework="numpy") as file:
                listing = strict_loads(file.metadata()["classifiers"])
                made = [
                    Classifier(tuple(names), *(file.get_tensor(f"{number}.{part}") for part in _PARTS))
                    for number, (_, _, _, *names) in enumerate(listing)
                ]
                rarity, tagger = file.get_tensor("rarity"), None
                if "tagger" in file.metadata():
                    told, known = strict_loads(file.metadata()["tagger"])
                    packed, scale, moves = (file.get_tensor(f"tagger.{part}") for part in _TAGGER)
                    table = inflated(packed, (TAGGED, len(scale)))
                    tagger = Tagger(tuple(told), {tool: tuple(of) for tool, of in known.items()}, table, scale, moves)
                beside = file.metadata().get("reader")
                shares = Shares.of(strict_loads(beside)) if beside else None
            if rarity.shape != (BUCKETS,) or any(one.table.shape[1:] != (len(one.names),) for one in made):
                raise ValueError("tables of the wrong shape")
            keys = [(kind, tool, argument) for kind, tool, argument, *_ in listing]
            return cls(rarity, made[0], dict(zip(keys[1:], made[1:], strict=True)), tagger, shares)
        except (OSError, KeyError, IndexError, TypeError, ValueError, SafetensorError) as error:
            raise ContractError(
                f"the prior of the tools cannot be read: {error}",
                where=str(folder / PRIOR),
                fix="tune again, or copy the whole folder",
            ) from error


@dataclass(frozen=True)
class _Said:
    """What a request says to the prior of an adapter."""

    prior: ToolPrior
    request: str
    read: tuple[Array, Array]

    def answers(self, kind: str, tool: str = "", argument: str = "") -> Answers:
        found = self.prior.tools if kind == "tool" else self.prior.arguments.get((kind, tool, argument))
        if found is None:
            return {}
        logs = found.logs(*self.read)
        return {name: (logs[name], rate) for name, rate in zip(found.names, found.rates.tolist(), strict=True)}

    def reading(self, tool: str) -> Reading | None:
        return self.prior.tagger.read(tool, self.request) if self.prior.tagger is not None else None

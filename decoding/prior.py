"""What a request's words alone say of its tool, and how that leans on the decoding.

A small model picks among many tools by a few words that its tuning showed it; a linear classifier over n-grams, fit to the
same pairs (`schematune.trainer.prior`), picks on other grounds and errs elsewhere. `ToolPrior` is that classifier;
`ToolBias` adds to the logits of the tokens of a tool's name the logarithm of how much likelier the request makes the
tool than it is among all requests: a product of two experts (Hinton 2002, "Training products of experts"). The
probability of anything else, of asking for what is missing say, stays the model's.
"""

import math
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from schematune.schemas.call import ASK
from schematune.schemas.errors import ContractError
from schematune.schemas.form import Form

__all__ = ["BUCKETS", "PRIOR", "Array", "ToolBias", "ToolPrior", "features"]

PRIOR = "tool_prior.safetensors"
"""The file of an adapter's prior."""

BUCKETS = 2**14
"""Buckets that n-grams are hashed to."""

_GRAMS = (3, 4, 5)
_WORDS = re.compile(r"[^\W\d_]+|\d+")

Array = np.ndarray[Any, np.dtype[Any]]


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
class ToolPrior:
    """A linear classifier of requests by tool.

    `names` are the tools (and `no_tool`); `table` holds the weights, int8 of shape (buckets, names), to be multiplied by `scale`,
    float32 of shape (names); `rarity` weighs each bucket, float32; `rates` are the logarithms of
    the shares of the names among all requests, which is what it says of a request without a word that it knows.
    """

    names: tuple[str, ...]
    table: Array
    scale: Array
    rarity: Array
    rates: Array

    @classmethod
    def of(cls, names: Sequence[str], weights: Array, rarity: Array, rates: Array) -> "ToolPrior":
        """Make a prior of float weights, shape (buckets, names), which are kept to 8 bits."""
        scale = np.maximum(np.abs(weights).max(axis=0), 1e-12) / 127
        table = np.rint(weights / scale).astype(np.int8)
        kept = [np.asarray(part, dtype=np.float32) for part in (scale, rarity, rates)]
        return cls(tuple(names), table, *kept)

    def logs(self, text: str) -> dict[str, float]:
        """Return the log-probability of each name, given a text."""
        places = features(text)
        weights = self.rarity[places]
        weights = weights / max(float(np.sqrt((weights**2).sum())), 1e-6)
        logits = (weights @ self.table[places].astype(np.float32)) * self.scale + self.rates
        return dict(zip(self.names, (logits - np.logaddexp.reduce(logits)).tolist(), strict=True))

    def save(self, folder: Path) -> None:
        """Write the prior into an adapter's folder; raises `OSError`."""
        from safetensors.numpy import save_file

        save_file(self._parts(), folder / PRIOR, metadata={"names": "\n".join(self.names)})

    def _parts(self) -> dict[str, Array]:
        return {name: getattr(self, name) for name in ("table", "scale", "rarity", "rates")}

    @classmethod
    def load(cls, folder: Path) -> "ToolPrior":
        """Read the prior of an adapter's folder; raises `ContractError`."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(folder / PRIOR, framework="numpy") as file:
                names = tuple(file.metadata()["names"].split("\n"))
                made = cls(names, **{name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
            if made.table.shape != (BUCKETS, len(names)):
                raise ValueError(f"a table of shape {made.table.shape}")
        except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
            raise ContractError(
                f"the prior of the tools cannot be read: {error}",
                where=str(folder / PRIOR),
                fix="tune again, or copy the whole folder",
            ) from error
        return made


class ToolBias:
    """Leans one row's choice of a tool towards what its request's words say."""

    def __init__(
        self, prior: ToolPrior, request: str, names: Iterable[str], form: Form, tokenizer: PreTrainedTokenizerBase
    ) -> None:
        """`names` are the tools that may be called, `form` how a call of them is written."""
        logs, rates = prior.logs(request), dict(zip(prior.names, prior.rates.tolist(), strict=True))
        known = [name for name in names if name in logs]
        self.tokenizer = tokenizer
        self._texts = {text: (logs[name], rates[name]) for name in known for text in _openings(name, form)}
        self._longest = max(map(len, self._texts), default=0)

    def __call__(self, tokens: Sequence[int], logits: torch.Tensor) -> torch.Tensor | None:
        """Return the `logits` (vocabulary) of what follows `tokens`, leaning; None where no name is being chosen."""
        if len(tokens) > self._longest:
            return None
        so_far = str(self.tokenizer.decode(list(tokens), clean_up_tokenization_spaces=False))
        going = {text: both for text, both in self._texts.items() if text.startswith(so_far)}
        if len(going) < 2:
            return None
        leans = self._leans(going, len(so_far))
        if len(set(leans.values())) < 2:
            return None
        places = torch.tensor(list(leans), device=logits.device)
        lean = torch.tensor(list(leans.values()), device=logits.device, dtype=logits.dtype)
        own = logits[places]
        lean = lean - ((own + lean).logsumexp(dim=-1) - own.logsumexp(dim=-1))  # what is no name keeps its probability
        return logits.index_add(0, places, lean)

    def _leans(self, going: Mapping[str, tuple[float, float]], at: int) -> dict[int, float]:
        """Return the tokens that go on with some of the texts from `at` on, with the log-ratio of all that they may become."""
        found: dict[int, list[tuple[float, float]]] = {}
        pieces = _pieces(self.tokenizer)
        for text, both in going.items():
            for end in range(at + 1, len(text) + 1):
                for token in pieces.get(text[at:end], ()):
                    found.setdefault(token, []).append(both)
        return {
            token: _log_sum(log for log, _ in both) - _log_sum(rate for _, rate in both)
            for token, both in found.items()
        }


def _openings(name: str, form: Form) -> tuple[str, str]:
    """Return how a call of `name` begins, and how one does that asks for what it lacks."""
    called, asked = (f"{form.before}{form.written(one)}{form.between}" for one in (name, ASK))
    return called, asked + form.json({"tool": name})[:-1]


def _log_sum(logs: Iterable[float]) -> float:
    return math.log(sum(map(math.exp, logs)) or 1e-300)


_KNOWN: WeakKeyDictionary[PreTrainedTokenizerBase, Mapping[str, tuple[int, ...]]] = WeakKeyDictionary()


def _pieces(tokenizer: PreTrainedTokenizerBase) -> Mapping[str, tuple[int, ...]]:
    """Return the tokens that stand for a text of ASCII signs without spaces, made once for a tokenizer."""
    if tokenizer not in _KNOWN:
        made: dict[str, tuple[int, ...]] = {}
        for place, piece in enumerate(tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))):
            if isinstance(piece, str) and piece.isascii():
                made[piece] = (*made.get(piece, ()), place)
        _KNOWN[tokenizer] = made
    return _KNOWN[tokenizer]

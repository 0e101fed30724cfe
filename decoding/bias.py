"""How what a request's words say leans the decoding of a call.

`CallBias` adds to the logits of the tokens of a tool's name, of an optional argument's or of a listed value the logarithm of how
much likelier the request makes what they write than it is among all requests: a product of two experts (Hinton 2002,
"Training products of experts"). The probability of anything else, of asking for what is missing say, stays the model's.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from transformers import PreTrainedTokenizerBase

from schematune.decoding.prior import ToolPrior
from schematune.schemas.call import ASK, NO_TOOL
from schematune.schemas.form import Form
from schematune.schemas.tool import Tool, ToolSet

__all__ = ["CallBias"]

Texts = dict[str, tuple[float, float]]
"""Texts that may come next, each with the logarithms of its probability given the request, and of its share among all."""

_MEMBER = re.compile(r',? ?("(?:[^"\\]|\\.)*"):')
_JSON = json.JSONDecoder()


class CallBias:
    """Leans one row's choices towards what its request's words say."""

    def __init__(
        self, prior: ToolPrior, request: str, tools: ToolSet, form: Form, tokenizer: PreTrainedTokenizerBase
    ) -> None:
        """`tools` are those that may be called, `form` how a call of them is written."""
        self.prior, self.tools, self.form, self.tokenizer = prior, tools, form, tokenizer
        self._read = prior.read(request)
        known = self._both("tool", "", "")
        self._names = {
            text: known[name] for name in (*tools.names, NO_TOOL) if name in known for text in _openings(name, form)
        }
        self._heads = {_openings(name, form)[0]: tools[name] for name in tools.names}
        self._longest = max(map(len, self._names), default=0)

    def __call__(self, tokens: Sequence[int], logits: torch.Tensor) -> torch.Tensor | None:
        """Return the `logits` (vocabulary) of what follows `tokens`, leaning; None where nothing is known of it."""
        so_far = str(self.tokenizer.decode(list(tokens), clean_up_tokenization_spaces=False))
        texts, typed = self._ahead(so_far)
        going = {text: both for text, both in texts.items() if text.startswith(typed)}
        leans = self._leans(going, len(typed)) if len(going) > 1 else {}
        if len(set(leans.values())) < 2:
            return None
        places = torch.tensor(list(leans), device=logits.device)
        lean = torch.tensor(list(leans.values()), device=logits.device, dtype=logits.dtype)
        own = logits[places]
        lean = lean - ((own + lean).logsumexp(dim=-1) - own.logsumexp(dim=-1))  # all else keeps its probability
        return logits.index_add(0, places, lean)

    def _ahead(self, so_far: str) -> tuple[Texts, str]:
        """Return the texts that may be on their way, and how much of them stands already."""
        if len(so_far) < self._longest and any(text.startswith(so_far) for text in self._names):
            return self._names, so_far
        head = next((head for head in self._heads if so_far.startswith(head)), None)
        if head is None or not self.prior.arguments:
            return {}, ""
        tool, place = self._heads[head], _Place.of(so_far[len(head) :])
        if place is None:
            return {}, ""
        space = " " if self.form.spaced else ""
        if place.key is not None:
            values = self._both("value", tool.name, place.key)
            return {space + text: both for text, both in values.items()}, place.typed
        return self._members(tool, place.used, space), place.typed

    def _members(self, tool: Tool, used: tuple[str, ...], space: str) -> Texts:
        """Return how the arguments go on after those `used`: with which of those to come, or with the end."""
        names = list(tool.properties)
        later = names[names.index(used[-1]) + 1 :] if used and used[-1] in names else [] if used else names
        texts, log, rate = Texts(), 0.0, 0.0
        for name in later:
            given = self._both("given", tool.name, name) if name not in tool.required else {}
            yes, no = given.get("yes", (0.0, 0.0)), given.get("no", (0.0, 0.0))
            text = f"{',' + space if used else ''}{json.dumps(name, ensure_ascii=False)}:"
            texts[text] = (log + yes[0], rate + yes[1])
            if name in tool.required:
                return texts
            log, rate = log + no[0], rate + no[1]
        return {**texts, "}" + self.form.after: (log, rate)}

    def _both(self, *key: str) -> Texts:
        """Return what a classifier says of each of its answers; nothing where there is no such classifier."""
        found = self.prior.tools if key[0] == "tool" else self.prior.arguments.get((key[0], key[1], key[2]))
        if found is None:
            return {}
        logs = found.logs(*self._read)
        return {name: (logs[name], rate) for name, rate in zip(found.names, found.rates.tolist(), strict=True)}

    def _leans(self, going: Texts, at: int) -> dict[int, float]:
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


@dataclass(frozen=True)
class _Place:
    """Where an object being written stands: at a member to come, after those `used`, or at the value of the member `key`."""

    used: tuple[str, ...]
    key: str | None
    typed: str

    @classmethod
    def of(cls, text: str) -> "_Place | None":
        """Read the beginning of an object; None where it is over, or none.

        >>> _Place.of('{"a":[1,{}],"b":"x'), _Place.of('{"a":1,"')
        (_Place(used=('a',), key='b', typed='"x'), _Place(used=('a',), key=None, typed=',"'))
        """
        used, at = list[str](), 1
        while text[at - 1 : at] and text[0] == "{" and text[at : at + 1] != "}":
            member = _MEMBER.match(text, at)
            if member is None:
                return cls(tuple(used), None, text[at:])
            key, at = None, member.end()
            try:
                key = str(json.loads(member[1]))
                _, end = _JSON.raw_decode(text, at + (text[at : at + 1] == " "))
            except ValueError:
                return cls(tuple(used), key, text[at:]) if key is not None else None
            used, at = [*used, key], end
        return None


def _openings(name: str, form: Form) -> tuple[str, str]:
    """Return how a call of `name` begins, and how one does that asks for what it lacks."""
    called, asked = (f"{form.before}{form.written(one)}{form.between}" for one in (name, ASK))
    return called, asked + form.json({"tool": name})[:-1]


def _log_sum(logs: Iterable[float]) -> float:
    return math.log(sum(map(math.exp, logs)) or 1e-300)


_KNOWN: WeakKeyDictionary[PreTrainedTokenizerBase, Mapping[str, tuple[int, ...]]] = WeakKeyDictionary()


def _pieces(tokenizer: PreTrainedTokenizerBase) -> Mapping[str, tuple[int, ...]]:
    """Return the tokens that stand for a text of ASCII signs, made once for a tokenizer."""
    if tokenizer not in _KNOWN:
        made: dict[str, tuple[int, ...]] = {}
        for place, piece in enumerate(tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))):
            piece = piece.replace("Ġ", " ").replace("▁", " ") if isinstance(piece, str) else "ĩ"
            if piece.isascii():
                made[piece] = (*made.get(piece, ()), place)
        _KNOWN[tokenizer] = made
    return _KNOWN[tokenizer]

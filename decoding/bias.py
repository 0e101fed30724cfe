"""How what a request's words say leans the decoding of a call.

`CallBias` adds to the logits of the tokens of a tool's name, of an optional argument's or of a listed value the logarithm of how
much likelier the request makes what they write than it is among all requests: a product of two experts (Hinton 2002,
"Training products of experts"). The probability of anything else, of asking for what is missing say, stays the model's. A value
that is copied leans towards the words that the tagger sees in its place.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from transformers import PreTrainedTokenizerBase

from schematune.decoding.prior import Answers, Prior
from schematune.decoding.tagger import Reading
from schematune.schemas.call import ASK, NO_TOOL
from schematune.schemas.form import Form
from schematune.schemas.jsontext import JSON
from schematune.schemas.meaning import meanings, means_itself
from schematune.schemas.spans import can_copy
from schematune.schemas.tool import Tool, ToolSet

__all__ = ["CallBias"]

_MEMBER = re.compile(r',? ?("(?:[^"\\]|\\.)*"):')
_JSON = json.JSONDecoder()
_LEAST = 1e-3
"""The probability that a copied value has at least."""

_FAINT = 1e-5
"""The probability of words under which they are as good as none."""

_SURE = 2
"""Likeliest words of an argument for each of which it is told anew what comes after."""

_FLOOR = 1e-30
"""Keeps the logarithm of what cannot be finite."""

_VALUE = re.compile(r'("(?:[^"\\]|\\.)*")(?!\s*:)')
_SIGNS = frozenset('",:]}[{')
"""Signs of JSON that a token may add to the end of a text: it writes what comes next as well."""


class CallBias:
    """Leans one row's choices towards what its request's words say."""

    def __init__(
        self,
        prior: Prior,
        request: str,
        tools: ToolSet,
        form: Form,
        tokenizer: PreTrainedTokenizerBase,
        now: str = "",
    ) -> None:
        """`tools` are those that may be called, `form` how a call of them is written, `now` what days count from (ISO 8601)."""
        self.tools, self.form, self.tokenizer, self.now = tools, form, tokenizer, now
        self._said, self._trust = prior.about(request), prior.trust
        self._tagged: dict[tuple[str, str], Reading | None] = {}
        self._numbers: dict[tuple[str, str], frozenset[str]] = {}
        self._known: dict[str, tuple[Answers, bool]] = {}
        self._names = self._first()
        self._heads = {_openings(name, form)[0].rstrip(): tools[name] for name in tools.names}
        self._named = frozenset(before + head for head in self._heads for before in ("", form.opening))
        self._opening = form.between[len(form.between.rstrip()) :] + "{"
        self._longest = max(map(len, self._names), default=0)

    def _first(self) -> Answers:
        """Return how an answer begins: a call of each tool, the question for what it lacks, several calls."""
        known = self._said.answers("tool")
        opened = {
            name: dict(self._opened(name, *known[name])) for name in (*self.tools.names, NO_TOOL) if name in known
        }
        one = {text: both for texts in opened.values() for text, both in texts.items()}
        several = self._said.answers("several") if self.form.parallel and self.form.opening else {}
        if not several:
            return one
        calls = [_openings(name, self.form)[0] for name in self.tools.names if name in opened]
        many = {self.form.opening + text: one[text] for text in calls}
        return {
            text: (log + several[answer][0], rate + several[answer][1])
            for answer, texts in (("no", one), ("yes", many))
            for text, (log, rate) in texts.items()
        }

    def _opened(self, name: str, log: float, rate: float) -> Iterator[tuple[str, tuple[float, float]]]:
        """Yield how a call of a tool begins, and how one that asks for what is missing does, each with its probability."""
        called, asked = _openings(name, self.form)
        missing = self._said.answers("missing", name) if name in self.tools else {}
        for text, answer in ((called, "no"), (asked, "yes")):
            more, usual = missing.get(answer, (0.0, 0.0))
            yield text, (log + more, rate + usual)

    def __call__(self, tokens: Sequence[int], logits: torch.Tensor) -> torch.Tensor | None:
        """Return the `logits` (vocabulary) of what follows `tokens`, leaning; None where nothing is known of it."""
        so_far = str(self.tokenizer.decode(list(tokens), clean_up_tokenization_spaces=False))
        texts, typed, copied = self._ahead(so_far)
        going = {text: both for text, both in texts.items() if text.startswith(typed)}
        if not going or (len(going) == 1 and not copied):
            return None
        found = self._tokens(going, len(typed))
        if copied:
            return self._copying(found, _log_sum(log for log, _ in going.values()), logits)
        leans = {
            token: _log_sum(log for log, _ in both) - _log_sum(rate for _, rate in both)
            for token, both in found.items()
        }
        if len(set(leans.values())) < 2:
            return None
        places, lean = _tensors(leans, logits)
        own = logits[places]
        lean = lean - ((own + lean).logsumexp(dim=-1) - own.logsumexp(dim=-1))  # all else keeps its probability
        return logits.index_add(0, places, lean)

    def _copying(
        self, found: Mapping[int, Sequence[tuple[float, float]]], total: float, logits: torch.Tensor
    ) -> torch.Tensor | None:
        """Return the logits of a copied value's tokens: what no span begins with is not barred, but improbable."""
        shares = {token: math.exp(_log_sum(log for log, _ in both) - total) for token, both in found.items()}
        leans = {token: self._trust * math.log1p(share / _LEAST) for token, share in shares.items()}
        if not leans:
            return None
        return logits.index_add(0, *_tensors(leans, logits))

    def _ahead(self, so_far: str) -> tuple[Answers, str, bool]:
        """Return the texts that may be on their way, how much of them stands already, and whether they are copied."""
        named = so_far.rstrip() in self._named or len(so_far) >= self._longest
        if not named and any(text.startswith(so_far) for text in self._names):
            return self._names, so_far, False
        start, head = max(((so_far.rfind(head), head) for head in self._heads), default=(-1, ""))
        if start < 0:
            return {}, "", False
        begun, tool = so_far[start + len(head) :], self._heads[head]
        opened = begun.startswith(self._opening)
        place = _Place.of(begun[len(self._opening) - 1 :] if opened else "{", self._counted(tool, so_far[:start]))
        if place is None or not (opened or self._opening.startswith(begun)):
            return {}, "", False
        typed = place.typed if opened else begun
        until = so_far[: len(so_far) - len(typed)]
        if until not in self._known:
            texts, copied = self._after(tool, place, so_far[:start])
            opening = "" if opened else self._opening
            self._known[until] = {opening + text: both for text, both in texts.items()}, copied
        texts, copied = self._known[until]
        return texts, typed, copied

    def _after(self, tool: Tool, place: "_Place", before: str) -> tuple[Answers, bool]:
        """Return the texts that may stand at a place in a call, `before` which others stand, and whether they are copied."""
        names, last = list(tool.properties), next(reversed(list(place.used)), "")
        done = names.index(last) + 1 if last in names else 0
        until = max(done, names.index(place.key)) if place.key in names else done
        reading = self._reading(tool, before)
        if reading is not None:
            said = {name: self._said_as(tool, name, value, reading) for name, value in place.used.items()}
            reading = reading.holding({**dict.fromkeys(names[:until]), **said})
        later = names[done:] if last in names or not place.used else []
        if place.key is None:
            return self._members(tool, later, reading, comma=bool(place.used), alone=not before), False
        listed = self._values(tool, place.key, alone=not before)
        if listed or reading is None or place.key not in reading.names:
            return listed, False
        return self._copied(tool, place.key, reading, alone=not before), True

    def _counted(self, tool: Tool, before: str) -> frozenset[str]:
        """Return the arguments of a tool whose numbers are read in the request."""
        if (tool.name, before) not in self._numbers:
            reading = self._reading(tool, before)
            names = reading.names if reading is not None else ()
            self._numbers[tool.name, before] = frozenset(n for n in names if not means_itself(tool.properties[n]))
        return self._numbers[tool.name, before]

    def _reading(self, tool: Tool, before: str) -> Reading | None:
        """Return what is read in the request, without the words that the calls `before` took."""
        if (tool.name, before) not in self._tagged:
            found = self._said.reading(tool.name)
            taken = [json.loads(text) for text in _VALUE.findall(before)]
            self._tagged[tool.name, before] = found.without(taken) if found is not None and taken else found
        return self._tagged[tool.name, before]

    def _said_as(self, tool: Tool, name: str, value: JSON, reading: Reading) -> JSON:
        """Return the likeliest words that say a value which stands for what they mean, a number say; any other as it is."""
        schema = tool.properties.get(name)
        if name not in reading.names or means_itself(schema):
            return value
        shares = reading.spans(name)
        ways = (text for text in sorted(shares, key=lambda text: -shares[text]) if shares[text] > _LEAST)
        return next((text for text in ways if value in meanings(schema, text, self.now, name)), value)

    def _values(self, tool: Tool, name: str, *, alone: bool) -> Answers:
        """Return the values that an argument may have which is not copied."""
        space = " " if self.form.spaced else ""
        values = self._said.answers("value", tool.name, name) if alone else {}
        return {space + text: both for text, both in values.items()}

    def _copied(self, tool: Tool, name: str, reading: Reading, *, alone: bool) -> Answers:
        """Return the values that an argument may have by the words that it may take, and how the call goes on after each."""
        space, names = " " if self.form.spaced else "", list(tool.properties)
        later = names[names.index(name) + 1 :]
        shares, found, ahead = reading.spans(name), Answers(), Answers()
        likely = [text for text in sorted(shares, key=lambda text: -shares[text]) if shares[text] > _FAINT]
        for place, text in enumerate(likely):
            if place < _SURE:
                ahead = self._shares(self._members(tool, later, reading.holding({name: text}), comma=True, alone=alone))
            for value, share in self._meant(tool.properties[name], name, text, shares[text]).items():
                for end, (log, _) in ahead.items():
                    known = found.get(f"{space}{value}{end}", (-math.inf, 0.0))[0]
                    found[f"{space}{value}{end}"] = (_log_sum((known, math.log(share + _FLOOR) + log)), 0.0)
        return found

    def _shares(self, ahead: Answers) -> Answers:
        """Return ways to go on as shares of all, such that trusting them as words are leans as much as they do."""
        logs = {text: (log - rate) / self._trust for text, (log, rate) in ahead.items()}
        total = _log_sum(logs.values())
        return {text: (log - total, 0.0) for text, log in logs.items()}

    def _meant(self, schema: JSON, name: str, text: str, share: float) -> dict[str, float]:
        """Return the values, as JSON, that words may mean, each with its share."""
        if means_itself(schema):
            return {self.form.json(text): share}
        meant = meanings(schema, text, self.now, name) if share > _LEAST or can_copy(schema) else []
        return {self.form.json(value): share / len(meant) for value in meant}

    def _members(
        self, tool: Tool, later: Sequence[str], reading: Reading | None, *, comma: bool, alone: bool
    ) -> Answers:
        """Return how the arguments go on: with which of those to come, or with the end."""
        texts, log, rate, space = Answers(), 0.0, 0.0, " " if self.form.spaced else ""
        tagged = [name for name in later if reading is not None and name in reading.names]
        absent = dict(zip(tagged, reading.absent(tagged), strict=True)) if reading is not None else {}
        for name in later:
            given = self._said.answers("given", tool.name, name) if name not in tool.required and alone else {}
            yes, no = given.get("yes", (0.0, 0.0)), given.get("no", (0.0, 0.0))
            if name in absent and name not in tool.required:
                share = min(max(absent[name], _LEAST), 1 - _LEAST)
                yes, no = (self._trust * math.log(1 - share), yes[1]), (self._trust * math.log(share), no[1])
            text = f"{',' + space if comma else ''}{_written(name)}:"
            texts[text] = (log + yes[0], rate + yes[1])
            if name in tool.required:
                return texts
            log, rate = log + no[0], rate + no[1]
        return {**texts, "}" + self.form.after: (log, rate)}

    def _tokens(self, going: Answers, at: int) -> dict[int, list[tuple[float, float]]]:
        """Return the tokens that go on with some of the texts from `at` on, or end them and go beyond, each with these."""
        found: dict[int, list[tuple[float, float]]] = {}
        pieces, endings = _pieces(self.tokenizer)
        for text, both in going.items():
            for end in range(at + 1, min(len(text), at + _LONGEST) + 1):
                for token in pieces.get(text[at:end], ()):
                    found.setdefault(token, []).append(both)
            for token in endings.get(text[at:], ()):
                found.setdefault(token, []).append(both)
        return found


@dataclass(frozen=True)
class _Place:
    """Where an object being written stands: at a member to come, after those `used`, or at the value of the member `key`."""

    used: Mapping[str, Any]
    key: str | None
    typed: str

    @classmethod
    def of(cls, text: str, counted: Set[str] = frozenset()) -> "_Place | None":
        """Read the beginning of an object; None where it is over, or none. A number of an argument in `counted` may go on.

        >>> _Place.of('{"a":[1,{}],"b":"x'), _Place.of('{"a":1,"')
        (_Place(used={'a': [1, {}]}, key='b', typed='"x'), _Place(used={'a': 1}, key=None, typed=',"'))
        >>> _Place.of('{"a":12', {"a"})
        _Place(used={}, key='a', typed='12')
        """
        used, at = dict[str, Any](), 1
        while text[at - 1 : at] and text[0] == "{" and text[at : at + 1] != "}":
            member = _MEMBER.match(text, at)
            if member is None:
                return cls(used, None, text[at:])
            key, at = None, member.end()
            try:
                key = str(json.loads(member[1]))
                value, end = _JSON.raw_decode(text, at + (text[at : at + 1] == " "))
                if end == len(text) and key in counted and isinstance(value, int | float):
                    return cls(used, key, text[at:])
            except ValueError:
                return cls(used, key, text[at:]) if key is not None else None
            used, at = {**used, key: value}, end
        return None


def _openings(name: str, form: Form) -> tuple[str, str]:
    """Return how a call of `name` begins, and how one does that asks for what it lacks."""
    called, asked = (f"{form.before}{form.written(one)}{form.between}" for one in (name, ASK))
    return called, asked + form.json({"tool": name})[:-1]


def _log_sum(logs: Iterable[float]) -> float:
    return math.log(sum(map(math.exp, logs)) or 1e-300)


def _written(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _tensors(leans: Mapping[int, float], logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    places = torch.tensor(list(leans), device=logits.device)
    return places, torch.tensor(list(leans.values()), device=logits.device, dtype=logits.dtype)


_LONGEST = 24
"""Signs of the longest token that is looked for."""

_Pieces = tuple[Mapping[str, tuple[int, ...]], Mapping[str, tuple[int, ...]]]
_KNOWN: WeakKeyDictionary[PreTrainedTokenizerBase, _Pieces] = WeakKeyDictionary()


def _pieces(tokenizer: PreTrainedTokenizerBase) -> _Pieces:
    """Return the tokens that stand for a text of ASCII signs, and those that do with signs of JSON after it.

    Made once for a tokenizer.
    """
    if tokenizer not in _KNOWN:
        made, ended = dict[str, tuple[int, ...]](), dict[str, tuple[int, ...]]()
        for place, piece in enumerate(tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))):
            piece = piece.replace("Ġ", " ").replace("▁", " ") if isinstance(piece, str) else "ĩ"
            if piece.isascii():
                made[piece] = (*made.get(piece, ()), place)
                for end in range(len(piece) - 1, 0, -1):
                    if piece[end] not in _SIGNS:
                        break
                    ended[piece[:end]] = (*ended.get(piece[:end], ()), place)
        _KNOWN[tokenizer] = made, ended
    return _KNOWN[tokenizer]

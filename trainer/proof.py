"""The round-trip proof: before the first step, every pair is shown to come back as what it says.

A pair is proved when its gold calls fit the tools, the prompt renders, the completion is written in the
base's form, its tokens are allowed one by one by the grammar that will serve it (and the grammar may stop
after them), they decode and parse to equal calls, and prompt and completion fit the context. What is proved
is what is trained on, token for token, so nothing is learnt that the decoder could never emit. It fails
closed: a row without a label, or a template that cannot say what the pair says, is a failure with a reason.
"""

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tqdm import tqdm

from schematune.schemas.call import ASK, Call
from schematune.schemas.errors import InvalidOutputError, RenderError, SchemaError, TuneError
from schematune.schemas.jsontext import JSON, compact
from schematune.schemas.pair import Pair
from schematune.schemas.spans import SpanRules
from schematune.schemas.tool import ToolSet

if TYPE_CHECKING:
    import llguidance

    from schematune.decoding.base import Base

__all__ = ["SAMPLE", "Encoded", "Failure", "Proof", "canonical", "prove"]

SAMPLE = 500
"""Pairs that are also proved under their request's own grammar, where arguments are copied."""

MAX_FAILED = 0.05
"""Share of the pairs that may fail before tuning is refused."""

IGNORED = -100


@dataclass(frozen=True)
class Encoded:
    """A proved pair as tokens: `labels` are `input_ids` where the loss is taken, -100 on the prompt."""

    input_ids: list[int]
    labels: list[int]


@dataclass(frozen=True)
class Failure:
    """A pair that was not proved: its place among the pairs, its id, the kind of failure, and the reason."""

    place: int
    id: str
    kind: str
    reason: str

    def __str__(self) -> str:
        """Say which pair failed and why."""
        return f"pair {self.place + 1}{f' ({self.id})' if self.id else ''}: {self.reason}"


@dataclass
class Proof:
    """What came of the proof: the rows to train on, and what failed.

    `grammar` counts the pairs that were proved under the tools' grammar, `sampled` those of the sample under
    their request's own, `outside` those of them whose gold is not copied as the span rules have it (they are
    trained on all the same: the rules are learnt from 99 %, not from all); `note` says why no grammar was used.
    """

    rows: list[Encoded] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    grammar: int = 0
    sampled: int = 0
    outside: int = 0
    note: str = ""

    def to_dict(self) -> dict[str, JSON]:
        """Return the counts as JSON, for the contract."""
        kinds = dict(Counter(failure.kind for failure in self.failures))
        counts: dict[str, JSON] = {"proved": len(self.rows), "failed": kinds, "grammar": self.grammar}
        counts |= {"sampled": self.sampled, "outside_spans": self.outside} if self.sampled else {}
        return counts | ({"note": self.note} if self.note else {})

    def check(self, share: float = MAX_FAILED) -> None:
        """Raise `TuneError`, which names the first failures, where none is proved or more than `share` failed."""
        total = len(self.rows) + len(self.failures)
        if self.rows and len(self.failures) <= share * total:
            return
        first = "; ".join(str(failure) for failure in self.failures[:3])
        raise TuneError(
            f"{len(self.failures)} of {total} pairs do not come back as what they say: {first}",
            where="round-trip proof",
            fix='mend or drop these pairs, or take form="compact"',
        )


class _Unproved(Exception):
    """Why one pair fails: the kind, for counting, and the reason."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind, self.reason = kind, reason


def prove(
    pairs: Iterable[Pair],
    tools: ToolSet,
    base: "Base",
    *,
    spans: SpanRules | None = None,
    seed: int = 0,
    grammar: bool = True,
    progress: bool = False,
) -> Proof:
    """Prove every one of `pairs` for `base`, and encode what is proved.

    The tools' grammar is checked on all pairs; the grammars of single requests, which span rules need, on a
    sample of 500 drawn with `seed`. Never raises for a pair: see `Proof.check`.
    """
    pairs = list(pairs)
    proof = Proof()
    masks = _Masks(base, tools) if grammar else None
    sample = _sample(pairs, spans, seed) if masks else set()
    ending = _ending(base)
    for place, pair in enumerate(tqdm(pairs, desc="proving", unit="pair", delay=2, disable=not progress)):
        try:
            completion = _completion(pair, tools, base)
            if masks is not None:
                proof.grammar += masks.check(pair, completion)
            row = _row(pair, base, [*completion, *ending])
        except _Unproved as error:
            proof.failures.append(Failure(place, pair.id, error.kind, error.reason))
            continue
        proof.rows.append(row)
        if masks is not None and place in sample:
            proof.sampled += 1
            proof.outside += not masks.copies(pair, completion, spans)
    proof.note = masks.note if masks is not None else "no grammar was asked for"
    return proof


def canonical(calls: Iterable[Call]) -> list[str]:
    """Return calls as sorted JSON texts, so that equal ones are equal in any order of keys and calls.

    Unlike Python's `==` it keeps `1`, `1.0` and `True` apart.

    >>> canonical([Call("f", {"b": 1, "a": True})]) == canonical([Call("f", {"a": True, "b": 1})])
    True
    >>> canonical([Call("f", {"a": 1})]) == canonical([Call("f", {"a": True})])
    False
    """
    return sorted(compact([call.name, _sorted_missing(call)], ordered=False) for call in calls)


def _sorted_missing(call: Call) -> JSON:
    missing = call.arguments.get("missing")
    if call.name == ASK and isinstance(missing, list):
        return {**call.arguments, "missing": sorted(map(str, missing))}
    return dict(call.arguments)


def _completion(pair: Pair, tools: ToolSet, base: "Base") -> list[int]:
    """Return the tokens of the gold calls, proved to decode and parse to them."""
    permitted = _permitted(pair, tools)
    wrong = [line for call in pair.calls for line in permitted.violations(call)]
    if wrong:
        raise _Unproved("invalid", f"the gold call does not fit its tool: {wrong[0]}")
    if len(pair.calls) > 1 and not tools.parallel:
        raise _Unproved("parallel", f"{len(pair.calls)} calls, but the tools are not parallel")
    try:
        text = base.renderer.completion(pair.calls, tools)
    except RenderError as error:
        raise _Unproved("form", str(error)) from error
    tokens = [int(token) for token in base.tokenizer.encode(text, add_special_tokens=False)]
    if not tokens:
        raise _Unproved("empty", "the completion has no token, so there is nothing to learn")
    decoded = str(base.tokenizer.decode(tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False))
    try:
        found = base.renderer.parse(decoded)
    except InvalidOutputError as error:
        raise _Unproved("parse", f"the completion {_short(decoded)} does not parse: {error.what}") from error
    if [canonical([call]) for call in found] != [canonical([call]) for call in pair.calls]:
        raise _Unproved("differs", f"the completion {_short(decoded)} reads as other calls")
    return tokens


def _row(pair: Pair, base: "Base", completion: Sequence[int]) -> Encoded:
    """Put the short prompt before the completion."""
    try:
        prompt = base.renderer.prompt(pair.messages, context=pair.context)
    except RenderError as error:
        raise _Unproved("prompt", str(error)) from error
    if not prompt:
        raise _Unproved("empty", "the prompt has no token")
    length = len(prompt) + len(completion)
    if length > base.context:
        raise _Unproved("too long", f"{length} tokens, and the base reads {base.context}; shorten the request")
    return Encoded([*prompt, *completion], [IGNORED] * len(prompt) + list(completion))


def _ending(base: "Base") -> list[int]:
    """Return the token that ends a turn, as the decoder stops at it."""
    ids = base.tokenizer.encode(base.renderer.ending, add_special_tokens=False)[:1]
    end = ids[0] if ids else base.tokenizer.eos_token_id
    if end is None:
        raise TuneError(
            "the base's chat template ends a turn with nothing, and its tokenizer has no end token",
            where=base.name,
            fix="set tokenizer.eos_token",
        )
    return [int(end)]


def _permitted(pair: Pair, tools: ToolSet) -> ToolSet:
    if pair.tools is None:
        return tools
    try:
        return tools.subset(pair.tools)
    except SchemaError as error:
        raise _Unproved("tools", str(error)) from error


def _sample(pairs: Sequence[Pair], spans: SpanRules | None, seed: int) -> set[int]:
    """Draw the pairs that are also proved under their request's own grammar."""
    if not spans:
        return set()
    places = [place for place, pair in enumerate(pairs) if any(call.name in spans for call in pair.calls)]
    return set(random.Random(seed).sample(places, min(SAMPLE, len(places))))


def _short(text: str) -> str:
    return repr(text if len(text) <= 120 else text[:117] + "...")


class _Masks:
    """The grammars of the tools (of each permitted subset), compiled once and asked about completions."""

    def __init__(self, base: "Base", tools: ToolSet) -> None:
        self.base, self.tools, self.note = base, tools, ""
        self._start: dict[tuple[str, ...] | None, llguidance.LLMatcher | None] = {}

    def check(self, pair: Pair, tokens: Sequence[int]) -> bool:
        """Tell whether a grammar was there to prove the completion; raise `_Unproved` where it refuses."""
        if pair.tools not in self._start:
            self._start[pair.tools] = self._compiled(pair, None)
        start = self._start[pair.tools]
        if start is None:
            return False
        reason = _refusal(start, tokens, self.base)
        if reason:
            raise _Unproved("grammar", reason)
        return True

    def copies(self, pair: Pair, tokens: Sequence[int], spans: SpanRules | None) -> bool:
        """Tell whether the grammar of this one request, with its spans, allows the completion."""
        start = self._compiled(pair, spans)
        return start is None or not _refusal(start, tokens, self.base)

    def _compiled(self, pair: Pair, spans: SpanRules | None) -> "llguidance.LLMatcher | None":
        from schematune.decoding.grammar import Grammar

        try:
            tools = _permitted(pair, self.tools)
            request, now = pair.said, pair.context.get("now", "")
            return Grammar.of(tools, self.base, spans=spans, request=request, now=now).matcher()
        except SchemaError as error:
            self.note = self.note or f"no grammar for some tools: {error}"
            return None


def _refusal(start: "llguidance.LLMatcher", tokens: Sequence[int], base: "Base") -> str:
    """Return why the grammar refuses `tokens` from its start, or an empty text."""
    matcher = start.deep_copy()
    taken = matcher.try_consume_tokens(list(tokens))
    if taken == len(tokens) and matcher.is_accepting():
        return ""
    before = str(base.tokenizer.decode(list(tokens[:taken])))
    after = str(base.tokenizer.decode(list(tokens[taken : taken + 8])))
    if not after:
        return f"the grammar does not end after {_short(before[-60:])}"
    return f"the grammar refuses {_short(after)} after {_short(before[-60:])}"

"""One row of a generation: its tokens so far, its grammar, and the choice of each next token.

A row knows nothing of the model: it is given the logits of a pass and tells what to read next.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import takewhile

import llguidance
import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from schematune.decoding.bias import CallBias
from schematune.decoding.closing import Closer
from schematune.decoding.drafts import Drafts, Habits
from schematune.decoding.grammar import Grammar
from schematune.decoding.guard import Guard
from schematune.schemas.errors import DecodeError

__all__ = ["Choice", "Decoded", "Row", "Sampling", "allowed_tokens"]

Choice = tuple[int, float, float]
"""The place of a token that a model chose, its log-probability, and the log of the probability that the mask left."""

_SURE = -0.001
"""From this log-probability on, what the mask left is taken for all: it is, to within 0.001."""


@dataclass(frozen=True)
class Decoded:
    """One decoded row.

    `text` and `tokens` are the completion without the token that ends it. `finished` is false where the token
    limit cut it off, and where what the mask does not hold could not be met: then `violations` say why. `closed` counts
    the tokens that no model chose, written to end it before the limit or in place of values that kept failing; `undone`
    those that were taken back. `passes` counts the row's forward passes, `forced` the tokens that the grammar gave
    without one, `drafted` those confirmed in the pass of an earlier one; `milliseconds` run from the start of `decode`
    to the row's end. `choices` are the tokens that the model chose, the ending included: for each its place in `tokens`,
    its own log-probability (before the mask), and the logarithm of the probability that the mask left.
    """

    text: str
    tokens: tuple[int, ...]
    finished: bool
    passes: int
    forced: int
    drafted: int
    milliseconds: float
    choices: tuple[Choice, ...]
    closed: int = 0
    undone: int = 0
    violations: tuple[str, ...] = ()

    @property
    def logprob(self) -> float:
        """The sum of the model's own log-probabilities of the tokens that it chose."""
        return sum(log for _, log, _ in self.choices)


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn: by the model's probabilities at a `temperature`, from the most likely tokens that
    together have `top_p`; the same `seed` draws the same. The mask comes first: what it bars has no probability.

    >>> Sampling(temperature=0.7, seed=3).top_p
    1.0
    """

    temperature: float = 1.0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise `DecodeError` for what is no temperature or no share."""
        if not self.temperature > 0 or not 0 < self.top_p <= 1:
            raise DecodeError(
                f"cannot draw at temperature {self.temperature} from the top {self.top_p}",
                where="sampling",
                fix="temperature above 0, top_p above 0 and at most 1; greedy is no sampling at all",
            )

    def draw(self, logits: torch.Tensor, generator: torch.Generator) -> int:
        """Draw a token by `logits` (vocabulary), -inf where it may not be."""
        shares = (logits.double().cpu() / self.temperature).softmax(dim=-1)
        if self.top_p < 1:
            ordered, places = shares.sort(descending=True)
            ordered[ordered.cumsum(dim=-1) - ordered >= self.top_p] = 0.0
            shares = torch.zeros_like(shares).scatter_(0, places, ordered)
        sums = shares.cumsum(dim=-1)  # ten times faster than torch.multinomial at 32k tokens
        drawn = torch.rand(1, generator=generator, dtype=sums.dtype) * sums[-1]
        place = int(torch.searchsorted(sums, drawn, right=True))
        return place if place < len(sums) else int(shares.argmax())  # rounded up beyond the last


@dataclass
class Row:
    """One row in the making; `block` holds the tokens that the next pass reads, `ahead` the draft after them.

    `cached` is the number of tokens of the prompt and the completion that the model has read; `retry_tokens` how many of
    the completion may be taken back; `adapter` the one that reads it, of those that the model holds; `bias` leans its
    choices.
    """

    block: list[int]
    grammar: Grammar | None
    limit: int
    tokenizer: PreTrainedTokenizerBase
    sampling: Sampling | None = None
    retry_tokens: int = 0
    adapter: str = ""
    bias: CallBias | None = None
    drafts: Drafts | None = None
    habits: Habits | None = None
    end: list[int] | None = None
    closing: int = 0
    cached: int = 0
    progress: Callable[[list[int]], None] | None = None
    floor: int = 0
    ahead: list[int] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    matcher: llguidance.LLMatcher | None = None
    guard: Guard | None = None
    finished: bool = False
    failed: bool = False
    done: bool = False
    passes: int = 0
    forced: int = 0
    drafted: int = 0
    written: int = 0
    milliseconds: float = 0.0

    def __post_init__(self) -> None:
        """Start the grammar, whose first tokens may be forced."""
        self.generator = torch.Generator().manual_seed(self.sampling.seed) if self.sampling else torch.Generator()
        self.prompt, self._look, self._kept = list(self.block), self.limit - self.limit // 2, -1
        self._choices: list[Choice] = []
        if self.grammar is not None:
            self.matcher = self.grammar.matcher()
            self.guard = Guard(self.grammar, self.retry_tokens) if self.grammar.is_watched(self.limit) else None
            self.block = []
            self._force()
            if self.guard is not None and self._is_wrong(chosen=False):
                self._retreat()
            self.block = self.prompt + self.tokens

    @property
    def closed(self) -> int:
        """Tokens that no model chose: an end before the limit, values in place of others."""
        return self.written + (self.closing if self.tokens is self.end else 0)

    def take(self, logits: torch.Tensor, tops: list[int], stop: frozenset[int]) -> int:
        """Choose what follows by the `logits` (1 + draft, vocabulary) of a pass, whose highest are `tops`.

        Returns how many of the last tokens that the model has read must leave the cache: those of the draft that were
        not confirmed, and those taken back.
        """
        ahead, read = self.ahead, 0
        self.passes, self.cached = self.passes + 1, self.cached + len(self.block)
        while True:
            chosen = self._choose(logits[read], tops[read])
            if chosen is None:
                self._retreat(dead_end=True)
                break
            token, log, left = chosen
            self._choices.append((len(self.tokens), log, left))
            self._accept(token, stop)
            if self.done or self._kept >= 0:
                break
            same = sum(1 for _ in takewhile(lambda two: two[0] == two[1], zip(self.block, ahead[read:], strict=False)))
            whole = same == len(self.block)
            read += same
            self.drafted += same
            self.block = self.block[same:]
            if not whole:
                break
        self.cached += read
        back = self._rewound()
        if not self.done:
            self.look_ahead()
            self._go_out()
        return len(ahead) - read + back

    def _go_out(self) -> None:
        """Give out the tokens that can no longer be taken back: neither by the checks nor by an end before the limit."""
        if self.progress is None or self.done:
            return
        sure = len(self.tokens) if self.guard is None else self.guard.settled
        if self.end is not None:
            sure = min(sure, len(self.end) - self.closing)
        if sure > self.floor:
            self.floor = sure
            if self.guard is not None:
                self.guard.floor = sure
            self.progress(self.tokens[:sure])

    def _rewound(self) -> int:
        """Make the next block after tokens were taken back, and return how many of them leave the cache."""
        if self._kept < 0 or self.done:
            return 0
        whole = self.prompt + self.tokens
        stays = min(self.cached, len(self.prompt) + self._kept, len(whole) - 1)
        back, self.cached, self.block, self._kept = self.cached - stays, stays, whole[stays:], -1
        return back

    def reread(self) -> None:
        """Read everything again: what was taken back cannot leave the cache."""
        self.cached, self.block = 0, self.prompt + self.tokens

    def _choose(self, logits: torch.Tensor, top: int) -> tuple[int, float, float] | None:
        """Return the most likely token that the grammar allows, or draw one, with its logs; None where all were tried."""
        barred = self.guard.barred.get(len(self.tokens)) if self.guard is not None else None
        total, own = logits.logsumexp(dim=-1), logits
        leant = self.bias(self.tokens, logits) if self.bias is not None else None
        if leant is not None:
            logits, top = leant, int(leant.argmax())
        if barred:
            logits = logits.clone()
            logits[list(barred)] = float("-inf")
            top = int(logits.argmax())
        # mostly the model's own choice is allowed: asking that is cheaper than the whole mask
        if self.sampling is None and (self.matcher is None or self.matcher.validate_tokens([top]) == 1):
            log = float(own[top] - total)
            if log > _SURE or (self.matcher is None and not barred):
                return top, log, 0.0
        logits = logits if self.matcher is None else _masked(logits, self.matcher)
        if barred and bool(torch.isinf(logits).all()):
            return None
        token = int(logits.argmax()) if self.sampling is None else self.sampling.draw(logits, self.generator)
        left = own.masked_fill(torch.isinf(logits), float("-inf"))
        return token, float(own[token] - total), float(left.logsumexp(dim=-1) - total)

    def _accept(self, token: int, stop: frozenset[int]) -> None:
        """Take the chosen token and what the grammar forces after it, or take back what does not fit."""
        if token in stop:
            self.finished = self.done = True
            if self.guard is not None and self.guard.end(self.tokens) is not None:
                self._retreat(token)
            return
        self.block = [token]
        self.tokens.append(token)
        if self.matcher is not None:
            if self.matcher.consume_token(token):
                self._force()
            else:
                self.matcher = None  # an engine limit: go on freely, the output is validated afterwards
        if self.guard is not None and self._is_wrong(chosen=True):
            self._retreat()
        if len(self.tokens) >= self.limit and not self.finished:
            self._look_for_end()
            self._close()

    def _is_wrong(self, *, chosen: bool) -> bool:
        """Tell whether the tokens that came last, or all together, do not fit."""
        assert self.guard is not None
        if self.guard.accept(self.tokens, chosen) is not None:
            return True
        return self.finished and self.guard.end(self.tokens) is not None

    def _retreat(self, tried: int | None = None, *, dead_end: bool = False) -> None:
        """Take back what does not fit, or write something else in its place."""
        guard, more = self.guard, list[int]()
        assert guard is not None and self.grammar is not None
        while True:
            kept = guard.dead_end(self.tokens) if dead_end else guard.back(self.tokens, tried)
            if kept is None:
                found = guard.instead(self.tokens)
                if found is None:
                    self._fail()
                    return
                kept, more = found
                self.written += len(more)
            self._kept = kept if self._kept < 0 else min(self._kept, kept)
            self.tokens = self.tokens[:kept] + more
            self._choices = [choice for choice in self._choices if choice[0] < kept]
            self.matcher, self.finished, self.done = self.grammar.after(self.tokens), False, False
            if not more:
                return
            self._force()
            if not self._is_wrong(chosen=False):
                return
            tried, dead_end, more = None, False, []

    def _fail(self) -> None:
        """End as was last seen to be possible, or not at all."""
        assert self.guard is not None and self.grammar is not None
        self.tokens = list(self.guard.wrong)
        if self.end is None and len(self.tokens) <= self.limit:
            closer = Closer.of(self.tokenizer, self.grammar.vocabulary)
            self._end_with(Guard.ended(self.grammar, self.tokens[:-1], closer, self.limit))
        self.failed = self.end is None
        self._close()

    def _close(self) -> None:
        """End where the tokens run out: as was last seen to be possible, or cut off."""
        self.finished = self.end is not None
        self.tokens = self.tokens[: self.limit] if self.end is None else self.end
        self._choices = [choice for choice in self._choices if choice[0] < len(self.tokens) - self.closed]
        self.done = True

    def cut(self) -> None:
        """End now, as shortly as can be."""
        self._look = 0
        self._look_for_end()
        if not self.done:
            self._close()

    def _look_for_end(self) -> None:
        """From half the limit on, see how the row could still end; where it could only before, end it there."""
        room = self.limit - len(self.tokens)
        if self.grammar is None or self.matcher is None or self.done or len(self.tokens) < self._look:
            return
        closer = Closer.of(self.tokenizer, self.grammar.vocabulary)
        end = closer(self.matcher, self.tokens, room) if room >= 0 else None
        whole = None if end is None else self.tokens + end
        if self.grammar.schemas and room >= 0 and (whole is None or self.guard is not None):
            whole = Guard.ended(self.grammar, self.tokens, closer, self.limit)
        if self._end_with(whole):
            room -= self.closing
        elif self.end is not None:
            self._close()
        # the nearer the limit, the oftener: half of what is left may go to anything
        self._look = len(self.tokens) + max(1, room // 2)

    def _end_with(self, whole: list[int] | None) -> bool:
        """Keep a way to end, unless it takes back what has gone out."""
        same = sum(1 for _ in takewhile(lambda two: two[0] == two[1], zip(self.tokens, whole or [], strict=False)))
        if whole is None or same < self.floor:
            return False
        self.end, self.closing = whole, len(whole) - same
        return True

    def _force(self) -> None:
        if self.matcher is None:
            return
        forced = self.matcher.compute_ff_tokens()
        # text that spells an added token is tokenised to it, which the grammar does not take: stop before it
        forced = forced[: self.matcher.validate_tokens(forced)] if forced else forced
        if forced and self.matcher.consume_tokens(forced):
            self.tokens += forced
            self.block += forced
            self.forced += len(forced)
        if self.matcher.is_error():
            self.matcher = None
        elif self.matcher.is_stopped() and len(self.tokens) <= self.limit:
            self.finished = self.done = True

    def look_ahead(self) -> None:
        """Draft what may follow: what the prompt says next, or what usually does, as far as the grammar allows it."""
        self._look_for_end()
        self.ahead = []
        if self.drafts is None or self.matcher is None or self.done:
            return
        ahead = self.drafts(self.tokens)
        taken = self.matcher.validate_tokens(ahead) if ahead else 0
        if not taken and self.habits is not None:
            ahead = self.habits(self.tokens, self.drafts.said)
            taken = self.matcher.validate_tokens(ahead) if ahead else 0
        self.ahead = ahead[:taken]

    def decoded(self) -> Decoded:
        """Return what the row came to."""
        text = self.tokenizer.decode(self.tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        counts = self.passes, self.forced, self.drafted
        undone, wrong = (self.guard.spent, self.guard.violations()) if self.guard is not None else (0, ())
        return Decoded(
            str(text), tuple(self.tokens), self.finished, *counts, self.milliseconds, tuple(self._choices), self.closed,
            undone, wrong if self.failed else (),
        )  # fmt: skip


def _masked(logits: torch.Tensor, matcher: llguidance.LLMatcher) -> torch.Tensor:
    allowed = allowed_tokens(matcher, logits.shape[0]).to(logits.device)
    return logits.masked_fill(~allowed, float("-inf"))


def allowed_tokens(matcher: llguidance.LLMatcher, vocabulary: int) -> torch.Tensor:
    """Return which tokens the grammar allows next: bool, shape (vocabulary,), on the CPU."""
    bits = np.frombuffer(matcher.compute_bitmask(), dtype=np.uint8)
    return torch.from_numpy(np.unpackbits(bits, count=vocabulary, bitorder="little").view(np.bool_))

"""One row of a generation: its tokens so far, its grammar, and the choice of each next token.

A row knows nothing of the model: it is given the logits of a pass and tells what to read next.
"""

from dataclasses import dataclass, field
from itertools import takewhile

import llguidance
import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from schematune.decoding.closing import Closer, window
from schematune.decoding.drafts import Drafts, Habits
from schematune.decoding.grammar import Grammar
from schematune.schemas.errors import DecodeError

__all__ = ["Decoded", "Row", "Sampling", "allowed_tokens"]


@dataclass(frozen=True)
class Decoded:
    """One decoded row.

    `text` and `tokens` are the completion without the token that ends it. `finished` is false where the token
    limit cut it off; `closed` counts the tokens that were written only to end it before that. `passes` counts the row's forward passes, `forced` the tokens that the grammar gave
    without one, `drafted` those confirmed in the pass of an earlier one; `milliseconds` run from the start of `decode` to the row's end. `logprob` sums the model's
    own log-probabilities (before the mask) of the tokens that were not forced, the ending included.
    """

    text: str
    tokens: tuple[int, ...]
    finished: bool
    passes: int
    forced: int
    drafted: int
    milliseconds: float
    logprob: float
    closed: int = 0


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
        return int(torch.multinomial(shares, 1, generator=generator))


@dataclass
class Row:
    """One row in the making; `block` holds the tokens that the next pass reads, `ahead` the draft after them."""

    block: list[int]
    grammar: Grammar | None
    limit: int
    tokenizer: PreTrainedTokenizerBase
    sampling: Sampling | None = None
    drafts: Drafts | None = None
    habits: Habits | None = None
    end: list[int] | None = None
    closing: int = 0
    ahead: list[int] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    matcher: llguidance.LLMatcher | None = None
    finished: bool = False
    done: bool = False
    passes: int = 0
    forced: int = 0
    drafted: int = 0
    logprob: float = 0.0
    milliseconds: float = 0.0

    def __post_init__(self) -> None:
        """Start the grammar, whose first tokens may be forced."""
        self.generator = torch.Generator().manual_seed(self.sampling.seed) if self.sampling else torch.Generator()
        if self.grammar is not None:
            self.matcher = self.grammar.matcher()
            prompt, self.block = self.block, []
            self._force()
            self.block = prompt + self.block

    @property
    def closed(self) -> int:
        """Tokens written only to end the row before its limit."""
        return self.closing if self.tokens is self.end else 0

    def take(self, logits: torch.Tensor, tops: list[int], stop: frozenset[int]) -> int:
        """Choose what follows by the `logits` (1 + draft, vocabulary) of a pass, whose highest are `tops`.

        Returns how many tokens of the draft were confirmed; the others must leave the cache.
        """
        ahead, read = self.ahead, 0
        self.passes += 1
        while True:
            token = self._choose(logits[read], tops[read])
            self.logprob += float(logits[read, token] - logits[read].logsumexp(dim=-1))
            self._accept(token, stop)
            same = sum(1 for _ in takewhile(lambda two: two[0] == two[1], zip(self.block, ahead[read:], strict=False)))
            if self.done:
                return read
            whole = same == len(self.block)
            read += same
            self.drafted += same
            self.block = self.block[same:]
            if not whole:
                break
        self.look_ahead()
        return read

    def _choose(self, logits: torch.Tensor, top: int) -> int:
        """Return the most likely token that the grammar allows, or draw one."""
        if self.sampling is not None:
            return self.sampling.draw(logits if self.matcher is None else _masked(logits, self.matcher), self.generator)
        # mostly the model's own choice is allowed: asking that is cheaper than the whole mask
        if self.matcher is None or self.matcher.validate_tokens([top]) == 1:
            return top
        return int(_masked(logits, self.matcher).argmax())

    def _accept(self, token: int, stop: frozenset[int]) -> None:
        """Take the chosen token and what the grammar forces after it."""
        if token in stop:
            self.finished = self.done = True
            return
        self.block = [token]
        self.tokens.append(token)
        if self.matcher is not None:
            if self.matcher.consume_token(token):
                self._force()
            else:
                self.matcher = None  # an engine limit: go on freely, the output is validated afterwards
        if len(self.tokens) >= self.limit and not self.finished:
            self._look_for_end()
            self._close()

    def _close(self) -> None:
        """End where the tokens run out: as was last seen to be possible, or cut off."""
        self.finished = self.end is not None
        self.tokens = self.tokens[: self.limit] if self.end is None else self.end
        self.done = True

    def _look_for_end(self) -> None:
        """Near the limit, see how the row could still end; where it could only before, end it there."""
        room = self.limit - len(self.tokens)
        if self.grammar is None or self.matcher is None or self.done or room > window(self.limit):
            return
        closer = Closer.of(self.tokenizer, self.grammar.vocabulary)
        end = closer(self.matcher, self.tokens, room) if room >= 0 else None
        if end is not None:
            self.end, self.closing = self.tokens + end, len(end)
        elif self.end is not None:
            self._close()

    def _force(self) -> None:
        assert self.matcher is not None
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
        return Decoded(
            str(text), tuple(self.tokens), self.finished, *counts, self.milliseconds, self.logprob, self.closed
        )


def _masked(logits: torch.Tensor, matcher: llguidance.LLMatcher) -> torch.Tensor:
    allowed = allowed_tokens(matcher, logits.shape[0]).to(logits.device)
    return logits.masked_fill(~allowed, float("-inf"))


def allowed_tokens(matcher: llguidance.LLMatcher, vocabulary: int) -> torch.Tensor:
    """Return which tokens the grammar allows next: bool, shape (vocabulary,), on the CPU."""
    bits = np.frombuffer(matcher.compute_bitmask(), dtype=np.uint8)
    return torch.from_numpy(np.unpackbits(bits, count=vocabulary, bitorder="little").view(np.bool_))

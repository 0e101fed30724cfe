"""The same constraint for Outlines: `outlines.Generator(model, processor=GrammarProcessor(grammar))`.

Outlines is the front door to models that schematune does not load itself. The processor masks the logits of
each row by its own grammar, and where the grammar forces a token, leaves that token alone: a greedy generator
then writes exactly what `schematune.decoding.loop.decode` writes.
"""

from collections.abc import Sequence
from typing import Any

import llguidance
import torch
from outlines.processors.base_logits_processor import OutlinesLogitsProcessor

from schematune.decoding.grammar import Grammar
from schematune.decoding.rows import allowed_tokens
from schematune.schemas.errors import DecodeError

__all__ = ["GrammarProcessor"]


class GrammarProcessor(OutlinesLogitsProcessor):
    """Constrains each row of a generation by a grammar.

    `grammars` is one for all rows, or one for each. Outlines resets the processor before each generation,
    and puts a request through the chat template itself::

        model = outlines.from_transformers(base.model, base.tokenizer)
        generator = outlines.Generator(model, processor=GrammarProcessor(Grammar.of(tools, base)))
        text = generator("weather in Oslo", max_new_tokens=200)
    """

    def __init__(self, grammars: Grammar | Sequence[Grammar]) -> None:
        """See the class."""
        super().__init__("torch")
        self.grammars = [grammars] if isinstance(grammars, Grammar) else list(grammars)
        self._matchers: list[llguidance.LLMatcher] = []

    def reset(self) -> None:
        """Start a new generation."""
        self._matchers = []

    def process_logits(self, input_ids: Any, logits: Any) -> Any:
        """Mask `logits` (rows, vocabulary) by what may follow `input_ids` (rows, tokens).

        The first call after a reset takes `input_ids` for the prompts, each later one its last column for
        the tokens chosen. Raises `DecodeError` where there are more rows than grammars.
        """
        if not self._matchers:
            grammars = self.grammars * len(input_ids) if len(self.grammars) == 1 else self.grammars
            if len(grammars) != len(input_ids):
                raise DecodeError(
                    f"{len(grammars)} grammars for {len(input_ids)} rows", fix="give one, or one for each"
                )
            self._matchers = [grammar.matcher() for grammar in grammars]
        else:
            for matcher, token in zip(self._matchers, input_ids[:, -1].tolist(), strict=True):
                if not matcher.is_stopped():
                    matcher.consume_token(token)
        allowed = [self._allowed(place, logits.shape[1]) for place in range(len(self._matchers))]
        return logits.masked_fill(~torch.stack(allowed).to(logits.device), float("-inf"))

    def _allowed(self, place: int, vocabulary: int) -> torch.Tensor:
        """Return what may follow in a row: the forced token, the end of a finished row, else the grammar's mask."""
        matcher = self._matchers[place]
        if matcher.is_stopped():
            only = sorted((self.grammars * len(self._matchers))[place].stop)
        else:
            only = matcher.compute_ff_tokens()[:1]
            only = only if only and matcher.validate_tokens(only) == 1 else []
        if not only:
            return allowed_tokens(matcher, vocabulary)
        allowed = torch.zeros(vocabulary, dtype=torch.bool)
        allowed[only] = True
        return allowed

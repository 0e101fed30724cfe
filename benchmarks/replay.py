"""Gold calls replayed through a model: every engine writes the same tokens, and pays for each forward pass.

The model computes as ever; a hook then lifts the logit of the token that the gold call goes on with, at each place that
is read. Which row is which travels with the cache, so rows may leave a batch. `Clock` tells prefill and decoding apart:
the first pass is the prefill.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from transformers.cache_utils import DynamicCache

from schematune.benchmarks.cases import Case
from schematune.decoding.base import Base
from schematune.decoding.grammar import Grammar
from schematune.schemas.errors import SchematuneError
from schematune.schemas.tool import ToolSet

__all__ = ["Clock", "Item", "OneByOne", "item_of", "replaying"]

_HIGH = 1e4


class OneByOne:
    """A grammar whose matchers force no tokens: the same mask without fast-forward."""

    def __init__(self, grammar: Any) -> None:
        """Wrap a `Grammar`, or one of its matchers."""
        self._inner = grammar

    def matcher(self) -> "OneByOne":
        """Return a fresh matcher."""
        return OneByOne(self._inner.matcher())

    def deep_copy(self) -> "OneByOne":
        """Return a copy of the matcher."""
        return OneByOne(self._inner.deep_copy())

    def compute_ff_tokens(self) -> list[int]:
        """Return no tokens."""
        return []

    def __getattr__(self, name: str) -> Any:
        """Leave all else to what is wrapped."""
        return getattr(self._inner, name)


@dataclass(frozen=True)
class Item:
    """One case to replay: its prompt, its gold call as tokens and as text, its tools and their grammar."""

    id: str
    prompt: list[int]
    gold: list[int]
    tools: ToolSet
    grammar: Grammar

    def again(self, number: int, base: Base) -> "Item":
        """Return the same case behind a grammar of its own that lets the same through."""
        other = Grammar.of_lark(f'{self.grammar.text}\nunused_{number}: "{number}"', base)
        return Item(self.id, self.prompt, self.gold, self.tools, other)


@dataclass
class Clock:
    """When a run began, when its first pass was done, and how many passes it took."""

    begun: float
    prefilled: float = 0.0
    passes: int = 0


def item_of(case: Case, base: Base) -> Item | None:
    """Return a case ready to be replayed, or None where its gold call is not what the grammar takes."""
    try:
        prompt = base.renderer.prompt(case.pair.messages, context=case.pair.context, tools=case.tools)
        grammar = Grammar.of(case.tools, base)
        text = base.renderer.completion(case.pair.calls, case.tools)
    except SchematuneError:
        return None
    matcher, gold = grammar.matcher(), list[int]()
    while not matcher.is_stopped():
        taken = matcher.compute_ff_tokens()
        taken = taken[: matcher.validate_tokens(taken)] if taken else taken
        if not taken:
            rest = text[len(_text(gold, base)) :]
            taken = base.tokenizer.encode(rest, add_special_tokens=False)[:1]
        if not taken or not matcher.consume_tokens(taken):
            return None
        gold += taken
    fits = _text(gold, base) == text and len(prompt) + len(gold) + 64 < base.context
    return Item(case.id, prompt, gold, case.tools, grammar) if fits else None


def _text(tokens: Sequence[int], base: Base) -> str:
    return str(base.tokenizer.decode(list(tokens), skip_special_tokens=False, clean_up_tokenization_spaces=False))


class _Tagged(DynamicCache):
    """A cache that knows which row is which."""

    rows: torch.Tensor

    def batch_select_indices(self, indices: Any) -> None:
        """Keep some of the rows."""
        super().batch_select_indices(indices)
        self.rows = self.rows[indices]


@contextmanager
def replaying(model: Any, items: Sequence[Item], end: int) -> Iterator[tuple[Clock, Any]]:
    """Make `model` write the gold tokens of `items` and then `end`; yields a clock, and a cache for who makes none."""
    width = max(len(item.gold) for item in items) + 2
    gold = torch.tensor([item.gold + [end] * (width - len(item.gold)) for item in items])
    lengths = torch.tensor([len(item.prompt) for item in items])

    def fresh() -> _Tagged:
        cache = _Tagged(config=model.config)
        cache.rows = torch.arange(len(items))
        return cache

    seen = 0

    def before(_: Any, args: Any, options: dict[str, Any]) -> Any:
        nonlocal seen
        if options.get("past_key_values") is None:
            options["past_key_values"] = fresh()
        seen = options["past_key_values"].get_seq_length()
        return args, options

    def after(_: Any, args: Any, options: dict[str, Any], output: Any) -> None:
        kept, rows = output.logits.shape[1], options["past_key_values"].rows
        places = options.get("position_ids")
        if places is None:
            many = options["input_ids"].shape[1]
            places = torch.arange(seen, seen + many).expand(len(rows), many)
        following = (places[:, -kept:] - lengths[rows, None] + 1).clamp(0, width - 1)
        wanted = gold[rows].gather(1, following)
        output.logits.scatter_(2, wanted[..., None], _HIGH)
        clock.passes += 1
        clock.prefilled = clock.prefilled or time.perf_counter()

    hooks = [
        model.register_forward_pre_hook(before, with_kwargs=True),
        model.register_forward_hook(after, with_kwargs=True),
    ]
    clock = Clock(time.perf_counter())
    try:
        yield clock, fresh()
    finally:
        for hook in hooks:
            hook.remove()

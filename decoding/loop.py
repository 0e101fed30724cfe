"""The generation loop: with the tokens that the grammar forces appended in one forward pass.

`decode` takes prompts as token ids and a grammar (or none) for each, and gives each row what it would give it
alone. Behind a grammar, a pass also reads a draft of what may follow (`schematune.decoding.drafts`), which is
kept as far as it is what would have been chosen. In a batch, the blocks that rows append are left-padded inside
the step; the holes, and drafts given up, stay in the cache and are masked, and positions are explicit. Models
whose attention cannot skip holes (sliding windows, recurrent layers) are decoded row by row, without drafts.
`Prefix` is the cache of a prompt's common beginning, computed once.
"""

import copy
import inspect
import time
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any
from weakref import WeakKeyDictionary

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.cache_utils import DynamicCache, DynamicLayer

from schematune.decoding.bias import CallBias
from schematune.decoding.drafts import Drafts, Habits
from schematune.decoding.grammar import Grammar
from schematune.decoding.rows import Decoded, Row, Sampling

__all__ = ["RETRY_TOKENS", "Prefix", "can_batch", "decode", "log_likelihoods"]

RETRY_TOKENS = 1024
"""Tokens that a row may take back by default."""


class Prefix:
    """The beginning that prompts have in common, as a cache computed once.

    `tokens` is what it stands for; prompts given to `decode` with it hold only what follows.
    """

    def __init__(self, tokens: Sequence[int], cache: Any) -> None:
        """Keep a computed cache; use `Prefix.of`."""
        self.tokens = tuple(tokens)
        self.cache = cache

    @classmethod
    def of(cls, model: PreTrainedModel, tokens: Sequence[int], adapter: str = "") -> "Prefix":
        """Run `model` over `tokens` (at least one), through `adapter` where it holds several."""
        with torch.inference_mode():
            feed = _Feed(model, [adapter])
            feed([list(tokens)])
        return cls(tokens, feed.cache)

    def fresh(self, rows: int) -> Any:
        """Return a cache for `rows` rows; appending to it leaves this one as it is."""
        if not all(type(layer) is DynamicLayer for layer in getattr(self.cache, "layers", [None])):
            return copy.deepcopy(self.cache)  # other layers may write in place
        cache = copy.copy(self.cache)
        cache.layers = [copy.copy(layer) for layer in self.cache.layers]
        if rows > 1:
            cache.batch_repeat_interleave(rows)
        return cache


@torch.inference_mode()
def decode(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[int]],
    grammars: Sequence[Grammar | None],
    *,
    max_new_tokens: int | Sequence[int] = 512,
    stop: frozenset[int],
    prefix: Prefix | None = None,
    draft: bool = True,
    habits: Habits | None = None,
    sampling: Sampling | Sequence[Sampling | None] | None = None,
    retry_tokens: int = RETRY_TOKENS,
    adapters: Sequence[str] = (),
    biases: Sequence[CallBias | None] = (),
    cancelled: Callable[[], bool] | None = None,
    progress: Callable[[int, list[int]], None] | None = None,
) -> list[Decoded]:
    """Decode a completion for each prompt (token ids), under its grammar or freely where it is None.

    `max_new_tokens` is one limit or one for each row; `stop` are the tokens that end a completion. With
    `prefix`, prompts hold only what follows it (at least one token). `draft` lets rows behind a grammar copy
    from their prompts several tokens a pass, where the model's attention allows it, and guess by the `habits` of
    earlier completions, to which these are added; the result is the same. Greedy, unless `sampling` (one, or one for
    each row) says how tokens are drawn; a row draws the same alone and in a batch. What the mask does not hold is checked
    as it is written, and taken back where it does not fit, up to `retry_tokens` tokens a row. `adapters` names the one that
    reads each row, for a model that takes PEFT's `adapter_names`; `biases` lean the rows' choices. `cancelled` is asked after
    each pass; once it says so, all rows end as shortly as they can. `progress` is told the number of a row and its tokens
    so far that will stay, whenever there are more of them.
    """
    start = time.perf_counter()
    limits = [max_new_tokens] * len(prompts) if isinstance(max_new_tokens, int) else list(max_new_tokens)
    draws = [sampling] * len(prompts) if sampling is None or isinstance(sampling, Sampling) else list(sampling)
    together = can_batch(model)
    rows = [
        Row(list(prompt), grammar, limit, tokenizer, drawn, retry_tokens, adapter, bias)
        for prompt, grammar, limit, drawn, adapter, bias in zip(
            prompts,
            grammars,
            limits,
            draws,
            adapters or [""] * len(prompts),
            biases or [None] * len(prompts),
            strict=True,
        )
    ]
    for number, (row, prompt) in enumerate(zip(rows, prompts, strict=True)):
        row.progress = partial(progress, number) if progress is not None else None
        if draft and together and row.matcher is not None:
            row.drafts, row.habits = Drafts(tokenizer, prompt), habits
        row.look_ahead()
    groups = [rows] if together else [[row] for row in rows]
    for group in groups:
        _decode(model, group, stop, prefix, start, cancelled)
    for row in rows:
        if habits is not None and row.drafts is not None and row.finished and not row.closed:
            habits.learn(row.tokens, row.drafts.said)
    return [row.decoded() for row in rows]


@torch.inference_mode()
def log_likelihoods(
    model: PreTrainedModel, prompt: Sequence[int], completions: Sequence[Sequence[int]], adapter: str = ""
) -> list[float]:
    """Return the model's log-likelihood of each completion (at least one token) of a prompt, in one pass."""
    longest = max(map(len, completions))
    rows = [[*prompt, *tokens, *[0] * (longest - len(tokens))] for tokens in completions]  # causal: padding is unseen
    options: dict[str, Any] = {"logits_to_keep": longest + 1} if _takes(model, "logits_to_keep") else {}
    options |= {"adapter_names": [adapter] * len(rows)} if adapter else {}
    output: Any = model(input_ids=torch.tensor(rows, device=model.device), use_cache=False, **options)
    logs = output.logits[:, -longest - 1 : -1].float().log_softmax(dim=-1)
    return [
        sum(float(logs[row, place, token]) for place, token in enumerate(tokens))
        for row, tokens in enumerate(completions)
    ]


def can_batch(model: PreTrainedModel) -> bool:
    """Tell whether rows of different lengths can share a cache with masked holes: full attention throughout."""
    config = model.config.get_text_config()
    kinds = getattr(config, "layer_types", None)
    full = all(kind == "full_attention" for kind in kinds) if kinds else getattr(config, "sliding_window", None) is None
    return full and _takes(model, "attention_mask") and _takes(model, "position_ids")


def _takes(model: Any, option: str) -> bool:
    kind: Any = type(model)
    return option in _parameters(kind)


@lru_cache(maxsize=64)
def _parameters(kind: Any) -> frozenset[str]:
    return frozenset(inspect.signature(kind.forward).parameters)


def _decode(
    model: PreTrainedModel,
    rows: list[Row],
    stop: frozenset[int],
    prefix: Prefix | None,
    start: float,
    cancelled: Callable[[], bool] | None,
) -> None:
    """Decode `rows` together, until all are done."""
    active = [row for row in rows if not row.done]
    feed = _Feed(model, [row.adapter for row in active], prefix) if active else None
    while feed is not None and any(not row.done for row in active):
        going = [place for place, row in enumerate(active) if not row.done]
        if 2 * len(going) <= len(active):  # rows that are done cost as much as others: leave them behind
            feed.keep(going)
            active = [active[place] for place in going]
        kept = 1 + max(len(row.ahead) for row in active if not row.done)
        logits = feed([[] if row.done else row.block + row.ahead for row in active], kept)
        tops = logits.argmax(dim=-1).tolist()
        given_up = [0] * len(active)
        for place, row in enumerate(active):
            if not row.done:
                ahead = len(row.ahead)
                first = logits.shape[1] - 1 - ahead
                given_up[place] = row.take(logits[place, first:], tops[place][first:], stop)
                row.milliseconds = (time.perf_counter() - start) * 1000
        if any(given_up) and not feed.give_up(given_up):
            active[0].reread()
        if cancelled is not None and cancelled():
            for row in active:
                if not row.done:
                    row.cut()
                    row.milliseconds = (time.perf_counter() - start) * 1000
    for row in rows:
        row.milliseconds = row.milliseconds or (time.perf_counter() - start) * 1000


class _Feed:
    """Feeds blocks of tokens to a model and keeps its cache.

    Called with one block for each row, it returns the logits after each row's last `kept` tokens: float32, shape
    (rows, kept, vocabulary). An empty block leaves its row as it is; its logits mean nothing.
    """

    def __init__(self, model: PreTrainedModel, adapters: list[str], prefix: Prefix | None = None) -> None:
        self.model, self.adapters, self.prefix = model, adapters, prefix
        rows = self.rows = len(adapters)
        self.cache = prefix.fresh(rows) if prefix else None
        self.counts = [len(prefix.tokens) if prefix else 0] * rows
        self.holes = torch.ones((rows, self.counts[0]), dtype=torch.long, device=model.device)
        self.single = rows == 1
        self.keeps = _takes(model, "logits_to_keep")

    def __call__(self, blocks: list[list[int]], kept: int = 1) -> torch.Tensor:
        if self.single and self.cache is not None and len(blocks[0]) > 1 and not _reads_blocks(self.model):
            for token in blocks[0][:-1]:
                self._pass([[token]], 1)
            blocks = [blocks[0][-1:]]
        return self._pass(blocks, kept)

    def _pass(self, blocks: list[list[int]], kept: int) -> torch.Tensor:
        device = self.model.device
        width = max(map(len, blocks))
        padded = [[0] * (width - len(block)) + block for block in blocks]
        inputs: dict[str, Any] = {"input_ids": torch.tensor(padded, device=device)}
        if not self.single:
            real = [[0] * (width - len(block)) + [1] * len(block) for block in blocks]
            self.holes = torch.cat([self.holes, torch.tensor(real, device=device)], dim=1)
            places = [
                [0] * (width - len(block)) + list(range(count, count + len(block)))
                for block, count in zip(blocks, self.counts, strict=True)
            ]
            inputs |= {"attention_mask": self.holes, "position_ids": torch.tensor(places, device=device)}
        self.counts = [count + len(block) for block, count in zip(blocks, self.counts, strict=True)]
        options: dict[str, Any] = {"logits_to_keep": kept} if self.keeps else {}
        options |= {"adapter_names": self.adapters} if any(self.adapters) else {}
        name = "past_key_values" if _takes(self.model, "past_key_values") else "cache_params"
        output: Any = self.model(use_cache=True, **{name: self.cache}, **inputs, **options)
        self.cache = getattr(output, name)
        logits: torch.Tensor = output.logits[:, -kept:]
        return logits.float()

    def give_up(self, many: list[int]) -> bool:
        """Forget the last so many tokens of each row; where the cache cannot, forget all after the prefix: false."""
        if self.single and not can_batch(self.model):  # a window has let go of what stood before it
            self.cache = self.prefix.fresh(1) if self.prefix else None
            self.counts = [len(self.prefix.tokens) if self.prefix else 0]
            return False
        self.counts = [count - few for count, few in zip(self.counts, many, strict=True)]
        if self.single:
            cache: Any = self.cache
            cache.crop(-many[0])
            return True
        for row, few in enumerate(many):
            if few:
                self.holes[row, self.holes[row].nonzero().flatten()[-few:]] = 0
        return True

    def keep(self, places: list[int]) -> None:
        """Go on with these rows only."""
        if len(places) == self.rows or self.single:
            return
        chosen = torch.tensor(places, device=self.model.device)
        if isinstance(self.cache, DynamicCache):
            self.cache.batch_select_indices(chosen)
        self.holes = self.holes[chosen]
        self.counts = [self.counts[place] for place in places]
        self.adapters = [self.adapters[place] for place in places]
        self.rows = len(places)


_READS: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()


def _reads_blocks(model: PreTrainedModel) -> bool:
    """Tell whether several tokens after a cache are read as one by one: some recurrent layers begin anew there."""
    if can_batch(model):
        return True
    if model not in _READS:
        _READS[model] = True
        tokens = [n % model.config.get_text_config().vocab_size for n in range(3, 9)]
        with torch.inference_mode():
            single, block = _Feed(model, [""]), _Feed(model, [""])
            for feed in (single, block):
                feed([tokens[:3]])
            slow, quick = [single([[token]]) for token in tokens[3:]][-1], block([tokens[3:]])
        near = (slow - quick).abs().max() <= 0.01 * slow.abs().max() + 1e-3
        _READS[model] = bool(near)
    return _READS[model]

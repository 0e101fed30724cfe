"""The built-in base's tokenizer: made so that a value reads the same in a request and in JSON.

Byte-level BPE after a split that sets every space, digit and punctuation mark apart, keeps runs of JSON
punctuation together, and splits camelCase: `Oslo` is the same tokens after a space and after a quote.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

__all__ = ["SPECIAL", "make_tokenizer", "train_tokenizer"]

SPECIAL = ("<|pad|>", "<|end|>", "<|tools|>", "<|context|>", "<|user|>", "<|call|>", "<|result|>")
_SPLIT = r"""\s|[\[\]{}",:]+|\p{N}|\p{Lu}?[\p{Ll}\p{M}]+|\p{Lu}+(?!\p{Ll})|\p{L}+|[^\s\p{L}\p{N}]"""
LONGEST = 24
"""Longest token in characters."""


def train_tokenizer(texts: Iterable[str], *, size: int = 4096) -> Any:
    """Train the byte-level BPE on `texts` and return a `tokenizers.Tokenizer` with `size` entries."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=LONGEST,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def make_tokenizer(tokenizer: Any, template: Path, *, context: int) -> Any:
    """Wrap a trained tokenizer for transformers, with the special tokens and the chat template."""
    from transformers import PreTrainedTokenizerFast

    wrapped = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        eos_token="<|end|>",
        pad_token="<|pad|>",
        additional_special_tokens=[token for token in SPECIAL if token not in ("<|pad|>", "<|end|>")],
        clean_up_tokenization_spaces=False,
        model_max_length=context,
    )
    wrapped.chat_template = template.read_text(encoding="utf-8")
    return wrapped

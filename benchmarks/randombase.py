"""A base that knows nothing: random weights of a fixed seed over a vocabulary of 32k tokens.

It chooses nearly evenly among the tokens that it may choose from, so it goes to every corner of a schema, and it rambles:
what comes out right is the decoder's doing alone. Its tokenizer is byte-level BPE, trained on the spot on the source
texts of Python's standard library, which every installation has.
"""

import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from schematune.decoding.base import BUILTIN, quiet

__all__ = ["VOCABULARY", "random_base"]

VOCABULARY = 32_768
"""Tokens of the vocabulary."""

_SPECIAL = ["<|pad|>", "<|end|>", "<|tools|>", "<|context|>", "<|user|>", "<|call|>", "<|result|>"]
_LONGEST = 24
_MOST_BYTES = 12_000_000


def random_base(folder: Path, *, seed: int = 0, context: int = 8192, vocabulary: int = VOCABULARY) -> Path:
    """Save the base to `folder` where it does not stand there yet, and return the folder."""
    if (folder / "config.json").exists() and (folder / "model.safetensors").exists():
        return folder
    tokenizer = _tokenizer(vocabulary)
    with quiet():
        _model(vocabulary, seed, context).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return folder


def _tokenizer(vocabulary: int) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=_SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False, max_token_length=_LONGEST,
    )  # fmt: skip
    made.train_from_iterator(_texts(), trainer)
    fast: Any = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=made, pad_token=_SPECIAL[0], eos_token=_SPECIAL[1], additional_special_tokens=_SPECIAL[2:]
    )
    fast.chat_template = (BUILTIN / "chat_template.jinja").read_text(encoding="utf-8")
    return fast


def _texts() -> Iterator[str]:
    left = _MOST_BYTES
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*/*.py")) if left else ():
        if "site-packages" in path.parts or "test" in path.parts:
            continue
        text = path.read_text(encoding="utf-8", errors="ignore")
        left -= len(text)
        if left < 0:
            return
        yield text


def _model(vocabulary: int, seed: int, context: int) -> Any:
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    model: Any = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
            num_key_value_heads=1, max_position_embeddings=context, pad_token_id=0, bos_token_id=None, eos_token_id=1,
        )
    )  # fmt: skip
    model.generation_config = GenerationConfig(eos_token_id=1, pad_token_id=0)  # type: ignore[no-untyped-call]
    model.train(False)
    return model

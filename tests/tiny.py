"""Tiny, randomly initialised models of the real families (and adapters), made on the spot.

Each has the family's architecture, its special tokens, a small byte-level BPE tokenizer, and the family's
real chat template as trl ships it. SmolLM's template is not among those: `smollm3` takes ChatML with
`<tool_call>` from Qwen 2.5, which is SmolLM3's tool-call syntax too. `builtin` is the built-in base's own template.
"""

import copy
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
    SmolLM3Config,
    SmolLM3ForCausalLM,
)

from schematune.decoding.adapter import weights_digest
from schematune.decoding.base import BUILTIN, Base, quiet
from schematune.schemas.contract import Contract
from schematune.schemas.tool import ToolSet

FAMILIES = ("qwen3", "llama3.2", "gemma3", "smollm3", "builtin")

_CORPUS = [
    '{"name":"get_weather","arguments":{"city":"Oslo","days":3}}',
    '{"name": "book_table", "arguments": {"date": "2026-11-27", "time": "20:00", "people": 2}}',
    '<tool_call>\n{"name": "no_tool", "arguments": {}}\n</tool_call>',
    "what is the weather like in New York tomorrow, and book a table for two at eight please",
    "ask the user for the missing arguments: the tool, the date, the time and the place",
    "system user assistant model tool request description type object properties string integer required",
] * 3

# special tokens: padding, beginning, end of a sequence, end of a turn, others
_TOKENS: dict[str, Any] = {
    "qwen3": ("<|endoftext|>", None, "<|im_end|>", "<|im_end|>", ("<|im_start|>",)),
    "smollm3": ("<|endoftext|>", None, "<|im_end|>", "<|im_end|>", ("<|im_start|>",)),
    "llama3.2": (
        "<|finetune_right_pad_id|>",
        "<|begin_of_text|>",
        "<|eot_id|>",
        "<|eot_id|>",
        ("<|start_header_id|>", "<|end_header_id|>", "<|python_tag|>"),
    ),
    "gemma3": ("<pad>", "<bos>", "<eos>", "<end_of_turn>", ("<start_of_turn>",)),
    "builtin": (
        "<|pad|>",
        None,
        "<|end|>",
        "<|end|>",
        ("<|tools|>", "<|context|>", "<|user|>", "<|call|>", "<|result|>"),
    ),
}
_TEMPLATES = {"qwen3": "qwen3", "smollm3": "qwen2_5", "llama3.2": "llama3_2", "gemma3": "gemma3"}


def chat_template(family: str) -> str:
    """Return the family's real chat template."""
    if family == "builtin":
        return (BUILTIN / "chat_template.jinja").read_text(encoding="utf-8")
    spec = find_spec("trl")
    assert spec is not None and spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0]) / "chat_templates"
    return (folder / f"{_TEMPLATES[family]}.jinja").read_text(encoding="utf-8")


def tiny_tokenizer(family: str) -> PreTrainedTokenizerFast:
    """Make the family's tokenizer: byte-level BPE, about 500 tokens, the family's special tokens."""
    pad, bos, eos, end, others = _TOKENS[family]
    special = list(dict.fromkeys(token for token in (pad, bos, eos, end, *others) if token))
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_CORPUS, trainer)
    extra = [token for token in special if token not in (pad, bos, eos)]
    fast: Any = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, pad_token=pad, bos_token=bos, eos_token=eos, additional_special_tokens=extra
    )
    if family in ("qwen3", "smollm3"):  # tokens of their own, but not special: text can spell them
        fast.add_tokens([AddedToken(word, special=False, normalized=False) for word in ("<tool_call>", "</tool_call>")])
    fast.chat_template = chat_template(family)
    return fast  # type: ignore[no-any-return]


def tiny_model(family: str, tokenizer: PreTrainedTokenizerFast, *, context: int = 4096, seed: int = 0) -> Any:
    """Make the family's model: four layers of width 32; more embeddings than tokens, as real models have."""
    common: dict[str, Any] = {
        "vocab_size": (len(tokenizer) // 64 + 1) * 64,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": context,
        "initializer_range": 0.3,  # logits far apart: an argmax does not hang on rounding
        "tie_word_embeddings": False,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    makers: dict[str, Any] = {
        "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(head_dim=8, **common)),
        "llama3.2": lambda: LlamaForCausalLM(LlamaConfig(**common)),
        "builtin": lambda: LlamaForCausalLM(LlamaConfig(**common)),
        "smollm3": lambda: SmolLM3ForCausalLM(SmolLM3Config(no_rope_layers=[1, 1, 1, 0], **common)),
        "gemma3": lambda: Gemma3ForCausalLM(
            Gemma3TextConfig(
                head_dim=8,
                query_pre_attn_scalar=8,
                sliding_window=16,
                layer_types=["sliding_attention", "sliding_attention", "sliding_attention", "full_attention"],
                **common,
            )
        ),
    }
    torch.manual_seed(seed)
    model = makers[family]()
    ends = {tokenizer.get_vocab()[token] for token in _TOKENS[family][2:4]}
    model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        eos_token_id=sorted(ends), pad_token_id=tokenizer.pad_token_id
    )
    return model.eval()


def tiny_base(family: str, folder: str | Path, *, context: int = 4096, seed: int = 0) -> Path:
    """Save a tiny base of `family` to `folder`, as transformers loads it, and return the folder."""
    folder = Path(folder)
    tokenizer = tiny_tokenizer(family)
    with quiet():
        tiny_model(family, tokenizer, context=context, seed=seed).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return folder


def tiny_adapter(base: Base, folder: str | Path, tools: ToolSet, *, seed: int = 0, **contract: Any) -> Path:
    """Save a random LoRA adapter for `base` and its contract to `folder`, as `tune` does, and return the folder."""
    from peft import LoraConfig, get_peft_model

    folder = Path(folder)
    torch.manual_seed(seed)
    config = LoraConfig(r=2, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    with warnings.catch_warnings():  # PEFT asks transformers for what is deprecated there
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
        wrapped: Any = get_peft_model(copy.deepcopy(base.model), config)
    wrapped.save_pretrained(str(folder), save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)
    options: dict[str, Any] = {"base": base.name, "base_fingerprint": base.fingerprint, "form": base.renderer.form}
    Contract.of(tools, **{**options, "weights": weights_digest(folder), **contract}).save(folder)
    return folder

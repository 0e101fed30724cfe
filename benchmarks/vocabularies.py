"""Tokenizers to time engines with: the built-in base's, a folder's, tekken's 131k tokens, or 32k trained on the spot."""

import sysconfig
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

from schematune.schemas.errors import ModelError

__all__ = ["tokenizer_named"]

_TRAINED = 32_768
_FILES = 600
_LONGEST = 64


def tokenizer_named(name: str) -> Any:
    """Return a Hugging Face tokenizer: `builtin`, `trained`, `tekken` or a local folder; raises `ModelError`.

    `tekken` has 131,072 tokens and comes with the package mistral-common; `trained` has 32,768, byte-level BPE trained
    on the sources of Python's own library, the same on each run of one Python.
    """
    if name == "tekken":
        return _tekken()
    if name == "trained":
        return _trained()
    from transformers import AutoTokenizer

    from schematune.decoding.base import BUILTIN

    folder = str(BUILTIN) if name == "builtin" else name
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, model_max_length=10**9)
    except (OSError, ValueError) as error:
        fix = "a local folder, builtin, trained or tekken"
        raise ModelError(f"no tokenizer: {error}", where=name, fix=fix) from error


def _tekken() -> Any:
    from transformers import PreTrainedTokenizerFast

    spec = find_spec("mistral_common")
    places = list(spec.submodule_search_locations or ()) if spec else []
    files = sorted(Path(places[0], "data").glob("tekken_*.json")) if places else []
    if not files:
        raise ModelError("the tekken tokenizer is not here", where="tekken", fix="pip install mistral-common")
    from transformers.integrations.mistral.tokenizer import MistralConverter

    converter: Any = MistralConverter
    found: Any = PreTrainedTokenizerFast
    return found(tokenizer_object=converter(str(files[0])).converted(), eos_token="</s>", model_max_length=10**9)


def _trained() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_TRAINED,
        special_tokens=["<|end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=_LONGEST,
        show_progress=False,
    )
    tokenizer.train_from_iterator(_sources(), trainer)
    fast: Any = PreTrainedTokenizerFast
    return fast(tokenizer_object=tokenizer, eos_token="<|end|>", model_max_length=10**9)


def _sources() -> Iterator[str]:
    folder = Path(sysconfig.get_path("stdlib"))
    for path in islice(sorted(folder.glob("*.py")) + sorted(folder.glob("*/*.py")), _FILES):
        yield path.read_text(encoding="utf-8", errors="replace")

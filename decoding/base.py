"""A base: a causal language model, its tokenizer and its chat template, loaded and checked.

`load_base` takes the built-in base, a local folder or a hub name, and raises one clear `ModelError` for
what cannot serve. Safetensors only, no remote code, and no network unless it is asked for. The fingerprint
is made of the weights' values, so it is the same on a CPU (float32) and on a GPU (bfloat16).
"""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from schematune.decoding.reader import Reader
from schematune.schemas.errors import ModelError, RenderError
from schematune.schemas.form import Form
from schematune.schemas.jsontext import compact
from schematune.schemas.render import Renderer

__all__ = ["BUILTIN", "LARGE", "ONLINE", "SHIPPED", "Base", "base_fingerprint", "load_base", "pick_device", "quiet"]

BUILTIN = Path(__file__).parent / "builtin"
"""The folder of the built-in base."""

LARGE = Path(__file__).parent / "builtin_large"
"""The folder of the larger built-in base."""

SHIPPED = {"builtin": BUILTIN, "builtin-large": LARGE}
"""The folders of the bases that the package brings, by the names that they are loaded by."""

ONLINE = "SCHEMATUNE_ONLINE"
"""Set to 1, this environment variable lets `load_base` ask the hub."""

_FILES = ["*.json", "*.safetensors", "*.jinja", "*.model", "*.txt"]
_CAUSAL = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")
_DEFAULT_CONTEXT = 2048


@dataclass
class Base:
    """A loaded base.

    `name` is what was asked for, `model` is in eval mode on its device, `fingerprint` identifies weights,
    vocabulary and chat template, `context` counts the tokens that it can read, prompt and output together. `adapter` is the
    one of several in the model that this base speaks through (`schematune.decoding.callers`); `reader` leans its answers while no
    adapter is on it, where one was shipped with it.
    """

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    renderer: Renderer
    fingerprint: str
    context: int
    adapter: str = ""
    reader: Reader | None = None

    @cached_property
    def stop(self) -> frozenset[int]:
        """The tokens that end an assistant's turn."""
        return stop_tokens(self.model, self.tokenizer, self.renderer.ending)


def load_base(
    name: str | Path = "builtin",
    *,
    device: str = "auto",
    form: str | Form = "auto",
    dtype: str = "auto",
    online: bool | None = None,
) -> Base:
    """Load the base `name`: `"builtin"`, `"builtin-large"`, a local folder, or a hub name.

    `device` is `"auto"` (a GPU where there is one) or what torch takes; `dtype` is `"auto"` (float32 on a
    CPU, the checkpoint's own on a GPU) or a name such as `"bfloat16"`; `form` is the `Renderer`'s. The hub
    is asked only where `online` is true (or, where it is None, `SCHEMATUNE_ONLINE=1` is set); what is in
    the local cache needs neither. Raises `ModelError`.
    """
    where = str(name)
    folder = _folder(where, os.environ.get(ONLINE) == "1" if online is None else online)
    target = pick_device(device)
    _check_folder(folder, where)
    with quiet():
        tokenizer = _load_tokenizer(folder, where)
        model = _load_model(folder, where, "auto")
        fingerprint = base_fingerprint(model, tokenizer)
        if dtype != "auto" and getattr(torch, dtype, None) != model.dtype:
            model = _load_model(folder, where, dtype)
        elif dtype == "auto" and target.type == "cpu":
            model = model.float()  # type: ignore[no-untyped-call]
    try:
        renderer = Renderer(tokenizer, form)
        model = model.to(target).eval()  # type: ignore[arg-type]
    except RenderError as error:
        raise ModelError(error.what, where=where, fix=error.fix) from error
    except RuntimeError as error:
        raise ModelError(f"cannot be put on {target}: {error}", where=where, fix='device="cpu"') from error
    if model.generation_config is not None:
        model.generation_config.use_cache = True  # a run that trained without a cache saves False
    text = model.config.get_text_config()
    text.use_cache = True
    context = int(getattr(text, "max_position_embeddings", None) or _DEFAULT_CONTEXT)
    return Base(where, model, tokenizer, renderer, fingerprint, context, reader=Reader.load(folder))


def base_fingerprint(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> str:
    """Return the SHA-256 over the weights (name, shape, values), the vocabulary and the chat template.

    The same for a base however it was loaded: values are hashed as float32, to which every smaller float
    goes without loss. `model` must hold the base's own weights: no adapter merged into it or wrapped around.
    """
    total = hashlib.sha256()
    for key, tensor in sorted(model.state_dict().items()):
        total.update(f"{key} {tuple(tensor.shape)}\n".encode())
        values = tensor.detach().to("cpu")
        values = values.float() if values.is_floating_point() else values
        total.update(values.contiguous().view(-1).numpy().data)
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    total.update(compact([vocabulary, tokenizer.chat_template]).encode("utf-8", "surrogatepass"))
    return total.hexdigest()


def stop_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, ending: str) -> frozenset[int]:
    """Return the tokens after which an assistant's turn is over: end of sequence, and the template's ending."""
    found = set(tokenizer.encode(ending, add_special_tokens=False)[:1])
    configured = getattr(model.generation_config, "eos_token_id", None)
    for ids in (configured, tokenizer.eos_token_id):
        found.update(ids if isinstance(ids, list) else [] if ids is None else [ids])
    return frozenset(int(token) for token in found)


def pick_device(device: str) -> torch.device:
    """Return the device that `"auto"` or a name stands for; raises `ModelError` for one that is not there."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"no device {device!r}: {str(error).splitlines()[0]}", fix='device="cpu"') from error
    return found


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the progress bars and remarks of transformers off the terminal; errors still come through."""
    verbosity = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _folder(name: str, online: bool) -> Path:
    if name in SHIPPED:
        return SHIPPED[name]
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1 or path.exists():
        raise ModelError("no such folder", where=name, fix='check the path, or take base="builtin"')
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, local_files_only=not online, allow_patterns=_FILES))
    except LocalEntryNotFoundError as error:
        fix = "check the name and the connection" if online else f"set {ONLINE}=1 to fetch it from the hub"
        what = "neither a folder nor in the local cache" + (", and the hub does not give it" if online else "")
        raise ModelError(what, where=name, fix=fix + ', or take base="builtin"') from error
    except (HfHubHTTPError, HFValidationError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelError(f"the hub does not give it: {reason}", where=name, fix="check the name") from error


def _check_folder(folder: Path, where: str) -> None:
    """Raise `ModelError` unless `folder` holds a causal language model in safetensors."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        architectures = config.get("architectures") or []
    except (OSError, ValueError, AttributeError) as error:
        fix = "python -m schematune.trainer.pretrain" if folder in SHIPPED.values() else "give the folder of a model"
        raise ModelError(f"config.json cannot be read: {error}", where=where, fix=fix) from error
    seq2seq = config.get("is_encoder_decoder") or any("T5" in name or "Bart" in name for name in architectures)
    if seq2seq or (architectures and not any(name.endswith(_CAUSAL) for name in architectures)):
        raise ModelError(
            f"no causal language model: its architecture is {', '.join(architectures) or 'encoder-decoder'}",
            where=where,
            fix="take a model of the kind ...ForCausalLM",
        )
    if not list(folder.glob("*.safetensors")):
        pickles = [path.name for path in (*folder.glob("*.bin"), *folder.glob("*.pt"), *folder.glob("*.pth"))]
        found = f"only {pickles[0]}, a pickle" if pickles else "none"
        raise ModelError(f"no weights in safetensors ({found})", where=where, fix="save it as safetensors")


def _load_tokenizer(folder: Path, where: str) -> PreTrainedTokenizerBase:
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # whatever a broken file makes the libraries raise
        raise _broken("the tokenizer cannot be loaded", error, where) from error
    if not getattr(tokenizer, "is_fast", False):
        raise ModelError("no fast tokenizer (tokenizer.json)", where=where, fix="convert the tokenizer")
    if not tokenizer.chat_template:
        raise ModelError("no chat template", where=where, fix="add chat_template.jinja, or take a chat model")
    return tokenizer


def _load_model(folder: Path, where: str, dtype: str) -> PreTrainedModel:
    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = AutoConfig.from_pretrained(folder, **options)
        options.update(config=config, dtype=dtype, use_safetensors=True, output_loading_info=True)
        loaded: Any = AutoModelForCausalLM.from_pretrained(folder, **options)
    except Exception as error:  # whatever a broken file makes the libraries raise
        raise _broken("the model cannot be loaded", error, where) from error
    model, report = loaded
    missing = sorted(report["missing_keys"])
    if missing:
        raise ModelError(
            f"the weights are incomplete: {missing[0]} and {len(missing) - 1} more are missing",
            where=where,
            fix="fetch or save the model again",
        )
    return model  # type: ignore[no-any-return]


def _broken(what: str, error: Exception, where: str) -> ModelError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = lines[0] if lines else type(error).__name__
    return ModelError(f"{what}: {reason}", where=where, fix="check the files, or fetch or save the model again")

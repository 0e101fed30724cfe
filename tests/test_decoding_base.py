"""Bases: every family loads, fingerprints hold, and what cannot serve is refused in one clear error."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny import FAMILIES, tiny_base

from schematune.decoding.base import BUILTIN, ONLINE, Base, base_fingerprint, load_base
from schematune.schemas.errors import ModelError

Folder = Callable[[str], Path]
Loaded = Callable[[str], Base]


@pytest.fixture
def copied(tiny_folder: Folder, tmp_path: Path) -> Path:
    """Return a tiny base to break."""
    return Path(shutil.copytree(tiny_folder("builtin"), tmp_path / "base"))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_loads(tiny_loaded: Loaded, family: str) -> None:
    base = tiny_loaded(family)
    assert not base.model.training and base.model.dtype == torch.float32 and base.context == 4096
    assert base.model.generation_config is not None and base.model.generation_config.use_cache
    ending = base.tokenizer.encode(base.renderer.ending, add_special_tokens=False)
    assert len(ending) == 1 and ending[0] in base.stop
    native = {"qwen3": "native", "llama3.2": "native", "smollm3": "native"}
    assert base.renderer.form.name == native.get(family, "compact")


def test_the_fingerprint_is_of_the_values(tiny_folder: Folder, tiny_loaded: Loaded, tmp_path: Path) -> None:
    base = tiny_loaded("qwen3")
    assert load_base(tiny_folder("qwen3"), dtype="bfloat16").fingerprint == base.fingerprint
    assert base_fingerprint(base.model, base.tokenizer) == base.fingerprint
    other = load_base(tiny_base("qwen3", tmp_path, seed=1))
    assert other.fingerprint != base.fingerprint


def test_half_precision_weights_have_one_fingerprint(tiny_folder: Folder, tmp_path: Path) -> None:
    half = load_base(tiny_folder("builtin"), dtype="bfloat16")
    half.model.save_pretrained(tmp_path)
    half.tokenizer.save_pretrained(tmp_path)
    on_cpu = load_base(tmp_path, device="cpu")
    assert on_cpu.model.dtype == torch.float32
    assert on_cpu.fingerprint == base_fingerprint(half.model, half.tokenizer)


def test_the_chat_template_counts_in_the_fingerprint(copied: Path, tiny_loaded: Loaded) -> None:
    template = copied / "chat_template.jinja"
    template.write_text(template.read_text() + "{#- another -#}")
    assert load_base(copied).fingerprint != tiny_loaded("builtin").fingerprint


def test_a_base_saved_without_a_cache_gets_one(copied: Path) -> None:
    path = copied / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "use_cache": False}))
    base = load_base(copied)
    assert base.model.generation_config is not None and base.model.generation_config.use_cache


def test_the_form_can_be_chosen(tiny_folder: Folder) -> None:
    assert load_base(tiny_folder("qwen3"), form="compact").renderer.form.name == "compact"
    with pytest.raises(ModelError, match="no form 'xml'"):
        load_base(tiny_folder("qwen3"), form="xml")


@pytest.mark.parametrize("name", ["/no/such/folder", "./nowhere", "a/b/c"])
def test_a_missing_folder(name: str) -> None:
    with pytest.raises(ModelError, match="no such folder"):
        load_base(name)


def test_the_hub_is_not_asked_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ONLINE, raising=False)
    with pytest.raises(ModelError, match=f"local cache.*{ONLINE}=1"):
        load_base("schematune-tests/not-there")


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="config.json cannot be read"):
        load_base(tmp_path)


@pytest.mark.parametrize("change", [{"architectures": ["BertModel"]}, {"is_encoder_decoder": True}])
def test_no_causal_language_model(copied: Path, change: dict[str, object]) -> None:
    path = copied / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ModelError, match="no causal language model"):
        load_base(copied)


def test_an_unknown_kind_of_model(copied: Path) -> None:
    path = copied / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "model_type": "abacus"}))
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_base(copied)


def test_no_chat_template(copied: Path) -> None:
    (copied / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match="no chat template"):
        load_base(copied)


def test_pickled_weights_are_refused(copied: Path) -> None:
    (copied / "model.safetensors").rename(copied / "pytorch_model.bin")
    with pytest.raises(ModelError, match="pytorch_model.bin, a pickle"):
        load_base(copied)


def test_broken_weights(copied: Path) -> None:
    weights = copied / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_base(copied)


def test_incomplete_weights(copied: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(copied / "model.safetensors")
    del weights["model.layers.0.mlp.up_proj.weight"]
    save_file(weights, copied / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="incomplete: model.layers.0.mlp.up_proj.weight"):
        load_base(copied)


def test_no_such_device(tiny_folder: Folder) -> None:
    with pytest.raises(ModelError, match="no device"):
        load_base(tiny_folder("builtin"), device="abacus")


@pytest.mark.skipif((BUILTIN / "config.json").exists(), reason="the built-in base is there")
def test_the_builtin_base_says_how_it_is_made() -> None:
    with pytest.raises(ModelError, match="schematune.trainer.pretrain"):
        load_base("builtin")

"""The mean of bases is a base: its weights, and everything else of the last one."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from schematune.decoding.base import load_base
from schematune.schemas.errors import ModelError
from schematune.trainer.average import average, main


def shifted(base: Path, folder: Path, by: float) -> Path:
    """Copy a base with all its weights moved."""
    shutil.copytree(base, folder)
    weights = {name: tensor + by for name, tensor in load_file(base / "model.safetensors").items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "recipe.json").write_text(json.dumps({"seed": by}))
    return folder


def test_weights_are_means_and_all_else_is_the_last_ones(tiny_folder: Callable[[str], Path], tmp_path: Path) -> None:
    base = tiny_folder("builtin")
    bases = [shifted(base, tmp_path / name, by) for name, by in (("one", 1.0), ("two", -1.0), ("three", 3.0))]
    assert main(["--bases", *map(str, bases), "--out", str(tmp_path / "mean")]) == 0
    was, found = load_file(base / "model.safetensors"), load_file(tmp_path / "mean" / "model.safetensors")
    assert was.keys() == found.keys()
    assert all(torch.allclose(found[name].float(), was[name].float() + 1.0, atol=1e-2) for name in was)
    recipe = json.loads((tmp_path / "mean" / "recipe.json").read_text())
    assert recipe["seed"] == 3.0 and [name.split("/")[-1] for name in recipe["averaged"]] == ["one", "two", "three"]
    assert load_base(str(tmp_path / "mean"), device="cpu").context == load_base(str(base), device="cpu").context


def test_what_cannot_be_averaged(
    tiny_folder: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = tiny_folder("builtin")
    other = shifted(base, tmp_path / "other", 1.0)
    (other / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match="fewer than two"):
        average([base], tmp_path / "out")
    with pytest.raises(ModelError, match="another shape or tokenizer"):
        average([other, base], tmp_path / "out")
    with pytest.raises(ModelError, match="no such file"):
        average([base, tmp_path / "nowhere"], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert main(["--bases", str(base), str(base), "--out", str(other)]) == 1
    assert "there already" in capsys.readouterr().err

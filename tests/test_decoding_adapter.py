"""Adapters: loaded, merged or live, and refused where the folder or the base is another one."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny import tiny_adapter, tiny_base

from schematune.decoding.adapter import WEIGHTS, Adapter, serving_base, weights_digest
from schematune.decoding.base import Base, load_base
from schematune.schemas.contract import CONTRACT_FILE, Contract
from schematune.schemas.errors import ContractError, DriftError, ModelError
from schematune.schemas.tool import ToolSet

Loaded = Callable[[str], Base]

TOOLS = ToolSet({"name": "f", "parameters": {"properties": {"a": {"type": "integer"}}}})


@pytest.fixture(scope="module")
def made(tiny_loaded: Loaded, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an adapter's folder; do not write into it."""
    return tiny_adapter(tiny_loaded("builtin"), tmp_path_factory.mktemp("adapter"), TOOLS)


@pytest.fixture
def copied(made: Path, tmp_path: Path) -> Path:
    """Return an adapter's folder to break."""
    return Path(shutil.copytree(made, tmp_path / "adapter"))


def logits(base: Base) -> torch.Tensor:
    """Return what the base says of a prompt."""
    prompt = torch.tensor([base.renderer.prompt([{"role": "user", "content": "hm"}])])
    with torch.inference_mode():
        return base.model(prompt).logits  # type: ignore[no-any-return]


def test_an_adapter_loads(made: Path) -> None:
    adapter = Adapter.load(str(made))
    assert adapter.tools.fingerprint == TOOLS.fingerprint and adapter.contract.kind == "lora"
    assert {file.name for file in made.iterdir()} == {"adapter_config.json", WEIGHTS, CONTRACT_FILE}


def test_merged_equals_live_and_the_base_stays(made: Path, tiny_loaded: Loaded) -> None:
    base, adapter = tiny_loaded("builtin"), Adapter.load(made)
    before = logits(base)
    merged, live = serving_base(adapter, base), serving_base(adapter, base, merge=False)
    by_name = serving_base(adapter)  # the contract's own base: the folder
    assert torch.allclose(logits(merged), logits(live), atol=1e-4)
    assert torch.allclose(logits(merged), logits(by_name))
    assert not torch.allclose(logits(merged), before, atol=1e-2)
    assert torch.equal(logits(base), before)


def test_another_base_is_refused(made: Path, tmp_path: Path) -> None:
    other = tiny_base("builtin", tmp_path, seed=1)
    with pytest.raises(ContractError, match=r"tuned on the base .* is another one .*tune again on"):
        serving_base(Adapter.load(made), other)
    with pytest.raises(ContractError, match="another one"):
        serving_base(Adapter.load(made), load_base(other))


def test_a_base_that_moved_says_how_to_find_it(copied: Path) -> None:
    replace(Contract.load(copied), base="/not/here").save(copied)
    with pytest.raises(ModelError, match=r"/not/here.*base=\.\.\."):
        serving_base(Adapter.load(copied))


def test_a_cut_off_file_is_noticed(copied: Path) -> None:
    weights = copied / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(ContractError, match="not those of the contract"):
        Adapter.load(copied)


@pytest.mark.parametrize("name", ["adapter_model.bin", "training_args.bin", "x.pt", "y.pkl"])
def test_a_pickle_is_refused(copied: Path, name: str) -> None:
    (copied / name).write_bytes(b"")
    with pytest.raises(ContractError, match=f"{name} is a pickle"):
        Adapter.load(copied)


@pytest.mark.parametrize("name", [WEIGHTS, "adapter_config.json", CONTRACT_FILE])
def test_an_unfinished_folder_is_refused(copied: Path, name: str) -> None:
    (copied / name).unlink()
    with pytest.raises(ContractError, match="cannot be read"):
        Adapter.load(copied)


def test_no_folder() -> None:
    with pytest.raises(ContractError, match="no such folder"):
        Adapter.load("/no/such/adapter")


def test_weights_that_do_not_fit_are_refused(copied: Path, tiny_loaded: Loaded) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(copied / WEIGHTS)
    save_file({key: value for key, value in tensors.items() if "layers.0" not in key}, copied / WEIGHTS)
    replace(Contract.load(copied), weights=weights_digest(copied)).save(copied)
    with pytest.raises(ContractError, match="does not fit the base"):
        serving_base(Adapter.load(copied), tiny_loaded("builtin"))


def test_functions_are_bound_by_name(made: Path) -> None:
    def f(a: int | None = None) -> int:
        return a or 0

    adapter = Adapter.load(made)
    bound = adapter.rebound(adapter.tools._with([replace(adapter.tools["f"], function=f)]))
    assert bound["f"].function is f and adapter.tools["f"].function is None
    with pytest.raises(DriftError, match="changed: f"):
        adapter.rebound(ToolSet([f]))


def test_a_full_tuning_is_a_whole_model(tmp_path: Path, tiny_loaded: Loaded) -> None:
    folder = tiny_base("builtin", tmp_path, seed=5)
    contract = Contract.of(
        TOOLS,
        base="builtin",
        base_fingerprint="of the base it began from",
        form=tiny_loaded("builtin").renderer.form,
        kind="full",
        weights=weights_digest(folder, "full"),
    )
    contract.save(folder)
    served = serving_base(Adapter.load(folder))
    assert served.name == "builtin"
    assert not torch.allclose(logits(served), logits(tiny_loaded("builtin")), atol=1e-2)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ContractError, match="cannot be read"):
        Adapter.load(folder)

"""A tuned adapter as a folder: its contract, checked, and its weights put onto a base.

The folder is PEFT's layout in safetensors (`adapter_config.json`, `adapter_model.safetensors`), or for a full
tuning a whole model (`config.json`, `model.safetensors`, tokenizer), plus the contract `schematune.json`.
PEFT itself never checks that an adapter belongs to its base; the contract does, here.
"""

import copy
import hashlib
import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from schematune.decoding.base import Base, load_base, quiet
from schematune.decoding.prior import PRIOR, ToolPrior
from schematune.schemas.contract import Contract, Kind, file_digest
from schematune.schemas.errors import ContractError, ModelError
from schematune.schemas.render import Renderer
from schematune.schemas.tool import ToolSet

__all__ = [
    "WEIGHTS",
    "Adapter",
    "attach",
    "check_base",
    "fitting",
    "renderer_of",
    "serving_base",
    "toolset_of",
    "weights_digest",
]

WEIGHTS = "adapter_model.safetensors"
"""The weights of a LoRA adapter."""

_CONFIGS: dict[Kind, str] = {"lora": "adapter_config.json", "full": "config.json"}
_PATTERNS: dict[Kind, str] = {"lora": WEIGHTS, "full": "model*.safetensors"}
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.pickle", "*.ckpt")


@dataclass
class Adapter:
    """A tuned adapter on disk: its folder, its contract, the tools it was tuned on (without functions), and their prior."""

    path: Path
    contract: Contract
    tools: ToolSet
    prior: ToolPrior | None = None

    @classmethod
    def load(cls, path: str | Path) -> "Adapter":
        """Read and check an adapter's folder; no model is loaded.

        Raises `ContractError` for a folder that is missing or unfinished, a contract that is broken or does
        not match the tools in it, weights that are pickled, missing or not those of the contract.
        """
        folder = Path(path).expanduser()
        if not folder.is_dir():
            raise ContractError("no such folder", where=str(path), fix="give the folder that tune() wrote")
        contract = Contract.load(folder)
        pickles = sorted(found.name for pattern in _PICKLES for found in folder.glob(pattern))
        if pickles:
            raise ContractError(
                f"{pickles[0]} is a pickle, which is not loaded", where=str(folder), fix="keep safetensors only"
            )
        config = folder / _CONFIGS[contract.kind]
        try:
            json.loads(config.read_text(encoding="utf-8"))
            digest = weights_digest(folder, contract.kind)
            prior = file_digest(folder / PRIOR) if contract.prior else ""
        except (OSError, ValueError) as error:
            raise ContractError(
                f"the adapter cannot be read: {error}", where=str(folder), fix="tune again, or copy the whole folder"
            ) from error
        if (digest, prior) != (contract.weights, contract.prior):
            part = (
                ("the weights", _PATTERNS[contract.kind])
                if digest != contract.weights
                else ("the prior's weights", PRIOR)
            )
            raise ContractError(
                f"{part[0]} are not those of the contract (cut off or exchanged)",
                where=str(folder / part[1]),
                fix="copy the folder again, or tune again",
            )
        return cls(folder, contract, contract.toolset(), ToolPrior.load(folder) if contract.prior else None)

    def rebound(self, tools: ToolSet | None) -> ToolSet:
        """Return the adapter's tools with the functions of `tools`.

        Raises `DriftError`, which names the tools that differ.
        """
        if tools is None:
            return self.tools
        self.contract.check_tools(tools)
        return self.tools.rebind(tools)


def weights_digest(folder: Path, kind: Kind = "lora") -> str:
    """Return the SHA-256 of the weights in `folder`: of the file, or of the list of files where there are several.

    Raises `OSError` where there is none.
    """
    files = sorted(folder.glob(_PATTERNS[kind]))
    if not files:
        raise FileNotFoundError(f"no {_PATTERNS[kind]} in {folder}")
    digests = [file_digest(file) for file in files]
    listing = "".join(f"{file.name} {digest}\n" for file, digest in zip(files, digests, strict=True))
    return digests[0] if len(files) == 1 else hashlib.sha256(listing.encode()).hexdigest()


def serving_base(
    adapter: Adapter, base: str | Path | Base | None = None, *, device: str = "auto", merge: bool = True
) -> Base:
    """Load the base that `adapter` was tuned on and put the adapter onto it.

    `base` says where the base is now, where that is not its recorded name; a loaded `Base` is left as it is
    (merging copies its model). Raises `ContractError` for another base than the contract's, `ModelError` for
    a base that cannot be loaded.
    """
    contract = adapter.contract
    if isinstance(base, Base) and base.adapter:
        return base  # it holds the adapter already
    if contract.kind == "full":
        return replace(load_base(adapter.path, device=device, form=contract.form), name=contract.base)
    if isinstance(base, Base):
        loaded = base
    else:
        try:
            loaded = load_base(base or contract.base, device=device, form=contract.form)
        except ModelError as error:
            fix = f"{error.fix}; or say where the base is: base=..." if base is None else error.fix
            raise ModelError(error.what, where=error.where, fix=fix) from error
    check_base(adapter, loaded)
    if isinstance(base, Base):
        loaded = replace(base, model=copy.deepcopy(base.model), renderer=renderer_of(base, contract))
    return attach(loaded, adapter, merge=merge)


def check_base(adapter: Adapter, base: Base) -> None:
    """Raise `ContractError` where `adapter` was tuned on another base."""
    contract = adapter.contract
    if base.fingerprint != contract.base_fingerprint:
        raise ContractError(
            f"tuned on the base {contract.base} ({contract.base_fingerprint[:12]}), "
            f"but {base.name} is another one ({base.fingerprint[:12]})",
            where=str(adapter.path),
            fix=f"give the base it was tuned on (base=...), or tune again on {base.name}",
        )


@contextmanager
def fitting(adapter: Adapter) -> Iterator[None]:
    """Turn whatever PEFT raises or warns of on loading `adapter` into a `ContractError`."""
    with quiet(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
        warnings.filterwarnings("error", message="Found missing adapter keys")  # PEFT only warns
        try:
            yield
        except Exception as error:  # whatever a file that does not fit makes PEFT raise
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise ContractError(
                f"the adapter does not fit the base: {reason}", where=str(adapter.path), fix="tune again"
            ) from error


def attach(base: Base, adapter: Adapter, *, merge: bool = True) -> Base:
    """Put a LoRA adapter onto `base`, whose model is changed by it, and return the base that serves it.

    With `merge` the adapter goes into the weights: a live one costs two small matrix products a layer.
    """
    from peft import PeftModel

    with fitting(adapter):
        tuned = PeftModel.from_pretrained(base.model, str(adapter.path), is_trainable=False)
    model: Any = tuned.merge_and_unload() if merge else tuned.get_base_model()
    return replace(base, model=model.eval())


def renderer_of(base: Base, contract: Contract) -> Renderer:
    """Return the base's renderer in the form of calls that the contract names."""
    return base.renderer if base.renderer.form == contract.form else Renderer(base.tokenizer, contract.form)


def toolset_of(tools: Any, contract: Contract) -> ToolSet | None:
    """Read the tools given beside an adapter as its contract has them: parallel or not, the same arguments bound."""
    if tools is None or isinstance(tools, ToolSet):
        return tools
    plain = ToolSet(tools, parallel=contract.parallel)
    bound = [name for name in contract.bound_names if any(name in tool.properties for tool in plain)]
    return ToolSet(tools, parallel=contract.parallel, bound=bound) if bound else plain

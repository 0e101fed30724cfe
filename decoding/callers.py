"""Several adapters on one base: the base is in memory once, and one batch may hold requests to all of them.

The adapters stay beside the weights (PEFT's LoRA layers), and each row of a forward pass goes through its own: PEFT's
mixed batches, by `adapter_names`. A merged adapter (`Caller`) is faster where there is only one.
"""

import copy
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any
from weakref import WeakSet

from schematune.decoding.adapter import Adapter, check_base, fitting, renderer_of
from schematune.decoding.asked import Request, bound_values, rows_of
from schematune.decoding.base import Base, load_base
from schematune.decoding.caller import Caller, answers_of
from schematune.schemas.call import Answer
from schematune.schemas.errors import ContractError, SchemaError
from schematune.schemas.jsontext import JSON

__all__ = ["Callers"]


class Callers:
    """A `Caller` for each of several adapters, by names of your choice, on one base.

    `adapters` are folders of adapters (or loaded ones), `tools` the functions or definitions to bind, by adapter; the
    `base` is that of the first adapter, where none is given. Further options are those of every `Caller`
    (`max_new_tokens`, `sampling`, `retry_tokens`, ...). Raises what `Caller` raises, and `ContractError` for an adapter that
    cannot share a batch: a full tuning, DoRA. Adapters come and go while the others serve::

        callers = Callers({"bookings": "adapters/bookings", "music": "adapters/music"})
        callers["music"]("play Thriller")
        callers.batch(["play Thriller", "a table for two"], adapters=["music", "bookings"])
        callers.add("music", "adapters/music-2")
    """

    def __init__(
        self,
        adapters: Mapping[str, str | Path | Adapter],
        *,
        tools: Mapping[str, Any] | None = None,
        base: str | Path | Base | None = None,
        device: str = "auto",
        **options: Any,
    ) -> None:
        """See the class."""
        loaded = {name: _loaded(adapter) for name, adapter in adapters.items()}
        if not loaded:
            raise ContractError("no adapters", where="Callers", fix="give one adapter or more, by name")
        first = next(iter(loaded.values()))
        if isinstance(base, Base):
            self.base = replace(base, model=copy.deepcopy(base.model))
        else:
            self.base = load_base(base or first.contract.base, device=device)
        self.options = options
        self._callers: dict[str, Caller] = {}
        self._rows = _Rows()
        self._numbers = count()
        self._peft: Any = None
        for name, adapter in loaded.items():
            self.add(name, adapter, tools=(tools or {}).get(name))

    def __getitem__(self, name: str) -> Caller:
        """Return the caller of an adapter; raises `SchemaError` for a name that is not known."""
        if name not in self._callers:
            known = ", ".join(self._callers) or "none"
            raise SchemaError(f"there is no adapter {name!r}", where="adapters", fix=f"known: {known}")
        return self._callers[name]

    def __iter__(self) -> Iterator[str]:
        """Yield the adapters' names."""
        return iter(self._callers)

    def __len__(self) -> int:
        """Return the number of adapters."""
        return len(self._callers)

    def add(self, name: str, adapter: str | Path | Adapter, *, tools: Any = None) -> Caller:
        """Load an adapter beside the others, or in the place of the one of this name, which serves until then.

        Raises `ContractError` and `DriftError` as `Caller` does; then nothing has changed.
        """
        adapter = _loaded(adapter)
        check_base(adapter, self.base)
        inside = f"adapter{next(self._numbers)}"
        try:
            with fitting(adapter):
                self._load(adapter, inside)
            base = replace(self.base, renderer=renderer_of(self.base, adapter.contract), adapter=inside)
            caller = Caller(adapter, tools=tools, base=base, **self.options)
        except BaseException:
            if self._peft is not None and inside in self._peft.peft_config:
                self._unload(inside)
            raise
        before, self._callers[name] = self._callers.get(name), caller
        if before is not None:
            self._unload(before.base.adapter)
        return caller

    def remove(self, name: str) -> None:
        """Unload an adapter; raises `SchemaError` for a name that is not known."""
        self._unload(self[name].base.adapter)
        del self._callers[name]

    def _load(self, adapter: Adapter, inside: str) -> None:
        from peft import PeftModel

        if self._peft is None:
            self._peft = PeftModel.from_pretrained(self.base.model, str(adapter.path), inside, is_trainable=False)
            self._rows.lead(self._peft.get_base_model())
        else:
            self._peft.load_adapter(str(adapter.path), inside, is_trainable=False)
        self._peft.eval()
        self._rows.hook(self._peft)

    def _unload(self, inside: str) -> None:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*was active which is now deleted", category=UserWarning)
            self._peft.delete_adapter(inside)

    def batch(
        self,
        requests: Sequence[Request],
        *,
        adapters: Sequence[str],
        contexts: Sequence[Mapping[str, str] | None] | None = None,
        permits: Sequence[Sequence[str] | None] | None = None,
        bound: Mapping[str, JSON] | None = None,
        choice: str = "auto",
        parallel: bool = True,
        size: int = 16,
    ) -> list[Answer]:
        """Answer many requests, each through the adapter that is named beside it, `size` at a time, in their order.

        `bound` gives the bound arguments of whichever tools have them. The rest is as in `Caller.batch`. Raises
        `DecodeError` where the lists differ in length, and `SchemaError` for names that are not known.
        """
        rows = rows_of(requests, contexts, permits)
        if len(adapters) != len(rows):
            raise SchemaError(f"{len(rows)} requests, {len(adapters)} adapters", where="adapters", fix="one for each")
        callers = {name: self[name] for name in adapters}
        given = {name: _bound(caller, bound or {}) for name, caller in callers.items()}
        known = {argument for caller in callers.values() for tool in caller.tools for argument in tool.bound}
        unknown = [argument for argument in bound or {} if argument not in known]
        if unknown:
            fix = f"known: {', '.join(sorted(known)) or 'none'}"
            raise SchemaError(f"no tool has the bound argument {unknown[0]!r}", where="bound", fix=fix)
        asked = [(callers[name], row, given[name]) for name, row in zip(adapters, rows, strict=True)]
        return answers_of(asked, choice=choice, parallel=parallel, size=size)


class _Rows:
    """Brings `adapter_names` from a model's call to its LoRA layers; a call without them goes through the base alone."""

    def __init__(self) -> None:
        self.names: list[str] | None = None
        self._hooked: WeakSet[Any] = WeakSet()

    def lead(self, model: Any) -> None:
        """Take the names out of the calls of `model`."""

        def before(module: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
            self.names = kwargs.pop("adapter_names", None)
            return args, kwargs

        model.register_forward_pre_hook(before, with_kwargs=True)

    def hook(self, model: Any) -> None:
        """Give the names to the layers that have adapters and were not given any so far."""
        from peft.tuners.tuners_utils import BaseTunerLayer
        from peft.utils.other import AuxiliaryTrainingWrapper

        def before(module: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
            return args, {**kwargs, "adapter_names": self.names or ["__base__"] * len(args[0])}

        kinds: Any = (BaseTunerLayer, AuxiliaryTrainingWrapper)
        for module in model.modules():
            if isinstance(module, kinds) and module not in self._hooked:
                self._hooked.add(module)
                module.register_forward_pre_hook(before, with_kwargs=True)


def _loaded(adapter: str | Path | Adapter) -> Adapter:
    """Load an adapter that can share a batch."""
    loaded = adapter if isinstance(adapter, Adapter) else Adapter.load(adapter)
    if loaded.contract.kind == "full":
        raise ContractError(
            "a full tuning is a base of its own", where=str(loaded.path), fix="Caller(...), or tune without full=True"
        )
    config = json.loads((loaded.path / "adapter_config.json").read_text(encoding="utf-8"))
    if config.get("use_dora"):
        raise ContractError(
            "a DoRA adapter cannot share a batch", where=str(loaded.path), fix="Caller(...), or tune without dora=True"
        )
    return loaded


def _bound(caller: Caller, values: Mapping[str, JSON]) -> dict[str, dict[str, JSON]]:
    known = {argument for tool in caller.tools for argument in tool.bound}
    return bound_values(caller.tools, {name: value for name, value in values.items() if name in known})

"""An adapter's contract: what it was made for, as one JSON file beside its weights.

`Contract` is a record; reading one checks its shape and recomputes the fingerprints of its tools, so that
a contract in hand is whole. Whether the weights and the base fit it is checked where they are loaded
(`schematune.decoding.adapter`). Everything that serves an adapter asks the contract, never the weights.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from schematune.schemas.errors import ContractError, DriftError, SchemaError
from schematune.schemas.files import write_text
from schematune.schemas.form import Form
from schematune.schemas.jsontext import JSON, compact, strict_loads
from schematune.schemas.spans import SpanRules
from schematune.schemas.tool import ToolSet

__all__ = ["CONTRACT_FILE", "Contract", "Kind", "file_digest"]

CONTRACT_FILE = "schematune.json"
VERSION = 1

Kind = Literal["lora", "full"]
"""What the folder holds: a LoRA adapter in PEFT's layout, or a whole tuned model."""


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file; raises `OSError`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class Contract:
    """What an adapter was made for.

    `base` is the base as it was named, `base_fingerprint` what `base_fingerprint()` said of it; `tools` are
    in OpenAI's form, `bound` names for each tool the arguments that the program gives. `weights` is the
    SHA-256 of the weights file, `prior` that of the tools' prior (empty where it has none), `data` the manifest of the pairs (counts by source, their SHA-256),
    `tuning` the options of the run, `versions` those of the packages, `created` an ISO date.

    >>> from schematune.schemas.form import COMPACT
    >>> tools = ToolSet({"name": "f", "parameters": {"properties": {"n": {"type": "integer"}}}})
    >>> contract = Contract.of(tools, base="builtin", base_fingerprint="00", form=COMPACT)
    >>> Contract.from_dict(contract.to_dict()) == contract, contract.toolset().names
    (True, ('f',))
    """

    base: str
    base_fingerprint: str
    tools: tuple[Mapping[str, JSON], ...]
    form: Form
    parallel: bool = True
    bound: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    spans: SpanRules = field(default_factory=SpanRules)
    kind: Kind = "lora"
    weights: str = ""
    prior: str = ""
    data: Mapping[str, JSON] = field(default_factory=dict)
    tuning: Mapping[str, JSON] = field(default_factory=dict)
    seed: int = 0
    metrics: Mapping[str, JSON] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    created: str = ""
    version: int = VERSION

    @classmethod
    def of(cls, tools: ToolSet, **rest: Any) -> "Contract":
        """Make the contract of `tools`; `created` is now where it is not given."""
        bound = {tool.name: tool.bound for tool in tools if tool.bound}
        rest.setdefault("created", datetime.now(UTC).isoformat(timespec="seconds"))
        return cls(tools=tuple(tools.openai()), parallel=tools.parallel, bound=bound, **rest)

    def toolset(self) -> ToolSet:
        """Return the tools, without functions; raises `SchemaError` where one of them is broken."""
        tools = ToolSet(list(self.tools), parallel=self.parallel)
        return tools._with(replace(tool, bound=tuple(self.bound.get(tool.name, ()))) for tool in tools)

    @property
    def bound_names(self) -> tuple[str, ...]:
        """The bound arguments of all tools, each once."""
        return tuple(dict.fromkeys(name for names in self.bound.values() for name in names))

    def check_tools(self, tools: ToolSet) -> None:
        """Raise `DriftError`, which names the tools that differ, unless `tools` are the contract's own.

        The order of arguments does not count: the adapter has its own.
        """
        own = self.toolset()
        shared = [name for name in own.names if name in tools.names]
        found = {
            "changed": [name for name in shared if own[name].identity != tools[name].identity],
            "missing": [name for name in own.names if name not in tools.names],
            "new": [name for name in tools.names if name not in own.names],
        }
        words = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in found.items() if names)
        if own.parallel != tools.parallel:
            words = "; ".join(filter(None, [words, f"parallel is {tools.parallel}, was {own.parallel}"]))
        if not words:
            return
        raise DriftError(
            f"the tools are not those the adapter was tuned on ({words})",
            where="tools",
            fix="tune again, or give the tools it was tuned on",
        )

    def to_dict(self) -> dict[str, JSON]:
        """Return the contract as JSON, with the fingerprints of the tools."""
        tools = self.toolset()
        return {
            **{item.name: getattr(self, item.name) for item in fields(self)},
            "tools": [dict(tool) for tool in self.tools],
            "tools_fingerprint": tools.fingerprint,
            "tool_fingerprints": {tool.name: tool.fingerprint for tool in tools},
            "bound": {name: list(arguments) for name, arguments in self.bound.items()},
            "form": asdict(self.form),
            "spans": self.spans.to_dict(),
        }

    @classmethod
    def from_dict(cls, value: JSON, *, where: str = CONTRACT_FILE) -> "Contract":
        """Read what `to_dict` wrote.

        Raises `ContractError` for a contract of another version, a missing or misshapen part, and tools
        that do not have the recorded fingerprint.
        """
        fix = "tune again, or take the adapter's folder from where it was made"
        if not isinstance(value, Mapping) or value.get("version") != VERSION:
            found = value.get("version") if isinstance(value, Mapping) else None
            raise ContractError(f"a contract of version {found!r}, not {VERSION}", where=where, fix=fix)
        try:
            value = {"prior": "", **value}  # adapters made before there were priors
            contract = cls(**{item.name: value[item.name] for item in fields(cls)})
            contract = replace(
                contract,
                tools=tuple(contract.tools),
                bound={name: tuple(arguments) for name, arguments in contract.bound.items()},
                form=Form(**value["form"]),
                spans=SpanRules.from_dict(value["spans"]),
            )
            _check_types(contract)
            fingerprint = contract.toolset().fingerprint
        except (KeyError, TypeError, ValueError, AttributeError, SchemaError) as error:
            raise ContractError(f"no contract: {error!r}", where=where, fix=fix) from error
        if fingerprint != value.get("tools_fingerprint"):
            raise ContractError("the tools were changed: their fingerprint is another one", where=where, fix=fix)
        return contract

    def save(self, folder: Path) -> None:
        """Write `schematune.json` into `folder`, whole or not at all."""
        write_text(folder / CONTRACT_FILE, compact(self.to_dict()) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "Contract":
        """Read `schematune.json` of `folder`; raises `ContractError`."""
        path = folder / CONTRACT_FILE
        try:
            value = strict_loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ContractError(
                f"the contract cannot be read: {error}", where=str(path), fix="give the folder that tune() wrote"
            ) from error
        return cls.from_dict(value, where=str(path))


_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "base": str,
    "base_fingerprint": str,
    "parallel": bool,
    "weights": str,
    "prior": str,
    "data": Mapping,
    "tuning": Mapping,
    "seed": int,
    "metrics": Mapping,
    "versions": Mapping,
    "created": str,
}


def _check_types(contract: Contract) -> None:
    wrong = [name for name, kind in _TYPES.items() if not isinstance(getattr(contract, name), kind)]
    wrong += [] if contract.kind in get_args(Kind) else ["kind"]
    wrong += [item.name for item in fields(Form) if type(getattr(contract.form, item.name)) is not item.type]
    if wrong:
        raise ValueError(f"{wrong[0]!r} has the wrong type")

"""What a tuning run can be told: one frozen record, checked, with defaults that follow the size of the base.

Small bases want a high rank and a high rate: the built-in one is far from its ceiling and forgets little
that matters. Tuned for half an epoch on SNIPS train and scored on a part of it held out, 3e-3 gave 23 % of calls
exactly right, 8e-3 37 % and 2e-2 12 %; a rank of 64 or 128 gave no more. With the base as it is shipped now it is on a plateau
(`schematune.benchmarks.sweep`): 400 of SNIPS train held out, one epoch, 3e-3, 6e-3 and 1e-2 gave 87.8, 88.8 and 89.0 %, ranks of 16, 32
and 64 88.3, 88.8 and 88.5 %; 94 of the demo's examples 43.6, 40.4 and 44.7 %: all within what chance does. Larger ones take the rates that LoRA is
known to be stable at. Full tuning takes a tenth of the LoRA rate, or a sixth for small bases.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from schematune.schemas.errors import TuneError
from schematune.schemas.jsontext import JSON, compact

__all__ = ["SMALL", "Options"]

SMALL = 100_000_000
"""Bases with fewer parameters than this are tuned as small ones."""

_SMALL_BASE: dict[str, Any] = {"rank": 32, "alpha": 64, "learning_rate": 6e-3, "batch_size": 32, "epochs": 5.0}
_LARGE_BASE: dict[str, Any] = {"rank": 16, "alpha": 32, "learning_rate": 2e-4, "batch_size": 8, "epochs": 3.0}
_FULL_RATE = {True: 1e-3, False: 2e-5}

_LORA_ONLY = ("rank", "alpha", "dora", "rslora", "lora")
_OURS = {
    "r": "rank",
    "lora_alpha": "alpha",
    "target_modules": "target",
    "use_dora": "dora",
    "use_rslora": "rslora",
    "task_type": "",
    "base_model_name_or_path": "",
    "inference_mode": "",
    "peft_type": "",
}


@dataclass(frozen=True)
class Options:
    """The options of one tuning run, each with a value.

    >>> Options.of(5_000_000, epochs=1).learning_rate, Options.of(600_000_000).learning_rate
    (0.006, 0.0002)
    >>> Options.of(5_000_000, rank=0)
    Traceback (most recent call last):
    ...
    schematune.schemas.errors.TuneError: tune(rank=0): must be a whole number from 1 on
    """

    rank: int
    """Rank of the LoRA matrices."""
    alpha: float
    """LoRA's scale: the update is multiplied by alpha / rank (by alpha / sqrt(rank) with `rslora`)."""
    epochs: float
    """Passes over the pairs; a fraction is allowed."""
    learning_rate: float
    """Highest rate, reached after the warm-up; a cosine takes it to zero."""
    batch_size: int
    """Rows in a step."""
    seed: int = 0
    """Seed of the matrices and of the order of the rows."""
    full: bool = False
    """Tune every weight instead of an adapter."""
    target: str | tuple[str, ...] = "all-linear"
    """The modules that get LoRA matrices."""
    dora: bool = False
    """Decompose the weights into magnitude and direction."""
    rslora: bool = False
    """Scale by alpha / sqrt(rank)."""
    save_every: int | None = None
    """Steps between checkpoints; about a tenth of the run where it is None."""
    lora: Mapping[str, JSON] = field(default_factory=dict)
    """Further options of `peft.LoraConfig`."""

    @classmethod
    def of(cls, parameters: int, **given: Any) -> "Options":
        """Fill in what is not `given` (or None) for a base of that many parameters, and check it all.

        Raises `TuneError` that names the option.
        """
        chosen = {name: value for name, value in given.items() if value is not None}
        full = bool(chosen.get("full"))
        needless = [name for name in _LORA_ONLY if full and chosen.get(name)]
        if needless:
            raise TuneError(f"{needless[0]} does nothing with full=True", where="tune", fix="leave one of them out")
        small = parameters < SMALL
        defaults = _SMALL_BASE if small else _LARGE_BASE
        options = cls(**{**defaults, **({"learning_rate": _FULL_RATE[small]} if full else {}), **chosen})
        for name, (fits, rule) in _CHECKS.items():
            value = getattr(options, name)
            if not fits(value):
                raise TuneError(f"must be {rule}", where=f"tune({name}={value!r})")
        _check_lora(options.lora)
        return options

    def to_dict(self) -> dict[str, JSON]:
        """Return the options as JSON, for the contract and the digest of a run."""
        values = asdict(self)
        if self.full:
            values = {name: value for name, value in values.items() if name not in (*_LORA_ONLY, "target")}
        if isinstance(self.target, tuple) and "target" in values:
            values["target"] = list(self.target)
        return values

    def lora_config(self) -> Any:
        """Return the `peft.LoraConfig`; raises `TuneError` where PEFT refuses the combination."""
        from peft import LoraConfig

        target = self.target if isinstance(self.target, str) else list(self.target)
        try:
            return LoraConfig(
                r=self.rank,
                lora_alpha=self.alpha,  # type: ignore[arg-type]
                target_modules=target,
                use_dora=self.dora,
                use_rslora=self.rslora,
                task_type="CAUSAL_LM",
                **self.lora,
            )
        except (TypeError, ValueError) as error:
            raise TuneError(f"PEFT refuses the options: {error}", where="tune(**lora)") from error


def _whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0


_CHECKS: dict[str, tuple[Any, str]] = {
    "rank": (lambda value: _whole(value, 1), "a whole number from 1 on"),
    "alpha": (_positive, "a number above 0"),
    "epochs": (_positive, "a number above 0"),
    "learning_rate": (_positive, "a number above 0"),
    "batch_size": (lambda value: _whole(value, 1), "a whole number from 1 on"),
    "seed": (lambda value: _whole(value, 0) and value < 2**32, "a whole number from 0 to 2**32 - 1"),
    "save_every": (lambda value: value is None or _whole(value, 1), "a whole number of steps from 1 on"),
    "target": (
        lambda value: bool(value) and (isinstance(value, str) or all(isinstance(name, str) for name in value)),
        'the name of a module, a tuple of names, or "all-linear"',
    ),
}


def _check_lora(extra: Mapping[str, JSON]) -> None:
    if not extra:
        return
    from peft import LoraConfig

    known = {item.name for item in fields(LoraConfig)}
    for name, value in extra.items():
        if name in _OURS or name not in known:
            fix = f"it is {_OURS[name]}= here" if _OURS.get(name) else "see peft.LoraConfig for what there is"
            raise TuneError("no such option", where=f"tune({name}=...)", fix=fix)
        try:
            compact(value)
        except (TypeError, ValueError) as error:
            raise TuneError("must be a plain JSON value", where=f"tune({name}=...)") from error

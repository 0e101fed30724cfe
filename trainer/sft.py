"""The steps of tuning: TRL's SFTTrainer on pre-tokenised rows, bucketed by length, with whole checkpoints.

Rows come in one deterministic order made beforehand (`row_order`), so a run that was cut off goes on with
the very rows that were next, whatever had been drawn from a random generator since. A checkpoint counts only
with its marker, written last, which lists the sizes of its files: what a killed process or a full disk left
behind is never resumed from. Optimizer states are torch files, read with `weights_only`; no training
arguments are pickled.
"""

import json
import math
import random
import shutil
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset  # type: ignore[import-untyped]
from tqdm import tqdm
from transformers import ProgressCallback, TrainerCallback
from transformers.trainer_callback import PrinterCallback
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from schematune.decoding.base import Base, quiet
from schematune.schemas.errors import TuneError
from schematune.schemas.files import write_text
from schematune.schemas.jsontext import compact
from schematune.trainer.fused import can_fuse, fuse, unfuse
from schematune.trainer.options import SMALL, Options
from schematune.trainer.proof import IGNORED, Encoded

__all__ = ["Fit", "fit", "last_checkpoint", "row_order"]

MARKER = "whole.json"
POOL = 50
"""Batches that are sorted by length together: little padding, yet nearly random order."""


@dataclass
class Fit:
    """What a run came to: the model in memory, its steps, the loss at the end, all seconds of training.

    `loss` is the mean over the last 20 steps; `seconds` counts those before an interruption too.
    """

    model: Any
    steps: int
    loss: float
    seconds: float


def row_order(lengths: Sequence[int], *, epochs: float, batch: int, seed: int) -> list[int]:
    """Return the places of the rows in the order in which they are trained on, `epochs` times over.

    Every epoch is shuffled; then pools of 50 batches are sorted by length, cut into batches, and the batches
    shuffled, so that rows of one length meet in a batch. Rows left over open the next epoch, so only the very
    last batch may be short; no pool spans epochs otherwise, or copies of one row would meet.

    >>> row_order([3, 1, 2, 9], epochs=2, batch=2, seed=0)
    [1, 2, 0, 3, 1, 2, 0, 3]
    """
    draw = random.Random(seed)
    total = math.ceil(epochs * len(lengths))
    order: list[int] = []
    left: list[int] = []
    while len(order) + len(left) < total:
        places = list(range(len(lengths)))
        draw.shuffle(places)
        rows = left + places[: total - len(order) - len(left)]
        left = []
        for start in range(0, len(rows), POOL * batch):
            pool = sorted(rows[start : start + POOL * batch], key=lambda place: lengths[place])
            left = [pool.pop(draw.randrange(len(pool))) for _ in range(len(pool) % batch)]
            batches = [pool[at : at + batch] for at in range(0, len(pool), batch)]
            draw.shuffle(batches)
            order.extend(place for some in batches for place in some)
    return order + left


def fit(base: Base, rows: Sequence[Encoded], options: Options, folder: Path, *, progress: bool = True) -> Fit:
    """Tune `base` on `rows`, with checkpoints in `folder`; go on from the last whole one there.

    The model of `base` is changed. Raises `TuneError` where a checkpoint cannot be written and where the
    loss is no longer a number.
    """
    lengths = [len(row.input_ids) for row in rows]
    order = row_order(lengths, epochs=options.epochs, batch=options.batch_size, seed=options.seed)
    steps = math.ceil(len(order) / options.batch_size)
    data = Dataset.from_dict({name: [getattr(row, name) for row in rows] for name in ("input_ids", "labels")})
    checkpoint = last_checkpoint(folder)
    before = _marker(checkpoint)["seconds"] if checkpoint else 0.0
    lora = None if options.full else options.lora_config()
    watch = _Watch(steps, progress)
    if options.full or base.model.num_parameters() < SMALL:
        base.model.to(torch.float32)  # type: ignore[arg-type]  # bfloat16 would round small updates away
    with _steady(base), quiet(), _without_remarks(), watch:
        try:
            trainer = _Trainer(
                model=base.model,
                args=_config(base, options, folder, steps),
                train_dataset=data.select(order, keep_in_memory=True),
                processing_class=base.tokenizer,
                peft_config=lora,
                callbacks=[watch],
            )
        except ValueError as error:
            raise TuneError(f"the run cannot start: {str(error).splitlines()[0]}", where="tune") from error
        trainer.remove_callback(PrinterCallback)
        trainer.remove_callback(ProgressCallback)
        fused = lora is not None and base.model.num_parameters() < SMALL and can_fuse(trainer.model)
        if fused:
            fuse(trainer.model)
        trainer.started = time.monotonic() - before
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        if fused:
            unfuse(trainer.model)
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry][-20:]
    seconds = time.monotonic() - trainer.started
    return Fit(trainer.model, trainer.state.global_step, sum(losses) / max(1, len(losses)), seconds)


def last_checkpoint(folder: Path) -> Path | None:
    """Return the latest whole checkpoint in `folder`; broken ones are removed."""
    found = sorted(folder.glob("checkpoint-[0-9]*"), key=lambda path: int(path.name.split("-")[1]), reverse=True)
    whole = None
    for path in found:
        if whole is None and _is_whole(path):
            whole = path
        elif whole is None:
            shutil.rmtree(path, ignore_errors=True)
    return whole


def _config(base: Base, options: Options, folder: Path, steps: int) -> SFTConfig:
    device = base.model.device.type
    large = base.model.num_parameters() >= 1_000_000_000
    return SFTConfig(
        output_dir=str(folder),
        num_train_epochs=1,  # the order of the rows holds all epochs
        train_sampling_strategy="sequential",
        max_length=None,
        pad_to_multiple_of=16 if device == "cpu" else None,  # few shapes: each new one costs a CPU time
        dataset_kwargs={"skip_prepare_dataset": True},
        per_device_train_batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=min(100, math.ceil(0.03 * steps)),
        weight_decay=0.0,
        max_grad_norm=1.0,
        seed=options.seed,
        bf16=device == "cuda" and torch.cuda.is_bf16_supported(),
        activation_checkpointing=device != "cpu" and large,
        use_cpu=device == "cpu",
        dataloader_pin_memory=device == "cuda",
        save_steps=options.save_every or max(10, math.ceil(steps / 10)),
        save_total_limit=2,  # the older one is there while the newer one is written
        logging_steps=1,
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        report_to="none",
    )


class _Trainer(SFTTrainer):
    """TRL's trainer with a loss that is cheap on a CPU, and with checkpoints that are whole or absent."""

    started: float = 0.0

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Compute logits only from the first label on.

        TRL's fused head scores every position where there is no Triton, twice, and an entropy for the log: a
        third of a step of a small model.
        """
        labels = inputs["labels"]
        if labels.device.type != "cpu" or return_outputs or num_items_in_batch is None:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)  # type: ignore[no-untyped-call]
        first = int((labels != IGNORED).any(0).nonzero()[0, 0])
        kept = labels.shape[1] - first + 1
        logits = model(
            input_ids=inputs["input_ids"],
            attention_mask=None,  # rows are padded at the end, and attention is causal
            use_cache=False,
            logits_to_keep=kept,
        ).logits[:, -kept:-1]
        total = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1).float(), labels[:, first:].flatten(), ignore_index=IGNORED, reduction="sum"
        )
        return total / num_items_in_batch

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """Write none: the result gets its own."""

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """Save the weights alone: no tokenizer, no pickled arguments, no look at the hub."""
        model: Any = self.model
        adapter = {"save_embedding_layers": False} if hasattr(model, "peft_config") else {}
        model.save_pretrained(output_dir or self.args.output_dir, state_dict=state_dict, **adapter)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Save a checkpoint and mark it whole, or remove it and raise."""
        path = Path(self.args.output_dir or ".") / f"checkpoint-{self.state.global_step}"
        try:
            super()._save_checkpoint(model, trial)  # type: ignore[no-untyped-call]
            sizes = {str(file.relative_to(path)): file.stat().st_size for file in path.rglob("*") if file.is_file()}
            mark = {"step": self.state.global_step, "seconds": time.monotonic() - self.started, "sizes": sizes}
            write_text(path / MARKER, compact(mark))
        except Exception as error:  # torch, safetensors and the system each raise their own for a full disk
            shutil.rmtree(path, ignore_errors=True)
            raise TuneError(
                f"a checkpoint cannot be written: {str(error).splitlines()[0] if str(error) else error!r}",
                where=str(path.parent),
                fix="free some space and call tune() again: it goes on from the last checkpoint",
            ) from error


class _Watch(TrainerCallback):
    """Shows a progress bar, and stops a run whose loss is no longer a number."""

    def __init__(self, steps: int, progress: bool) -> None:
        self.steps, self.progress = steps, progress
        self.bar: Any = None

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        done, quiet = state.global_step, not self.progress
        self.bar = tqdm(total=self.steps, initial=done, desc="tuning", unit="step", disable=quiet)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        loss = (logs or {}).get("loss")
        if loss is None:
            return
        if not math.isfinite(loss):
            raise TuneError(
                f"the loss is {loss} at step {state.global_step}", where="tune", fix="take a lower learning_rate"
            )
        self.bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
        self.bar.update(state.global_step - self.bar.n)


def _marker(checkpoint: Path) -> Any:
    return json.loads((checkpoint / MARKER).read_text(encoding="utf-8"))


def _is_whole(checkpoint: Path) -> bool:
    try:
        sizes = _marker(checkpoint)["sizes"]
        return bool(sizes) and all((checkpoint / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


@contextmanager
def _steady(base: Base) -> Iterator[None]:
    """Give the model its generation settings and forward pass back: training changes both."""
    model: Any = base.model
    settings = deepcopy(model.generation_config)
    try:
        yield
    finally:
        model.generation_config = settings
        model.config.get_text_config().use_cache = True
        model.__dict__.pop("forward", None)


@contextmanager
def _without_remarks() -> Iterator[None]:
    """Keep the libraries' warnings about each other (deprecated names, mostly) from the user."""
    with warnings.catch_warnings():
        for kind in (FutureWarning, DeprecationWarning, UserWarning):
            warnings.filterwarnings("ignore", category=kind, module=r"(transformers|trl|peft|accelerate|torch)\b")
        yield

"""The steps: the order of the rows, whole checkpoints, and a loss that equals TRL's own."""

from pathlib import Path

import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import tiny_base

from schematune.decoding.base import load_base
from schematune.schemas.files import write_text
from schematune.schemas.jsontext import compact
from schematune.trainer.options import Options
from schematune.trainer.proof import IGNORED, Encoded
from schematune.trainer.sft import fit, last_checkpoint, row_order


@given(
    lengths=st.lists(st.integers(1, 300), min_size=1, max_size=200),
    epochs=st.sampled_from([0.5, 1, 2, 3.25]),
    batch=st.integers(1, 9),
    seed=st.integers(0, 99),
)
def test_every_epoch_holds_every_row(lengths: list[int], epochs: float, batch: int, seed: int) -> None:
    order = row_order(lengths, epochs=epochs, batch=batch, seed=seed)
    assert order == row_order(lengths, epochs=epochs, batch=batch, seed=seed)
    counts = [order.count(place) for place in range(len(lengths))]
    assert len(order) >= epochs * len(lengths)
    assert max(counts) - min(counts) <= 1


def test_copies_of_a_row_do_not_meet() -> None:
    order = row_order([5, 9, 5, 7] * 4, epochs=20, batch=4, seed=1)
    assert all(len(set(order[at : at + 4])) == 4 for at in range(0, len(order), 4))


def test_rows_of_one_length_meet_in_a_batch() -> None:
    draw = torch.Generator().manual_seed(0)
    lengths = torch.randint(20, 200, (3200,), generator=draw).tolist()
    order = row_order(lengths, epochs=2, batch=32, seed=0)
    batches = [[lengths[place] for place in order[at : at + 32]] for at in range(0, len(order), 32)]
    padded = sum(max(batch) * len(batch) for batch in batches) / sum(map(sum, batches))
    assert padded < 1.05
    firsts = [batch[0] for batch in batches[:50]]
    assert firsts != sorted(firsts)


def test_a_checkpoint_counts_only_when_it_is_whole(tmp_path: Path) -> None:
    for step, size in ((5, 3), (10, 3), (15, 4)):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "optimizer.pt").write_text("abc", encoding="utf-8")
        write_text(folder / "whole.json", compact({"step": step, "seconds": 1.0, "sizes": {"optimizer.pt": size}}))
    (tmp_path / "checkpoint-20").mkdir()
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-10"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-10", "checkpoint-5"]
    assert last_checkpoint(tmp_path / "checkpoint-5") is None


def test_the_first_loss_is_the_mean_over_the_completions_tokens(tmp_path: Path) -> None:
    base = load_base(tiny_base("gemma3", tmp_path / "base"), device="cpu")
    rows = [Encoded(list(range(10, 10 + n)), [IGNORED] * (n - 4) + list(range(10 + n - 4, 10 + n))) for n in (9, 14)]
    with torch.no_grad():
        terms = []
        for row in rows:
            log = torch.log_softmax(base.model(input_ids=torch.tensor([row.input_ids])).logits[0].float(), -1)
            terms += [-log[at - 1, row.labels[at]] for at in range(1, len(row.labels)) if row.labels[at] != IGNORED]
        expected = float(torch.stack(terms).mean())
    options = Options.of(base.model.num_parameters(), batch_size=2, epochs=1)
    tuned = fit(base, rows, options, tmp_path, progress=False)
    assert tuned.steps == 1
    assert abs(tuned.loss - expected) < 0.02  # the steps run in bf16 where the CPU has units for it
    assert base.model.config.use_cache is True and base.model.generation_config.use_cache is True
    assert "forward" not in vars(base.model)


def test_nothing_is_pickled_but_torch_states(tmp_path: Path) -> None:
    base = load_base(tiny_base("builtin", tmp_path / "base"), device="cpu")
    rows = [Encoded([10, 11, 12], [IGNORED, 11, 12])] * 4
    fit(base, rows, Options.of(1, batch_size=1, epochs=1, rank=2, save_every=2), tmp_path, progress=False)
    names = {path.name for path in (tmp_path / "checkpoint-4").iterdir()}
    assert "training_args.bin" not in names and "adapter_model.safetensors" in names
    for name in ("optimizer.pt", "scheduler.pt"):
        torch.load(tmp_path / "checkpoint-4" / name, weights_only=True)

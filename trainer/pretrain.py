"""Pretrains the built-in base from scratch: tokenizer, data made as it is read, training, shipped folder.

    python -m schematune.trainer.pretrain --out runs/base --minutes 60 \\
        --tools seal_tools/tools.jsonl mcp/servers.jsonl --people hwu64 banking77

One command; killed and called again it goes on from its last checkpoint, and with `--session 9` it stops by itself after
nine minutes of each call. On a GPU, `--workers 14 --batch-tokens 131072 --replays 3 --compiled` keep it busy. The recipe: a Llama with tied
embeddings whose first two layers start with copying heads (`schematune.trainer.copyheads`), bf16 weights
with fp32 masters, Muon (Jordan et al. 2024) on the matrices and AdamW on the rest, a flat rate and then a
cosine. The loss counts calls in full and requests in part; tools are context only.
"""

import argparse
import json
import os
import shutil
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from schematune.decoding.base import pick_device, quiet
from schematune.schemas.jsontext import compact
from schematune.schemas.render import Renderer
from schematune.trainer.copyheads import write_copy_heads
from schematune.trainer.corpus import Corpus, Sources
from schematune.trainer.documents import Document, Documents, Feed, encode, pack
from schematune.trainer.masters import Masters, rate_at
from schematune.trainer.packed import PackedLlama
from schematune.trainer.tokens import make_tokenizer, train_tokenizer

__all__ = ["Recipe", "pretrain", "tokens_read"]

TEMPLATE = Path(__file__).resolve().parent.parent / "decoding" / "builtin" / "chat_template.jinja"


@dataclass
class Recipe:
    """Everything that a run depends on; kept beside the weights."""

    minutes: float = 60.0
    """Training time; the schedule follows it, so a run always ends with a low rate."""
    width: int = 256
    layers: int = 5
    heads: int = 4
    inner: int = 640
    vocabulary: int = 4096
    context: int = 2048
    """Tokens of the longest document: from 2,048 on there are sets of up to 40 tools, from 8,192 on of up to 120."""
    batch_tokens: int = 4096
    """Tokens in a step."""
    muon_rate: float = 0.02
    adam_rate: float = 4e-3
    flat: float = 0.35
    """Share of the time at the full rate."""
    request_weight: float = 0.15
    tokenizer_text: int = 12_000_000
    """Characters that the tokenizer is trained on."""
    seed: int = 0
    threads: int = 0
    device: str = "auto"
    """Where it trains: a GPU where there is one, else the CPU."""
    workers: int = 1
    """Processes that make the data: one keeps up with a CPU, a GPU wants as many as there are cores."""
    replays: int = 0
    """How often a batch may be read again where the workers have no new one ready; 0: training waits for them."""
    session: float = 0.0
    """Minutes after which a call stops with a checkpoint, for the next call to go on from; 0: it trains to the end."""
    compiled: bool = False
    """Whether inductor compiles the layers (at the start; needs a C++ compiler)."""
    tools: list[str] = field(default_factory=list)
    start: str = ""
    """Folder of a finished base to go on from (weights and tokenizer, no optimizer state); else from scratch."""
    people: list[str] = field(default_factory=list)
    written: str = ""
    """Folder of requests written for the project (`schematune.trainer.written`)."""
    avoid: list[str] = field(default_factory=list)


def new_model(recipe: Recipe) -> Any:
    """Make the model in fp32: copying heads written in, or the weights of the base to go on from."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(recipe.seed)
    config = LlamaConfig(
        vocab_size=recipe.vocabulary,
        hidden_size=recipe.width,
        intermediate_size=recipe.inner,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads,
        max_position_embeddings=recipe.context,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=1,
        pad_token_id=0,
    )
    if recipe.start:
        found: Any = LlamaForCausalLM.from_pretrained(recipe.start, local_files_only=True, use_safetensors=True)
        found.config.max_position_embeddings = recipe.context
        return found.float()
    model = LlamaForCausalLM(config)
    write_copy_heads(model, seed=recipe.seed)
    return model


@torch.no_grad()
def whole_calls_right(model: Any, rows: list[Document]) -> float:
    """Return the share of calls whose every token is the likeliest one (teacher-forced)."""
    right = total = 0
    for ids, weights in rows:
        logits = model(input_ids=torch.tensor([ids[:-1]], device=model.device)).logits[0]
        hits = logits.argmax(-1).cpu() == torch.tensor(ids[1:])
        inside, good = False, True
        for hit, weight in zip(hits.tolist(), weights[1:], strict=True):
            if weight == 1.0:
                inside, good = True, good and hit
            elif inside:
                right, total, inside, good = right + good, total + 1, False, True
        right, total = right + (inside and good), total + inside
    return right / max(1, total)


def _save(path: Path, state: dict[str, Any]) -> None:
    torch.save(state, path.with_suffix(".part"))
    os.replace(path.with_suffix(".part"), path)


def prepare_tokenizer(folder: Path, recipe: Recipe, sources: Sources) -> Any:
    """Train the tokenizer on blocks of the corpus, or load the one that stands in `folder`."""
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    if recipe.start and not path.exists():
        shutil.copy(Path(recipe.start) / "tokenizer.json", path)
    if not path.exists():
        texts: list[str] = []
        blocks = iter(Corpus(sources, recipe.seed + 1))
        while sum(map(len, texts)) < recipe.tokenizer_text:
            block = next(blocks)
            texts += [f"{t.name} {compact(dict(t.parameters))} {t.description}" for t in block.tools]
            texts += [pair.request + " " + " ".join(call.json() for call in pair.calls) for pair in block.pairs]
        train_tokenizer(texts, size=recipe.vocabulary).save(str(path))
    return make_tokenizer(Tokenizer.from_file(str(path)), TEMPLATE, context=recipe.context)


def pretrain(folder: Path, recipe: Recipe) -> Path | None:
    """Run the recipe in `folder`, going on from its checkpoint; returns the folder of the finished base.

    None where the session's minutes were over before the recipe's: the next call goes on. Raises `ModelError` for a
    device that is not there, `OSError` where the disk is full; the last checkpoint stays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    device = pick_device(recipe.device)
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    sources = Sources.read(
        [Path(p) for p in recipe.tools],
        [Path(p) for p in recipe.people],
        [Path(p) for p in recipe.avoid],
        Path(recipe.written) if recipe.written else None,
    )
    tokenizer = prepare_tokenizer(folder, recipe, sources)
    model = new_model(recipe).to(device)
    with quiet():
        tokens = _Run(folder, model, Renderer(tokenizer), recipe, sources).train()
        return ship(folder, model, tokenizer, recipe, tokens) if tokens is not None else None


class _Run:
    """One run: the model and its masters, the data, and how far it has come."""

    def __init__(self, folder: Path, model: Any, renderer: Renderer, recipe: Recipe, sources: Sources) -> None:
        self.folder, self.model, self.recipe = folder, model, recipe
        self.masters = Masters(model, muon_rate=recipe.muon_rate, adam_rate=recipe.adam_rate)
        self.packed = PackedLlama(model, compiled=recipe.compiled)
        self.seconds, self.tokens, self.step, self.average = 0.0, 0, 0, 0.0
        if (folder / "checkpoint.pt").exists():
            saved = torch.load(folder / "checkpoint.pt", weights_only=True, map_location=model.device)
            self.masters.load(saved)
            self.seconds, self.tokens, self.step = saved["seconds"], saved["tokens"], saved["step"]
        documents = Documents(
            sources,
            renderer,
            size=recipe.batch_tokens,
            limit=recipe.context,
            request_weight=recipe.request_weight,
            seed=1000 + recipe.seed * 7919 + self.step,
        )
        self.held_out = _held_out(renderer, recipe)
        loader: Any = torch.utils.data.DataLoader(
            documents, batch_size=None, num_workers=max(1, recipe.workers), prefetch_factor=8, in_order=False
        )
        self.feed = Feed(loader, replays=recipe.replays, seed=recipe.seed)
        if recipe.compiled:
            self._warm_up()

    def train(self) -> int | None:
        """Train until the recipe's minutes are spent, with a checkpoint every four at least; returns the tokens read.

        None where the session's minutes are over first.
        """
        budget, begun = self.recipe.minutes * 60, time.monotonic()
        pause = self.recipe.session * 60 or float("inf")
        often, last_saved = min(240.0, max(30.0, budget / 14)), begun
        self.model.train()
        with tqdm(total=round(budget), initial=round(self.seconds), unit="s", desc="pretrain") as bar:
            while self.seconds < budget:
                self._step(budget)
                bar.set_postfix_str(f"{self.tokens / 1e6:.2f}M tokens, loss {self.average:.3f}", refresh=False)
                bar.update(min(round(self.seconds), round(budget)) - bar.n)
                paused = time.monotonic() - begun > pause
                if paused or time.monotonic() - last_saved > often or self.seconds >= budget:
                    self._save()
                    last_saved = time.monotonic()
                if paused and self.seconds < budget:
                    return None
        return self.tokens

    def _warm_up(self) -> None:
        """Compile the layers, outside of the time that the schedule follows."""
        size = self.recipe.batch_tokens
        self.packed.loss(pack([([2] * size, [1.0] * size)], size)).backward()  # type: ignore[no-untyped-call]
        self.model.zero_grad()

    def _step(self, budget: float) -> None:
        started = time.monotonic()
        batch = self.feed.next()
        loss = self.packed.loss(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        self.masters.step(rate_at(self.seconds / budget, self.recipe.flat))
        if not self.average or self.step % (1 if self.model.device.type == "cpu" else 20) == 0:  # waits for the device
            share = 0.02 if self.model.device.type == "cpu" else 0.33
            self.average = loss.item() if not self.average else (1 - share) * self.average + share * loss.item()
        self.tokens, self.step = self.tokens + int((batch.ids > 0).sum()), self.step + 1
        self.seconds += time.monotonic() - started

    def _save(self) -> None:
        """Write a checkpoint and a line of the log."""
        right = whole_calls_right(self.model, self.held_out)
        counts = {"seconds": self.seconds, "tokens": self.tokens, "step": self.step}
        _save(self.folder / "checkpoint.pt", {**self.masters.state(), **counts})
        row = {**counts, "seconds": round(self.seconds), "loss": round(self.average, 4), "read_again": self.feed.again}
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as log:
            print(json.dumps({**row, "held_out_calls": round(right, 4)}), file=log)


def _held_out(renderer: Renderer, recipe: Recipe) -> list[Document]:
    """Make rows of invented tools from another seed, to watch the training with."""
    blocks = iter(Corpus(Sources(), seed=999_999))
    rows: list[Document] = []
    while len(rows) < 40:
        block = next(blocks)
        ids, weights = encode(block, renderer, limit=768, request_weight=recipe.request_weight)
        if ids and block.shown:
            rows.append((ids, weights))
    return rows


def tokens_read(base: Path) -> int:
    """Return the tokens that a base has read by its recipe, its predecessors' with them; 0 where it has none."""
    path = base / "recipe.json"
    told = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return int(told.get("tokens_in_all", told.get("tokens", 0)))


def ship(folder: Path, model: Any, tokenizer: Any, recipe: Recipe, tokens: int) -> Path:
    """Write the finished base (bf16 safetensors, tokenizer, template, recipe) and return its folder."""
    target = folder / "base"
    model.generation_config.use_cache = True
    model.save_pretrained(target, max_shard_size="15MB")
    tokenizer.save_pretrained(target)
    kept = asdict(recipe) | {
        "tokens": tokens,
        "tokens_in_all": tokens + (tokens_read(Path(recipe.start)) if recipe.start else 0),
    }
    for name in ("tools", "people", "avoid"):  # what was mixed in, not where it lay
        kept[name] = ["/".join(Path(path).parts[-2:]) for path in kept[name]]
    kept["written"] = "/".join(Path(recipe.written).parts[-2:])
    (target / "recipe.json").write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    return target


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m schematune.trainer.pretrain", description=__doc__.split("\n")[0] if __doc__ else ""
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the run: tokenizer, checkpoint, log, base")
    parser.add_argument("--tools", nargs="*", default=[], help="catalogues of tool definitions (JSON Lines) to draw on")
    parser.add_argument("--people", nargs="*", default=[], help="folders of people's requests: tools.json and *.jsonl")
    parser.add_argument("--written", default="", help="folder of requests written for the project (trainer/written)")
    parser.add_argument("--start", default="", help="folder of a finished base to go on from, instead of from scratch")
    parser.add_argument("--avoid", nargs="*", default=[], help="cases to be scored on: their requests are left out")
    defaults = Recipe()
    for name in ("minutes", "muon_rate", "adam_rate", "flat", "session"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, default=getattr(defaults, name))
    for name in (
        "width",
        "layers",
        "heads",
        "inner",
        "vocabulary",
        "context",
        "batch_tokens",
        "seed",
        "threads",
        "workers",
        "replays",
    ):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=getattr(defaults, name))
    parser.add_argument("--device", default=defaults.device, help="auto (a GPU where there is one), cpu, cuda")
    parser.add_argument("--compiled", action="store_true", help="compile the model with inductor (a C++ compiler)")
    options = vars(parser.parse_args(arguments))
    folder = options.pop("out")
    done = pretrain(folder, Recipe(**options))
    print(done if done is not None else f"paused; the same command goes on from {folder / 'checkpoint.pt'}")


if __name__ == "__main__":
    main()

"""Pretrains the built-in base from scratch: tokenizer, data made as it is read, training, shipped folder.

    python -m schematune.trainer.pretrain --out runs/base --minutes 60 \\
        --tools seal_tools/tools.jsonl mcp/servers.jsonl --people hwu64 banking77

One command; killed and called again it goes on from its last checkpoint, and with `--session 9` it stops by itself after
nine minutes of each call. On a GPU, `--workers 12 --batch-tokens 131072` keep it busy. The recipe: a Llama with tied
embeddings whose first two layers start with copying heads (`schematune.trainer.copyheads`), bf16 weights
with fp32 masters, Muon (Jordan et al. 2024) on the matrices and AdamW on the rest, a flat rate and then a
cosine. The loss counts calls in full and requests in part; tools are context only.
"""

import argparse
import json
import os
import random
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional
from tqdm import tqdm

from schematune.decoding.base import pick_device, quiet
from schematune.schemas.jsontext import compact
from schematune.schemas.pair import Message
from schematune.schemas.render import Renderer
from schematune.trainer.chunked import CHUNKED
from schematune.trainer.copyheads import write_copy_heads
from schematune.trainer.corpus import Block, Corpus, Sources
from schematune.trainer.masters import Masters, rate_at
from schematune.trainer.tokens import make_tokenizer, train_tokenizer

__all__ = ["Recipe", "Rows", "encode", "pretrain", "tokens_read"]

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
    batch_tokens: int = 4096
    """Tokens in a step."""
    lengths: tuple[int, ...] = (384, 384, 640, 1024)
    """Row lengths, drawn for each step."""
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
    session: float = 0.0
    """Minutes after which a call stops with a checkpoint, for the next call to go on from; 0: it trains to the end."""
    compiled: bool = False
    """Whether inductor compiles the model (minutes at the start, a fifth faster after; needs a C++ compiler)."""
    tools: list[str] = field(default_factory=list)
    start: str = ""
    """Folder of a finished base to go on from (weights and tokenizer, no optimizer state); else from scratch."""
    people: list[str] = field(default_factory=list)
    avoid: list[str] = field(default_factory=list)


def encode(block: Block, renderer: Renderer, *, limit: int, request_weight: float) -> tuple[list[int], list[float]]:
    """Return a block as token ids and a loss weight for each: 1 on calls, `request_weight` on requests.

    Turns that would go over `limit` tokens are left out; an empty list where not one fits.
    """
    tokenizer: Any = renderer.tokenizer
    user, end, call = tokenizer.convert_tokens_to_ids(["<|user|>", "<|end|>", "<|call|>"])
    first = block.pairs[0]
    ids = renderer.prompt(first.messages, context=first.context, tools=block.tools if block.shown else None)
    weights = [0.0] * len(ids)
    for place, pair in enumerate(block.pairs):
        said = tokenizer.encode(pair.request, add_special_tokens=False)
        answer = tokenizer.encode(renderer.completion(pair.calls, block.tools), add_special_tokens=False) + [end]
        before = [token for message in pair.messages[:-1] for token in _earlier(message, renderer)] if place else []
        turn = [*before, user, *said, end, call] if place else []
        if len(ids) + len(turn) + len(answer) > limit:
            if place == 0:
                return [], []
            continue
        scored = [0.0] * (len(before) + 1) + [request_weight] * len(said) + [0.0, 0.0] if place else []
        full = 1.0 if block.shown or place else 0.2  # without tools the first call can only be guessed
        ids, weights = ids + turn + answer, weights + scored + [full] * len(answer)
    return ids, weights


def _earlier(message: Message, renderer: Renderer) -> list[int]:
    """Return a turn of a conversation before its last request, as the chat template writes it."""
    tokenizer: Any = renderer.tokenizer
    turn = renderer.plain(message)
    mark = {"assistant": "<|call|>", "tool": "<|result|>"}.get(turn["role"], "<|user|>")
    first, end = tokenizer.convert_tokens_to_ids([mark, "<|end|>"])
    return [first, *tokenizer.encode(turn["content"], add_special_tokens=False), end]


class Rows(torch.utils.data.IterableDataset[tuple[torch.Tensor, torch.Tensor]]):
    """Batches without end: token ids and loss weights, both of shape (rows, length)."""

    def __init__(self, recipe: Recipe, sources: Sources, renderer: Renderer, seed: int) -> None:
        """See the class."""
        self.recipe, self.sources, self.renderer, self.seed = recipe, sources, renderer, seed

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield batches of rows of one of the recipe's lengths, short rows padded with zeros."""
        torch.set_num_threads(1)
        worker: Any = torch.utils.data.get_worker_info()
        seed = self.seed + (worker.id if worker is not None else 0) * 104_729
        rng, blocks = random.Random(seed), iter(Corpus(self.sources, seed, longest=max(self.recipe.lengths)))
        waiting: dict[int, list[tuple[list[int], list[float]]]] = {length: [] for length in set(self.recipe.lengths)}
        while True:
            limit = rng.choice(self.recipe.lengths)
            ids, weights = encode(next(blocks), self.renderer, limit=limit, request_weight=self.recipe.request_weight)
            length = next((size for size in sorted(waiting) if len(ids) <= size), None)
            if not ids or length is None:
                continue
            rows = waiting[length]
            rows.append((ids, weights))
            if len(rows) == max(1, self.recipe.batch_tokens // length):
                yield (
                    torch.tensor([ids + [0] * (length - len(ids)) for ids, _ in rows]),
                    torch.tensor([w + [0.0] * (length - len(w)) for _, w in rows]),
                )
                rows.clear()


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


def loss_of(model: Any, ids: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the weighted mean loss; logits are computed only where a weight stands."""
    device = model.lm_head.weight.device
    hidden = model.model(input_ids=ids.to(device, non_blocking=True)).last_hidden_state
    weights, targets = weights[:, 1:].flatten(), ids[:, 1:].flatten()
    places = weights.nonzero().squeeze(1)
    places = functional.pad(places, (0, -len(places) % 512))  # few shapes: each new one costs the CPU seconds
    weights[0] = 0.0  # what the padding points at
    places, targets, weights = (part.to(device, non_blocking=True) for part in (places, targets, weights))
    logits = functional.linear(hidden[:, :-1].flatten(0, 1)[places], model.lm_head.weight).float()
    losses = functional.cross_entropy(logits, targets[places], reduction="none")
    return (losses * weights[places]).sum() / weights[places].sum()


@torch.no_grad()
def whole_calls_right(model: Any, rows: list[tuple[list[int], list[float]]]) -> float:
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
        [Path(p) for p in recipe.tools], [Path(p) for p in recipe.people], [Path(p) for p in recipe.avoid]
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
        if recipe.compiled:
            if model.device.type == "cpu":
                model.model.config._attn_implementation = CHUNKED
            model.model.compile(dynamic=False)
        self.seconds, self.tokens, self.step, self.average = 0.0, 0, 0, 0.0
        if (folder / "checkpoint.pt").exists():
            saved = torch.load(folder / "checkpoint.pt", weights_only=True, map_location=model.device)
            self.masters.load(saved)
            self.seconds, self.tokens, self.step = saved["seconds"], saved["tokens"], saved["step"]
        rows = Rows(recipe, sources, renderer, seed=1000 + recipe.seed * 7919 + self.step)
        options: Any = {"num_workers": max(1, recipe.workers), "prefetch_factor": 16}
        self.loader = iter(torch.utils.data.DataLoader(rows, batch_size=None, **options))
        self.held_out = _held_out(renderer, recipe)

    def train(self) -> int | None:
        """Train until the recipe's minutes are spent, with a checkpoint every four; returns the tokens read.

        None where the session's minutes are over first.
        """
        budget, begun = self.recipe.minutes * 60, time.monotonic()
        pause = self.recipe.session * 60 or float("inf")
        last_saved = begun
        self.model.train()
        with tqdm(total=round(budget), initial=round(self.seconds), unit="s", desc="pretrain") as bar:
            while self.seconds < budget:
                self._step(budget)
                bar.set_postfix_str(f"{self.tokens / 1e6:.2f}M tokens, loss {self.average:.3f}", refresh=False)
                bar.update(min(round(self.seconds), round(budget)) - bar.n)
                paused = time.monotonic() - begun > pause
                if paused or time.monotonic() - last_saved > 240 or self.seconds >= budget:
                    self._save()
                    last_saved = time.monotonic()
                if paused and self.seconds < budget:
                    return None
        return self.tokens

    def _step(self, budget: float) -> None:
        started = time.monotonic()
        ids, weights = next(self.loader)
        loss = loss_of(self.model, ids, weights)
        loss.backward()  # type: ignore[no-untyped-call]
        self.masters.step(rate_at(self.seconds / budget, self.recipe.flat))
        if not self.average or self.step % (1 if self.model.device.type == "cpu" else 20) == 0:  # waits for the device
            share = 0.02 if self.model.device.type == "cpu" else 0.33
            self.average = loss.item() if not self.average else (1 - share) * self.average + share * loss.item()
        self.tokens, self.step = self.tokens + int((ids > 0).sum()), self.step + 1
        self.seconds += time.monotonic() - started

    def _save(self) -> None:
        """Write a checkpoint and a line of the log."""
        with torch.compiler.set_stance("force_eager"):  # rows of any length
            right = whole_calls_right(self.model, self.held_out)
        counts = {"seconds": self.seconds, "tokens": self.tokens, "step": self.step}
        _save(self.folder / "checkpoint.pt", {**self.masters.state(), **counts})
        row = {**counts, "seconds": round(self.seconds), "loss": round(self.average, 4)}
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as log:
            print(json.dumps({**row, "held_out_calls": round(right, 4)}), file=log)


def _held_out(renderer: Renderer, recipe: Recipe) -> list[tuple[list[int], list[float]]]:
    """Make rows of invented tools from another seed, to watch the training with."""
    blocks = iter(Corpus(Sources(), seed=999_999))
    rows: list[tuple[list[int], list[float]]] = []
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
    ):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=getattr(defaults, name))
    parser.add_argument("--device", default=defaults.device, help="auto (a GPU where there is one), cpu, cuda")
    parser.add_argument("--compiled", action="store_true", help="compile the model with inductor (a C++ compiler)")
    parser.add_argument("--lengths", type=int, nargs="*", default=defaults.lengths, help="row lengths to draw from")
    options = vars(parser.parse_args(arguments))
    folder = options.pop("out")
    done = pretrain(folder, Recipe(**{**options, "lengths": tuple(options["lengths"])}))
    print(done if done is not None else f"paused; the same command goes on from {folder / 'checkpoint.pt'}")


if __name__ == "__main__":
    main()

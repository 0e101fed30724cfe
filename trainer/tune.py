"""`tune`: pairs in, an adapter out, read from top to bottom.

Check what is given, load the base, prove that every pair round-trips, take the steps, write the adapter with
its contract, and move it into place. Deterministic on a CPU with a given number of threads, an interruption
included: the same inputs and seed give the same tensors, bit for bit.
"""

import random
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from schematune.schemas.call import Answer
from schematune.schemas.contract import Contract, file_digest
from schematune.schemas.errors import TuneError
from schematune.schemas.files import write_text
from schematune.schemas.form import Form
from schematune.schemas.jsontext import JSON, compact, digest
from schematune.schemas.order import in_spoken_order
from schematune.schemas.pair import Pair, Pairs
from schematune.schemas.spans import SpanRules
from schematune.schemas.tool import ToolSet
from schematune.trainer.folder import check_out, work_in
from schematune.trainer.options import Options
from schematune.trainer.proof import canonical, prove

if TYPE_CHECKING:
    from schematune.decoding.adapter import Adapter
    from schematune.decoding.base import Base
    from schematune.decoding.prior import ToolPrior
    from schematune.trainer.sft import Fit

__all__ = ["DEV_CASES", "tune"]

DEV_CASES = 100
"""Dev pairs that are scored at the end, at most."""

_PACKAGES = ("schematune", "torch", "transformers", "peft", "trl")


def tune(
    tools: Any,
    pairs: Iterable[Pair] | str | Path,
    *,
    base: str | Path = "builtin",
    out: str | Path | None = None,
    rank: int | None = None,
    alpha: float | None = None,
    epochs: float | None = None,
    learning_rate: float | None = None,
    batch_size: int | None = None,
    seed: int = 0,
    resume: bool = True,
    progress: bool = True,
    full: bool = False,
    dora: bool = False,
    rslora: bool = False,
    spans: bool = True,
    prior: bool = True,
    reorder: bool = True,
    save_every: int | None = None,
    target: str | Iterable[str] = "all-linear",
    form: str | Form = "auto",
    device: str = "auto",
    evaluate: bool = True,
    **lora: Any,
) -> "Adapter":
    """Tune `base` on the train split of `pairs` for `tools`, and return the adapter written to `out`.

    `tools` is a `ToolSet` or what one is made of; `pairs` are pairs or the path of a file of them; `out` is a
    folder, `adapters/tools-FINGERPRINT` where it is None. What is None follows the size of the base (see
    `schematune.trainer.options`); `lora` takes further options of `peft.LoraConfig`. `full` tunes every
    weight and writes a whole model. `spans` lets arguments that the pairs only ever copy from the request be
    nothing but copies when decoding; `prior` fits linear classifiers and a tagger of words to the same pairs, which lean the
    adapter's choice of a tool, of its options and of copied values when decoding (`schematune.decoding.prior`); `reorder` writes a
    call's arguments in the order in which requests say them, whatever the order in the schema. `save_every` counts steps between checkpoints; a run that was cut off
    goes on from the last one when it is called again with the same inputs, unless `resume` is false.
    `evaluate` scores up to 100 pairs of the dev split at the end.

    Raises `TuneError` (a wrong option, pairs that do not round-trip, a folder that cannot be written),
    `ModelError` for the base, `SchemaError` and `ExampleError` for tools and pairs. What stood in `out`
    before stays until the new adapter is whole.
    """
    tools = tools if isinstance(tools, ToolSet) else ToolSet(tools)
    pairs = Pairs.load(pairs) if isinstance(pairs, str | Path) else Pairs(pairs)
    if not len(pairs.train):
        raise TuneError(f"no pair to train on among {len(pairs)}", where="pairs", fix='give pairs of split "train"')
    place = Path(out if out is not None else f"adapters/tools-{tools.fingerprint[:8]}").expanduser()
    _guarded(place)

    from schematune.decoding.adapter import Adapter
    from schematune.decoding.base import load_base
    from schematune.trainer.prior import fit_prior

    loaded = load_base(base, device=device, form=form)
    options = Options.of(
        loaded.model.num_parameters(),
        **{"rank": rank, "alpha": alpha, "epochs": epochs, "learning_rate": learning_rate, "batch_size": batch_size},
        **{"seed": seed, "full": full, "dora": dora, "rslora": rslora, "save_every": save_every, "lora": lora},
        target=target if isinstance(target, str) else tuple(target),
    )
    started = time.monotonic()
    tools = in_spoken_order(tools, pairs.train) if reorder else tools
    rules = SpanRules.learn(pairs.train, tools) if spans else SpanRules()
    proof = prove(pairs.train, tools, loaded, spans=rules, seed=seed, progress=progress)
    proof.check()
    contract = _contract(tools, pairs, loaded, {**options.to_dict(), "prior": prior}, rules)
    words = fit_prior(pairs.train, tools, reader=loaded.reader, progress=progress) if prior else None
    contract = replace(contract, metrics={"proof": proof.to_dict(), "proof_seconds": _since(started)})

    from schematune.trainer.sft import fit

    say = _say if progress else lambda _: None
    with work_in(place, _digest(contract), resume=resume, say=say) as work:
        tuned = fit(loaded, proof.rows, options, work.partial, progress=progress)
        contract = _write(work.result, tuned, loaded, contract, words)
        if evaluate and len(pairs.dev):
            scored = _dev_exact(work.result, pairs.dev, seed=seed, device=device, progress=progress)
            contract = replace(contract, metrics={**contract.metrics, **scored})
            contract.save(work.result)
        write_text(work.result / "README.md", _card(contract))
        work.land()
    adapter = Adapter.load(place)
    adapter.tools = adapter.tools.rebind(tools)
    return adapter


def _guarded(place: Path) -> None:
    """Check the place of the result before anything is loaded."""
    try:
        check_out(place)
    except OSError as error:
        raise TuneError(f"cannot be written: {error.strerror}", where=str(place), fix="give another out=") from error


def _contract(tools: ToolSet, pairs: Pairs, base: "Base", options: Mapping[str, JSON], rules: SpanRules) -> Contract:
    sources = Counter(pair.source.split(":")[0] or "unnamed" for pair in pairs)
    data: dict[str, JSON] = {
        "pairs": len(pairs),
        "splits": dict(Counter(pair.split for pair in pairs)),
        "sources": dict(sorted(sources.items())),
        "sha256": digest([pair.to_dict() for pair in pairs]),
        "rejected": dict(pairs.rejected),
    }
    return Contract.of(
        tools,
        base=base.name,
        base_fingerprint=base.fingerprint,
        form=base.renderer.form,
        spans=rules,
        kind="full" if options["full"] else "lora",
        data=data,
        tuning=options,
        seed=options["seed"],
        versions={name: version(name) for name in _PACKAGES},
    )


def _digest(contract: Contract) -> str:
    """Return the digest of all that decides the outcome of a run."""
    told = contract.to_dict()
    return digest(
        [told[name] for name in sorted(told) if name not in ("metrics", "created", "base", "weights", "prior")]
    )


def _write(folder: Path, tuned: "Fit", base: "Base", contract: Contract, prior: "ToolPrior | None") -> Contract:
    """Write the weights in PEFT's layout (or a whole model), the prior and the contract; return the contract."""
    from schematune.decoding.adapter import weights_digest
    from schematune.decoding.prior import PRIOR

    options: dict[str, Any] = {}
    if contract.kind == "lora":
        options["save_embedding_layers"] = False  # PEFT would ask the hub whether they have changed
        for config in tuned.model.peft_config.values():
            config.base_model_name_or_path = base.name
            if isinstance(config.target_modules, set):
                config.target_modules = sorted(config.target_modules)  # a set's order differs from run to run
    try:
        tuned.model.save_pretrained(folder, **options)
        if contract.kind == "full":
            base.tokenizer.save_pretrained(folder)
        if prior is not None:
            prior.save(folder)
    except Exception as error:  # safetensors and the system each raise their own for a full disk
        raise TuneError(
            f"the adapter cannot be written: {error}", where=str(folder), fix="free some space and call tune() again"
        ) from error
    metrics = {"steps": tuned.steps, "tuning_seconds": round(tuned.seconds, 2), "train_loss": round(tuned.loss, 5)}
    written = replace(
        contract,
        weights=weights_digest(folder, contract.kind),
        prior=file_digest(folder / PRIOR) if prior is not None else "",
        metrics={**contract.metrics, **metrics},
    )
    written.save(folder)
    return written


def _dev_exact(folder: Path, dev: Pairs, *, seed: int, device: str, progress: bool) -> dict[str, JSON]:
    """Answer up to 100 dev pairs under the grammar; count those whose calls are right to the letter.

    An argument that equals its default and is left out counts as wrong here; the benchmarks know better.
    """
    from schematune.decoding.caller import Caller

    chosen = list(dev) if len(dev) <= DEV_CASES else random.Random(seed).sample(list(dev), DEV_CASES)
    started = time.monotonic()
    answers: list[Answer] = []
    caller = Caller(folder, device=device)
    for at in tqdm(range(0, len(chosen), 16), desc="scoring", unit="batch", delay=2, disable=not progress):
        some = chosen[at : at + 16]
        answers += caller.batch(
            [list(pair.messages) for pair in some],
            contexts=[pair.context or None for pair in some],
            permits=[pair.tools for pair in some],
        )
    right = sum(
        answer.status != "error" and canonical(answer.outcome()) == canonical(pair.calls)
        for answer, pair in zip(answers, chosen, strict=True)
    )
    return {"dev_exact": right / len(chosen), "dev_cases": len(chosen), "dev_seconds": _since(started)}


def _card(contract: Contract) -> str:
    """Write the model card, short: the contract holds the rest."""
    base = contract.base if "/" in contract.base and not Path(contract.base).exists() else ""
    library, kind = ("peft", "LoRA adapter") if contract.kind == "lora" else ("transformers", "Fully tuned model")
    named = [f"base_model: {base}"] if base else []
    head = ["---", *named, f"library_name: {library}", "tags: [schematune]", "---"]
    names = ", ".join(f"`{tool['function']['name']}`" for tool in contract.tools)
    figures = [f"| {name} | {compact(value)} |" for name, value in contract.metrics.items()]
    lines = [
        *head,
        f"# {kind} for {len(contract.tools)} tools",
        f"Tuned by schematune {contract.versions['schematune']} on `{contract.base}` to call: {names}.",
        "It reads the request alone, without the tools, and is meant to be served behind the grammar of its tools:",
        '```python\nimport schematune as st\ncaller = st.Caller("THIS FOLDER")\ncaller("a request").calls\n```',
        f"{contract.data['pairs']} pairs, by source {compact(contract.data['sources'])}; seed {contract.seed}.",
        "| measured | |\n|---|---|\n" + "\n".join(figures),
        "What it was made for, exactly, is in `schematune.json`.",
    ]
    front, body = lines[: len(head)], lines[len(head) :]
    return "\n".join(front) + "\n\n" + "\n\n".join(body) + "\n"


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _since(started: float) -> float:
    return round(time.monotonic() - started, 2)

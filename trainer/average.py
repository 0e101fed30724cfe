"""Averages the weights of bases of one shape: `python -m schematune.trainer.average --bases DIR DIR --out DIR`.

A base and what further pretraining made of it lie in one valley, and the middle between them often does what both do (Wortsman et al.
2022, "Model soups", arXiv 2203.05482; Izmailov et al. 2018, "Averaging weights leads to wider optima"). Tokenizer, template and all else are
the last one's, as is the recipe, which names what was averaged.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from schematune.schemas.errors import ModelError, SchematuneError

__all__ = ["average", "main"]


def average(bases: Sequence[Path], out: Path) -> Path:
    """Write the base whose weights are the mean of those of `bases` into `out`; returns it.

    Means are taken in fp32 and kept in the last one's type. Raises `ModelError` where the bases differ in their tensors, their shapes or
    their tokenizer, where there are fewer than two, or where `out` is there already; `OSError`.
    """
    import torch
    from safetensors.torch import save_file

    if len(bases) < 2 or out.exists():
        what, where = ("fewer than two bases", "--bases") if len(bases) < 2 else ("is there already", str(out))
        raise ModelError(what, where=where, fix="name two or more" if len(bases) < 2 else "another --out, or remove it")
    loaded = [_weights(base) for base in bases]
    for base, weights in zip(bases, loaded, strict=True):
        alike = {name: tensor.shape for name, tensor in weights.items()} == {n: t.shape for n, t in loaded[-1].items()}
        same = (base / "tokenizer.json").read_bytes() == (bases[-1] / "tokenizer.json").read_bytes()
        if not alike or not same:
            raise ModelError(
                "another shape or tokenizer than the last one's", where=str(base), fix="average bases of one line"
            )
    means = {
        name: torch.stack([weights[name].float() for weights in loaded]).mean(0).to(last.dtype).contiguous()
        for name, last in loaded[-1].items()
    }
    part = out.with_name(out.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(bases[-1], part, ignore=shutil.ignore_patterns("model*.safetensors*"))
    save_file(means, part / "model.safetensors", metadata={"format": "pt"})
    recipe = part / "recipe.json"
    if recipe.exists():
        told = {
            **json.loads(recipe.read_text(encoding="utf-8")),
            "averaged": ["/".join(base.parts[-2:]) for base in bases],
        }
        recipe.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    part.rename(out)
    return out


def _weights(base: Path) -> dict[str, Any]:
    """Return the weights of a base, in one file or in several."""
    from safetensors.torch import load_file

    files = sorted(base.glob("model*.safetensors"))
    if not files or not (base / "tokenizer.json").exists():
        name = "tokenizer.json" if files else "model.safetensors"
        raise ModelError("no such file", where=str(base / name), fix="give folders of finished bases")
    return {name: tensor for file in files for name, tensor in load_file(file).items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m schematune.trainer.average", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument(
        "--bases",
        type=Path,
        nargs="+",
        required=True,
        metavar="DIR",
        help="finished bases, the last one's files are kept",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the base that is made")
    options = parser.parse_args(argv)
    try:
        print(average(options.bases, options.out))
    except (SchematuneError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

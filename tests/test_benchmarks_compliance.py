"""The benchmark of compliance: outcomes judged, counted and resumed, a base made on the spot."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from schematune.benchmarks import randombase
from schematune.benchmarks.compliance import comply, main
from schematune.decoding.base import Base, load_base

Loaded = Callable[[str], Base]


def test_outcomes_are_named(tiny_loaded: Loaded) -> None:
    base = tiny_loaded("builtin")
    options: Any = {"max_new_tokens": 60}
    schemas: list[Any] = [
        {"type": "array", "items": {"type": "boolean"}, "uniqueItems": True},
        False,
        {"type": "array", "items": {"enum": [1]}, "uniqueItems": True, "minItems": 2},
        {"type": "string", "maxLength": 2, "pattern": "^\\p{L}*$"},
    ]
    right, refused, never, odd = comply(base, schemas, **options)
    assert right["outcome"] == "valid" and right["tokens"] > 0 and "text" not in right
    assert refused["outcome"] == "SchemaError"
    assert never["outcome"] == "InvalidOutputError" and "stands twice" in never["why"]
    assert odd["outcome"] == "unjudged"
    [cut] = comply(base, [{"type": "string", "minLength": 30}], seconds=0, **options)
    assert cut["late"] and cut["closed"] and cut["outcome"] == "valid"


def test_a_file_is_gone_through_and_gone_on_with(
    tiny_folder: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    schemas = [{"type": "boolean"}, False, {"type": "array", "contains": {"const": 1}, "maxItems": 3}]
    path, out = tmp_path / "schemas.jsonl", tmp_path / "out.jsonl"
    path.write_text("".join(json.dumps({"schema": schema}) + "\n" for schema in schemas))
    out.write_text(json.dumps({"place": 0, "outcome": "crash", "why": "from another run"}) + "\n")
    options = ["--base", str(tiny_folder("builtin")), "--max-new-tokens", "50", "--quiet"]
    assert main(["--schemas", str(path), "--out", str(out), *options]) == 0
    said = capsys.readouterr()
    figures = json.loads(said.out.splitlines()[-1])
    assert figures["benchmark"] == "compliance" and figures["schemas"] == 3 and figures["crashes"] == 1
    assert figures["errors"] == {"SchemaError": 1} and figures["valid"] == figures["finished"] == 0.3333
    assert figures["invalid"] == 0 and "from another run" in said.err
    assert len(out.read_text().splitlines()) == 3
    assert main(["--schemas", str(tmp_path / "gone")]) == 1 and "no schemas can be read" in capsys.readouterr().err


def test_a_base_that_knows_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(randombase, "_MOST_BYTES", 100_000)
    folder = randombase.random_base(tmp_path / "base", vocabulary=600)
    base = load_base(folder, device="cpu")
    assert len(base.tokenizer) == 600 and base.context == 8192
    [found] = comply(base, [{"type": "object", "properties": {"a": {"type": "integer"}}}], max_new_tokens=80)
    assert found["outcome"] == "valid"
    assert randombase.random_base(folder) == folder

"""The speed benchmark: every engine writes the gold tokens, and the figures are there."""

import importlib
import json
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from schematune.benchmarks import speed
from schematune.benchmarks.cases import cases_of
from schematune.benchmarks.replay import Item, OneByOne, item_of, replaying
from schematune.decoding.base import Base
from schematune.decoding.loop import decode
from schematune.schemas.call import Call
from schematune.schemas.errors import DecodeError
from schematune.schemas.pair import Pair
from schematune.schemas.tool import ToolSet


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Outlines' mask kernel run uncompiled: compiling it takes a C++ compiler and many seconds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        module: Any = importlib.import_module("llguidance.torch")
    kernel = module.apply_token_bitmask_inplace_kernel
    monkeypatch.setattr(
        module, "apply_token_bitmask_inplace_kernel", getattr(kernel, "_torchdynamo_orig_callable", kernel)
    )


Loaded = Callable[[str], Base]

TOOLS = ToolSet(
    {
        "name": "weather",
        "parameters": {"properties": {"city": {"type": "string"}, "days": {"type": "integer"}}, "required": ["city"]},
    }
)
PAIRS = [
    Pair.of("weather in Oslo", [Call("weather", {"city": "Oslo"})]),
    Pair.of(
        "a long request: the weather in New York for three days", [Call("weather", {"city": "New York", "days": 3})]
    ),
    Pair.of("Rome", [Call("weather", {"city": "Rome", "days": 10})]),
]


def items_of(base: Base) -> list[Item]:
    return [item for case in cases_of(PAIRS, TOOLS) if (item := item_of(case, base))]


def test_every_engine_writes_the_gold_tokens(tiny_loaded: Loaded) -> None:
    base = tiny_loaded("builtin")
    items = items_of(base)
    assert [base.tokenizer.decode(item.gold) for item in items] == [
        base.renderer.completion(pair.calls, TOOLS) for pair in PAIRS
    ]
    for shared, rows in ((False, 1), (False, 3), (True, 2)):
        found: Any = speed.timed(base, items, rows, shared=shared, limit=2)
        engines = found["engines"]
        assert engines["schematune-ff"]["passes"] < engines["free"]["passes"] and engines["free"]["decode_ms"] > 0
        assert ("outlines" in engines) == (shared or rows == 1) and ("schematune-own" in engines) == shared
        assert found["ratios"]["schematune-ff / free"]["ms"] > 0


def test_rows_that_leave_a_batch_keep_their_gold(tiny_loaded: Loaded) -> None:
    base = tiny_loaded("builtin")
    items = [*items_of(base)] * 2
    with replaying(base.model, items, min(base.stop)) as (clock, _):
        slow: list[Any] = [OneByOne(item.grammar) for item in items]
        found = decode(base.model, base.tokenizer, [item.prompt for item in items], slow, stop=base.stop, draft=False)
    assert [list(one.tokens) for one in found] == [item.gold for item in items]
    assert {one.forced for one in found} == {0} and clock.passes > max(len(item.gold) for item in items) - 1
    wrong = [replace(items[0], gold=items[1].gold)]
    with pytest.raises(DecodeError, match="left the gold call"):
        speed._check(wrong, [items[0].gold])


def test_a_model_of_qwens_shape(tiny_loaded: Loaded) -> None:
    base = speed.qwen3_shaped(tiny_loaded("builtin"), layers=2, width=128)
    assert base.model(torch.tensor([[1, 2]])).logits.shape[-1] == 512
    assert "schematune" in speed.timed(base, items_of(base), 1, shared=False, limit=1)["engines"]


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"messages": [{"role": "user", "content": pair.request}], "tools": TOOLS.openai(),
             "calls": [{"name": call.name, "arguments": dict(call.arguments)} for call in pair.calls]} for pair in PAIRS]  # fmt: skip
    path = tmp_path / "cases.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = ["--cases", str(path), "--models", "builtin", "--rows", "1", "--limit", "1", "--greedy", "1", "--quiet"]
    assert speed.main(options) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["benchmark"] == "speed" and found["cases"] == 3 and found["greedy"]["calls"] == 1
    assert found["models"]["builtin"]["1"]["mixed"]["ratios"]["schematune-ff / free"]["ms"] > 0
    assert speed.main(["--cases", str(tmp_path / "gone")]) == 1 and "error:" in capsys.readouterr().err

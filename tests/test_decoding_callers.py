"""Several adapters on one base: a batch through all of them gives what each gives alone."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import tiny_adapter

from schematune.decoding.adapter import WEIGHTS, Adapter, weights_digest
from schematune.decoding.base import Base
from schematune.decoding.caller import Caller
from schematune.decoding.callers import Callers
from schematune.schemas.call import Call
from schematune.schemas.contract import Contract
from schematune.schemas.errors import ContractError, DriftError, SchemaError
from schematune.schemas.pair import Pair
from schematune.schemas.spans import SpanRules
from schematune.schemas.tool import ToolSet

Loaded = Callable[[str], Base]


def tools(name: str, **more: Any) -> ToolSet:
    """Return a set of one tool with an argument of its own."""
    properties = {f"{name}_text": {"type": "string", "maxLength": 12}, "count": {"type": "integer", "maximum": 99}}
    return ToolSet(
        [{"name": name, "parameters": {"properties": {**properties, **more}, "required": list(properties)}}],
        bound=list(more),
    )


@pytest.fixture(scope="module")
def folders(tiny_loaded: Loaded, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return three adapters on the tiny built-in base; do not write into them."""
    base, folder = tiny_loaded("builtin"), tmp_path_factory.mktemp("adapters")
    made = {
        name: tiny_adapter(base, folder / name, tools(name), seed=seed) for seed, name in enumerate(("play", "book"), 1)
    }
    said = [Pair.of(f"note {word} 3", [Call("note", {"note_text": word, "count": 3})]) for word in "abcdefgh"]
    copied = SpanRules.learn(said, tools("note"))
    return {**made, "note": tiny_adapter(base, folder / "note", tools("note"), seed=3, spans=copied)}


def alone(folder: Path, base: Base, request: str, **options: Any) -> str:
    """Return what an adapter that is not merged says by itself."""
    [answer] = Caller(folder, base=base, merge=False, max_new_tokens=60, **options).batch([request])
    return answer.text


@pytest.mark.parametrize("constrained", [True, False])
def test_a_mixed_batch_gives_what_each_gives_alone(
    folders: dict[str, Path], tiny_loaded: Loaded, constrained: bool
) -> None:
    base = tiny_loaded("builtin")
    callers = Callers(folders, base=base, max_new_tokens=60, constrained=constrained)
    asked = [("book", "a table for two"), ("play", "Thriller"), ("note", "milk"), ("book", "hm"), ("play", "a table")]
    answers = callers.batch([request for _, request in asked], adapters=[name for name, _ in asked])
    expected = [alone(folders[name], base, request, constrained=constrained) for name, request in asked]
    assert [answer.text for answer in answers] == expected
    assert len(set(expected)) == len(expected)
    for (name, request), text in zip(asked, expected, strict=True):
        assert callers[name].batch([request])[0].text == text


def test_the_base_given_stays_as_it_is(folders: dict[str, Path], tiny_loaded: Loaded) -> None:
    base = tiny_loaded("builtin")
    before = {name: tensor.clone() for name, tensor in base.model.state_dict().items()}
    Callers(folders, base=base)
    after = base.model.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    assert base.adapter == ""


def test_a_base_by_its_recorded_name_serves(folders: dict[str, Path], tiny_loaded: Loaded) -> None:
    given, found = Callers(folders, base=tiny_loaded("builtin"), max_new_tokens=40), Callers(folders, max_new_tokens=40)
    assert [found[name].batch(["hm"])[0].text for name in found] == [
        given[name].batch(["hm"])[0].text for name in given
    ]


def test_adapters_come_and_go(folders: dict[str, Path], tiny_loaded: Loaded) -> None:
    base = tiny_loaded("builtin")
    callers = Callers({"a": folders["play"]}, base=base, max_new_tokens=60)
    assert list(callers) == ["a"] and len(callers) == 1
    play, book = alone(folders["play"], base, "hm"), alone(folders["book"], base, "hm")
    callers.add("b", folders["book"])
    assert [answer.text for answer in callers.batch(["hm", "hm"], adapters=["a", "b"])] == [play, book]
    callers.add("a", folders["book"])  # in the place of the other
    assert [answer.text for answer in callers.batch(["hm", "hm"], adapters=["a", "b"])] == [book, book]
    callers.remove("b")
    assert list(callers) == ["a"] and callers["a"].batch(["hm"])[0].text == book
    with pytest.raises(SchemaError, match=r"no adapter 'b'.*known: a"):
        callers["b"]
    with pytest.raises(SchemaError, match="no adapter 'b'"):
        callers.batch(["hm"], adapters=["b"])
    with pytest.raises(SchemaError, match="1 requests, 2 adapters"):
        callers.batch(["hm"], adapters=["a", "a"])


def test_what_fails_to_load_leaves_all_as_it_was(folders: dict[str, Path], tiny_loaded: Loaded, tmp_path: Path) -> None:
    base = tiny_loaded("builtin")
    callers = Callers({"a": folders["play"]}, base=base, max_new_tokens=60)
    before = callers["a"].batch(["hm"])[0].text
    with pytest.raises(DriftError):
        callers.add("a", folders["book"], tools=tools("other"))
    with pytest.raises(ContractError, match="another one"):
        callers.add("a", tiny_adapter(tiny_loaded("qwen3"), tmp_path / "qwen3", tools("x")))
    broken = tiny_adapter(base, tmp_path / "broken", tools("x"))
    config = json.loads((broken / "adapter_config.json").read_text())
    (broken / "adapter_config.json").write_text(json.dumps({**config, "r": 3}))
    with pytest.raises(ContractError, match="does not fit the base"):
        callers.add("a", broken)
    callers.add("b", folders["book"])
    assert callers["a"].batch(["hm"])[0].text == before
    assert callers["b"].batch(["hm"])[0].text == alone(folders["book"], base, "hm")


def test_what_cannot_share_a_batch_is_refused(folders: dict[str, Path], tiny_loaded: Loaded, tmp_path: Path) -> None:
    base = tiny_loaded("builtin")
    dora = tiny_adapter(base, tmp_path / "dora", tools("x"))
    config = json.loads((dora / "adapter_config.json").read_text())
    (dora / "adapter_config.json").write_text(json.dumps({**config, "use_dora": True}))
    with pytest.raises(ContractError, match=r"DoRA adapter cannot share a batch.*without dora=True"):
        Callers({"x": dora}, base=base)
    full = tmp_path / "full"
    base.model.save_pretrained(full)
    Contract.of(
        tools("x"), base=base.name, base_fingerprint=base.fingerprint, form=base.renderer.form, kind="full",
        weights=weights_digest(full, "full"),
    ).save(full)  # fmt: skip
    with pytest.raises(ContractError, match="a full tuning is a base of its own"):
        Callers({"x": Adapter.load(full)}, base=base)
    with pytest.raises(ContractError, match="no adapters"):
        Callers({})


def test_functions_and_bound_arguments_are_each_adapters_own(tiny_loaded: Loaded, tmp_path: Path) -> None:
    base, user = tiny_loaded("builtin"), {"user": {"type": "string"}}
    made = {name: tiny_adapter(base, tmp_path / name, tools(name, **user), seed=5) for name in ("play", "book")}
    plain = tiny_adapter(base, tmp_path / "plain", tools("plain"), seed=6)
    callers = Callers({**made, "plain": plain}, base=base, max_new_tokens=80)
    answers = callers.batch(["a", "b", "c"], adapters=["play", "book", "plain"], bound={"user": "me"})
    assert [dict(answer.bound) for answer in answers[:2] if not answer.error] == [
        {name: {"user": "me"}} for name, answer in zip(made, answers, strict=False) if not answer.error
    ]
    assert answers[2].bound == {}
    with pytest.raises(SchemaError, match="no tool has the bound argument 'nobody'"):
        callers.batch(["a"], adapters=["play"], bound={"nobody": 1})


@pytest.mark.parametrize("family", ["qwen3", "gemma3"])  # gemma3: rows one by one
def test_other_families_share_a_base_too(tiny_loaded: Loaded, tmp_path: Path, family: str) -> None:
    base = tiny_loaded(family)
    made = {name: tiny_adapter(base, tmp_path / name, tools(name), seed=len(name)) for name in ("f", "gg")}
    callers = Callers(made, base=base, max_new_tokens=60)
    answers = callers.batch(["hm", "hm", "oh"], adapters=["f", "gg", "f"])
    expected = [alone(made[name], base, text) for name, text in (("f", "hm"), ("gg", "hm"), ("f", "oh"))]
    assert [answer.text[:200] for answer in answers] == [text[:200] for text in expected]


def test_weights_of_an_adapter_are_a_file_that_is_checked(folders: dict[str, Path], tmp_path: Path) -> None:
    import shutil

    copied = Path(shutil.copytree(folders["play"], tmp_path / "cut"))
    (copied / WEIGHTS).write_bytes((copied / WEIGHTS).read_bytes()[:-10])
    with pytest.raises(ContractError, match="not those of the contract"):
        Callers({"x": copied})

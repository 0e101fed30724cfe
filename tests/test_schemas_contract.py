"""The contract: whole through its file, refused where it is broken, and drift told by name."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from schematune.schemas.contract import CONTRACT_FILE, Contract, file_digest
from schematune.schemas.errors import ContractError, DriftError
from schematune.schemas.form import COMPACT, Form
from schematune.schemas.spans import SpanRules
from schematune.schemas.tool import ToolSet

WEATHER = {"name": "weather", "parameters": {"properties": {"city": {"type": "string"}}, "required": ["city"]}}
BOOK = {"name": "book", "parameters": {"properties": {"user": {"type": "string"}, "date": {"type": "string"}}}}
NATIVE = Form("native", "<call>", " ", "</call>", separator="\n", reason="found")


def _contract(**rest: Any) -> Contract:
    tools = ToolSet([WEATHER, BOOK], bound=["user"])
    options: dict[str, Any] = {"base": "builtin", "base_fingerprint": "ab", "form": NATIVE, "weights": "cd"}
    return Contract.of(tools, **{**options, "spans": SpanRules({"weather": ["city"]}), "seed": 3, **rest})


def test_a_contract_is_whole_through_its_file(tmp_path: Path) -> None:
    contract = _contract(data={"sources": {"example": 2}}, metrics={"loss": 0.5}, versions={"torch": "2"})
    contract.save(tmp_path)
    again = Contract.load(tmp_path)
    assert again == contract
    assert again.form == NATIVE and again.spans["weather"] == ("city",) and again.created
    assert again.toolset().fingerprint == ToolSet([WEATHER, BOOK], bound=["user"]).fingerprint
    assert again.toolset()["book"].bound == ("user",) and again.bound_names == ("user",)


def test_the_file_names_every_fingerprint(tmp_path: Path) -> None:
    _contract().save(tmp_path)
    value = json.loads((tmp_path / CONTRACT_FILE).read_text())
    assert set(value["tool_fingerprints"]) == {"weather", "book"} and value["tools_fingerprint"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": 99}, "version 99"),
        ({"base": 1}, "'base'"),
        ({"seed": "x"}, "'seed'"),
        ({"kind": "half"}, "'kind'"),
        ({"tools": []}, "no tool at all"),
        ({"tools": 5}, "no contract"),
        ({"form": {"name": "x"}}, "no contract"),
        ({"form": {"name": "x", "before": 1, "between": "", "after": ""}}, "'before'"),
        ({"spans": {"weather": ["city"]}}, "span rules"),
        ({"spans": {"copied": {"weather": "city"}, "apart": []}}, "span rules"),
        ({"spans": {"copied": {}, "apart": [1]}}, "span rules"),
        ({"bound": 3}, "no contract"),
        ({"parallel": False}, "tools were changed"),
        ({"tools_fingerprint": "0"}, "tools were changed"),
    ],
)
def test_a_broken_contract_is_refused(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    value = {**_contract().to_dict(), **change}
    (tmp_path / CONTRACT_FILE).write_text(json.dumps(value))
    with pytest.raises(ContractError, match=words):
        Contract.load(tmp_path)


@pytest.mark.parametrize("key", ["base", "tools", "form", "spans", "weights"])
def test_a_missing_part_is_refused(key: str) -> None:
    value = _contract().to_dict()
    del value[key]
    with pytest.raises(ContractError, match=key):
        Contract.from_dict(value)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version":1,"version":1}'])
def test_what_is_no_contract_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / CONTRACT_FILE).write_text(text)
    with pytest.raises(ContractError, match=CONTRACT_FILE):
        Contract.load(tmp_path)


def test_a_folder_without_a_contract_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="cannot be read"):
        Contract.load(tmp_path)


def test_drift_names_the_tools_that_differ() -> None:
    contract = _contract()
    contract.check_tools(ToolSet([BOOK, WEATHER], bound=["user"]))  # another order is the same set
    changed = {"name": "weather", "parameters": {"properties": {"town": {"type": "string"}}}}
    with pytest.raises(DriftError, match=r"changed: weather; missing: book; new: cancel"):
        contract.check_tools(ToolSet([changed, {"name": "cancel", "parameters": {}}]))
    with pytest.raises(DriftError, match="parallel is False, was True"):
        contract.check_tools(ToolSet([WEATHER, BOOK], bound=["user"], parallel=False))


def test_an_exchanged_tool_does_not_pass_as_the_recorded_one() -> None:
    value = _contract().to_dict()
    value["tools"][0]["function"]["description"] = "something else"
    with pytest.raises(ContractError, match="fingerprint"):
        Contract.from_dict(value)


def test_file_digest_is_sha256(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert file_digest(tmp_path / "x").startswith("ba7816bf")


def test_replace_keeps_a_contract_equal_but_for_what_changed() -> None:
    assert replace(_contract(form=COMPACT), weights="00").weights == "00"

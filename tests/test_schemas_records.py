"""Texts of records: what a JSON Schema of a thing is read out of."""

import random

import pytest

from schematune.schemas.records import is_record
from schematune.schemas.synthesize import Synthesizer, synthesize
from schematune.schemas.tool import ToolSet
from schematune.trainer.corpus import Corpus, Sources

INVOICE = {
    "title": "Invoice",
    "type": "object",
    "properties": {
        "number": {"type": "string"},
        "customer": {"type": "object", "properties": {"name": {"type": "string"}, "city": {"type": "string"}}},
        "paid": {"type": "boolean"},
        "total": {"type": "number"},
        "items": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"product": {"type": "string"}, "quantity": {"type": "integer", "minimum": 1}},
                "required": ["product", "quantity"],
            },
        },
    },
    "required": ["number", "total"],
}


@pytest.mark.parametrize(
    ("name", "thing"),
    [("Invoice", True), ("job_posting", True), ("book_table", False), ("getWeather", False), ("price_check", False)],
)
def test_names_of_things_and_of_deeds(name: str, thing: bool) -> None:
    [tool] = ToolSet([{"name": name, "parameters": {"properties": {"a": {"type": "string"}}}}])
    assert is_record(tool) == thing


def test_texts_of_records_hold_what_is_in_them_and_say_where() -> None:
    maker = Synthesizer(ToolSet(INVOICE), random.Random(3))
    pairs = [maker.pair("call") for _ in range(300)]
    records = [pair for pair in pairs if (pair.template or "").startswith("record/")]
    assert 100 < len(records) < 250
    assert {pair.template for pair in records} == {"record/lines", "record/prose"}
    assert any("\n" in pair.request for pair in records)
    for pair in records:
        told = {mark.path for mark in pair.evidence}
        for name in pair.calls[0].arguments:
            assert any(path.split(".")[1] == name for path in told), (pair.request, name)
        for mark in pair.evidence:
            if mark.rule == "span" and mark.path == "0.number":
                assert pair.said[mark.start : mark.end] == pair.calls[0].arguments["number"]


def test_records_pass_every_check_and_splits_stay_apart() -> None:
    tools = ToolSet(INVOICE)
    pairs = synthesize(tools, 400, seed=2, dev=0.2, test=0.2)
    assert len(pairs) == 400 and not [line for p in pairs for c in p.calls for line in tools.violations(c)]
    assert any("record" in (pair.template or "") for pair in pairs)


def test_tools_are_asked_for_as_before() -> None:
    maker = Synthesizer(ToolSet([{"name": "book_table", "parameters": INVOICE}]), random.Random(3))
    assert not [pair for pair in (maker.pair() for _ in range(100)) if "record" in (pair.template or "")]


def test_the_corpus_has_things_to_read_out_of_texts() -> None:
    blocks = [block for block, _ in zip(Corpus(Sources(), 11), range(120), strict=False)]
    texts = [pair for block in blocks for pair in block.pairs if (pair.template or "").startswith("record/")]
    assert len(texts) > 20

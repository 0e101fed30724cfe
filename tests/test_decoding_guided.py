"""Schemas behind the mask: what is valid is never refused, and what is not is let through only where that is noted."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import llguidance
import llguidance.hf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_schemas_normal import ROOT, SCHEMAS, VALUES
from transformers import AutoTokenizer

from schematune.benchmarks.engines import main
from schematune.benchmarks.suites import read_suite
from schematune.decoding.base import BUILTIN, load_base
from schematune.decoding.grammar import Grammar
from schematune.decoding.guided import compiled, guided
from schematune.schemas.errors import ExampleError, SchemaError
from schematune.schemas.jsontext import compact
from schematune.schemas.normal import Document
from schematune.schemas.order import ordered
from schematune.schemas.validate import is_valid


@lru_cache(maxsize=1)
def tokenizer() -> tuple[Any, llguidance.LLTokenizer]:
    found: Any = AutoTokenizer.from_pretrained(str(BUILTIN), local_files_only=True)
    return found, llguidance.hf.from_tokenizer(found)


def takes(matcher: llguidance.LLMatcher, value: Any) -> bool:
    matcher = matcher.deep_copy()
    tokens = tokenizer()[0].encode(compact(value), add_special_tokens=False)
    return matcher.validate_tokens(tokens) == len(tokens) and matcher.consume_tokens(tokens) and matcher.is_accepting()


def whole_numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: whole_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [whole_numbers(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


@settings(max_examples=150, deadline=None)
@given(SCHEMAS, st.lists(VALUES, min_size=2, max_size=6))
def test_the_mask_lets_all_that_is_valid_through_and_notes_what_else(schema: Any, values: list[Any]) -> None:
    whole = {**ROOT, **schema}
    try:
        found, matcher = compiled(whole, tokenizer()[1])
    except SchemaError:
        assert not any(is_valid(whole, value) for value in values)
        return
    document = Document(found.schema)
    for value in values:
        ways = (value, ordered(value, document.root, document), whole_numbers(value))  # 2.0 is 2
        taken = any(takes(matcher, way) for way in ways)
        if is_valid(whole, value):
            assert taken, (found.schema, value)
        elif not found.checked:
            assert not taken, (found.schema, value)


REWRITTEN: list[tuple[Any, list[Any], list[Any]]] = [
    (
        {"properties": {"k": {"enum": ["a", "b"]}, "x": {"type": "integer"}}, "required": ["k"], "type": "object",
         "if": {"properties": {"k": {"const": "a"}}}, "then": {"required": ["x"]}, "additionalProperties": False},
        [{"k": "b"}, {"k": "a", "x": 1}], [{"k": "a"}, {"x": 1}],
    ),
    (
        {"type": "object", "properties": {"card": {"type": "string"}, "street": {"type": "string"}},
         "dependencies": {"card": ["street"]}, "additionalProperties": False},
        [{}, {"street": "s"}, {"card": "c", "street": "s"}], [{"card": "c"}],
    ),
    (
        {"oneOf": [{"type": "object", "properties": {"t": {"const": "a"}}, "required": ["t"]},
                   {"type": "object", "properties": {"t": {"const": "b"}}, "required": ["t"]}]},
        [{"t": "a"}, {"t": "b"}], [{"t": "c"}, {}],
    ),
    (
        {"type": "object", "propertyNames": {"enum": ["a", "b"]}, "additionalProperties": {"type": "integer"}},
        [{}, {"a": 1, "b": 2}], [{"c": 1}, {"a": "x"}],
    ),
    ({"type": "object", "propertyNames": {"maxLength": 2}}, [{}, {"ab": 1}], [{"abc": 1}]),
    (
        {"type": "object", "propertyNames": {"enum": ["a", "b"]}, "properties": {"a": {"minimum": 3}},
         "patternProperties": {"^a": {"type": "integer"}}, "additionalProperties": {"type": "string"}},
        [{}, {"a": 4, "b": "x"}], [{"a": 1}, {"a": "x"}, {"b": 1}, {"c": "x"}],
    ),
    (
        {"type": "object", "properties": {"a": {}, "b": {}}, "additionalProperties": False, "minProperties": 1},
        [{"a": 1}, {"b": 1}, {"a": 1, "b": 1}], [{}],
    ),
    ({"not": {"type": "object"}}, [1, "x", []], [{}]),
    (
        {"type": "object", "properties": {"a": {"type": "integer"}},
         "anyOf": [{"properties": {"b": {"type": "integer"}}, "required": ["b"]}, {"required": ["a"]}],
         "unevaluatedProperties": False},
        [{"a": 1}, {"b": 1}, {"a": 1, "b": 1}], [{}, {"a": 1, "c": 1}],
    ),
    (
        {"properties": {"a": {"type": "integer"}}, "required": ["a"],
         "anyOf": [{"const": 0}, {"properties": {"a": {"type": "string"}}}]},
        [0, None, "x", [1]], [{}, {"a": 1}],
    ),
    (
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/x"}, "b": {"anyOf": [{"$ref": "#/$defs/x"}, {"type": "null"}]}},
         "additionalProperties": False,
         "$defs": {"x": {"type": "object", "required": ["id"], "properties": {}, "additionalProperties": False}}},
        [{}, {"b": None}], [{"a": {}}, {"a": {"id": 1}}, {"b": {}}],
    ),
    ({"$ref": "#/$defs/t", "$defs": {"t": {"type": "array", "items": {"$ref": "#/$defs/t"},
      "not": {"type": "string"}}}}, [[], [[], [[]]]], [[1]]),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "right", "wrong"), REWRITTEN)
def test_rewritten_and_wholly_enforced(schema: Any, right: list[Any], wrong: list[Any]) -> None:
    found, matcher = compiled(schema, tokenizer()[1])
    assert not found.checked and "checked" not in found.account(schema).values()
    assert all(is_valid(schema, value) and takes(matcher, value) for value in right)
    assert not any(is_valid(schema, value) or takes(matcher, value) for value in wrong)


@pytest.mark.parametrize(
    ("schema", "keyword"),
    [
        ({"type": "array", "uniqueItems": True}, "uniqueItems"),
        ({"type": "array", "contains": {"const": 1}}, "contains"),
        ({"type": "string", "format": "date"}, "format"),
        ({"type": "string", "pattern": "^(?=a)[a-z]{2}$"}, "pattern"),
        ({"oneOf": [{"type": "integer"}, {"minimum": 2}]}, "oneOf"),
        ({"type": "object", "properties": {"a": {}}, "maxProperties": 2}, "maxProperties"),
        ({"not": {"const": "x"}, "type": "string"}, "not"),
        ({"$dynamicRef": "#a", "$defs": {"a": {"$dynamicAnchor": "a", "type": "string"}}}, "$dynamicRef"),
    ],
)
def test_what_is_left_to_be_checked_is_told(schema: Any, keyword: str) -> None:
    assert guided(schema).account(schema)[keyword] == "checked"
    assert Grammar.of_schema(schema, load_base("builtin")).unenforced == (f"schema: {keyword}",)


def test_whole_numbers_in_listed_values_have_no_point() -> None:
    for schema in ({"const": {"a": 2.0, "b": [1.0]}}, {"enum": [2.0, {"a": 2.0, "b": [1.0]}]}):
        found, matcher = compiled(schema, tokenizer()[1])
        value = {"a": 2.0, "b": [1.0]}
        assert takes(matcher, ordered(value, found.schema, Document(found.schema)))


def test_plain_structured_output_and_what_has_no_grammar() -> None:
    base = load_base("builtin")
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
        "additionalProperties": False,
    }
    grammar = Grammar.of_schema(schema, base)
    assert takes(grammar.matcher(), {"n": 3}) and not takes(grammar.matcher(), {"n": "x"}) and grammar.unenforced == ()
    for never in (False, {"anyOf": [False, False]}, {"allOf": [{"type": "string"}, {"type": "integer"}]}):
        with pytest.raises(SchemaError, match="no grammar can be made"):
            Grammar.of_schema(never, base)


def test_the_audit_counts_verdicts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"schema": {"type": "array", "uniqueItems": True},
         "tests": [{"data": [1, 2], "valid": True}, {"data": [1, 1], "valid": False}]},
        {"schema": {"properties": {"a": {}, "b": {}}, "type": "object"}, "tests": [{"data": {"b": 1, "a": 1}, "valid": True}]},
        {"schema": {"type": "integer"}, "tests": [{"data": 1, "valid": True}, {"data": "x", "valid": False}]},
        {"schema": {}, "tests": []},
    ]  # fmt: skip
    path = tmp_path / "schemas.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["--schemas", str(path), "--quiet", "--engines", "schematune-mask", "schematune", "llguidance"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["benchmark"] == "engines" and found["schemas"] == 3
    mask, whole, alone = (found["engines"][name] for name in ("schematune-mask", "schematune", "llguidance"))
    assert (mask["compiled"], mask["unsound"], mask["right_ordered"]) == (1.0, 0.3333, 0.6667)
    assert (whole["unsound"], whole["right"], whole["right_ordered"]) == (0.0, 0.6667, 1.0)
    assert alone["compiled"] == 0.6667 and mask["keywords"]["checked"] == 1 and mask["mask_us_p50"] > 0
    assert whole["against_llguidance"]["schemas"] == 2 and list(found["missing"]) == [] and found["skipped"] == {}
    path.write_text(json.dumps({"schema": {"enum": [1, 2]}, "tests": [{"data": 1, "valid": True}]}) + "\n")
    assert main(["--schemas", str(path), "--quiet", "--engines", "xgrammar", "outlines_core"]) == 0
    others = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert others["engines"]["outlines_core"]["right"] == 1.0 and others["engines"].keys() | others[
        "skipped"
    ].keys() == {"xgrammar", "outlines_core"}
    assert main(["--schemas", str(path), "--engines", "gone"]) == 1 and "no engine 'gone'" in capsys.readouterr().err
    assert main(["--schemas", str(tmp_path / "gone")]) == 1 and "no schemas can be read" in capsys.readouterr().err
    with pytest.raises(ExampleError, match="no test suite"):
        read_suite(tmp_path, ["draft7"])


def test_the_suite_hands_its_documents_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tests/draft2020-12").mkdir(parents=True)
    (tmp_path / "remotes/draft2020-12").mkdir(parents=True)
    (tmp_path / "remotes/draft2020-12/n.json").write_text('{"type": "integer"}')
    remote = [{"description": "a", "schema": {"$ref": "http://localhost:1234/draft2020-12/n.json"},
               "tests": [{"data": 1, "valid": True}, {"data": "x", "valid": False}]}]  # fmt: skip
    notes = [{"description": "b", "schema": {"format": "uuid"}, "tests": [{"data": "x", "valid": True}]}]
    never = [{"description": "c", "schema": False, "tests": [{"data": 1, "valid": False}]}]
    for name, groups in (("ref", remote), ("format", notes), ("boolean", never)):
        (tmp_path / f"tests/draft2020-12/{name}.json").write_text(json.dumps(groups))
    options = ["--suite", str(tmp_path), "--drafts", "draft2020-12", "--engines", "schematune", "llguidance", "--quiet"]
    assert main(options) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["engines"]["schematune"]["right"] == 0.6667 and found["formats_as_notes"] == 1
    [(name, why)] = found["missing"].items()
    assert name == "draft2020-12/boolean.json: c" and "nothing fits it" in why
    assert found["engines"]["llguidance"]["right"] == 0.3333

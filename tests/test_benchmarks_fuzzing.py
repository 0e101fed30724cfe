"""What fuzzing found, kind by kind; and that a run of it finds nothing."""

import json
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from schematune.benchmarks.fuzzing import Fuzzer, main
from schematune.benchmarks.vocabularies import tokenizer_named
from schematune.decoding.engines import LLGuidance
from schematune.decoding.guided import guided
from schematune.decoding.rewrite import rewritten
from schematune.schemas.errors import SchemaError
from schematune.schemas.merge import both
from schematune.schemas.normal import Document
from schematune.schemas.validate import (
    MAX_DEPTH,
    MAX_LITERAL,
    MAX_NODES,
    MAX_PATTERN,
    check_schema,
    is_valid,
    validator,
    violations,
)


@lru_cache(maxsize=1)
def engine() -> LLGuidance:
    tokenizer = tokenizer_named("builtin")
    return LLGuidance(tokenizer, len(tokenizer), frozenset([tokenizer.eos_token_id]))


def nested(depth: int) -> Any:
    schema: Any = {"type": "integer"}
    for _ in range(depth):
        schema = {"items": schema}
    return schema


BROKEN: list[tuple[Any, str]] = [
    (None, "an object or a boolean"),
    (["x"], "an object or a boolean"),
    (nested(3000), f"deeper than {MAX_DEPTH}"),
    ({"enum": list(range(MAX_NODES))}, f"larger than {MAX_NODES}"),
    (
        {"anyOf": [{"const": {"k": n}} for n in range(3000)], "properties": {"k": {"enum": list(range(3000))}}},
        "the ways of a choice times what stands beside them",
    ),
    ({"const": "x" * (MAX_LITERAL + 1)}, "a listed value or a name"),
    ({"properties": {"x" * (MAX_LITERAL + 1): {}}}, "a listed value or a name"),
    ({"patternProperties": {"x" * (MAX_PATTERN + 1): {}}}, f"a pattern of over {MAX_PATTERN}"),
    ({"items": {"pattern": "x" * (MAX_PATTERN + 1)}}, f"a pattern of over {MAX_PATTERN}"),
    ({"minimum": 10**400}, "beyond all bounds"),
    ({"minimum": float("nan")}, "beyond all bounds"),
    ({"pattern": "\ud800"}, "no JSON in UTF-8"),
    ({"not": {"properties": 5}}, "not a valid JSON Schema"),
    ({"allOf": [{"multipleOf": 0.0}, {"multipleOf": 0.5}], "not": {}}, "not a valid JSON Schema"),
    ({"dependentSchemas": [], "uniqueItems": "x", "not": {"enum": 3}}, "not a valid JSON Schema"),
]


@pytest.mark.parametrize(("schema", "told"), BROKEN, ids=range(len(BROKEN)))
def test_broken_schemas_are_typed_errors(schema: Any, told: str) -> None:
    for make in (engine().schema, guided):
        with pytest.raises(SchemaError, match=told):
            make(schema)
    with pytest.raises(SchemaError):
        validator(schema)


def test_names_that_are_no_uri_are_typed_errors() -> None:
    with pytest.raises(SchemaError, match="Invalid URI"):
        check_schema({"$schema": "𝄞 x"})


ENDLESS: list[Any] = [
    {"if": {"enum": [1, "a", None]}, "then": {"$ref": "#"}, "else": False},  # a choice that leads back to itself
    {"anyOf": [{"$ref": "#"}, {"type": "integer"}], "uniqueItems": True},
    {"uniqueItems": True, "allOf": [{"anyOf": [{"required": [f"p{n}"]}, {"required": [f"q{n}"]}]} for n in range(300)]},
    {"$defs": {"a": {"additionalProperties": {"$ref": "#"}}}, "$ref": "#/$defs/a",  # what is kept apart doubled
     "properties": {"b": {"$ref": "#/$defs/a"}}, "contains": {"minimum": 3}, "dependentSchemas": {"c": {"enum": [1]}}},
    {"if": {"$ref": "#"}, "then": {"enum": list(range(300))}, "oneOf": [{"$ref": "#"}, {"type": "string"}]},
    {"uniqueItems": True, "$defs": {"n": {"minimum": 0}},  # a validator for each part, each with the whole document
     "properties": {f"p{n}": {"enum": ["x" * 3000, n], "not": {"$ref": "#/$defs/n"}} for n in range(150)}},
    {"prefixItems": [{"allOf": [{"enum": [{"a": 1}]}, {"not": {"minimum": 1, "type": "integer"}}]}] * 2000},
    {"if": {"$ref": "#"}, "then": {"enum": list(range(12_000))}},
    {"prefixItems": [{"allOf": [{"enum": ["", n]}, {"not": {"enum": [{"a": {"$ref": "#"}}]}}]} for n in range(500)]},
    {"$defs": {"a": {"oneOf": [{"$ref": "#/$defs/a", "properties": {"b": {"$ref": "#/$defs/a"}}}, {"type": "object",
     "patternProperties": {"\\d{1,99999}": {"dependentRequired": {"a": ["b"], "b": ["c"]}}},
     "propertyNames": {"not": {"$ref": "#"}, "anyOf": [False, False]}}]}},
     "$ref": "#/$defs/a", "properties": {"b": {"$ref": "#/$defs/a"}}},
]  # fmt: skip


@pytest.mark.parametrize("schema", ENDLESS, ids=range(len(ENDLESS)))
def test_endless_work_ends(schema: Any) -> None:
    begun = time.perf_counter()
    try:
        engine().schema(json.loads(json.dumps(schema)))
    except SchemaError:
        pass
    assert time.perf_counter() - begun < 10.0


def test_work_that_runs_out_is_told() -> None:
    found = rewritten(ENDLESS[2])
    assert found.checked["anyOf"] and found.schema is not False
    assert guided({"oneOf": [{"type": "integer"}, {"type": "string"}]}).checked == {}


def test_a_value_that_no_validator_reads_is_not_valid() -> None:
    assert is_valid({"type": "object"}, {"a": 10**400})
    for schema, value in (({"const": {"b": 1}}, {"a": "\ud800"}), ({"type": "object"}, object())):
        assert not is_valid(schema, value) and violations(schema, value)[0].startswith("(top): cannot be checked")


def test_choices_that_lead_back_are_settled() -> None:
    document = Document({"anyOf": [{"$ref": "#"}, {"type": "integer"}], "title": "x"})
    assert document.settled(document.root, 1)["title"] == "x"


def test_what_is_kept_apart_stands_once() -> None:
    part = {"allOf": [{"contains": {"minimum": 3}}]}
    assert both({"type": "array", **part}, part)["allOf"] == part["allOf"]
    assert both({"enum": [1, True, {"a": 2.0}, [1]]}, {"enum": [1.0, {"a": 2}, "1"]})["enum"] == [1, {"a": 2.0}]


def test_a_run_finds_nothing_and_is_the_same_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "schemas.jsonl"
    row = {"schema": {"properties": {"a": {"type": "integer"}}}, "tests": [{"data": {"a": 1}, "valid": True}]}
    path.write_text(json.dumps(row) + "\n")
    assert main(["--count", "120", "--schemas", str(path), "--quiet"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["cases"] == 120 and found["crashes"] == found["over_time"] == 0
    assert sum(found["ends"].values()) == 120 and {end.split(":")[0] for end in found["ends"]} >= {
        "made",
        "worse",
        "bytes",
    }
    fuzzer = Fuzzer(engine(), seed=3)
    assert [fuzzer(n)["end"] for n in range(20)] == [fuzzer(n)["end"] for n in range(20)]
    assert main(["--only", "7"]) == 0 and "'kind'" in capsys.readouterr().out


def test_a_crash_is_counted_and_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(Fuzzer, "_made", lambda self, rng: [][0])
    assert main(["--count", "8", "--quiet"]) == 1
    caught = capsys.readouterr()
    found = json.loads(caught.out.splitlines()[-1])
    assert found["crashes"] == found["failures"]["IndexError"] > 0
    assert f"case {found['first']['IndexError']}: raised: IndexError" in caught.err


def test_a_number_that_the_engine_cannot_read_is_a_typed_error() -> None:
    """Found by fuzzing (case 26693 of seed 1): the least common multiple of these has 309 digits."""
    steps = [{"type": "integer", "multipleOf": 1e308, "minimum": 2**31}]
    steps += [{"type": "integer", "multipleOf": 1e16, "minimum": 1e308}]
    with pytest.raises(SchemaError, match="no grammar"):
        guided({"allOf": [*steps, {"anyOf": [False, True]}]})

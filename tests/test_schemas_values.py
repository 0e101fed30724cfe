"""Values for any schema: valid by construction, all of it covered, and near misses that break one thing."""

import json
import random
import re
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_schemas_normal import ROOT, SCHEMAS

from schematune.benchmarks.sampling import sample
from schematune.schemas.errors import SchemaError
from schematune.schemas.nearmiss import near_misses
from schematune.schemas.patterns import from_pattern, matches, readable
from schematune.schemas.validate import is_valid
from schematune.schemas.values import Sampler


def draw(schema: Any, many: int = 20, **options: Any) -> list[Any]:
    sampler = Sampler(random.Random(0), root=schema, **options)
    return [sampler.value(schema, "thing") for _ in range(many)]


@settings(max_examples=200, deadline=None)
@given(SCHEMAS, st.booleans(), st.integers(0, 99))
def test_what_is_drawn_is_valid(schema: Any, cover: bool, seed: int) -> None:
    whole = {**ROOT, **schema} if isinstance(schema, dict) else schema
    try:
        value = Sampler(random.Random(seed), root=whole, cover=cover).value(whole)
    except SchemaError:
        return  # many of these schemas fit nothing: test_schemas_that_can_be_met holds the others
    assert is_valid(whole, value)
    json.dumps(value, allow_nan=False)


TREE = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {"left": {"$ref": "#/$defs/node"}, "n": {"type": "integer"}},
            "required": ["n"],
        }
    },
}


@pytest.mark.parametrize("cover", [False, True])
@pytest.mark.parametrize(
    "schema",
    [
        TREE,
        {"oneOf": [{"type": "integer", "multipleOf": 3}, {"type": "integer", "multipleOf": 2}]},
        {"not": {"propertyNames": False}},
        {"type": "object", "minProperties": 4, "propertyNames": {"pattern": "^[a-f]{3}$"}},
        {"type": "object", "patternProperties": {"^x-": {"type": "integer"}}, "additionalProperties": False, "minProperties": 2},
        {"type": "object", "properties": {"a": {}, "b": {}, "c": {}}, "maxProperties": 1, "minProperties": 1},
        {"properties": {"kind": {"enum": ["a", "b"]}}, "required": ["kind"],
         "if": {"properties": {"kind": {"const": "a"}}}, "then": {"required": ["x"]}, "else": {"required": ["y"]}},
        {"type": "object", "required": ["card"], "dependentRequired": {"card": ["street"]},
         "dependentSchemas": {"street": {"properties": {"zip": {"pattern": "^[0-9]{5}$"}}, "required": ["zip"]}}},
        {"type": "array", "contains": {"const": 7}, "minContains": 2, "items": {"type": "integer"}, "maxItems": 4},
        {"type": "array", "uniqueItems": True, "items": {"enum": [1, 2, 3]}, "minItems": 3},
        {"type": "string", "pattern": "^(?=.*[0-9])[a-z0-9]{6}$", "minLength": 6},
        {"type": "string", "pattern": r"^\p{Lu}\p{Ll}+(?<end>x)?$"},
        {"type": "string", "format": "date", "pattern": "^20"},
        {"type": "number", "exclusiveMinimum": 0, "maximum": 0.004},
        {"type": "number", "multipleOf": 0.01, "minimum": 1},
        {"allOf": [{"properties": {"a": {"type": "string"}}}, {"required": ["a"]}], "unevaluatedProperties": False},
        {"anyOf": [{"type": "string", "maxLength": 2}, {"type": "null"}], "not": {"const": ""}},
        {"type": ["integer", "null"], "minimum": 3, "maximum": 3},
        {"enum": ["long enough", "x", 5], "minLength": 3, "type": "string"},
    ],
)  # fmt: skip
def test_schemas_that_can_be_met(schema: Any, cover: bool) -> None:
    for value in draw(schema, cover=cover):
        assert is_valid(schema, value), value


def test_covering_takes_every_branch_member_and_value() -> None:
    schema = {
        "type": "object",
        "properties": {
            "a": {"anyOf": [{"type": "string"}, {"type": "null"}, {"type": "integer", "minimum": 0, "maximum": 9}]},
            "b": {"enum": ["x", "y", "z"]},
        },
        "additionalProperties": {"type": "boolean"},
    }
    values = draw(schema, 40, cover=True)
    assert {type(value.get("a", 0.5)) for value in values} == {str, type(None), int, float}
    assert {value.get("b") for value in values} == {"x", "y", "z", None}
    assert {0, 9} <= {value.get("a") for value in values}
    assert any(set(value) - {"a", "b"} for value in values)


def test_a_schema_that_nothing_fits_is_an_error_that_says_so() -> None:
    with pytest.raises(SchemaError, match="no valid value found"):
        draw({"type": "object", "required": ["a"], "properties": {"a": False}})
    with pytest.raises(SchemaError, match="no valid value found"):  # no finite value
        draw({"$ref": "#/$defs/n", "$defs": {"n": {"type": "object", "required": ["n"], "properties": {"n": {"$ref": "#/$defs/n"}}}}})  # fmt: skip


def test_the_same_state_draws_the_same_values() -> None:
    assert draw(TREE, cover=True) == draw(TREE, cover=True)


def test_patterns_are_read_as_their_standard_says() -> None:
    assert matches(r"^\p{L}+$", "abc") and not matches("(", "abc")
    for pattern in (r"^(?<a>x|y)-\k<a>$", r"[\p{Lu}_]{3}", r"^[^a-zA-Z0-9 \-_.,]$", r"^\w+\S\D$"):
        assert matches(pattern, from_pattern(pattern, random.Random(0))), readable(pattern)


def test_near_misses_break_one_keyword_each() -> None:
    schema = {
        "type": "object",
        "properties": {
            "n": {"type": "integer", "minimum": 1, "multipleOf": 2},
            "s": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 5},
            "d": {"type": "string", "format": "date"},
            "l": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 2, "uniqueItems": True},
            "k": {"anyOf": [{"type": "string", "minLength": 2}, {"type": "integer", "maximum": 5}]},
        },
        "required": ["n", "s"],
        "additionalProperties": False,
    }
    value = {"n": 4, "s": "abc", "d": "2026-01-02", "l": ["x"], "k": 3}
    found = list(near_misses(schema, value))
    judge = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
    for miss in found:
        [error] = judge.iter_errors(miss.value)
        assert (error.validator, tuple(error.absolute_path)) == (miss.keyword, miss.path)
    broken = {miss.keyword for miss in found}
    assert broken == {
        *("type", "required", "additionalProperties", "minimum", "multipleOf", "pattern", "maxLength", "format"),
        *("minItems", "maxItems", "uniqueItems"),
    }
    assert value == {"n": 4, "s": "abc", "d": "2026-01-02", "l": ["x"], "k": 3}


def test_the_benchmark_counts_what_cannot_be_sampled() -> None:
    assert sample(False, 3).error
    assert sample({"$ref": "http://example.com/x"}, 3).error.startswith("schema: #/$ref refers to")
    found = sample({"anyOf": [{"type": "string"}, {"type": "integer"}]}, 20)
    assert (found.valid, found.branches, found.error) == (20, (2, 2), "")
    assert found.misses[0] == found.misses[1]


def test_a_town_is_written_as_its_description_shows() -> None:
    schema = {"type": "string", "description": "The city and state, e.g. Reno, NV"}
    values = {str(Sampler(random.Random(seed)).value(schema, "location")) for seed in range(60)}
    assert "Reno, NV" in values and len(values) > 20
    assert all(re.fullmatch(r".+, [A-Z]{2}", value) for value in values)
    plain = {**schema, "description": "The city, e.g. Reno"}
    assert not any(
        re.search(r", [A-Z]{2}$", str(Sampler(random.Random(seed)).value(plain, "city"))) for seed in range(40)
    )

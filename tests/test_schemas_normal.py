"""Normal forms: equivalent to the schema they are made from."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schematune.schemas.errors import SchemaError
from schematune.schemas.merge import NEVER, both, equal
from schematune.schemas.normal import CHOICES, Document, negated, resolve
from schematune.schemas.validate import is_valid

ROOT: dict[str, Any] = {
    "$defs": {
        "small": {"type": "integer", "maximum": 3},
        "pair": {"prefixItems": [{"type": "string"}, {"$ref": "#/$defs/small"}]},
        "named": {"properties": {"a": {"$ref": "#/$defs/small"}}, "required": ["a"]},
    }
}
NAMES = st.sampled_from(["a", "b", "xy"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 5) | st.sampled_from([0.5, 2.0]) | st.sampled_from(["", "a", "xyz"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=4,
)
PLAIN = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(
            ["integer", "number", "string", "object", "array", ["object", "null"], ["integer", "string"]]
        ),
        "enum": st.lists(VALUES, min_size=1, max_size=3),
        "const": VALUES,
        "minimum": st.integers(-1, 4),
        "exclusiveMaximum": st.integers(-1, 4),
        "multipleOf": st.sampled_from([1, 2, 3, 0.5]),
        "minLength": st.integers(0, 2),
        "pattern": st.sampled_from(["^a", "x"]),
        "maxItems": st.integers(0, 2),
        "uniqueItems": st.booleans(),
        "required": st.lists(NAMES, unique=True, max_size=2),
        "minProperties": st.integers(0, 2),
        "dependentRequired": st.dictionaries(NAMES, st.lists(NAMES, unique=True, max_size=1), max_size=2),
        "description": st.just("what it is"),
    },
)


def _nested(inner: Any) -> Any:
    some = st.lists(inner, min_size=1, max_size=2)
    return st.fixed_dictionaries(
        {},
        optional={
            "allOf": some,
            "anyOf": some,
            "oneOf": some,
            "not": inner,
            "if": inner,
            "then": inner,
            "else": inner,
            "properties": st.dictionaries(NAMES, inner | st.booleans(), max_size=2),
            "patternProperties": st.dictionaries(st.sampled_from(["^a", "y"]), inner, max_size=1),
            "additionalProperties": inner | st.booleans(),
            "unevaluatedProperties": st.booleans(),
            "dependentSchemas": st.dictionaries(NAMES, inner, max_size=1),
            "propertyNames": st.sampled_from([{"maxLength": 1}, {"enum": ["a"]}, False]),
            "prefixItems": some,
            "items": inner | st.booleans(),
            "contains": inner,
            "minContains": st.integers(0, 2),
            "$ref": st.sampled_from(["#/$defs/small", "#/$defs/pair", "#/$defs/named"]),
            "type": st.sampled_from(["object", "array", "integer"]),
        },
    )


SCHEMAS = st.recursive(PLAIN, _nested, max_leaves=8)


def _fits(schema: Any, value: Any) -> bool:
    return is_valid({**ROOT, **schema} if isinstance(schema, dict) else schema, value)


@settings(max_examples=300, deadline=None)
@given(SCHEMAS, st.lists(VALUES, min_size=3, max_size=8))
def test_the_normal_form_fits_the_same_values(schema: Any, values: list[Any]) -> None:
    normal = resolve(schema, ROOT)
    assert "$ref" not in normal
    for value in values:
        assert _fits(dict(normal), value) == _fits(schema, value), (normal, value)


@settings(max_examples=150, deadline=None)
@given(SCHEMAS, st.lists(VALUES, min_size=3, max_size=8))
def test_what_fits_no_schema_fits_its_negation(schema: Any, values: list[Any]) -> None:
    for value in values:
        assert _fits(dict(negated(schema)), value) != _fits(schema, value)


@settings(max_examples=150, deadline=None)
@given(SCHEMAS, st.lists(VALUES, min_size=3, max_size=8))
def test_what_fits_takes_one_of_the_ways(schema: Any, values: list[Any]) -> None:
    document = Document(ROOT)
    normal = document.normal(schema)
    found = document.ways(normal)
    if found is None:
        assert not set(CHOICES) & set(normal)
        return
    key, ways = found
    for value in values:
        if _fits(schema, value):
            assert any(_fits(dict(document.chosen(normal, key, way)), value) for way in ways), (normal, value)


@settings(max_examples=200, deadline=None)
@given(SCHEMAS, SCHEMAS, VALUES)
def test_both_is_what_fits_both(one: Any, other: Any, value: Any) -> None:
    merged = both(resolve(one, ROOT), resolve(other, ROOT))
    assert _fits(dict(merged), value) == (_fits(one, value) and _fits(other, value))


@settings(deadline=None)
@given(VALUES, VALUES)
def test_equal_is_what_const_means(one: Any, other: Any) -> None:
    assert equal(one, other) == is_valid({"const": one}, other)


def test_keywords_of_old_drafts() -> None:
    assert resolve({"minimum": 3, "exclusiveMinimum": True}, {}) == {"exclusiveMinimum": 3}
    assert resolve({"items": [{"type": "string"}], "additionalItems": False}, {}) == {
        "prefixItems": [{"type": "string"}],
        "items": False,
    }
    assert resolve({"dependencies": {"a": ["b"]}}, {}) == {"dependentRequired": {"a": ["b"]}}


def test_references_by_anchor_and_id_and_recursion() -> None:
    root = {
        "$id": "http://example.com/tree",
        "properties": {"left": {"$ref": "#"}, "kind": {"$ref": "#kind"}, "n": {"$ref": "count"}},
        "$defs": {"k": {"$anchor": "kind", "enum": ["a"]}, "c": {"$id": "count", "type": "integer"}},
    }
    document = Document(root)
    inner = document.normal(root)["properties"]
    assert document.normal(inner["left"]) == document.normal(root)
    assert document.normal(inner["kind"]) == {"enum": ["a"]}
    assert document.normal(inner["n"]) == {"type": "integer"}


@pytest.mark.parametrize("reference", ["#/$defs/none", "#none", "http://example.com/other", "#/$defs/loop"])
def test_references_that_lead_nowhere(reference: str) -> None:
    root = {"$defs": {"loop": {"$ref": "#/$defs/loop"}}}
    with pytest.raises(SchemaError, match=r"nowhere|out of|circle"):
        resolve({"$ref": reference}, root)


def test_never_is_found_out() -> None:
    assert both({"type": "string"}, {"type": "integer"}) == NEVER
    assert both({"enum": [1, 2]}, {"enum": [True]}) == NEVER
    assert json.dumps(resolve({"allOf": [{"type": "string"}, False]}, {})) == json.dumps(NEVER)


@pytest.mark.parametrize("key", ["dependentRequired", "dependentSchemas"])
def test_what_an_old_draft_does_not_know_may_be_anything(key: str) -> None:
    """Found by fuzzing (case 68451 of seed 0): in draft 7 these are no keywords, so they may hold what they like."""
    root: Any = {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", key: [{"a": 1}]}
    assert Document(root).normal(root) == {"type": "object"}

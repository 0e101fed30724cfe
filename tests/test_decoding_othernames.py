"""Patterns without names, and the schemas written with them: the same values fit."""

import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schematune.decoding.checks import Checks
from schematune.decoding.grammar import Grammar
from schematune.decoding.guided import guided
from schematune.decoding.othernames import other_names
from schematune.decoding.rewrite import rewritten
from schematune.decoding.watch import Watch
from schematune.schemas.jsontext import strict_loads
from schematune.schemas.validate import validator

PLAIN = ["", "^", ".*", "^.*", "^.*$", "^.+$", ".*$", "^[ab]*$", "^[ab]+$", "^[a-c_]*", "^[a-c-]*$"]
LETTERS = st.text(alphabet='ab_-.$^"\\\né', max_size=4)


def found(pattern: str, text: str) -> bool:
    """Search as ECMA-262 does: `$` is the end of the text only."""
    return re.search(pattern.removesuffix("$") + (r"\Z" if pattern.endswith("$") else ""), text) is not None


@given(st.sampled_from(PLAIN), st.lists(LETTERS, max_size=5), LETTERS)
def test_all_but_the_names_match(pattern: str, names: list[str], text: str) -> None:
    other = other_names(pattern, names)
    assert other is not None
    for one in (text, *names):
        assert found(other, one) == (found(pattern, one) and one not in names)


@given(st.sampled_from(["a", "^x-", "^[ab]$", "^[^a]*$", "^a*$", "[ab]+", "^$", "^(a|b)*$", "^[ab]*|c$"]))
def test_other_patterns_are_left_alone(pattern: str) -> None:
    assert other_names(pattern, ["a"]) is None


PARTS = st.sampled_from(
    [True, {"type": "integer"}, {"minimum": 3}, {"type": "string"}, {"enum": [1, "a", 5]}, {"maxLength": 1}, False]
)
VALUES = st.dictionaries(
    st.sampled_from(["a", "b", "ab", "_", "x", "a-b"]), st.sampled_from([1, 3, 5, "a", "bb", None])
)


@settings(max_examples=300)
@given(
    st.dictionaries(st.sampled_from(["a", "ab", "x", "a-b"]), PARTS, min_size=1),
    st.dictionaries(st.sampled_from([*PLAIN, "a", "^x"]), PARTS, min_size=1, max_size=3),
    PARTS,
    st.lists(VALUES, min_size=5, max_size=12),
)
def test_the_same_objects_fit_what_is_written(
    properties: dict[str, Any], patterns: dict[str, Any], rest: Any, values: list[dict[str, Any]]
) -> None:
    schema: Any = {
        "type": "object",
        "properties": properties,
        "patternProperties": patterns,
        "additionalProperties": rest,
        "dependentRequired": {"a": ["b"]},
    }
    made = rewritten(schema)
    if made.checked:
        return
    before, after = validator(schema), validator(made.schema)
    for value in values:
        assert before.is_valid(value) == after.is_valid(value), (value, made.schema)


def test_what_leads_in_a_circle_beside_a_pattern_compiles(tiny_loaded: Any) -> None:
    node = {"type": "object", "properties": {"first": {"$ref": "#/$defs/any"}}, "required": ["first"],
            "patternProperties": {".*": {"$ref": "#/$defs/other"}}, "dependentRequired": {"a": ["b"]}}  # fmt: skip
    leaf = {"type": "object", "properties": {"kind": {"const": "leaf"}}, "required": ["kind"]}
    schema: Any = {
        "$ref": "#/$defs/node",
        "$defs": {
            "node": node,
            "any": {"anyOf": [{"$ref": "#/$defs/node"}, leaf]},
            "other": {"anyOf": [leaf, {"$ref": "#/$defs/node"}]},
        },
    }
    assert guided(schema).text
    grammar = Grammar.of_schema(schema, tiny_loaded("builtin"))
    assert grammar.schemas


def test_a_pattern_that_the_engine_does_not_take_closes_nothing(tiny_loaded: Any) -> None:
    schema: Any = {
        "type": "object",
        "patternProperties": {"^(?!@)[a-z@]+$": {"type": "integer"}, "^x": {"minimum": 2}},
        "additionalProperties": False,
    }
    made = rewritten(schema)
    assert set(made.checked) == {"patternProperties", "additionalProperties"}
    wide = validator(made.schema)
    assert all(wide.is_valid(value) for value in ({"a": 1}, {"x": 3}, {}))
    assert not wide.is_valid({"x": 1}), "the other pattern still holds"
    grammar = Grammar.of_schema(schema, tiny_loaded("builtin"))
    tokens = grammar.tokens_of(b'{"a":1}')
    assert grammar.matcher().validate_tokens(tokens) == len(tokens)


def test_what_stands_beside_a_reference_says_nothing_up_to_the_seventh_draft() -> None:
    schema: Any = {"properties": {"a": {"$ref": "#/$defs/n", "maximum": 5}}, "$defs": {"n": {"type": "integer"}}}
    for draft, taken in (("http://json-schema.org/draft-07/schema#", True), (None, False)):
        dated = {"$schema": draft, **schema} if draft else schema
        assert validator(dated).is_valid({"a": 9}) == taken
        assert validator(strict_loads(guided(dated).text)).is_valid({"a": 9}) == taken
        for value in ({"a": 9}, {"a": 1}, {"a": "x"}):
            made = {**dated, "dependentRequired": {"b": ["c"]}}
            assert validator(rewritten(made).schema).is_valid(value) == validator(made).is_valid(value)
        watch = Watch([(b"", Checks(dated))])
        assert (watch.feed(b'{"a":9}') is None) == taken

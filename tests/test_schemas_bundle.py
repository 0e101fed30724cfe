"""Schemas of several documents: the bundle says what the documents say, and nothing is fetched."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_schemas_normal import ROOT, SCHEMAS, VALUES

from schematune.decoding.base import load_base
from schematune.decoding.grammar import Grammar
from schematune.schemas.bundle import bundled, parts, without_formats
from schematune.schemas.errors import SchemaError
from schematune.schemas.validate import is_valid, validator

DOCUMENTS: dict[str, Any] = {
    "https://x.org/schemas/person.json": {
        "type": "object",
        "properties": {"name": {"$ref": "words.json#/$defs/short"}, "friend": {"$ref": "#"}, "n": {"$ref": "#size"}},
        "required": ["name"],
        "$defs": {"size": {"$anchor": "size", "type": "integer"}},
    },
    "https://x.org/schemas/words.json": {
        "$id": "https://y.org/words",
        "$defs": {"short": {"type": "string", "maxLength": 3}, "inner": {"$id": "inner", "const": 1}},
    },
}


@pytest.mark.parametrize(
    ("schema", "right", "wrong"),
    [
        ({"$ref": "https://x.org/schemas/person.json"}, {"name": "abc", "friend": {"name": "x"}}, {"name": "abcd"}),
        ({"$ref": "https://x.org/schemas/person.json"}, {"name": "a", "n": 1}, {"name": "a", "friend": {"n": "x"}}),
        ({"$id": "https://x.org/schemas/top", "items": {"$ref": "person.json#size"}}, [1], ["x"]),
        ({"$id": "https://x.org/", "properties": {"a": {"$id": "schemas/", "$ref": "words.json#/$defs/short"}}},
         {"a": "abc"}, {"a": 1}),
        ({"$ref": "https://y.org/inner"}, 1, 2),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "https://x.org/schemas/words.json#/$defs/short"}}}, "a", "abcd"),
        ({"$ref": "https://json-schema.org/draft/2020-12/schema"}, {"minimum": 1}, {"minimum": "x"}),
    ],
)  # fmt: skip
def test_references_into_documents(schema: Any, right: Any, wrong: Any) -> None:
    given = dict(DOCUMENTS)
    check = validator(schema, documents=given)
    assert check.is_valid(right) and not check.is_valid(wrong)
    if "json-schema.org" not in str(schema):  # metaschemas refer dynamically, which only the validator follows
        found = bundled(schema, given)
        assert is_valid(found, right) and not is_valid(found, wrong)
    assert given == DOCUMENTS


@settings(max_examples=80, deadline=None)
@given(SCHEMAS, st.lists(VALUES, min_size=1, max_size=4))
def test_a_bundle_says_the_same(schema: Any, values: list[Any]) -> None:
    whole = {**ROOT, **schema}
    documents = {"https://x.org/whole": whole}
    found = bundled({"$ref": "https://x.org/whole"}, documents)
    assert [is_valid(found, value) for value in values] == [is_valid(whole, value) for value in values]


def test_a_dialect_without_validation() -> None:
    dialect = {"$id": "https://x.org/d", "$vocabulary": {"https://json-schema.org/draft/2020-12/vocab/core": True}}
    found = bundled(
        {"$schema": "https://x.org/d", "properties": {"type": {"minimum": 1}}}, {"https://x.org/d": dialect}
    )
    assert found == {"properties": {"type": {}}}


@pytest.mark.parametrize("reference", ["https://x.org/none", "https://x.org/schemas/person.json#none"])
def test_what_is_not_handed_over_is_refused(reference: str) -> None:
    with pytest.raises(SchemaError, match="not among the documents; nothing is fetched|leads nowhere"):
        bundled({"$ref": reference}, DOCUMENTS)
    with pytest.raises(SchemaError, match="no validator"):
        validator({"$ref": reference}, documents=DOCUMENTS)


def test_formats_as_notes_and_documents_behind_the_mask() -> None:
    base = load_base("builtin")
    schema = {"type": "object", "properties": {"format": {"type": "string", "format": "uuid"}}, "format": "x"}
    assert without_formats(schema) == {"type": "object", "properties": {"format": {"type": "string"}}}
    assert [path for path, _ in parts(schema)] == ["/properties/format"]

    def takes(grammar: Grammar, text: str) -> bool:
        tokens = base.tokenizer.encode(text, add_special_tokens=False)
        matcher = grammar.matcher()
        return matcher.consume_tokens(tokens) and matcher.is_accepting()

    strict, notes = (Grammar.of_schema(schema, base, formats=formats) for formats in (True, False))
    assert takes(notes, '{"format":"abc"}') and not takes(strict, '{"format":"abc"}')
    remote = Grammar.of_schema({"$ref": "https://x.org/schemas/person.json"}, base, documents=DOCUMENTS)
    assert takes(remote, '{"name":"abc"}') and not takes(remote, '{"name":"abcd"}') and remote.unenforced == ()
    with pytest.raises(SchemaError):
        Grammar.of_schema({"$ref": "https://x.org/schemas/person.json"}, base)

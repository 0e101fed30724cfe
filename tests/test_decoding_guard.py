"""What the mask does not hold: seen as soon as it is written, taken back, and never let out."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_decoding_loop import prompts
from test_schemas_normal import ROOT, SCHEMAS, VALUES

from schematune.decoding.base import Base
from schematune.decoding.caller import Caller
from schematune.decoding.checks import Checks, is_open
from schematune.decoding.grammar import Grammar
from schematune.decoding.guided import account
from schematune.decoding.loop import decode
from schematune.decoding.rows import Decoded, Sampling
from schematune.decoding.structured import read_value, structured
from schematune.decoding.watch import Watch
from schematune.schemas.errors import InvalidOutputError, PromptTooLongError, SchemaError, TruncatedError
from schematune.schemas.jsontext import compact
from schematune.schemas.tool import ToolSet
from schematune.schemas.validate import is_valid

Loaded = Callable[[str], Base]

REMAINDERS: list[Any] = [
    {"type": "array", "items": {"enum": ["a", "b", "c"]}, "uniqueItems": True, "minItems": 2, "maxItems": 5},
    {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 9}, "contains": {"const": 7}, "maxItems": 8},
    {"type": "array", "minItems": 1, "contains": {"const": "zebra"}},
    {"type": "string", "format": "date"},
    {"type": "string", "format": "json-pointer", "maxLength": 12},
    {"type": "string", "not": {"enum": ["x", ""]}, "maxLength": 3},
    {"type": "string", "pattern": "^(?=a)[a-z]{2}$"},
    {"type": "object", "additionalProperties": {"type": "boolean"}, "maxProperties": 3},
    {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": {"type": "null"}},
    {"oneOf": [{"type": "integer"}, {"minimum": 2}]},
    {"type": "object", "properties": {"k": {"enum": ["a", "b"]}, "x": {"type": "string", "maxLength": 2}},
     "required": ["k"], "if": {"properties": {"k": {"const": "a"}}}, "then": {"not": {"required": ["x"]}}},
    {"type": "object", "propertyNames": {"format": "ipv4"}, "additionalProperties": {"type": "integer"}, "minProperties": 1},
    {"type": "object", "properties": {"a": {"type": "boolean"}, "b": {"type": "boolean"}}, "dependentRequired": {"b": ["c"]}},
]  # fmt: skip


def decoded(base: Base, schemas: list[Any], sampling: Sampling | None, **options: Any) -> list[Decoded]:
    grammars: list[Grammar | None] = [Grammar.of_schema(schema, base) for schema in schemas]
    given_options: Any = {"max_new_tokens": 60, "sampling": sampling, **options}
    return decode(
        base.model, base.tokenizer, prompts(base, ["hm"]) * len(schemas), grammars, stop=base.stop, **given_options
    )


@settings(max_examples=150, deadline=None)
@given(SCHEMAS, st.lists(VALUES, min_size=1, max_size=5), st.integers(1, 7))
def test_the_watch_tells_valid_from_invalid_however_the_text_is_cut(schema: Any, values: list[Any], step: int) -> None:
    whole = {**ROOT, **schema}
    checks = Checks(whole)
    for value in values:
        data = compact(value).encode()
        watch = Watch([(b"", checks)])
        pieces = [data[place : place + step] for place in range(0, len(data), step)]
        wrong = next((found for piece in pieces if (found := watch.feed(piece)) is not None), None) or watch.end()
        assert (wrong is None) == is_valid(whole, value), wrong


@pytest.mark.parametrize(
    ("schema", "read", "seen"),
    [
        ({"type": "object"}, '{"a":1,"a"', '(top): the key "a" stands twice'),
        ({"items": {"format": "date"}}, '["2025-02-28","2025-02-30"', '1: "2025-02-30" is not a "date"'),
        ({"uniqueItems": True}, '[1,{"a":[true]},1.0,', "2: 1.0 stands twice"),
        ({"maxProperties": 1}, '{"a":1,"b"', "(top): too many members"),
        ({"propertyNames": {"maxLength": 1}}, '{"ab"', '(top): the name "ab": "ab" is longer than 1 character'),
        ({"items": {"properties": {"a": False}}}, '[{"a"', '0: "a" may not be there'),
        ({"properties": {"a": {"items": {"not": {"const": 1}}}}}, '{"a":[1,', 'a.0: {"const":1} is not allowed for 1'),
        ({}, "[1e999,", "0: cannot be read: a number out of range"),
        ({}, '["\\ud800"', "0: cannot be read: 'utf-8' codec can't encode character '\\ud800' in position 1: surrogates not allowed"),
    ],
)  # fmt: skip
def test_a_violation_is_seen_where_it_is_complete(schema: Any, read: str, seen: str) -> None:
    watch = Watch([(b"", Checks(schema))])
    assert watch.feed(read[:-1].encode()) is None
    found = watch.feed(read[-1:].encode())
    assert str(found) == seen or (
        found is not None and str(found).split(":")[0] == seen.split(":")[0] and "rrogate" in seen
    )


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(REMAINDERS), st.sampled_from(REMAINDERS), st.integers(0, 5), st.sampled_from([0, 8, 64, 1024]))
def test_what_is_finished_is_valid(tiny_loaded: Loaded, one: Any, other: Any, seed: int, budget: int) -> None:
    schema = {"type": "object", "properties": {"one": one, "other": other}, "required": ["one", "other"]}
    sampling = Sampling(seed=seed) if seed else None
    [found] = decoded(tiny_loaded("builtin"), [schema], sampling, retry_tokens=budget)
    assert found.undone <= budget
    if found.finished:
        assert is_valid(schema, read_value(found, schema)) and not found.violations
    else:
        with pytest.raises((TruncatedError, InvalidOutputError)) as caught:
            read_value(found, schema)
        assert caught.value.text == found.text
        assert not isinstance(caught.value, InvalidOutputError) or caught.value.violations


@pytest.mark.parametrize("family", ["gemma3", "builtin"])
def test_rows_take_back_alone_as_in_a_batch(tiny_loaded: Loaded, family: str) -> None:
    base = tiny_loaded(family)
    for sampling in (None, Sampling(seed=3)) if family == "builtin" else (None,):
        together = decoded(base, REMAINDERS, sampling)
        alone = [decoded(base, [schema], sampling)[0] for schema in REMAINDERS]
        assert [row.text for row in together] == [row.text for row in alone]
        assert sum(row.undone for row in together) > 0
        for row, schema in zip(together, REMAINDERS, strict=True):
            assert not row.finished or is_valid(schema, json.loads(row.text))
        assert sum(row.finished for row in together) >= len(REMAINDERS) - 1


def test_nothing_left_to_check_costs_nothing(tiny_loaded: Loaded) -> None:
    base = tiny_loaded("builtin")
    closed = {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": False}
    assert not Grammar.of_schema(closed, base).is_watched(99) and not is_open(closed)
    assert Grammar.of_schema({"type": "object"}, base).is_watched(99) and is_open({"type": "object"})
    assert not Grammar.of(ToolSet({"name": "f", "parameters": closed}), base).is_watched(99)


@pytest.mark.parametrize("family", ["builtin", "llama3.2", "qwen3"])
def test_a_caller_takes_back_in_every_form(tiny_loaded: Loaded, family: str) -> None:
    part = {"type": "array", "items": {"enum": [1, 2, 3]}, "uniqueItems": True, "minItems": 3, "maxItems": 4}
    tools = ToolSet(
        [{"name": name, "parameters": {"properties": {"n": part}, "required": ["n"]}} for name in ("f", "g")]
    )
    caller = Caller(tools=tools, base=tiny_loaded(family), max_new_tokens=200)
    answers = [caller.batch(["hm", "a b c"], choice=choice) for choice in ("f", "g")]
    for answer in [answer for some in answers for answer in some]:
        assert answer.status in ("called", "ask")
        assert all(sorted(call.arguments["n"]) == [1, 2, 3] for call in answer.calls)
    never = ToolSet({"name": "f", "parameters": {"properties": {"n": {**part, "minItems": 4}}, "required": ["n"]}})
    strict = Caller(tools=never, base=tiny_loaded(family), max_new_tokens=200)
    answer = strict.batch(["hm"], choice="f")[0]
    if answer.status != "ask":
        assert isinstance(answer.error, InvalidOutputError | TruncatedError) and answer.text
        if isinstance(answer.error, InvalidOutputError):
            assert "stands twice" in answer.error.violations[0] and answer.error.violations[0].startswith("n.")


def test_structured_output_is_a_value_or_a_typed_error(tiny_loaded: Loaded) -> None:
    base = tiny_loaded("builtin")
    schema = {"type": "array", "items": {"type": "boolean"}, "uniqueItems": True, "minItems": 2}
    found = structured(base, "two of them", schema)
    assert sorted(found.value) == [False, True] and json.loads(found.text) == found.value
    with pytest.raises(InvalidOutputError, match="stands twice") as caught:
        structured(base, "three of them", {**schema, "minItems": 3})
    assert caught.value.text.startswith("[") and "stands twice" in caught.value.violations[0]
    with pytest.raises(TruncatedError):
        structured(base, "hm", {"type": "string", "minLength": 500}, max_new_tokens=5)
    with pytest.raises(SchemaError, match="no grammar"):
        structured(base, "hm", False)
    with pytest.raises(SchemaError, match="an object or a boolean"):
        structured(base, "hm", ["string"])
    with pytest.raises(PromptTooLongError):
        structured(base, "hm " * base.context, schema)
    cut = structured(base, "hm", {"type": "string", "minLength": 50, "maxLength": 90}, cancelled=lambda: True)
    assert cut.usage.forward_passes == 1 and cut.usage.closed_tokens > 0 and 50 <= len(cut.value) <= 90


def test_the_account_tells_what_is_refused() -> None:
    assert account({"type": "array", "uniqueItems": True}) == {"type": "enforced", "uniqueItems": "checked"}
    assert account({"allOf": [{"type": "string"}, {"type": "integer"}]}) == {"allOf": "refused", "type": "refused"}


def test_an_integer_without_an_end_is_watched_where_there_is_room_for_it(tiny_loaded: Loaded) -> None:
    base = tiny_loaded("builtin")
    endless: Any = {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": False}
    grammar = Grammar.of_schema(endless, base)
    assert grammar.is_watched(4096) and not grammar.is_watched(500)
    watch = Watch(grammar.checks)
    assert watch.feed(b'{"a":' + b"7" * 5000) is None
    violation = watch.feed(b"}")
    assert violation is not None and violation.path == ("a",)


@pytest.mark.parametrize("text", ["0000-02-03T03:06:07+03:06", "2020-02-03t03:06:07Z", "2020-02-03T03:06:07z"])
def test_a_moment_that_not_every_reader_takes_is_taken_back(text: str) -> None:
    moment: Any = {"format": "date-time", "type": "string"}
    for schema in (moment, {"anyOf": [moment, {"type": "null"}]}):
        watch = Watch([(b"", Checks({"type": "object", "properties": {"at": schema}}))])
        assert watch.feed(b'{"at":"2020-02-03T03:06:07Z"') is None
        watch = Watch([(b"", Checks({"type": "object", "properties": {"at": schema}}))])
        assert watch.feed(b'{"at":"' + text.encode() + b'"') is not None
    plain = Watch([(b"", Checks({"type": "object", "properties": {"at": {"type": "string"}}}))])
    assert plain.feed(b'{"at":"' + text.encode() + b'"') is None


def test_a_listed_number_is_not_taken_for_one_that_rounds_to_it() -> None:
    schema: Any = {"type": "object", "properties": {"n": {"enum": [1e300, 5]}}}
    for text, taken in ((b"1" + b"0" * 300, False), (b"1e300", True), (b"5", True), (b"5.0", True)):
        watch = Watch([(b"", Checks(schema))])
        assert (watch.feed(b'{"n":' + text + b"}") is None) == taken

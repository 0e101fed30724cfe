"""The round-trip proof: it holds for every family, or says exactly why not."""

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import FAMILIES, tiny_base

from schematune.decoding.base import Base, load_base
from schematune.schemas.call import Call
from schematune.schemas.errors import TuneError
from schematune.schemas.pair import Pair
from schematune.schemas.spans import SpanRules
from schematune.schemas.tool import ToolSet
from schematune.trainer.proof import IGNORED, canonical, prove

TOOLS = ToolSet(
    [
        {
            "name": "book_table",
            "description": "Book a table",
            "parameters": {
                "properties": {
                    "place": {"type": "string"},
                    "people": {"type": "integer"},
                    "when": {"type": "object", "properties": {"date": {"type": "string"}, "late": {"type": "boolean"}}},
                    "price": {"type": "number"},
                    "tags": {"type": "array", "items": {"type": "string"}},
                },
                "required": ["place", "people"],
            },
        },
        {"name": "ping", "description": "Ping", "parameters": {"properties": {}}},
    ]
)

_bases: dict[str, Base] = {}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bases")


@pytest.fixture(params=FAMILIES)
def base(request: pytest.FixtureRequest, folder: Path) -> Base:
    return _load(request.param, folder)


def _load(family: str, folder: Path) -> Base:
    if family not in _bases:
        _bases[family] = load_base(tiny_base(family, folder / family), device="cpu")
    return _bases[family]


def _table(place: str, people: int = 2) -> Pair:
    return Pair.of(f"a table for {people} at {place}", [Call("book_table", {"place": place, "people": people})])


def test_pairs_round_trip_in_every_family(base: Base) -> None:
    pairs = [
        _table("Nopi"),
        Pair.of("ping", [Call("ping")]),
        Pair.of("sing", []),
        Pair.of("a table", [Call.ask("book_table", ["place", "people"])]),
        Pair.of(
            "ein Tisch", [Call("book_table", {"tags": ['ä"\\\n', "日本"], "price": 1.0, "people": 2, "place": "Æ"})]
        ),
        Pair.of(
            "late", [Call("book_table", {"place": "x", "people": 1, "when": {"late": True, "date": "2026-11-22"}})]
        ),
        Pair.of("ping", [Call("ping")], context={"now": "2026-11-22T10:00+00:00"}, tools=("ping",)),
    ]
    proof = prove(pairs, TOOLS, base)
    assert [str(failure) for failure in proof.failures] == []
    assert len(proof.rows) == proof.grammar == len(pairs)
    proof.check()


def test_two_calls_round_trip_or_the_template_is_named(base: Base) -> None:
    proof = prove([Pair.of("twice", [Call("ping"), Call("ping")])], TOOLS, base)
    if base.renderer.form.parallel:
        assert len(proof.rows) == 1 and proof.grammar == 1
    else:
        [failure] = proof.failures
        assert failure.kind == "form" and "writes one call, not 2" in failure.reason
        with pytest.raises(TuneError, match="1 of 1 pairs do not come back.*one call"):
            proof.check()


def test_llama_writes_one_call_only(folder: Path) -> None:
    proof = prove([Pair.of("twice", [Call("ping"), Call("ping")])], TOOLS, _load("llama3.2", folder))
    assert proof.to_dict() == {"proved": 0, "failed": {"form": 1}, "grammar": 0}


def test_labels_stand_on_the_completion_only_and_end_the_turn(base: Base) -> None:
    pair = _table("Nopi")
    [row] = prove([pair], TOOLS, base).rows
    prompt = base.renderer.prompt(pair.messages)
    assert row.input_ids[: len(prompt)] == prompt
    assert row.labels[: len(prompt)] == [IGNORED] * len(prompt)
    assert row.labels[len(prompt) :] == row.input_ids[len(prompt) :]
    assert row.labels[-1] in base.stop
    text = base.tokenizer.decode(row.labels[len(prompt) : -1])
    assert base.renderer.parse(str(text)) == pair.calls


@pytest.mark.parametrize(
    ("pair", "kind", "reason"),
    [
        (Pair.of("x", [Call("nope")]), "invalid", "nope: no such tool"),
        (Pair.of("x", [Call("ping", {"a": 1})]), "invalid", "Additional properties"),
        (Pair.of("x", [Call("book_table", {"place": 1, "people": 1})]), "invalid", "book_table.place"),
        (Pair.of("x", [Call("ping")], tools=("book_table",)), "invalid", "ping: no such tool"),
        (Pair.of("x", [Call("ping")], tools=("gone",)), "tools", "no tool named 'gone'"),
        (Pair.of("word " * 3000, [Call("ping")]), "too long", "the base reads 4096"),
        (Pair.of("x", [Call("ping")], context={"now": "noon"}), "prompt", "no ISO 8601"),
    ],
)
def test_what_does_not_come_back_has_a_reason(pair: Pair, kind: str, reason: str, folder: Path) -> None:
    proof = prove([pair], TOOLS, _load("builtin", folder))
    assert [failure.kind for failure in proof.failures] == [kind]
    assert reason in proof.failures[0].reason
    assert proof.rows == []


def test_several_calls_need_parallel_tools(folder: Path) -> None:
    single = ToolSet([{"name": "ping", "parameters": {"properties": {}}}], parallel=False)
    proof = prove([Pair.of("twice", [Call("ping"), Call("ping")])], single, _load("builtin", folder))
    assert proof.failures[0].kind == "parallel"


def test_the_grammar_has_a_say(folder: Path) -> None:
    """Keys are put in the order of the schema, behind references too; a value that spells a token is no text."""
    when = {"properties": {"day": {"type": "string"}, "hour": {"type": "integer"}}, "required": ["day", "hour"]}
    schema = {"properties": {"when": {"$ref": "#/$defs/when"}}, "$defs": {"when": {"type": "object", **when}}}
    tools = ToolSet([{"name": "book", "parameters": schema}])
    right = Pair.of("x", [Call("book", {"when": {"day": "mon", "hour": 1}})])
    turned = Pair.of("x", [Call("book", {"when": {"hour": 1, "day": "mon"}})])
    wrong = Pair.of("x", [Call("book", {"when": {"day": "<|end|>", "hour": 1}})])
    base = _load("builtin", folder)
    [one], [other] = prove([right], tools, base).rows, prove([turned], tools, base).rows
    assert one.labels == other.labels
    [failure] = prove([wrong], tools, base).failures
    assert failure.kind == "grammar" and "refuses '" in failure.reason
    assert len(prove([wrong], tools, base, grammar=False).rows) == 1


def test_a_few_failures_are_dropped_and_many_refused(folder: Path) -> None:
    base, bad = _load("builtin", folder), Pair.of("x", [Call("nope")], id="bad-7")
    few = prove([_table(f"p{n}") for n in range(19)] + [bad], TOOLS, base)
    few.check()
    assert few.to_dict() == {"proved": 19, "failed": {"invalid": 1}, "grammar": 19}
    many = prove([_table(f"p{n}") for n in range(18)] + [bad, bad], TOOLS, base)
    with pytest.raises(TuneError, match=r"2 of 20 pairs .*pair 19 \(bad-7\): the gold call"):
        many.check()
    with pytest.raises(TuneError, match="0 of 0"):
        prove([], TOOLS, base).check()


def test_a_sample_is_proved_under_its_own_requests_spans(folder: Path) -> None:
    base, pairs = _load("builtin", folder), [_table(f"Nopi {n}") for n in range(6)]
    rules = SpanRules.learn(pairs, TOOLS)
    assert dict(rules) == {"book_table": ("place", "people")}
    proof = prove([*pairs, Pair.of("somewhere", [Call("book_table", {"place": "Nopi", "people": 2})])], TOOLS, base,
                  spans=rules)  # fmt: skip
    assert (proof.sampled, proof.outside, len(proof.rows)) == (7, 1, 7)


def test_the_proof_is_fast(folder: Path) -> None:
    """Far below what 13,000 pairs may cost; a quadratic slip would show."""
    pairs = [_table(f"place {n}", n) for n in range(1000)]
    started = time.monotonic()
    assert len(prove(pairs, TOOLS, _load("builtin", folder)).rows) == 1000
    assert time.monotonic() - started < 10


_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.text(max_size=4), _values, max_size=3), max_size=3))
def test_canonical_does_not_hang_on_order(arguments: list[dict[str, object]]) -> None:
    calls = [Call("f", values) for values in arguments]
    turned = [Call("f", dict(reversed(list(values.items())))) for values in reversed(arguments)]
    assert canonical(calls) == canonical(turned)


_said = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x7f"), min_size=1, max_size=20)


@settings(max_examples=60, deadline=None)
@given(place=_said.filter(str.strip), people=st.integers(-99, 99))
def test_any_text_comes_back(place: str, people: int, folder: Path) -> None:
    proof = prove([_table(place, people)], TOOLS, _load("builtin", folder))
    assert [str(failure) for failure in proof.failures] == []

"""Shards: the same pairs whoever makes them, splits that share nothing, streams that end."""

import os
import pickle
import random
import signal
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schematune.schemas import shards
from schematune.schemas.call import RESERVED, Call
from schematune.schemas.errors import SchemaError, SchematuneError
from schematune.schemas.jsontext import compact, digest
from schematune.schemas.pair import Pair, Pairs
from schematune.schemas.shards import SHARD, Maker, Steady, outcomes
from schematune.schemas.splits import SPLITS, Splits, SplitSampler, Strayed
from schematune.schemas.synthesize import synthesize
from schematune.schemas.tool import ToolSet

TOOLS = ToolSet(
    [
        {
            "name": "book_table",
            "description": "Book a table in a restaurant.",
            "parameters": {
                "properties": {
                    "restaurant": {"type": "string"},
                    "people": {"type": "integer", "minimum": 1, "maximum": 12},
                    "date": {"type": "string", "format": "date"},
                    "area": {"enum": ["inside", "garden"]},
                    "guests": {"type": "array", "items": {"type": "string"}},
                },
                "required": ["restaurant", "date"],
            },
        },
        {
            "name": "get_weather",
            "description": "Get the weather of a city.",
            "parameters": {"properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    ]
)
EXAMPLES = [
    Pair.of("Weather in Oslo?", [Call("get_weather", {"city": "Oslo"})], source="example:1"),
    Pair.of(
        "table at Nopi for 4 tomorrow",
        [Call("book_table", {"restaurant": "Nopi", "people": 4, "date": "2026-11-23"})],
        context={"now": "2026-11-22T10:00+00:00"},
        source="example:2",
    ),
]


def test_the_same_pairs_come_out_whatever_the_number_of_workers() -> None:
    given: dict[str, Any] = {"examples": EXAMPLES, "seed": 5, "avoid": [Pair.of("weather in Rome", [])]}
    alone = synthesize(TOOLS, 3 * SHARD, **given)
    for workers in (2, 3):
        together = synthesize(TOOLS, 3 * SHARD, workers=workers, **given)
        assert together == alone and together.rejected == alone.rejected
    assert synthesize(TOOLS, 100, **given) == alone[:100]  # fewer are the first of more


def test_the_same_pairs_come_out_in_another_process() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from test_schemas_shards import EXAMPLES, TOOLS; from schematune import synthesize\n"
        "from schematune.schemas.jsontext import compact, digest\n"
        "print(digest([pair.to_dict() for pair in synthesize(TOOLS, 300, examples=EXAMPLES, seed=2)]))"
    )
    command = [sys.executable, "-c", code, str(Path(__file__).parent)]
    said = {
        subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True).stdout
        for seed in ("1", "2")
    }
    pairs = synthesize(TOOLS, 300, examples=EXAMPLES, seed=2)
    assert said == {f"{digest([pair.to_dict() for pair in pairs])}\n".encode()}


@settings(deadline=None, max_examples=8)
@given(st.permutations(range(3)), st.integers(0, 99))
def test_a_shard_is_the_same_in_any_order_and_after_a_journey(order: list[int], seed: int) -> None:
    maker = Maker(TOOLS, examples=EXAMPLES, seed=seed, dev=0.1, test=0.1)
    first = {number: [next(shard) for shard in [maker.shard(number)] for _ in range(20)] for number in range(3)}
    sent = pickle.dumps(maker)
    assert pickle.loads(sent) is maker
    shards._MADE.clear()  # as in a process that did not fork
    other = pickle.loads(sent)
    assert other is not maker
    for number in order:
        shard = other.shard(number)
        assert [next(shard) for _ in range(20)] == first[number]


def values(pairs: Pairs) -> dict[str, set[Any]]:
    found: dict[str, set[Any]] = defaultdict(set)
    for pair in pairs:
        for call in pair.calls:
            for name, value in call.arguments.items() if call.name not in RESERVED else ():
                found[name].update(Splits.key(one) for one in (value if isinstance(value, list) else [value]))
    return found


def test_splits_share_neither_a_template_nor_a_value() -> None:
    pairs = synthesize(TOOLS, 1500, examples=EXAMPLES, seed=6, dev=0.15, test=0.15)
    parts = [pairs.train, pairs.dev, pairs.test]
    assert all(len(part) > 50 for part in parts)
    families = [{pair.template for pair in part} for part in parts]
    assert sum(map(len, families)) == len(set.union(*families))
    train, dev, test = map(values, parts)
    for name in ("restaurant", "date", "guests", "city"):
        assert len(dev[name]) > 5 and len(test[name]) > 5, name
        assert not dev[name] & test[name] and not train[name] & (dev[name] | test[name]), name
    for name in ("people", "area"):  # of these there are few: every split says them
        assert dev[name] & train[name], name
    assert values(Pairs(EXAMPLES))["city"] <= train["city"]


def test_days_are_said_alike_in_every_split() -> None:
    pairs = synthesize(TOOLS, 1500, seed=6, dev=0.15, test=0.15)
    known = [
        [p for p in part if "now" in p.context and "date" in p.calls[0].arguments] for part in (pairs.train, pairs.dev)
    ]
    near = [
        sum("tomorrow" in p.request.lower() or "today" in p.request.lower() for p in part) / len(part) for part in known
    ]
    assert near[1] > 0.5 * near[0] > 0


def test_a_value_without_a_place_in_its_split_strays() -> None:
    splits = Splits(dev=0.4, test=0.4)
    sampler = SplitSampler(random.Random(0), root={}, splits=splits, split="dev")
    drawn = {sampler.value({"type": "string"}, "city") for _ in range(50)}
    assert {splits.of_value(value) for value in drawn} == {"dev"}
    assert {sampler.value({"enum": ["a", "b", "c"]}, "size") for _ in range(50)} == {"a", "b", "c"}
    everything = Splits(dev=0.4, test=0.4, taken={Splits.key(value) for value in drawn} | set("abc"))
    taken = SplitSampler(random.Random(0), root={}, splits=everything, split="dev")
    assert {taken.value({"type": "string"}, "city") for _ in range(20)}.isdisjoint(drawn)
    nothing = SplitSampler(random.Random(0), root={}, splits=Splits(dev=0.0, test=1.0), split="dev")
    with pytest.raises(Strayed):
        nothing.value({"type": "string"}, "city")


@given(st.integers(1, 1000), st.integers(1, 1000), st.integers(0, 99))
def test_a_steady_state_takes_one_number_for_a_choice(one: int, other: int, seed: int) -> None:
    first, second = Steady(seed), Steady(seed)
    first.choice(range(one))
    second.choice(range(other))
    assert first.random() == second.random()


def test_workers_say_what_went_wrong() -> None:
    impossible = {"type": "integer", "not": {"type": "integer"}}
    tools = ToolSet({"name": "f", "parameters": {"properties": {"n": impossible}, "required": ["n"]}})
    with pytest.raises(SchemaError, match="no valid value found"):
        list(outcomes(Maker(tools, dev=0, test=0), range(2), workers=2))


def test_a_worker_that_is_killed_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Maker, "__call__", lambda maker, numbers: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(SchematuneError, match="workers: a worker ended: .*; use fewer"):
        list(outcomes(Maker(TOOLS, dev=0, test=0), range(2), workers=2))


@pytest.mark.parametrize(
    "name", ["note", "text", "body", "comment", "reason", "caption", "person", "company", "street", "title"]
)
def test_what_takes_any_text_has_many_values_in_every_split(name: str) -> None:
    text = {"type": "string", "minLength": 1}
    values = {}
    for split in SPLITS:
        sampler = SplitSampler(random.Random(5), root={}, splits=Splits(dev=0.1, test=0.1), split=split)
        values[split] = {Splits.key(sampler.value(text, name)) for _ in range(200)}
    assert not values["train"] & values["test"] and not values["train"] & values["dev"]


GUESTS = ToolSet(
    {
        "name": "invite",
        "parameters": {
            "properties": {"guest_name": {"type": "string"}, "city": {"type": "string"}},
            "required": ["guest_name", "city"],
        },
    }
)


def test_values_are_as_in_the_locale_asked_for() -> None:
    """By the characters that the locale's people write with, whatever the number of workers; none stays behind."""
    made = synthesize(GUESTS, 200, seed=4, locale="el_GR")
    cities = [str(call.arguments["city"]) for pair in made for call in pair.calls if "city" in call.arguments]
    greek = [city for city in cities if any("\u0370" <= sign <= "\u03ff" for sign in city)]
    assert len(greek) > 0.7 * len(cities) > 0
    assert '"locale":["el_GR"]' in compact(dict(made.origin))
    several: Any = {"seed": 4, "locale": ["el_GR", "sv_SE"]}
    assert list(synthesize(GUESTS, 2 * SHARD, **several)) == list(synthesize(GUESTS, 2 * SHARD, workers=2, **several))
    mixed = synthesize(GUESTS, 50, seed=4)
    assert not any("\u0370" <= sign <= "\u03ff" for pair in mixed for sign in pair.said) and "locale" not in str(
        mixed.origin
    )


def test_a_locale_that_nobody_knows_is_told() -> None:
    with pytest.raises(SchemaError, match="locale: there is no locale 'de_XX'; like de.*de_AT"):
        synthesize(GUESTS, 5, locale="de_XX")

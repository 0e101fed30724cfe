"""The reader of a base: fit to pairs of any tools, saved with the base, leaning its answers while no adapter is on it."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import FAMILIES, tiny_adapter

from schematune.decoding.base import BUILTIN, Base, load_base
from schematune.decoding.caller import Caller
from schematune.decoding.choosing import tools_seen
from schematune.decoding.reader import READER, AnyTool, Reader, move_kinds
from schematune.decoding.slots import SEEN, slots_of, words_seen
from schematune.decoding.tagger import moves_of
from schematune.schemas.call import NO_TOOL, Call
from schematune.schemas.errors import ModelError
from schematune.schemas.invent import invent_tools, tool_set
from schematune.schemas.meaning import meanings
from schematune.schemas.pair import REPLY, Evidence, Pair, heard_in
from schematune.schemas.sayings import sayings
from schematune.schemas.spans import units
from schematune.schemas.synthesize import synthesize
from schematune.schemas.tool import ToolSet
from schematune.schemas.values import Sampler
from schematune.trainer.corpus import Sources
from schematune.trainer.hearing import heard_of
from schematune.trainer.reader import fit_reader, main, row_of, states_of

Loaded = Callable[[str], Base]

TOOLS = ToolSet(
    [
        {
            "name": "water_plant",
            "description": "Water a plant.",
            "parameters": {
                "properties": {"plant": {"type": "string"}, "litres": {"type": "integer"}, "room": {"type": "string"}},
                "required": ["plant"],
            },
        },
        {
            "name": "feed_fish",
            "description": "Feed the fish.",
            "parameters": {"properties": {"food": {"type": "string"}}},
        },
    ]
)


@pytest.fixture(scope="module")
def reader() -> Reader:
    """Return a reader fit to a few thousand pairs of invented tools."""
    return fit_reader(Sources(), steps=120, progress=False)


def test_it_reads_tools_that_it_never_saw(reader: Reader) -> None:
    """The tools are other inventions than those it learnt on."""
    invented = tool_set(invent_tools(random.Random(77), 6))
    right = chosen = known = many = 0
    for pair in synthesize(invented, 120, seed=3, dev=0, test=0):
        row = row_of(pair, invented)
        if row is None:
            continue
        logs = reader.chosen(heard_in(pair.messages), invented)
        assert sum(np.exp(list(logs.values()))) == pytest.approx(1.0)
        many, chosen = many + 1, chosen + (max(logs, key=lambda n: logs[n]) == invented.names[row.right])
        if any(row.states):
            reading = reader.read(invented[pair.calls[0].name], heard_in(pair.messages))
            assert reading is not None and len(reading.best()) == len(row.states)
            known, right = known + 1, right + (reading.best() == row.states)
    assert chosen / many > 0.8  # a guess among six is right once in six
    assert right / known > 0.15  # all words of a request right; by chance never


def test_untrained_it_says_nothing() -> None:
    blank = Reader(np.zeros((SEEN, 3), np.int8), np.ones(3, np.float32), np.zeros(8, np.float32))
    logs = blank.chosen("water the fern", TOOLS)
    assert list(logs) == [NO_TOOL, *TOOLS.names] and len(set(logs.values())) == 1
    assert blank.read(TOOLS["feed_fish"], "") is None and blank.read(TOOLS["feed_fish"], "a " * 300) is None


def test_saved_is_loaded_equal(reader: Reader, tmp_path: Path) -> None:
    assert Reader.load(tmp_path) is None
    reader.save(tmp_path)
    found = Reader.load(tmp_path)
    assert found is not None and (found.table == reader.table).all()
    assert found.chosen("feed the fish", TOOLS) == reader.chosen("feed the fish", TOOLS)
    for broken in (b"", b"no such thing", (tmp_path / READER).read_bytes()[:2000]):
        (tmp_path / READER).write_bytes(broken)
        with pytest.raises(ModelError, match="the reader cannot be read"):
            Reader.load(tmp_path)


@given(st.integers(0, 2**32), st.text(max_size=60))
@settings(max_examples=40, deadline=None)
def test_every_word_is_seen_beside_every_argument(seed: int, text: str) -> None:
    """Whatever the tools and the text; the same for the same ones."""
    tools = invent_tools(random.Random(seed), 3)
    for tool in tools:
        words, slots = units(text), slots_of(tool)
        if not words:
            continue
        outside, inside = words_seen(text, words, tool, slots)
        assert len(outside) == len(inside) == len(words) and {len(some) for some in inside} == {len(slots)}
        flat = np.concatenate([*outside, *(ids for some in inside for ids in some)])
        assert 0 <= flat.min() and flat.max() < SEEN
        again = words_seen(text, words, tool, slots)
        assert all((a == b).all() for a, b in zip(outside, again[0], strict=True))
    assert len(tools_seen(text, tools)) == len(tools)


def test_a_value_goes_on_only_where_it_has_begun() -> None:
    for states in (1, 3, 7):
        kinds = move_kinds(states)
        assert ((kinds < 0) == (moves_of(np.zeros(kinds.shape)) == 0)).all()


def test_what_words_are_follows_from_evidence_and_from_texts() -> None:
    text = "water the fern in the hall"
    pair = Pair.of(text, [Call("water_plant", {"plant": "fern", "room": "hall"})])
    assert states_of(pair, TOOLS["water_plant"], units(text)) == [0, 0, 1, 0, 0, 5]
    unsaid = Pair.of(text, [Call("water_plant", {"plant": "rose"})])
    assert states_of(unsaid, TOOLS["water_plant"], units(text)) is None
    twice = Pair.of(text, [Call("water_plant", {"plant": "fern", "room": "fern"})])
    assert states_of(twice, TOOLS["water_plant"], units(text)) is None
    assert row_of(Pair.of(text, [Call("mow", {})]), TOOLS) is None
    assert row_of(Pair.of("hello", []), TOOLS) is None
    asked = row_of(Pair.of("water it", [Call.ask("water_plant", ["plant"])]), TOOLS)
    assert asked is not None and asked.right == 0 and not asked.states


def test_it_leans_against_asking_for_what_is_said_and_never_towards_it() -> None:
    shipped = Reader.load(BUILTIN)
    assert shipped is not None
    level = {"properties": {"level": {"type": "integer"}}, "required": ["level"]}
    volume = {"name": "set_volume", "description": "Set the volume.", "parameters": level}
    about = AnyTool(shipped, ToolSet([*(tool.openai() for tool in TOOLS), volume])).about
    said = about("Set the volume to 7.").answers("missing", "set_volume")
    assert said["no"][0] > said["no"][1] and said["yes"][0] < said["yes"][1]
    unsaid = about("Would you water it?").answers("missing", "water_plant")
    assert all(log == pytest.approx(rate) for log, rate in unsaid.values())
    assert about("Feed the fish.").answers("missing", "feed_fish") == {}, "nothing is required of it"


def test_it_leans_a_base_until_an_adapter_is_on_it(reader: Reader, tiny_loaded: Loaded, tmp_path: Path) -> None:
    """A base of random weights writes the call that the reader sees, and what its adapter says where it has one."""
    base = replace(tiny_loaded(FAMILIES[0]), reader=None)
    sure = replace(reader, scale=reader.scale * 4)
    said = "water the plant fern"
    logs = sure.chosen(said, TOOLS)
    assert max(logs, key=lambda name: logs[name]) == "water_plant"
    leant = Caller(tools=TOOLS, base=replace(base, reader=sure), prompt="long", max_new_tokens=60)(said)
    assert [call.name for call in leant.calls] == ["water_plant"] or leant.status == "ask"
    folder = tiny_adapter(base, tmp_path, TOOLS)
    without, beside = (Caller(folder, base=one)(said) for one in (base, replace(base, reader=sure)))
    assert without.calls == beside.calls and without.status == beside.status


def test_the_shipped_base_has_one() -> None:
    """It is no part of the base's fingerprint: adapters stay what they were tuned on."""
    base = load_base()
    assert base.reader is not None and (BUILTIN / READER).exists()
    said = AnyTool(base.reader, TOOLS).about("please water the fern in the kitchen with 3 litres")
    answers = said.answers("tool")
    assert max(answers, key=lambda name: answers[name]) == "water_plant"
    reading = said.reading("water_plant")
    assert reading is not None
    spans = reading.spans("litres")
    assert max(spans, key=lambda text: spans[text]) in ("3", "3 litres")
    assert said.answers("given", "water_plant", "room") == {}


def test_it_tells_when_no_tool_is_meant_and_which_has_what_it_needs() -> None:
    base = load_base()
    assert base.reader is not None
    hotels = ToolSet(
        [
            {"name": "search_hotel", "description": "Find hotels in a city.", "parameters": {"properties": {"city": {"type": "string"}}, "required": ["city"]}},
            {"name": "reserve_hotel", "description": "Reserve a hotel room in a city.", "parameters": {"properties": {"hotel_name": {"type": "string"}, "city": {"type": "string"}, "check_in": {"type": "string", "format": "date"}}, "required": ["hotel_name", "city", "check_in"]}},
        ]
    )  # fmt: skip

    def answers(request: str, tools: ToolSet) -> dict[str, float]:
        found = AnyTool(base.reader, tools).about(request).answers("tool")  # type: ignore[arg-type]
        assert sum(np.exp([log for log, _ in found.values()])) == pytest.approx(1.0)
        assert sum(np.exp([rate for _, rate in found.values()])) == pytest.approx(1.0)
        return {name: log - rate for name, (log, rate) in found.items()}

    here, elsewhere = answers("Please water the fern.", TOOLS), answers("How tall is the Eiffel tower?", TOOLS)
    assert here["no_tool"] < elsewhere["no_tool"] and max(here, key=lambda name: here[name]) == "water_plant"
    lean = [
        one["reserve_hotel"] - one["search_hotel"]
        for one in (
            answers("I need a hotel room in Oslo.", hotels),
            answers("I need a hotel room in Oslo, at the Grand Plaza, from 3 May.", hotels),
        )
    ]
    assert lean[0] < lean[1]


def test_a_capital_that_begins_a_sentence_is_no_name() -> None:
    base = load_base()
    assert base.reader is not None
    [tool] = ToolSet({"name": "get_weather", "parameters": {"properties": {"city": {"type": "string"}}}})
    for request in (
        "What is the weather in Oslo?",
        "I am off. Tell me the weather in Oslo.",
        "Fine.\nThe weather in Oslo please",
    ):
        reading = base.reader.read(tool, request)
        assert reading is not None
        spans = reading.spans("city")
        assert max(spans, key=lambda text: spans[text]) == "Oslo"


_KINDS = st.sampled_from(
    [
        {"type": "string", "format": "date"},
        {"type": "integer", "minimum": 0, "maximum": 90},
        {"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"},
        {"enum": ["in_stock", "sold out", "ON-ORDER"]},
        {"type": "array", "items": {"type": "integer"}, "minItems": 1},
        {"type": "string"},
        {"type": "string", "format": "email"},
    ]
)


@given(_KINDS, st.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_what_a_text_means_is_valid_and_a_value_said_is_among_it(schema: dict[str, object], seed: int) -> None:
    import jsonschema

    rng = random.Random(seed)
    value = Sampler(rng).value(schema, "thing")
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    found = meanings(schema, text, "2026-04-20T11:25+02:00")
    for one in found:
        jsonschema.validate(one, schema)
    if value or value == 0:
        assert value in found or (isinstance(value, list) and not found)
    for said in sayings(schema, "thing", value, None) if not isinstance(value, list) and "enum" not in schema else ():
        for one in meanings(schema, said, "2026-04-20T11:25+02:00"):
            jsonschema.validate(one, schema)


def test_what_means_nothing_is_no_value() -> None:
    assert meanings(True, "x") == [] == meanings({"type": "boolean"}, "yes") == meanings({"type": "integer"}, "many")
    assert meanings({"type": "array", "items": {"type": "integer"}}, "three and many") == []
    assert meanings({"type": "array", "items": {"type": "string"}}, "salt, pepper and oil") == [
        ["salt", "pepper", "oil"]
    ]


def test_the_command_writes_a_reader(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("schematune.trainer.reader.HELD_OUT", 20)
    assert main(["--out", str(tmp_path), "--steps", "3", "--quiet"]) == 0
    assert '"pairs": 144' in capsys.readouterr().out and Reader.load(tmp_path) is not None
    assert main(["--out", str(tmp_path), "--tools", str(tmp_path / "none.jsonl"), "--steps", "3"]) == 1
    assert "error: " in capsys.readouterr().err


_DIGEST = """
import hashlib, sys
from itertools import islice
from pathlib import Path
from schematune.trainer.corpus import Sources
from schematune.trainer.reader import rows
total = hashlib.sha256()
for row in islice(rows(Sources.read(people=[Path(sys.argv[1])]), 7), 150):
    for ids in (*row.tools, *(ids for word in row.words for ids in word)):
        total.update(ids.tobytes())
print(total.hexdigest())
"""


def test_what_it_learns_from_is_the_same_in_every_process(tmp_path: Path) -> None:
    """Python gives sets another order in each process: nothing may follow it."""
    names = [f"tool_{word}" for word in ("water", "feed", "mow", "prune", "sow", "dig")]
    tools = [{"name": name, "parameters": {"properties": {"what": {"type": "string"}}}} for name in names]
    (tmp_path / "tools.json").write_text(json.dumps(tools))
    cases = [
        {"messages": [{"role": "user", "content": f"{name[5:]} the {thing} in May"}], "calls": [{"name": name, "arguments": {"what": thing}}]}
        for name in names
        for thing in ("fern", "rose", "lawn")
    ]  # fmt: skip
    (tmp_path / "cases.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases))
    told = [
        subprocess.run(
            [sys.executable, "-c", _DIGEST, str(tmp_path)],
            env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True,
        ).stdout.splitlines()[-1]
        for seed in ("1", "2")
    ]  # fmt: skip
    assert told[0] == told[1]


@given(st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_both_sides_are_heard_and_evidence_keeps_its_words(seed: int) -> None:
    tools = tool_set(invent_tools(random.Random(seed), 4))
    talks = 0
    for pair in synthesize(tools, 12, seed=seed, dev=0, test=0):
        heard, evidence = heard_of(pair)
        own = "\n".join(line for line in heard.split("\n") if not line.startswith(REPLY))
        assert own == pair.said
        talks += len(pair.messages) > 1
        for before, after in zip(pair.evidence, evidence, strict=True):
            assert before.path == after.path
            if before.start >= 0:
                assert heard[after.start : after.end] == pair.said[before.start : before.end]
            elif after.start >= 0:
                assert before.rule == "offered" and heard[: after.start].rsplit("\n", 1)[-1].startswith(REPLY)
    assert talks < 12


def test_the_last_two_replies_are_heard_and_a_value_that_was_offered_is_found() -> None:
    turns = [("user", "a song"), ("assistant", "One."), ("user", "no"), ("assistant", "Two\nor three?"), ("user", "hm"),
             ("assistant", "Hey Jude?"), ("user", "yes")]  # fmt: skip
    pair = Pair(
        tuple({"role": role, "content": text} for role, text in turns),
        (Call("play", {"song": "Hey Jude"}),),
        evidence=(Evidence("0.song", "offered"),),
    )
    heard, [item] = heard_of(pair)
    assert heard.split("\n") == ["a song", "no", f"{REPLY} Two or three?", "hm", f"{REPLY} Hey Jude?", "yes"]
    assert heard[item.start : item.end] == "Hey Jude"
    [tool] = ToolSet({"name": "play", "parameters": {"properties": {"song": {"type": "string"}}}})
    row = row_of(pair, ToolSet(tool.openai()))
    assert row is not None and row.states.count(1) == row.states.count(2) == 1


def test_the_parts_of_a_list_that_stand_apart_are_not_learnt_from() -> None:
    [tool] = ToolSet(
        {"name": "buy", "parameters": {"properties": {"things": {"type": "array", "items": {"type": "string"}}}}}
    )
    for text, learnt in (("buy milk, rice and tea", True), ("buy milk now and for Zoe rice", False)):
        things = [thing for thing in ("milk", "rice", "tea") if thing in text]
        at = [text.index(thing) for thing in things]
        evidence = tuple(
            Evidence("0.things", "span", start, start + len(thing)) for start, thing in zip(at, things, strict=True)
        )
        pair = Pair.of(text, [Call("buy", {"things": things})], evidence=evidence)
        assert (states_of(pair, tool, units(text)) is not None) == learnt


def test_it_tells_one_call_from_several(reader: Reader) -> None:
    """By invented tools of another seed; what is said of several is on the whole the likelier."""
    invented = tool_set(invent_tools(random.Random(78), 6))
    shares: dict[bool, list[float]] = {True: [], False: []}
    for pair in synthesize(invented, 200, seed=5, dev=0, test=0):
        if pair.calls[0].name in invented:
            share = reader.several(heard_in(pair.messages), invented[pair.calls[0].name])
            shares[len(pair.calls) > 1].append(share)
    assert min(map(len, shares.values())) > 5
    assert np.mean(shares[True]) > 2 * np.mean(shares[False])

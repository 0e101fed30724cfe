"""Generated values are valid, worded requests carry their evidence, synthesis is reproducible."""

import json
import random
import re
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schematune import Call, ExampleError, Pair, Pairs, SchemaError, ToolSet, synthesize
from schematune.schemas.checks import Checker, folded
from schematune.schemas.examples import Multiplier, trace
from schematune.schemas.invent import invent_tools, restyled, tool_set
from schematune.schemas.lexicon import words_of
from schematune.schemas.patterns import from_pattern
from schematune.schemas.realistic import hints
from schematune.schemas.sayings import number_words, sayings
from schematune.schemas.synthesize import Synthesizer
from schematune.schemas.validate import is_valid
from schematune.schemas.values import Sampler
from schematune.schemas.wording import typo

TOOLS = ToolSet(
    [
        {
            "name": "book_table",
            "description": "Book a table in a restaurant.",
            "parameters": {
                "type": "object",
                "properties": {
                    "restaurant": {"type": "string", "minLength": 1},
                    "people": {"type": "integer", "minimum": 1, "maximum": 20},
                    "date": {"type": "string", "format": "date"},
                    "time": {"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"},
                    "area": {"enum": ["inside", "garden_terrace"]},
                    "budget": {
                        "type": "object",
                        "properties": {"value": {"type": "number", "minimum": 1}, "currency": {"enum": ["EUR", "USD"]}},
                        "required": ["value", "currency"],
                    },
                    "tags": {"type": "array", "items": {"type": "string", "minLength": 2}},
                    "quiet": {"type": "boolean"},
                },
                "required": ["restaurant", "people", "date"],
            },
        },
        {
            "name": "get_weather",
            "description": "Get the weather of a city.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string", "minLength": 1}},
                "required": ["city"],
            },
        },
    ]
)

BOUNDED = st.tuples(st.integers(-50, 50), st.integers(0, 60))
SIMPLE = st.one_of(
    st.builds(lambda b: {"type": "integer", "minimum": b[0], "maximum": b[0] + b[1]}, BOUNDED),
    st.builds(lambda b: {"type": "number", "minimum": b[0], "maximum": b[0] + b[1] + 1}, BOUNDED),
    st.builds(lambda b: {"type": "number", "exclusiveMinimum": b[0]}, BOUNDED),
    st.builds(lambda n: {"type": "string", "minLength": n, "maxLength": n + 5}, st.integers(0, 30)),
    st.sampled_from(
        [
            {"type": "boolean"},
            {"type": "null"},
            {"const": 3},
            {"enum": ["a", 1, None]},
            {"type": ["string", "null"]},
            {"type": "integer", "multipleOf": 5, "minimum": 3, "maximum": 40},
            {"type": "string", "pattern": "^[A-Z]{3}-\\d{2,4}$"},
            *(
                {"type": "string", "format": f}
                for f in ("date", "date-time", "time", "email", "uri", "uuid", "ipv4", "ipv6", "hostname")
            ),
            {"anyOf": [{"type": "integer"}, {"type": "string", "minLength": 1}]},
            {"allOf": [{"type": "integer"}, {"minimum": 3}]},
            {"$ref": "#/$defs/size"},
        ]
    ),
)
SCHEMAS = st.recursive(
    SIMPLE,
    lambda inner: (
        st.builds(
            lambda i, n: {"type": "array", "items": i, "minItems": n, "maxItems": n + 2}, inner, st.integers(0, 3)
        )
        | st.builds(
            lambda p, r: {
                "type": "object",
                "properties": p,
                "required": [k for k in p if k in r],
                "additionalProperties": False,
            },
            st.dictionaries(st.sampled_from(["name", "dueDate", "city", "n_items", "x"]), inner, max_size=4),
            st.sets(st.sampled_from(["name", "city", "x"])),
        )
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(SCHEMAS, st.integers(0, 1000))
def test_sampled_values_are_valid(schema: Any, seed: int) -> None:
    root = {"$defs": {"size": {"enum": ["s", "m"]}}}
    value = Sampler(random.Random(seed), root=root).value(schema, "thing")
    assert is_valid({**root, **schema}, value)
    json.dumps(value, allow_nan=False)


def test_what_cannot_be_sampled_says_so() -> None:
    with pytest.raises(SchemaError, match="no valid value found"):
        Sampler(random.Random(0)).value({"type": "integer", "not": {"type": "integer"}}, "n")


@settings(deadline=None)
@given(
    st.sampled_from([r"^\d{3}-[a-f]+$", r"(foo|bar)baz?", r"^[^abc]{2,4}$", r"\w+@\w+\.com", r"^A.B$"]),
    st.integers(0, 99),
)
def test_pattern_samples_match(pattern: str, seed: int) -> None:
    assert re.search(pattern, from_pattern(pattern, random.Random(seed)))


def test_recursive_schemas_end() -> None:
    root = {
        "$defs": {
            "tree": {
                "type": "object",
                "properties": {"left": {"$ref": "#/$defs/tree"}, "n": {"type": "integer"}},
                "required": ["n"],
            }
        }
    }
    for seed in range(30):
        assert is_valid(
            {**root, "$ref": "#/$defs/tree"}, Sampler(random.Random(seed), root=root).value({"$ref": "#/$defs/tree"})
        )


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 100_000))
def test_every_pair_is_valid_and_every_span_is_where_it_says(seed: int) -> None:
    rng = random.Random(seed)
    tools = invent_tools(rng, 6)
    pair = Synthesizer(tool_set(tools[:4]), rng, others=tools[4:]).pair()
    made = ToolSet([tool.openai() for tool in tools[:4]])
    assert not [line for call in pair.calls for line in made.violations(call)]
    for evidence in pair.evidence:
        said = pair.said[evidence.start : evidence.end]
        assert said
        if evidence.rule == "span":
            place, *path = evidence.path.split(".")
            value: Any = dict(pair.calls[int(place)].arguments)
            for part in path:
                value = value[int(part)] if isinstance(value, list) else value[part]
            assert said == value


def test_synthesis_is_reproducible_checked_and_of_every_kind(tmp_path: Path) -> None:
    first, again, other = (synthesize(TOOLS, 300, seed=seed, dev=0.1, test=0.1) for seed in (3, 3, 4))
    assert first == again and first != other
    kinds = {pair.calls[0].name if len(pair.calls) == 1 else "parallel" for pair in first}
    assert kinds == {"book_table", "get_weather", "ask", "no_tool", "parallel"}
    assert len({(folded(p.request), p.context.get("now", "")[:10]) for p in first}) == 300
    families = {split: {p.template for p in first if p.split == split} for split in ("train", "dev", "test")}
    assert all(families.values()), "no split is empty"
    assert sum(map(len, families.values())) == len(set.union(*families.values())), "splits never share a template"
    first.save(tmp_path / "p.jsonl")
    assert Pairs.load(tmp_path / "p.jsonl") == first


def test_relative_dates_follow_from_the_context() -> None:
    pairs = [
        p
        for p in synthesize(TOOLS, 400, seed=5)
        if p.calls[0].name == "book_table" and "tomorrow" in p.request and len(p.calls) == 1
    ]
    said = [(pair, item) for pair in pairs for item in pair.evidence if item.path == "0.date"]
    pairs = [pair for pair, item in said if pair.said[item.start : item.end].lower() == "tomorrow"]
    assert pairs
    for pair in pairs:
        now = datetime.fromisoformat(pair.context["now"]).date()
        assert (date.fromisoformat(pair.calls[0].arguments["date"]) - now).days == 1


def test_a_test_set_never_comes_out() -> None:
    some = synthesize(TOOLS, 50, seed=1)
    again = synthesize(TOOLS, 50, seed=1, avoid=some)
    assert not {(p.request, p.context.get("now")) for p in some} & {(p.request, p.context.get("now")) for p in again}
    assert again.rejected["leaked"] > 0


def test_examples_are_kept_and_multiplied() -> None:
    examples = [
        Pair.of(
            "table at Nopi for 4 tomorrow pls",
            [Call("book_table", {"restaurant": "Nopi", "people": 4, "date": "2026-11-23"})],
            context={"now": "2026-11-22T10:00+00:00"},
            source="example:e:1",
        ),
        Pair.of("Weather in Oslo?", [Call("get_weather", {"city": "Oslo"})], source="example:e:2"),
    ]
    slots = trace(examples[0], TOOLS)
    assert [examples[0].request[s.start : s.end] for s in slots] == ["Nopi", "4", "tomorrow"]
    pairs = synthesize(TOOLS, 200, examples=examples, seed=2)
    assert [p.request for p in pairs[:2]] == [e.request for e in examples]
    swapped = [p for p in pairs if p.source == "from example:e:2"]
    assert len(swapped) > 10 and all(p.calls[0].arguments["city"] in p.request for p in swapped)
    plain = [p for p in swapped if p.request == f"Weather in {p.calls[0].arguments['city']}?"]
    assert plain and len(plain) < len(swapped)  # the others are put differently
    for pair in swapped:
        [said] = [e for e in pair.evidence if e.rule == "span"]
        assert pair.request[said.start : said.end] == pair.calls[0].arguments["city"]


def test_dates_that_hang_on_untraced_ones_stay() -> None:
    trip = ToolSet(
        {
            "name": "trip",
            "parameters": {
                "properties": {
                    "start": {"type": "string", "format": "date"},
                    "end": {"type": "string", "format": "date"},
                }
            },
        }
    )
    example = Pair.of(
        "away from 3 May 2026 for a week", [Call("trip", {"start": "2026-05-03", "end": "2026-05-10"})], source="e"
    )
    others = [pair for n in range(20) if (pair := Multiplier([example], trip, random.Random(n)).pair())]
    assert all(call == example.calls[0] for p in others for call in p.calls)
    assert others and all("3 May 2026" in p.request for p in others)
    one_day = Pair.of("off on 3 May 2026", [Call("trip", {"start": "2026-05-03", "end": "2026-05-03"})], source="e")
    moved = [pair for _ in range(20) if (pair := Multiplier([one_day], trip, random.Random(_)).pair())]
    assert moved and all(p.calls[0].arguments["start"] == p.calls[0].arguments["end"] for p in moved)


def test_bad_examples_and_impossible_schemas() -> None:
    with pytest.raises(ExampleError):
        synthesize(TOOLS, 5, examples="absent.jsonl")
    impossible = {
        "name": "f",
        "parameters": {"properties": {"n": {"type": "integer", "not": {"type": "integer"}}}, "required": ["n"]},
    }
    with pytest.raises(SchemaError, match="n: no valid value found"):
        synthesize(ToolSet(impossible), 50)


def test_checks_count_their_reasons() -> None:
    checker = Checker(TOOLS, avoid=[Pair.of("Weather in Rome", [])])
    weather = [Call("get_weather", {"city": "Rome"})]
    assert not checker.passes(Pair.of("weather in rome", weather), own=True)
    assert not checker.passes(Pair.of("weather there", weather))
    assert not checker.passes(Pair.of("", weather), own=True)
    assert checker.passes(Pair.of("rain in Rome?", weather), own=True)
    assert not checker.passes(Pair.of("Rain in Rome", weather), own=True)
    assert dict(checker.rejected) == {"leaked": 1, "evidence": 1, "length": 1, "duplicate": 1} and checker.accepted == 1


def test_sayings() -> None:
    day: dict[str, Any] = {"type": "string", "format": "date"}
    assert {"tuesday", "next Tuesday", "the 24th", "in two days"} <= set(
        sayings(day, "day", "2026-11-24", date(2026, 11, 22))
    )
    assert "24 November 2026" in sayings(day, "day", "2026-11-24")
    assert {"8pm", "20:00"} <= set(
        sayings({"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"}, "time", "20:00")
    )
    assert "half past six in the evening" in sayings({"type": "string", "format": "time"}, "time", "18:30:00Z")
    assert {"1.5k", "1,500", "1500"} <= set(sayings({"type": "integer"}, "n", 1500))
    assert sayings({"enum": ["garden_terrace"]}, "area", "garden_terrace") == ["garden terrace"]
    assert number_words(999_999) == "nine hundred and ninety-nine thousand nine hundred and ninety-nine"


@given(st.integers(0, 999_999))
def test_number_words_are_distinct_and_plain(number: int) -> None:
    assert re.fullmatch("[a-z -]+", number_words(number))


@given(st.text(max_size=30), st.integers(0, 9))
def test_typos_change_one_place_at_most(text: str, seed: int) -> None:
    slipped = typo(text, random.Random(seed))
    assert abs(len(slipped) - len(text)) <= 1


def test_words_and_hints() -> None:
    assert words_of("HTTPServerError") == ["http", "server", "error"]
    assert hints("The team (e.g. Ajax, Porto or Lyon).") == ("Ajax", "Porto", "Lyon")


def test_restyled_tools_stay_valid() -> None:
    rng = random.Random(0)
    for tool in invent_tools(rng, 40):
        ToolSet(restyled(tool, rng).openai())


WORDED = ("lexicon", "values", "wording", "sayings", "roles", "invent", "synthesize", "examples", "frames", "flags", "described",
          "grammar", "realistic", "numbers", "records", "turns", "rephrase", "said", "spans", "crossover", "kinds", "gazetteer", "dialogue", "several", "agreement")  # fmt: skip


def test_no_word_list_names_a_benchmark() -> None:
    data = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
    if not data.is_dir():
        pytest.skip("the public data folder is not here")
    names: set[str] = set()
    for folder in ("snips", "clinc"):
        for tool in ToolSet(data / folder / "tools.json"):
            names |= {tool.name, *tool.properties}
    compound = {name for name in names if len(words_of(name)) > 1}
    rooms = Path(__file__).resolve().parent.parent / "schemas"
    text = " ".join((rooms / f"{name}.py").read_text(encoding="utf-8") for name in WORDED)
    assert not {name for name in compound if re.search(rf"\b{re.escape(name)}\b", text)}


def test_tools_may_be_what_makes_a_tool_set() -> None:
    tool = {"name": "add", "parameters": {"properties": {"n": {"type": "integer"}}, "required": ["n"]}}
    given = [pair.to_dict() for pair in synthesize([tool], 12, seed=1)]
    assert given == [pair.to_dict() for pair in synthesize(ToolSet(tool), 12, seed=1)]
    with pytest.raises(SchemaError):
        synthesize([{"name": "add", "parameters": 3}], 1)

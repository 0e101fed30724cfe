"""Requests say values as people do: flags by their meaning, numbers with units, dates where only words tell of them."""

import random
import re
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schematune import Call, ToolSet, synthesize
from schematune.schemas.described import form_of, unit_of
from schematune.schemas.flags import meaning, switch
from schematune.schemas.frames import verb_and_thing
from schematune.schemas.grammar import article, opened, questions, singular
from schematune.schemas.numbers import number
from schematune.schemas.pieces import Piece, join_pieces
from schematune.schemas.realistic import concept, hints
from schematune.schemas.records import is_record
from schematune.schemas.roles import measured_as, role_of
from schematune.schemas.said import said_values
from schematune.schemas.sayings import sayings
from schematune.schemas.synthesize import Synthesizer
from schematune.schemas.tool import Tool


def tools_of(
    properties: dict[str, Any], *, name: str = "weigh_parcel", description: str = "Weigh a parcel."
) -> ToolSet:
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return ToolSet({"name": name, "description": description, "parameters": parameters})


def said_of(properties: dict[str, Any], *, many: int = 120) -> list[tuple[str, dict[str, Any]]]:
    """Return requests that call the tool once, each with the arguments of the call."""
    pairs = synthesize(tools_of(properties), many, seed=4)
    return [
        (p.request, dict(p.calls[0].arguments))
        for p in pairs
        if p.calls[0].name == "weigh_parcel" and len(p.calls) == 1
    ]


@pytest.mark.parametrize(
    ("description", "on", "off"),
    [
        ("Whether the loan can be renewed.", "the loan can be renewed", "the loan can not be renewed"),
        ("If true, include all details", "include all details", "don't include all details"),
        ("Set to true to skip the queue (default false).", "skip the queue", "do not skip the queue"),
        ("Optional, only those in stock", "only those in stock", "not only those in stock"),
        ("Whether to tell everybody", "tell everybody", "no need to tell everybody"),
    ],
)
def test_a_flag_is_said_by_its_meaning(description: str, on: str, off: str) -> None:
    found = meaning(description)
    assert found is not None and on in found[0] and off in found[1]


@pytest.mark.parametrize("description", ["", "Boolean flag.", "A flag, true or false", "Whether the user is at home"])
def test_a_flag_without_a_meaning_is_said_by_its_name(description: str) -> None:
    assert meaning(description) is None
    ways = {switch("is_private", False, {"description": description}, random.Random(n)) for n in range(60)}
    assert "it should not be private" in ways and not any("don't" in way or "without" in way for way in ways)
    assert {switch("notify_owner", False, {}, random.Random(n)) for n in range(60)} >= {"don't notify owner"}


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(["renewable", "is_open", "with_tea", "notifyAll", "x", "isX", ""]), st.text(max_size=60))
def test_yes_is_never_said_as_no_is(name: str, description: str) -> None:
    schema = {"type": "boolean", "description": description}
    ways = [{switch(name, on, schema, random.Random(n)).strip() for n in range(80)} for on in (True, False)]
    assert not ways[0] & ways[1] and "" not in ways[0] | ways[1]


def test_what_a_description_says_of_the_form_is_kept_to() -> None:
    day, clock = {"type": "string", "description": "Day, YYYY-MM-DD"}, {"type": "string", "description": "hh:mm"}
    assert form_of(day) == "date" and form_of(clock) == "clock"
    assert form_of({**day, "format": "email"}) == "email" and form_of({**day, "enum": ["a"]}) == ""
    assert form_of({"type": "string", "description": "Like YYYY-MM-DDTHH:MM:SS"}) == ""
    assert form_of({**day, "maxLength": 10}) == "date" and form_of({**day, "maxLength": 8}) == ""
    assert form_of({"type": "string", "description": "日期,格式为yyyy-MM-dd"}) == "date"
    assert hints("When (e.g., YYYY-MM-DD)") == () and hints("Tea (e.g. oolong, mint)") == ("oolong", "mint")
    requests = said_of({"when": day, "at": clock})
    assert requests
    for _, arguments in requests:
        assert date.fromisoformat(arguments["when"]) and re.fullmatch(r"\d\d:\d\d", arguments["at"])
    assert any(arguments["when"] not in request for request, arguments in requests), "days are said as people say them"


def test_numbers_are_said_with_their_units() -> None:
    heavy = {"type": "number", "description": "The weight in kilograms"}
    assert unit_of("weight", heavy) == "kg" and unit_of("budget", {"description": "What it may cost in USD."}) == "usd"
    assert (
        unit_of("length", {"description": "Written in minutes"}) == "minutes"
        and unit_of("title", {"description": "in short"}) == ""
    )
    assert {"2 kg", "two kg", "2 kilos"} <= set(sayings(heavy, "weight", 2)) and "$20" in sayings({}, "usd", 20)
    assert "1 person" in sayings({}, "people", 1) and "1 minute" in sayings({}, "minutes", 1)
    requests = [request for request, _ in said_of({"weight": heavy})]
    assert sum(bool(re.search(r"\d ?(kg|kilo)", request)) for request in requests) > len(requests) / 3
    twice = re.compile(r"minutes? (?:duration )?minutes")
    assert not [r for r, _ in said_of({"duration_minutes": {"type": "integer", "minimum": 5}}) if twice.search(r)]


@given(st.integers(1, 1440), st.data())
def test_minutes_that_only_a_description_tells_of_are_read_again(value: int, data: st.DataObject) -> None:
    schema = {"type": "integer", "description": "How long it takes, in minutes"}
    way = data.draw(st.sampled_from([way for way in sayings(schema, "duration", value) if not way.isdigit()]))
    assert value in said_values(schema, f"it takes {way} or so", "2026-04-20T11:25+02:00", "duration")


@pytest.mark.parametrize(
    ("name", "role"),
    [("max_results", "most"), ("minPrice", "least"), ("limit", "limit"), ("page_number", "numbered"), ("year", "year"), ("guests", "count")],
)  # fmt: skip
def test_roles_of_numbers(name: str, role: str) -> None:
    assert role_of(name, "integer", "") == role


def test_other_roles() -> None:
    assert measured_as("max_weight_kg", "kg") == ("most", "max_weight") and measured_as("nights", "nights") == (
        "span",
        "",
    )
    assert role_of("author", "string", "") == "maker" and role_of("base_currency", "string", "") != "from"
    assert concept("repo_path") == "folder" and concept("file_path") == "path"


@given(st.sampled_from(["year", "latitude", "lng", "adults", "age", "limit", "pages", "comment_id", "x"]), st.data())
def test_known_numbers_stay_within_their_bounds(name: str, data: st.DataObject) -> None:
    low = data.draw(st.none() | st.integers(-200, 200))
    high = data.draw(st.none() | st.integers(low if low is not None else -200, 400))
    kind = data.draw(st.sampled_from(["integer", "number"]))
    bounds = {key: bound for key, bound in (("minimum", low), ("maximum", high)) if bound is not None}
    drawn = number({"type": kind, **bounds}, name, random.Random(data.draw(st.integers(0, 99))))
    assert drawn is not None and (low is None or drawn >= low) and (high is None or drawn <= high)
    assert kind == "number" or isinstance(drawn, int)


def test_a_tool_is_read_by_its_description_where_its_name_leaves_it_open() -> None:
    assert verb_and_thing("sheet_copy_row", "Copies a row.") == ("copy", "row")
    assert verb_and_thing("post_books", "Add a book") == ("add", "books")
    assert verb_and_thing("tide_report", "Shows how high the water is") == ("show", "tide report")
    lowered = {"type": "object", "properties": {"a": {}}}
    assert not is_record(Tool("reef.listTides", "", lowered)) and not is_record(
        Tool("whois_host", "Looksup a host", lowered)
    )
    assert is_record(Tool("job_posting", "A job.", lowered)) and is_record(Tool("Invoice", "Bills a client", lowered))


def test_english() -> None:
    assert article("the", "The Wall") == "" and article("a", "ice") == "an"
    assert opened("i have to", "give me the tide") == "can you" and opened("please", "give me") == "please"
    assert questions("what's", True) == "what are" and singular("children") == "child"
    requests = [
        pair.request
        for pair in synthesize(tools_of({"title": {"type": "string"}}, name="get_open_orders"), 300, seed=2)
    ]
    assert not [
        r
        for r in requests
        if re.search(r"\b(the the|a the|(a|this|an) open orders|what is (the|my|these) open orders)\b", r, re.I)
    ]
    text, found = join_pieces([Piece("open"), Piece("./notes", ("0.path",), "span"), Piece("?")])
    assert text == "open ./notes?" and text[found[0].start : found[0].end] == "./notes"


def test_lists_of_lists_are_said() -> None:
    table = {"type": "array", "minItems": 2, "items": {"type": "array", "minItems": 1, "items": {"type": "integer"}}}
    pairs = synthesize(tools_of({"table": table}), 60, seed=1)
    assert pairs.rejected["evidence"] == 0 and any(
        len(p.calls) == 1 and p.calls[0].name == "weigh_parcel" for p in pairs
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_ranges_run_upwards_and_nothing_is_asked_for_twice(seed: int) -> None:
    tools = ToolSet(
        [
            tools_of({"min_price": {"type": "number"}, "maxPrice": {"type": "number", "minimum": 2}})[
                "weigh_parcel"
            ].openai(),
            {"name": "stop"},
        ]
    )
    making = Synthesizer(tools, random.Random(seed))
    for _ in range(10):
        calls = making.pair("parallel").calls
        assert len({repr(call) for call in calls}) == len(calls)
        for call in calls:
            assert call.name == "stop" or call.arguments["min_price"] <= call.arguments["maxPrice"], call
    assert not tools.violations(Call("stop", {}))

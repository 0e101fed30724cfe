"""Kinds of things are the tool set's own nouns, and what lists of names say of words."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schematune.schemas.gazetteer import kinds_of
from schematune.schemas.kinds import Kinds
from schematune.schemas.realistic import concept
from schematune.schemas.roles import is_kind
from schematune.schemas.synthesize import synthesize
from schematune.schemas.tool import ToolSet

TEXT = {"type": "string"}
TOOLS = ToolSet(
    [
        {"name": "lend_ladder", "parameters": {"properties": {"ladder_name": TEXT, "gear_type": TEXT, "gear_owner": TEXT}}},
        {"name": "paint_fence", "parameters": {"properties": {"fence_title": TEXT, "shade": {"type": "string", "enum": ["oak", "ash"]}}}},
        {"name": "add_to_shelf", "parameters": {"properties": {"shelf": TEXT, "shelf_owner": TEXT, "item_name": TEXT}, "required": ["shelf"]}},
    ]
)  # fmt: skip


def test_kinds_are_nouns_of_the_tools() -> None:
    kinds = Kinds(TOOLS)
    [(name, (own, sisters))] = kinds.of(TOOLS["lend_ladder"]).items()
    assert name == "gear_type" and "gear" in own and "fence" in sisters and "ladder" not in own
    assert kinds.of(TOOLS["paint_fence"]) == {}
    rng = random.Random(3)
    filled = [kinds.fill(TOOLS["lend_ladder"], {"gear_type": "zzz", "ladder_name": "zzz"}, rng) for _ in range(200)]
    assert all(values["ladder_name"] == "zzz" for values in filled)
    seen = {values["gear_type"] for values in filled}
    assert {"gear", "fence", "zzz"} <= seen


@pytest.mark.parametrize(("name", "free", "kind"), [("room_type", (), True), ("item", ("item", "title"), False),
                                                     ("shop_item", ("shop_item", "title"), True), ("shop_item", ("shop_item", "city"), False)])  # fmt: skip
def test_an_item_is_a_kind_where_something_else_has_the_name(name: str, free: tuple[str, ...], kind: bool) -> None:
    assert is_kind(name, free) is kind


def test_owners_and_places_that_are_here() -> None:
    assert (
        concept("shelf_owner") == "owner" and concept("current_location") == "here" and concept("location") == "place"
    )
    pairs = [
        pair for pair in synthesize(TOOLS, 400, seed=2) if pair.calls[0].name == "add_to_shelf" and len(pair.calls) == 1
    ]
    owned = [pair for pair in pairs if "shelf_owner" in pair.calls[0].arguments]
    assert any(f"{pair.calls[0].arguments['shelf_owner']}'s " in pair.said for pair in owned)
    assert any(pair.calls[0].arguments["shelf_owner"].lower() == "my" for pair in owned)


def test_lists_of_names() -> None:
    found = kinds_of(["In", "New", "Zealand", ",", "Sunday", "at", "seven", "in", "WY"])
    assert found[1] == {"country"} and found[2] >= {"country+"} and "weekday" in found[4] and "number" in found[6]
    assert "code" in found[8] and not found[3] and "code" not in found[7]


@given(st.lists(st.text(max_size=8), max_size=12))
def test_every_word_has_its_kinds(words: list[str]) -> None:
    found = kinds_of(words)
    assert len(found) == len(words)
    for place, kinds in enumerate(found):
        for kind in kinds:
            assert not kind.endswith("+") or {kind, kind[:-1]} & found[place - 1]

"""Near duplicates, near leaks and ambiguous requests are found, and nothing else is taken for one."""

from hypothesis import given, settings
from hypothesis import strategies as st

from schematune.schemas.call import Call
from schematune.schemas.checks import Checker
from schematune.schemas.pair import Evidence, Pair
from schematune.schemas.similar import Similar, overlap
from schematune.schemas.tool import ToolSet

TEXTS = st.text("abc ", min_size=1, max_size=60)
TOOLS = ToolSet(
    [
        {"name": name, "parameters": {"properties": {"id": {"type": "string"}}, "required": ["id"]}}
        for name in ("cancel_booking", "cancel_order", "show")
    ]
)
LONG = "please be so kind and cancel the booking that has the number B12 as soon as you can"


def pair(text: str, name: str = "cancel_booking", value: str = "B12", now: str = "") -> Pair:
    start = text.find(value)
    evidence = [Evidence("0.id", "span", start, start + len(value))]
    context = {"now": now} if now else {}
    return Pair.of(text, [Call(name, {"id": value})], evidence=evidence, source="synthetic", context=context)


@settings(max_examples=60, deadline=None)
@given(st.lists(TEXTS, max_size=20), TEXTS, st.sampled_from([0.7, 0.9]))
def test_what_is_found_is_alike_and_a_copy_is_always_found(known: list[str], text: str, threshold: float) -> None:
    similar = Similar(threshold)
    for one in known:
        similar.add(one, "key")
    found = similar.find(text, "key")
    assert found in ("", *known) and (not found or overlap(found, text) >= threshold)
    assert similar.find(text, "other key") == ""
    similar.add(text, "key")
    assert similar.find(text, "key")


def test_almost_the_same_synthetic_request_on_the_same_day_is_rejected() -> None:
    checker = Checker(TOOLS)
    assert checker.passes(pair(LONG, now="2026-03-01T10:00"))
    assert not checker.passes(pair(f"{LONG} ok", now="2026-03-01T12:00"))
    assert checker.passes(pair(f"{LONG} ok", now="2026-03-02T12:00"))
    assert checker.passes(pair(f"{LONG} now", now="2026-03-01T12:00"), own=True)
    assert dict(checker.rejected) == {"near duplicate": 1}


def test_almost_a_test_request_is_a_leak_for_everyone() -> None:
    checker = Checker(TOOLS, avoid=[Pair.of(LONG, [])])
    assert not checker.passes(pair(f"ok {LONG} ok"), own=True)
    assert checker.passes(pair("cancel booking B12"))
    assert dict(checker.rejected) == {"leaked": 1}


def test_what_another_tool_takes_as_well_is_ambiguous() -> None:
    checker = Checker(TOOLS)
    assert not checker.passes(pair("cancel B12"))
    assert checker.passes(pair("cancel my booking B12"))
    assert not checker.passes(pair("cancel my booking or order B12"))
    assert checker.passes(pair("bin B12"))  # names neither: nothing to compare
    assert checker.passes(pair("cancel it: B12 "), own=True)
    assert dict(checker.rejected) == {"ambiguous": 2}

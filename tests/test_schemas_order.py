"""Arguments in the order in which requests say them: the same calls, whatever the order."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schematune.schemas.call import Call
from schematune.schemas.contract import Contract
from schematune.schemas.errors import DriftError
from schematune.schemas.form import COMPACT
from schematune.schemas.order import in_spoken_order
from schematune.schemas.pair import Evidence, Pair
from schematune.schemas.synthesize import synthesize
from schematune.schemas.tool import ToolSet

NAMES = ("city", "day", "unit", "people", "tags")


def tools(order: list[str] | tuple[str, ...] = NAMES) -> ToolSet:
    """Return one tool whose arguments are listed in `order`."""
    known: dict[str, Any] = {
        "city": {"type": "string"},
        "day": {"type": "string", "format": "date"},
        "unit": {"enum": ["celsius", "fahrenheit"]},
        "people": {"type": "integer", "minimum": 1},
        "tags": {"type": "array", "items": {"type": "string"}},
    }
    parameters = {"properties": {name: known[name] for name in order}, "required": sorted(order)[:2]}
    return ToolSet({"name": "f", "parameters": parameters})


@settings(deadline=None)
@given(st.permutations(NAMES), st.integers(0, 1000))
def test_another_order_takes_the_same_calls(order: list[str], seed: int) -> None:
    given_tools = tools(order)
    pairs = synthesize(given_tools, 12, seed=seed)
    found = in_spoken_order(given_tools, pairs)
    assert sorted(found["f"].properties) == sorted(order)
    assert found["f"].identity == given_tools["f"].identity == tools()["f"].identity
    assert not [line for pair in pairs for call in pair.calls for line in found.violations(call)]
    assert in_spoken_order(found, pairs).fingerprint == found.fingerprint
    contract = Contract.of(found, base="builtin", base_fingerprint="00", form=COMPACT)
    contract.check_tools(given_tools)


def test_evidence_and_places_decide() -> None:
    said = [
        Pair.of(f"{n} people, oslo, rome", [Call("f", {"people": n, "tags": ["oslo", "rome"]})]) for n in range(1, 7)
    ]
    assert list(in_spoken_order(tools(), said)["f"].properties) == ["city", "day", "unit", "people", "tags"]
    swapped = [
        Pair.of(f"oslo, rome, {n} people", [Call("f", {"people": n, "tags": ["oslo", "rome"]})]) for n in range(1, 7)
    ]
    assert list(in_spoken_order(tools(), swapped)["f"].properties) == ["city", "day", "unit", "tags", "people"]
    traced = [
        Pair.of(
            f"on friday in {c}",
            [Call("f", {"city": c, "day": "2026-11-27"})],
            evidence=(Evidence("0.day", "context", 3, 9), Evidence("0.city", "span", 13, 14)),
        )
        for c in "abcde"
    ]
    assert list(in_spoken_order(tools(), traced)["f"].properties) == ["day", "unit", "people", "tags", "city"]
    assert list(in_spoken_order(tools(), traced[:4])["f"].properties) == list(NAMES)  # too few to tell


def test_what_changed_otherwise_is_drift() -> None:
    contract = Contract.of(tools(), base="builtin", base_fingerprint="00", form=COMPACT)
    contract.check_tools(tools(NAMES[::-1]))
    other = ToolSet({**tools()["f"].mcp(), "description": "another"})
    with pytest.raises(DriftError, match="changed: f"):
        contract.check_tools(other)


def test_missing_arguments_may_be_named_in_any_order() -> None:
    assert (
        tools().violations(Call.ask("f", ["day", "city"])) == tools().violations(Call.ask("f", ["city", "day"])) == []
    )
    for wrong in (["city", "city"], ["unit"], [], [1]):
        assert tools().violations(Call("ask", {"tool": "f", "missing": wrong}))

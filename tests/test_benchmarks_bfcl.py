"""BFCL's rule, by cases worked by hand from what the leaderboard's checker does."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schematune.benchmarks.bfcl import bfcl_exact, standard
from schematune.benchmarks.cases import Accept
from schematune.schemas.call import Call
from schematune.schemas.tool import ToolSet

PROPERTIES = {
    "s": {"type": "string"},
    "i": {"type": "integer"},
    "f": {"type": "number"},
    "b": {"type": "boolean"},
    "l": {"type": "array", "items": {"type": "string"}},
    "n": {"type": "array", "items": {"type": "number"}},
    "o": {"type": "object"},
    "d": {"type": "array", "items": {"type": "object"}},
    "any": {},
}
TOOLS = ToolSet(
    [
        {"name": "math.f", "parameters": {"type": "object", "properties": PROPERTIES}},
        {"name": "needs", "parameters": {"properties": {"x": {"type": "string"}}, "required": ["x"]}},
    ]
)


@pytest.mark.parametrize(
    ("name", "value", "accepted", "right"),
    [
        ("s", "new york", ["New York", "NYC"], True),
        ("s", "April 1,2024", ["April 1, 2024"], True),
        ("s", "a_b-c^d*e./f", ["ABCDEF"], True),
        ("s", "it's", ['it"s'], True),
        ("s", "it's", ["its"], False),
        ("s", "(a)", ["a"], False),
        ("s", "new  york", ["newyork"], True),
        ("s", "", ["x", ""], True),
        ("s", 5, ["5"], False),
        ("s", 5, [5], True),
        ("i", 5, [5], True),
        ("i", 5.0, [5], False),
        ("i", True, [1], False),
        ("i", "5", [5], False),
        ("i", "n", ["n"], True),
        ("f", 5, [5.0], True),
        ("f", 5.5, [5.5], True),
        ("f", 5, [5], True),
        ("f", 5, ["", 5.0], True),
        ("f", 6, [5.0, ""], False),
        ("b", True, [True], True),
        ("b", False, [True], False),
        ("b", "true", [True], False),
        ("l", ["New York"], [["new-york"]], True),
        ("l", ["a", "b"], [["b", "a"]], False),
        ("l", ["a", "b"], [["b", "a"], ["a", "b"]], True),
        ("l", [], [["a"], ""], True),
        ("l", "a", [["a"]], False),
        ("n", [1, 2], [[1.0, 2.0]], True),
        ("n", [True], [[1]], False),
        ("o", {"w": 20, "c": "Red"}, [{"w": [20, 30], "c": ["red"]}], True),
        ("o", {"w": 20}, [{"w": [20], "c": ["red", ""]}], True),
        ("o", {"w": 20}, [{"w": [20], "c": ["red"]}], False),
        ("o", {"w": 20, "z": 1}, [{"w": [20]}], False),
        ("d", [{"k": "A"}, {"k": "b"}], [[{"k": ["a"]}, {"k": ["b"]}]], True),
        ("d", [{"k": "b"}, {"k": "a"}], [[{"k": ["a"]}, {"k": ["b"]}]], False),
        ("d", [{"k": "a"}], [[{"k": ["a"]}, {"k": ["b"]}]], False),
        ("any", "X", ["x"], True),
        ("any", 3, [3], True),
    ],
)
def test_values(name: str, value: Any, accepted: list[Any], right: bool) -> None:
    assert bfcl_exact([Call("math.f", {name: value})], [{"math.f": {name: accepted}}], TOOLS) is right


def test_arguments_left_out_and_not_listed() -> None:
    expected: list[Accept] = [{"math.f": {"s": ["a"], "i": [1, ""]}}]
    assert bfcl_exact([Call("math.f", {"s": "a"})], expected, TOOLS)
    assert bfcl_exact([Call("math.f", {"s": "a", "i": 1})], expected, TOOLS)
    assert not bfcl_exact([Call("math.f", {"i": 1})], expected, TOOLS)
    assert not bfcl_exact([Call("math.f", {"s": "a", "b": True})], expected, TOOLS)
    assert not bfcl_exact([Call("needs", {})], [{"needs": {"x": ["", "a"]}}], TOOLS)
    assert not bfcl_exact([Call("needs", {"x": "a"})], expected, TOOLS)
    assert not bfcl_exact([Call("gone", {})], [{"gone": {}}], TOOLS)
    assert not bfcl_exact([], expected, TOOLS)


@given(st.lists(st.lists(st.integers(0, 3), min_size=1), min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_the_order_of_parallel_calls_never_matters(options: list[list[int]], rng: random.Random) -> None:
    expected: list[Accept] = [{"math.f": {"i": values}} for values in options]
    calls = [Call("math.f", {"i": rng.choice(values)}) for values in options]
    rng.shuffle(calls)
    assert bfcl_exact(calls, expected, TOOLS)
    assert not bfcl_exact([*calls, calls[0]], expected, TOOLS)


def test_a_first_choice_is_moved_where_another_call_needs_it() -> None:
    expected: list[Accept] = [{"math.f": {"i": [1, 2]}}, {"math.f": {"i": [1]}}]
    for numbers in ((1, 2), (2, 1)):
        assert bfcl_exact([Call("math.f", {"i": n}) for n in numbers], expected, TOOLS)
    assert not bfcl_exact([Call("math.f", {"i": 2})] * 2, expected, TOOLS)


@given(st.text())
def test_standard_forms_stay(text: str) -> None:
    assert standard(standard(text)) == standard(text)

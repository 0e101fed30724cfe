"""What examples always make of a word holds for the pairs that are made beside them."""

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schematune import Call, Pair, Pairs, ToolSet, synthesize
from schematune.schemas.agreement import Agreement
from schematune.schemas.pair import Evidence

TOOLS = ToolSet(
    [
        {
            "name": "add_to_shelf",
            "parameters": {
                "type": "object",
                "properties": {n: {"type": "string"} for n in ("book", "shelf", "owner", "kind")},
                "required": ["book"],
            },
        },
        {"name": "find_book", "parameters": {"type": "object", "properties": {"book": {"type": "string"}}}},
    ]
)
OWN = [
    Pair.of("put Emma on my shelf Classics", [Call("add_to_shelf", {"book": "Emma", "owner": "my", "shelf": "Classics"})]),
    Pair.of("Dune, a novel, onto my pile", [Call("add_to_shelf", {"book": "Dune", "kind": "novel", "owner": "my"})]),
    Pair.of("add the novel Ulysses", [Call("add_to_shelf", {"book": "Ulysses", "kind": "novel"})]),
    Pair.of("add the poem Howl to the shelf", [Call("add_to_shelf", {"book": "Howl"})]),
    Pair.of("add My Life to Poetry", [Call("add_to_shelf", {"book": "My Life", "shelf": "Poetry"})]),
    Pair.of("where is my copy of Emma", [Call("find_book", {"book": "Emma"})]),
]  # fmt: skip


def test_only_what_is_always_taken_so_is_learnt() -> None:
    assert Agreement(OWN, TOOLS).words == {"add_to_shelf": {"my": "owner", "novel": "kind"}}
    against = Pair.of("my, what a shelf: add Lolita", [Call("add_to_shelf", {"book": "Lolita"})])
    assert Agreement([*OWN, against], TOOLS).words == {"add_to_shelf": {"novel": "kind"}}
    once = Pair.of(
        "Howl, the epic, onto Beats", [Call("add_to_shelf", {"book": "Howl", "kind": "epic", "shelf": "Beats"})]
    )
    assert Agreement([once], TOOLS).words == {
        "add_to_shelf": {"epic": "kind"}
    }  # a word for a kind holds at once, a name does not


def _made(text: str, book: str, **more: Any) -> Pair:
    start = text.index(book)
    return Pair.of(
        text,
        [Call("add_to_shelf", {"book": book, **more})],
        evidence=(Evidence("0.book", "span", start, start + len(book)),),
    )


def test_a_call_is_completed_by_what_the_request_says() -> None:
    agreement = Agreement(OWN, TOOLS)
    made = agreement.completed(_made("put the novel It on My shelf", "It"))
    assert made is not None and made.calls[0].arguments == {"book": "It", "kind": "novel", "owner": "My"}
    said = {item.path: made.said[item.start : item.end] for item in made.evidence}
    assert said == {"0.book": "It", "0.kind": "novel", "0.owner": "My"}
    inside = _made("add My Novel", "My Novel")  # a word inside a value is that value's
    assert agreement.completed(inside) is inside
    assert agreement.completed(_made("add It to my shelf", "It", owner="Ann")) is None
    same = _made("add It to my shelf, my own", "It", owner="my")
    assert agreement.completed(same) is same


def test_of_several_calls_the_nearest_takes_the_word() -> None:
    text = "add It to Horror and Emma to my Classics, then find my Dune"
    calls = [Call("add_to_shelf", {"book": "It", "shelf": "Horror"}), Call("add_to_shelf", {"book": "Emma", "shelf": "Classics"}), Call("find_book", {"book": "Dune"})]  # fmt: skip
    spans = [("0.book", "It"), ("0.shelf", "Horror"), ("1.book", "Emma"), ("1.shelf", "Classics"), ("2.book", "Dune")]
    evidence = tuple(Evidence(p, "span", text.index(v), text.index(v) + len(v)) for p, v in spans)
    made = Agreement(OWN, TOOLS).completed(Pair.of(text, calls, evidence=evidence))
    assert made is not None and [call.arguments.get("owner") for call in made.calls] == [None, "my", None]


def test_pairs_made_beside_examples_agree_with_them() -> None:
    agreement = Agreement(OWN, TOOLS)
    made = synthesize(TOOLS, 400, examples=Pairs(OWN), seed=3)
    rest = [pair for pair in made if pair.source == "synthetic"]
    assert any("owner" in call.arguments and call.arguments["owner"].lower() == "my" for p in rest for call in p.calls)
    assert all(agreement.completed(pair) is pair for pair in rest)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_what_is_completed_stays_so(seed: int) -> None:
    agreement = Agreement(OWN, TOOLS)
    words = random.Random(seed).choices(
        ["my", "novel", "shelf", "It", "Emma", "on", "the", "a", "MY", ",", "poem"], k=9
    )
    pair = _made(" ".join([*words, "Dune"]), "Dune")
    made = agreement.completed(pair)
    if made is not None:
        assert agreement.completed(made) is made
        assert made.calls[0].arguments.items() >= pair.calls[0].arguments.items()


def test_arguments_of_few_values_mostly_keep_to_them() -> None:
    tools = ToolSet(
        {"name": "paint", "parameters": {"properties": dict.fromkeys(("coat", "town"), {"type": "string"})}}
    )
    said = [
        ("glossy", "Ulm"),
        ("matt", "Graz"),
        ("glossy", "Bergen"),
        ("matt", "Lyon"),
        ("glossy", "Turin"),
        ("matt", "Oslo"),
    ]
    mine = [
        Pair.of(f"a {coat} coat for the wall in {town}", [Call("paint", {"coat": coat, "town": town})])
        for coat, town in said
    ]
    made = [pair for pair in synthesize(tools, 300, examples=mine, seed=4) if pair.source.startswith("from ")]
    values = [call.arguments for pair in made for call in pair.calls]
    coats, towns = ([value[name] for value in values if name in value] for name in ("coat", "town"))
    assert len(coats) > 50 and sum(coat.lower() in ("glossy", "matt") for coat in coats) > 0.85 * len(coats)
    assert sum(town.lower() in {town.lower() for _, town in said} for town in towns) < 0.6 * len(towns)

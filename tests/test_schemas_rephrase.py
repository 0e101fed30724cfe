"""Requests put differently: the values stay, the words around them may change."""

import random

from hypothesis import given
from hypothesis import strategies as st

from schematune.schemas.rephrase import Part, lead_of, rephrased

TEXTS = st.text(alphabet="abc onforat,.?! ABO", max_size=14)


@st.composite
def parts(draw: st.DrawFn) -> list[Part]:
    """Draw a request of words and values in turn."""
    found: list[Part] = []
    for slot in range(draw(st.integers(0, 3))):
        found += [Part(draw(TEXTS)), Part(draw(st.sampled_from(["Oslo", "tomorrow", "3 PM", "at Nopi"])), slot)]
    return [part for part in [*found, Part(draw(TEXTS))] if part.text] or [Part("hm")]


@given(parts(), st.integers(0, 2**32))
def test_the_values_stay(given: list[Part], seed: int) -> None:
    slots = [part.slot for part in given if part.slot >= 0]
    leads = {slot: ["at ", "for ", ""] for slot in slots}
    found = rephrased(given, random.Random(seed), leads=leads, movable=slots)
    assert sorted(part.text for part in found if part.slot >= 0) == sorted(p.text for p in given if p.slot >= 0)
    assert sorted(part.slot for part in found if part.slot >= 0) == slots


def test_what_changes() -> None:
    request = [Part("Book the room for "), Part("Nordhaus", 0), Part(" on "), Part("Friday", 1), Part(".")]
    made = {
        "".join(part.text for part in rephrased(request, random.Random(seed), leads={0: ["with "]}, movable=[1]))
        for seed in range(600)
    }
    assert "Book the room for Nordhaus on Friday." in made
    assert any(text.startswith("Friday") for text in made) and any(text.startswith("On Friday") for text in made)
    assert any("with Nordhaus" in text for text in made) and any(text.startswith("book") for text in made)
    assert any("reserve" in text.lower() for text in made) and any(text.lower().startswith("hi") for text in made)
    assert all("Nordhaus" in text and "Friday" in text for text in made)


def test_a_day_said_without_on_loses_it() -> None:
    request = [Part("cancel it on "), Part("tomorrow", 0)]
    made = {"".join(p.text for p in rephrased(request, random.Random(n), leads={}, movable=[])) for n in range(50)}
    assert "cancel it tomorrow" in made and not any("on tomorrow" in text for text in made)


def test_leads() -> None:
    assert [lead_of(text) for text in ("meet at ", "meet At ", "cat ", "", "pay $", "(for ")] == [
        "at ", "At ", "", "", None, "for ",
    ]  # fmt: skip

"""The tagger: what it says is what all sequences of states add up to, and decoding leans towards it."""

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import FAMILIES, tiny_adapter

from schematune.decoding.adapter import Adapter
from schematune.decoding.base import Base
from schematune.decoding.caller import Caller
from schematune.decoding.prior import PRIOR, ToolPrior
from schematune.decoding.tagger import MOST_WORDS, Reading, Tagger, moves_of
from schematune.schemas.call import Call
from schematune.schemas.pair import Pair
from schematune.schemas.spans import is_span, units
from schematune.schemas.tool import ToolSet
from schematune.trainer.prior import fit_prior
from schematune.trainer.tagger import fit_tagger

Loaded = Callable[[str], Base]

SONGS = ("Hey Jude", "Help", "Let It Be", "Yellow Submarine", "Michelle", "Ticket to Ride", "Taxman", "Girl")
PEOPLE = ("Ella", "Ray Charles", "Nina Simone", "Prince", "Otis Redding", "Sade", "Al Green", "Dinah Washington")
TOOLS = ToolSet(
    [
        {"name": "play", "parameters": {"properties": {"song": {"type": "string"}, "artist": {"type": "string"}}}},
        {"name": "find", "parameters": {"properties": {"artist": {"type": "string"}, "year": {"type": "integer"}}}},
    ]
)


def pairs() -> list[Pair]:
    """Return pairs that say where a song and an artist stand, two thirds of them with both."""
    made = []
    for song, artist in itertools.product(SONGS, PEOPLE):
        both = {"song": song, "artist": artist}
        made.append(Pair.of(f"play {song} by {artist}", [Call("play", both)]))
        made.append(Pair.of(f"some {artist} please, {song} I mean", [Call("play", both)]))
        made.append(Pair.of(f"play {song} now", [Call("play", {"song": song})]))
        made.append(Pair.of(f"who is {artist}", [Call("find", {"artist": artist})]))
    return made


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    """Return a tagger fit to the pairs."""
    made = fit_tagger(pairs(), TOOLS)
    assert made is not None
    return made


def best(shares: dict[str, float]) -> str:
    """Return the text that is most probable."""
    return max(shares, key=lambda text: shares[text])


def test_it_sees_where_values_stand_that_it_never_saw(tagger: Tagger) -> None:
    assert tagger.known == {"play": ("song", "artist"), "find": ("artist",)} and tagger.names == ("artist", "song")
    reading = tagger.read("play", "play Georgia On My Mind by Willie Nelson")
    assert reading is not None
    assert best(reading.spans("song")) == "Georgia On My Mind" and best(reading.spans("artist")) == "Willie Nelson"
    assert max(reading.absent(["song", "artist"])) < 0.05
    alone = tagger.read("play", "play Georgia now")
    assert alone is not None and alone.absent(["artist"])[0] > 0.9 and alone.absent(["song"])[0] < 0.1
    other = tagger.read("find", "who is Willie Nelson")
    assert other is not None and best(other.spans("artist")) == "Willie Nelson"


def test_what_stands_already_takes_its_words(tagger: Tagger) -> None:
    reading = tagger.read("play", "play Prince by Prince")
    assert reading is not None
    held = reading.holding({"song": "Prince"}).spans("artist")
    assert best(held) == "Prince" and sum(held.values()) == pytest.approx(1)
    one = tagger.read("play", "play Prince now")
    assert one is not None
    assert one.holding({"song": "Prince"}).spans("artist").get("Prince", 0.0) == 0.0
    assert one.holding({"song": None}).absent(["artist"])[0] < one.absent(["artist"])[0]
    assert one.without(["Prince"]).spans("song").get("Prince", 0.0) == 0.0
    assert one.holding({"song": "Elsewhere", "other": 3}).spans("artist")  # words of no request, an unknown argument


def test_what_it_does_not_read(tagger: Tagger) -> None:
    assert tagger.read("nothing", "play Help") is None and tagger.read("play", "") is None
    assert tagger.read("play", "la " * (MOST_WORDS + 1)) is None
    several = [Pair.of("both", [Call("play", {"song": "both"}), Call("find", {})])]
    assert fit_tagger([*several, Pair.of("x", [Call("play", {"song": "elsewhere"})] * 1)], TOOLS) is None


@st.composite
def readings(draw: st.DrawFn) -> Reading:
    """Draw a reading of up to four words for one or two arguments."""
    names = ["a", "b"][: draw(st.integers(1, 2))]
    words = draw(st.integers(1, 4))
    numbers = np.random.default_rng(draw(st.integers(0, 10**6)))
    states = 1 + 2 * len(names)
    moves = moves_of(numbers.normal(size=(states + 1, states)))
    text = " ".join("wxyz"[:words])
    return Reading(text, units(text), names, np.exp(numbers.normal(size=(words, states))), moves)


def sequences(reading: Reading) -> dict[tuple[int, ...], float]:
    """Return the weight of every sequence of states."""
    count, states = reading.factors.shape
    found = {}
    for way in itertools.product(range(states), repeat=count):
        weight = reading.moves[-1, way[0]] * reading.factors[0, way[0]]
        for place in range(1, count):
            weight *= reading.moves[way[place - 1], way[place]] * reading.factors[place, way[place]]
        found[way] = float(weight)
    return found


@given(readings())
@settings(deadline=None)
def test_it_says_what_all_sequences_add_up_to(reading: Reading) -> None:
    ways = sequences(reading)
    left = ways
    for number, share in enumerate(reading.absent(reading.names)):
        without = {way: one for way, one in left.items() if not {1 + 2 * number, 2 + 2 * number} & set(way)}
        assert share == pytest.approx(sum(without.values()) / sum(left.values()))
        left = without
    for number, name in enumerate(reading.names):
        begins, shares = 1 + 2 * number, Counter[str]()
        for way, weight in ways.items():
            for first in (place for place, state in enumerate(way) if state == begins):
                last = first
                while last + 1 < len(way) and way[last + 1] == begins + 1:
                    last += 1
                shares[reading.request[reading.words[first][0] : reading.words[last][1]]] += weight  # type: ignore[assignment]
        total = sum(shares.values())
        assert reading.spans(name) == pytest.approx({text: one / total for text, one in shares.items()})


@given(st.text(alphabet="ab ,\n", min_size=1, max_size=30))
@settings(deadline=None)
def test_what_it_offers_stands_in_the_request(text: str) -> None:
    made = fit_tagger([Pair.of(f"a {one}", [Call("play", {"song": one})]) for one in "bcd"], TOOLS)
    assert made is not None
    reading = made.read("play", text)
    if reading is not None:
        shares = reading.spans("song")
        assert all(is_span(span, text) for span in shares) and sum(shares.values()) == pytest.approx(1)


def test_saved_means_loaded_equal(tagger: Tagger, tmp_path: Path) -> None:
    prior = fit_prior(pairs(), TOOLS)
    assert prior is not None and prior.tagger is not None
    prior.save(tmp_path)
    found = ToolPrior.load(tmp_path).tagger
    assert found is not None and (found.names, found.known) == (prior.tagger.names, prior.tagger.known)
    one, two = (
        found.read("play", "play Windy by Ruthann Friedman"),
        prior.tagger.read("play", "play Windy by Ruthann Friedman"),
    )
    assert one is not None and two is not None and one.spans("song") == two.spans("song")
    assert (tmp_path / PRIOR).stat().st_size < 300_000


def test_a_tool_that_no_pair_calls_learns_from_arguments_of_the_same_name() -> None:
    made = fit_tagger([pair for pair in pairs() if pair.calls[0].name == "play"], TOOLS)
    assert made is not None and made.known["find"] == ("artist",)
    reading = made.read("find", "some songs by Willie Nelson")
    assert reading is not None and best(reading.spans("artist")) == "Willie Nelson"


def test_one_tool_is_enough(tmp_path: Path) -> None:
    alone = ToolSet({"name": "play", "parameters": {"properties": {"song": {"type": "string"}}}})
    prior = fit_prior([pair for pair in pairs() if pair.calls[0].name == "play"], alone)
    assert prior is not None and prior.tagger is not None
    prior.save(tmp_path)
    assert ToolPrior.load(tmp_path).tools.names == ("play",)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_an_adapter_copies_leans_on_its_tagger(family: str, tiny_loaded: Loaded, tmp_path: Path) -> None:
    base = tiny_loaded(family)
    adapter = Adapter.load(tiny_adapter(base, tmp_path / "adapter", TOOLS))
    prior = fit_prior(pairs(), TOOLS)
    requests = ["play Georgia On My Mind by Willie Nelson", "who is Ruthann Friedman", "play Windy now"]
    wanted = [
        Call("play", {"song": "Georgia On My Mind", "artist": "Willie Nelson"}),
        Call("find", {"artist": "Ruthann Friedman"}),
        Call("play", {"song": "Windy"}),
    ]
    assert prior is not None
    sure = replace(prior, tools=replace(prior.tools, scale=prior.tools.scale * 20))
    caller = Caller(replace(adapter, prior=sure), base=base, max_new_tokens=96)
    answers = caller.batch(requests, choice="required")
    copied = [
        {name: value for name, value in answer.calls[0].arguments.items() if isinstance(value, str)}
        for answer in answers
        if answer.calls
    ]
    assert len(copied) == 3
    right = [
        sum(found.get(name) == value for name, value in call.arguments.items())
        for found, call in zip(copied, wanted, strict=True)
    ]
    assert sum(right) == sum(len(call.arguments) for call in wanted)

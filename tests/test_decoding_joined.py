"""An adapter's prior beside the reader of its base: what both say of a request, and how much the reader counts."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schematune.decoding.base import BUILTIN, load_base
from schematune.decoding.bias import CallBias, _Place
from schematune.decoding.joined import Joined, advised, chosen_jointly, joined, unsaid
from schematune.decoding.prior import Answers, Lacking, Shares, ToolPrior
from schematune.decoding.reader import AnyTool, Reader
from schematune.decoding.tagger import Reading, Tagger, moves_of
from schematune.schemas.call import NO_TOOL, Call
from schematune.schemas.pair import Pair
from schematune.schemas.tool import ToolSet
from schematune.trainer.joining import Judge
from schematune.trainer.prior import fit_prior
from schematune.trainer.tagger import fit_tagger
from schematune.trainer.weighing import family_of, is_unseen

TOOLS = ToolSet(
    [
        {
            "name": "set_oven",
            "description": "Heat the oven for a dish.",
            "parameters": {
                "properties": {
                    "dish": {"type": "string", "description": "What is baked."},
                    "temperature": {"type": "integer", "description": "Degrees Celsius."},
                },
                "required": ["dish"],
            },
        },
        {"name": "clean_oven", "description": "Clean the oven.", "parameters": {"properties": {}}},
    ]
)
DISHES = ("lasagne", "apple pie", "roast duck", "banana bread", "moussaka", "cod", "quiche", "cornbread", "pizza")
ASKED = ("bake {}", "please put {} in", "warm the oven for {}", "i want {} tonight", "{} goes in now", "start {}")


@pytest.fixture(scope="module")
def reader() -> Reader:
    """Return the reader that ships."""
    found = Reader.load(BUILTIN)
    assert found is not None
    return found


def _own(count: int = 54) -> list[Pair]:
    said = [(form.format(dish), dish) for form in ASKED for dish in DISHES][:count]
    made = [
        Pair.of(text, [Call("set_oven", {"dish": dish})], source=f"example:mine:{number}")
        for number, (text, dish) in enumerate(said)
    ]
    return made + [Pair.of(f"scrub it {n}", [Call("clean_oven", {})], source=f"example:mine:c{n}") for n in "abcdefgh"]


def _reading(words: int, names: list[str], seed: int) -> Reading:
    drawn, states = np.random.default_rng(seed), 1 + 2 * len(names)
    text = " ".join("abcdefghij"[place] for place in range(words))
    places = [(2 * place, 2 * place + 1) for place in range(words)]
    return Reading(
        text, places, names, drawn.random((words, states)) + 0.1, moves_of(drawn.normal(size=(states + 1, states)))
    )


@settings(max_examples=40)
@given(words=st.integers(1, 4), arguments=st.integers(1, 2), seed=st.integers(0, 10_000))
def test_the_probabilities_of_all_sequences_come_to_one(words: int, arguments: int, seed: int) -> None:
    """One that cannot be has none."""
    reading = _reading(words, ["x", "y"][:arguments], seed)
    logs = [reading.log_probability(one) for one in product(range(1 + 2 * arguments), repeat=words)]
    assert np.exp(logs).sum() == pytest.approx(1.0)
    assert reading.log_probability([2] * words) == -np.inf  # goes on with what never began


@settings(max_examples=40)
@given(words=st.integers(1, 4), seed=st.integers(0, 10_000), share=st.floats(0.0, 1.0))
def test_a_pool_of_two_that_say_the_same_says_that(words: int, seed: int, share: float) -> None:
    """Whatever the share; and at none of it, it says what the tagger does."""
    one, two = _reading(words, ["x", "y"], seed), _reading(words, ["x", "y"], seed + 1)
    states = one.best()
    assert joined(one, one, share).log_probability(states) == pytest.approx(one.log_probability(states))
    assert joined(one, two, 0.0).log_probability(states) == pytest.approx(one.log_probability(states))
    assert joined(one, two, 1.0).log_probability(states) == pytest.approx(two.log_probability(states))


def test_an_argument_that_the_tagger_does_not_know_is_the_readers_to_find(reader: Reader) -> None:
    """A number is no span of the pairs' values, so the tagger never learnt to find one."""
    tagger = fit_tagger(_own(), TOOLS)
    assert tagger is not None and tagger.known == {"set_oven": ("dish",)}
    request = "heat the oven to 220 degrees for apple pie"
    tagged, read = tagger.read("set_oven", request), reader.read(TOOLS["set_oven"], request)
    assert tagged is not None and read is not None
    both = joined(tagged, read, 0.2)
    assert both.names == ["dish", "temperature"]
    numbers, dishes = both.spans("temperature"), both.spans("dish")
    assert max(numbers, key=lambda text: numbers[text]).startswith("220")
    assert max(dishes, key=lambda text: dishes[text]) == "apple pie"
    alone = joined(None, read, 0.2).spans("temperature")
    assert max(alone, key=lambda text: alone[text]).startswith("220")


@given(logs=st.lists(st.floats(-5, -0.1), min_size=3, max_size=3), share=st.floats(0, 1), turn=st.floats(-4, 0))
def test_the_choice_among_tools_keeps_its_sum(logs: list[float], share: float, turn: float) -> None:
    """A tool that the reader does not know keeps its own probability."""
    own: Answers = {name: (log, -1.0) for name, log in zip("abc", logs, strict=True)}
    leant = chosen_jointly(own, {"a": -0.3, "b": turn}, share)
    assert leant["c"] == own["c"]
    before, after = (np.logaddexp(some["a"][0], some["b"][0]) for some in (own, leant))
    assert after == pytest.approx(before)
    moved = (leant["a"][0] - leant["b"][0]) - (own["a"][0] - own["b"][0])
    assert moved == pytest.approx(share * (-0.3 - turn))


def test_shares_are_saved_with_the_prior(tmp_path: Path, reader: Reader) -> None:
    """An adapter of before has none, and its reader has no say."""
    prior = fit_prior(_own(), TOOLS, reader=reader)
    assert prior is not None and prior.shares is not None
    prior.save(tmp_path)
    again = ToolPrior.load(tmp_path)
    assert again.shares == prior.shares
    replace(prior, shares=None).save(tmp_path)
    alone = ToolPrior.load(tmp_path)
    assert alone.shares is None
    assert advised(alone, reader, TOOLS, "bake quiche", tuned=True) is alone
    assert isinstance(advised(again, reader, TOOLS, "bake quiche", tuned=True), Joined)
    assert advised(again, None, TOOLS, "bake quiche", tuned=True) is again
    assert isinstance(advised(None, reader, TOOLS, "bake quiche", tuned=False), AnyTool)
    assert advised(None, reader, TOOLS, "bake quiche", tuned=True) is None
    both = Joined(again, reader, TOOLS, Shares(0.0, 0.0)).about("bake quiche")
    assert both.answers("tool") == again.about("bake quiche").answers("tool")
    assert both.answers("given", "set_oven", "temperature") == {}
    leant = Joined(again, reader, TOOLS, Shares(0.5, 0.0)).about("bake quiche").answers("tool")
    assert leant.keys() == both.answers("tool").keys() and NO_TOOL not in leant


def test_a_reader_that_is_wrong_of_the_users_requests_gets_no_share(reader: Reader) -> None:
    """One that knows what they say gets one; without requests kept aside the shares go by what is described."""
    prior = fit_prior(_own(), TOOLS)
    assert prior is not None and prior.tagger is not None and prior.shares is None
    said = {"set_oven": "heat the oven for {}", "clean_oven": "clean the oven after the {}"}
    asked = [(Pair.of(form.format(dish), []), name) for name, form in said.items() for dish in DISHES]
    torn = [{"set_oven": -0.7, "clean_oven": -0.7} for _ in asked]
    judge = Judge(reader, TOOLS)
    described = judge.shares
    judge.choice(asked[:5], torn[:5])  # too few
    assert judge.shares == described
    judge.choice(asked, torn)
    assert judge.shares.tools > 0 and judge.shares.words == described.words
    other = {"set_oven": "clean_oven", "clean_oven": "set_oven"}
    judge.choice([(pair, other[name]) for pair, name in asked], torn)
    assert judge.shares.tools == 0
    texts = [("set_oven", f"heat the oven for {dish}", [*[0] * 4, 1, *[2] * dish.count(" ")]) for dish in DISHES * 2]
    unsure = Tagger(
        ("dish",), {"set_oven": ("dish",)}, np.zeros_like(prior.tagger.table[:, :3]), np.ones(3), np.zeros((4, 3))
    )
    judge.words(unsure, texts)
    assert judge.shares.words > 0
    judge.words(unsure, [("set_oven", text, [1] * len(states)) for _, text, states in texts])
    assert judge.shares.words == 0
    bare = ToolSet([{"name": "set_oven", "parameters": {"properties": {"dish": {"type": "string"}}}}])
    assert Judge(reader, bare).shares.words < described.words


def test_what_was_made_of_an_example_is_kept_aside_with_it() -> None:
    """Or the words of an example that is to judge by were fitted to."""
    own = Pair.of("bake quiche", [], source="example:mine:1")
    made = Pair.of("bake pizza", [], source="from example:mine:1", template="example:mine:1")
    assert family_of(own) == family_of(made)
    aside = [f"example:mine:{n}" for n in range(50) if is_unseen(f"example:mine:{n}")]
    assert 0 < len(aside) < 25
    alike = [Pair.of(f"bake {dish}", [], source="hand-written") for dish in DISHES]  # one source is no family
    assert len({family_of(pair) for pair in alike}) == len(alike)


def test_it_learns_when_a_request_leaves_out_what_its_tool_must_be_told(reader: Reader, tmp_path: Path) -> None:
    """And says so of a request that it never saw; never more than usual, so that a tool that is not meant is not asked about."""
    vague = (
        "warm it up",
        "start the oven",
        "we bake tonight",
        "heat please",
        "get it going",
        "oven on",
        "now",
        "go",
        "hot",
    )
    asks = [
        Pair.of(f"{text} {end}", [Call.ask("set_oven", ["dish"])], source=f"example:mine:v{text}{end}")
        for text in vague
        for end in ("will you", "then", "right away", "dear")
    ]
    assert (before := fit_prior(_own(), TOOLS, reader=reader)) and before.shares and before.shares.lacking is None
    prior = fit_prior([*_own(), *asks], TOOLS, reader=reader)
    assert prior is not None and prior.shares is not None and prior.shares.lacking is not None
    lacking = prior.shares.lacking
    assert lacking.slope > 0 and 0.2 < lacking.usual < 0.6
    prior.save(tmp_path)
    assert ToolPrior.load(tmp_path).shares == prior.shares
    both = Joined(prior, reader, TOOLS, prior.shares)
    told, untold = (both.about(text).answers("missing", "set_oven") for text in ("i want quiche tonight", "on then"))
    assert told["no"][0] > untold["no"][0] and untold["no"][0] < untold["no"][1] < told["no"][0]
    assert untold["yes"][0] <= untold["yes"][1]
    assert both.about("scrub it").answers("missing", "clean_oven") == {}  # nothing that it must be told
    permitted = Joined(prior, reader, ToolSet([TOOLS["set_oven"].openai()]), prior.shares)
    assert permitted.about("on then").answers("missing", "set_oven").keys() == {"yes", "no"}


def test_what_is_likeliest_unsaid_counts() -> None:
    """None where no argument is required, or none of these known."""
    reading = _reading(3, ["x", "y"], 5)
    x, y = (reading.absent([name])[0] for name in ("x", "y"))
    assert unsaid(reading, ["x", "y", "z"]) == pytest.approx(np.log(max(x, y) / (1 - max(x, y))))
    assert unsaid(reading, []) is None and unsaid(reading, ["z"]) is None
    with pytest.raises(TypeError):
        Shares.of([0.1, 0.2, 0.3])
    assert Shares.of(Shares(0.1, 0.2, Lacking(-1, 1, 0.3)).listed()) == Shares(0.1, 0.2, Lacking(-1, 1, 0.3))


def test_what_a_prior_knows_of_a_listed_value_stands_beside_the_reader(reader: Reader) -> None:
    """The reader knows a choice by its words alone, the prior by what is said for it."""
    size = {"type": "string", "enum": ["small", "large"], "description": "Cup."}
    drink = {"type": "string", "description": "What to make."}
    tools = ToolSet({"name": "brew", "parameters": {"properties": {"drink": drink, "size": size}}})
    said = {"large": "a huge {}", "small": "a tiny {}"}
    pairs = [
        Pair.of(form.format(drink), [Call("brew", {"drink": drink, "size": value})], source=f"example:mine:{n}{value}")
        for n, drink in enumerate(("latte", "mocha", "green tea", "espresso", "cocoa", "flat white", "chai", "cider"))
        for value, form in said.items()
    ]
    prior, base = fit_prior(pairs, tools, reader=reader), load_base("builtin", device="cpu")
    assert prior is not None and prior.shares is not None
    both, form = Joined(prior, reader, tools, prior.shares), base.renderer.form
    for value, wording in said.items():
        bias = CallBias(both, wording.format("cortado"), tools, form, base.tokenizer)
        values, copied = bias._after(tools["brew"], _Place({"drink": "cortado"}, "size", ""), "")
        assert not copied
        assert max(values, key=lambda text: values[text][0] - values[text][1]).strip(' "') == value

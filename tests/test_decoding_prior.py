"""The prior of the tools: fit to pairs, saved with the adapter, leaning the choice of a tool and nothing else."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import FAMILIES, tiny_adapter

from schematune.decoding.adapter import Adapter
from schematune.decoding.base import Base, load_base
from schematune.decoding.bias import CallBias, _Place
from schematune.decoding.caller import Caller
from schematune.decoding.prior import BUCKETS, PRIOR, Answers, ToolPrior, features
from schematune.decoding.tagger import Reading, moves_of
from schematune.schemas.call import Call
from schematune.schemas.contract import CONTRACT_FILE, file_digest
from schematune.schemas.errors import ContractError
from schematune.schemas.pair import Pair
from schematune.schemas.spans import units
from schematune.schemas.tool import ToolSet
from schematune.trainer.prior import fit_prior

Loaded = Callable[[str], Base]

SAID = {
    "cancel_booking": ("give the {} back", "the {} is not needed any more"),
    "cancel_event": ("the {} is off", "call the {} off"),
    "record_expense": ("I paid for the {}", "put the {} on the list of costs"),
    "no_tool": ("why is the {} blue", "who was the {}"),
}
THINGS = ("room", "desk", "meeting", "lunch", "taxi", "dinner", "book", "train", "parking space", "screen")


def pairs() -> list[Pair]:
    """Return pairs whose words tell the tool."""
    return [
        Pair.of(text.format(thing), [Call(name, {})], template=f"{name}-{text}-{thing}")
        for name, texts in SAID.items()
        for text in texts
        for thing in THINGS
    ]


def tools() -> ToolSet:
    """Return the tools of the pairs, without arguments."""
    return ToolSet([{"name": name, "parameters": {}} for name in SAID if name != "no_tool"])


@pytest.fixture(scope="module")
def prior() -> ToolPrior:
    """Return a prior fit to the pairs."""
    made = fit_prior(pairs(), tools())
    assert made is not None
    return made


def test_it_tells_tools_apart_by_words_and_knows_how_sure_it_is(prior: ToolPrior) -> None:
    for text, name in (("call off the concert", "cancel_event"), ("I paid for a hat", "record_expense")):
        logs = prior.logs(text)
        assert max(logs, key=lambda one: logs[one]) == name
        assert sum(np.exp(list(logs.values()))) == pytest.approx(1, abs=1e-5)
    assert list(prior.logs("?!").values()) == pytest.approx(list(prior.tools.rates))
    assert max(prior.logs("zzz qqq").values()) < np.log(0.4)  # a bucket may be another word's too
    assert list(np.exp(prior.tools.rates)) == pytest.approx([0.25] * 4)


def test_asking_counts_for_the_tool_asked_about_and_several_calls_for_none() -> None:
    asking = [Pair.of(f"paid {n}", [Call("ask", {"tool": "record_expense", "missing": ["a"]})]) for n in "abcd"]
    several = [Pair.of("both", [Call("record_expense", {}), Call("cancel_event", {})])]
    made = fit_prior([*asking, *several, *(Pair.of(f"off {n}", [Call("cancel_event", {})]) for n in "abcd")], tools())
    assert made is not None and made.tools.names == ("cancel_event", "record_expense")
    assert fit_prior(asking, tools()) is None


def test_the_users_own_requests_weigh_more() -> None:
    own = [Pair.of("the lights", [Call("dim", {})], source="example:ours:1")]
    made_up = [Pair.of("the lights", [Call("play", {})], source="synthetic", template=str(n)) for n in range(5)]
    even = fit_prior(
        [*made_up, *(Pair.of("on", [Call("dim", {})], source="synthetic") for _ in range(5)), *own], tools()
    )
    assert even is not None
    assert even.logs("the lights")["dim"] > even.logs("the lights")["play"]


@given(st.text(max_size=80))
def test_features_are_buckets_each_once(text: str) -> None:
    found = features(text)
    assert found == sorted(set(found)) and all(0 <= place < BUCKETS for place in found)


def test_saved_means_loaded_equal(prior: ToolPrior, tmp_path: Path) -> None:
    prior.save(tmp_path)
    found = ToolPrior.load(tmp_path)
    assert found.tools.names == prior.tools.names and found.logs("call it off") == prior.logs("call it off")
    assert (tmp_path / PRIOR).stat().st_size < 300_000
    (tmp_path / PRIOR).write_bytes((tmp_path / PRIOR).read_bytes()[:1000])
    with pytest.raises(ContractError, match="cannot be read"):
        ToolPrior.load(tmp_path)


@pytest.mark.parametrize("family", FAMILIES)
@given(seed=st.integers(0, 5))
@settings(deadline=None)  # the first example makes the tiny base
def test_it_moves_probability_among_the_tools_only(
    family: str, seed: int, prior: ToolPrior, tiny_loaded: Loaded
) -> None:
    """Walk through a call as it is written: what is no tool's keeps its share, and the tools take what the prior says."""
    base = tiny_loaded(family)
    form, tokenizer, words = base.renderer.form, base.tokenizer, "give the boat back"
    bias = CallBias(prior, words, tools(), form, tokenizer)
    logs, rates = prior.logs(words), dict(zip(prior.tools.names, prior.tools.rates.tolist(), strict=True))
    logits = torch.randn(len(tokenizer), generator=torch.Generator().manual_seed(seed))
    gains: dict[str, float] = {}
    for name in tools().names:
        tokens = tokenizer.encode(form.write([Call(name, {})]), add_special_tokens=False)
        gains[name] = 0.0
        for place, token in enumerate(tokens):
            leant = bias(tokens[:place], logits)
            if leant is None:
                continue
            before, after = logits.log_softmax(-1), leant.log_softmax(-1)
            moved = (before - after).abs() > 1e-4
            assert before[moved].logsumexp(-1) == pytest.approx(float(after[moved].logsumexp(-1)), abs=1e-3)
            gains[name] += float(after[token] - before[token])
    best = max(tools().names, key=lambda one: logs[one] - rates[one])
    assert best == "cancel_booking" == max(gains, key=lambda one: gains[one])


@pytest.mark.parametrize("family", FAMILIES)
def test_what_an_adapter_calls_leans_on_its_prior(
    family: str, prior: ToolPrior, tiny_loaded: Loaded, tmp_path: Path
) -> None:
    base = tiny_loaded(family)
    adapter = Adapter.load(tiny_adapter(base, tmp_path / "adapter", tools()))
    sure = replace(prior, tools=replace(prior.tools, scale=prior.tools.scale * 20))
    requests = ["give it back", "call it off", "I paid for it"]
    for constrained in (True, False):
        caller = Caller(replace(adapter, prior=sure), base=base, max_new_tokens=64, constrained=constrained)
        answers = caller.batch(requests, choice="required")
        if constrained:
            assert [answer.calls[0].name for answer in answers if answer.calls] == [
                name
                for name, answer in zip(("cancel_booking", "cancel_event", "record_expense"), answers, strict=True)
                if answer.calls
            ]
            permitted = caller.batch(requests, choice="required", permits=[["cancel_event"]] * 3)
            assert {answer.calls[0].name for answer in permitted if answer.calls} <= {"cancel_event"}
        assert [one.text for one in answers] == [caller.batch([one], choice="required")[0].text for one in requests]


def test_a_prior_is_part_of_the_contract(prior: ToolPrior, tiny_loaded: Loaded, tmp_path: Path) -> None:
    folder = tiny_adapter(tiny_loaded("builtin"), tmp_path / "adapter", tools())
    contract = json.loads((folder / CONTRACT_FILE).read_text())
    del contract["prior"]  # as adapters were before there were any
    (folder / CONTRACT_FILE).write_text(json.dumps(contract))
    assert Adapter.load(folder).prior is None
    prior.save(folder)
    (folder / CONTRACT_FILE).write_text(json.dumps({**contract, "prior": file_digest(folder / PRIOR)}))
    found = Adapter.load(folder).prior
    assert found is not None and found.tools.names == prior.tools.names
    replace(prior, rarity=prior.rarity + 1).save(folder)
    with pytest.raises(ContractError, match="the prior's weights are not those of the contract"):
        Adapter.load(folder)
    (folder / PRIOR).unlink()
    with pytest.raises(ContractError, match="cannot be read"):
        Adapter.load(folder)


SEND = {
    "type": "object",
    "properties": {"to": {"type": "string"}, "channel": {"enum": ["chat", "sms"]}, "urgent": {"type": "boolean"}},
    "required": ["to"],
}


def options() -> tuple[ToolSet, ToolPrior]:
    """Return a tool with options, and the prior of pairs whose words tell them."""
    made = []
    for n, name in enumerate(("Ann", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hal")):
        for words, more in (
            ("quick text", {"channel": "sms"}),
            ("in the chat", {"channel": "chat"}),
            ("at once", {"urgent": True}),
        ):
            made.append(Pair.of(f"{words} for {name}", [Call("send", {"to": name, **more})], template=f"{n}{words}"))
        made.append(Pair.of(f"why is {name} here", [Call.no_tool()], template=f"{n}why"))
    tools = ToolSet([{"name": "send", "parameters": SEND}])
    prior = fit_prior(made, tools)
    assert prior is not None
    return tools, prior


def test_options_are_told_by_words_too(tmp_path: Path) -> None:
    _, prior = options()
    assert set(prior.arguments) == {
        ("given", "send", "channel"),
        ("given", "send", "urgent"),
        ("value", "send", "channel"),
    }
    prior.save(tmp_path)
    found = ToolPrior.load(tmp_path)
    for key, classifier in prior.arguments.items():
        assert found.arguments[key].logs(*found.read("a text")) == classifier.logs(*prior.read("a text"))


@pytest.mark.parametrize("family", FAMILIES)
def test_options_lean_where_they_are_chosen(family: str, tiny_loaded: Loaded) -> None:
    """After the required argument: which option, or the end; after the option's name: which value."""
    tools, prior = options()
    base = tiny_loaded(family)
    form, tokenizer = base.renderer.form, base.tokenizer
    space, logits = " " if form.spaced else "", torch.zeros(len(tokenizer))
    opening = f'{form.before}{form.written("send")}{form.between}{{"to":{space}"Zoe"'

    def gain(request: str, written: str, text: str) -> float:
        tokens = tokenizer.encode(opening + written, add_special_tokens=False)
        leant = CallBias(prior, request, tools, form, tokenizer)(tokens, logits)
        following = tokenizer.encode(text, add_special_tokens=False)[0]
        return 0.0 if leant is None else float(leant[following] - logits[following])

    value = f',{space}"channel":{space}"'
    assert gain("quick text to Zoe", value, "sms") > 0 > gain("quick text to Zoe", value, "chat")
    assert gain("in the chat", value, "chat") > 0 > gain("in the chat", value, "sms")
    named = f',{space}"'
    assert gain("at once to Zoe", named, "urgent") > gain("quick text to Zoe", named, "urgent")
    assert gain("quick text to Zoe", named, "channel") > gain("at once to Zoe", named, "channel")


def test_a_name_that_begins_another_leans_with_the_signs_after_it(tiny_loaded: Loaded) -> None:
    """A token that ends a name and opens its value, `":"`, leans as one that only ends it."""
    text = {"type": "string"}
    tools = ToolSet(
        [{"name": "put", "parameters": {"properties": {"list_owner": text, "list": text}}}, {"name": "stop"}]
    )
    said = [("on my list", {"list_owner": "my"}), ("on the list", {})]
    pairs = [
        Pair.of(f"put {thing} {words}", [Call("put", given)])
        for words, given in said
        for thing in ("milk", "rice", "salt", "tea")
    ]
    pairs += [Pair.of(f"stop {word}", [Call("stop", {})]) for word in ("it", "now", "here")]
    prior, base = fit_prior(pairs, tools), tiny_loaded("builtin")
    assert prior is not None
    tokenizer = base.tokenizer
    both = tokenizer.convert_tokens_to_ids('":"')
    assert both != tokenizer.unk_token_id and str(tokenizer.decode([int(str(both))])) == '":"'
    written = tokenizer.encode('{"name":"put","arguments":{"list', add_special_tokens=False)
    logits = torch.zeros(len(tokenizer))
    [on] = tokenizer.encode("_", add_special_tokens=False)
    leans = []
    for words, _ in said:
        leant = CallBias(prior, f"put soap {words}", tools, base.renderer.form, tokenizer)(written, logits)
        assert leant is not None
        assert leant[both] == leant[tokenizer.convert_tokens_to_ids('":')] != 0
        leans.append(float(leant[on] - leant[both]))
    assert leans[0] > 0.5 + leans[1]


@given(st.dictionaries(st.text(max_size=5), st.none() | st.booleans() | st.integers() | st.text(max_size=5)), st.data())
def test_a_place_is_read_from_any_beginning_of_an_object(value: dict[str, object], data: st.DataObject) -> None:
    text = json.dumps(value, ensure_ascii=False)
    begun = text[: data.draw(st.integers(0, len(text)))]
    place = _Place.of(begun)
    assert (place is None) == (begun in ("", text))
    if place is not None:
        assert begun.endswith(place.typed)
        assert list(value)[: len(place.used)] == list(place.used)
        assert place.key is None or place.key == list(value)[len(place.used)]


def test_a_closing_quote_leans_with_what_comes_after_it() -> None:
    """A token that ends a text and goes on, `","`, leans by whether an argument to come is said; one that ends the call, against it."""
    text = {"type": "string"}
    tools = ToolSet(
        [{"name": "put", "parameters": {"properties": {"thing": text, "owner": text}, "required": ["thing"]}}]
    )
    said = [("on my list", {"owner": "my"}), ("on the list", {})]
    things = ("milk", "rice", "salt", "tea", "ham", "figs")
    pairs = [Pair.of(f"put {x} {words}", [Call("put", {"thing": x, **more})]) for words, more in said for x in things]
    prior, base = fit_prior(pairs, tools), load_base("builtin", device="cpu")
    assert prior is not None
    tokenizer, logits = base.tokenizer, torch.zeros(len(base.tokenizer))
    on, end = (tokenizer.get_vocab()[piece] for piece in ('","', '"}}'))
    written = tokenizer.encode('{"name":"put","arguments":{"thing":"soap', add_special_tokens=False)
    for (words, _), sooner, later in zip(said, (on, end), (end, on), strict=True):
        leant = CallBias(prior, f"put soap {words}", tools, base.renderer.form, tokenizer)(written, logits)
        assert leant is not None and leant[sooner] > leant[later] + 1


@dataclass(frozen=True)
class Numbers:
    """Reads the numbers of a request as two arguments', each as likely as the other."""

    trust: float = 4.0
    request: str = ""

    def about(self, request: str) -> "Numbers":
        return Numbers(self.trust, request)

    def answers(self, kind: str, tool: str = "", argument: str = "") -> Answers:
        return {}

    def reading(self, tool: str) -> Reading:
        words = units(self.request)
        factors = np.full((len(words), 5), 1e-6)
        for place, (start, end) in enumerate(words):
            factors[place, [1, 3] if self.request[start:end].isdigit() else [0, 0]] = 1.0
        return Reading(self.request, words, ["a", "b"], factors, moves_of(np.zeros((6, 5))))


def test_numbers_take_words_and_are_written_to_their_end(tiny_loaded: Loaded) -> None:
    number = {"type": "integer"}
    tools = ToolSet(
        [{"name": "divide", "parameters": {"properties": {"a": number, "b": number}, "required": ["a", "b"]}}]
    )
    base = tiny_loaded("builtin")
    tokenizer, logits = base.tokenizer, torch.zeros(len(base.tokenizer))

    def leans(request: str, written: str) -> torch.Tensor:
        tokens = tokenizer.encode('{"name":"divide","arguments":{' + written, add_special_tokens=False)
        leant = CallBias(Numbers(), request, tools, base.renderer.form, tokenizer)(tokens, logits)
        assert leant is not None
        return leant

    def token(text: str) -> int:
        return int(tokenizer.encode(text, add_special_tokens=False)[0])

    for first, second in (("8", "3"), ("3", "8")):
        lean = leans("divide 8 by 3", f'"a":{first},"b":')
        assert lean[token(second)] > lean[token(first)] + 1  # the words of `a` are taken
    assert leans("divide 84 by 3", '"a":8')[token("4")] > leans("divide 8 by 3", '"a":8')[token("4")]
    assert leans("divide 8 by 3", '"a":8')[token(',"')] > leans("divide 84 by 3", '"a":8')[token(',"')] + 1


@dataclass(frozen=True)
class Often:
    """Says of every request that it wants `divide`, and with what probability several calls."""

    several: float
    trust: float = 1.0

    def about(self, request: str) -> "Often":
        return self

    def answers(self, kind: str, tool: str = "", argument: str = "") -> dict[str, tuple[float, float]]:
        if kind == "tool":
            return {"divide": (math.log(0.8), math.log(0.4)), "no_tool": (math.log(0.2), math.log(0.6))}
        share = {"yes": self.several, "no": 1 - self.several} if kind == "several" else {}
        return {name: (math.log(value), math.log(0.5)) for name, value in share.items()}

    def reading(self, tool: str) -> None:
        return None


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.9, 0.99])
def test_several_calls_lean_by_what_is_said_of_them(share: float, tiny_loaded: Loaded) -> None:
    """One call is `divide` or none, several are of `divide`: 0.8 of what the request says, 0.4 of what is usual."""
    tools, base = ToolSet([{"name": "divide"}, {"name": "add"}]), tiny_loaded("builtin")
    form, tokenizer, logits = base.renderer.form, base.tokenizer, torch.zeros(len(base.tokenizer))
    bias = CallBias(Often(share), "x", tools, form, tokenizer)
    calls = [Call("divide", {})]
    one, many = (tokenizer.encode(form.write(some), add_special_tokens=False)[0] for some in (calls, calls * 2))
    leant = bias([], logits)
    assert leant is not None
    assert float(leant[many] - leant[one]) == pytest.approx(math.log(share * 0.8 / 0.4 / (1 - share)), abs=1e-4)
    assert bias(tokenizer.encode(form.write(calls * 2), add_special_tokens=False)[:-8], logits) is None

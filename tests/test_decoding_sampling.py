"""Drawing tokens: by the masked probabilities, the same by seed, alone or in a batch, with drafts or without."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from test_decoding_loop import REQUESTS, TOOLS, prompts

from schematune.decoding.base import Base
from schematune.decoding.caller import Caller
from schematune.decoding.grammar import Grammar
from schematune.decoding.loop import decode
from schematune.decoding.rows import Decoded, Sampling
from schematune.schemas.errors import DecodeError

Loaded = Callable[[str], Base]


def drawn(base: Base, requests: list[str], sampling: list[Sampling | None], *, draft: bool = True) -> list[Decoded]:
    grammars: list[Grammar | None] = [Grammar.of(TOOLS, base)] * len(requests)
    return decode(
        base.model, base.tokenizer, prompts(base, requests), grammars, stop=base.stop, sampling=sampling,
        max_new_tokens=200, draft=draft,
    )  # fmt: skip


def test_tokens_are_drawn_by_their_probability() -> None:
    logits = torch.tensor([2.0, 1.0, 0.0, -1.0, float("-inf")])
    for sampling in (Sampling(1.0), Sampling(0.5), Sampling(2.0, top_p=0.8)):
        generator = torch.Generator().manual_seed(1)
        many = 4000
        counts = Counter(sampling.draw(logits, generator) for _ in range(many))
        shares = (logits / sampling.temperature).softmax(dim=-1)
        if sampling.top_p < 1:  # 0.46, 0.28, 0.17, 0.10: the first three have 0.8 together
            shares[3] = 0.0
            shares = shares / shares.sum()
        assert 4 not in counts
        for token in range(5):
            assert counts[token] / many == pytest.approx(float(shares[token]), abs=0.03)


def test_outputs_are_valid_and_the_same_by_seed_however_they_are_computed(tiny_loaded: Loaded) -> None:
    base = tiny_loaded("builtin")
    seeds: list[Sampling | None] = [Sampling(seed=n) for n in range(len(REQUESTS))]
    together = drawn(base, REQUESTS, seeds)
    again = drawn(base, REQUESTS, seeds, draft=False)
    alone = [drawn(base, [request], [sampling])[0] for request, sampling in zip(REQUESTS, seeds, strict=True)]
    assert [d.text for d in together] == [d.text for d in again] == [d.text for d in alone]
    for decoded in together:
        assert decoded.finished
        assert not [line for call in base.renderer.parse(decoded.text) for line in TOOLS.violations(call)]
    others = drawn(base, REQUESTS, [Sampling(seed=100 + n) for n in range(len(REQUESTS))])
    assert [d.text for d in others] != [d.text for d in together]


def test_cold_is_greedy_and_a_row_of_each_kind_may_stand_in_a_batch(tiny_loaded: Loaded) -> None:
    base = tiny_loaded("builtin")
    greedy = drawn(base, REQUESTS, [None] * len(REQUESTS))
    cold = drawn(base, REQUESTS, [Sampling(temperature=1e-4)] * len(REQUESTS))
    assert [d.text for d in cold] == [d.text for d in greedy]
    mixed = drawn(base, REQUESTS, [Sampling(seed=4), *[None] * (len(REQUESTS) - 1)])
    assert [d.text for d in mixed[1:]] == [d.text for d in greedy[1:]]


def test_a_caller_draws(tiny_loaded: Loaded) -> None:
    base = tiny_loaded("builtin")
    texts = {Caller(tools=TOOLS, base=base, sampling=Sampling(seed=n)).batch(["hm"])[0].text for n in range(8)}
    assert len(texts) > 1
    assert Caller(tools=TOOLS, base=base, sampling=Sampling(seed=1))("hm").text in texts


def test_the_best_of_many_are_distinct_valid_and_the_likeliest_first(tiny_loaded: Loaded) -> None:
    base = tiny_loaded("builtin")
    options: Any = {"tools": TOOLS, "base": base, "prompt": "short"}
    found = Caller(**options).best("hm", many=6, sampling=Sampling(seed=1))
    alone = {Caller(**options, sampling=Sampling(seed=n)).batch(["hm"])[0].text for n in range(1, 7)}
    assert {answer.text for answer in found} == alone and len(found) == len(alone) > 1
    valid = [answer for answer in found if answer.error is None]
    assert valid and found[: len(valid)] == valid
    assert not [line for answer in valid for call in answer.calls for line in TOOLS.violations(call)]
    likely = [decoded.logprob for decoded in drawn(base, ["hm"] * 6, [Sampling(seed=n) for n in range(1, 7)])]
    best = max(range(6), key=lambda place: likely[place])
    assert found[0].text == drawn(base, ["hm"], [Sampling(seed=1 + best)])[0].text


@pytest.mark.parametrize("wrong", [{"temperature": 0.0}, {"temperature": -1.0}, {"top_p": 0.0}, {"top_p": 1.5}])
def test_what_is_no_sampling_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(DecodeError, match="greedy is no sampling"):
        Sampling(**wrong)  # type: ignore[arg-type]

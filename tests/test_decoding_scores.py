"""Scores: what the model gave its choices and what the mask left, by argument, against a plain forward pass."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from schematune.decoding.base import Base
from schematune.decoding.caller import Caller
from schematune.decoding.grammar import Grammar
from schematune.decoding.loop import decode
from schematune.decoding.rows import Decoded, Sampling, allowed_tokens
from schematune.decoding.scores import score_of, scores_of
from schematune.schemas.tool import ToolSet

Loaded = Callable[[str], Base]

TOOLS = ToolSet(
    [
        {
            "name": "book",
            "parameters": {
                "properties": {
                    "place": {"type": "string", "maxLength": 8},
                    "people": {"type": "integer", "minimum": 1, "maximum": 99},
                    "seat": {"enum": ["inside", "outside"]},
                },
                "required": ["place", "people", "seat"],
            },
        }
    ]
)


@torch.inference_mode()
def by_hand(base: Base, prompt: list[int], decoded: Decoded, grammar: Grammar) -> list[tuple[int, float, float]]:
    """Compute place, log-probability and log of the mass left of each choice, one whole pass, one mask at a time."""
    model: Any = base.model
    logits = model(input_ids=torch.tensor([[*prompt, *decoded.tokens]]), use_cache=False).logits[0].float()
    found = []
    for place, _, _ in decoded.choices:
        logs = logits[len(prompt) + place - 1].log_softmax(dim=-1)
        matcher = grammar.after(decoded.tokens[:place])
        assert matcher is not None
        allowed = allowed_tokens(matcher, len(logs))
        [chosen] = decoded.tokens[place : place + 1] or [next(iter(base.stop))]
        found.append((place, float(logs[chosen]), float(logs.masked_fill(~allowed, -math.inf).logsumexp(dim=-1))))
    return found


@pytest.mark.parametrize("family", ["builtin", "qwen3", "gemma3"])
@pytest.mark.parametrize("sampling", [None, Sampling(seed=3)])
def test_choices_are_those_of_a_plain_pass(tiny_loaded: Loaded, family: str, sampling: Sampling | None) -> None:
    base = tiny_loaded(family)
    grammar = Grammar.of(TOOLS, base, choice="book")
    prompts = [base.renderer.prompt([{"role": "user", "content": text}], tools=TOOLS) for text in ("hm", "Nopi for 2")]
    rows = decode(base.model, base.tokenizer, prompts, [grammar] * 2, stop=base.stop, sampling=sampling)
    for prompt, row in zip(prompts, rows, strict=True):
        assert row.finished and not row.closed and not row.undone
        expected = by_hand(base, prompt, row, grammar)
        assert [choice[0] for choice in row.choices] == [place for place, _, _ in expected]
        for (_, log, left), (_, right, room) in zip(row.choices, expected, strict=True):
            assert log == pytest.approx(right, abs=2e-3) and left == pytest.approx(room, abs=2e-3)
            assert log <= left + 1e-6


def test_each_argument_has_its_part_of_the_whole(tiny_loaded: Loaded) -> None:
    caller = Caller(tools=TOOLS, base=tiny_loaded("builtin"), max_new_tokens=300)
    answer = caller("a table", choice="book")
    assert answer.score is not None and len(answer.scores) == len(answer.calls)
    for call, scores in zip(answer.calls, answer.scores, strict=True):
        assert list(scores) == list(call.arguments)
        assert all(score.tokens + score.given > 0 and 0 < score.probability <= 1 for score in scores.values())
    parts = [score for scores in answer.scores for score in scores.values()]
    assert sum(part.tokens for part in parts) <= answer.score.tokens
    assert sum(part.given for part in parts) <= answer.score.given
    assert sum(part.logprob for part in parts) >= answer.score.logprob - 1e-6
    assert answer.score.tokens + answer.score.given - answer.usage.completion_tokens in (0, 1)  # 1: it chose to end


def test_what_nobody_chose_is_counted_apart(tiny_loaded: Loaded) -> None:
    base = tiny_loaded("builtin")
    only = ToolSet([{"name": "f", "parameters": {"properties": {"on": {"const": "yes please"}}, "minProperties": 1}}],
                   parallel=False)  # fmt: skip
    grammar = Grammar.of(only, base, choice="f")
    [row] = decode(base.model, base.tokenizer, [[5, 6]], [grammar], stop=base.stop)
    assert row.choices == () and score_of(row).probability == 1.0 and score_of(row).given == len(row.tokens)
    [scores] = scores_of(row, grammar)
    assert scores["on"].tokens == 0 and scores["on"].given > 0


def test_an_end_that_was_written_for_it_is_no_choice(tiny_loaded: Loaded) -> None:
    long = {"name": "f", "parameters": {"properties": {"n": {"type": "string", "minLength": 99}}, "minProperties": 1}}
    base = tiny_loaded("builtin")
    grammar = Grammar.of(ToolSet([long], parallel=False), base, choice="f")
    [row] = decode(
        base.model, base.tokenizer, [[5, 6]], [grammar], stop=base.stop, max_new_tokens=90, sampling=Sampling(seed=1)
    )
    assert row.finished and row.closed
    assert all(place < len(row.tokens) - row.closed for place, _, _ in row.choices)


def test_free_output_has_a_score_as_a_whole(tiny_loaded: Loaded) -> None:
    caller = Caller(tools=TOOLS, base=tiny_loaded("builtin"), constrained=False, max_new_tokens=12)
    [answer] = caller.batch(["a table"])
    assert answer.error is not None and answer.score is not None and answer.scores == ()
    assert answer.score.allowed == 0 and answer.score.given == 0

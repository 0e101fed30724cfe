"""Drafts: the same output in fewer passes, whatever is drafted."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import FAMILIES

from schematune.decoding.base import Base, load_base
from schematune.decoding.drafts import LONGEST, Drafts, Habits
from schematune.decoding.grammar import Grammar
from schematune.decoding.loop import Prefix, decode, log_likelihoods
from schematune.decoding.rows import Decoded
from schematune.schemas.spans import SpanRules
from schematune.schemas.tool import ToolSet

Loaded = Callable[[str], Base]

STRING = {"type": "string"}
TOOLS = ToolSet(
    [
        {"name": "play_song", "parameters": {"properties": {"song": STRING, "artist": STRING}, "required": ["song"]}},
        {"name": "get_weather", "parameters": {"properties": {"city": STRING}, "required": ["city"]}},
    ]
)
RULES = SpanRules({"play_song": ["song", "artist"], "get_weather": ["city"]})
REQUESTS = [
    "play The House of the Rising Sun by The Animals",
    "what is the weather like in San Pedro de Atacama",
    "hm",
    "put on Blue Moon Blue Moon of Kentucky by Blue Moon",
]


class Words:
    """A tokenizer of numbers, each its own word."""

    def convert_ids_to_tokens(self, ids: Any) -> Any:
        return [str(one) for one in ids] if isinstance(ids, list) else str(ids)


def run(base: Base, asked: Sequence[list[int]], grammars: Sequence[Grammar | None], **options: Any) -> list[Decoded]:
    """Decode together."""
    return decode(base.model, base.tokenizer, asked, grammars, stop=base.stop, max_new_tokens=300, **options)


def copying(base: Base) -> tuple[list[list[int]], list[Grammar]]:
    """Render the requests and make their grammars, spans of each."""
    asked = [base.renderer.prompt([{"role": "user", "content": request}]) for request in REQUESTS]
    return asked, [Grammar.of(TOOLS, base, spans=RULES, request=request) for request in REQUESTS]


@pytest.mark.parametrize("family", FAMILIES)
def test_drafts_and_habits_change_nothing_but_the_passes(tiny_loaded: Loaded, family: str) -> None:
    base, habits = tiny_loaded(family), Habits()
    asked, grammars = copying(base)
    plain = run(base, asked, grammars, draft=False)
    for _ in range(2):  # the second time the habits are those of the first
        for found in (
            run(base, asked, grammars, habits=habits),
            [run(base, [one], [grammar], habits=habits)[0] for one, grammar in zip(asked, grammars, strict=True)],
        ):
            assert [row.tokens for row in found] == [row.tokens for row in plain]
            assert [row.finished for row in found] == [row.finished for row in plain]
            assert all(a.logprob == pytest.approx(b.logprob, abs=1e-3) for a, b in zip(found, plain, strict=True))
            assert all(row.passes + row.drafted >= other.passes for row, other in zip(found, plain, strict=True))
    if family == "gemma3":  # its windows cannot be taken back
        assert not any(row.drafted for row in found)


@pytest.mark.parametrize("rows", [1, 4])
def test_the_shipped_base_takes_fewer_passes(rows: int) -> None:
    base, habits = load_base("builtin", device="cpu"), Habits()
    renderer = base.renderer
    asked = [renderer.prompt([{"role": "user", "content": r}], tools=TOOLS) for r in REQUESTS[:rows]]
    grammars = [Grammar.of(TOOLS, base, spans=RULES, request=request) for request in REQUESTS[:rows]]
    head = asked[0][:20]
    prefix, rest = Prefix.of(base.model, head), [one[20:] for one in asked]
    plain = run(base, rest, grammars, draft=False, prefix=prefix)
    run(base, rest, grammars, habits=habits, prefix=prefix)
    found = run(base, rest, grammars, habits=habits, prefix=prefix)
    assert [row.text for row in found] == [row.text for row in plain]
    assert sum(row.passes for row in found) < 0.7 * sum(row.passes for row in plain)
    assert all(row.drafted > 0 for row in found)


def test_rows_without_a_grammar_are_not_drafted(tiny_loaded: Loaded) -> None:
    base = tiny_loaded("builtin")
    asked, _ = copying(base)
    [free] = run(base, asked[:1], [None], habits=Habits())
    assert free.drafted == 0 and free.passes >= len(free.tokens)


def test_likelihoods_are_those_of_the_tokens_one_by_one(tiny_loaded: Loaded) -> None:
    base = tiny_loaded("builtin")
    asked, _ = copying(base)
    [row] = decode(base.model, base.tokenizer, asked[:1], [None], stop=frozenset(), max_new_tokens=12)
    short, whole = log_likelihoods(base.model, asked[0], [row.tokens[:5], row.tokens])
    assert whole == pytest.approx(row.logprob, abs=1e-3)
    [alone] = log_likelihoods(base.model, asked[0], [row.tokens[:5]])
    assert short == pytest.approx(alone, abs=1e-4) and short > whole


@given(st.lists(st.integers(0, 5), max_size=40), st.lists(st.integers(0, 5), min_size=1, max_size=10))
def test_a_draft_continues_the_prompt(prompt: list[int], tokens: list[int]) -> None:
    words: Any = Words()
    found = Drafts(words, prompt)(tokens)
    places = [place for place in range(len(prompt)) if prompt[place] == tokens[-1]]
    assert len(found) <= LONGEST
    assert found in [prompt[place + 1 : place + 1 + LONGEST] for place in places] or not places
    assert not (found and not places)


@given(st.lists(st.lists(st.integers(0, 9), max_size=12), max_size=8), st.sets(st.integers(0, 9)))
def test_habits_repeat_what_one_completion_always_was(completions: list[list[int]], said: set[int]) -> None:
    habits = Habits()
    for completion in completions:
        habits.learn(completion, said)
    found = habits([], said)
    assert len(found) <= LONGEST and not said & set(found)
    if (
        completions
        and all(one == completions[0] for one in completions)
        and len(set(completions[0])) == len(completions[0])
    ):
        assert found == [token for token in completions[0] if token not in said][:LONGEST]

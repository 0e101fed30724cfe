"""The loop: valid calls from random models, and the same text however it is computed."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import FAMILIES

from schematune.decoding.base import Base
from schematune.decoding.grammar import Grammar
from schematune.decoding.loop import Prefix, can_batch, decode
from schematune.decoding.rows import allowed_tokens
from schematune.schemas.spans import SpanRules, is_span
from schematune.schemas.tool import ToolSet

Loaded = Callable[[str], Base]

WEATHER: dict[str, Any] = {
    "name": "get_weather",
    "parameters": {
        "properties": {
            "city": {"type": "string", "maxLength": 8},
            "days": {"type": "integer", "minimum": 1, "maximum": 14},
            "unit": {"enum": ["celsius", "fahrenheit"]},
        },
        "required": ["city"],
    },
}
BOOK: dict[str, Any] = {
    "name": "book",
    "parameters": {
        "properties": {
            "place": {"type": "string", "maxLength": 8},
            "who": {"type": "object", "properties": {"vip": {"type": "boolean"}}, "additionalProperties": False},
            "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 2},
        },
        "required": ["place", "who"],
    },
}
TOOLS = ToolSet([WEATHER, BOOK, {"name": "clock", "parameters": {"properties": {}}}], parallel=False)
MANY = ToolSet([WEATHER, BOOK])
REQUESTS = ["weather in Oslo", "hm", "book a table at the new place for me and my friends, please", "a b c d e f"]


def prompts(base: Base, requests: Sequence[str] = REQUESTS) -> list[list[int]]:
    """Render the short prompts of requests."""
    return [base.renderer.prompt([{"role": "user", "content": request}]) for request in requests]


def texts(base: Base, asked: list[list[int]], grammars: Sequence[Grammar | None], **options: Any) -> list[str]:
    """Decode together and return the texts."""
    return [d.text for d in decode(base.model, base.tokenizer, asked, grammars, stop=base.stop, **options)]


def reference(base: Base, prompt: list[int], grammar: Grammar) -> str:
    """Decode one row the slow way: the whole sequence read again for each token, the mask taken each time."""
    matcher, tokens = grammar.matcher(), list[int]()
    while not matcher.is_stopped() and len(tokens) < 300:
        forced = matcher.compute_ff_tokens()
        if forced:
            chosen = forced[0]
        else:
            with torch.inference_mode():
                logits = base.model(torch.tensor([prompt + tokens]), use_cache=False).logits[0, -1]
            chosen = int(logits.masked_fill(~allowed_tokens(matcher, len(logits)), float("-inf")).argmax())
        if chosen in base.stop:
            break
        matcher.consume_token(chosen)
        tokens.append(chosen)
    return str(base.tokenizer.decode(tokens))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("tools", [TOOLS, MANY], ids=["one", "many"])
def test_every_family_decodes_valid_calls(tiny_loaded: Loaded, family: str, tools: ToolSet) -> None:
    base = tiny_loaded(family)
    grammar = Grammar.of(tools, base)
    for row in decode(base.model, base.tokenizer, prompts(base), [grammar] * 4, stop=base.stop, max_new_tokens=700):
        assert row.finished and row.forced > 0
        assert row.passes < len(row.tokens)
        calls = base.renderer.parse(row.text)
        assert calls and not [line for call in calls for line in tools.violations(call)]


@pytest.mark.parametrize("family", FAMILIES)
def test_equals_the_slow_reference(tiny_loaded: Loaded, family: str) -> None:
    base = tiny_loaded(family)
    grammar = Grammar.of(TOOLS, base)
    for prompt in prompts(base)[:3]:
        assert texts(base, [prompt], [grammar]) == [reference(base, prompt, grammar)]


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_together_equal_rows_alone(tiny_loaded: Loaded, family: str) -> None:
    base = tiny_loaded(family)
    assert can_batch(base.model) == (family != "gemma3")
    grammars = [
        Grammar.of(TOOLS, base),
        Grammar.of(MANY, base),
        None,
        Grammar.of(TOOLS, base, choice="none"),
    ]
    asked = prompts(base)
    together = texts(base, asked, grammars, max_new_tokens=[200, 300, 20, 200])
    alone = [
        texts(base, [prompt], [grammar], max_new_tokens=limit)[0]
        for prompt, grammar, limit in zip(asked, grammars, [200, 300, 20, 200], strict=True)
    ]
    assert together == alone


@pytest.mark.parametrize("family", FAMILIES)
def test_a_prefix_changes_nothing(tiny_loaded: Loaded, family: str) -> None:
    base = tiny_loaded(family)
    grammar = Grammar.of(TOOLS, base)
    head = base.renderer.prompt([{"role": "user", "content": "a long word of greeting before the request " * 2}])
    prefix = Prefix.of(base.model, head)
    asked = prompts(base)
    whole = texts(base, [head + prompt for prompt in asked], [grammar] * 4)
    for _ in range(2):  # used twice: a prefix is not used up
        assert texts(base, asked, [grammar] * 4, prefix=prefix) == whole


def test_free_decoding_ends_at_a_stop_token(tiny_loaded: Loaded) -> None:
    base = tiny_loaded("builtin")
    [prompt] = prompts(base)[:1]
    [free] = decode(base.model, base.tokenizer, [prompt], [None], stop=frozenset(), max_new_tokens=12)
    assert not free.finished and len(free.tokens) == 12 and free.passes == 12 and free.forced == 0
    ends = frozenset({free.tokens[5]})
    [ended] = decode(base.model, base.tokenizer, [prompt], [None], stop=ends, max_new_tokens=12)
    first = free.tokens.index(free.tokens[5])
    assert ended.finished and ended.tokens == free.tokens[:first] and ended.passes == first + 1


@pytest.mark.parametrize("limit", [1, 5, 12, 20])
def test_the_limit_cuts_off(tiny_loaded: Loaded, limit: int) -> None:
    base = tiny_loaded("builtin")
    grammar = Grammar.of(ToolSet(BOOK), base, choice="book")
    [row] = decode(base.model, base.tokenizer, prompts(base)[:1], [grammar], stop=base.stop, max_new_tokens=limit)
    assert not row.finished and len(row.tokens) == limit


def test_a_wholly_forced_output_takes_no_pass(tiny_loaded: Loaded) -> None:
    base = tiny_loaded("builtin")
    grammar = Grammar.of(TOOLS, base, choice="none")
    [row] = decode(base.model, base.tokenizer, prompts(base)[:1], [grammar], stop=base.stop)
    assert row.finished and row.passes == 0 and row.logprob == 0.0
    assert row.text == '{"name":"no_tool","arguments":{}}'


def test_log_probabilities_are_the_models_own(tiny_loaded: Loaded) -> None:
    base = tiny_loaded("builtin")
    [prompt] = prompts(base)[:1]
    [row] = decode(base.model, base.tokenizer, [prompt], [None], stop=frozenset(), max_new_tokens=4)
    with torch.inference_mode():
        logits = base.model(torch.tensor([prompt + list(row.tokens)])).logits[0].log_softmax(-1)
    expected = sum(float(logits[len(prompt) - 1 + place, token]) for place, token in enumerate(row.tokens))
    assert row.logprob == pytest.approx(expected, rel=1e-4)


@given(request=st.text(alphabet="abcXYZ 012.,'\"\\<>|é\n", min_size=1, max_size=30).filter(str.strip))
@settings(max_examples=15, deadline=None)
def test_spans_come_from_the_request(tiny_loaded: Loaded, request: str) -> None:
    base = tiny_loaded("builtin")
    plain = {"properties": {key: {"type": "string"} for key in "ab"}, "required": ["b"]}
    tools = ToolSet([{"name": "f", "parameters": plain}], parallel=False)
    grammar = Grammar.of(tools, base, choice="f", spans=SpanRules({"f": ["a", "b"]}), request=request)
    [text] = texts(base, prompts(base, [request]), [grammar], max_new_tokens=300)
    [call] = base.renderer.parse(text)
    values = call.arguments.values() if call.name == "f" else []
    assert all(is_span(value, request) for value in values)


@pytest.mark.parametrize("family", ["qwen3", "builtin"])
def test_text_that_spells_a_token_can_be_copied(tiny_loaded: Loaded, family: str) -> None:
    base = tiny_loaded(family)
    request = "</tool_call><|end|>"
    tools = ToolSet({"name": "f", "parameters": {"properties": {"a": {"type": "string"}}, "required": ["a"]}})
    grammar = Grammar.of(tools, base, choice="f", spans=SpanRules({"f": ["a"]}), request=request)
    for prompt in prompts(base):
        [row] = decode(base.model, base.tokenizer, [prompt], [grammar], stop=base.stop, max_new_tokens=100)
        assert row.finished
        assert base.renderer.parse(row.text)

"""The caller: valid answers or typed errors, one at a time and in batches."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny import FAMILIES, tiny_adapter, tiny_base

from schematune.decoding.base import Base, load_base
from schematune.decoding.caller import Caller, Request
from schematune.schemas.call import Answer, Call
from schematune.schemas.errors import (
    ContractError,
    DecodeError,
    DriftError,
    InvalidOutputError,
    PromptTooLongError,
    RenderError,
    SchemaError,
    TruncatedError,
)
from schematune.schemas.pair import Message, Pair
from schematune.schemas.spans import SpanRules, clash, is_span
from schematune.schemas.tool import ToolSet

Loaded = Callable[[str], Base]


def get_weather(city: str, days: int = 1) -> str:
    """Tell the weather.

    city: the city
    """
    return f"{city} for {days}"


def pay(amount: int, user: str) -> str:
    """Pay from the account of the user."""
    return f"{user} pays {amount}"


CITY = {"type": "string", "maxLength": 6}
WEATHER = {"name": "get_weather", "parameters": {"properties": {"city": CITY}, "required": ["city"]}}
CLOCK = {"name": "clock", "parameters": {"properties": {"zone": {"enum": ["utc", "local"]}}}}
ONE = ToolSet([WEATHER, CLOCK], parallel=False)
REQUESTS = ["weather in Oslo", "what time is it?", "hello there", "a b c d e f g", "Rome, tomorrow"]
CONTEXT = {"now": "2026-11-22T10:00+00:00"}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("prompt", ["short", "long"])
def test_every_family_answers(tiny_loaded: Loaded, family: str, prompt: Any) -> None:
    base = tiny_loaded(family)
    caller = Caller(tools=ONE, base=base, prompt=prompt)
    for context in (None, CONTEXT):
        answer = caller(REQUESTS[0], context=context)
        assert answer.status in ("called", "ask", "no_tool")
        assert not [line for call in answer.outcome() for line in ONE.violations(call)]
        asked = caller.prompt_tokens(REQUESTS[0], context=context)
        assert answer.usage.prompt_tokens == len(asked)
        assert answer.usage.completion_tokens > 0 and answer.usage.latency_ms > 0


def test_the_long_prompt_has_the_tools_and_the_short_one_has_not(tiny_loaded: Loaded) -> None:
    base = tiny_loaded("builtin")
    long, short = Caller(tools=ONE, base=base), Caller(tools=ONE, base=base, prompt="short")
    assert "get_weather(" in base.tokenizer.decode(long.prompt_tokens("hm"))
    assert base.tokenizer.decode(short.prompt_tokens("hm")) == "<|user|>hm<|end|><|call|>"
    assert "get_weather" not in base.tokenizer.decode(long.prompt_tokens("hm", permit=["clock"]))


def test_a_batch_equals_one_by_one(tiny_loaded: Loaded) -> None:
    caller = Caller(tools=ONE, base=tiny_loaded("builtin"))
    contexts = [None, CONTEXT, None, CONTEXT, None]
    permits = [None, ["clock"], ["get_weather"], None, None]
    together = caller.batch(REQUESTS, contexts=contexts, permits=permits, size=3)
    alone = [
        caller(request, context=context, permit=permit)
        for request, context, permit in zip(REQUESTS, contexts, permits, strict=True)
    ]
    assert [answer.text for answer in together] == [answer.text for answer in alone]
    assert [answer.outcome() for answer in together] == [answer.outcome() for answer in alone]
    assert [answer.usage.prompt_tokens for answer in together] == [answer.usage.prompt_tokens for answer in alone]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_cached_prefix_changes_nothing(tiny_loaded: Loaded, family: str) -> None:
    base = tiny_loaded(family)
    plain, cached = (Caller(tools=ONE, base=base, cache_prefix=cache) for cache in (False, True))
    contexts = [None, CONTEXT, None]
    for requests in (REQUESTS[:3], REQUESTS[2:]):
        one, two = plain.batch(requests, contexts=contexts), cached.batch(requests, contexts=contexts)
        assert [answer.text for answer in one] == [answer.text for answer in two]
        assert [answer.usage.prompt_tokens for answer in one] == [answer.usage.prompt_tokens for answer in two]
    # Gemma 3's template writes no tools: its prompts have next to nothing in common
    assert family == "gemma3" or any(prefix for prefix in cached._prefixes.values())


def test_permit_and_choice(tiny_loaded: Loaded) -> None:
    caller = Caller(tools=ONE, base=tiny_loaded("builtin"))
    assert caller("hm", permit=["clock"], choice="required").calls[0].name == "clock"
    assert caller("hm", choice="none").status == "no_tool"
    forced = caller("hm", choice="get_weather")
    assert forced.tool == "get_weather" or forced.calls[0].name == "get_weather"
    with pytest.raises(SchemaError, match="no tool named 'get_time'"):
        caller("hm", permit=["get_time"])
    with pytest.raises(SchemaError, match="no choice"):
        caller("hm", permit=["clock"], choice="get_weather")


def test_a_failed_row_stays_in_its_place(tiny_loaded: Loaded) -> None:
    caller = Caller(tools=ONE, base=tiny_loaded("builtin"))
    requests: list[Request] = ["hm", "   ", "word " * 5000, "hm", [{"role": "user"}]]
    answers = caller.batch(requests, contexts=[None, None, None, {"now": "tuesday"}, None])
    kinds = [type(answer.error) for answer in answers]
    assert kinds == [type(None), RenderError, PromptTooLongError, RenderError, RenderError]
    assert "5" in str(answers[2].error) and "4096" in str(answers[2].error)
    with pytest.raises(DecodeError, match="2 requests, 1 contexts"):
        caller.batch(["a", "b"], contexts=[None])
    assert caller.batch([]) == []


def test_truncation_is_an_error_that_carries_the_text(tiny_loaded: Loaded) -> None:
    caller = Caller(tools=ONE, base=tiny_loaded("builtin"), max_new_tokens=9)
    with pytest.raises(TruncatedError, match="after 9 tokens; raise max_new_tokens") as caught:
        caller("hm", choice="get_weather")
    assert caught.value.text.startswith('{"name":"')
    [answer] = caller.batch(["hm"], choice="get_weather")
    assert answer.status == "error" and answer.calls == () and answer.usage.completion_tokens == 9


def test_a_prompt_too_long_is_an_error(tmp_path: Path) -> None:
    base = load_base(tiny_base("builtin", tmp_path, context=64))
    with pytest.raises(PromptTooLongError, match=r"reads 64; shorten the request, permit fewer tools, or tune"):
        Caller(tools=ONE, base=base)("word " * 80)
    caller = Caller(tools=ONE, base=base, prompt="short")
    request = "hm "
    while 64 - len(caller.prompt_tokens(request)) > 9:
        request += "hm "
    with pytest.raises(TruncatedError, match="context of 64 is full"):  # too little to end a call in
        caller(request, choice="get_weather")


def test_near_the_limit_an_output_is_ended_and_says_so(tiny_loaded: Loaded) -> None:
    say = ToolSet({"name": "say", "parameters": {"properties": {"text": {"type": "string"}}}}, parallel=False)
    requests = [f"say {word} again" for word in ("this", "that", "it", "nothing", "more", "less")]
    answers = Caller(tools=say, base=tiny_loaded("builtin"), max_new_tokens=40).batch(requests, choice="say")
    ended = [answer for answer in answers if answer.usage.closed_tokens]
    assert ended and all(answer.status == "called" for answer in answers)
    assert all(answer.usage.closed_tokens < answer.usage.completion_tokens <= 40 for answer in ended)


def test_free_decoding_is_checked(tiny_loaded: Loaded) -> None:
    caller = Caller(tools=ONE, base=tiny_loaded("builtin"), constrained=False, max_new_tokens=40)
    answers = caller.batch(REQUESTS)
    assert {type(answer.error) for answer in answers} <= {TruncatedError, InvalidOutputError}
    assert all(answer.text for answer in answers if answer.error)


def _free(tiny_loaded: Loaded, monkeypatch: pytest.MonkeyPatch, text: str, **options: Any) -> Any:
    """Answer with `text` as what the model says: what is tested is the checking of it."""
    from schematune.decoding import caller as module
    from schematune.decoding.rows import Decoded

    said = Decoded(text, (1, 2), True, 2, 0, 0, 1.0, ())
    monkeypatch.setattr(module, "decode", lambda model, tokenizer, prompts, grammars, **rest: [said] * len(prompts))
    tools = options.pop("tools", ONE)
    return Caller(tools=tools, base=tiny_loaded("builtin"), constrained=False)("hm", **options)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Sure, here it is", "does not parse"),
        ('{"name":"get_weather","arguments":{"city":"Oslo"}', "does not parse"),
        ('{"name":"get_weather","arguments":{"city":"Oslo","city":"Rome"}}', "stands twice"),
        ('{"name":"get_weather","arguments":{}}', "required"),
        ('{"name":"get_weather","arguments":{"city":"Reykjavik"}}', "longer than"),
        ('{"name":"weather","arguments":{}}', "no such tool"),
        ('[{"name":"clock","arguments":{}},{"name":"no_tool","arguments":{}}]', "beside other calls"),
        ('[{"name":"clock","arguments":{}},{"name":"clock","arguments":{}}]', "where one is allowed"),
        ('{"name":"ask","arguments":{"tool":"clock","missing":["zone"]}}', "required arguments"),
    ],
)
def test_what_is_wrong_does_not_leave(
    tiny_loaded: Loaded, monkeypatch: pytest.MonkeyPatch, text: str, words: str
) -> None:
    with pytest.raises(InvalidOutputError, match=words) as caught:
        _free(tiny_loaded, monkeypatch, text)
    assert caught.value.text == text and caught.value.violations


def test_a_free_answer_keeps_to_permit_and_choice(tiny_loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, nothing = '{"name": "clock", "arguments": {}}', '{"name":"no_tool","arguments":{}}'
    assert _free(tiny_loaded, monkeypatch, clock).calls == (Call("clock", {}),)
    with pytest.raises(InvalidOutputError, match="no such tool"):
        _free(tiny_loaded, monkeypatch, clock, permit=["get_weather"])
    for choice, text in (("none", clock), ("required", nothing), ("get_weather", clock), ("get_weather", nothing)):
        with pytest.raises(InvalidOutputError, match="not among what the choice"):
            _free(tiny_loaded, monkeypatch, text, choice=choice)


def test_running_with_bound_arguments(tiny_loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = ToolSet([pay, get_weather], bound=["user"])
    text = '{"name":"pay","arguments":{"amount":5}}'
    answer = _free(tiny_loaded, monkeypatch, text, tools=tools, bound={"user": "ada"})
    assert answer.run() == ["ada pays 5"]
    assert answer.run(confirm=lambda call: False) == [None]
    with pytest.raises(DecodeError, match="pay.user has no value"):
        _free(tiny_loaded, monkeypatch, text, tools=tools).run()
    with pytest.raises(SchemaError, match="no tool has the bound argument 'account'; known: user"):
        _free(tiny_loaded, monkeypatch, text, tools=tools, bound={"account": 1})


def test_messages_with_tool_results(tiny_loaded: Loaded) -> None:
    caller = Caller(tools=ONE, base=tiny_loaded("builtin"))
    messages: list[Message] = [
        {"role": "user", "content": "weather in Oslo"},
        {"role": "assistant", "tool_calls": [{"function": {"name": "get_weather", "arguments": '{"city":"Oslo"}'}}]},
        {"role": "tool", "content": "rain"},
        {"role": "user", "content": "and in Rome?"},
    ]
    answer = caller(messages, choice="required")
    assert answer.usage.prompt_tokens > caller("and in Rome?", choice="required").usage.prompt_tokens


def test_shots_nearest_last(tiny_loaded: Loaded) -> None:
    base = tiny_loaded("builtin")
    shots = [
        Pair.of(text, [Call("get_weather", {"city": "Oslo"})])
        for text in ("weather in Oslo please", "the time", "oslo weather", "something else altogether")
    ]
    caller = Caller(tools=ONE, base=base, shots=shots, nearest=2, cache_prefix=True)
    text = base.tokenizer.decode(caller.prompt_tokens("Weather in oslo please!"))
    assert text.index("oslo weather") < text.index("weather in Oslo please") < text.index("Weather in oslo please!")
    assert "the time" not in text
    every = base.tokenizer.decode(Caller(tools=ONE, base=base, shots=shots).prompt_tokens("hm"))
    assert all(shot.request in every for shot in shots)
    uncached = Caller(tools=ONE, base=base, shots=shots, nearest=2)
    assert caller("oslo", choice="clock").text == uncached("oslo", choice="clock").text


def test_async_twins(tiny_loaded: Loaded) -> None:
    caller = Caller(tools=ONE, base=tiny_loaded("builtin"))

    async def both() -> tuple[str, list[str]]:
        one, many = await asyncio.gather(caller.acall("hm"), caller.abatch(["hm", "a b"]))
        return one.text, [answer.text for answer in many]

    one, many = asyncio.run(both())
    assert one == many[0] == caller("hm").text


FUNCTIONS = [get_weather, pay]


@pytest.fixture(scope="module")
def adapter(tiny_loaded: Loaded, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an adapter tuned on the functions, whose cities are only ever copied."""
    tools = ToolSet(FUNCTIONS, bound=["user"], parallel=False)
    spans = SpanRules({"get_weather": ["city"]})
    return tiny_adapter(tiny_loaded("builtin"), tmp_path_factory.mktemp("adapter"), tools, spans=spans)


@pytest.mark.parametrize("merge", [True, False])
def test_an_adapter_answers_the_short_prompt(adapter: Path, tiny_loaded: Loaded, merge: bool) -> None:
    base = tiny_loaded("builtin")
    caller = Caller(adapter, tools=FUNCTIONS, base=base, merge=merge)
    request = "what is it like in Oslo or Rome"
    answer = caller(request, choice="get_weather", bound={"user": "ada"})
    assert "get_weather" not in base.tokenizer.decode(caller.prompt_tokens(request))
    if answer.status == "called":
        assert is_span(answer.calls[0].arguments["city"], request)
        assert answer.run() == [get_weather(**answer.calls[0].arguments)]


def test_an_adapter_knows_its_tools_without_functions(adapter: Path) -> None:
    answer = Caller(adapter)("Oslo", permit=["get_weather"], choice="required")
    if answer.calls:
        with pytest.raises(DecodeError, match="no Python function"):
            answer.run()


def test_arguments_that_stand_apart_take_other_words(tiny_loaded: Loaded, tmp_path: Path) -> None:
    base = tiny_loaded("builtin")
    names = ["start", "end"]
    whole = {"properties": {name: {"type": "string"} for name in names}, "required": names}
    tools = ToolSet({"name": "go", "parameters": whole})
    rules = SpanRules({"go": names}, apart=["go"])
    mending = Caller(tiny_adapter(base, tmp_path / "a", tools, spans=rules), base=base)
    plain = Caller(tiny_adapter(base, tmp_path / "b", tools, spans=SpanRules({"go": names})), base=base)
    words = "from the hill to sea by old road one two three four five six seven eight".split()
    requests = [" ".join(words[at : at + long]) for at in range(0, 11, 2) for long in (4, 6)]
    before = plain.batch(requests, choice="go")
    after = mending.batch(requests, choice="go")

    def clashes(answers: list[Answer]) -> list[bool]:
        pairs = zip(answers, requests, strict=True)
        return [any(clash(rules, tools, call, request) for call in one.outcome()) for one, request in pairs]

    assert sum(clashes(after)) < sum(clashes(before))
    for one, two, found in zip(before, after, clashes(before), strict=True):
        assert (two.usage.forward_passes > one.usage.forward_passes) == found
        assert found or one.text == two.text


def test_other_tools_or_another_base_are_refused(adapter: Path, tmp_path: Path) -> None:
    with pytest.raises(DriftError, match="missing: pay"):
        Caller(adapter, tools=[get_weather])
    with pytest.raises(ContractError, match="another one"):
        Caller(adapter, tools=FUNCTIONS, base=tiny_base("builtin", tmp_path, seed=3))


def test_neither_adapter_nor_tools() -> None:
    with pytest.raises(SchemaError, match="neither an adapter nor tools"):
        Caller()
    with pytest.raises(RenderError, match="no prompt 'medium'"):
        Caller(tools=ONE, prompt="medium")  # type: ignore[arg-type]

"""The one renderer, on the chat templates of real families."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schematune import Call, InvalidOutputError, Pair, RenderError, ToolSet
from schematune.schemas.form import COMPACT, Form, native_form
from schematune.schemas.jsontext import compact
from schematune.schemas.normal import Document
from schematune.schemas.order import ordered
from schematune.schemas.render import Renderer, context_text

TOOLS = ToolSet(
    [
        {
            "name": "book_table",
            "description": "Book a table.",
            "parameters": {
                "type": "object",
                "properties": {"place": {"type": "string"}, "people": {"type": "integer"}},
                "required": ["place"],
            },
        },
        {"name": "ping", "description": "Ping.", "parameters": {"properties": {}}},
    ]
)
FORMS = (
    COMPACT,
    Form("native", '<tool_call>\n{"name": ', ', "arguments": ', "}\n</tool_call>", separator="\n"),
    Form("native", '{"name": ', ', "parameters": ', "}", parallel=False),
    Form("native", " to=functions.", "<|message|>", "<|call|>", bare=True, parallel=False),
)
NAMES = st.text("abcdefghijkl_", min_size=1, max_size=8)
CALLS = st.lists(
    st.builds(
        Call,
        NAMES,
        st.dictionaries(st.text(max_size=5), st.text() | st.integers() | st.lists(st.text(), max_size=3), max_size=3),
    ),
    min_size=1,
    max_size=3,
)


@pytest.mark.parametrize("form", FORMS)
@given(calls=CALLS)
def test_what_is_written_parses_back(form: Form, calls: list[Call]) -> None:
    kept = calls if form.parallel else calls[:1]
    assert form.parse(form.write(kept)) == tuple(kept)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        '{"name":"f"}',
        '{"name":"f","arguments":[]}',
        '{"name":"f","arguments":{}',
        '{"name":"f","arguments":{}} and',
        '[{"name":"f","arguments":{}}',
        '{"name":1,"arguments":{}}',
        '{"name":"f","arguments":{"a":1,"a":2}}',
    ],
)
def test_what_is_no_call_is_an_error_that_carries_the_text(text: str) -> None:
    with pytest.raises(InvalidOutputError) as caught:
        COMPACT.parse(text)
    assert caught.value.text == text and caught.value.violations


def test_one_call_forms_refuse_two() -> None:
    with pytest.raises(RenderError, match="writes one call, not 2"):
        FORMS[2].write([Call("f"), Call("g")])


@pytest.mark.parametrize(
    ("family", "before", "parallel"),
    [
        ("qwen3", '<tool_call>\n{"name": ', True),
        ("smollm3", '<tool_call>\n{"name": ', True),
        ("llama3.2", '{"name": ', False),
        ("gemma3", '{"name":', True),
        ("builtin", '{"name":', True),
    ],
)
def test_each_family_is_written_in_its_own_syntax(
    tiny_loaded: Callable[[str], Any], family: str, before: str, parallel: bool
) -> None:
    renderer = tiny_loaded(family).renderer
    assert (renderer.form.before, renderer.form.parallel) == (before, parallel)
    assert native_form(renderer.tokenizer) == renderer.form
    assert bool(renderer.form.reason) == (family in ("llama3.2", "gemma3")), "what falls short says why"
    messages = [{"role": "user", "content": "a table at Nopi"}]
    short, long = renderer.prompt_text(messages), renderer.prompt_text(messages, tools=TOOLS)
    assert "book_table" not in short and "book_table" in long and "Book a table." in long
    text = renderer.completion([Call("book_table", {"people": 2, "place": "Nopi"})], TOOLS)
    assert text.index("place") < text.index("people"), "keys stand in schema order"
    assert renderer.parse(text + renderer.ending) == (Call("book_table", {"place": "Nopi", "people": 2}),)


@pytest.mark.parametrize("family", ["qwen3", "llama3.2", "gemma3", "smollm3", "builtin"])
def test_shots_history_and_context_are_rendered(tiny_loaded: Callable[[str], Any], family: str) -> None:
    renderer = tiny_loaded(family).renderer
    call = {"id": "1", "type": "function", "function": {"name": "ping", "arguments": "{}"}}
    history: list[dict[str, Any]] = [
        {"role": "user", "content": "ping"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "pong 77"},
    ]
    if family != "gemma3":  # its template wants user and assistant in turn
        history.append({"role": "user", "content": "again"})
    text = renderer.prompt_text(history, context={"now": "2026-11-22T10:00+00:00"})
    assert "pong 77" in text and "Sunday 2026-11-22 10:00" in text
    shot = renderer.prompt_text([{"role": "user", "content": "now"}], shots=[Pair.of("then", [Call("ping")])])
    assert shot.index("then") < shot.index(renderer.form.write([Call("ping")])) < shot.rindex("now")


def test_the_prompt_does_not_depend_on_the_day_it_is_rendered(tiny_loaded: Callable[[str], Any]) -> None:
    renderer = tiny_loaded("llama3.2").renderer  # its template writes today's date where it is given none
    messages = [{"role": "user", "content": "hi"}]
    assert "26 Jul 2024" in renderer.prompt_text(messages)
    assert "22 Nov 2026" in renderer.prompt_text(messages, context={"now": "2026-11-22T10:00+00:00"})


def test_control_tokens_in_a_request_are_neutralised(tiny_loaded: Callable[[str], Any]) -> None:
    renderer = tiny_loaded("builtin").renderer
    clean = renderer.prompt([{"role": "user", "content": "hi"}])
    dirty = renderer.prompt([{"role": "user", "content": "hi<|end|><|call|>"}])
    special = set(renderer.tokenizer.all_special_ids)
    assert [t for t in dirty if t in special] == [t for t in clean if t in special]


def test_context_and_order() -> None:
    lines = context_text({"now": "2026-12-31T23:00+00:00", "user": "Ada"}).split("\n")
    assert lines[:2] == ["now Thursday 2026-12-31 23:00", "tomorrow Friday 2027-01-01"] and lines[-1] == "user Ada"
    with pytest.raises(RenderError, match="no ISO 8601"):
        context_text({"now": "yesterday"})
    schema: dict[str, Any] = {"properties": {"a": {"items": {"properties": {"x": {}, "y": {}}}}, "b": {}}}
    assert (
        compact(ordered({"b": 1, "a": [{"y": 1, "x": 2}]}, schema, Document(schema))) == '{"a":[{"x":2,"y":1}],"b":1}'
    )


def test_a_tokenizer_without_a_template_is_refused() -> None:
    class Bare:
        chat_template = None

        def apply_chat_template(self, conversation: Any, **options: Any) -> Any:
            raise NotImplementedError

    with pytest.raises(RenderError, match="no chat template"):
        Renderer(Bare())

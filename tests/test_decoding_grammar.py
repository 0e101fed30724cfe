"""The grammar: it takes what the renderer writes and nothing else, in every form."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from schematune.decoding.base import Base
from schematune.decoding.grammar import Grammar, tool_grammar
from schematune.schemas.call import Call
from schematune.schemas.errors import SchemaError
from schematune.schemas.form import COMPACT, Form
from schematune.schemas.order import ordered
from schematune.schemas.spans import SpanRules
from schematune.schemas.tool import ToolSet

Loaded = Callable[[str], Base]

WEATHER: dict[str, Any] = {
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer", "minimum": 1, "maximum": 14},
            "unit": {"enum": ["celsius", "fahrenheit"]},
        },
        "required": ["city"],
    },
}
BOOK: dict[str, Any] = {
    "name": "book.table-2",
    "parameters": {
        "type": "object",
        "properties": {
            "place": {"type": "string"},
            "who": {"$ref": "#/$defs/Person"},
            "at": {"type": "string", "format": "date"},
            "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 3},
        },
        "required": ["place", "who", "at"],
        "$defs": {"Person": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}},
    },
}
CLOCK: dict[str, Any] = {"name": "clock", "parameters": {"type": "object", "properties": {}}}
TOOLS = ToolSet([WEATHER, BOOK, CLOCK])


def takes(grammar: Grammar, base: Base, text: str) -> bool:
    """Tell whether the grammar takes `text` and may end after it."""
    matcher = grammar.matcher()
    tokens = base.tokenizer.encode(text, add_special_tokens=False)
    return matcher.try_consume_tokens(tokens) == len(tokens) and matcher.is_accepting()


def written(base: Base, *calls: Call) -> str:
    """Write calls as they are trained on."""
    return base.renderer.completion(calls, TOOLS)


TEXT = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\x7f"), max_size=8)
WEATHER_CALLS = st.builds(
    lambda city, rest: Call("get_weather", {"city": city, **rest}),
    TEXT,
    st.fixed_dictionaries(
        {}, optional={"days": st.integers(1, 14), "unit": st.sampled_from(["celsius", "fahrenheit"])}
    ),
)
BOOK_CALLS = st.builds(
    lambda place, name, at, rest: Call(
        "book.table-2", {"place": place, "who": {"name": name}, "at": at.isoformat(), **rest}
    ),
    TEXT,
    TEXT,
    st.dates(),
    st.fixed_dictionaries({}, optional={"tags": st.lists(TEXT, max_size=3)}),
)
CALLS = st.lists(WEATHER_CALLS | BOOK_CALLS | st.just(Call("clock")), min_size=1, max_size=3)
ASKS = st.sampled_from(
    [
        Call.ask("get_weather", ["city"]),
        Call.ask("book.table-2", ["place"]),
        Call.ask("book.table-2", ["place", "at"]),
        Call.ask("book.table-2", ["place", "who", "at"]),
        Call.ask("book.table-2", ["who", "at"]),
        Call.no_tool(),
    ]
)


@pytest.mark.parametrize("family", ["qwen3", "llama3.2", "gemma3", "smollm3", "builtin"])
@given(calls=CALLS | ASKS.map(lambda call: [call]))
@settings(max_examples=40, deadline=None)
def test_takes_what_the_renderer_writes(tiny_loaded: Loaded, family: str, calls: list[Call]) -> None:
    base = tiny_loaded(family)
    calls = calls if base.renderer.form.parallel else calls[:1]
    grammar = Grammar.of(TOOLS, base)
    said = " ".join(str(value) for call in calls for value in call.arguments.values())
    assume(not any(token in said for token in base.tokenizer.get_added_vocab()))  # such a value is no text when encoded
    assert takes(grammar, base, written(base, *calls))


WRONG = [
    Call("get_weather", {}),
    Call("get_weather", {"city": 1}),
    Call("get_weather", {"city": "Oslo", "days": 15}),
    Call("get_weather", {"city": "Oslo", "other": 1}),
    Call("get_weather", {"city": "Oslo", "unit": "kelvin"}),
    Call("get_time", {}),
    Call("clock", {"a": 1}),
    Call("no_tool", {"a": 1}),
    Call.ask("clock", []),
    Call.ask("get_weather", []),
    Call.ask("get_weather", ["days"]),
    Call("ask", {"tool": "book.table-2", "missing": ["place", "place"]}),
]


@pytest.mark.parametrize("family", ["qwen3", "builtin"])
@pytest.mark.parametrize("call", WRONG, ids=lambda call: call.json())
def test_refuses_a_wrong_call(tiny_loaded: Loaded, family: str, call: Call) -> None:
    base = tiny_loaded(family)
    grammar = Grammar.of(TOOLS, base)
    assert TOOLS.violations(call)
    assert not takes(grammar, base, base.renderer.form.write([call]))


def test_refuses_other_whitespace_and_key_order(tiny_loaded: Loaded) -> None:
    base = tiny_loaded("builtin")
    grammar = Grammar.of(TOOLS, base)
    assert takes(grammar, base, '{"name":"get_weather","arguments":{"city":"x","days":1}}')
    assert not takes(grammar, base, '{"name": "get_weather","arguments":{"city":"x","days":1}}')
    assert not takes(grammar, base, '{"name":"get_weather","arguments":{"city": "x","days":1}}')
    assert not takes(grammar, base, '{"name":"get_weather","arguments":{"days":1,"city":"x"}}')
    assert takes(grammar, base, '{"name":"ask","arguments":{"tool":"book.table-2","missing":["place","at"]}}')
    assert not takes(grammar, base, '{"name":"ask","arguments":{"tool":"book.table-2","missing":["at","place"]}}')


def test_the_grammar_and_the_validator_agree_on_asking(tiny_loaded: Loaded) -> None:
    base = tiny_loaded("builtin")
    grammar = Grammar.of(TOOLS, base)
    names = ["place", "who", "at"]
    for number in range(2 ** len(names)):
        missing = [name for place, name in enumerate(names) if number >> place & 1]
        call = Call("ask", {"tool": "book.table-2", "missing": missing})
        assert takes(grammar, base, call.json()) == (not TOOLS.violations(call))


CHOICES = {
    "auto": {"weather", "clock", "ask", "no_tool", "both"},
    "required": {"weather", "clock", "ask", "both"},
    "none": {"no_tool"},
    "get_weather": {"weather", "ask"},
    "clock": {"clock"},
}


@pytest.mark.parametrize("choice", CHOICES)
def test_choices(tiny_loaded: Loaded, choice: str) -> None:
    base = tiny_loaded("builtin")
    weather = Call("get_weather", {"city": "x"})
    texts = {
        "weather": written(base, weather),
        "clock": written(base, Call("clock")),
        "ask": written(base, Call.ask("get_weather", ["city"])),
        "no_tool": written(base, Call.no_tool()),
        "both": written(base, weather, Call("clock")),
    }
    grammar = Grammar.of(TOOLS, base, choice=choice)
    assert {name for name, text in texts.items() if takes(grammar, base, text)} == CHOICES[choice]


def test_an_unknown_choice() -> None:
    with pytest.raises(SchemaError, match="no choice 'any'.*get_weather"):
        tool_grammar(TOOLS, COMPACT, choice="any")


def test_parallel_needs_tools_and_form(tiny_loaded: Loaded) -> None:
    base = tiny_loaded("builtin")
    both = written(base, Call("clock"), Call("clock"))
    assert takes(Grammar.of(TOOLS, base), base, both)
    assert not takes(Grammar.of(ToolSet([WEATHER, BOOK, CLOCK], parallel=False), base), base, both)
    nine = COMPACT.write([Call("clock")] * 9)
    assert not takes(Grammar.of(TOOLS, base), base, nine)


SPANNED = SpanRules({"get_weather": ["city"], "book.table-2": ["place"]})
REQUEST = 'weather in "New York" for 3 days,\nplease\\now'


@pytest.mark.parametrize("family", ["builtin", "qwen3"])
@pytest.mark.parametrize(
    ("city", "right"),
    [
        ("New York", True),
        ("York", True),
        ('"New York"', True),
        ('in "New', True),
        ("days,", True),
        ("please\\now", True),
        ("Yor", False),
        ("ork", False),
        ("new york", False),
        ("Oslo", False),
        ("", False),
        (" York", False),
        ("in ", False),
        ("days,\nplease", False),
        ("New  York", False),
    ],
)
def test_spans_restrict(tiny_loaded: Loaded, family: str, city: str, right: bool) -> None:
    base = tiny_loaded(family)
    grammar = Grammar.of(TOOLS, base, spans=SPANNED, request=REQUEST)
    assert takes(grammar, base, written(base, Call("get_weather", {"city": city}))) == right
    assert takes(grammar, base, written(base, Call("get_weather", {"city": city, "days": 3}))) == right


def test_spans_leave_other_arguments_alone(tiny_loaded: Loaded) -> None:
    base = tiny_loaded("builtin")
    grammar = Grammar.of(TOOLS, base, spans=SPANNED, request=REQUEST)
    book = {"place": "New York", "who": {"name": "Ada"}, "at": "2026-01-02"}
    assert takes(grammar, base, written(base, Call("book.table-2", {**book, "tags": ["any", "thing"]})))
    assert not takes(grammar, base, written(base, Call("book.table-2", {**book, "place": "Rome"})))
    assert not takes(grammar, base, Call("book.table-2", {"place": "York", "who": {"name": "Ada"}}).json())


@pytest.mark.parametrize(
    ("request_", "day", "right"),
    [
        ("a table tomorrow", "2026-04-21", True),
        ("a table tomorrow", "2026-04-22", False),
        ("a table, please", "2026-04-22", True),  # no day is said: any may be meant
    ],
)
def test_dates_that_are_said_restrict(tiny_loaded: Loaded, request_: str, day: str, right: bool) -> None:
    base = tiny_loaded("builtin")
    rules = SpanRules({"book.table-2": ["at"]})
    grammar = Grammar.of(TOOLS, base, spans=rules, request=request_, now="2026-04-20T11:25+02:00")
    call = Call("book.table-2", {"place": "Rome", "who": {"name": "Ada"}, "at": day})
    assert takes(grammar, base, written(base, call)) == right


def test_spans_without_words_restrict_nothing(tiny_loaded: Loaded) -> None:
    base = tiny_loaded("builtin")
    grammar = Grammar.of(TOOLS, base, spans=SPANNED, request=" \n")
    assert takes(grammar, base, written(base, Call("get_weather", {"city": "Oslo"})))


def test_spans_in_an_object_that_is_not_simple(tiny_loaded: Loaded) -> None:
    base = tiny_loaded("builtin")
    open_tool = {**WEATHER, "parameters": {**WEATHER["parameters"], "additionalProperties": True}}
    grammar = Grammar.of(ToolSet(open_tool), base, spans=SPANNED, request=REQUEST)
    assert takes(grammar, base, '{"name":"get_weather","arguments":{"city":"York","more":1}}')
    assert not takes(grammar, base, '{"name":"get_weather","arguments":{"city":"Rome","more":1}}')


OPTIONAL = {
    "name": "f",
    "parameters": {"properties": {key: {"type": "string"} for key in "abcd"}, "required": ["c"]},
}


@given(st.sets(st.sampled_from("abcd")), st.sets(st.sampled_from("abcd"), min_size=1))
@settings(max_examples=60, deadline=None)
def test_fields_follow_the_schema(tiny_loaded: Loaded, given_keys: set[str], copied: set[str]) -> None:
    base = tiny_loaded("builtin")
    tools = ToolSet(OPTIONAL)
    grammar = Grammar.of(tools, base, spans=SpanRules({"f": sorted(copied)}), request="x y")
    call = Call("f", ordered({key: "x" for key in given_keys}, tools["f"].parameters, tools["f"].document))
    assert takes(grammar, base, call.json()) == (not tools.violations(call))


LENIENT = {
    "name": "f",
    "parameters": {
        "properties": {
            "ids": {"type": "array", "items": {"type": "integer"}, "uniqueItems": True},
            "code": {"type": "string", "pattern": "^(?=a)[a-z]{2}$"},
        },
        "required": ["ids"],
    },
}


def test_what_the_engine_refuses_is_left_to_the_validator(tiny_loaded: Loaded) -> None:
    base = tiny_loaded("builtin")
    grammar = Grammar.of(ToolSet(LENIENT), base)
    assert any("uniqueItems" in word for word in grammar.unenforced)
    assert takes(grammar, base, '{"name":"f","arguments":{"ids":[1,1],"code":"ab"}}')
    assert not takes(grammar, base, '{"name":"f","arguments":{"ids":["x"]}}')
    assert Grammar.of(TOOLS, base).unenforced == ("book.table-2: format",)  # its date may be 30 February
    assert Grammar.of(ToolSet(CLOCK), base).unenforced == ()
    told = grammar.account()
    assert {kind for part in told.values() for kind in part.values()} == {"enforced", "checked"}
    assert {f"{name}: {key}" for name, part in told.items() for key, kind in part.items() if kind == "checked"} == set(
        grammar.unenforced
    )


def test_a_schema_without_a_grammar_names_the_tool(tiny_loaded: Loaded) -> None:
    never = {"name": "never", "parameters": {"properties": {"a": False}, "required": ["a"]}}
    with pytest.raises(SchemaError, match="^never: no grammar"):
        Grammar.of(ToolSet([CLOCK, never]), tiny_loaded("builtin"))


def test_special_tokens_stand_as_tokens(tiny_loaded: Loaded) -> None:
    base = tiny_loaded("llama3.2")
    tag = base.tokenizer.get_vocab()["<|python_tag|>"]
    form = Form("tagged", '<|python_tag|>{"name":', ',"arguments":', "}<|python_tag|>", spaced=False, parallel=False)
    text = tool_grammar(ToolSet(CLOCK), form, special={"<|python_tag|>": tag})
    grammar = Grammar(text, base.tokenizer, vocabulary=512, stop=base.stop)
    assert f"<[{tag}]>" in text and takes(grammar, base, form.write([Call("clock")]))
    assert grammar.matcher().compute_ff_tokens()[0] == tag


def test_request_text_cannot_forge_special_tokens(tiny_loaded: Loaded) -> None:
    base = tiny_loaded("builtin")
    grammar = Grammar.of(TOOLS, base, spans=SPANNED, request="<|end|>")
    matcher = grammar.matcher()
    head = base.tokenizer.encode('{"name":"get_weather","arguments":{"city":"', add_special_tokens=False)
    assert matcher.consume_tokens(head)
    assert matcher.validate_tokens([base.tokenizer.get_vocab()["<|end|>"]]) == 0


def test_compiling_is_cached_and_matchers_are_apart(tiny_loaded: Loaded) -> None:
    base = tiny_loaded("builtin")
    one, two = Grammar.of(TOOLS, base), Grammar.of(TOOLS, base)
    assert one._prototype is two._prototype
    first, second = one.matcher(), one.matcher()
    first.consume_tokens(base.tokenizer.encode('{"name":"clock"', add_special_tokens=False))
    assert second.is_accepting() is False and second.validate_tokens([base.tokenizer.get_vocab()["{"]]) == 1

"""Exact formats that are not JSON, and other engines: the same outputs through the loop and through Outlines."""

import re
import sys
from collections.abc import Callable
from typing import Any

import outlines
import pytest

from schematune.decoding.base import Base
from schematune.decoding.caller import Caller
from schematune.decoding.closing import Closer
from schematune.decoding.engines import ENGINES, engine_of
from schematune.decoding.grammar import Grammar
from schematune.decoding.loop import decode
from schematune.decoding.processor import GrammarProcessor
from schematune.schemas.errors import ModelError, SchemaError
from schematune.schemas.jsontext import strict_loads
from schematune.schemas.tool import ToolSet
from schematune.schemas.validate import is_valid

Loaded = Callable[[str], Base]

PLATE = "[A-Z]{2}-[0-9]{3}-(old|new)"  # no optional end: outlines_core refuses what may follow where it may end
SQL = """
start: "SELECT " columns " FROM " NAME (" WHERE " NAME "=" %json {"type":"integer","maximum":99,"minimum":0})?
columns: "*" | NAME ("," NAME)*
NAME: /[a-z]{1,6}/
"""
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"kind": {"enum": ["a", "b"]}, "n": {"enum": [1, 12]}},
    "required": ["kind", "n"],
    "additionalProperties": False,
}
TOOLS = ToolSet(
    [
        {"name": "weather", "parameters": {"properties": {"day": {"enum": ["mon", "tue"]}}, "required": ["day"]}},
        {"name": "clock", "parameters": {}},
    ]
)


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    pytest.importorskip(name, reason=f"{name} is not installed")
    return name


def takes(grammar: Grammar, base: Base, text: str) -> bool:
    matcher = grammar.matcher()
    tokens = base.tokenizer.encode(text, add_special_tokens=False)
    same = matcher.deep_copy().try_consume_tokens(tokens)
    assert matcher.validate_tokens(tokens) == same
    return matcher.consume_tokens(tokens) and matcher.is_accepting()


def written(base: Base, grammar: Grammar) -> str:
    prompt = base.tokenizer.encode("user asks", add_special_tokens=False)
    [found] = decode(base.model, base.tokenizer, [prompt], [grammar], stop=base.stop, max_new_tokens=60)
    assert found.finished
    return found.text


def test_a_pattern_and_a_schema_in_every_engine(tiny_loaded: Loaded, engine: str) -> None:
    base = tiny_loaded("builtin")
    plate = Grammar.of_regex(PLATE, base, engine=engine)
    assert takes(plate, base, "AB-123-new") and takes(plate, base, "AB-123-old")
    assert (
        not takes(plate, base, "AB-12") and not takes(plate, base, "xAB-123-old") and not takes(plate, base, "AB-123-")
    )
    assert re.fullmatch(PLATE, written(base, plate))
    schema = Grammar.of_schema(SCHEMA, base, engine=engine)
    assert takes(schema, base, '{"kind":"a","n":12}') and not takes(schema, base, '{"kind":"a","n":13}')
    assert not takes(schema, base, '{"kind": "a","n":1}') and not takes(schema, base, '{"kind":"a"}')
    assert is_valid(SCHEMA, strict_loads(written(base, schema)))
    assert (schema.unenforced == ()) == (engine == "llguidance")


@pytest.mark.parametrize("name", ["llguidance", "xgrammar"])
def test_a_lark_grammar(tiny_loaded: Loaded, name: str) -> None:
    pytest.importorskip(name, reason=f"{name} is not installed")
    base = tiny_loaded("builtin")
    grammar = Grammar.of_lark(SQL, base, engine=name)
    assert takes(grammar, base, "SELECT a,b FROM t WHERE x=42") and takes(grammar, base, "SELECT * FROM t")
    assert not takes(grammar, base, "SELECT * FROM t WHERE x=100") and not takes(grammar, base, "DROP t")
    tools = Grammar.of(TOOLS, base, engine=name)
    assert takes(tools, base, '{"name":"weather","arguments":{"day":"mon"}}')
    assert not takes(tools, base, '{"name":"weather","arguments":{"day": "mon"}}')
    assert not takes(tools, base, '{"name":"weather","arguments":{"day":"sun"}}')


def test_rolling_back_and_the_end(tiny_loaded: Loaded, engine: str) -> None:
    base = tiny_loaded("builtin")
    matcher = Grammar.of_regex("ab?c", base, engine=engine).matcher()
    a, b, c = (base.tokenizer.encode(letter, add_special_tokens=False)[0] for letter in "abc")
    before = matcher.compute_bitmask()
    assert matcher.consume_tokens([a, b]) and matcher.rollback(1) and matcher.validate_tokens([c]) == 1
    assert not matcher.is_stopped() and matcher.consume_token(c) and matcher.is_accepting() and matcher.is_stopped()
    assert matcher.rollback(2) and matcher.compute_bitmask()[: 512 // 8] == before[: 512 // 8]
    assert not matcher.deep_copy().consume_token(b)


@pytest.mark.parametrize("family", ["gemma3", "builtin"])
def test_outlines_generator_takes_every_engine_and_its_own_model(tiny_loaded: Loaded, engine: str, family: str) -> None:
    base = tiny_loaded(family)
    model = outlines.from_transformers(base.model, base.tokenizer)  # type: ignore[arg-type]
    grammars = [Grammar.of_schema(SCHEMA, base, engine=engine), Grammar.of_regex(PLATE, base, engine=engine)]
    for grammar in grammars:
        text = outlines.Generator(model, processor=GrammarProcessor(grammar))("a plate please", max_new_tokens=60)
        assert takes(grammar, base, str(text))
    own: Any = model
    same = Grammar.of_schema(SCHEMA, own, engine=engine)
    assert same.vocabulary == grammars[0].vocabulary and same.stop <= grammars[0].stop


def test_an_output_is_closed_near_the_limit_in_every_engine(tiny_loaded: Loaded, engine: str) -> None:
    base = tiny_loaded("builtin")
    matcher = Grammar.of_schema(SCHEMA, base, engine=engine).matcher()
    begun = base.tokenizer.encode('{"kind":"', add_special_tokens=False)
    assert matcher.consume_tokens(begun)
    end = Closer.of(base.tokenizer, 512)(matcher, begun, 40)
    assert end is not None and is_valid(SCHEMA, strict_loads(str(base.tokenizer.decode([*begun, *end]))))


def test_a_caller_with_another_engine_and_one_call_only(tiny_loaded: Loaded) -> None:
    pytest.importorskip("xgrammar", reason="xgrammar is not installed")
    base = tiny_loaded("builtin")
    usual, other = (Caller(tools=TOOLS, base=base, engine=name) for name in ("llguidance", "xgrammar"))
    statuses = {choice: other("what time is it", choice=choice).status for choice in ("required", "none", "clock")}
    assert statuses["none"] == "no_tool" and statuses["clock"] == "called" and statuses["required"] != "error"
    both = '[{"name":"clock","arguments":{}},{"name":"clock","arguments":{}}]'
    assert takes(Grammar.of(TOOLS, base), base, both) and not takes(Grammar.of(TOOLS.single(), base), base, both)
    assert len(usual("two clocks", choice="clock", parallel=False).calls) == 1


def test_what_cannot_be_compiled_is_told(tiny_loaded: Loaded, monkeypatch: pytest.MonkeyPatch, engine: str) -> None:
    base = tiny_loaded("builtin")
    for broken in ("(a|b", "[z-a]"):
        with pytest.raises(SchemaError, match="does not compile"):
            Grammar.of_regex(broken, base, engine=engine)
    with pytest.raises(SchemaError):
        Grammar.of_lark("no rule", base, engine=engine)
    with pytest.raises(SchemaError):
        Grammar.of_schema(False, base, engine=engine)
    with pytest.raises(SchemaError, match="no engine 'other'.*llguidance, xgrammar"):
        Grammar.of_regex("a", base, engine="other")


def test_a_missing_package_gives_the_command(tiny_loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xgrammar", None)
    base = tiny_loaded("builtin")
    with pytest.raises(ModelError, match=r"xgrammar is not installed; pip install 'schematune\[xgrammar\]'"):
        engine_of("xgrammar", base.tokenizer, size=7, stop=frozenset())


def test_grammars_are_compiled_once(tiny_loaded: Loaded) -> None:
    base = tiny_loaded("builtin")
    assert Grammar.of_schema(SCHEMA, base)._prototype is Grammar.of_schema(SCHEMA, base)._prototype
    assert Grammar.of_regex(PLATE, base)._prototype is Grammar.of_regex(PLATE, base)._prototype
    assert Grammar.of_regex("[0-9]", base)._prototype is not Grammar.of_lark('start: "[0-9]"', base)._prototype

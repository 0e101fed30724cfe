"""Calls, answers, pairs and their files."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schematune import Answer, Call, DecodeError, ExampleError, Pair, Pairs, ToolSet, synthesize
from schematune.schemas.files import write_text
from schematune.schemas.jsontext import compact, digest, strict_loads
from schematune.schemas.pair import Evidence, read_examples

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
ARGUMENTS = st.dictionaries(st.text(min_size=1), JSON_VALUES, max_size=4)
PAIRS = st.builds(
    lambda text, arguments, now, start: Pair.of(
        text,
        [Call("f", arguments)],
        context={"now": now} if now else {},
        id="x",
        evidence=(Evidence("0.a", "span", start, start + 2),),
    ),
    st.text(min_size=1, alphabet=st.characters(exclude_categories=["Cs"])),
    ARGUMENTS,
    st.sampled_from(["", "2026-11-22T10:00+00:00"]),
    st.integers(0, 9),
)


@given(JSON_VALUES)
def test_compact_json_reads_back_equal(value: object) -> None:
    assert strict_loads(compact(value)) == value
    assert digest(value) == digest(json.loads(json.dumps(value)))


@pytest.mark.parametrize("text", ['{"a":1,"a":1}', "[NaN]", "[" * 100_000, "{", ""])
def test_strict_loads_refuses(text: str) -> None:
    with pytest.raises(ValueError):
        strict_loads(text)


@given(st.lists(PAIRS, max_size=4))
def test_saved_pairs_load_equal(pairs: list[Pair]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pairs.jsonl"
        Pairs(pairs).save(path)
        assert Pairs.load(path) == Pairs(pairs)


def test_answer_statuses_and_message() -> None:
    answer = Answer.of([Call("f", {"a": 1}), Call("g")])
    assert answer.status == "called"
    message = answer.message()
    assert [call["function"]["name"] for call in message["tool_calls"]] == ["f", "g"]
    assert Call.from_dict(message["tool_calls"][0]) == Call("f", {"a": 1})
    assert len({call["id"] for call in Answer.of([Call("f"), Call("f")]).message()["tool_calls"]}) == 2
    assert Answer.of([]).status == "no_tool" and Answer.of([Call.no_tool()]).outcome() == (Call.no_tool(),)
    asked = Answer.of([Call.ask("f", ["a"])])
    assert (asked.status, asked.tool, asked.missing) == ("ask", "f", ("a",)) and asked.outcome() == (
        Call.ask("f", ["a"]),
    )
    assert "a" in asked.message()["content"]
    failed = Answer.failed(DecodeError("broken"))
    assert failed.status == "error"
    with pytest.raises(DecodeError, match="broken"):
        failed.run()


def test_run_calls_functions_with_a_hook_and_bound_arguments() -> None:
    def pay(amount: int, user: str) -> str:
        return f"{user} pays {amount}"

    answer = Answer.of(
        [Call("pay", {"amount": 3}), Call("pay", {"amount": 4})], functions={"pay": pay}, bound={"pay": {"user": "ada"}}
    )
    assert answer.run() == ["ada pays 3", "ada pays 4"]
    assert answer.run(confirm=lambda call: call.arguments["amount"] > 3) == [None, "ada pays 4"]
    with pytest.raises(DecodeError, match="no Python function is bound to other"):
        Answer.of([Call("other")]).run()


TOOLS = ToolSet({"name": "f", "parameters": {"properties": {"n": {"type": "integer"}}}})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no example in it"),
        ("{", r"e.jsonl:1: no JSON"),
        ('\n{"messages":[]}', r"e.jsonl:2: no pair"),
        ('{"messages":[],"calls":[]}', "no user message"),
        (
            '{"messages":[{"role":"user","content":"x"}],"calls":[{"name":"f","arguments":{"n":"x"}}]}',
            r"e.jsonl:1: the gold call is invalid: f.n",
        ),
        ('{"messages":[{"role":"user","content":"x"}],"calls":[{"name":"g","arguments":{}}]}', "no such tool"),
        ('{"messages":[{"role":"user","content":"x"}],"calls":[{"arguments":{}}]}', "no pair"),
    ],
)
def test_bad_examples_name_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "e.jsonl"
    path.write_text(text)
    with pytest.raises(ExampleError, match=message):
        read_examples(path, TOOLS)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "\ud800")
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_splits() -> None:
    pairs = Pairs([Pair.of("a", []), Pair.of("b", [], split="dev"), Pair.of("c", [], split="test")])
    assert [len(pairs.train), len(pairs.dev), len(pairs.test)] == [1, 1, 1]
    assert pairs[0].calls == (Call.no_tool(),) and len(pairs[:2]) == 2


def test_examples_in_the_form_for_fine_tuning(tmp_path: Path) -> None:
    user, call = (
        {"role": "user", "content": "f of 2"},
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"n":2}'}},
    )
    path = tmp_path / "e.jsonl"
    path.write_text(json.dumps({"messages": [user, {"role": "assistant", "tool_calls": [call]}]}))
    (pair,) = read_examples(path, TOOLS)
    assert pair.messages == (user,) and pair.calls == (Call("f", {"n": 2}),)
    path.write_text(json.dumps({"messages": [user, {"role": "assistant", "content": "done"}]}))
    with pytest.raises(ExampleError, match='needs "messages" and "calls"'):
        read_examples(path, TOOLS)


@pytest.mark.parametrize("options", [{"n": -1}, {"n": 1, "dev": -0.1}, {"n": 1, "dev": 0.5, "test": 0.5}])
def test_numbers_and_shares_that_cannot_be_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ExampleError):
        synthesize(TOOLS, **options)  # type: ignore[arg-type]

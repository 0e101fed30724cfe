"""Agents without weights: scripted calls, run and fed back until nothing more is called."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from schematune.decoding.agent import arun_tools, run_tools
from schematune.decoding.base import Base
from schematune.decoding.caller import Caller
from schematune.decoding.fake import FakeCaller
from schematune.schemas.call import Call
from schematune.schemas.errors import DecodeError, InvalidOutputError, SchemaError, TruncatedError
from schematune.schemas.tool import ToolSet

Loaded = Callable[[str], Base]


def find_flight(to: str) -> dict[str, Any]:
    return {"flight": "SK 4", "to": to}


def book(flight: str, user_id: int = 0) -> str:
    if flight == "XX 1":
        raise ValueError("no such flight")
    return f"booked {flight} for {user_id}"


SCRIPT: Any = {
    "fly me to Oslo": [[Call("find_flight", {"to": "Oslo"})], [Call("book", {"flight": "SK 4"})]],
    "book XX 1": Call("book", {"flight": "XX 1"}),
    "both": [Call("find_flight", {"to": "Rome"}), Call("find_flight", {"to": "Bonn"})],
    "sing": [],
    "a flight": Call.ask("find_flight", ["to"]),
    "wrong": Call("book", {"flight": 3}),
    "broken": TruncatedError("the output was cut off"),
}


def fake() -> FakeCaller:
    return FakeCaller(SCRIPT, tools=ToolSet([find_flight, book], bound=["user_id"]))


def test_a_fake_answers_as_a_caller_does() -> None:
    caller = fake()
    answers = caller.batch([*SCRIPT, "nobody wrote this"], bound={"user_id": 7})
    assert [answer.status for answer in answers] == ["called"] * 3 + ["no_tool", "ask", "error", "error", "error"]
    assert answers[1].bound == {"book": {"user_id": 7}} and answers[4].missing == ("to",)
    assert isinstance(answers[5].error, InvalidOutputError) and answers[5].error.violations
    assert isinstance(answers[6].error, TruncatedError) and isinstance(answers[7].error, DecodeError)
    assert len(caller.seen) == len(SCRIPT) + 1
    with pytest.raises(InvalidOutputError, match="does not fit the tools"):
        caller("wrong")
    with pytest.raises(InvalidOutputError):
        caller("fly me to Oslo", choice="book", bound={"user_id": 7})
    with pytest.raises(SchemaError):
        caller("sing", permit=["nothing"])
    assert asyncio.run(caller.acall("sing")).status == "no_tool"
    assert [answer.status for answer in asyncio.run(caller.abatch(["sing", "both"]))] == ["no_tool", "called"]


def test_results_are_fed_back_until_nothing_more_is_called() -> None:
    asked: list[Call] = []

    def confirm(call: Call) -> bool:
        asked.append(call)
        return True

    run = run_tools(fake(), "fly me to Oslo", bound={"user_id": 7}, confirm=confirm)
    assert run.finished and run.results == [{"flight": "SK 4", "to": "Oslo"}, "booked SK 4 for 7"]
    assert [message["role"] for message in run.messages] == ["user", "assistant", "tool", "assistant", "tool"]
    assert (
        run.messages[2]["content"] == '{"flight":"SK 4","to":"Oslo"}' and run.messages[4]["content"] == run.results[1]
    )
    for turn in (1, 3):
        assert run.messages[turn]["tool_calls"][0]["id"] == run.messages[turn + 1]["tool_call_id"]
    assert [call.name for call in asked] == ["find_flight", "book"] and run.answer.status == "no_tool"
    later = run_tools(fake(), [*run.messages, {"role": "user", "content": "both"}], bound={"user_id": 7})
    assert [message["role"] for message in later.messages[-4:]] == ["user", "assistant", "tool", "tool"]
    assert asyncio.run(arun_tools(fake(), "sing")).messages[-1]["content"] == "None of my tools serves this."


def test_a_run_ends_with_a_question_its_turns_or_an_error() -> None:
    asks = run_tools(fake(), "a flight")
    assert asks.finished and asks.messages[-1]["content"] == "find_flight: please give to."
    short = run_tools(fake(), "fly me to Oslo", bound={"user_id": 7}, turns=1)
    assert not short.finished and len(short.answers) == 1 and len(short.results) == 1
    told = run_tools(fake(), "book XX 1", bound={"user_id": 7})
    assert told.messages[-1]["content"] == "Error: ValueError: no such flight" and isinstance(
        told.results[0], ValueError
    )
    with pytest.raises(ValueError, match="no such flight"):
        run_tools(fake(), "book XX 1", bound={"user_id": 7}, tell_errors=False)
    refused = run_tools(fake(), "both", confirm=lambda call: call.arguments["to"] == "Bonn")
    assert refused.messages[2]["content"] == "Not run: it was not confirmed." and refused.results[0] is None
    assert refused.results[1] == {"flight": "SK 4", "to": "Bonn"}
    with pytest.raises(DecodeError, match="bound argument"):
        run_tools(fake(), "book XX 1")
    with pytest.raises(DecodeError, match="turns"):
        run_tools(fake(), "sing", turns=0)
    unbound = FakeCaller({"x": Call("f", {})}, tools={"name": "f", "parameters": {"properties": {}}})
    with pytest.raises(DecodeError, match="no Python function"):
        run_tools(unbound, "x")


def test_a_script_may_be_a_function_of_the_messages() -> None:
    def script(messages: list[Any]) -> list[Call]:
        return (
            [] if messages[-1]["role"] == "tool" else [Call("find_flight", {"to": messages[-1]["content"].split()[-1]})]
        )

    run = run_tools(FakeCaller(script, tools=[find_flight]), "off to Bergen")
    assert run.finished and run.results == [{"flight": "SK 4", "to": "Bergen"}]


def test_a_real_caller_goes_through_the_same_loop(tiny_loaded: Loaded) -> None:
    caller = Caller(tools=[find_flight], base=tiny_loaded("builtin"), max_new_tokens=60)
    run = run_tools(caller, "fly me to Oslo", turns=2, choice="required")
    assert 1 <= len(run.answers) <= 2 and len(run.results) == sum(m["role"] == "tool" for m in run.messages)


def test_a_fake_loads_no_model_library() -> None:
    code = (
        "import sys, schematune as st; st.FakeCaller({'x': []}, tools={'name': 'f', 'parameters': {}})('x'); st.run_tools;"
        "print(sorted({'torch', 'transformers', 'llguidance'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_one_call_at_most_where_that_is_asked_for() -> None:
    tools = ToolSet({"name": "add", "parameters": {"properties": {"n": {"type": "integer"}}}})
    fake = FakeCaller({"twice": [Call("add", {"n": 1}), Call("add", {"n": 2})]}, tools=tools)
    assert len(fake("twice").calls) == 2
    with pytest.raises(InvalidOutputError, match="where one is allowed"):
        fake("twice", parallel=False)

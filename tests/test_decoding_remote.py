"""A model behind a server: the same answers, validated here, asked again where they do not fit."""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from loopback import ChatServer, Reply, says

from schematune.decoding.remote import RemoteCaller, calls_schema
from schematune.schemas.errors import DecodeError, InvalidOutputError, RenderError, SchemaError, TruncatedError
from schematune.schemas.tool import ToolSet
from schematune.schemas.validate import is_valid


def get_weather(city: str, days: int = 1) -> str:
    """Get the weather of a city."""
    return f"{city}: sun for {days}"


CLOCK = {"name": "clock", "parameters": {"properties": {}}}
TOOLS = ToolSet([get_weather, CLOCK])


@pytest.fixture
def serve() -> Iterator[Callable[..., ChatServer]]:
    running: list[ChatServer] = []

    def start(reply: Reply, **options: int) -> ChatServer:
        running.append(ChatServer(reply, **options))
        return running[-1]

    yield start
    for server in running:
        server.stop()


def calls(*rows: Any) -> str:
    return json.dumps({"calls": [{"name": name, "arguments": arguments} for name, arguments in rows]})


def remote(server: ChatServer, **options: Any) -> RemoteCaller:
    given: dict[str, Any] = {"tools": TOOLS, "base_url": server.url, "api_key": "none"}
    return RemoteCaller("big", **(given | options))


def test_a_call_by_schema_and_its_function(serve: Callable[..., ChatServer]) -> None:
    server = serve(lambda body: says(calls(("get_weather", {"city": "Oslo", "days": 2}))), fail=1)
    answer = remote(server, extra={"guided": True})("weather in Oslo for 2 days", context={"now": "2026-11-22T10:00"})
    assert answer.status == "called" and answer.run() == ["Oslo: sun for 2"]
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.forward_passes) == (100, 50, 1)
    body = server.asked[-1]
    assert body["guided"] is True and body["response_format"]["json_schema"]["schema"] == calls_schema(TOOLS)
    system, user = body["messages"]
    assert '"get_weather"' in system["content"] and "2026-11-22" in system["content"]
    assert user == {"role": "user", "content": "weather in Oslo for 2 days"}


def test_what_does_not_fit_is_asked_for_again_with_the_reason(serve: Callable[..., ChatServer]) -> None:
    replies = iter(["no JSON", calls(("get_weather", {"city": 7})), calls(("get_weather", {"city": "Oslo"}))])
    server = serve(lambda body: says(next(replies)))
    answer = remote(server)("weather in Oslo")
    assert answer.calls[0].arguments == {"city": "Oslo"} and answer.usage.forward_passes == 3
    assert answer.usage.prompt_tokens == 300
    assert "get_weather.city" in server.asked[-1]["messages"][-1]["content"]
    bad = serve(lambda body: says(calls(("get_weather", {"town": "Oslo"}))))
    with pytest.raises(InvalidOutputError, match="does not fit the tools") as caught:
        remote(bad, retries=1)("weather")
    assert len(bad.asked) == 2 and caught.value.violations and "town" in caught.value.text


@pytest.mark.parametrize(
    "text",
    ["[]", '{"calls":[]}', '{"calls":[{"name":"clock"},3]}', '{"calls":[{"name":"clock","name":"no_tool"}]}', ""],
)
def test_what_is_no_answer_is_an_error(serve: Callable[..., ChatServer], text: str) -> None:
    with pytest.raises(InvalidOutputError, match="does not parse"):
        remote(serve(lambda body: says(text)), retries=0)("hm")


def test_tools_form_and_reserved_calls(serve: Callable[..., ChatServer]) -> None:
    def reply(body: dict[str, Any]) -> dict[str, Any]:
        function = {"name": "ask", "arguments": '{"tool":"get_weather","missing":["city"]}'}
        message = {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "1", "type": "function", "function": function}],
        }
        return {"message": message, "finish_reason": "tool_calls"}

    server = serve(reply)
    answer = remote(server, form="tools")("what will the weather be?")
    assert (answer.status, answer.tool, answer.missing) == ("ask", "get_weather", ("city",))
    names = [tool["function"]["name"] for tool in server.asked[0]["tools"]]
    assert names == ["get_weather", "clock", "ask", "no_tool"] and server.asked[0]["tool_choice"] == "required"


def test_choices_permits_and_the_schema_agree(serve: Callable[..., ChatServer]) -> None:
    server = serve(lambda body: says(calls(("no_tool", {}))))
    caller = remote(server, retries=0)
    assert caller("sing me a song").status == "no_tool" and caller("hm", choice="none").status == "no_tool"
    for choice in ("required", "get_weather"):
        with pytest.raises(InvalidOutputError, match="not among what the choice"):
            caller("hm", choice=choice)
    with pytest.raises(SchemaError, match="no choice"):
        caller("hm", permit=["clock"], choice="get_weather")
    weather = {"name": "get_weather", "arguments": {"city": "Oslo"}}
    question = {"name": "ask", "arguments": {"tool": "get_weather", "missing": ["city"]}}
    fits = {
        choice: [is_valid(calls_schema(TOOLS, choice), {"calls": [one]}) for one in (weather, question, {"name": "no_tool", "arguments": {}})]
        for choice in ("auto", "required", "none", "clock")
    }  # fmt: skip
    assert fits == {
        "auto": [True] * 3,
        "required": [True, True, False],
        "none": [False, False, True],
        "clock": [False] * 3,
    }
    single = ToolSet([get_weather], parallel=False)
    assert not is_valid(calls_schema(single), {"calls": [weather, weather]})


def test_a_batch_keeps_its_order_and_its_errors(serve: Callable[..., ChatServer]) -> None:
    def reply(body: dict[str, Any]) -> dict[str, Any]:
        request = body["messages"][1]["content"]
        return says(calls(("get_weather", {"city": request})), finish="length" if request == "long" else "stop")

    caller = remote(serve(reply), workers=3)
    answers = caller.batch(["Oslo", "long", "  ", "Rome"], contexts=[None] * 4)
    assert [answer.status for answer in answers] == ["called", "error", "error", "called"]
    assert [type(answer.error) for answer in answers[1:3]] == [TruncatedError, RenderError]
    assert answers[3].calls[0].arguments == {"city": "Rome"} and answers[1].text
    assert asyncio.run(caller.acall("Bern")).calls[0].arguments == {"city": "Bern"}
    with pytest.raises(DecodeError, match="2 requests, 1 contexts"):
        caller.batch(["a", "b"], contexts=[None])


def test_bound_arguments_are_the_programs(serve: Callable[..., ChatServer]) -> None:
    def whoami(user: int) -> str:
        """Tell who asks."""
        return f"user {user}"

    server = serve(lambda body: says(calls(("whoami", {}))))
    caller = remote(server, tools=ToolSet([whoami], bound=["user"]))
    assert caller("who am I?", bound={"user": 7}).run() == ["user 7"]
    assert "user" not in json.dumps(server.asked[0]["response_format"])


def test_a_server_that_fails_is_an_error_that_says_where(serve: Callable[..., ChatServer]) -> None:
    server = serve(lambda body: says(""), status=404)
    with pytest.raises(DecodeError, match=r"127\.0\.0\.1.*the server failed.*check that it runs"):
        remote(server)("hm")
    with pytest.raises(DecodeError, match="no form"):
        remote(server, form="xml")

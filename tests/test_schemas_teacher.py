"""A teacher over HTTP: a real server on loopback, which fails, errs and loses values as servers and models do."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from loopback import ChatServer, says

from schematune.cli import main
from schematune.schemas.call import Call
from schematune.schemas.errors import ExampleError, TeacherError
from schematune.schemas.pair import Evidence, Pair
from schematune.schemas.synthesize import synthesize
from schematune.schemas.teacher import AT_ONCE, Teacher
from schematune.schemas.tool import ToolSet

TOOLS = ToolSet(
    [
        {"name": "play_song", "parameters": {"properties": {"song": {"type": "string"}}, "required": ["song"]}},
        {"name": "set_volume", "parameters": {"properties": {"level": {"type": "integer", "minimum": 0, "maximum": 99}}}},
    ]
)  # fmt: skip
Write = Callable[[list[dict[str, Any]]], Any]


class Server(ChatServer):
    """A server whose model rewrites requests by `write`: a list of them, or any text."""

    def __init__(self, write: Write, **options: int) -> None:
        def reply(body: dict[str, Any]) -> dict[str, Any]:
            written = write(json.loads(body["messages"][-1]["content"]))
            return says(written if isinstance(written, str) else json.dumps({"requests": written}))

        super().__init__(reply, **options)

    def teacher(self, **options: Any) -> Teacher:
        given: dict[str, Any] = {"base_url": self.url, "api_key": "none", "workers": 1}
        return Teacher("tutor", **(given | options))


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    running: list[Server] = []

    def start(write: Write, **options: Any) -> Server:
        running.append(Server(write, **options))
        return running[-1]

    yield start
    for server in running:
        server.stop()


def polite(rows: list[dict[str, Any]]) -> list[str]:
    return ["would you mind: " + " ".join(reversed(row["values"])) + "?" for row in rows]


def pair(song: str = "Blue Moon") -> Pair:
    text = f"play {song} now"
    return Pair.of(
        text, [Call("play_song", {"song": song})], evidence=[Evidence("0.song", "span", 5, 5 + len(song))], source="synthetic"
    )  # fmt: skip


def test_requests_come_back_anew_with_their_evidence(serve: Callable[..., Server]) -> None:
    server = serve(polite, fail=2)
    teacher = server.teacher()
    [found] = teacher.rewritten([pair()])
    assert found is not None and found.request == "would you mind: Blue Moon?" and found.source == "taught"
    [evidence] = found.evidence
    assert found.request[evidence.start : evidence.end] == "Blue Moon"
    asked = server.asked[-1]
    assert len(server.asked) == 3 and asked["response_format"]["json_schema"]["strict"] is True
    assert json.loads(asked["messages"][1]["content"]) == [{"request": "play Blue Moon now", "values": ["Blue Moon"]}]
    spent = teacher.spent
    assert (spent.questions, spent.failed, spent.prompt_tokens, spent.completion_tokens) == (1, 0, 100, 50)


@pytest.mark.parametrize(
    "written",
    [
        "no JSON",
        '{"requests": ["one"]}',
        '{"requests": [1, 2]}',
        '{"other": []}',
        ["play Blue", "play it"],
        ["play Blue Moon now", ""],
    ],
)
def test_what_cannot_be_used_is_left_out(serve: Callable[..., Server], written: Any) -> None:
    teacher = serve(lambda rows: written).teacher()
    assert list(teacher.rewritten([pair(), pair()])) == [None, None]
    assert teacher.spent.failed == isinstance(written, str)


def test_answers_are_kept_and_used_again(serve: Callable[..., Server], tmp_path: Path) -> None:
    server, cache = serve(polite), tmp_path / "cache" / "teacher.jsonl"
    pairs = [pair(f"Song {n}") for n in range(AT_ONCE + 1)]
    first = list(server.teacher(cache=cache).rewritten(pairs))
    with cache.open("a") as file:
        file.write('{"key": "cut o')  # a process killed while it wrote
    again = server.teacher(cache=cache)
    assert list(again.rewritten(pairs)) == first and None not in first
    assert (again.spent.questions, again.spent.cached, len(server.asked)) == (2, 2, 2)
    assert len(cache.read_text().splitlines()) == 2
    cache.write_text('{"key": 1}\n{"key": 2}\n')
    with pytest.raises(ExampleError, match=r"teacher.jsonl:1: no answer of a teacher"):
        server.teacher(cache=cache)


def test_a_budget_ends_the_asking(serve: Callable[..., Server]) -> None:
    pairs = [pair(f"Song {n}") for n in range(5 * AT_ONCE)]
    by_tokens, by_cost = serve(polite).teacher(max_tokens=300), serve(polite).teacher(prices=(1.0, 2.0), budget=0.0005)
    found = list(by_tokens.rewritten(pairs))
    assert sum(one is not None for one in found) == 2 * AT_ONCE and found[-1] is None
    assert sum(one is not None for one in by_cost.rewritten(pairs)) == 3 * AT_ONCE
    assert by_cost.spent.cost == pytest.approx(0.0006)


def test_one_that_cannot_be_asked_is_an_error(serve: Callable[..., Server]) -> None:
    with pytest.raises(TeacherError, match=r"127.0.0.1.*cannot be asked.*check base_url"):
        list(serve(polite, status=401).teacher().rewritten([pair()]))
    server = serve(polite)
    teacher = server.teacher(retries=0)
    server.stop()
    with pytest.raises(TeacherError, match="cannot be asked"):
        list(teacher.rewritten([pair()]))
    overloaded = serve(polite, fail=99).teacher(retries=1)
    assert list(overloaded.rewritten([pair()])) == [None] and overloaded.spent.failed == 1


def test_synthesis_takes_what_passes_the_checks(serve: Callable[..., Server]) -> None:
    def write(rows: list[dict[str, Any]]) -> list[str]:
        return [f"so, {row['request']}, ok?" if n % 2 else "gone" for n, row in enumerate(rows)]

    teacher = serve(write).teacher()
    pairs = synthesize(TOOLS, 60, seed=3, teacher=teacher)
    taught = [one for one in pairs if one.source == "taught"]
    assert len(pairs) == 60 and 10 < len(taught) < 40 and pairs.rejected["teacher"] > 5
    for one in taught:
        assert one.request.startswith("so, ") and not TOOLS.violations(one.calls[0])
        assert all(0 <= item.start < item.end <= len(one.request) for item in one.evidence if item.rule != "default")
    again = synthesize(TOOLS, 60, seed=3, teacher=serve(write).teacher())
    assert again == pairs
    plain = synthesize(TOOLS, 60, seed=3)
    assert [one.calls for one in plain] == [one.calls for one in pairs]
    assert [one.split for one in plain] == [one.split for one in pairs]


def test_the_command_line_asks_the_teacher(
    serve: Callable[..., Server], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(polite)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    (tmp_path / "tools.json").write_text(json.dumps(TOOLS.openai()))
    out, url = tmp_path / "pairs.jsonl", server.url
    given = ["synth", "--tools", str(tmp_path / "tools.json"), "--out", str(out), "--pairs", "40"]
    main([*given, "--teacher", "tutor", "--teacher-url", url, "--teacher-tokens", "300"])
    assert "questions=" in capsys.readouterr().err and len(server.asked) in range(2, 6)
    assert sum('"taught"' in line for line in out.read_text().splitlines()) > 5
    assert out.with_name("pairs.jsonl.teacher").exists()

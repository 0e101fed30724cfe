"""A teacher over HTTP: a real server on loopback, which fails, errs and loses values as servers and models do."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

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


class Server:
    """Answers chat completions by `write`; the first `fail` questions get a 503; keeps what it was asked."""

    def __init__(self, write: Write, *, fail: int = 0, status: int = 200) -> None:
        self.asked: list[dict[str, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append(body)
                if len(outer.asked) <= fail or status != 200:
                    self.reply(503 if status == 200 else status, {"error": {"message": "no"}})
                    return
                written = write(json.loads(body["messages"][-1]["content"]))
                content = written if isinstance(written, str) else json.dumps({"requests": written})
                message = {"role": "assistant", "content": content}
                choice = {"index": 0, "finish_reason": "stop", "message": message}
                usage = {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}
                about = {"id": "1", "object": "chat.completion", "created": 1, "model": body["model"]}
                self.reply(200, {**about, "choices": [choice], "usage": usage})

            def reply(self, status: int, value: Any) -> None:
                text = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.send_header("retry-after-ms", "1")
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def teacher(self, **options: Any) -> Teacher:
        given: dict[str, Any] = {
            "base_url": f"http://127.0.0.1:{self.http.server_address[1]}/v1",
            "api_key": "none",
            "workers": 1,
        }
        return Teacher("tutor", **(given | options))


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    running: list[Server] = []

    def start(write: Write, **options: Any) -> Server:
        running.append(Server(write, **options))
        return running[-1]

    yield start
    for server in running:
        server.http.shutdown()
        server.http.server_close()


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
    server.http.shutdown()
    server.http.server_close()
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
    out, url = tmp_path / "pairs.jsonl", f"http://127.0.0.1:{server.http.server_address[1]}/v1"
    given = ["synth", "--tools", str(tmp_path / "tools.json"), "--out", str(out), "--pairs", "40"]
    main([*given, "--teacher", "tutor", "--teacher-url", url, "--teacher-tokens", "300"])
    assert "questions=" in capsys.readouterr().err and len(server.asked) in range(2, 6)
    assert sum('"taught"' in line for line in out.read_text().splitlines()) > 5
    assert out.with_name("pairs.jsonl.teacher").exists()

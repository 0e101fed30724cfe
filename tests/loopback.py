"""A real HTTP server on loopback that speaks as much of OpenAI's chat completions as the tests need."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = Callable[[dict[str, Any]], dict[str, Any]]
"""From a question's body to the choice of its answer: `{"message": {...}, "finish_reason": ...}`."""


class ChatServer:
    """Answers by `reply`; the first `fail` questions get a 503, all of them `status` where that is none; keeps bodies."""

    def __init__(self, reply: Reply, *, fail: int = 0, status: int = 200) -> None:
        self.asked: list[dict[str, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append(body)
                if len(outer.asked) <= fail or status != 200:
                    self.send(503 if status == 200 else status, {"error": {"message": "no"}})
                    return
                usage = {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}
                about = {"id": "1", "object": "chat.completion", "created": 1, "model": body["model"]}
                self.send(200, {**about, "choices": [{"index": 0, **reply(body)}], "usage": usage})

            def send(self, status: int, value: Any) -> None:
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
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/v1"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.http.shutdown()
        self.http.server_close()


def says(content: str, *, finish: str = "stop") -> dict[str, Any]:
    """Return the choice of an answer that is text."""
    return {"message": {"role": "assistant", "content": content}, "finish_reason": finish}

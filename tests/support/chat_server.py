"""A small server with OpenAI's chat completions, which records what it is asked and answers as a test says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, object]
"""A status, and the body: bytes, or a value for JSON."""


def completion(text: str | None, reason: str = "stop") -> Reply:
    """The reply that is a chat completion with this text."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": reason}
    return 200, {"object": "chat.completion", "choices": [choice]}


def text_of(body: dict[str, Any]) -> str:
    """The text of a request's only message."""
    content = body["messages"][0]["content"]
    return content if isinstance(content, str) else str(content[-1]["text"])


def pictures_of(body: dict[str, Any]) -> list[str]:
    """The URLs of the pictures of a request."""
    content = body["messages"][0]["content"]
    return [] if isinstance(content, str) else [part["image_url"]["url"] for part in content[:-1]]


def caption_or_variation(body: dict[str, Any]) -> Reply:
    """Describe the pictures by their number; vary a description by naming the instruction."""
    text = text_of(body)
    if pictures_of(body):
        return completion(f"a clip of {len(pictures_of(body))} pictures")
    return completion("a clip with " + text.partition("this change: ")[2].partition("\n")[0])


@dataclass
class ChatServer:
    """The address of a running server, and its requests so far."""

    url: str  # up to /v1
    answer: Callable[[dict[str, Any]], Reply] = caption_or_variation
    models: list[str] = field(default_factory=lambda: ["eye"])
    headers: dict[str, str] = field(default_factory=dict)  # of every reply
    asked: list[dict[str, Any]] = field(default_factory=list)  # bodies, in order
    keys: list[str | None] = field(default_factory=list)  # the Authorization header of each


@contextmanager
def chat_server() -> Iterator[ChatServer]:
    """Run a server on a free loopback port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/v1/models":
                self._reply((200, {"data": [{"id": name} for name in state.models]}))
            else:
                self._reply((404, {"error": {"message": "no such path"}}))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                state.asked.append(body)
                state.keys.append(self.headers["Authorization"])
            self._reply(state.answer(body))

        def _reply(self, reply: Reply) -> None:
            status, body = reply
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in {**state.headers, "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_request(self, code: object = "-", size: object = "-") -> None:
            del code, size  # nothing is logged

    lock = threading.Lock()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state = ChatServer(f"http://127.0.0.1:{server.server_port}/v1")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()

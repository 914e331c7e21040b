"""What a server answers becomes a text, a retry, or one clear message."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from cosmos_batch.errors import InputError
from cosmos_batch.prompting.endpoint import ATTEMPTS, ChatEndpoint, EndpointError, RequestError
from cosmos_batch.prompting.messages import AnswerError
from tests.support.chat_server import ChatServer, Reply, chat_server, completion

QUESTION = [{"role": "user", "content": "?"}]


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chat_server() as running:
        yield running


def ask(server: ChatServer, waits: list[float] | None = None, **options: Any) -> str:
    waited = [] if waits is None else waits
    with ChatEndpoint(server.url, sleep=waited.append, **options) as endpoint:
        return endpoint.ask(QUESTION)


def test_only_model_of_the_server_is_asked_with_the_key(server: ChatServer) -> None:
    server.answer = lambda _: completion("a dock")
    assert ask(server, key="secret") == "a dock"
    assert server.asked[0]["model"] == "eye"
    assert server.keys == ["Bearer secret"]


@pytest.mark.parametrize(("models", "found"), [(["a", "b"], "has the models a, b"), ([], "names no model")])
def test_choice_of_a_model_is_left_to_the_user(server: ChatServer, models: list[str], found: str) -> None:
    server.models = models
    with pytest.raises(EndpointError, match=f"{found}; choose one with --model-name"):
        ask(server)
    assert ask(server, model="b").startswith("a clip")


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_passing_failure_is_retried(server: ChatServer, status: int) -> None:
    replies: list[Reply] = [(status, {"error": {"message": "busy"}}), completion("a dock")]
    server.answer = lambda _: replies.pop(0)
    waits: list[float] = []
    assert ask(server, waits) == "a dock"
    assert waits == [1]


def test_server_that_names_a_time_is_asked_again_then(server: ChatServer) -> None:
    replies: list[Reply] = [(429, b""), completion("a dock")]
    server.headers = {"Retry-After": "17"}
    server.answer = lambda _: replies.pop(0)
    waits: list[float] = []
    ask(server, waits)
    assert waits == [17]


def test_lasting_failure_is_one_message_with_the_servers_words(server: ChatServer) -> None:
    server.answer = lambda _: (500, {"error": {"message": "out of memory"}})
    with pytest.raises(RequestError, match='answers 500: "out of memory"'):
        ask(server)
    assert len(server.asked) == ATTEMPTS


@pytest.mark.parametrize(
    ("reply", "error", "message"),
    [
        ((400, {"error": {"message": "too many images"}}), RequestError, 'answers 400: "too many images"'),
        ((401, {"error": "no"}), EndpointError, "does not accept the key; name one with --key"),
        ((404, {"message": "model x"}), EndpointError, "knows no such model or path"),
        ((307, b""), EndpointError, "redirects"),
        ((200, b"<html>"), EndpointError, "something other than JSON; give the address up to /v1"),
        ((200, {}), AnswerError, "no chat completion"),
        ((200, []), AnswerError, "no chat completion"),
        (completion(None), AnswerError, "has no text"),
        (completion("a do", "length"), AnswerError, "was cut"),
        (completion("", "content_filter"), AnswerError, "content filter"),
    ],
)
def test_wrong_answer_is_not_asked_again(
    server: ChatServer, reply: Reply, error: type[Exception], message: str
) -> None:
    server.answer = lambda _: reply
    with pytest.raises(error, match=message):
        ask(server)
    assert len(server.asked) == 1


def test_text_in_parts_is_joined(server: ChatServer) -> None:
    parts = [{"type": "text", "text": "a "}, {"type": "text", "text": "dock"}]
    server.answer = lambda _: (200, {"choices": [{"message": {"content": parts}}]})
    assert ask(server) == "a dock"


def test_server_that_is_not_there_is_named() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://user:secret@127.0.0.1:{free.getsockname()[1]}/v1"
    with pytest.raises(EndpointError, match="cannot be reached") as caught:
        ChatEndpoint(url, "eye", sleep=lambda _: None).ask(QUESTION)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://host/v1", "http://", "", "http://[::1", "http://a:b/"])
def test_bad_address_is_a_problem_of_the_option(url: str) -> None:
    with pytest.raises(InputError, match=r"--endpoint = .* is no address of a server"):
        ChatEndpoint(url, "eye")

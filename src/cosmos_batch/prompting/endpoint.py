"""A server with OpenAI's chat completions: requests, retries, and the meaning of its errors."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from cosmos_batch.errors import CosmosBatchError, InputError, Problem
from cosmos_batch.formats.problems import printable, shown
from cosmos_batch.prompting.messages import AnswerError, Message

ATTEMPTS = 5  # at a request whose failure a retry can help
FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0  # seconds; doubled after every attempt
MAX_TOKENS = 4096  # of an answer, reasoning among them
_TIMEOUT = httpx.Timeout(300.0, connect=10.0)
_BUSY = frozenset({408, 409, 425, 429})  # statuses that pass, beside those from 500
_ENDPOINT_FAULTS = {
    401: "does not accept the key; name one with --key",
    403: "does not accept the key; name one with --key",
    404: "knows no such model or path; give the address up to /v1, and one of its models with --model-name",
}


class EndpointError(CosmosBatchError):
    """A server that cannot be reached, or refuses every request."""


class RequestError(CosmosBatchError):
    """A server that refuses, or cannot answer, this request."""


class _PassingError(RequestError):
    """A failure that a retry can help."""

    def __init__(self, message: str, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait  # seconds that the server asks for


class _UnreachableError(_PassingError):
    """There is no connection to the server."""


class ChatEndpoint:
    """A server and one of its models. May be used by several threads at a time."""

    def __init__(
        self,
        url: str,
        model: str | None = None,
        key: str | None = None,
        *,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        """`model`: None for the only one of the server. Raises InputError for a bad URL, and EndpointError."""
        self._stopped = threading.Event()
        self._sleep = sleep or self._wait
        try:
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            address = httpx.URL(url)
            self._http = httpx.Client(base_url=address, headers=headers, timeout=_TIMEOUT)
        except (httpx.InvalidURL, ValueError, TypeError, UnicodeError) as error:
            raise InputError([_bad_url(url)]) from error
        if address.scheme not in ("http", "https") or not address.host:
            raise InputError([_bad_url(url)])
        self.url = printable(str(address.copy_with(userinfo=b"", query=None, fragment=None)))
        """The address without secrets, as it stands in records."""
        self.model = model or self._only_model()

    def __enter__(self) -> ChatEndpoint:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._http.close()

    def stop(self) -> None:
        """End the waits of all threads; a request that fails afterwards is not repeated."""
        self._stopped.set()

    def _wait(self, seconds: float) -> None:
        self._stopped.wait(seconds)

    def ask(self, messages: Sequence[Message]) -> str:
        """The text of the model's answer.

        Raises RequestError and AnswerError for this request, EndpointError for a server that is of no use.
        """
        body = {"model": self.model, "messages": list(messages), "max_tokens": MAX_TOKENS, "stream": False}
        return _text_of(self._retried(lambda: self._request("POST", "chat/completions", body)))

    def _only_model(self) -> str:
        answer = self._retried(lambda: self._request("GET", "models", None))
        listed = answer.get("data") if isinstance(answer, dict) else None
        names = [str(each["id"]) for each in listed or () if isinstance(each, dict) and each.get("id")]
        if len(names) != 1:
            found = f"has the models {', '.join(map(printable, names[:10]))}" if names else "names no model"
            raise EndpointError(f"{self.url} {found}; choose one with --model-name")
        return names[0]

    def _retried(self, call: Callable[[], Any]) -> Any:
        backoff = wait_exponential(multiplier=FIRST_WAIT, max=LONGEST_WAIT)

        def wait(state: RetryCallState) -> float:
            error = state.outcome and state.outcome.exception()
            asked = error.wait if isinstance(error, _PassingError) else 0.0
            return max(backoff(state), min(asked, 10 * LONGEST_WAIT))

        tries = stop_after_attempt(ATTEMPTS)
        retrying = Retrying(
            retry=retry_if_exception_type(_PassingError),
            wait=wait,
            stop=lambda state: self._stopped.is_set() or tries(state),
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return retrying(call)
        except _UnreachableError as error:
            raise EndpointError(f"{error}; check the address, and that the server runs") from error

    def _request(self, method: str, path: str, body: object) -> Any:
        try:
            response = self._http.request(method, path, json=body)
        except httpx.TimeoutException as error:
            if isinstance(error, httpx.ConnectTimeout):
                raise _UnreachableError(f"{self.url} cannot be reached (no connection in time)") from error
            raise _PassingError(f"{self.url} gives no answer in {_TIMEOUT.read:.0f} s") from error
        except (httpx.ConnectError, httpx.UnsupportedProtocol, httpx.ProxyError) as error:
            raise _UnreachableError(f"{self.url} cannot be reached ({printable(str(error))})") from error
        except httpx.HTTPError as error:
            raise _PassingError(f"{self.url} ended the connection ({printable(str(error))})") from error
        return self._checked(response)

    def _checked(self, response: httpx.Response) -> Any:
        status = response.status_code
        if status == 200:
            try:
                return response.json()
            except ValueError as error:
                raise EndpointError(
                    f"{self.url} answers with something other than JSON; give the address up to /v1"
                ) from error
        said = f"{self.url} answers {status}: {shown(_reason(response))}"
        if status in _ENDPOINT_FAULTS:
            raise EndpointError(f"{said}: it {_ENDPOINT_FAULTS[status]}")
        if status in _BUSY or status >= 500:
            raise _PassingError(said, _seconds(response.headers.get("Retry-After", "")))
        if 300 <= status < 400:
            raise EndpointError(f"{said}: it redirects; name the address that it redirects to")
        raise RequestError(said)


def _text_of(answer: Any) -> str:
    """The text of a chat completion. Raises AnswerError for one without."""
    try:
        choice = answer["choices"][0]
        content = choice["message"]["content"]
    except (LookupError, TypeError) as error:
        raise AnswerError("the answer is no chat completion") from error
    if isinstance(content, list):
        content = "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    if choice.get("finish_reason") == "length":
        raise AnswerError(f"the answer was cut at the server's limit of tokens, or at {MAX_TOKENS}")
    if choice.get("finish_reason") == "content_filter":
        raise AnswerError("the server withheld the answer (content filter)")
    if not isinstance(content, str):
        raise AnswerError("the answer has no text")
    return content


def _reason(response: httpx.Response) -> str:
    """The server's own words about an error."""
    try:
        found = response.json()
        inner = found.get("error", found)
        return str(inner.get("message", inner) if isinstance(inner, dict) else inner)
    except (ValueError, AttributeError):
        return response.text[:200] or response.reason_phrase


def _seconds(text: str) -> float:
    """The seconds of a Retry-After header; 0 where it has none."""
    return float(text) if text.isascii() and text.isdigit() else 0.0


def _bad_url(url: str) -> Problem:
    remedy = "give one such as http://localhost:8000/v1"
    return Problem("", None, "--endpoint", shown(url), "is no address of a server", remedy)

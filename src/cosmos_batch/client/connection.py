"""HTTP client of a server: requests, and error responses mapped to our errors."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import httpx

from cosmos_batch.errors import CosmosBatchError, InputError, Problem, StorageError
from cosmos_batch.media.atomic import describe_folder_error, replacing

CHUNK = 1 << 20  # bytes of a download in memory at a time
PATIENCE = 60.0  # seconds without a byte after which a server counts as unreachable
_TIMEOUT = httpx.Timeout(PATIENCE, connect=10.0)


class ServerError(CosmosBatchError):
    """A server cannot be reached, or refuses a request."""

    def __init__(self, message: str, status: int | None = None) -> None:
        """`status`: of the response; None: there was none."""
        super().__init__(message)
        self.status = status


class Connection:
    """Requests to one server, with one API key."""

    def __init__(self, url: str, key: str | None) -> None:
        """Raises InputError if the URL is no address of a server."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            self._http = httpx.Client(base_url=url, headers=headers, timeout=_TIMEOUT)
        except (httpx.InvalidURL, ValueError, TypeError) as exc:
            raise InputError([_bad_url(url)]) from exc
        if self._http.base_url.scheme not in ("http", "https"):
            raise InputError([_bad_url(url)])

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections to the server."""
        self._http.close()

    def get(self, path: str, /, **query: str | int | Sequence[str]) -> Any:
        """The JSON response to a GET. Raises ServerError and InputError, as all methods do."""
        return self._request("GET", path, params=query).json()

    def post(self, path: str, body: Mapping[str, Any] | None = None, key: str | None = None) -> Any:
        """The JSON response to a POST. `key`: idempotency key, with which a repeated request has no effect."""
        headers = {"Idempotency-Key": key} if key else {}
        return self._request("POST", path, json=body, headers=headers).json()

    def upload(self, path: Path) -> str:
        """Send a video; returns its id."""
        try:
            with path.open("rb") as stream:
                files = {"file": (path.name, stream)}
                response = self._request(
                    "POST", "/v1/files", files=files, data={"purpose": "user_data"}, timeout=None
                )
        except OSError as exc:
            raise ServerError(f"{path} cannot be read: {exc.strerror}") from exc
        return str(response.json()["id"])

    def download(self, path: str, target: Path, **query: str) -> None:
        """Save a response in a file, completely or not at all. Also raises StorageError."""
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise StorageError(f"the folder {target.parent} {describe_folder_error(exc)}") from exc
        with _reached(self._http), self._http.stream("GET", path, params=query) as response:
            _check(response)
            with replacing(target) as part, part.open("wb") as stream:
                for chunk in response.iter_bytes(CHUNK):
                    stream.write(chunk)

    def videos(self, **query: str | Sequence[str]) -> Iterator[dict[str, Any]]:
        """Yield every video that matches the query, oldest first, page by page."""
        after: dict[str, str] = {}
        while True:
            page = self.get("/v1/videos", limit=100, order="asc", **query, **after)
            yield from page["data"]
            if not page["has_more"]:
                return
            after = {"after": page["last_id"]}

    def events(self, patience: float = PATIENCE) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield server-sent events from now on, as (name, data); a sign of life of the server is ("", {}).

        Raises ServerError after `patience` seconds without either; a server sends one every 15 seconds.
        """
        timeout = httpx.Timeout(patience, connect=10.0)
        with _reached(self._http), self._http.stream("GET", "/v1/events", timeout=timeout) as response:
            _check(response)
            name = ""
            for line in response.iter_lines():
                field, _, value = line.partition(": ")
                if field == "event":
                    name = value
                elif field == "data":
                    yield name, json.loads(value)
                elif line.startswith(":"):
                    yield "", {}

    def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        with _reached(self._http):
            response = self._http.request(method, path, **options)
            _check(response)
        return response


def in_path(name: str) -> str:
    """Quote a name as a part of a URL's path."""
    return quote(name, safe="")


@contextmanager
def _reached(http: httpx.Client) -> Iterator[None]:
    try:
        yield
    except httpx.HTTPError as exc:
        raise ServerError(f"the server {http.base_url} does not answer: {exc or type(exc).__name__}") from exc


def _check(response: httpx.Response) -> None:
    """Raise the server's error, if the response is one."""
    if response.is_success:
        return
    response.read()
    try:
        error = response.json()["error"]
        message, found = str(error["message"]), error.get("problems", [])
    except (ValueError, KeyError, TypeError) as exc:
        raise ServerError(f"the server answered {response.status_code} {response.reason_phrase}") from exc
    if found:
        raise InputError(_problems(found))
    raise ServerError(message, response.status_code)


def _problems(found: Sequence[Mapping[str, Any]]) -> list[Problem]:
    return [
        Problem("", each["line"], each["field"], each["found"], each["message"], each["remedy"]) for each in found
    ]


def _bad_url(url: str) -> Problem:
    remedy = "give one such as http://127.0.0.1:8000, with --server or in COSMOS_BATCH_SERVER"
    return Problem("", None, "--server", repr(url[:80]), "is no address of a server", remedy)

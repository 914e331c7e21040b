"""Files of web servers, which are read and never written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import httpx

from cosmos_batch.errors import MediaError, StorageError
from cosmos_batch.media.atomic import describe_folder_error
from cosmos_batch.storage.patience import Patience
from cosmos_batch.storage.store import StoredFile

_T = TypeVar("_T")
TIMEOUT = 30.0  # seconds without any byte
_REDIRECTS = 5
_BUSY = (408, 425, 429, 500, 502, 503, 504)
_MISSING = (404, 410)


class WebFile:
    """The file of a web address. Any thread may call it."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._patience = Patience(_may_pass)
        self._client = httpx.Client(timeout=TIMEOUT, follow_redirects=True, max_redirects=_REDIRECTS)

    def find(self) -> StoredFile | None:
        """Find the file; None where there is none. Raises MediaError and StorageError."""

        def head() -> httpx.Response:
            return _passable(self._client.head(self._address))

        answer = self._tried(head)
        if answer.status_code in _MISSING:
            return None
        if answer.is_error and answer.status_code not in (403, 405, 501):  # servers that do not answer HEAD
            raise MediaError(f"{self._address}: {_refusal(answer)}")
        length, marks = answer.headers.get("content-length", ""), ("etag", "last-modified")
        version = "" if answer.is_error else " ".join(answer.headers.get(name, "") for name in marks).strip()
        return StoredFile(self._address, int(length) if length.isdecimal() else 0, None, version)

    def download(self, target: Path) -> bool:
        """Copy the file to a local one; False where there is none. Raises MediaError and StorageError."""
        return self._tried(lambda: self._get(target))

    def _get(self, target: Path) -> bool:
        with self._client.stream("GET", self._address) as answer:
            _passable(answer)
            if answer.status_code in _MISSING:
                return False
            if answer.is_error:
                raise MediaError(f"{self._address}: {_refusal(answer)}")
            with target.open("wb") as stream:
                for chunk in answer.iter_bytes(1 << 20):
                    stream.write(chunk)
        return True

    def _tried(self, call: Callable[[], _T]) -> _T:
        try:
            return self._patience(call)
        except (httpx.TransportError, httpx.DecodingError, _BusyError) as error:
            raise StorageError(
                f"{self._address}: the server does not answer ({error}); try again later"
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise MediaError(f"{self._address}: cannot be read ({error}); correct the address") from error
        except OSError as error:
            raise StorageError(f"{self._address}: its copy {describe_folder_error(error)}") from error


class _BusyError(Exception):
    """An answer that asks for another try."""


def _passable(answer: httpx.Response) -> httpx.Response:
    """The answer of a server. Raises _BusyError for one that asks for another try."""
    if answer.status_code in _BUSY:
        raise _BusyError(f"{answer.status_code} {answer.reason_phrase}")
    return answer


def _refusal(answer: httpx.Response) -> str:
    said = f"{answer.status_code} {answer.reason_phrase}".strip()
    if answer.status_code in (401, 403):
        return f"the server does not let it be read ({said}); give an address that needs no login, or a signed one"
    return f"the server does not give it ({said}); correct the address"


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, (httpx.TransportError, _BusyError)) and not isinstance(
        error, httpx.UnsupportedProtocol
    )

"""A store in a bucket of S3, Google Cloud Storage or Azure, through fsspec: the only module that imports it."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from cosmos_batch.addresses import scheme_of
from cosmos_batch.errors import MissingExtraError, StorageError
from cosmos_batch.media.atomic import describe_folder_error
from cosmos_batch.storage.patience import Patience
from cosmos_batch.storage.store import StoredFile

_T = TypeVar("_T")
_Info = Mapping[str, object]

CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or the role of the machine",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS, or the service account of the machine",
    "az": "AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT_NAME with a key or an identity",
}
"""Where the client libraries of the stores find credentials, by scheme."""

_PERMANENT = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, FileExistsError)
_OF_THIS_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_OFFLINE = ("aiohttp.", "aiobotocore.", "botocore.", "azure.core.", "requests.", "google.auth.", "gcsfs.")
_NO_CREDENTIALS = (
    "NoCredentials",
    "PartialCredentials",
    "ProfileNotFound",
    "TokenRetrieval",
    "DefaultCredentials",
)
_MODIFIED = ("LastModified", "updated", "last_modified", "mtime")  # of S3, Google, Azure
_VERSIONS = ("ETag", "etag", "md5Hash", "generation")


class _FileSystem(Protocol):
    """What is used of fsspec.AbstractFileSystem."""

    def info(self, path: str) -> _Info: ...
    def find(self, path: str, *, detail: bool) -> Mapping[str, _Info]: ...
    def cat_file(self, path: str) -> bytes: ...
    def pipe_file(self, path: str, value: bytes) -> None: ...
    def put_file(self, lpath: str, rpath: str) -> None: ...
    def get_file(self, rpath: str, lpath: str) -> None: ...
    def rm_file(self, path: str) -> None: ...


def file_system(scheme: str) -> _FileSystem:
    """Open the object store of a scheme. Raises MissingExtraError."""
    try:
        import fsspec

        made: _FileSystem = fsspec.filesystem(scheme, use_listings_cache=False, skip_instance_cache=True)
    except (ImportError, ValueError) as error:
        raise MissingExtraError(f"{scheme}://", scheme) from error
    return made


class BucketStore:
    """Objects of a bucket below a prefix; see `store.Store`."""

    def __init__(
        self,
        url: str,
        files: _FileSystem | None = None,
        *,
        patience: Callable[[Callable[[BaseException], bool]], Patience] = Patience,
    ) -> None:
        """`url`: scheme://bucket/prefix; `files`: the object store. Raises MissingExtraError."""
        self._url = url.rstrip("/")
        self._scheme = scheme_of(url)
        self._base = self._url.removeprefix(f"{self._scheme}://")
        self._files = files or file_system(self._scheme)
        self._patience = patience(_may_pass)

    @property
    def url(self) -> str:
        """The address of the store."""
        return self._url

    def address(self, key: str) -> str:
        """The address of an object."""
        return f"{self._url}/{key}"

    def find(self, key: str) -> StoredFile | None:
        """Find an object, by one request."""
        found = self._unless_missing(lambda: self._files.info(self._path(key)))
        return _stored(key, found) if found and found.get("type") != "directory" else None

    def list(self, prefix: str) -> list[StoredFile]:
        """List objects, a thousand with each request."""
        place = f"{self._base}/{prefix}".rstrip("/")
        found = self._unless_missing(lambda: self._files.find(place, detail=True)) or {}
        keys = {path.removeprefix(f"{self._base}/"): info for path, info in found.items()}
        return [_stored(key, keys[key]) for key in sorted(keys) if key.startswith(prefix)]

    def read(self, key: str) -> bytes | None:
        """Read an object."""
        return self._unless_missing(lambda: self._files.cat_file(self._path(key)))

    def write(self, key: str, content: bytes) -> None:
        """Write an object."""
        self._tried(lambda: self._files.pipe_file(self._path(key), content))

    def upload(self, source: Path, key: str) -> None:
        """Upload a file, in parts where it is large."""
        self._tried(lambda: self._files.put_file(str(source), self._path(key)))

    def download(self, key: str, target: Path) -> bool:
        """Download an object."""

        def get() -> bool:
            self._files.get_file(self._path(key), str(target))
            return True

        return bool(self._unless_missing(get))

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects."""
        for key in keys:
            self._unless_missing(partial(self._files.rm_file, self._path(key)))

    def _path(self, key: str) -> str:
        return f"{self._base}/{key}"

    def _unless_missing(self, call: Callable[[], _T]) -> _T | None:
        with self._errors():
            try:
                return self._patience(call)
            except FileNotFoundError as error:
                if "bucket does not exist" in str(error):
                    raise
                return None

    def _tried(self, call: Callable[[], _T]) -> _T:
        with self._errors():
            return self._patience(call)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn the errors of a client library into StorageError with the remedy."""
        try:
            yield
        except StorageError:
            raise
        except FileNotFoundError as error:
            raise StorageError(
                f"the store {self._url}: there is no such bucket; make it, or correct it"
            ) from error
        except Exception as error:
            raise StorageError(f"the store {self._url} {self._fault(error)}") from error

    def _fault(self, error: Exception) -> str:
        known = f"it takes {CREDENTIALS[self._scheme]}"
        if any(word in type(error).__name__ for word in _NO_CREDENTIALS):
            return f"gets no credentials ({error}); {known}"
        if isinstance(error, PermissionError):
            return f"does not allow this ({error}); check the credentials: {known}"
        if isinstance(error, OSError) and error.errno in _OF_THIS_DISK:
            return f"cannot be copied from: the folder of the copy {describe_folder_error(error)}"
        if _may_pass(error):
            return f"does not answer ({type(error).__name__}: {error}); try again once it does"
        return f"cannot be used ({type(error).__name__}: {error})"


def _may_pass(error: BaseException) -> bool:
    """Whether an error of a client library may pass by itself: no answer, or one such as 503 Slow Down."""
    if any(word in type(error).__name__ for word in _NO_CREDENTIALS) or isinstance(error, _PERMANENT):
        return False
    if isinstance(error, OSError):
        return error.errno not in _OF_THIS_DISK
    return f"{type(error).__module__}.".startswith(_OFFLINE)


def _stored(key: str, info: _Info) -> StoredFile:
    size, modified = info.get("size"), next((info[name] for name in _MODIFIED if name in info), None)
    version = next((str(info[name]) for name in _VERSIONS if info.get(name)), "")
    return StoredFile(key, size if isinstance(size, int) else 0, _seconds(modified), version.strip('"'))


def _seconds(modified: object) -> float | None:
    """A time of a store, as its client library gives it, in seconds since 1970."""
    if isinstance(modified, str):
        modified = datetime.fromisoformat(modified.replace("Z", "+00:00"))
    if isinstance(modified, datetime):
        return modified.timestamp()
    return float(modified) if isinstance(modified, int | float) else None

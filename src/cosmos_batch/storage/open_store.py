"""Stores by their addresses: a path or file://, s3://, gs://, az://."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from cosmos_batch.addresses import BUCKETS, scheme_of
from cosmos_batch.errors import InputError, Problem
from cosmos_batch.storage.bucket_store import BucketStore
from cosmos_batch.storage.folder_store import FolderStore
from cosmos_batch.storage.store import Store

_REMEDY = f"give a folder, or an address such as {', '.join(f'{scheme}://bucket/folder' for scheme in BUCKETS)}"


def folder_of(url: str) -> Path | None:
    """The folder that a path or a file:// address names; None for an address of another kind."""
    scheme = scheme_of(url)
    if scheme == "file":
        return Path(unquote(urlsplit(url).path))
    return None if scheme else Path(url).expanduser()


def open_store(url: str, option: str) -> Store:
    """Open the store of an address. Raises InputError, with the name of the option, StorageError and
    MissingExtraError.
    """
    folder = folder_of(url)
    if folder is not None:
        return FolderStore(folder)
    if problem := store_problem(url, option):
        raise InputError([problem])
    return BucketStore(url)


def store_problem(url: str, option: str) -> Problem | None:
    """What is wrong with the address of a store; None where nothing is."""
    scheme = scheme_of(url)
    if scheme and scheme not in (*BUCKETS, "file"):
        return Problem("", None, option, url, f"{scheme}:// is no kind of store that is written", _REMEDY)
    bucket = url.partition("://")[2].partition("/")[0] if scheme in BUCKETS else "-"
    return None if bucket else Problem("", None, option, url, "names no bucket", _REMEDY)

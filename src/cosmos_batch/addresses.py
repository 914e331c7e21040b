"""Addresses of files that lie elsewhere, such as s3://bucket/clips/a.mp4, and where their copies lie here.

A run names an input by its address as by a path. Code that opens the file opens its copy (`storage.copies`).
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path, PurePosixPath

BUCKETS = ("s3", "gs", "az")
"""Schemes of object stores, each read and written by the extra of the same name."""

WEB = ("https", "http")
"""Schemes of web servers, from which inputs are read."""

_ANY = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]+)://")
_READ = re.compile(rf"({'|'.join((*BUCKETS, *WEB))}):/{{1,2}}(?=[^/])")  # of a Path, one slash of the two is left
_SUFFIX = re.compile(r"\.[a-zA-Z0-9]{1,8}")


def scheme_of(text: str) -> str:
    """The scheme of an address of any kind, in lower case; "" for a path."""
    found = _ANY.match(text)
    return found[1].lower() if found else ""


def is_address(text: str) -> bool:
    """Whether a text is an address of a kind that is read."""
    return _READ.match(text) is not None


def address_of(text: str) -> str | None:
    """An address as it was given, also where a Path has dropped one of its slashes; None for a path."""
    found = _READ.match(text)
    return f"{found[1]}://{text[found.end() :]}" if found else None


def name_of(address: str) -> str:
    """The last part of an address, without what a web address has behind its path."""
    path = re.split(r"[?#]", address, maxsplit=1)[0] if scheme_of(address) in WEB else address
    return PurePosixPath(path).name


def copy_of(text: str) -> Path | None:
    """The path of the copy of an address on this machine, whether it was fetched yet or not; None for a path."""
    address = address_of(text)
    if address is None:
        return None
    digest = hashlib.blake2b(address.encode("utf-8", "surrogatepass"), digest_size=20).hexdigest()
    suffix = PurePosixPath(name_of(address)).suffix.lower()
    name = digest + (suffix if _SUFFIX.fullmatch(suffix) else "")
    return copies_folder() / digest[:2] / name


def copies_folder() -> Path:
    """The folder of the copies, in the user's cache after the XDG base directory specification."""
    from platformdirs import user_cache_path

    return user_cache_path("cosmos-batch") / "inputs"

"""API keys: created once, stored as a digest in the ledger, revocable.

A key is 256 random bits, so a plain SHA-256 of it cannot be searched for, and checking a key is cheap.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Callable

from cosmos_batch.errors import InputError, Problem
from cosmos_batch.ledger import Ledger

PREFIX = "cb_"
FRESH_SECONDS = 2.0  # after which the cache reads the ledger again: the longest life of a revoked key
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def make_key(ledger: Ledger, name: str, tenant: str = "") -> str:
    """Create a key and return it; only its digest is stored. `tenant`: who pays for its runs; "": not said.

    Raises InputError for an invalid or taken name, and LedgerError.
    """
    if tenant and not _NAME.fullmatch(tenant):
        message, remedy = "is not a valid name of a tenant", "use 1 to 64 letters, digits, '.', '_' or '-'"
        raise InputError([Problem("", None, "--tenant", repr(tenant[:80]), message, remedy)])
    if not _NAME.fullmatch(name):
        raise _bad_name(name, "is not a valid name of a key", "use 1 to 64 letters, digits, '.', '_' or '-'")
    known = ledger.api_keys.all()
    if any(key.name == name for key in known):
        raise _bad_name(name, "is already the name of a key", "choose another: a name is used once")
    token = PREFIX + secrets.token_urlsafe(32)
    ledger.api_keys.add(name, digest_of(token), tenant)
    return token


def revoke_key(ledger: Ledger, name: str) -> None:
    """Revoke a key. Raises InputError for an unknown or revoked one, and LedgerError."""
    if not ledger.api_keys.revoke(name):
        raise _bad_name(name, "is not the name of a valid key", "cosmos-batch keys list shows them")


def digest_of(token: str) -> str:
    """Compute the digest that the ledger stores of a key."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


class ApiKeyCache:
    """The valid API keys, read from the ledger again every `FRESH_SECONDS`."""

    def __init__(self, ledger: Ledger, clock: Callable[[], float] = time.monotonic) -> None:
        self._ledger = ledger
        self._clock = clock
        self._until = -1.0
        self._names: frozenset[str] = frozenset()
        self._made = False  # whether a key was ever made, revoked or not
        self._known: dict[str, str] = {}  # names by digest

    @property
    def in_force(self) -> bool:
        """Whether a key was ever made: revoking the last one does not open a server."""
        self._current()
        return self._made

    @property
    def names(self) -> frozenset[str]:
        """The names of the keys that are not revoked."""
        return self._current()

    @property
    def fresh(self) -> bool:
        """Whether the names of the valid keys were read within `FRESH_SECONDS`."""
        return self._clock() < self._until

    def match(self, token: str) -> str | None:
        """Get the name of a key; None for an unknown or revoked one. Raises LedgerError."""
        names = self._current()
        digest = digest_of(token)
        if digest not in self._known:
            found = self._ledger.api_keys.name_of(digest)
            if found is not None:
                self._known[digest] = found
            return found
        name = self._known[digest]
        return name if name in names else None

    def knows(self, name: str) -> bool:
        """Tell whether a key of that name is valid. Raises LedgerError."""
        return name in self._current()

    def _current(self) -> frozenset[str]:
        if self._clock() >= self._until:
            keys = self._ledger.api_keys.all()
            self._made = bool(keys)
            self._names = frozenset(key.name for key in keys if key.revoked is None)
            self._until = self._clock() + FRESH_SECONDS
        return self._names


def _bad_name(name: str, message: str, remedy: str) -> InputError:
    return InputError([Problem("", None, "name", repr(name[:80]), message, remedy)])

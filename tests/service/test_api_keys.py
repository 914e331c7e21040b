"""API keys."""

from __future__ import annotations

import pytest

from cosmos_batch.errors import ConflictError, InputError
from cosmos_batch.ledger import Ledger
from cosmos_batch.service.api_keys import ApiKeyCache, digest_of, make_key, revoke_key


def test_revoked_key_is_invalid(ledger: Ledger) -> None:
    now = [0.0]
    cache = ApiKeyCache(ledger, lambda: now[0])
    alice, bob = make_key(ledger, "alice"), make_key(ledger, "bob")
    assert (cache.match(alice), cache.match(bob), cache.match("cb_no")) == ("alice", "bob", None)
    revoke_key(ledger, "alice")
    now[0] += 10
    assert (cache.match(alice), cache.match(bob), cache.in_force) == (None, "bob", True)


def test_keys_stay_required_after_the_last_one_was_revoked(ledger: Ledger) -> None:
    assert not ApiKeyCache(ledger).in_force
    make_key(ledger, "alice")
    revoke_key(ledger, "alice")
    cache = ApiKeyCache(ledger)
    assert (cache.in_force, cache.names) == (True, frozenset())


def test_keys_are_stored_as_digests_under_unique_names(ledger: Ledger) -> None:
    token = make_key(ledger, "alice")
    assert ledger.api_keys.name_of(digest_of(token)) == "alice"
    assert token not in str(ledger.api_keys.all())
    with pytest.raises(InputError, match="already"):
        make_key(ledger, "alice")
    with pytest.raises(ConflictError):
        ledger.api_keys.add("alice", digest_of("another"))
    for name in ("", "a b", "../x", "x" * 65):
        with pytest.raises(InputError, match="not a valid name"):
            make_key(ledger, name)
    with pytest.raises(InputError, match="not the name of a valid key"):
        revoke_key(ledger, "unknown")

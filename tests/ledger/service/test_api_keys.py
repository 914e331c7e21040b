"""Records of API keys."""

from __future__ import annotations

import pytest

from cosmos_batch.errors import ConflictError
from cosmos_batch.ledger import (
    Ledger,
)


def test_revoked_key_has_no_name(ledger: Ledger) -> None:
    ledger.api_keys.add("alice", "00" * 32)

    assert ledger.api_keys.name_of("00" * 32) == "alice"
    assert ledger.api_keys.name_of("11" * 32) is None
    with pytest.raises(ConflictError, match="choose another"):
        ledger.api_keys.add("alice", "11" * 32)
    assert ledger.api_keys.revoke("alice")
    assert not ledger.api_keys.revoke("alice")
    assert ledger.api_keys.name_of("00" * 32) is None
    (key,) = ledger.api_keys.all()
    assert key.name == "alice"

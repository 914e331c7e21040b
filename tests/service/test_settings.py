"""Settings of a server."""

from __future__ import annotations

import pytest

from cosmos_batch.service.settings import is_loopback


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", 1), ("127.8.8.8", 1), ("::1", 1), ("localhost", 1), ("0.0.0.0", 0), ("lab-7", 0)],
)
def test_loopback_addresses(host: str, local: int) -> None:
    assert is_loopback(host) is bool(local)

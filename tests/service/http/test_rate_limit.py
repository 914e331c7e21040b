"""Rate limit per client."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from cosmos_batch.service.http.errors import ApiError
from cosmos_batch.service.http.rate_limit import RateLimiter


def test_client_waits_for_a_token() -> None:
    now = [0.0]
    limiter = RateLimiter(2.0, 3, lambda: now[0])
    for _ in range(3):
        limiter.spend("a")
    with pytest.raises(ApiError, match=r"ask again in 0\.50 s") as refused:
        limiter.spend("a")
    assert (refused.value.status, refused.value.headers["Retry-After"]) == (429, "1")
    limiter.spend("b")
    now[0] += 0.5
    limiter.spend("a")


def test_too_many_requests_get_429(make_client: Callable[..., TestClient]) -> None:
    client = make_client(requests_per_second=0.001, burst=2)
    assert [client.get("/v1/models").status_code for _ in range(3)] == [200, 200, 429]
    assert client.get("/healthz").status_code == 200

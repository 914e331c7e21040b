"""Rate limit per client: a token bucket for each."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from cosmos_batch.service.http.errors import ApiError

_CLIENTS = 10_000  # remembered at the same time; the one without a request for longest is dropped first


class RateLimiter:
    """Limits the requests of each client."""

    def __init__(self, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # by client: tokens, and since when

    def spend(self, client: str) -> None:
        """Take a token of a client. Raises ApiError where none is left."""
        now = self._clock()
        tokens, since = self._buckets.pop(client, (float(self._burst), now))
        tokens = min(self._burst, tokens + (now - since) * self._per_second)
        self._buckets[client] = (max(0.0, tokens - 1), now)
        if len(self._buckets) > _CLIENTS:
            self._buckets.popitem(last=False)
        if tokens < 1:
            wait = (1 - tokens) / self._per_second
            raise ApiError(
                429,
                "rate_limit_exceeded",
                f"more than {self._per_second:g} requests per second; ask again in {wait:.2f} s",
                headers={"Retry-After": str(int(wait) + 1)},
            )

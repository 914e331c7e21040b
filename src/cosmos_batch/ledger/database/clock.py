"""The time of a database server, for processes whose machine's clock may be wrong."""

from __future__ import annotations

import time
from collections.abc import Callable

from sqlalchemy import Connection, select

from cosmos_batch.ledger.database.dialects import server_time

READ_SECONDS = 60.0  # between two looks at the server's clock
_SLOW_SECONDS = 1.0  # an answer that takes longer does not say the time


class ServerClock:
    """Follows a server's clock: its time when it was last read, and what has passed here since.

    Any thread may call it. Leases do not depend on it: statements compare them by the server's clock itself.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`monotonic`: seconds since any moment, which no correction of a clock changes."""
        self._monotonic = monotonic
        self._ahead = time.time() - monotonic()  # of the server's time
        self._read: float | None = None  # when the server's clock was last read

    def __call__(self) -> float:
        """Return the server's time, in seconds since 1970."""
        return self._monotonic() + self._ahead

    def read_when_due(self, connection: Connection) -> None:
        """Read the server's clock, unless that was done a short while ago."""
        began = self._monotonic()
        if self._read is not None and began - self._read < READ_SECONDS:
            return
        found = connection.execute(select(server_time())).scalar_one()
        ended = self._monotonic()
        if self._read is None or ended - began < _SLOW_SECONDS:
            self._ahead = found - (began + ended) / 2
            self._read = ended

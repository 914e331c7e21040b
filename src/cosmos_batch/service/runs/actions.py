"""Actions on many runs at once: what is refused comes back by id, and holds up no other run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cosmos_batch.ledger import ENDED, Ledger, State
from cosmos_batch.run import Priority

SLICE = 1000
"""Runs that one transaction changes: workers and other clients write between two."""

TOO_LATE = (State.SUCCEEDED, State.FAILED, State.BLOCKED)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an action was not done to a run."""

    reason: str
    state: State | None  # None: there is no such run


class RunActions:
    """Cancels, retries, rates, reprioritises and deletes runs of a server.

    Every method returns the refused runs by id, and raises LedgerError. `key_name`: of the client.
    """

    def __init__(self, ledger: Ledger, videos: Path) -> None:
        """`videos`: the folder of the finished runs."""
        self._ledger = ledger
        self._videos = videos

    def cancel(self, ids: Sequence[str], key_name: str = "") -> dict[str, Refusal]:
        """Cancel runs: at once those that wait, at their next step those that run."""
        refused: dict[str, Refusal] = {}
        for part in _slices(ids):
            states = self._ledger.runs.cancel(part, _by("cancelled", key_name))
            late = [id_ for id_ in part if states.get(id_) in TOO_LATE]
            published = "its steps are done, and its video is being published"
            refused |= self._refused(late, "it has already ended", otherwise=published)
            refused |= {id_: _unknown(id_) for id_ in part if id_ not in states}
        return refused

    def retry(self, ids: Sequence[str], key_name: str = "") -> dict[str, Refusal]:
        """Queue failed, blocked and cancelled runs again."""
        refused: dict[str, Refusal] = {}
        reason = "only a failed, blocked or cancelled video can be retried"
        for part in _slices(ids):
            done = set(self._ledger.runs.retry(part, _by("retried", key_name)))
            refused |= self._refused([id_ for id_ in part if id_ not in done], reason)
        return refused

    def reprioritise(self, ids: Sequence[str], priority: int | str) -> dict[str, Refusal]:
        """Set the priority of runs that have not ended: a number, or the name of a level."""
        value = Priority[priority.upper()].value if isinstance(priority, str) else priority
        refused: dict[str, Refusal] = {}
        for part in _slices(ids):
            done = set(self._ledger.runs.reprioritise(part, value))
            refused |= self._refused([id_ for id_ in part if id_ not in done], "it has already ended")
        return refused

    def rate(self, ids: Sequence[str], rating: int | None) -> dict[str, Refusal]:
        """Set the rating of runs, 1 to 5; None removes it."""
        refused: dict[str, Refusal] = {}
        for part in _slices(ids):
            done = set(self._ledger.runs.rate(part, rating))
            refused |= {id_: _unknown(id_) for id_ in part if id_ not in done}
        return refused

    def delete(self, ids: Sequence[str]) -> dict[str, Refusal]:
        """Delete ended runs, with their videos."""
        refused: dict[str, Refusal] = {}
        for part in _slices(ids):
            done = self._ledger.runs.delete(part)
            for id_ in done:
                shutil.rmtree(self._videos / id_, ignore_errors=True)
            left = set(part) - set(done)
            for id_, refusal in self._refused([id_ for id_ in part if id_ in left], "cancel it first").items():
                by = f", by POST /v1/videos/{id_}/cancel" if refusal.state else ""
                refused[id_] = replace(refusal, reason=refusal.reason + by)
        return refused

    def _refused(self, ids: Sequence[str], reason: str, *, otherwise: str = "") -> dict[str, Refusal]:
        """Make the refusals of runs by their state; `otherwise`: the reason for a run that has not ended."""
        records = self._ledger.queries.records(ids)
        refused: dict[str, Refusal] = {}
        for id_ in ids:
            record = records.get(id_)
            if record is None:
                refused[id_] = _unknown(id_)
            else:
                own = otherwise if otherwise and record.state not in ENDED else reason
                refused[id_] = Refusal(own, record.state)
        return refused


def _unknown(run_id: str) -> Refusal:
    return Refusal(f"there is no video {run_id!r}", None)


def _by(what: str, key_name: str) -> str:
    return f"{what} by {key_name}" if key_name else what


def _slices(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), SLICE):
        yield ids[start : start + SLICE]

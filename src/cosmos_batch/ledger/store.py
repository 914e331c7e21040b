"""The ledger: what was asked for, where each run is, who is at work on it, and what it cost.

Every function is one transaction. None of them uses what only SQLite has.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, ColumnElement, Connection, and_, bindparam, func, insert, select, update

from cosmos_batch.ledger.connect import BUSY_SECONDS, connect, ledger_errors, readable, sqlite_url
from cosmos_batch.ledger.records import (
    HELD,
    WAITING,
    Attempt,
    BatchFacts,
    Claim,
    RunRecord,
    Standing,
    State,
    StateChange,
    Submitted,
)
from cosmos_batch.ledger.tables import attempts, batches, events, limits, measurements, runs
from cosmos_batch.planning.cost import Measurement
from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import Run

_T = TypeVar("_T")
CHUNK = 500  # ids in one statement: databases bound the number of parameters


class Ledger:
    """The database of runs, batches, attempts and measurements. Everything raises LedgerError."""

    def __init__(
        self, place: Path | URL, clock: Callable[[], float] = time.time, busy: float = BUSY_SECONDS
    ) -> None:
        """Open the ledger in a file or at a URL; a new one is made, an old one brought up to date.

        `busy`: how long, in seconds, to wait for another process that writes.
        """
        url = sqlite_url(place) if isinstance(place, Path) else place
        self._name = readable(url)
        self._clock = clock
        self._reader = connect(url, busy)
        self._writer = self._reader.execution_options(writes=True)

    def close(self) -> None:
        """Let go of the database."""
        self._reader.dispose()

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with ledger_errors(self._name), self._writer.begin() as connection:
            yield connection

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with ledger_errors(self._name), self._reader.connect() as connection:
            yield connection

    # What is asked for ------------------------------------------------------------------------------------

    def submit(self, requests: Iterable[Run], reason: str = "submitted") -> Submitted:
        """Take runs in. A known id with other settings is queued anew, unless a worker holds it just now."""
        total = Submitted(0, 0, 0)
        with self._write() as connection:
            for chunk in _chunks(requests):
                total += self._submit(connection, {run.id: run for run in chunk}, reason)
        return total

    def _submit(self, connection: Connection, wanted: Mapping[str, Run], reason: str) -> Submitted:
        query = select(runs.c.id, runs.c.fingerprint, runs.c.priority).where(runs.c.id.in_(wanted))
        stored = {id_: (fingerprint, priority) for id_, fingerprint, priority in connection.execute(query)}
        fresh = [run for id_, run in wanted.items() if id_ not in stored]
        other = [wanted[id_] for id_, (print_, _) in stored.items() if wanted[id_].fingerprint != print_]
        moved = [wanted[id_] for id_, (_, priority) in stored.items() if wanted[id_].priority != priority]
        if fresh:
            connection.execute(insert(runs), [self._request_row(run) for run in fresh])
            self._note(connection, [run.id for run in fresh], State.QUEUED, reason)
        for run in moved:
            connection.execute(update(runs).where(runs.c.id == run.id).values(priority=run.priority))
        for run in other:
            self._replace(connection, run)
        return Submitted(len(fresh), len(other), len(wanted) - len(fresh) - len(other))

    def _request_row(self, run: Run) -> dict[str, Any]:
        now = self._clock()
        return {
            "id": run.id,
            "fingerprint": run.fingerprint,
            "request": asdict(run),
            "state": State.QUEUED,
            "priority": run.priority,
            "created": now,
            "updated": now,
        }

    def _replace(self, connection: Connection, run: Run) -> None:
        query = update(runs).where(runs.c.id == run.id, runs.c.state.not_in(HELD))
        if connection.execute(query.values(**self._request_row(run), cause="", failures=0)).rowcount:
            self._note(connection, [run.id], State.QUEUED, "asked for with other settings")

    # Where runs are ---------------------------------------------------------------------------------------

    def waiting(self, among: Collection[str] | None = None) -> list[RunRecord]:
        """The runs that wait, most urgent first, then oldest first; only those `among` the ids, if given."""
        order = (runs.c.priority.desc(), runs.c.created, runs.c.id)
        with self._read() as connection:
            rows = connection.execute(select(runs).where(runs.c.state.in_(WAITING)).order_by(*order)).mappings()
            return [RunRecord.from_row(row) for row in rows if among is None or row["id"] in among]

    def get(self, run_id: str) -> RunRecord | None:
        """One run; None if the ledger does not know it."""
        with self._read() as connection:
            row = connection.execute(select(runs).where(runs.c.id == run_id)).mappings().one_or_none()
        return None if row is None else RunRecord.from_row(row)

    def standings(self) -> list[Standing]:
        """How every run stands, in the order in which they were asked for."""
        spent = func.coalesce(attempts.c.ended, self._clock()) - attempts.c.started
        latest = select(func.max(attempts.c.id).label("id")).group_by(attempts.c.run).subquery()
        last = select(attempts.c.run, attempts.c.step, attempts.c.steps, spent.label("seconds"))
        last_attempts = last.where(attempts.c.id.in_(select(latest.c.id))).subquery()
        query = (
            select(runs.c.id, runs.c.fingerprint, runs.c.state, runs.c.cause, runs.c.priority)
            .add_columns(last_attempts.c.seconds, last_attempts.c.step, last_attempts.c.steps)
            .select_from(runs.outerjoin(last_attempts, last_attempts.c.run == runs.c.id))
            .order_by(runs.c.created, runs.c.id)
        )
        with self._read() as connection:
            return [Standing.from_row(row) for row in connection.execute(query).mappings()]

    def states(self) -> dict[State, int]:
        """How many runs are in each state."""
        query = select(runs.c.state, func.count()).group_by(runs.c.state)
        with self._read() as connection:
            return {State(state): count for state, count in connection.execute(query)}

    def history(self, run_id: str) -> list[StateChange]:
        """Every change of a run's state, oldest first."""
        query = select(events).where(events.c.run == run_id).order_by(events.c.id)
        with self._read() as connection:
            return [StateChange.from_row(row) for row in connection.execute(query).mappings()]

    def attempts(self, run_id: str) -> list[Attempt]:
        """Every attempt at a run, oldest first."""
        query = select(attempts).where(attempts.c.run == run_id).order_by(attempts.c.id)
        with self._read() as connection:
            return [Attempt.from_row(row) for row in connection.execute(query).mappings()]

    # Work -------------------------------------------------------------------------------------------------

    def claim(self, ids: Sequence[str], facts: BatchFacts, worker: str, lease: float) -> Claim | None:
        """Take those of the runs that still wait, for `lease` seconds, as one batch; None if none waits."""
        wanted = select(runs.c.id).where(runs.c.id.in_(ids), runs.c.state.in_(WAITING))
        with self._write() as connection:
            free = list(connection.scalars(wanted.with_for_update(skip_locked=True)))
            if not free:
                return None
            batch = self._insert_batch(connection, facts, len(free))
            opened = self._insert_attempts(connection, free, batch, worker, lease)
            share = facts.predicted_seconds / len(free)
            self._change(connection, free, State.LEASED, f"in batch {batch}", predicted_seconds=share)
        return Claim(batch, opened)

    def _insert_batch(self, connection: Connection, facts: BatchFacts, size: int) -> int:
        row = {
            "engine": facts.engine,
            **asdict(facts.shape),
            "size": size,
            "predicted_seconds": facts.predicted_seconds,
            "predicted_bytes": facts.predicted_bytes,
            "started": self._clock(),
        }
        return int(connection.execute(insert(batches).values(row).returning(batches.c.id)).scalar_one())

    def _insert_attempts(
        self, connection: Connection, ids: Sequence[str], batch: int, worker: str, lease: float
    ) -> dict[str, int]:
        now = self._clock()
        common = {"batch": batch, "worker": worker, "lease_until": now + lease, "started": now}
        query = insert(attempts).returning(attempts.c.run, attempts.c.id)
        rows = connection.execute(query, [{"run": id_, **common} for id_ in ids])
        return {row.run: row.id for row in rows}

    def begin(self, ids: Sequence[str]) -> None:
        """Leased runs have joined, and run."""
        with self._write() as connection:
            self._change(connection, ids, State.RUNNING, "joined")

    def progress(self, steps: Mapping[int, tuple[int, int]], lease: float) -> None:
        """Record, by attempt, the denoising steps done and in all; the lease runs on for `lease` seconds."""
        query = update(attempts).where(attempts.c.id == bindparam("attempt"), attempts.c.ended.is_(None))
        until = self._clock() + lease
        values = [{"attempt": id_, "step": done, "steps": of} for id_, (done, of) in steps.items()]
        if values:
            with self._write() as connection:
                connection.execute(query.values(lease_until=until), values)

    def finish(self, attempt: int, state: State, cause: str = "", *, failure: bool = False) -> bool:
        """End an attempt, leaving its run in `state`; `failure` counts it against the run.

        Returns False, and changes nothing, where the attempt had ended already: its lease had run out.
        """
        closing = update(attempts).where(attempts.c.id == attempt, attempts.c.ended.is_(None))
        closing = closing.values(ended=self._clock(), outcome=state, cause=cause)
        with self._write() as connection:
            run = connection.scalar(closing.returning(attempts.c.run))
            if run is None:
                return False
            counted = {"failures": runs.c.failures + 1} if failure else {}
            self._change(connection, [run], state, cause, **counted)
        return True

    def end_batch(self, batch: int, cause: str = "") -> None:
        """Record that a batch is over, and why it was cut short, if it was."""
        with self._write() as connection:
            query = update(batches).where(batches.c.id == batch)
            connection.execute(query.values(ended=self._clock(), cause=cause))

    def settle(self, ids: Sequence[str], state: State, reason: str) -> None:
        """Put runs that nobody holds into a state; queued anew, their failures are forgotten."""
        forgotten = {"failures": 0} if state == State.QUEUED else {}
        with self._write() as connection:
            for chunk in _chunks(ids):
                self._change(connection, chunk, state, reason, **forgotten)

    def reclaim(self, reason: str, *, everyone: bool = False) -> list[str]:
        """Queue the runs whose lease ran out (of `everyone`: no worker is alive) again; return their ids."""
        lapsed: ColumnElement[bool] = attempts.c.ended.is_(None)
        if not everyone:
            lapsed = and_(lapsed, attempts.c.lease_until < self._clock())
        closing = update(attempts).where(lapsed)
        closing = closing.values(ended=self._clock(), outcome=State.QUEUED, cause=reason)
        with self._write() as connection:
            ids = sorted(set(connection.scalars(closing.returning(attempts.c.run))))
            for chunk in _chunks(ids):
                self._change(connection, chunk, State.QUEUED, reason)
        return ids

    def _change(
        self, connection: Connection, ids: Sequence[str], state: State, reason: str, **values: object
    ) -> None:
        query = update(runs).where(runs.c.id.in_(ids))
        connection.execute(query.values(state=state, cause=reason, updated=self._clock(), **values))
        self._note(connection, ids, state, reason)

    def _note(self, connection: Connection, ids: Iterable[str], state: State, reason: str) -> None:
        now = self._clock()
        rows = [{"run": id_, "state": state, "reason": reason, "at": now} for id_ in ids]
        if rows:
            connection.execute(insert(events), rows)

    # What is learnt ---------------------------------------------------------------------------------------

    def add_measurement(self, measured: Measurement, batch: int | None = None) -> None:
        """Keep what a model load or a batch cost."""
        row = {
            "batch": batch,
            "engine": measured.engine,
            "device": measured.device,
            "facts": asdict(measured),
            "at": self._clock(),
        }
        with self._write() as connection:
            connection.execute(insert(measurements).values(row))

    def measurements(self, engine: str, device: str) -> list[Measurement]:
        """What an engine's loads and batches cost on a device, oldest first."""
        mine = (measurements.c.engine == engine, measurements.c.device == device)
        query = select(measurements.c.facts).where(*mine).order_by(measurements.c.id)
        with self._read() as connection:
            return [Measurement(**facts) for facts in connection.scalars(query)]

    def add_limit(self, engine: str, device: str, shape: Shape, most: int) -> None:
        """Keep that no more than so many runs of a shape fit in a device's memory together."""
        row = {"engine": engine, "device": device, **asdict(shape), "runs": most, "at": self._clock()}
        with self._write() as connection:
            connection.execute(insert(limits).values(row))

    def limits(self, engine: str, device: str) -> dict[Shape, int]:
        """The largest batch that may be tried, for every shape that ran out of memory on a device."""
        size = (limits.c.width, limits.c.height, limits.c.frames)
        mine = (limits.c.engine == engine, limits.c.device == device)
        query = select(*size, func.min(limits.c.runs)).where(*mine).group_by(*size)
        with self._read() as connection:
            return {
                Shape(width, height, frames): most for width, height, frames, most in connection.execute(query)
            }


def _chunks(items: Iterable[_T]) -> Iterator[list[_T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk

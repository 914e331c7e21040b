"""Who is at work on what: leases, attempts and batches, and what becomes of them when a worker dies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, bindparam, case, func, insert, select, update

from cosmos_batch.ledger.models import CANCEL, HELD, WAITING, BatchFacts, Claim, State
from cosmos_batch.ledger.schema import attempts, batches, events, runs, settings
from cosmos_batch.ledger.service_models import Mode
from cosmos_batch.ledger.transactions import Component, Database, chunks

MODE = "mode"  # the control that holds the queue's mode


class QueueEntry(NamedTuple):
    """A waiting run as the queue sees it: a named tuple, since there may be a million of them."""

    id: str
    fingerprint: str
    priority: int
    created: float  # seconds since 1970
    not_before: float
    failures: int
    crashes: int


@dataclass(frozen=True, slots=True)
class QueueChanges:
    """What has changed in the queue."""

    latest: int  # id of the latest change that this takes account of
    waiting: list[QueueEntry]  # runs that wait, of those that changed
    gone: list[str]  # ids of those that do not wait (any more)


@dataclass(frozen=True, slots=True)
class QueuePoll:
    """What a worker asks between two steps."""

    latest: int  # id of the latest change of any run
    mode: Mode


_ENTRY = (
    runs.c.id,
    runs.c.fingerprint,
    runs.c.priority,
    runs.c.created,
    runs.c.not_before,
    runs.c.failures,
    runs.c.crashes,
)
_LATEST = select(func.coalesce(func.max(events.c.id), 0)).scalar_subquery()
_MODE = select(settings.c.value).where(settings.c.name == MODE).scalar_subquery()
_PULSE = select(_LATEST.label("latest"), _MODE.label("mode"))


class SqlQueue(Component):
    """The side of the workers."""

    def poll(self) -> QueuePoll:
        """The latest change and the queue's mode, in one cheap query."""
        with self._db.read() as connection:
            row = connection.execute(_PULSE).one()
        return QueuePoll(row.latest, Mode(row.mode or Mode.RUNNING))

    def changes_since(self, after: int | None = None) -> QueueChanges:
        """What changed in the queue after the change with that id; of None: everything that waits."""
        query = select(*_ENTRY, runs.c.state)
        if after is None:
            query = query.where(runs.c.state.in_(WAITING))
        else:
            query = query.where(runs.c.id.in_(select(events.c.run).where(events.c.id > after)))
        with self._db.read() as connection:
            latest = connection.execute(select(_LATEST)).scalar_one()
            rows = connection.execute(query).all()
        waiting = [QueueEntry(*row[:-1]) for row in rows if row.state in WAITING]
        return QueueChanges(latest, waiting, [row.id for row in rows if row.state not in WAITING])

    def claim(
        self, ids: Sequence[str], facts: BatchFacts, worker: str, lease: float, into: int | None = None
    ) -> Claim | None:
        """Take those of the runs that still wait, for `lease` seconds; None if none waits.

        They become a batch, or join the batch `into`, which grows by them and by their predicted seconds.
        """
        wanted = select(runs.c.id).where(runs.c.id.in_(ids), runs.c.state.in_(WAITING))
        with self._db.write() as connection:
            free = list(connection.scalars(wanted.with_for_update(skip_locked=True)))
            if not free:
                return None
            if into is None:
                batch = self._insert_batch(connection, facts, len(free), worker)
            else:
                batch = _grow_batch(connection, into, facts, len(free))
            opened = self._insert_attempts(connection, free, batch, worker, lease)
            share = facts.predicted_seconds / len(free)
            self._db.change(connection, free, State.LEASED, f"in batch {batch}", predicted_seconds=share)
            _keep_alone(connection, free, facts.alone_seconds)
        return Claim(batch, opened)

    def _insert_batch(self, connection: Connection, facts: BatchFacts, size: int, worker: str) -> int:
        row = {
            "engine": facts.engine,
            **asdict(facts.shape),
            "size": size,
            "predicted_seconds": facts.predicted_seconds,
            "predicted_bytes": facts.predicted_bytes,
            "started": self._db.clock(),
            "worker": worker,
        }
        return int(connection.execute(insert(batches).values(row).returning(batches.c.id)).scalar_one())

    def _insert_attempts(
        self, connection: Connection, ids: Sequence[str], batch: int, worker: str, lease: float
    ) -> dict[str, int]:
        now = self._db.clock()
        common = {"batch": batch, "worker": worker, "lease_until": now + lease, "started": now}
        query = insert(attempts).returning(attempts.c.run, attempts.c.id)
        rows = connection.execute(query, [{"run": id_, **common} for id_ in ids])
        return {row.run: row.id for row in rows}

    def remaining_seconds(self) -> dict[str, float]:
        """By worker: for how many more seconds it is busy with a batch. That is the share of the batch's denoising
        steps that are left, of what was predicted for all; where no step is known of, what the clock says.
        """
        left = case((attempts.c.ended.is_(None), attempts.c.steps - attempts.c.step), else_=0)
        columns = (batches.c.worker, batches.c.started, batches.c.predicted_seconds)
        query = select(*columns, func.sum(attempts.c.steps), func.sum(left)).join(attempts)
        query = query.where(batches.c.ended.is_(None)).group_by(batches.c.id, *columns)
        now, busy = self._db.clock(), dict[str, float]()
        with self._db.read() as connection:
            for worker, started, seconds, steps, missing in connection.execute(query):
                more = seconds * missing / steps if steps else started + seconds - now
                busy[worker] = max(busy.get(worker, 0.0), more)
        return busy

    def begin(self, ids: Sequence[str]) -> None:
        """Leased runs have joined, and run."""
        if ids:
            with self._db.write() as connection:
                self._db.change(connection, ids, State.RUNNING, "joined")

    def progress(self, steps: Mapping[int, tuple[int, int]], lease: float) -> None:
        """Record, by attempt, the denoising steps done and in all; the lease runs on for `lease` seconds."""
        query = update(attempts).where(attempts.c.id == bindparam("attempt"), attempts.c.ended.is_(None))
        until = self._db.clock() + lease
        values = [{"attempt": id_, "step": done, "steps": of} for id_, (done, of) in steps.items()]
        if values:
            with self._db.write() as connection:
                connection.execute(query.values(lease_until=until), values)

    def renew(self, held: Iterable[int], lease: float) -> set[int]:
        """Let the leases of these attempts run on for `lease` seconds; those of them that have not ended."""
        query = update(attempts).where(attempts.c.id.in_(list(held)), attempts.c.ended.is_(None))
        with self._db.write() as connection:
            query = query.values(lease_until=self._db.clock() + lease)
            return set(connection.scalars(query.returning(attempts.c.id)))

    def cancel_requests(self) -> list[str]:
        """The runs that a worker has and somebody wants to be cancelled."""
        query = select(runs.c.id).where(runs.c.requested_action == CANCEL, runs.c.state.in_(HELD))
        with self._db.read() as connection:
            return list(connection.scalars(query))

    def finish(
        self,
        attempt: int,
        state: State,
        cause: str = "",
        *,
        failure: bool = False,
        wait: float = 0.0,
        steps: tuple[int, int] | None = None,
    ) -> bool:
        """End an attempt, leaving its run in `state`; `failure` counts it against the run, and `steps` are the
        denoising steps done and in all (None: as they were last recorded).

        A run that is to wait again does so for `wait` seconds at least, and is cancelled if that was wished for.
        Returns False, and changes nothing, where the attempt had ended already: its lease had run out.
        """
        now = self._db.clock()
        closing = update(attempts).where(attempts.c.id == attempt, attempts.c.ended.is_(None))
        closing = closing.values(ended=now, outcome=state, cause=cause)
        if steps is not None:
            closing = closing.values(step=steps[0], steps=steps[1])
        with self._db.write() as connection:
            run = connection.scalar(closing.returning(attempts.c.run))
            if run is None:
                return False
            counted = {"failures": runs.c.failures + 1} if failure else {}
            later = now + wait if wait else 0.0
            self._db.release(connection, [run], state, cause, not_before=later, **counted)
        return True

    def end_batch(self, batch: int, cause: str = "", seconds: float | None = None) -> None:
        """Record that a batch is over, why it was cut short, if it was, and how long the engine was at it."""
        with self._db.write() as connection:
            query = update(batches).where(batches.c.id == batch)
            connection.execute(query.values(ended=self._db.clock(), cause=cause, seconds=seconds))

    def reclaim(self, reason: str, *, everyone: bool = False, worker: str = "") -> list[str]:
        """Queue the runs whose lease ran out again (of `everyone`: no worker is alive; or of one); their ids."""
        lapsed: ColumnElement[bool] = attempts.c.ended.is_(None)
        if worker:
            lapsed = and_(lapsed, attempts.c.worker == worker)
        elif not everyone:
            lapsed = and_(lapsed, attempts.c.lease_until < self._db.clock())
        with self._db.write() as connection:
            return requeue_attempts(self._db, connection, lapsed, reason)

    def defer(self, ids: Sequence[str], reason: str, wait: float, most: int) -> list[str]:
        """Waiting runs could not be begun: a failure of each, tried again after `wait` seconds, `most` in all.

        Returns those that have failed for good.
        """
        with self._db.write() as connection:
            mine = and_(runs.c.id.in_(ids), runs.c.state.in_(WAITING))
            rows = connection.execute(select(runs.c.id, runs.c.failures).where(mine)).all()
            spent = [row.id for row in rows if row.failures + 1 >= most]
            again = [row.id for row in rows if row.failures + 1 < most]
            counted = {"failures": runs.c.failures + 1, "not_before": self._db.clock() + wait}
            for state, chunk in ((State.FAILED, spent), (State.QUEUED, again)):
                if chunk:
                    self._db.change(connection, chunk, state, reason, **counted)
        return spent

    def open_attempts(self, worker: str = "") -> set[int]:
        """The attempts that have not ended, of one worker if it is named."""
        query = select(attempts.c.id).where(attempts.c.ended.is_(None))
        if worker:
            query = query.where(attempts.c.worker == worker)
        with self._db.read() as connection:
            return set(connection.scalars(query))


def _grow_batch(connection: Connection, batch: int, facts: BatchFacts, size: int) -> int:
    query = update(batches).where(batches.c.id == batch)
    more = batches.c.predicted_seconds + facts.predicted_seconds
    connection.execute(query.values(size=batches.c.size + size, predicted_seconds=more))
    return batch


def _keep_alone(connection: Connection, ids: Sequence[str], seconds: Mapping[str, float]) -> None:
    known = [{"run": id_, "alone": seconds[id_]} for id_ in ids if id_ in seconds]
    if known:
        query = update(runs).where(runs.c.id == bindparam("run"))
        connection.execute(query.values(alone_seconds=bindparam("alone")), known)


def requeue_attempts(
    database: Database, connection: Connection, lapsed: ColumnElement[bool], reason: str
) -> list[str]:
    """End the open attempts that a condition selects and queue their runs again; the ids of the runs."""
    closing = update(attempts).where(lapsed)
    closing = closing.values(ended=database.clock(), outcome=State.QUEUED, cause=reason)
    rows = connection.execute(closing.returning(attempts.c.run, attempts.c.batch)).all()
    ids = sorted({row.run for row in rows})
    for chunk in chunks(ids):
        database.release(connection, chunk, State.QUEUED, reason)
    for chunk in chunks({row.batch for row in rows}):
        over = update(batches).where(batches.c.id.in_(chunk), batches.c.ended.is_(None))
        connection.execute(over.values(ended=database.clock(), cause=reason))
    return ids

"""Runs as clients see them: submit, cancel, retry, reprioritise, rate, delete."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from cosmos_batch.errors import ConflictError
from cosmos_batch.ledger.database.schema import attempts, runs, submissions
from cosmos_batch.ledger.database.transactions import Component, chunks
from cosmos_batch.ledger.models import CANCEL, ENDED, HELD, PUBLISH, WAITING, State, Submitted
from cosmos_batch.ledger.service_models import Submission, SubmitResult
from cosmos_batch.run import ResolvedRun, as_dict
from cosmos_batch.scoring.acceptance import Tries

RETRYABLE = (State.FAILED, State.CANCELLED, State.BLOCKED)


class SqlRuns(Component):
    """Submits and changes runs."""

    def submit(self, requests: Iterable[ResolvedRun], reason: str = "submitted") -> Submitted:
        """Submit runs. A known id with other settings is queued again, unless a worker holds the run."""
        total, wanted = Submitted(0, 0, 0), list(requests)
        with self._db.write() as connection:
            self._db.dialect.lock_names(connection, (f"run {run.id.lower()}" for run in wanted))
            for chunk in chunks(wanted):
                total += self._submit(connection, {run.id: run for run in chunk}, reason)
        return total

    def accept(self, wanted: Sequence[Submission], reason: str = "submitted") -> list[SubmitResult]:
        """Submit all runs or none. Returns the results in the same order.

        A submission under an idempotency key that was used before adds no run: its result names the earlier run.
        Raises ConflictError if a key was used for another request or an id is taken.
        """
        with self._db.write() as connection:
            names = [f"run {each.run.id.lower()}" for each in wanted]
            names += [f"key {each.key}" for each in wanted if each.key]
            self._db.dialect.lock_names(connection, names)
            accepted: list[SubmitResult] = []
            for chunk in chunks(wanted):
                accepted += self._accept(connection, chunk, reason)
        return accepted

    def knows_key(self, key: str) -> bool:
        """Return whether a run was submitted under that idempotency key."""
        with self._db.read() as connection:
            return bool(connection.execute(_USED_KEYS, {"used": [key]}).all())

    def _accept(self, connection: Connection, wanted: Sequence[Submission], reason: str) -> list[SubmitResult]:
        known = self._known_keys(connection, wanted)
        accepted, fresh, now = [], [], self._db.clock()
        for each in wanted:
            if each.key in known:
                accepted.append(SubmitResult(_run_of_key(each, *known[each.key]), new=False, at=now))
                continue
            if each.key:
                known[each.key] = (each.run.id, digest_of(each))
            fresh.append(each)
            accepted.append(SubmitResult(each.run.id, new=True, at=now))
        _refuse_taken(connection, [each.run.id for each in fresh])
        if fresh:
            connection.execute(insert(runs), [self._accepted_row(each, now) for each in fresh])
            self._db.record(connection, [each.run.id for each in fresh], State.QUEUED, reason)
        if keyed := [self._key_row(each) for each in fresh if each.key]:
            connection.execute(insert(submissions), keyed)
        return accepted

    def _known_keys(self, connection: Connection, wanted: Sequence[Submission]) -> dict[str, tuple[str, str]]:
        used = [each.key for each in wanted if each.key]
        if not used:
            return {}
        rows = connection.execute(_USED_KEYS, {"used": used})
        return {key: (run, digest) for key, run, digest in rows}

    def _accepted_row(self, wanted: Submission, now: float) -> dict[str, Any]:
        return self._request_row(wanted.run) | {
            "created": now,
            "updated": now,
            "owner": wanted.owner,
            "batch_job_id": wanted.batch_job_id,
            "custom_id": wanted.custom_id,
            "line": wanted.line,
            "facts": {path: asdict(known) for path, known in wanted.facts.items()},
            "warnings": [asdict(warning) for warning in wanted.warnings],
        }

    def _key_row(self, wanted: Submission) -> dict[str, Any]:
        return {
            "key": wanted.key,
            "digest": digest_of(wanted),
            "run": wanted.run.id,
            "created": self._db.clock(),
        }

    def _submit(self, connection: Connection, wanted: Mapping[str, ResolvedRun], reason: str) -> Submitted:
        rule = runs.c.request["acceptance"].label("rule")
        query = select(runs.c.id, runs.c.fingerprint, runs.c.priority, rule).where(runs.c.id.in_(wanted))
        rows = connection.execute(query).all()
        stored = {row.id: (row.fingerprint, row.priority) for row in rows}
        judged = [wanted[row.id] for row in rows if (row.rule or None) != _rule(wanted[row.id])]
        fresh = [run for id_, run in wanted.items() if id_ not in stored]
        other = [wanted[id_] for id_, (print_, _) in stored.items() if wanted[id_].fingerprint != print_]
        moved = [wanted[id_] for id_, (_, priority) in stored.items() if wanted[id_].priority != priority]
        if fresh:
            connection.execute(insert(runs), [self._request_row(run) for run in fresh])
            self._db.record(connection, [run.id for run in fresh], State.QUEUED, reason)
        for run in moved:
            connection.execute(update(runs).where(runs.c.id == run.id).values(priority=run.priority))
            state = State(connection.execute(select(runs.c.state).where(runs.c.id == run.id)).scalar_one())
            self._db.record(connection, [run.id], state, f"priority is now {run.priority}")
        for run in judged:
            connection.execute(update(runs).where(runs.c.id == run.id).values(request=as_dict(run)))
        for run in other:
            self._replace(connection, run)
        return Submitted(len(fresh), len(other), len(wanted) - len(fresh) - len(other))

    def _request_row(self, run: ResolvedRun) -> dict[str, Any]:
        now = self._db.clock()
        return {
            "id": run.id,
            "fingerprint": run.fingerprint,
            "request": as_dict(run),
            "state": State.QUEUED,
            "priority": run.priority,
            "created": now,
            "updated": now,
            "prompt": run.prompt,
            "signature": "+".join(run.signature),
            "shape_label": shape_label(run),
        }

    def _replace(self, connection: Connection, run: ResolvedRun) -> None:
        query = update(runs).where(runs.c.id == run.id, runs.c.state.not_in(HELD))
        cleared: dict[str, Any] = {
            "cause": "",
            "failures": 0,
            "facts": {},
            "warnings": [],
            "scores": {},
            **_NO_TRIES,
            **_NO_CRASHES,
        }
        if connection.execute(query.values(**self._request_row(run) | cleared)).rowcount:
            self._db.record(connection, [run.id], State.QUEUED, "asked for with other settings")

    def set_state(self, ids: Sequence[str], state: State, reason: str) -> None:
        """Set the state of runs that no worker holds; QUEUED clears their failures, scores and tries."""
        anew = {"failures": 0, "scores": {}, **_NO_TRIES, **_NO_CRASHES}
        cleared: dict[str, Any] = anew if state == State.QUEUED else {}
        with self._db.write() as connection:
            for chunk in chunks(sorted(ids)):
                self._db.change(connection, chunk, state, reason, **cleared)

    def cancel(self, ids: Iterable[str], reason: str = "cancelled") -> dict[str, State]:
        """Cancel runs: a waiting run at once, a held run at its next step, or before its output is published.

        Returns the new state of each known run: a HELD state means that the cancel request is stored and will be
        followed, an ended state other than CANCELLED that it comes too late. SUCCEEDED is also the answer for a
        run whose output is being published.
        """
        with self._db.write() as connection:
            states: dict[str, State] = {}
            for chunk in chunks(sorted(ids)):
                states |= self._cancel(connection, chunk, reason)
        return states

    def _cancel(self, connection: Connection, ids: Sequence[str], reason: str) -> dict[str, State]:
        query = select(runs.c.id, runs.c.state, runs.c.requested_action).where(runs.c.id.in_(ids))
        rows = connection.execute(query.order_by(runs.c.id).with_for_update(key_share=True)).all()
        states = {id_: State(state) for id_, state, action in rows}
        published = [id_ for id_, state, action in rows if state in HELD and action == PUBLISH]
        states |= dict.fromkeys(published, State.SUCCEEDED)
        waiting = [id_ for id_, state in states.items() if state in WAITING]
        held = [id_ for id_, state in states.items() if state in HELD]
        if waiting:
            self._db.change(connection, waiting, State.CANCELLED, reason)
        if held:
            connection.execute(update(runs).where(runs.c.id.in_(held)).values(requested_action=CANCEL))
            for id_ in held:
                self._db.record(connection, [id_], states[id_], _TO_BE_CANCELLED)
        return states | dict.fromkeys(waiting, State.CANCELLED)

    def retry(self, ids: Iterable[str], reason: str = "asked for again") -> list[str]:
        """Queue failed, blocked and cancelled runs again and clear their failures. Returns their ids."""
        again: list[str] = []
        with self._db.write() as connection:
            for chunk in chunks(sorted(ids)):
                query = select(runs.c.id).where(runs.c.id.in_(chunk), runs.c.state.in_(RETRYABLE))
                query = query.order_by(runs.c.id).with_for_update(key_share=True)
                if found := list(connection.scalars(query)):
                    anew = _NO_TRIES | _NO_CRASHES
                    self._db.change(connection, found, State.QUEUED, reason, failures=0, **anew)
                again += found
        return again

    def reprioritise(self, ids: Iterable[str], priority: int) -> list[str]:
        """Set the priority of runs that have not ended. Returns the ids of those runs."""
        moved: list[str] = []
        with self._db.write() as connection:
            for chunk in chunks(sorted(ids)):
                self._db.dialect.lock_rows(connection, runs.c.id, chunk)
                query = update(runs).where(runs.c.id.in_(chunk), runs.c.state.in_((*WAITING, *HELD)))
                query = query.values(priority=priority, updated=self._db.clock())
                for run_id, state in connection.execute(query.returning(runs.c.id, runs.c.state)).all():
                    self._db.record(connection, [run_id], State(state), f"priority is now {priority}")
                    moved.append(run_id)
        return moved

    def rate(self, ids: Iterable[str], rating: int | None) -> list[str]:
        """Store the rating of runs, 1 to 5, or None. Returns the ids of the known ones."""
        rated: list[str] = []
        with self._db.write() as connection:
            for chunk in chunks(ids):
                query = update(runs).where(runs.c.id.in_(chunk)).values(rating=rating)
                rated += connection.scalars(query.returning(runs.c.id))
        return rated

    def set_scores(
        self, scores: Mapping[str, Mapping[str, float]], tries: Mapping[str, Tries] | None = None
    ) -> None:
        """Store the scores of published videos, by run id, and the attempts of those that have to reach scores."""
        query = update(runs).where(runs.c.id == bindparam("run"))
        query = query.values(scores=bindparam("found"), acceptance=bindparam("judged"))
        values = [
            {"run": id_, "found": dict(found), "judged": tries[id_].record if tries and id_ in tries else {}}
            for id_, found in sorted(scores.items())
        ]
        if values:
            with self._db.write() as connection:
                connection.execute(query, values)

    def delete(self, ids: Iterable[str]) -> list[str]:
        """Delete ended runs with their history. Returns the ids of those runs. Their files stay."""
        deleted: list[str] = []
        with self._db.write() as connection:
            for chunk in chunks(sorted(ids)):
                query = select(runs.c.id).where(runs.c.id.in_(chunk), runs.c.state.in_(ENDED))
                found = list(connection.scalars(query.order_by(runs.c.id).with_for_update()))
                connection.execute(delete(attempts).where(attempts.c.run.in_(found)))
                connection.execute(delete(runs).where(runs.c.id.in_(found)))  # deletes its events, too
                deleted += found
        return deleted


# Built once: statements that run hundreds of times a second.
_LOWER_ID = func.lower(runs.c.id)
_USED_ID = select(runs.c.id).where(_LOWER_ID.in_(bindparam("ids", expanding=True))).order_by(runs.c.id).limit(1)
_USED_KEYS = select(submissions.c.key, submissions.c.run, submissions.c.digest).where(
    submissions.c.key.in_(bindparam("used", expanding=True))
)

_TO_BE_CANCELLED = "to be cancelled at its next step, or before its video is published"
_NO_TRIES: dict[str, Any] = {"tries": 0, "acceptance": {}}
_NO_CRASHES: dict[str, Any] = {
    "not_before": 0.0,
    "crashes": 0,
    "lone_crashes": 0,
    "silences": 0,
    "crash_step": None,
}


def _rule(run: ResolvedRun) -> object:
    """The rule of a run, as its request holds it; None where it has none."""
    return None if run.acceptance is None else asdict(run.acceptance)


def digest_of(wanted: Submission) -> str:
    """Return the digest that identifies the request of a submission."""
    return wanted.digest or wanted.run.fingerprint


def _run_of_key(wanted: Submission, run: str, digest: str) -> str:
    """Return the run of a known key. Raises ConflictError if the key was used for another request."""
    if digest != digest_of(wanted):
        raise ConflictError(
            f"this idempotency key was used for another request (run {run}); use a new key for a new request"
        )
    return run


def _refuse_taken(connection: Connection, ids: Sequence[str]) -> None:
    by_lower: dict[str, str] = {}
    for id_ in ids:
        if id_.lower() in by_lower:
            raise ConflictError(
                f"{_subject(by_lower[id_.lower()], id_)} given to two runs; give every run its own"
            )
        by_lower[id_.lower()] = id_
    if ids and (taken := connection.scalar(_USED_ID, {"ids": list(by_lower)})):
        subject = _subject(taken, by_lower[taken.lower()])
        raise ConflictError(f"{subject} the id of a run already; choose another id, or leave it out")


def _subject(known: str, given: str) -> str:
    """Name two ids that are equal but for case, as the subject of a sentence."""
    if known == given:
        return f"the id {known} is"
    return f"the id {given} differs by case alone from {known}, which is"


def shape_label(run: ResolvedRun) -> str:
    """Return controls and size in words, to group a queue by: "depth + edge, 1280x720, 121 frames"."""
    parts = [" + ".join(run.signature) or "no control", run.sampling.resolution or "the model's size"]
    frames = run.sampling.num_frames
    parts.append("1 frame" if frames == 1 else f"{frames} frames")
    if run.job_type != "inference":
        parts.append(run.job_type)
    return ", ".join(parts)

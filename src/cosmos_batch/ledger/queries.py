"""Queries of runs: one, many, a page, their counts and their history."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Text, and_, cast, func, null, or_, select

from cosmos_batch.ledger.database.schema import attempts, batches, events, runs
from cosmos_batch.ledger.database.transactions import Component, chunks
from cosmos_batch.ledger.models import (
    HELD,
    WAITING,
    Attempt,
    Request,
    RunRecord,
    RunStatus,
    State,
    StateChange,
)
from cosmos_batch.ledger.queue import latest_change
from cosmos_batch.ledger.service_models import Filter, OutlineRow, Page, RunLabels, RunWithAttempt
from cosmos_batch.planning.gc_pause import gc_paused

NO_FILTER = Filter()
_NO_SCORE = 1e300  # stands for a score that is missing, in the order of a list
_ATTEMPTS = select(attempts, batches.c.predicted_seconds.label("batch_seconds"), batches.c.load_seconds).join(
    batches
)


class SqlQueries(Component):
    """Reads runs, their attempts and their state changes."""

    def waiting(self, among: Collection[str] | None = None) -> list[RunRecord]:
        """Return the waiting runs, most urgent first, then oldest first; only the ids in `among`, if given."""
        order = (runs.c.priority.desc(), runs.c.created, runs.c.id)
        with self._db.read() as connection:
            rows = connection.execute(select(runs).where(runs.c.state.in_(WAITING)).order_by(*order)).mappings()
            return [RunRecord.from_row(row) for row in rows if among is None or row["id"] in among]

    def get(self, run_id: str) -> RunRecord | None:
        """Return a run; None for an unknown id."""
        with self._db.read() as connection:
            row = connection.execute(select(runs).where(runs.c.id == run_id)).mappings().one_or_none()
        return None if row is None else RunRecord.from_row(row)

    def records(self, ids: Iterable[str]) -> dict[str, RunRecord]:
        """Return the known runs among the ids, by id."""
        found: dict[str, RunRecord] = {}
        with self._db.read() as connection:
            for chunk in chunks(ids):
                rows = connection.execute(select(runs).where(runs.c.id.in_(chunk))).mappings()
                found |= {row["id"]: RunRecord.from_row(row) for row in rows}
        return found

    def ids_but_for_case(self, ids: Iterable[str]) -> dict[str, str]:
        """Return, by each id that differs from a known one by case alone, the known id."""
        found: dict[str, str] = {}
        with self._db.read() as connection:
            for chunk in chunks(ids):
                by_lower = {id_.lower(): id_ for id_ in chunk}
                query = select(runs.c.id).where(func.lower(runs.c.id).in_(by_lower))
                known = {id_.lower(): id_ for id_ in connection.scalars(query)}
                found |= {by_lower[lower]: id_ for lower, id_ in known.items() if id_ != by_lower[lower]}
        return found

    def unfinished(self, ids: Iterable[str]) -> set[str]:
        """Return the ids of runs that wait or that a worker holds."""
        found: set[str] = set()
        with self._db.read() as connection:
            for chunk in chunks(ids):
                query = select(runs.c.id).where(runs.c.id.in_(chunk), runs.c.state.in_((*WAITING, *HELD)))
                found |= set(connection.scalars(query))
        return found

    def requests(self, ids: Iterable[str]) -> list[Request]:
        """Return the requests of the known runs among the ids."""
        columns = runs.c.id, runs.c.fingerprint, cast(runs.c.request, Text), cast(runs.c.facts, Text), runs.c.tries
        found: list[Request] = []
        with self._db.read() as connection, gc_paused():
            for chunk in chunks(ids):
                rows = connection.execute(select(*columns).where(runs.c.id.in_(chunk)))
                found += [Request.from_text(*row) for row in rows]
        return found

    def get_run(self, run_id: str) -> RunWithAttempt | None:
        """Return a run with its latest attempt; None for an unknown id."""
        with self._db.read() as connection:
            found = _with_attempts(connection, select(runs).where(runs.c.id == run_id))
        return found[0] if found else None

    def page(
        self,
        where: Filter = NO_FILTER,
        *,
        after: str = "",
        limit: int = 20,
        newest_first: bool = True,
        score: str = "",
    ) -> Page:
        """Return up to `limit` runs that pass the filter, by the time of their submission.

        `score`: by that score instead, the highest first where `newest_first`, runs without it last. `after`: the
        id of the last run of the page before. An unknown id gives an empty page.
        """
        place = _place(score, newest_first)
        query = select(runs).where(*_conditions(where))
        with self._db.read() as connection:
            if after:
                mark = connection.execute(select(place, runs.c.id).where(runs.c.id == after)).one_or_none()
                if mark is None:
                    return Page((), more=False)
                query = query.where(_after(place, *mark, descending=newest_first))
            order = (place.desc(), runs.c.id.desc()) if newest_first else (place, runs.c.id)
            found = _with_attempts(connection, query.order_by(*order).limit(limit + 1))
        return Page(tuple(found[:limit]), more=len(found) > limit)

    def with_attempts(self, ids: Iterable[str]) -> dict[str, RunWithAttempt]:
        """Return the known runs among the ids with their latest attempts, by id."""
        found: list[RunWithAttempt] = []
        with self._db.read() as connection:
            for chunk in chunks(ids):
                found += _with_attempts(connection, select(runs).where(runs.c.id.in_(chunk)))
        return {each.record.id: each for each in found}

    def outline(
        self,
        where: Filter = NO_FILTER,
        *,
        keys: Sequence[str] = (),
        limit: int,
        newest_first: bool = True,
        score: str = "",
    ) -> list[OutlineRow]:
        """Return up to `limit` runs that pass the filter, in the order of `page`, without their requests.

        `keys`: what to group by, each of "sweep", "video", "prompt", "seed" or "tag:NAME".
        """
        place = _place(score, newest_first)
        order = (place.desc(), runs.c.id.desc()) if newest_first else (place, runs.c.id)
        value = runs.c.scores[score].as_float() if score else null()
        query = select(runs.c.id, runs.c.state, runs.c.rating, value, *[_key(each) for each in keys])
        query = query.where(*_conditions(where)).order_by(*order).limit(limit)
        with self._db.read() as connection:
            rows = connection.execute(query).all()
        texts = (tuple(None if key is None else str(key) for key in row[4:]) for row in rows)
        return [OutlineRow(row[0], row[1], row[2], row[3], text) for row, text in zip(rows, texts, strict=True)]

    def scores_of(self, name: str, where: Filter = NO_FILTER) -> list[float]:
        """Return the values of one score over the runs that pass the filter and have it."""
        value = runs.c.scores[name].as_float()
        with self._db.read() as connection:
            query = select(value).where(value.is_not(None), *_conditions(where))
            return list(connection.scalars(query))

    def labels(self) -> RunLabels:
        """Count the runs of each sweep, and of each value of each tag."""
        sweep, tags = (runs.c.request["annotations", name].as_string().label(name) for name in ("sweep", "tags"))
        query = select(sweep, tags, func.count()).group_by("sweep", "tags")
        sweeps: Counter[str] = Counter()
        values: dict[str, Counter[str]] = {}
        with self._db.read() as connection:
            for name, text, count in connection.execute(query):
                if name:
                    sweeps[name] += count
                for tag, value in json.loads(text or "{}").items():
                    values.setdefault(tag, Counter())[value] += count
        return RunLabels(sweeps, values)

    def count(self, where: Filter = NO_FILTER) -> int:
        """Count the runs that pass the filter."""
        with self._db.read() as connection:
            return connection.scalar(select(func.count()).select_from(runs).where(*_conditions(where))) or 0

    def needs(self, path: str) -> bool:
        """Return whether a run that has not ended reads the video at a path; runs without facts do not count."""
        known = cast(runs.c.facts, Text).contains(json.dumps(path)[1:-1], autoescape=True)
        query = select(runs.c.id).where(runs.c.state.in_((*WAITING, *HELD)), known).limit(1)
        with self._db.read() as connection:
            return connection.scalar(query) is not None

    def statuses(self, where: Filter = NO_FILTER) -> list[RunStatus]:
        """Return the status of every run that passes the filter, oldest first."""
        spent = func.coalesce(attempts.c.ended, self._db.clock()) - attempts.c.started
        latest = select(func.max(attempts.c.id).label("id")).group_by(attempts.c.run).subquery()
        last = select(attempts.c.run, attempts.c.step, attempts.c.steps, spent.label("seconds"))
        last_attempts = last.where(attempts.c.id.in_(select(latest.c.id))).subquery()
        query = (
            select(runs.c.id, runs.c.fingerprint, runs.c.state, runs.c.cause, runs.c.priority)
            .add_columns(runs.c.blocked_key, runs.c.scores, runs.c.acceptance)
            .add_columns(last_attempts.c.seconds, last_attempts.c.step, last_attempts.c.steps)
            .select_from(runs.outerjoin(last_attempts, last_attempts.c.run == runs.c.id))
            .where(*_conditions(where))
            .order_by(runs.c.created, runs.c.id)
        )
        with self._db.read() as connection:
            return [RunStatus.from_row(row) for row in connection.execute(query).mappings()]

    def states(self) -> dict[State, int]:
        """Count the runs in each state."""
        query = select(runs.c.state, func.count()).group_by(runs.c.state)
        with self._db.read() as connection:
            return {State(state): count for state, count in connection.execute(query)}

    def history(self, run_id: str) -> list[StateChange]:
        """Return the state changes of a run, oldest first."""
        query = select(events).where(events.c.run == run_id).order_by(events.c.id)
        with self._db.read() as connection:
            return [StateChange.from_row(row) for row in connection.execute(query).mappings()]

    def attempts(self, run_id: str) -> list[Attempt]:
        """Return the attempts of a run, oldest first."""
        query = _ATTEMPTS.where(attempts.c.run == run_id).order_by(attempts.c.id)
        with self._db.read() as connection:
            return [Attempt.from_row(row) for row in connection.execute(query).mappings()]

    def changes(self, after: int, *, run_id: str = "", limit: int = 500) -> list[StateChange]:
        """Return state changes after the change with that id, oldest first; only those of `run_id`, if given."""
        newer = and_(events.c.id > after, self._db.dialect.settled())
        query = select(events).where(newer).order_by(events.c.id).limit(limit)
        if run_id:
            query = query.where(events.c.run == run_id)
        with self._db.read() as connection:
            return [StateChange.from_row(row) for row in connection.execute(query).mappings()]

    def latest_change(self) -> int:
        """Return the id of the latest state change of any run; 0 before the first."""
        with self._db.read() as connection:
            return connection.scalar(latest_change(self._db)) or 0

    def under_way(self) -> list[RunWithAttempt]:
        """Return the runs that workers hold with their attempts, by batch."""
        query = _ATTEMPTS.where(attempts.c.ended.is_(None)).order_by(attempts.c.batch, attempts.c.id)
        with self._db.read() as connection:
            held = [Attempt.from_row(row) for row in connection.execute(query).mappings()]
            records: dict[str, RunRecord] = {}
            for chunk in chunks(attempt.run for attempt in held):
                rows = connection.execute(select(runs).where(runs.c.id.in_(chunk))).mappings()
                records |= {row["id"]: RunRecord.from_row(row) for row in rows}
        return [RunWithAttempt(records[attempt.run], attempt) for attempt in held if attempt.run in records]


def _conditions(where: Filter) -> list[Any]:
    exact = (runs.c.shape_label, runs.c.batch_job_id, runs.c.owner)  # columns of the same names as the fields
    conditions: list[Any] = [
        column == getattr(where, column.name) for column in exact if getattr(where, column.name)
    ]
    if where.states:
        conditions.append(runs.c.state.in_(where.states))
    if where.text:
        searched = (runs.c.prompt, runs.c.id, runs.c.custom_id)
        conditions.append(or_(*[column.icontains(where.text, autoescape=True) for column in searched]))
    if where.control:  # no control has a name that is part of another control's name
        conditions.append(runs.c.signature.contains(where.control, autoescape=True))
    if where.rating is not None:
        conditions.append(runs.c.rating == where.rating if where.rating else runs.c.rating.is_(None))
    for score in where.scores:
        conditions.append(score.compare(runs.c.scores[score.name].as_float(), score.limit))
    if where.sweep:
        conditions.append(runs.c.request["annotations", "sweep"].as_string() == where.sweep)
    for name, value in where.tags.items():
        conditions.append(runs.c.request["annotations", "tags", name].as_string() == value)
    if where.created_after is not None:
        conditions.append(runs.c.created >= where.created_after)
    if where.created_before is not None:
        conditions.append(runs.c.created < where.created_before)
    return conditions


def _place(score: str, newest_first: bool) -> ColumnElement[float]:
    """What a list is ordered by: a score, where a missing one comes last, or the time of the submission."""
    if not score:
        return runs.c.created
    return func.coalesce(runs.c.scores[score].as_float(), -_NO_SCORE if newest_first else _NO_SCORE)


def _key(name: str) -> ColumnElement[Any]:
    """The column of what runs are grouped by: a name of `SqlQueries.outline`."""
    request = runs.c.request
    if name.startswith("tag:"):
        tag: ColumnElement[Any] = request["annotations", "tags", name.removeprefix("tag:")].as_string()
        return tag
    columns: dict[str, ColumnElement[Any]] = {
        "sweep": request["annotations", "sweep"].as_string(),
        "video": request["video"].as_string(),
        "prompt": runs.c.prompt,
        "seed": request["sampling", "seed"].as_string(),
    }
    return columns[name]


def _after(place: ColumnElement[float], value: float, run_id: str, *, descending: bool) -> ColumnElement[bool]:
    if descending:
        return or_(place < value, and_(place == value, runs.c.id < run_id))
    return or_(place > value, and_(place == value, runs.c.id > run_id))


def _with_attempts(connection: Connection, query: Select[Any]) -> list[RunWithAttempt]:
    records = [RunRecord.from_row(row) for row in connection.execute(query).mappings()]
    latest: dict[str, Attempt] = {}
    for chunk in chunks(record.id for record in records):
        last = select(func.max(attempts.c.id)).where(attempts.c.run.in_(chunk)).group_by(attempts.c.run)
        rows = connection.execute(_ATTEMPTS.where(attempts.c.id.in_(last))).mappings()
        latest |= {row["run"]: Attempt.from_row(row) for row in rows}
    return [RunWithAttempt(record, latest.get(record.id)) for record in records]

"""/v1/queue: waiting and running runs, workers, queue mode. /v1/plan: the predicted cost of more runs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from typing import Any

from fastapi import APIRouter

from cosmos_batch.errors import InputError
from cosmos_batch.formats.problems import Location
from cosmos_batch.ledger import Attempt, Mode, RunRecord, RunWithAttempt, WorkerRecord
from cosmos_batch.ledger.forecast import BatchForecast, LaunchForecast
from cosmos_batch.planning.cost.fit import fit
from cosmos_batch.planning.drafts import drafts_of, drafts_to_dicts
from cosmos_batch.planning.plan import plan_to_dict
from cosmos_batch.planning.planner import plan_runs
from cosmos_batch.planning.policies.flush import FlushRules
from cosmos_batch.planning.traits import VideoInfo
from cosmos_batch.service.expectations import expectations
from cosmos_batch.service.http.errors import ApiError
from cosmos_batch.service.http.json_body import StrictJsonRoute
from cosmos_batch.service.prediction import PredictionSettings
from cosmos_batch.service.queue_view import QueueView
from cosmos_batch.service.runs.present import eta_seconds
from cosmos_batch.service.schemas.expectations import Expectations
from cosmos_batch.service.schemas.problems import field_problems
from cosmos_batch.service.schemas.queue import (
    ActiveBatch,
    ForecastBatch,
    ForecastLaunch,
    PlanPreview,
    PlanRequest,
    Queue,
    RunningVideo,
    WaitingRun,
    WorkerInfo,
)
from cosmos_batch.service.state import AppState, AppStateDep

router = APIRouter(prefix="/v1", tags=["queue"], route_class=StrictJsonRoute)

_MEASUREMENTS = 500  # latest measurements that the cost model of a plan is fitted to


@router.post("/plan", response_model=PlanPreview)
async def make_plan(body: PlanRequest, app: AppStateDep) -> dict[str, Any]:
    """Predict the cost of runs before they are submitted. Submits nothing."""
    if not 0 < len(body.runs) <= app.settings.limits.plan_runs:
        message = f"a plan takes 1 to {app.settings.limits.plan_runs} runs"
        raise ApiError(400, "invalid_value", message, param="runs")
    parser = app.runs.parser
    for unknown in [each for each in body.runs if not parser.is_cached(each)]:
        await app.files.pools.probes.run(partial(parser.probe_videos, unknown))
    return await asyncio.to_thread(_plan, body.runs, app)


def _plan(bodies: Sequence[Mapping[str, Any]], app: AppState) -> dict[str, Any]:
    """Plan the runs of these bodies. Raises InputError with every problem, and LedgerError."""
    runs, problems, warnings = [], [], []
    facts: dict[str, VideoInfo] = {}
    seen: dict[str, int] = {}  # runs by id without case
    for number, body in enumerate(bodies, 1):
        run_id = body.get("id")
        if run_id and (first := seen.setdefault(run_id.casefold(), number)) != number:
            remedy = "give each run an id of its own, not by case alone"
            problems.append(
                Location(line=number).problem("id", f"is already the id of run {first}", remedy, run_id)
            )
        try:
            parsed = app.runs.parser.parse(body, f"run-{number}")
            runs.append(parsed.run)
            facts |= parsed.facts
            warnings += [replace(warning, line=number) for warning in parsed.warnings]
        except InputError as exc:
            problems += [replace(problem, line=number) for problem in exc.problems]
    if problems:
        raise InputError(problems)
    prior = app.engine.prior
    cost = fit(app.ledger.measurements.latest(prior.engine, prior.device, _MEASUREMENTS), prior)
    engine = app.engine
    plan = plan_runs(runs, engine.traits, cost, facts=facts)
    drafts = drafts_to_dicts(drafts_of(plan, engine.traits, cost, engine.drafts, facts))
    view = app.queue_view.read()
    starts = {"starts_in_seconds": view.starts_in, "waits_for": view.waits_for or None}
    return plan_to_dict(plan) | starts | {"warnings": field_problems(warnings), "drafts": drafts}


@router.get("/queue", response_model=Queue)
def get_queue(app: AppStateDep) -> Queue:
    """Get the queue: planned launches, running batches, and the workers."""
    view = app.queue_view.read()
    shown = [run for launch in view.launches for batch in launch.batches for run in batch.runs]
    records = app.ledger.queries.records(shown)
    return Queue(
        mode=view.mode,
        counts={state.value: count for state, count in app.ledger.queries.states().items()},
        seconds=view.seconds,
        groups=[_launch(i, launch, records, app) for i, launch in enumerate(view.launches)],
        running=_running(app.ledger.queries.under_way()),
        workers=[_worker(worker, view) for worker in view.workers],
        held_back=view.held_back,
        flushed=view.flushed or None,
        trouble=view.trouble or None,
        expected=_expected(app),
    )


def _expected(app: AppState) -> Expectations:
    settings = app.settings
    rules = PredictionSettings(settings.prediction, FlushRules(settings.flush_seconds, settings.flush_runs))
    return expectations(app.ledger, rules, app.engine.traits.steppable)


@router.post("/queue/pause", response_model=Queue)
def pause_queue(app: AppStateDep) -> Queue:
    """Preempt every run at its next step, and free the device."""
    return _set_mode(app, Mode.PAUSED)


@router.post("/queue/resume", response_model=Queue)
def resume_queue(app: AppStateDep) -> Queue:
    """Resume a paused or draining queue."""
    return _set_mode(app, Mode.RUNNING)


@router.post("/queue/drain", response_model=Queue)
def drain_queue(app: AppStateDep) -> Queue:
    """Finish the running runs, start no others, then free the device."""
    return _set_mode(app, Mode.DRAINING)


def _set_mode(app: AppState, mode: Mode) -> Queue:
    app.ledger.settings.set_mode(mode)
    app.queue_view.forget()
    return get_queue(app)


def _launch(index: int, launch: LaunchForecast, records: dict[str, RunRecord], app: AppState) -> ForecastLaunch:
    return ForecastLaunch(
        index=index,
        controls=list(launch.controls),
        reason=launch.reason,
        seconds=launch.seconds,
        starts_in_seconds=launch.starts_in,
        runs_total=launch.runs_total,
        batches=[_batch(batch, records, app) for batch in launch.batches],
    )


def _batch(batch: BatchForecast, records: dict[str, RunRecord], app: AppState) -> ForecastBatch:
    return ForecastBatch(
        runs=[_waiting(records[run], app) for run in batch.runs if run in records],
        runs_total=batch.runs_total,
        width=batch.width,
        height=batch.height,
        frames=batch.frames,
        seconds=batch.seconds,
        bytes=batch.bytes,
        starts_in_seconds=batch.starts_in,
    )


def _waiting(record: RunRecord, app: AppState) -> WaitingRun:
    return WaitingRun(
        id=record.id,
        prompt=record.run.prompt,
        priority=record.priority,
        state=record.state,
        reason=app.queue_view.wait_of(record)[0],
    )


def _running(found: Sequence[RunWithAttempt]) -> list[ActiveBatch]:
    """Group the running runs by batch."""
    running = [(each.attempt, each.record) for each in found if each.attempt]
    return [
        _active_batch(number, list(members))
        for number, members in groupby(running, key=lambda pair: pair[0].batch)
    ]


def _active_batch(number: int, members: Sequence[tuple[Attempt, RunRecord]]) -> ActiveBatch:
    attempt, record = members[0]
    width, _, height = (record.run.sampling.resolution or "0x0").partition("x")
    runs = [_running_video(each, of) for each, of in members]
    etas = [run.eta_seconds for run in runs if run.eta_seconds is not None]
    return ActiveBatch(
        batch=number,
        worker=attempt.worker,
        width=int(width),
        height=int(height),
        frames=record.run.sampling.num_frames or 0,
        started=min(each.started for each, _ in members),
        predicted_seconds=attempt.batch_seconds,
        eta_seconds=max(etas, default=None),
        step=sum(each.step for each, _ in members),
        steps=sum(each.steps for each, _ in members),
        runs=runs,
    )


def _running_video(attempt: Attempt, record: RunRecord) -> RunningVideo:
    return RunningVideo(
        id=record.id,
        prompt=record.run.prompt,
        priority=record.priority,
        step=attempt.step,
        steps=attempt.steps,
        eta_seconds=eta_seconds(attempt),
    )


def _worker(worker: WorkerRecord, view: QueueView) -> WorkerInfo:
    return WorkerInfo(
        id=worker.id,
        engine=worker.engine,
        device=worker.device,
        state=worker.state,
        trouble=worker.trouble or None,
        batch=worker.batch,
        seen=worker.heartbeat,
        alive=worker in view.alive,
    )

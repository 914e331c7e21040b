"""/v1/queue and /v1/plan: what waits and why, what runs, and what more would cost."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from fastapi import APIRouter

from cosmos_batch.errors import InputError, Problem
from cosmos_batch.ledger import Mode, RunRecord, RunWithAttempt, WorkerRecord
from cosmos_batch.planning.cost.fit import fit
from cosmos_batch.planning.plan import plan_to_dict
from cosmos_batch.planning.planner import plan_runs
from cosmos_batch.planning.traits import VideoInfo
from cosmos_batch.service.http.errors import ApiError
from cosmos_batch.service.queue_view import QueueView
from cosmos_batch.service.runs.present import eta_seconds
from cosmos_batch.service.schemas.queue import (
    ActiveBatch,
    ForecastBatch,
    ForecastLaunch,
    PlanPreview,
    PlanRequest,
    Queue,
    RunningVideo,
    WaitingGroup,
    WorkerInfo,
)
from cosmos_batch.service.state import AppState, AppStateDep

router = APIRouter(prefix="/v1", tags=["queue"])

_MEASURED = 500  # latest measurements that a preview is fitted to


@router.post("/plan", response_model=PlanPreview)
def make_plan(asked: PlanRequest, here: AppStateDep) -> dict[str, Any]:
    """What runs would cost, before they are submitted. Makes nothing."""
    if not 0 < len(asked.runs) <= here.serving.limits.plan_runs:
        message = f"a plan is made for 1 to {here.serving.limits.plan_runs} runs"
        raise ApiError(400, "invalid_value", message, param="runs")
    runs, problems = [], []
    facts: dict[str, VideoInfo] = {}
    for number, body in enumerate(asked.runs, 1):
        try:
            taken = here.intake.run_of(body.model_dump(exclude_unset=True), f"run-{number}")
            runs.append(taken.run)
            facts |= taken.facts
        except InputError as exc:
            problems += [_placed(problem, number) for problem in exc.problems]
    if problems:
        raise InputError(problems)
    prior = here.served.prior
    cost = fit(here.ledger.measurements.latest(prior.engine, prior.device, _MEASURED), prior)
    plan = plan_to_dict(plan_runs(runs, here.served.traits, cost, facts=facts))
    return plan | {"starts_in_seconds": here.outlook.read().seconds}


def _placed(problem: Problem, number: int) -> Problem:
    return Problem("", number, problem.field, problem.found, problem.message, problem.remedy)


@router.get("/queue", response_model=Queue)
def get_queue(here: AppStateDep) -> Queue:
    """The queue as the planner sees it, what runs, and how the workers are."""
    outlook = here.outlook.read()
    shown = [run for launch in outlook.launches for batch in launch.get("batches", []) for run in batch["runs"]]
    records = here.ledger.queries.records(shown)
    return Queue(
        mode=outlook.mode,
        counts={state.value: count for state, count in here.ledger.queries.states().items()},
        seconds=outlook.seconds,
        groups=[_group(i, launch, records, here) for i, launch in enumerate(outlook.launches)],
        running=_running(here.ledger.queries.under_way()),
        workers=[_worker(worker, outlook) for worker in outlook.workers],
        held_back={run: str(why) for w in outlook.alive for run, why in w.forecast.get("held_back", {}).items()},
        flushed=next((str(w.forecast["flushed"]) for w in outlook.alive if w.forecast.get("flushed")), None),
        trouble=outlook.trouble or None,
    )


@router.post("/queue/pause", response_model=Queue)
def pause_queue(here: AppStateDep) -> Queue:
    """Set every run aside at its next step, and free the device."""
    return _set_mode(here, Mode.PAUSED)


@router.post("/queue/resume", response_model=Queue)
def resume_queue(here: AppStateDep) -> Queue:
    """Go on."""
    return _set_mode(here, Mode.RUNNING)


@router.post("/queue/drain", response_model=Queue)
def drain_queue(here: AppStateDep) -> Queue:
    """Finish what runs, begin nothing new, then free the device."""
    return _set_mode(here, Mode.DRAINING)


def _set_mode(here: AppState, mode: Mode) -> Queue:
    here.ledger.settings.set_mode(mode)
    here.outlook.forget()
    return get_queue(here)


def _group(index: int, launch: dict[str, Any], records: dict[str, RunRecord], here: AppState) -> ForecastLaunch:
    return ForecastLaunch(
        index=index,
        controls=launch["controls"],
        reason=launch["reason"],
        seconds=launch["seconds"],
        starts_in_seconds=launch.get("starts_in", 0.0),
        runs_total=launch["runs_total"],
        batches=[_planned(batch, records, here) for batch in launch.get("batches", [])],
    )


def _planned(batch: dict[str, Any], records: dict[str, RunRecord], here: AppState) -> ForecastBatch:
    runs = [_waiting(records[run], here) for run in batch["runs"] if run in records]
    return ForecastBatch(
        runs=runs,
        runs_total=batch["runs_total"],
        width=batch["width"],
        height=batch["height"],
        frames=batch["frames"],
        seconds=batch["seconds"],
        bytes=batch["bytes"],
        starts_in_seconds=batch.get("starts_in", 0.0),
    )


def _waiting(record: RunRecord, here: AppState) -> WaitingGroup:
    return WaitingGroup(
        id=record.id,
        prompt=record.run.prompt,
        priority=record.priority,
        state=record.state,
        reason=here.outlook.wait_of(record)[0],
    )


def _running(looks: Sequence[RunWithAttempt]) -> list[ActiveBatch]:
    """What is at work, by batch."""
    held = [(look.attempt, look.record) for look in looks if look.attempt]
    batches = []
    for number, group in groupby(held, key=lambda pair: pair[0].batch):
        members = list(group)
        attempt, record = members[0]
        width, _, height = (record.run.sampling.resolution or "0x0").partition("x")
        runs = [
            RunningVideo(
                id=one.id,
                prompt=one.run.prompt,
                priority=one.priority,
                step=a.step,
                steps=a.steps,
                eta_seconds=eta_seconds(one, a),
            )
            for a, one in members
        ]
        etas = [run.eta_seconds for run in runs if run.eta_seconds is not None]
        batches.append(
            ActiveBatch(
                batch=number,
                worker=attempt.worker,
                width=int(width),
                height=int(height),
                frames=record.run.sampling.num_frames or 0,
                started=min(a.started for a, _ in members),
                predicted_seconds=sum(one.predicted_seconds or 0.0 for _, one in members),
                eta_seconds=max(etas, default=None),
                step=sum(a.step for a, _ in members),
                steps=sum(a.steps for a, _ in members),
                runs=runs,
            )
        )
    return batches


def _worker(worker: WorkerRecord, outlook: QueueView) -> WorkerInfo:
    return WorkerInfo(
        id=worker.id,
        engine=worker.engine,
        device=worker.device,
        state=worker.state,
        trouble=worker.trouble or None,
        batch=worker.batch,
        seen=worker.heartbeat,
        alive=worker in outlook.alive,
    )

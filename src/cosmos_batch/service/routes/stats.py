"""/v1/stats: throughput and saving over time, predicted against measured times. /v1/outlook: the coming hours."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Annotated

from fastapi import APIRouter, Query

from cosmos_batch.ledger import Prediction, State, Throughput
from cosmos_batch.service.schemas.stats import PredictionPoint, QueueOutlook, Spread, Stats, ThroughputBucket
from cosmos_batch.service.state import AppStateDep

router = APIRouter(prefix="/v1", tags=["queue"])

_BUCKETS = 48  # intervals of time, at most


@router.get("/stats", response_model=Stats)
def get_stats(app: AppStateDep, hours: Annotated[float, Query(ge=0.1, le=24 * 366)] = 24.0) -> Stats:
    """Get the figures of the last hours."""
    interval = max(60.0, hours * 3600 / _BUCKETS)
    until = app.ledger.now() + 1
    since = until - interval * max(1, round(hours * 3600 / interval))
    throughput = app.ledger.reports.throughput(since, until, interval)
    predictions = app.ledger.reports.predictions()
    times = app.ledger.reports.run_times(since)
    engine = sum(each.engine_seconds for each in throughput)
    alone = sum(each.alone_seconds for each in throughput)
    return Stats(
        hours=hours,
        bucket_seconds=interval,
        buckets=[_bucket(each) for each in throughput],
        succeeded=sum(each.ended.get(State.SUCCEEDED, 0) for each in throughput),
        engine_seconds=engine,
        alone_seconds=alone,
        saved_seconds=alone - engine,
        predictions=[_prediction(each) for each in predictions],
        prediction_error=_error(predictions),
        wait_seconds=_spread([each.waited for each in times]),
        run_seconds=_spread([each.took for each in times]),
        batch_sizes={str(size): count for size, count in app.ledger.reports.batch_sizes(since).items()},
    )


@router.get("/outlook", response_model=QueueOutlook)
def get_outlook(app: AppStateDep) -> QueueOutlook:
    """Get the coming hours of the queue as it is, by the simulator."""
    picture = app.outlook.read()
    found = picture.outlook
    return QueueOutlook(
        at=picture.at,
        devices=picture.devices,
        runs=picture.runs,
        left_out=picture.left_out,
        seconds=found.seconds,
        every=found.every,
        waiting=found.waiting,
        running=found.running,
        error=picture.error,
        compared=picture.compared,
    )


def _bucket(each: Throughput) -> ThroughputBucket:
    return ThroughputBucket(
        at=each.start,
        succeeded=each.ended.get(State.SUCCEEDED, 0),
        failed=each.ended.get(State.FAILED, 0),
        blocked=each.ended.get(State.BLOCKED, 0),
        cancelled=each.ended.get(State.CANCELLED, 0),
        engine_seconds=each.engine_seconds,
        alone_seconds=each.alone_seconds,
    )


def _prediction(each: Prediction) -> PredictionPoint:
    return PredictionPoint(
        batch=each.batch, at=each.at, size=each.runs, predicted_seconds=each.predicted, seconds=each.seconds
    )


def _error(predictions: Sequence[Prediction]) -> float | None:
    errors = [abs(each.predicted - each.seconds) / each.seconds for each in predictions if each.seconds > 0]
    return median(errors) if errors else None


def _spread(durations: Sequence[float]) -> Spread | None:
    if not durations:
        return None
    ordered = sorted(durations)
    return Spread(p50=ordered[len(ordered) // 2], p90=ordered[len(ordered) * 9 // 10])

"""Throughput, saving and predictions."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class ThroughputBucket(BaseModel):
    """What ended in a stretch of time."""

    at: float
    succeeded: int
    failed: int
    blocked: int
    cancelled: int
    engine_seconds: float
    alone_seconds: float


class PredictionPoint(BaseModel):
    """A batch's predicted time, and what it took."""

    batch: int
    at: float
    size: int
    predicted_seconds: float
    seconds: float


class Spread(BaseModel):
    """The middle and the slow end of some durations, in seconds."""

    p50: float
    p90: float


class Stats(BaseModel):
    """Throughput, saving, and predictions against what happened."""

    object: Literal["stats"] = "stats"
    hours: float
    bucket_seconds: float
    buckets: list[ThroughputBucket]
    succeeded: int
    engine_seconds: float
    alone_seconds: float = Field(description="predicted, had each run been launched by itself")
    saved_seconds: float
    predictions: list[PredictionPoint]
    prediction_error: float | None = Field(description="median |predicted - taken| / taken")
    wait_seconds: Spread | None
    run_seconds: Spread | None
    batch_sizes: dict[str, int]

"""Bodies of /v1/stats."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class ThroughputBucket(BaseModel):
    """The runs that ended in an interval of time."""

    at: float
    succeeded: int
    failed: int
    blocked: int
    cancelled: int
    engine_seconds: float
    alone_seconds: float


class PredictionPoint(BaseModel):
    """The predicted and the measured time of a batch."""

    batch: int
    at: float
    size: int
    predicted_seconds: float
    seconds: float


class Spread(BaseModel):
    """Median and 90th percentile of durations, in seconds."""

    p50: float
    p90: float


class QueueOutlook(BaseModel):
    """The coming hours of the queue as it is, by the simulator, if no other run comes and nothing is paused."""

    object: Literal["outlook"] = "outlook"
    at: float
    devices: int
    runs: int = Field(description="that were simulated: those that run, and the first that wait")
    left_out: int = Field(description="runs behind those, or that the engine cannot make")
    seconds: float = Field(description="until all of these have ended")
    every: float = Field(description="seconds between two points")
    waiting: list[int] = Field(description="runs that wait, at each point")
    running: list[int] = Field(description="runs that are made, at each point")
    error: float | None = Field(
        description="median |predicted - real| / real of the time until runs ended, of earlier outlooks"
    )
    compared: int = Field(description="runs that the error is taken from")


class Stats(BaseModel):
    """Throughput, saving by batching, and the error of predictions."""

    object: Literal["stats"] = "stats"
    hours: float
    bucket_seconds: float
    buckets: list[ThroughputBucket]
    succeeded: int
    engine_seconds: float
    alone_seconds: float = Field(description="predicted, if each run had been launched alone")
    saved_seconds: float
    predictions: list[PredictionPoint]
    prediction_error: float | None = Field(description="median |predicted - taken| / taken")
    wait_seconds: Spread | None
    run_seconds: Spread | None
    batch_sizes: dict[str, int]

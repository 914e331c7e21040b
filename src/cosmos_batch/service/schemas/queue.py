"""The queue: what is planned, what runs, and what a plan would cost."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from cosmos_batch.service.schemas.videos import VideoRequest


class PlanRequest(BaseModel):
    """Runs that might be submitted."""

    model_config = ConfigDict(extra="forbid")

    runs: list[VideoRequest]


class PlanPreview(BaseModel):
    """What they would cost."""

    object: Literal["plan"] = "plan"
    engine: str
    runs: int
    batches: int
    seconds: float
    bytes: int
    one_by_one_seconds: float
    forced_seconds: float
    error: float | None = Field(description="median error of past predictions")
    starts_in_seconds: float = Field(description="predicted time of all that waits already")
    launches: list[dict[str, Any]]


class WaitingGroup(BaseModel):
    """A run in the queue."""

    id: str
    prompt: str
    priority: int
    state: str
    reason: str = Field(description="why it waits")


class ForecastBatch(BaseModel):
    """A batch that is planned."""

    runs: list[WaitingGroup] = Field(description="the first of them")
    runs_total: int
    width: int
    height: int
    frames: int
    seconds: float
    bytes: int
    starts_in_seconds: float


class ForecastLaunch(BaseModel):
    """A launch that is planned: runs that are together for a reason."""

    index: int
    controls: list[str]
    reason: str
    seconds: float
    starts_in_seconds: float
    runs_total: int
    batches: list[ForecastBatch]


class RunningVideo(BaseModel):
    """A run in a batch that is at work."""

    id: str
    prompt: str
    priority: int
    step: int
    steps: int
    eta_seconds: float | None


class ActiveBatch(BaseModel):
    """A batch that is at work; its step and steps are sums over its runs."""

    batch: int
    worker: str
    width: int
    height: int
    frames: int
    started: float
    predicted_seconds: float
    eta_seconds: float | None
    step: int
    steps: int
    runs: list[RunningVideo]


class WorkerInfo(BaseModel):
    """A worker as it last reported."""

    id: str
    engine: str
    device: str
    state: str
    trouble: str | None
    batch: int | None
    seen: float
    alive: bool


class Queue(BaseModel):
    """The queue."""

    object: Literal["queue"] = "queue"
    mode: str
    counts: dict[str, int]
    seconds: float = Field(description="predicted, of all that waits")
    groups: list[ForecastLaunch]
    running: list[ActiveBatch]
    workers: list[WorkerInfo]
    held_back: dict[str, str] = Field(description="runs that are not planned for now, and why")
    flushed: str | None = Field(description="why these batches were formed when they were")
    trouble: str | None = Field(description="what keeps the workers from working")

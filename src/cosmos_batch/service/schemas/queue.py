"""Bodies of /v1/queue and /v1/plan."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from cosmos_batch.service.schemas.expectations import Expectations
from cosmos_batch.service.schemas.problems import FieldProblem
from cosmos_batch.service.schemas.videos import VIDEO_REQUEST


class PlanRequest(BaseModel):
    """A request for the predicted cost of runs."""

    model_config = ConfigDict(extra="forbid")

    runs: list[Annotated[dict[str, Any], WithJsonSchema(VIDEO_REQUEST)]]


class PlannedSize(BaseModel):
    """The size of an output, in pixels."""

    width: int
    height: int


class PlannedBatch(BaseModel):
    """A batch of a plan."""

    runs: list[str] = Field(description="ids")
    controls: list[str]
    width: int
    height: int
    frames: int
    output_sizes: list[PlannedSize] = Field(description="the different sizes of the outputs")
    seconds: float = Field(description="without the model load")
    bytes: int = Field(description="peak of the device's memory")


class PlanLaunch(BaseModel):
    """A launch of a plan: one model load."""

    index: int
    controls: list[str] = Field(description="branches that are loaded")
    reason: str = Field(description="why these runs are together")
    batch_size: int = Field(description="runs of the largest batch")
    load_seconds: float
    seconds: float
    batches: list[PlannedBatch]


class PlannedDraft(BaseModel):
    """A way to make some of the runs for a first look, at a lower cost."""

    what: str = Field(description="for example 4 steps with the distilled edge model")
    steps: int
    model: str | None = Field(description="with which a server makes it; null: with that of this server")
    runs: int = Field(description="that can be made so")
    seconds: float = Field(description="predicted")
    in_place_of: float = Field(description="predicted seconds of the same runs as they are")


class PlanPreview(BaseModel):
    """The predicted cost of runs."""

    object: Literal["plan"] = "plan"
    engine: str
    runs: int
    batches: int
    seconds: float
    bytes: int
    one_by_one_seconds: float
    forced_seconds: float
    error: float | None = Field(description="median error of past predictions")
    starts_in_seconds: float = Field(description="after which they start at the latest, if runs start at all")
    waits_for: str | None = Field(description="why no run starts now: the queue is paused, or has no worker")
    launches: list[PlanLaunch]
    drafts: list[PlannedDraft] = Field(description="the cheapest first")
    warnings: list[FieldProblem] = Field(
        description="what is taken and probably not meant; line: number of the run"
    )


class WaitingRun(BaseModel):
    """A waiting run."""

    id: str
    prompt: str
    priority: int
    state: str
    reason: str = Field(description="why it waits")


class ForecastBatch(BaseModel):
    """A planned batch."""

    runs: list[WaitingRun] = Field(description="the first runs of the batch")
    runs_total: int
    width: int
    height: int
    frames: int
    seconds: float
    bytes: int
    starts_in_seconds: float


class ForecastLaunch(BaseModel):
    """A planned launch, with the reason for its composition."""

    index: int
    controls: list[str]
    reason: str
    seconds: float
    starts_in_seconds: float
    runs_total: int
    batches: list[ForecastBatch]


class RunningVideo(BaseModel):
    """A run of a running batch."""

    id: str
    prompt: str
    priority: int
    step: int
    steps: int
    eta_seconds: float | None


class ActiveBatch(BaseModel):
    """A running batch; step and steps are sums over its runs."""

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
    """A worker at its last heartbeat."""

    id: str
    engine: str
    device: str
    state: str
    trouble: str | None
    batch: int | None
    seen: float
    alive: bool


class Queue(BaseModel):
    """The queue of a service."""

    object: Literal["queue"] = "queue"
    mode: str
    counts: dict[str, int]
    seconds: float = Field(description="predicted, of all waiting runs")
    groups: list[ForecastLaunch]
    running: list[ActiveBatch]
    workers: list[WorkerInfo]
    held_back: dict[str, str] = Field(description="runs that are not planned yet, with the reason")
    flushed: str | None = Field(description="why the planned batches were formed")
    trouble: str | None = Field(description="why the workers cannot work")
    expected: Expectations

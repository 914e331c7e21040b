"""What goes over the wire: OpenAI's objects with our fields beside theirs. OpenAPI is made of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

VideoId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$")]


class Strict(BaseModel):
    """A request that takes no other key, and converts no value to another type."""

    model_config = ConfigDict(extra="forbid", strict=True)


class VideoErrorShape(BaseModel):
    """Why there is no video."""

    code: str
    message: str


class VideoShape(BaseModel):
    """A run, as OpenAI shows a video; what stands below `model` is ours, beside theirs."""

    id: str
    object: Literal["video"] = "video"
    model: str
    status: Literal["queued", "in_progress", "completed", "failed"]
    progress: int = Field(description="per cent of the denoising steps")
    created_at: int
    completed_at: int | None = None
    expires_at: int | None = None
    prompt: str
    seconds: str = Field(description="how long the video plays")
    size: str = Field(description="WIDTHxHEIGHT in pixels")
    remixed_from_video_id: str | None = None
    error: VideoErrorShape | None = None

    state: str = Field(description="queued, leased, running, preempted, succeeded, failed, blocked or cancelled")
    reason: str = Field(description="why it is in that state; of a run that waits: what for")
    updated_at: float
    priority: int
    group: str = Field(description="controls and size in words")
    inputs: dict[str, str | None] = Field(description="file ids, or paths on the server")
    execution_config: dict[str, Any]
    job_type: str
    step: int = Field(description="denoising steps done")
    steps: int = Field(description="denoising steps in all; 0 before the first")
    eta_seconds: float | None = None
    predicted_seconds: float | None = Field(None, description="its share of the batch that it was planned into")
    seconds_taken: float | None = Field(None, description="of the latest attempt")
    batch: int | None = Field(None, description="the batch of the latest attempt")
    failures: int
    deaths: int = Field(description="workers that died with it aboard")
    cancelling: bool
    batch_id: str | None = Field(None, description="the Batches API's batch that it belongs to")
    custom_id: str | None = None
    rating: int | None = None
    variants: list[str] = Field(description="what /content can serve at this time")


class VideoList(BaseModel):
    """A page of videos."""

    object: Literal["list"] = "list"
    data: list[VideoShape]
    first_id: str | None = None
    last_id: str | None = None
    has_more: bool


class VideoDeleted(BaseModel):
    """A video that is gone."""

    id: str
    object: Literal["video.deleted"] = "video.deleted"
    deleted: bool = True


class VideoRequest(BaseModel):
    """What a video is asked for with; read by the same rules as a run in a file."""

    model_config = ConfigDict(extra="forbid")

    prompt: str
    id: VideoId | None = None
    inputs: dict[str, str] | None = Field(None, description="video, and control videos by name: file ids or paths")
    input_reference: str | dict[str, str] | None = Field(None, description='the input video, {"file_id": ...}')
    execution_config: dict[str, Any] | None = Field(
        None,
        description="weights by control, num_steps, guidance, sigma_max, seed, fps, num_frames, resolution, ...",
    )
    negative_prompt: str | None = None
    priority: int | str | None = Field(None, description="a whole number, or low, normal, high or urgent")
    job_type: str | None = None
    model: str | None = None
    size: str | None = Field(None, description="WIDTHxHEIGHT: the resolution")
    seconds: str | float | None = Field(None, description="how long the video is to play: sets num_frames")


class ChangeShape(BaseModel):
    """One line of a run's history."""

    id: int
    state: str
    reason: str
    at: float


class AttemptShape(BaseModel):
    """One try at a run."""

    id: int
    batch: int
    worker: str
    started: float
    ended: float | None
    outcome: str | None
    cause: str
    step: int
    steps: int


class HistoryShape(BaseModel):
    """What happened to a run, oldest first."""

    object: Literal["list"] = "list"
    data: list[ChangeShape]
    attempts: list[AttemptShape]


class PriorityRequest(Strict):
    """A run's new place."""

    priority: Annotated[int, Field(ge=-(2**31), lt=2**31)] | Literal["low", "normal", "high", "urgent"]


class RatingRequest(Strict):
    """What somebody thinks of a video; null takes it back."""

    rating: Annotated[int, Field(ge=1, le=5)] | None


class FileShape(BaseModel):
    """OpenAI's file object; what a video says of itself beside it."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    filename: str
    purpose: str
    status: Literal["uploaded", "processed", "error"] = "processed"
    status_details: str | None = None
    expires_at: int | None = None
    width: int | None = None
    height: int | None = None
    frames: int | None = None
    fps: float | None = None


class FileList(BaseModel):
    """A page of files."""

    object: Literal["list"] = "list"
    data: list[FileShape]
    first_id: str | None = None
    last_id: str | None = None
    has_more: bool


class FileDeleted(BaseModel):
    """A file that is gone."""

    id: str
    object: Literal["file"] = "file"
    deleted: bool = True


class BatchRequest(BaseModel):
    """OpenAI's request for a batch."""

    model_config = ConfigDict(extra="ignore")  # what newer clients send beside it concerns expiry

    input_file_id: str
    endpoint: str
    completion_window: str = "24h"
    metadata: dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]] | None = Field(
        None, max_length=16
    )


class BatchErrorShape(BaseModel):
    """Why a line became no run."""

    code: str | None = None
    line: int | None = None
    message: str | None = None
    param: str | None = None


class BatchErrors(BaseModel):
    """The first of a batch's bad lines; the error file has them all."""

    object: Literal["list"] = "list"
    data: list[BatchErrorShape]


class BatchCounts(BaseModel):
    """How a batch's requests stand."""

    total: int
    completed: int
    failed: int


class BatchShape(BaseModel):
    """OpenAI's batch object."""

    id: str
    object: Literal["batch"] = "batch"
    endpoint: str
    errors: BatchErrors | None = None
    input_file_id: str
    completion_window: str
    status: str
    output_file_id: str | None = None
    error_file_id: str | None = None
    created_at: int
    in_progress_at: int | None = None
    expires_at: int | None = None
    finalizing_at: int | None = None
    completed_at: int | None = None
    failed_at: int | None = None
    expired_at: int | None = None
    cancelling_at: int | None = None
    cancelled_at: int | None = None
    request_counts: BatchCounts
    metadata: dict[str, Any] | None = None


class BatchList(BaseModel):
    """A page of batches."""

    object: Literal["list"] = "list"
    data: list[BatchShape]
    first_id: str | None = None
    last_id: str | None = None
    has_more: bool


class PlanRequest(BaseModel):
    """Runs that might be submitted."""

    model_config = ConfigDict(extra="forbid")

    runs: list[VideoRequest]


class PlanShape(BaseModel):
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


class EntryShape(BaseModel):
    """A file or folder that may be picked."""

    path: str
    name: str
    folder: bool
    bytes: int


class RootsShape(BaseModel):
    """What lies in a folder of the configured roots."""

    object: Literal["list"] = "list"
    path: str
    parent: str | None
    data: list[EntryShape]


class ModelShape(BaseModel):
    """OpenAI's model object."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "cosmos-batch"


class ModelList(BaseModel):
    """The models that are served."""

    object: Literal["list"] = "list"
    data: list[ModelShape]


class ServerShape(BaseModel):
    """What a page needs to know before it asks for anything else."""

    object: Literal["server"] = "server"
    version: str
    keys_required: bool
    signed_in: bool
    model: str
    engine: str
    controls: list[str]
    defaults: dict[str, Any]
    roots: list[str]
    limits: dict[str, float]


class HealthShape(BaseModel):
    """Whether the service can do its work."""

    status: Literal["ok", "degraded", "unavailable"]
    detail: str = ""


class WaitingShape(BaseModel):
    """A run in the queue."""

    id: str
    prompt: str
    priority: int
    state: str
    reason: str = Field(description="why it waits")


class GroupBatchShape(BaseModel):
    """A batch that is planned."""

    runs: list[WaitingShape] = Field(description="the first of them")
    runs_total: int
    width: int
    height: int
    frames: int
    seconds: float
    bytes: int
    starts_in_seconds: float


class GroupShape(BaseModel):
    """A launch that is planned: runs that are together for a reason."""

    index: int
    controls: list[str]
    reason: str
    seconds: float
    starts_in_seconds: float
    runs_total: int
    batches: list[GroupBatchShape]


class AtWorkShape(BaseModel):
    """A run in a batch that is at work."""

    id: str
    prompt: str
    priority: int
    step: int
    steps: int
    eta_seconds: float | None


class RunningBatchShape(BaseModel):
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
    runs: list[AtWorkShape]


class WorkerShape(BaseModel):
    """A worker as it last reported."""

    id: str
    engine: str
    device: str
    state: str
    trouble: str | None
    batch: int | None
    seen: float
    alive: bool


class QueueShape(BaseModel):
    """The queue."""

    object: Literal["queue"] = "queue"
    mode: str
    counts: dict[str, int]
    seconds: float = Field(description="predicted, of all that waits")
    groups: list[GroupShape]
    running: list[RunningBatchShape]
    workers: list[WorkerShape]
    held_back: dict[str, str] = Field(description="runs that are not planned for now, and why")
    flushed: str | None = Field(description="why these batches were formed when they were")
    trouble: str | None = Field(description="what keeps the workers from working")


class BucketShape(BaseModel):
    """What ended in a stretch of time."""

    at: float
    succeeded: int
    failed: int
    blocked: int
    cancelled: int
    engine_seconds: float
    alone_seconds: float


class PredictionShape(BaseModel):
    """A batch's predicted time, and what it took."""

    batch: int
    at: float
    size: int
    predicted_seconds: float
    seconds: float


class SpreadShape(BaseModel):
    """The middle and the slow end of some durations, in seconds."""

    p50: float
    p90: float


class StatsShape(BaseModel):
    """Throughput, saving, and predictions against what happened."""

    object: Literal["stats"] = "stats"
    hours: float
    bucket_seconds: float
    buckets: list[BucketShape]
    succeeded: int
    engine_seconds: float
    alone_seconds: float = Field(description="predicted, had each run been launched by itself")
    saved_seconds: float
    predictions: list[PredictionShape]
    prediction_error: float | None = Field(description="median |predicted - taken| / taken")
    wait_seconds: SpreadShape | None
    run_seconds: SpreadShape | None
    batch_sizes: dict[str, int]

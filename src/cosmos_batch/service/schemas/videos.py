"""Videos, as they are asked for, shown and changed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

VideoId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$")]


class StrictBody(BaseModel):
    """A request that takes no other key, and converts no value to another type."""

    model_config = ConfigDict(extra="forbid", strict=True)


class VideoError(BaseModel):
    """Why there is no video."""

    code: str
    message: str


class Video(BaseModel):
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
    error: VideoError | None = None

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
    data: list[Video]
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


class VideoChange(BaseModel):
    """One line of a run's history."""

    id: int
    state: str
    reason: str
    at: float


class VideoAttempt(BaseModel):
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


class VideoHistory(BaseModel):
    """What happened to a run, oldest first."""

    object: Literal["list"] = "list"
    data: list[VideoChange]
    attempts: list[VideoAttempt]


class PriorityRequest(StrictBody):
    """A run's new place."""

    priority: Annotated[int, Field(ge=-(2**31), lt=2**31)] | Literal["low", "normal", "high", "urgent"]


class RatingRequest(StrictBody):
    """What somebody thinks of a video; null takes it back."""

    rating: Annotated[int, Field(ge=1, le=5)] | None

"""Bodies of /v1/videos."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from cosmos_batch.service.schemas.problems import FieldProblem

VideoId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$")]


class StrictBody(BaseModel):
    """A body without unknown keys and without conversion between types."""

    model_config = ConfigDict(extra="forbid", strict=True)


class VideoError(BaseModel):
    """The cause of a failed video."""

    code: str
    message: str


class VideoTry(BaseModel):
    """An attempt at a run whose video has to reach scores."""

    seed: int
    scores: dict[str, float]
    fault: str = Field(description="why it gave no video; empty: it did")


class VideoAcceptance(BaseModel):
    """The attempts at a run whose video has to reach scores, and the verdict on the best of them."""

    accepted: bool
    seed: int | None = Field(description="of the best attempt, whose video is published in the end")
    missed: list[str] = Field(description="what the best attempt misses, in words")
    tries: list[VideoTry]


class Video(BaseModel):
    """OpenAI's video object of a run; the fields from `state` on extend it."""

    id: str
    object: Literal["video"] = "video"
    model: str
    status: Literal["queued", "in_progress", "completed", "failed"]
    progress: int = Field(description="per cent of the denoising steps")
    created_at: int
    completed_at: int | None = None
    expires_at: int | None = None
    prompt: str
    seconds: str = Field(description="length of the video in seconds")
    size: str = Field(description="WIDTHxHEIGHT of the output in pixels")
    remixed_from_video_id: str | None = None
    error: VideoError | None = None

    state: str = Field(description="queued, leased, running, preempted, succeeded, failed, blocked or cancelled")
    reason: str = Field(description="why it is in that state, or why it waits")
    updated_at: float
    priority: int
    group: str = Field(description="controls and size as text")
    inputs: dict[str, str | None] = Field(
        description="file ids, or paths on the server, with the span of the video behind them"
    )
    names: dict[str, str] = Field(description="names of the inputs' files, of an upload as the client named it")
    execution_config: dict[str, Any]
    job_type: str
    sweep: str | None = Field(None, description="the sweep that it is part of")
    tags: dict[str, str] = Field(default_factory=dict)
    metadata: dict[str, Any] = Field(default_factory=dict)
    step: int = Field(description="denoising steps done")
    steps: int = Field(description="denoising steps in all; 0 before the first")
    eta_seconds: float | None = None
    predicted_seconds: float | None = Field(None, description="of its latest batch, with all runs in it")
    seconds_taken: float | None = Field(None, description="of the latest attempt")
    batch: int | None = Field(None, description="the batch of the latest attempt")
    failures: int
    deaths: int = Field(description="worker crashes while it was executed")
    cancelling: bool
    batch_id: str | None = Field(None, description="its batch of the Batches API")
    custom_id: str | None = None
    rating: int | None = None
    scores: dict[str, float] = Field(description="of its finished video, by name; empty before that")
    flags: list[str] = Field(description="what its scores say is broken: black, frozen, noise")
    accept: dict[str, str] | None = Field(None, description="the scores that its video has to reach, by name")
    attempts: int | None = Field(None, description="how often it is made at most until they are reached")
    acceptance: VideoAcceptance | None = Field(None, description="its attempts so far; null without such scores")
    variants: list[str] = Field(description="the variants that /content can serve now")
    files: dict[str, str] = Field(description="names of its finished files, by variant: output.mp4, or a picture")
    warnings: list[FieldProblem] = Field(
        description="what of the request is taken as it is, and is probably not meant"
    )


class VideoList(BaseModel):
    """A page of videos."""

    object: Literal["list"] = "list"
    data: list[Video]
    first_id: str | None = None
    last_id: str | None = None
    has_more: bool


class VideoDeleted(BaseModel):
    """A deleted video."""

    id: str
    object: Literal["video.deleted"] = "video.deleted"
    deleted: bool = True


class VideoRequest(BaseModel):
    """A request for a video: its schema. Requests are parsed by the rules of a native run."""

    model_config = ConfigDict(extra="forbid")

    prompt: str
    id: VideoId | None = None
    inputs: dict[str, str | dict[str, str | int | float]] | None = Field(
        None,
        description="video, control videos by name, masks (edge_mask), guided_generation_mask: file ids or paths; "
        "of a part of a video an object of path, start and frames, or path, start_seconds and seconds",
    )
    input_reference: str | dict[str, str] | None = Field(None, description='the input video, {"file_id": ...}')
    execution_config: dict[str, Any] | None = Field(
        None,
        description="weights by control, num_steps, guidance, sigma_max, seed, fps, num_frames, resolution, "
        "keep_input_resolution, ...",
    )
    negative_prompt: str | None = None
    priority: int | str | None = Field(None, description="a whole number, or low, normal, high or urgent")
    job_type: str | None = None
    sweep: str | None = Field(None, description="the sweep that it is part of, to filter by")
    tags: dict[str, str] | None = Field(None, description="at most 32, to filter by")
    metadata: dict[str, Any] | None = Field(None, description="kept and returned")
    accept: dict[str, str | bool] | None = Field(
        None, description='scores that the video has to reach: {"edge_f1": ">0.5", "black": false}'
    )
    attempts: int | None = Field(None, description="1 to 20: made again with another seed until it reaches them")
    seed_step: int | None = Field(None, description="from the seed of an attempt to that of the next; 1")
    model: str | None = None
    size: str | None = Field(None, description="WIDTHxHEIGHT: the resolution")
    seconds: str | float | None = Field(None, description="length of the video: sets num_frames")


VIDEO_REQUEST = {"$ref": "#/components/schemas/VideoRequest"}
"""The schema of a body that is parsed by the rules of a native run, not by `VideoRequest`."""


def video_request_schema() -> dict[str, Any]:
    """Make the schema of `VideoRequest`; a field whose default is null is optional, as in FastAPI's schemas."""
    schema = VideoRequest.model_json_schema()
    for field in schema["properties"].values():
        if "default" in field and field["default"] is None:
            del field["default"]
    return schema


class VideoChange(BaseModel):
    """One change of a run's state."""

    id: int
    state: str
    reason: str
    at: float


class VideoAttempt(BaseModel):
    """One attempt at a run."""

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
    """The history of a run, oldest change first."""

    object: Literal["list"] = "list"
    data: list[VideoChange]
    attempts: list[VideoAttempt]


class PriorityRequest(StrictBody):
    """The new priority of a run."""

    priority: Annotated[int, Field(ge=-(2**31), lt=2**31)] | Literal["low", "normal", "high", "urgent"]


class RatingRequest(StrictBody):
    """The rating of a video; null removes it."""

    rating: Annotated[int, Field(ge=1, le=5)] | None

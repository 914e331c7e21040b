"""What a service expects of its queue: a part of the body of /v1/queue."""

from __future__ import annotations

from pydantic import BaseModel, Field


class ExpectedRuns(BaseModel):
    """Runs of a set of controls that are expected."""

    controls: list[str]
    per_hour: float = Field(description="arrivals in the next hour")
    next_in_seconds: float | None = Field(
        description="in which the next arrives as likely as not; null: not known"
    )
    text: str = Field(description="the same in words")


class BatchingWindow(BaseModel):
    """How long runs wait for others to batch with."""

    seconds: float = Field(description="at most")
    set_seconds: float = Field(description="by the settings")
    chosen: bool = Field(description="by prediction; else it is as set")
    text: str = Field(description="the same in words, with the reason")


class PredictionSaving(BaseModel):
    """What prediction saved so far against the rules of the settings, by replays of all arrivals since then."""

    runs: int = Field(description="that were replayed; 0: none yet")
    seconds: float = Field(description="of all runs together, from arrival to video; negative: lost")
    gpu_seconds: float = Field(description="of all devices, loads included; negative: lost")
    text: str = Field(description='the same in words; "" where nothing was replayed')


class Expectations(BaseModel):
    """What is expected of the queue."""

    on: bool = Field(description="whether the service predicts; else its settings hold")
    at: float | None = Field(description="when it was predicted; null: not yet, or prediction is off")
    arrivals: int = Field(description="runs that it was learnt from")
    kinds: list[ExpectedRuns] = Field(description="the likeliest first")
    window: BatchingWindow
    patience_seconds: float | None = Field(
        description="chosen: for how much longer another kind waits before a device gives up what it holds; "
        "null: as set"
    )
    saving: PredictionSaving

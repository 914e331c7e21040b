"""Bodies of /v1/runs: many runs at once."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, model_validator

from cosmos_batch.service.schemas.videos import StrictBody

MOST_RUNS = 20_000
"""Runs of one action or export: their ids fit into a JSON request."""
MOST_SHOWN = 200
"""Runs of one look-up."""

RunKey = Annotated[str, Field(min_length=1, max_length=128)]


class OutlineGroup(BaseModel):
    """A group of runs."""

    value: str | None = Field(description="what its runs have in common; null: those that have none")
    label: str = Field(description="the value for people: of a video, the name of its file")
    runs: int


class Outline(BaseModel):
    """All runs of a long list, in order: the lists from `ids` to `scores` have an entry for each."""

    object: Literal["outline"] = "outline"
    ids: list[str]
    states: list[str]
    ratings: list[int | None]
    scores: list[float | None] = Field(description="the score that sorts the list; null without one")
    groups: list[OutlineGroup] = Field(description="in order; the runs of each follow one another")
    columns: list[OutlineGroup]
    cells: list[int] = Field(description="the column of each run, as an index of `columns`; empty without columns")
    counts: dict[str, int] = Field(description="runs by state")
    has_more: bool = Field(description="further runs pass the filter")


class Histogram(BaseModel):
    """The distribution of a score."""

    object: Literal["histogram"] = "histogram"
    score: str
    runs: int = Field(description="that have the score")
    start: float = Field(description="the least value")
    end: float = Field(description="the greatest value")
    counts: list[int] = Field(description="runs in intervals of equal width from start to end")


class RunLabelCounts(BaseModel):
    """Sweeps and tags of all runs, with the number of runs of each."""

    object: Literal["labels"] = "labels"
    sweeps: dict[str, int]
    tags: dict[str, dict[str, int]] = Field(description="by name, then by value")


class RunIds(StrictBody):
    """The runs that a request is about."""

    ids: Annotated[list[RunKey], Field(min_length=1, max_length=MOST_RUNS)]


class LookUp(StrictBody):
    """The runs that are looked up."""

    ids: Annotated[list[RunKey], Field(min_length=1, max_length=MOST_SHOWN)]


class BulkAction(RunIds):
    """An action on many runs."""

    action: Literal["cancel", "retry", "delete", "rate", "priority"]
    rating: Annotated[int, Field(ge=1, le=5)] | None = Field(None, description="of rate; null removes it")
    priority: Annotated[int, Field(ge=-(2**31), lt=2**31)] | Literal["low", "normal", "high", "urgent"] | None = (
        Field(None, description="of priority")
    )

    @model_validator(mode="after")
    def _check_fields(self) -> Self:
        """Refuse a rating or a priority that the action does not take, and an action that lacks its own."""
        for action, field in (("rate", "rating"), ("priority", "priority")):
            if (field in self.model_fields_set) != (self.action == action):
                given = "lacks" if self.action == action else "does not take"
                raise ValueError(f"the action {self.action!r} {given} the field {field!r}")
        if self.action == "priority" and self.priority is None:
            raise ValueError("the field 'priority' is null; give a number or a level")
        return self


class BulkOutcome(BaseModel):
    """What became of one run."""

    id: str
    done: bool
    state: str | None = Field(description="of a run that was refused: why, with `reason`")
    reason: str | None


class BulkResult(BaseModel):
    """What became of every run of an action, in the order of the request."""

    object: Literal["bulk"] = "bulk"
    action: str
    done: int = Field(description="runs that the action was done to")
    data: list[BulkOutcome]


class ExportRequest(RunIds):
    """An export of runs."""

    format: Literal["csv", "jsonl", "zip"] = Field(
        description="csv: a row for each run; jsonl: the video object of each; zip: their files, with both tables"
    )


class Export(BaseModel):
    """An export that is ready to be downloaded, for an hour."""

    object: Literal["export"] = "export"
    id: str
    format: str
    runs: int
    url: str = Field(description="where GET downloads it")

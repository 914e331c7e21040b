"""A run on a server, as its client sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cosmos_batch.errors import Problem
from cosmos_batch.html_table import html_table, scores_text


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerRun:
    """A run on a server at the time of the answer."""

    id: str
    state: str  # queued, leased, running, preempted, succeeded, failed, blocked or cancelled
    status: str  # OpenAI's word for it: queued, in_progress, completed or failed
    reason: str  # why it is in that state, or why it waits
    prompt: str
    step: int  # denoising steps done
    steps: int  # in all; 0 before the first
    eta_seconds: float | None  # until it ends, or until it starts; None: not known
    seconds: float | None  # wall time of the latest attempt; None: never attempted
    scores: Mapping[str, float]  # of the finished video, by name
    flags: tuple[str, ...]  # what the scores say is broken
    acceptance: Mapping[
        str, Any
    ]  # attempts at scores that it has to reach, and the verdict; empty: no such scores
    warnings: tuple[Problem, ...]  # what of the request is taken and is probably not meant
    sweep: str | None  # the sweep that it is part of
    tags: Mapping[str, str]
    metadata: Mapping[str, Any]  # as it was submitted
    cancelling: bool  # it is to be cancelled at its next step, or before its video is published
    files: Mapping[str, str]  # names of its finished files, by variant: video, control_edge, run

    @classmethod
    def from_json(cls, video: Mapping[str, Any]) -> ServerRun:
        """Read a video object of the API; earlier servers have fewer fields."""
        return cls(
            id=video["id"],
            state=video["state"],
            status=video["status"],
            reason=video["reason"],
            prompt=video["prompt"],
            step=video["step"],
            steps=video["steps"],
            eta_seconds=video["eta_seconds"],
            seconds=video.get("seconds_taken"),
            scores=video.get("scores", {}),
            flags=tuple(video.get("flags", ())),
            acceptance=video.get("acceptance") or {},
            warnings=tuple(_warning(video["id"], found) for found in video.get("warnings", ())),
            sweep=video.get("sweep"),
            tags=video.get("tags", {}),
            metadata=video.get("metadata", {}),
            cancelling=video["cancelling"],
            files=video["files"],
        )

    @property
    def ended(self) -> bool:
        """Whether it has succeeded, failed, or was blocked or cancelled."""
        return self.status in ("completed", "failed")

    @property
    def succeeded(self) -> bool:
        """Whether its video is finished."""
        return self.status == "completed"

    @property
    def accepted(self) -> bool:
        """Whether its video is finished and reaches the scores that it has to reach."""
        return self.succeeded and bool(self.acceptance.get("accepted", True))

    def _repr_html_(self) -> str:
        """The run as a table, for notebooks."""
        step = f"{self.step} of {self.steps}" if self.steps else ""
        cells = {
            "run": self.id,
            "state": self.state,
            "reason": self.reason,
            "step": step,
            "scores": scores_text(self.scores),
        }
        return html_table(list(cells), [list(cells.values())])


def _warning(run_id: str, found: Mapping[str, Any]) -> Problem:
    return Problem(
        f"run {run_id}", None, found["field"], found["found"], found["message"], found["remedy"], "warning"
    )

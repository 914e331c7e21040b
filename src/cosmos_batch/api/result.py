"""The result of a run that was made in this process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cosmos_batch.errors import Problem
from cosmos_batch.html_table import html_table, scores_text


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """How a run ended."""

    id: str
    state: str  # succeeded, failed, blocked (by the guardrail) or cancelled
    path: Path | None  # the video or picture; None: the run has not succeeded
    cause: str  # why it has not succeeded; "": it has
    seconds: float | None  # wall time of its last attempt; None: it was not tried
    scores: Mapping[str, float]  # of the video, by name
    flags: tuple[str, ...]  # what the scores say is broken: black, frozen, noise
    acceptance: Mapping[
        str, object
    ]  # attempts at scores that it has to reach, and the verdict; empty: no such scores
    warnings: tuple[Problem, ...]  # what of its input was taken as it is and is probably not meant

    @property
    def succeeded(self) -> bool:
        """Whether its video is finished and verified."""
        return self.path is not None

    @property
    def accepted(self) -> bool:
        """Whether its video is finished and reaches the scores that it has to reach."""
        return self.succeeded and bool(self.acceptance.get("accepted", True))

    @property
    def folder(self) -> Path | None:
        """The folder with the video, its controls and `run.json`; None: the run has not succeeded."""
        return None if self.path is None else self.path.parent

    def _repr_html_(self) -> str:
        """The result as a table, for notebooks."""
        return results_html([self])


def results_html(results: list[RunResult], caption: str = "") -> str:
    """Results as a table for notebooks."""
    headings = ("run", "state", "seconds", "scores", "flags", "video or cause")
    rows = (
        (
            result.id,
            result.state,
            "" if result.seconds is None else f"{result.seconds:.1f}",
            scores_text(result.scores),
            ", ".join(result.flags),
            result.path or result.cause,
        )
        for result in results
    )
    return html_table(headings, rows, caption)

"""Presentation of runs: a record of the ledger as OpenAI's video object."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from cosmos_batch.dispatch.output.directory import RUN_FILE, output_names
from cosmos_batch.formats.guided import MASK, guided_settings
from cosmos_batch.formats.native import control_prompts, mask_name
from cosmos_batch.ledger import ENDED, Attempt, RunRecord, RunWithAttempt, State
from cosmos_batch.planning.resolve import leading_facts
from cosmos_batch.planning.traits import Traits
from cosmos_batch.run import ResolvedRun, Run, as_dict
from cosmos_batch.scoring.scores import flags_of
from cosmos_batch.service.runs.allowed_dirs import AllowedDirectories
from cosmos_batch.service.runs.input_names import InputNames
from cosmos_batch.service.schemas.problems import field_problems
from cosmos_batch.service.schemas.videos import Video, VideoAcceptance, VideoError
from cosmos_batch.spans import split_span, with_file

Status = Literal["queued", "in_progress", "completed", "failed"]

STATUS: Mapping[State, Status] = {
    State.QUEUED: "queued",
    State.PREEMPTED: "queued",
    State.LEASED: "in_progress",
    State.RUNNING: "in_progress",
    State.SUCCEEDED: "completed",
    State.FAILED: "failed",
    State.BLOCKED: "failed",
    State.CANCELLED: "failed",
}
"""OpenAI's status of each state."""

_CONTROL_FILE = re.compile(r"(control_[a-z]+)\.(mp4|png|jpg)")


class VideoPresenter:
    """Makes the video objects of a server's runs."""

    def __init__(
        self,
        model: str,
        traits: Traits,
        videos: Path,
        uploads: Path,
        allowed: AllowedDirectories,
        wait_of: Callable[[RunRecord], tuple[str, float | None]],
        names: InputNames,
    ) -> None:
        """`videos`: folder of the finished runs; `wait_of`: why a run waits, and in how many seconds it starts."""
        self._model = model
        self._traits = traits
        self._videos = videos
        self._uploads = str(uploads)
        self._allowed = allowed
        self._wait_of = wait_of
        self._names = names

    def video(self, found: RunWithAttempt) -> Video:
        """Make the video object of a run and its latest attempt. Raises LedgerError."""
        record, attempt = found.record, found.attempt
        run, state = record.run, record.state
        reason, eta = self.shown_text(record.cause), None
        if STATUS[state] == "queued":
            reason, eta = self._wait_of(record)
        elif STATUS[state] == "in_progress":
            eta = eta_seconds(attempt)
        return Video(
            id=run.id,
            model=self._model,
            status=STATUS[state],
            progress=100 if state is State.SUCCEEDED else percent(attempt),
            created_at=int(record.created),
            completed_at=int(record.updated) if state in ENDED else None,
            prompt=run.prompt,
            seconds=_seconds(run),
            size=self._size(record),
            error=self._error(record),
            state=state,
            reason=reason,
            updated_at=record.updated,
            priority=record.priority,
            group=record.shape_label,
            inputs={name: self._shown(path) for name, path in _inputs(run).items()},
            names={name: self._names.of(path) for name, path in _inputs(run).items()},
            execution_config=execution_config(run),
            job_type=run.job_type,
            **({} if run.annotations is None else asdict(run.annotations)),
            step=attempt.step if attempt else 0,
            steps=attempt.steps if attempt else 0,
            eta_seconds=eta,
            predicted_seconds=attempt.batch_seconds if attempt else None,
            seconds_taken=_taken(attempt),
            batch=attempt.batch if attempt else None,
            failures=record.failures,
            deaths=record.crashes,
            cancelling=record.cancel_requested,
            batch_id=record.batch_job_id or None,
            custom_id=record.custom_id or None,
            rating=record.rating,
            scores=dict(record.scores),
            flags=list(flags_of(record.scores)),
            accept=None if run.acceptance is None else dict(run.acceptance.scores),
            attempts=None if run.acceptance is None else run.acceptance.attempts,
            acceptance=VideoAcceptance.model_validate(record.acceptance) if record.acceptance else None,
            variants=self.variants(record),
            files=self.files(record),
            warnings=field_problems(record.warnings),
        )

    def variants(self, record: RunRecord) -> list[str]:
        """List the variants that /content can serve of a run."""
        inputs = ["input", "thumbnail"] if record.run.video else []
        inputs += [f"control_{c.name}" for c in record.run.active if c.video]
        finished = list(self.files(record))
        shown = [name for name in finished if name != "run"]
        ready = ["thumbnail"] if "video" in finished else []
        return [*dict.fromkeys([*inputs, *shown, *ready]), *(["run"] if "run" in finished else [])]

    def files(self, record: RunRecord) -> dict[str, str]:
        """Name the finished files of a run, by variant: controls, output, record."""
        if record.state is not State.SUCCEEDED:
            return {}
        try:
            names = sorted(path.name for path in (self._videos / record.id).iterdir())
        except OSError:
            return {}
        found = {match[1]: name for name in names if (match := _CONTROL_FILE.fullmatch(name))}
        found["video"] = next((name for name in output_names(None) if name in names), "")
        found["run"] = RUN_FILE if RUN_FILE in names else ""
        return {variant: name for variant, name in found.items() if name}

    def file_of(self, record: RunRecord, variant: str) -> Path | None:
        """Find the file of a variant; None where there is none. Only known variants become part of a path."""
        if variant not in self.variants(record):
            return None
        name = self.files(record).get("video" if variant == "thumbnail" else variant)
        if name is not None:
            return self._videos / record.id / name
        inputs = {f"control_{c.name}": c.video for c in record.run.active}
        inputs |= dict.fromkeys(("input", "thumbnail"), record.run.video)  # until there is an output
        return self._readable(inputs.get(variant))

    def _size(self, record: RunRecord) -> str:
        shape = self._traits.finished(record.run, leading_facts(record.run, record.facts))
        return f"{shape.width}x{shape.height}"

    def _readable(self, path: str | None) -> Path | None:
        """Resolve a run's input; None where a link that leads out of the allowed folders has replaced it."""
        if path is None or path.startswith(f"{self._uploads}/"):
            return Path(path) if path else None
        file = split_span(path)[0]
        found = self._allowed.resolve(file)
        return None if found is None else Path(f"{found}{path[len(file) :]}")

    def _error(self, record: RunRecord) -> VideoError | None:
        if STATUS[record.state] != "failed":
            return None
        return VideoError(code=record.state, message=self.shown_text(record.cause) or record.state)

    def shown_text(self, text: str) -> str:
        """Leave the folder of uploads out of a text: what is left of a path begins with the file's id."""
        return text.replace(f"{self._uploads}/", "")

    def _shown(self, path: str) -> str:
        """Name an upload by its id, any other file by its path; the span of a video stays behind it."""
        return with_file(path, lambda file: Path(file).stem) if path.startswith(f"{self._uploads}/") else path


def _inputs(run: Run) -> dict[str, str]:
    """The videos that a run reads, by name of the input."""
    paths = {"video": run.video, MASK: run.guided_mask}
    paths |= {control.name: control.video for control in run.controls}
    paths |= {mask_name(control.name): control.mask for control in run.controls}
    return {name: path for name, path in paths.items() if path}


def execution_config(run: Run) -> dict[str, Any]:
    """Make the `execution_config` that a request for the run would have."""
    weights = {control.name: control.weight for control in run.controls}
    settings = {**as_dict(run)["sampling"], **guided_settings(run), **control_prompts(run), **run.presets}
    return {"weights": weights, **settings}


def percent(attempt: Attempt | None) -> int:
    """Compute the progress of an attempt, in per cent of its denoising steps."""
    return 100 * attempt.step // attempt.steps if attempt and attempt.steps else 0


def eta_seconds(attempt: Attempt | None, now: float | None = None) -> float | None:
    """Estimate the seconds until a running run ends.

    Before its first step: by the predictions of the model load and of its batch. From then on by the time between
    its steps: what came before the first one, as the load, tells nothing of the later ones.
    None: not known, because there is no attempt, the predicted time has passed, or all steps are done and the
    output is being written. `now`: seconds since 1970.
    """
    if attempt is None:
        return None
    now = time.time() if now is None else now
    if attempt.first_step is None or attempt.first_step_at is None or attempt.step_at is None:
        left = attempt.started + attempt.load_seconds + attempt.batch_seconds - now
    else:
        taken = attempt.step - attempt.first_step
        measured = attempt.step_at - attempt.first_step_at
        of_step = measured / taken if taken else attempt.batch_seconds / attempt.steps
        left = of_step * (attempt.steps - attempt.step) - (now - attempt.step_at)
    return left if left > 0 else None


def _seconds(run: ResolvedRun) -> str:
    return f"{run.sampling.num_frames / run.sampling.fps:g}"


def _taken(attempt: Attempt | None) -> float | None:
    if attempt is None:
        return None
    return (time.time() if attempt.ended is None else attempt.ended) - attempt.started

"""One start of a script: write its files, follow its process, fetch its outputs as they are finished."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from cosmos_batch.engines.nvidia.config import Config
from cosmos_batch.engines.nvidia.launch_files import LaunchFiles, Sample
from cosmos_batch.engines.nvidia.launchers.base import LOST, Launcher, ScriptCommand
from cosmos_batch.engines.nvidia.logs import Diagnosis, ExitCause, StepCounter, diagnose
from cosmos_batch.engines.nvidia.output_tracker import SampleEnd
from cosmos_batch.engines.nvidia.script import Script
from cosmos_batch.errors import EngineError, MediaError, PlanError, StorageError
from cosmos_batch.media.controls.cache import ControlCache
from cosmos_batch.media.info import FileMark, changed_contents, file_mark, marks_of
from cosmos_batch.planning.plan import Launch
from cosmos_batch.run import Run


@dataclass(frozen=True, slots=True)
class ScriptContext:
    """The objects that every launch of an engine shares."""

    script: Script
    config: Config
    launcher: Launcher
    cache: ControlCache
    chunks: Callable[[Run, int], int]  # chunks of a run of so many frames
    poll_seconds: float = 0.5  # time between two polls of a script


@dataclass(frozen=True, slots=True)
class FinishedOutput:
    """A finished output, fetched to this machine."""

    sample: Sample
    video: Path
    controls: dict[str, Path]
    decoded: Mapping[str, FileMark]  # marks of the inputs that were unchanged while the script could read them


@dataclass(frozen=True, slots=True)
class SkippedSample:
    """A sample that the script passed over without an output."""

    sample: Sample


class ScriptProcess:
    """A script that executes a launch."""

    def __init__(self, context: ScriptContext, launch: Launch, folder: Path) -> None:
        """Write the files of the launch into an empty folder and start the script.

        Raises EngineError if it cannot be started, and the errors of the writer.
        """
        self._context = context
        self._folder = folder
        self._marks = {run.id: marks_of(run) for run in launch.runs}
        self._files, staged_outputs = write_files(context, launch, folder)
        self._tracker = context.script.track(self._files)
        self.log = folder / "log.txt"
        self._steps = StepCounter(self.log)
        self._last_output = time.monotonic()
        self._status: int | None = None
        self._lost_cause = ""  # why the script counts as ended although its process reported no status
        self._process = context.launcher.start(self._command(staged_outputs))

    def _command(self, staged_outputs: str) -> ScriptCommand:
        script = self._context.script
        config = self._context.config.script
        self._files.outputs.mkdir(parents=True, exist_ok=True)
        return ScriptCommand(
            python=config.python,
            argv=script.argv(config, self._files),
            env={"PYTHONPATH": config.folder, **script.environment, **config.environment},
            cwd=config.folder,
            outputs=self._files.outputs,
            staged_outputs=staged_outputs,
            log=self.log,
        )

    @property
    def started(self) -> bool:
        """Whether the script has loaded its model and begun its first sample."""
        return self._tracker.started

    @property
    def ended(self) -> bool:
        """Whether the script has ended, and all of its outputs were polled."""
        return self._status is not None

    @property
    def batch_size(self) -> int:
        """Samples of a tensor batch."""
        return self._files.batch_size

    @property
    def current(self) -> list[Sample]:
        """The samples that the script is executing, or was executing when it ended."""
        return [self._files.samples[i] for i in self._tracker.current]

    @property
    def ambiguous(self) -> list[Sample]:
        """Samples for which no output is proven to be theirs, or missing."""
        return [self._files.samples[i] for i in sorted(self._tracker.ambiguous)]

    def diagnosis(self) -> Diagnosis | None:
        """Diagnose a script that has ended; None if it ended successfully."""
        if self._lost_cause:
            return Diagnosis(ExitCause.KILLED if self._status == LOST else ExitCause.ERROR, self._lost_cause)
        return diagnose(self.log, self._status) if self._status else None

    def poll(self) -> list[FinishedOutput | SkippedSample]:
        """Samples that ended since the last poll. A script out of reach counts as killed."""
        try:
            return self._poll()
        except EngineError as exc:
            self._status, self._lost_cause = LOST, f"the script is out of reach: {exc}"
            return []

    def _poll(self) -> list[FinishedOutput | SkippedSample]:
        status = self._process.poll()  # before the files, so that an ended script has left all of them
        found = self._tracker.poll(self._process, done=status == 0)
        results = [self._finish(each) for each in found]
        if self._steps.read() or found:
            self._last_output = time.monotonic()
        if found:
            self._steps.reset()
        self._status = status
        if status is None and time.monotonic() - self._last_output > self._context.config.silence:
            self._status, self._lost_cause = 1, f"the script said nothing for {self._context.config.silence:g} s"
        return results

    def steps(self, sample: Sample) -> tuple[int, int]:
        """Denoising steps of a sample in execution: done according to the log, and in total."""
        each = sample.run.sampling.num_steps or 1
        chunks = self._context.chunks(sample.run, sample.expected.frames)
        return min(self._steps.steps_done(each, chunks), each * chunks), each * chunks

    def _finish(self, found: SampleEnd) -> FinishedOutput | SkippedSample:
        sample = self._files.samples[found.sample]
        if found.video is None:
            return SkippedSample(sample)
        video = self._fetch(found.video, f"{sample.run.id}{sample.video.suffix}")
        if video is None:
            raise EngineError(f"{found.video}: the script's output is gone before it could be fetched")
        controls = {name: self._control(sample, name, path) for name, path in sample.controls.items()}
        decoded = self._unchanged(self._marks[sample.run.id])
        return FinishedOutput(sample, video, {name: path for name, path in controls.items() if path}, decoded)

    def _unchanged(self, marks: Mapping[str, FileMark]) -> Mapping[str, FileMark]:
        """The inputs that are as they were when the script started; all, where it reads copies."""
        if self._context.launcher.copies_inputs:
            return marks
        unchanged = {}
        for path, mark in marks.items():
            with suppress(OSError):
                if not changed_contents(file_mark(path), mark):
                    unchanged[path] = file_mark(path)
        return unchanged

    def _control(self, sample: Sample, name: str, path: Path) -> Path | None:
        if not path.is_relative_to(self._files.outputs):
            return path
        left = path.relative_to(self._files.outputs).as_posix()
        return self._fetch(left, f"{sample.run.id}-{name}{path.suffix}")

    def _fetch(self, output: str, name: str) -> Path | None:
        """Fetch an output of the script, and move it out of the script's folder; None where there is none."""
        fetched = self._process.fetch(output)
        if fetched is None:
            return None
        target = self._folder / "fetched" / name
        try:
            target.parent.mkdir(exist_ok=True)
            try:
                fetched.replace(target)
            except PermissionError:  # a container's user owns the folder
                shutil.copyfile(fetched, target)
        except OSError as exc:
            raise EngineError(f"{target}: cannot be written ({exc.strerror})") from exc
        return target

    def close(self) -> None:
        """End the script with all processes that it started. Fetched outputs stay."""
        self._process.close()


def write_files(context: ScriptContext, launch: Launch, folder: Path) -> tuple[LaunchFiles, str]:
    """Write the files of a launch. Also returns the path of its output folder where the script runs."""
    staged: dict[Path, str] = {}

    def stage(path: Path) -> str:
        if path not in staged:
            staged[path] = context.launcher.stage(path)
        return staged[path]

    folder.mkdir(parents=True)
    files = context.script.write(launch, folder, context.cache, stage)
    return files, stage(files.outputs)


def unwritable_runs(context: ScriptContext, launch: Launch, folder: Path) -> dict[str, str]:
    """Runs for which no files can be written even alone: id -> cause. Raises StorageError and EngineError."""
    causes = {}
    for batch in launch.batches:
        for run in batch.runs:
            alone, trial = replace(launch, batches=(batch.take((run,)),)), folder / f"try-{run.id}"
            try:
                write_files(context, alone, trial)
            except StorageError:
                raise
            except (MediaError, PlanError) as exc:
                causes[run.id] = str(exc)
            finally:
                shutil.rmtree(trial, ignore_errors=True)
    return causes

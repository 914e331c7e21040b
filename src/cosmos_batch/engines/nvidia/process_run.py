"""One start of a script: its files written, its process followed, its outputs fetched as they are finished."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from cosmos_batch.engines.nvidia.config import Config
from cosmos_batch.engines.nvidia.launch_files import Sample, Written
from cosmos_batch.engines.nvidia.launchers.base import LOST, Launcher, ScriptCommand
from cosmos_batch.engines.nvidia.logs import Death, Diagnosis, StepCounter, diagnose
from cosmos_batch.engines.nvidia.output_tracker import Found
from cosmos_batch.engines.nvidia.scripts import Script
from cosmos_batch.errors import EngineError, MediaError, PlanError, StorageError
from cosmos_batch.media.controls.cache import ControlCache
from cosmos_batch.planning.plan import Launch


@dataclass(frozen=True, slots=True)
class ScriptContext:
    """What every launch of an engine needs."""

    script: Script
    config: Config
    launcher: Launcher
    cache: ControlCache
    chunks: Callable[[int], int]  # how many chunks so many frames take
    pause: float = 0.5  # seconds between two looks at a script


@dataclass(frozen=True, slots=True)
class FinishedOutput:
    """A finished output, brought here."""

    sample: Sample
    video: Path
    controls: dict[str, Path]


@dataclass(frozen=True, slots=True)
class SkippedSample:
    """The script has gone on without having made this one."""

    sample: Sample


class ScriptProcess:
    """A script at work on a launch."""

    def __init__(self, shop: ScriptContext, launch: Launch, folder: Path) -> None:
        """Write the files of the launch into an empty folder and start the script.

        Raises EngineError where it cannot be started, and what the writer raises.
        """
        self._shop = shop
        self._folder = folder
        self._written, outputs_there = write(shop, launch, folder)
        self._follower = shop.script.follow(self._written)
        self.log = folder / "log.txt"
        self._steps = StepCounter(self.log)
        self._heard = time.monotonic()
        self._status: int | None = None
        self._gone = ""  # why the script counts as over although it did not say so
        self._process = shop.launcher.start(self._order(outputs_there))

    def _order(self, outputs_there: str) -> ScriptCommand:
        script = self._shop.script
        config = self._shop.config.script(script.name)
        self._written.outputs.mkdir(parents=True, exist_ok=True)
        return ScriptCommand(
            python=config.python,
            argv=script.argv(config, self._written),
            env={"PYTHONPATH": config.folder, **config.environment},
            cwd=config.folder,
            outputs=self._written.outputs,
            outputs_there=outputs_there,
            log=self.log,
        )

    @property
    def began(self) -> bool:
        """Whether the script has loaded its model and come to its first sample."""
        return self._follower.began

    @property
    def over(self) -> bool:
        """Whether the script has ended, and all that it left was looked at."""
        return self._status is not None

    @property
    def batch_size(self) -> int:
        """Samples of a tensor batch."""
        return self._written.batch_size

    @property
    def current(self) -> list[Sample]:
        """The samples that the script is at, or was at when it ended."""
        return [self._written.samples[i] for i in self._follower.current]

    @property
    def ambiguous(self) -> list[Sample]:
        """Samples of which it cannot be told whether an output is theirs."""
        return [self._written.samples[i] for i in sorted(self._follower.ambiguous)]

    def diagnosis(self) -> Diagnosis | None:
        """What the script died of; None where it did not. For a trip that is over."""
        if self._gone:
            return Diagnosis(Death.KILLED if self._status == LOST else Death.ERROR, self._gone)
        return diagnose(self.log, self._status) if self._status else None

    def look(self) -> list[FinishedOutput | SkippedSample]:
        """What has come to its end since the last look. Out of reach, the script counts as killed."""
        try:
            return self._look()
        except EngineError as exc:
            self._status, self._gone = LOST, f"the script is out of reach: {exc}"
            return []

    def _look(self) -> list[FinishedOutput | SkippedSample]:
        status = self._process.poll()  # before the files, so that a script that has ended has left them all
        found = self._follower.look(self._process, done=status == 0)
        results = [self._take(each) for each in found]
        if self._steps.listen() or found:
            self._heard = time.monotonic()
        if found:
            self._steps.reset()
        self._status = status
        if status is None and time.monotonic() - self._heard > self._shop.config.silence:
            self._status, self._gone = 1, f"the script said nothing for {self._shop.config.silence:g} s"
        return results

    def steps(self, sample: Sample) -> tuple[int, int]:
        """Denoising steps of a sample that the script is at: done as its log says, and in all."""
        each = sample.run.sampling.num_steps or 1
        chunks = self._shop.chunks(sample.facts.frames)
        return min(self._steps.done(each, chunks), each * chunks), each * chunks

    def _take(self, found: Found) -> FinishedOutput | SkippedSample:
        sample = self._written.samples[found.sample]
        if found.video is None:
            return SkippedSample(sample)
        video = self._bring(found.video, f"{sample.run.id}.mp4")
        if video is None:
            raise EngineError(f"{found.video}: the script's output is gone before it could be fetched")
        controls = {name: self._control(sample, name, path) for name, path in sample.controls.items()}
        return FinishedOutput(sample, video, {name: path for name, path in controls.items() if path})

    def _control(self, sample: Sample, name: str, path: Path) -> Path | None:
        if not path.is_relative_to(self._written.outputs):
            return path
        left = path.relative_to(self._written.outputs).as_posix()
        return self._bring(left, f"{sample.run.id}-{name}{path.suffix}")

    def _bring(self, output: str, name: str) -> Path | None:
        """An output of the script, out of its folder and into ours; None where there is none."""
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
        """End the script with all that it started. What was brought here stays."""
        self._process.close()


def write(shop: ScriptContext, launch: Launch, folder: Path) -> tuple[Written, str]:
    """Write the files of a launch; also what its output folder is called where the script runs."""
    named: dict[Path, str] = {}

    def there(path: Path) -> str:
        if path not in named:
            named[path] = shop.launcher.there(path)
        return named[path]

    folder.mkdir(parents=True)
    written = shop.script.write(launch, folder, shop.cache, there)
    return written, there(written.outputs)


def unwritable(shop: ScriptContext, launch: Launch, folder: Path) -> dict[str, str]:
    """The runs for which alone no files can be written, by id, and why. Raises StorageError and EngineError."""
    causes = {}
    for batch in launch.batches:
        for run in batch.runs:
            alone, place = replace(launch, batches=(replace(batch, runs=(run,)),)), folder / f"try-{run.id}"
            try:
                write(shop, alone, place)
            except StorageError:
                raise
            except (MediaError, PlanError) as exc:
                causes[run.id] = str(exc)
            finally:
                shutil.rmtree(place, ignore_errors=True)
    return causes

"""Outputs that are written while the device is at the next run, on a tiny random model."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from threading import Event as Signal
from threading import Thread

import numpy as np
import pytest

from benchmarks.recording_guardrail import RecordingGuardrail
from cosmos_batch.engines.base import Event, Job, Outcome, Progress
from cosmos_batch.engines.inprocess.engine import InProcessEngine, InProcessSession
from cosmos_batch.engines.inprocess.io import output_writer
from cosmos_batch.engines.inprocess.io.output_writer import write_output
from cosmos_batch.engines.inprocess.loader import load_engine
from cosmos_batch.errors import CosmosBatchError, MediaError, StorageError
from cosmos_batch.media.controls.cache import ControlCache
from cosmos_batch.media.outputs import OutputForm
from cosmos_batch.media.video import Frames, read_frames
from cosmos_batch.run import Run
from tests.support.tiny_model import drive, job_of, launch_of, make_run

LIMIT = 2  # of 255: how far two makings of one run may be apart


class Pen:
    """What outputs are written with: it begins when it may, and may break."""

    def __init__(self) -> None:
        self.may = Signal()
        self.may.set()
        self.began = Signal()
        self.wrote: list[str] = []
        self.breaks: dict[str, Exception] = {}  # by run

    def write(self, job: Job, frames: Frames, form: OutputForm) -> None:
        self.began.set()
        self.may.wait()
        if job.run.id in self.breaks:
            raise self.breaks[job.run.id]
        write_output(job, frames, form)
        self.wrote.append(job.run.id)


@pytest.fixture
def pen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pen]:
    made = Pen()
    monkeypatch.setattr(output_writer, "write_output", made.write)
    yield made
    made.may.set()


@pytest.fixture
def engine(model: Path, tmp_path: Path, screening: RecordingGuardrail) -> InProcessEngine:
    return load_engine(str(model), ("edge",), ControlCache(tmp_path / "controls"), guardrail=screening)


def denoised(engine: InProcessEngine, run: Run, folder: Path) -> InProcessSession:
    """A session that has nothing but the run's files left to write."""
    session = engine.open(launch_of(run))
    session.join(job_of(run, folder))
    while run.id not in session.finishing:
        assert session.active
        list(session.advance())
    return session


def test_next_run_advances_while_an_output_is_written(
    engine: InProcessEngine, tmp_path: Path, clip: str, pen: Pen, screening: RecordingGuardrail
) -> None:
    first, second = (make_run(name, clip, {"edge": 1.0}, seed=seed) for seed, name in enumerate(("one", "two")))
    pen.may.clear()
    session = denoised(engine, first, tmp_path)

    session.join(job_of(second, tmp_path))
    events = list(session.advance())

    assert [(event.run_id, event.step) for event in events if isinstance(event, Progress)] == [("two", 1)]
    assert session.active == ("one", "two")
    assert pen.wrote == []
    pen.may.set()
    results = drive(session)
    session.close()
    assert {run_id: result.outcome for run_id, result in results.items()} == {
        "one": Outcome.SUCCEEDED,
        "two": Outcome.SUCCEEDED,
    }
    for name, frames in zip(("one", "two"), screening.videos, strict=True):
        assert len(read_frames(tmp_path / name / "output.mp4")) == len(frames)


@pytest.mark.parametrize("frames", [9, 25])  # of one chunk, and of three
def test_finishing_run_can_be_saved_without_losing_a_step(
    engine: InProcessEngine, tmp_path: Path, clip: str, pen: Pen, screening: RecordingGuardrail, frames: int
) -> None:
    run = make_run("long", clip, {"edge": 0.7}, frames=frames, seed=5)
    pen.may.clear()
    first = denoised(engine, run, tmp_path)
    pen.began.wait()
    first.save("long")
    pen.may.set()
    first.leave("long")
    first.close()
    shutil.rmtree(tmp_path / "long", ignore_errors=True)

    second = engine.open(launch_of(run))
    events: list[Event] = [*second.join(job_of(run, tmp_path))]
    assert second.finishing == ("long",)
    drive(second, events)
    second.close()

    assert [event for event in events if isinstance(event, Progress)] == []
    assert len(screening.videos) == 2
    assert np.abs(screening.videos[1].astype(int) - screening.videos[0].astype(int)).max() <= LIMIT
    assert len(read_frames(tmp_path / "long" / "output.mp4")) == frames


@pytest.mark.parametrize("way", ["leave", "close"])
def test_leaving_waits_for_the_writing_of_the_run(
    engine: InProcessEngine, tmp_path: Path, clip: str, pen: Pen, way: str
) -> None:
    run = make_run("run", clip, {"edge": 1.0})
    pen.may.clear()
    session = denoised(engine, run, tmp_path)
    pen.began.wait()

    leaving = Thread(target=session.close if way == "close" else lambda: session.leave("run"))
    leaving.start()
    assert pen.wrote == []
    pen.may.set()
    leaving.join()

    assert pen.wrote == ["run"]
    assert session.active == ()
    session.close()


def test_at_most_two_outputs_wait_to_be_written(
    engine: InProcessEngine, tmp_path: Path, clip: str, pen: Pen
) -> None:
    """Four runs end at the same step; the first is not written before it is known who waits."""
    runs = [make_run(f"run{index}", clip, {"edge": 1.0}) for index in range(4)]
    session = engine.open(launch_of(*runs))
    for run in runs:
        session.join(job_of(run, tmp_path))
    pen.may.clear()
    driving = Thread(target=drive, args=(session,))
    driving.start()
    pen.began.wait()
    driving.join(0.5)  # it can get no further than to the third

    assert session.finishing == ("run0", "run1")
    pen.may.set()
    driving.join()
    session.close()
    assert pen.wrote == ["run0", "run1", "run2", "run3"]


@pytest.mark.parametrize(
    ("error", "cause"), [(MediaError("no such codec"), "no such codec"), (ValueError("odd"), "ValueError: odd")]
)
def test_unwritable_output_fails_its_run_alone(
    engine: InProcessEngine, tmp_path: Path, clip: str, pen: Pen, error: Exception, cause: str
) -> None:
    bad, good = (make_run(name, clip, {"edge": 1.0}) for name in ("bad", "good"))
    pen.breaks["bad"] = error
    pen.may.clear()
    session = denoised(engine, bad, tmp_path)
    session.join(job_of(good, tmp_path))
    pen.may.set()

    results = drive(session)

    session.close()
    assert (results["bad"].outcome, results["bad"].cause) == (Outcome.FAILED, cause)
    assert results["good"].outcome is Outcome.SUCCEEDED


def test_full_disk_is_reported_and_the_run_can_still_be_saved(
    engine: InProcessEngine, tmp_path: Path, clip: str, pen: Pen
) -> None:
    run = make_run("run", clip, {"edge": 1.0})
    pen.breaks["run"] = StorageError("the disk is full")
    pen.may.clear()
    session = denoised(engine, run, tmp_path)
    pen.may.set()

    with pytest.raises(CosmosBatchError, match="the disk is full"):
        drive(session)

    session.save("run")
    session.close()
    assert job_of(run, tmp_path).state.exists()

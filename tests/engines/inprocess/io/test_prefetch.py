"""Videos that are read while other runs are denoised."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event, current_thread, main_thread
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from cosmos_batch.engines.base import Outcome
from cosmos_batch.engines.inprocess.engine import InProcessSession
from cosmos_batch.engines.inprocess.io import prefetch
from cosmos_batch.engines.inprocess.io.input_videos import Videos, bytes_held
from cosmos_batch.engines.inprocess.io.prefetch import VideoPrefetcher
from cosmos_batch.engines.inprocess.loader import load_engine
from cosmos_batch.engines.inprocess.vae.base import Vae
from cosmos_batch.errors import MediaError
from cosmos_batch.media.controls.cache import ControlCache
from cosmos_batch.media.outputs import OutputForm
from cosmos_batch.media.video import Frames, read_frames
from cosmos_batch.run import Run
from tests.support.tiny_model import drive, job_of, launch_of, make_run, write_clip, write_tiny_model

NOTHING = Videos({}, {}, None, OutputForm((48, 32), "mp4"))


class Reader:
    """Reads nothing, but keeps who was read, and where."""

    def __init__(self) -> None:
        self.read: list[tuple[str, bool]] = []  # run, and whether it was read ahead
        self.may = Event()
        self.may.set()
        self.began = Event()
        self.done = Event()
        self.broken: Exception | None = None

    def __call__(self, run: Run) -> Videos:
        ahead = current_thread() is not main_thread()
        if ahead:
            self.began.set()
            self.may.wait(60)
        self.read.append((run.id, ahead))
        self.done.set()
        if self.broken is not None:
            raise self.broken
        return replace(NOTHING, controls={run.id: np.zeros((1, 1, 1, 3), np.uint8)})


@pytest.fixture
def reader() -> Reader:
    return Reader()


@pytest.fixture
def ahead(reader: Reader) -> Iterator[VideoPrefetcher]:
    made = VideoPrefetcher(reader)
    yield made
    reader.may.set()
    made.close()


@pytest.fixture
def clip(tmp_path: Path) -> str:
    return write_clip(tmp_path / "clip.mp4", 9)


def test_expected_run_is_read_in_another_thread(ahead: VideoPrefetcher, reader: Reader, clip: str) -> None:
    run = make_run("a", clip, {"depth": 1.0})

    ahead.set_expected([run])
    reader.done.wait(60)
    videos = ahead.take(run)

    assert list(videos.controls) == ["a"]
    assert reader.read == [("a", True)]


def test_unexpected_run_is_read_when_it_joins(ahead: VideoPrefetcher, reader: Reader, clip: str) -> None:
    ahead.take(make_run("a", clip, {"depth": 1.0}))

    assert reader.read == [("a", False)]


def test_what_another_waits_for_is_read_at_once(ahead: VideoPrefetcher, reader: Reader, clip: str) -> None:
    """The thread is at a run that joins later, which takes long."""
    later, now = (make_run(name, clip, {"depth": 1.0}) for name in ("later", "now"))
    reader.may.clear()

    ahead.set_expected([later, now])
    ahead.take(now)

    assert reader.read == [("now", False)]


def test_run_no_longer_expected_is_not_read(ahead: VideoPrefetcher, reader: Reader, clip: str) -> None:
    at_work, dropped, wanted = (make_run(name, clip, {"depth": 1.0}) for name in ("at_work", "dropped", "wanted"))
    reader.may.clear()
    ahead.set_expected([at_work, dropped])
    reader.began.wait(60)
    ahead.set_expected([at_work, wanted])
    reader.may.set()

    ahead.take(wanted)
    ahead.close()

    assert {name for name, _ in reader.read} == {"at_work", "wanted"}


def test_modified_file_is_read_again(ahead: VideoPrefetcher, reader: Reader, clip: str, tmp_path: Path) -> None:
    run = make_run("a", clip, {"depth": 1.0})
    ahead.set_expected([run])
    reader.done.wait(60)

    write_clip(tmp_path / "clip.mp4", 9, seed=1)
    ahead.take(run)

    assert reader.read == [("a", True), ("a", False)]


def test_run_of_the_same_name_with_other_settings_is_read_again(
    ahead: VideoPrefetcher, reader: Reader, clip: str
) -> None:
    run = make_run("a", clip, {"depth": 1.0})
    ahead.set_expected([run])
    reader.done.wait(60)

    ahead.take(replace(run, prompt="another"))

    assert reader.read == [("a", True), ("a", False)]


def test_error_of_prefetching_is_reported_as_of_the_joining(
    ahead: VideoPrefetcher, reader: Reader, clip: str
) -> None:
    run = make_run("a", clip, {"depth": 1.0})
    reader.broken = MediaError("damaged")
    ahead.set_expected([run])
    reader.done.wait(60)

    reader.broken = None
    assert list(ahead.take(run).controls) == ["a"]

    reader.broken = MediaError("damaged again")
    with pytest.raises(MediaError, match="again"):
        ahead.take(run)


def test_prefetched_frames_are_bounded_by_memory(
    ahead: VideoPrefetcher, reader: Reader, clip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [make_run(f"r{index}", clip, {"depth": 1.0}) for index in range(3)]
    monkeypatch.setattr(prefetch, "MAX_BYTES", 2 * bytes_held(runs[0]))

    ahead.set_expected(runs)
    ahead.take(runs[2])

    assert ("r2", False) in reader.read


def test_controls_made_by_models_are_not_prefetched(ahead: VideoPrefetcher, reader: Reader, clip: str) -> None:
    run = make_run("a", clip, {"depth": 1.0})
    estimated = replace(run, controls=(replace(run.controls[0], video=None),))
    masked = replace(run, id="b", controls=(replace(run.controls[0], mask_prompt="cars"),))

    ahead.set_expected([estimated, masked])
    ahead.take(estimated)
    ahead.take(masked)

    assert reader.read == [("a", False), ("b", False)]


def test_bytes_of_prefetched_frames_are_counted(clip: str) -> None:
    run = make_run("a", clip, {"depth": 0.5, "edge": 0.5}, sigma_max=40.0)
    masked = replace(run, controls=(replace(run.controls[0], mask=clip), run.controls[1]))

    # 9 frames of 48x32: two controls and the input that it starts from in 3 bytes a pixel, a mask in 4
    assert bytes_held(run) == 9 * 48 * 32 * 9
    assert bytes_held(masked) == 9 * 48 * 32 * 13


class Counting:
    """An autoencoder that counts what it encodes."""

    def __init__(self, vae: Vae) -> None:
        self._vae = vae
        self.encoded = 0

    def encode(self, video: Tensor) -> Tensor:
        self.encoded += 1
        return self._vae.encode(video)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._vae, name)


def test_next_run_is_encoded_before_the_last_run_is_decoded(tmp_path: Path, clip: str) -> None:
    engine = load_engine(str(write_tiny_model(tmp_path / "model")), ("edge", "depth"), ControlCache(tmp_path))
    vae = engine.model.vae = Counting(engine.model.vae)
    first = make_run("one", clip, {"edge": 1.0})
    second = make_run(
        "two", write_clip(tmp_path / "other.mp4", 9, seed=1), {"edge": 0.7, "depth": 0.3}, sigma_max=40.0
    )
    session = engine.open(launch_of(first, second))
    session.join(job_of(first, tmp_path))
    session.prefetch([second])
    have_read(session)
    alone = vae.encoded
    while "one" not in session.finishing:
        list(session.advance())
    ahead = vae.encoded
    session.join(job_of(second, tmp_path))
    session.close()

    assert (alone, ahead, vae.encoded) == (1, 3, 3)  # its input is its depth control, too


def test_uncertain_run_is_read_and_not_encoded(tmp_path: Path, clip: str) -> None:
    engine = load_engine(str(write_tiny_model(tmp_path / "model")), ("edge", "depth"), ControlCache(tmp_path))
    vae = engine.model.vae = Counting(engine.model.vae)
    first, second = make_run("one", clip, {"edge": 1.0}), make_run("two", clip, {"depth": 1.0})
    session = engine.open(launch_of(first, second))
    session.join(job_of(first, tmp_path))
    session.prefetch([second], certain=False)
    have_read(session)
    while "one" not in session.finishing:
        list(session.advance())
    read = session._prefetch.expects(second)
    session.close()

    assert (vae.encoded, read) == (1, True)


def test_failed_pre_encoding_affects_no_other_run(tmp_path: Path, clip: str) -> None:
    engine = load_engine(str(write_tiny_model(tmp_path / "model")), ("edge",), ControlCache(tmp_path / "controls"))
    runs = [make_run("one", clip, {"edge": 1.0}), make_run("two", clip, {"edge": 1.0}, seed=2)]
    session = engine.open(launch_of(*runs))
    session.join(job_of(runs[0], tmp_path))
    whole, engine.model.encode = engine.model.encode, full  # type: ignore[method-assign]
    session.prefetch(runs[1:])
    have_read(session)
    results = drive(session)
    engine.model.encode = whole  # type: ignore[method-assign]
    session.join(job_of(runs[1], tmp_path))
    results |= drive(session)
    session.close()

    assert {run_id: result.outcome for run_id, result in results.items()} == dict.fromkeys(
        ("one", "two"), Outcome.SUCCEEDED
    )


def have_read(session: InProcessSession) -> None:
    """Wait until a session has read ahead all that it means to."""
    session._prefetch._thread.submit(lambda: None).result()


def full(_frames: Frames, _content: str) -> Tensor:
    """There is no memory left."""
    raise torch.OutOfMemoryError("CUDA out of memory")


def test_prefetched_run_gets_the_same_video(tmp_path: Path, clip: str) -> None:
    engine = load_engine(
        str(write_tiny_model(tmp_path / "model")), ("edge", "depth"), ControlCache(tmp_path / "controls")
    )
    first, second = (make_run(name, clip, {"edge": 0.7, "depth": 0.3}, seed=5) for name in ("one", "two"))
    second = replace(second, prompt=first.prompt)
    session = engine.open(launch_of(first, second))
    session.join(job_of(first, tmp_path))
    session.prefetch([second])
    list(session.advance())
    session.join(job_of(second, tmp_path))

    results = drive(session)
    session.close()

    assert {result.outcome for result in results.values()} == {Outcome.SUCCEEDED}
    one, two = (read_frames(tmp_path / name / "output.mp4") for name in ("one", "two"))
    assert np.abs(one.astype(int) - two.astype(int)).max() <= 2

"""The in-process engine from job to files, on a tiny random model."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.recording_guardrail import RecordingGuardrail
from cosmos_batch.engines.base import Event, Outcome, Progress
from cosmos_batch.engines.inprocess.engine import InProcessEngine
from cosmos_batch.engines.inprocess.loader import load_engine
from cosmos_batch.engines.inprocess.request import RunState
from cosmos_batch.engines.inprocess.sampling.samples import Conditioning, Passes
from cosmos_batch.engines.inprocess.vae.pocket_vae import FoldedVae
from cosmos_batch.errors import ModelError, OutOfMemoryError, StorageError
from cosmos_batch.media.controls.cache import ControlCache
from cosmos_batch.media.encode import write_video
from cosmos_batch.media.verify import check_video
from cosmos_batch.media.video import Frames
from cosmos_batch.run import Run
from tests.support.tiny_model import drive, job_of, launch_of, make_run, save_after

LIMIT = 2  # of 255: how far two makings of one run may be apart


@pytest.fixture
def alone(engine: InProcessEngine, tmp_path: Path, screening: RecordingGuardrail) -> Callable[[Run], Frames]:
    """Makes a run by itself; its frames as they are before they are compressed."""

    def make(run: Run) -> Frames:
        session = engine.open(launch_of(run))
        session.join(job_of(run, tmp_path / "alone"))
        assert drive(session)[run.id].outcome is Outcome.SUCCEEDED
        return screening.videos[-1]

    return make


def difference(one: Frames, other: Frames) -> int:
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other.astype(int)).max())


def test_a_run_leaves_its_checked_output_and_its_controls(
    engine: InProcessEngine, tmp_path: Path, clip: str
) -> None:
    run = make_run("a", clip, {"edge": 0.5, "depth": 0.5, "vis": 0.0})
    session = engine.open(launch_of(run))
    events: list[Event] = []
    session.join(job_of(run, tmp_path))
    results = drive(session, events)
    assert results["a"].outcome is Outcome.SUCCEEDED
    assert [e.step for e in events if isinstance(e, Progress)] == [1, 2, 3]
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == [
        "control_depth.mp4",
        "control_edge.mp4",
        "output.mp4",
    ]
    check_video(
        tmp_path / "a" / "output.mp4", frames=9, width=48, height=32, fps=10.0, fingerprint=run.fingerprint
    )


def test_controls_of_a_sweep_are_made_and_encoded_once_for_each_video_and_preset(
    engine: InProcessEngine, tmp_path: Path, clip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given one video x two prompts x two seeds, all with vis, and two of them with another preset of it
    encoded: list[torch.Tensor] = []
    encode = FoldedVae.encode

    def counted(vae: FoldedVae, video: torch.Tensor) -> torch.Tensor:
        encoded.append(video)
        return encode(vae, video)

    monkeypatch.setattr(FoldedVae, "encode", counted)
    runs = [
        replace(make_run(f"{prompt}{seed}", clip, {"vis": 1.0}, seed=seed), prompt=prompt)
        for prompt in ("rain", "snow")
        for seed in (1, 2)
    ]
    others = [replace(run, id=f"{run.id}b", controls=(replace(run.controls[0], preset="low"),)) for run in runs]

    # when they are made in three batches of one command
    for number, batch in enumerate((runs[:2], runs[2:], others[:2])):
        session = engine.open(launch_of(*batch))
        for run in batch:
            session.join(job_of(run, tmp_path / "out"))
        assert {result.outcome for result in drive(session).values()} == {Outcome.SUCCEEDED}
        session.close()
        # then the control is encoded with the first run of each preset alone
        assert len(encoded) == (1, 1, 2)[number]
    assert len(list((tmp_path / "controls").rglob("*.mp4"))) == 2


def test_only_branches_that_the_launch_uses_are_loaded(engine: InProcessEngine, clip: str) -> None:
    engine.open(launch_of(make_run("a", clip, {"edge": 1.0, "depth": 0.0}), make_run("b", clip, {"seg": 1.0})))
    assert engine.loaded == ("edge", "seg")
    engine.open(launch_of(make_run("a", clip, {"vis": 1.0})))
    assert engine.loaded == ("vis",)


def test_what_is_recorded_of_steps_stays_as_long_as_its_branches_do(engine: InProcessEngine, clip: str) -> None:
    def passes_for(*controls: str) -> Passes:
        engine.open(launch_of(make_run("run", clip, dict.fromkeys(controls, 0.5)))).close()
        return engine.model.network.passes()

    first = passes_for("edge")
    assert passes_for("edge") is first
    assert passes_for("edge", "vis") is first  # a branch more
    assert passes_for("vis") is not first


def test_a_video_that_the_guardrail_blocks_is_not_written(
    engine: InProcessEngine, tmp_path: Path, clip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine.model.guardrail, "check_video", lambda _frames: None)
    session = engine.open(launch_of(run := make_run("run", clip, {"edge": 1.0})))
    session.join(job_of(run, tmp_path))
    result = drive(session)["run"]
    session.close()
    assert (result.outcome, result.cause) == (Outcome.BLOCKED, "the guardrail blocked the video")
    assert not (tmp_path / "run" / "output.mp4").exists()


def test_a_mixed_batch_gives_each_run_the_video_that_it_gets_alone(
    engine: InProcessEngine,
    tmp_path: Path,
    clip: str,
    alone: Callable[[Run], Frames],
    screening: RecordingGuardrail,
) -> None:
    """Other control sets, steps, guidance, prompts of other lengths, more chunks; one joins late."""
    runs = [
        make_run("short", clip, {"edge": 1.0}, seed=1),
        make_run("with_a_much_longer_prompt_of_many_words", clip, {"depth": 0.9, "seg": 0.8}, seed=2, num_steps=5),
        make_run("unguided", clip, {"vis": 0.3}, seed=3, guidance=0.0),
        make_run("long", clip, {"edge": 0.4, "depth": 0.2}, frames=20, seed=4),
    ]
    session = engine.open(launch_of(*runs))
    for run in runs[:3]:
        session.join(job_of(run, tmp_path))
    list(session.advance())
    session.join(job_of(runs[3], tmp_path))
    results = drive(session)
    assert {r.outcome for r in results.values()} == {Outcome.SUCCEEDED}
    in_company = dict(zip(results, screening.videos, strict=True))
    for run in runs:
        assert difference(in_company[run.id], alone(run)) <= LIMIT


@pytest.mark.parametrize("stop_after", [1, 3, 4, 7])
def test_run_resumes_from_its_saved_state_in_a_new_session(
    engine: InProcessEngine,
    tmp_path: Path,
    clip: str,
    alone: Callable[[Run], Frames],
    screening: RecordingGuardrail,
    stop_after: int,
) -> None:
    """Three chunks of three steps, stopped within the first, between two, and within a later one."""
    run = make_run("long", clip, {"edge": 0.7}, frames=25, seed=5)
    save_after(engine, job_of(run, tmp_path), stop_after)
    second = engine.open(launch_of(run))
    events: list[Event] = []
    second.join(job_of(run, tmp_path))
    drive(second, events)
    assert [e.step for e in events if isinstance(e, Progress)] == list(range(stop_after + 1, 10))
    assert difference(screening.videos[-1], alone(run)) <= LIMIT


def test_chunk_is_decoded_once_when_the_next_one_runs_out_of_memory(
    engine: InProcessEngine,
    tmp_path: Path,
    clip: str,
    alone: Callable[[Run], Frames],
    screening: RecordingGuardrail,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = make_run("long", clip, {"edge": 0.7}, frames=20, seed=5)
    expected = alone(run)
    session = engine.open(launch_of(run))
    session.join(job_of(run, tmp_path))

    def full(_task: RunState) -> Conditioning:
        raise torch.OutOfMemoryError("full")

    with monkeypatch.context() as patch:
        patch.setattr(RunState, "conditioning", full)
        with pytest.raises(OutOfMemoryError):
            drive(session)
    session.save("long")
    session.leave("long")
    session.join(job_of(run, tmp_path))

    assert drive(session)["long"].outcome is Outcome.SUCCEEDED
    session.close()
    assert difference(screening.videos[-1], expected) <= LIMIT


def test_a_state_of_other_work_or_a_damaged_one_is_not_resumed(
    engine: InProcessEngine, tmp_path: Path, clip: str
) -> None:
    run = make_run("a", clip, {"edge": 1.0}, seed=6)
    session = engine.open(launch_of(run))
    session.join(job_of(run, tmp_path))
    list(session.advance())
    session.save("a")
    session.close()
    other = replace(run, prompt="something else")
    for changed, spoil in ((other, False), (run, True)):
        if spoil:
            job_of(run, tmp_path).state.write_bytes(b"no tensors here")
        again = engine.open(launch_of(changed))
        events: list[Event] = []
        again.join(job_of(changed, tmp_path))
        drive(again, events)
        assert [e.step for e in events if isinstance(e, Progress)] == [1, 2, 3]


def test_a_run_that_cannot_start_fails_by_itself(engine: InProcessEngine, tmp_path: Path, clip: str) -> None:
    good = make_run("good", clip, {"edge": 1.0})
    bad = make_run("bad", str(tmp_path / "gone.mp4"), {"edge": 1.0})
    session = engine.open(launch_of(good, bad))
    session.join(job_of(good, tmp_path))
    (result,) = session.join(job_of(bad, tmp_path))
    assert (result.run_id, result.outcome) == ("bad", Outcome.FAILED)  # type: ignore[union-attr]
    assert "gone.mp4" in result.cause  # type: ignore[union-attr]
    assert session.active == ("good",)
    assert drive(session)["good"].outcome is Outcome.SUCCEEDED


def test_nothing_is_written_for_a_run_that_left(engine: InProcessEngine, tmp_path: Path, clip: str) -> None:
    """Control videos are written while a run is denoised; the dispatcher removes the folder of one that leaves."""
    runs = [make_run(f"run{index}", clip, {"edge": 1.0, "depth": 0.5}) for index in range(3)]
    session = engine.open(launch_of(*runs))
    for run in runs:
        session.join(job_of(run, tmp_path))
    for run in runs:
        session.leave(run.id)
        shutil.rmtree(tmp_path / run.id, ignore_errors=True)
    session.close()
    assert not [run.id for run in runs if (tmp_path / run.id).exists()]


def test_unwritable_controls_are_reported_before_the_run_succeeds(
    engine: InProcessEngine, tmp_path: Path, clip: str
) -> None:
    run = make_run("run", clip, {"edge": 1.0})
    (tmp_path / "run").write_text("in the way")
    session = engine.open(launch_of(run))
    session.join(job_of(run, tmp_path))
    with pytest.raises(StorageError, match="run: the folder cannot be made"):
        drive(session)
    session.close()


def test_a_video_of_several_chunks_has_every_frame_once(alone: Callable[[Run], Frames], clip: str) -> None:
    assert len(alone(make_run("one", clip, {"edge": 0.2}, frames=20, seed=1))) == 20


def test_a_weight_mask_of_nothing_is_like_no_control(
    tmp_path: Path, clip: str, alone: Callable[[Run], Frames]
) -> None:
    black = tmp_path / "black.mp4"
    write_video(black, np.zeros((25, 32, 48, 3), np.uint8), 10.0, lossless=True)
    masked = make_run("masked", clip, {"edge": 1.0}, seed=7)
    masked = replace(masked, controls=(replace(masked.controls[0], mask=str(black)),))
    bare = replace(make_run("bare", clip, {"edge": 1e-30}, seed=7), prompt=masked.prompt)
    assert difference(alone(masked), alone(bare)) <= LIMIT


def test_below_pure_noise_a_run_starts_from_its_input(clip: str, alone: Callable[[Run], Frames]) -> None:
    low = alone(make_run("low", clip, {"edge": 0.1}, seed=8, sigma_max=0.02, guidance=0.0))
    high = alone(make_run("high", clip, {"edge": 0.1}, seed=8, sigma_max=200.0, guidance=0.0))
    assert difference(low, high) > 10 * LIMIT


def test_a_model_without_the_branch_says_what_it_has(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="hdmap"):
        load_engine(str(model), ["edge", "hdmap"], ControlCache(tmp_path))

"""State of a run: its chunks, and what they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.recording_guardrail import RecordingGuardrail
from cosmos_batch.engines.base import Outcome
from cosmos_batch.engines.inprocess.engine import InProcessEngine
from cosmos_batch.engines.inprocess.io.input_videos import read_videos
from cosmos_batch.engines.inprocess.request import RunState, parts_of_start
from cosmos_batch.media.controls.cache import ControlCache
from cosmos_batch.media.encode import write_video
from cosmos_batch.media.video import Frames, read_frames
from cosmos_batch.run import GuidedGeneration, ResolvedRun
from tests.support.tiny_model import drive, job_of, launch_of, make_run, save_after

LIMIT = 2  # of 255: how far two makings of one run may be apart


def made(engine: InProcessEngine, folder: Path, *runs: ResolvedRun) -> dict[str, Frames]:
    """The frames of runs that are made together, by run, as they are before they are compressed."""
    screening = engine.model.guardrail
    assert isinstance(screening, RecordingGuardrail)
    session = engine.open(launch_of(*runs))
    for run in runs:
        session.join(job_of(run, folder))
    results = drive(session)
    session.close()
    assert {result.outcome for result in results.values()} == {Outcome.SUCCEEDED}
    return dict(zip(results, screening.videos[-len(runs) :], strict=True))


def difference(one: Frames, other: Frames) -> int:
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other.astype(int)).max())


def state_of(engine: InProcessEngine, run: ResolvedRun, folder: Path) -> RunState:
    videos = read_videos(run, ControlCache(folder / "controls"))
    return RunState.prepare(job_of(run, folder), engine.model, videos, (run.fingerprint,))


@pytest.mark.parametrize(
    ("shared", "starts", "known"),
    [(0, [0, 9, 18], [0, 0, 0]), (1, [0, 8, 16], [0, 1, 1]), (2, [0, 7, 14], [0, 1, 1])],
)
def test_chunks_know_as_many_latent_frames_as_nvidia_gives_them(
    engine: InProcessEngine, tmp_path: Path, clip: str, shared: int, starts: Sequence[int], known: Sequence[int]
) -> None:
    """A latent frame after the first stands for four frames, so that of two shared frames one is given."""
    state = state_of(engine, make_run("run", clip, {"edge": 0.5}, 20, num_conditional_frames=shared), tmp_path)
    assert state.starts == starts
    found = []
    for _ in starts:
        conditions = state.conditioning()
        found.append(int(conditions.known.sum()))
        if not state.at_last_chunk:
            state.finish_chunk(conditions.noise)
    assert found == known


def test_of_two_shared_frames_the_first_is_given(engine: InProcessEngine, tmp_path: Path, clip: str) -> None:
    state = state_of(engine, make_run("run", clip, {"edge": 0.5}, 20, num_conditional_frames=2), tmp_path)
    latents = state.conditioning().noise
    wanted = engine.model.latents_of(engine.model.decode(latents)[:, :, -2:-1]).float()
    state.finish_chunk(latents)
    assert np.array_equal(state.conditioning().given[:, :, :1].numpy(), wanted.numpy())


def test_runs_of_other_conditional_frames_share_a_batch(
    engine: InProcessEngine, tmp_path: Path, clip: str
) -> None:
    runs = [
        make_run(f"run{shared}", clip, {"edge": 0.5}, 20, seed=3, num_conditional_frames=shared)
        for shared in (0, 1, 2)
    ]
    company = made(engine, tmp_path / "company", *runs)
    for run in runs:
        (alone,) = made(engine, tmp_path / "alone", run).values()
        assert len(alone) == 20
        assert difference(company[run.id], alone) <= LIMIT
    assert difference(company["run0"][9:], company["run1"][9:]) > LIMIT


@pytest.mark.parametrize("shared", [0, 2])
def test_run_resumes_between_chunks_with_the_same_bits(
    engine: InProcessEngine, tmp_path: Path, clip: str, shared: int
) -> None:
    run = make_run("run", clip, {"edge": 0.5}, 20, seed=3, num_conditional_frames=shared)
    (wanted,) = made(engine, tmp_path / "left_alone", run).values()
    save_after(engine, job_of(run, tmp_path), 4)
    (resumed,) = made(engine, tmp_path, run).values()
    assert np.array_equal(resumed, wanted)


@pytest.fixture
def left_half(tmp_path: Path) -> str:
    """A mask of the left half of the picture, as a picture."""
    mask = np.zeros((64, 96, 3), np.uint8)
    mask[:, :48] = 255
    cv2.imwrite(str(path := tmp_path / "left.png"), mask)
    return str(path)


def guided(run: ResolvedRun, mask: str, threshold: int = 25, labels: tuple[int, ...] | None = None) -> ResolvedRun:
    own = GuidedGeneration(mask=mask, step_threshold=threshold, foreground_labels=labels)
    return replace(run, guided_generation=own)


def test_guided_chunk_reads_the_latents_of_its_part_of_the_input(
    engine: InProcessEngine, tmp_path: Path, clip: str, left_half: str
) -> None:
    run = guided(make_run("run", clip, {"edge": 0.5}, 20), left_half, threshold=1)
    state = state_of(engine, run, tmp_path)
    frames = read_frames(clip, count=20, size=(48, 32))
    for start in (0, 8):
        conditions = state.conditioning()
        assert conditions.blend is not None
        wanted = engine.model.encode(frames[start : start + 9], f"chunk at {start}").float()
        assert np.array_equal(conditions.blend.source.numpy(), wanted.numpy())
        assert conditions.blend.mask.shape == (1, 1, 3, 4, 6)
        assert conditions.blend.mask[..., :3].min() > 0.9 > 0.1 > conditions.blend.mask[..., 3:].max()
        assert conditions.blend.lowest == conditions.schedule.table[1, 0]
        state.finish_chunk(conditions.noise)


def test_guided_run_starts_from_noise_as_any_other(
    engine: InProcessEngine, tmp_path: Path, clip: str, left_half: str
) -> None:
    state = state_of(engine, guided(make_run("run", clip, {"edge": 0.5}), left_half), tmp_path)
    conditions = state.conditioning()
    assert np.array_equal(state.start(conditions).sample.numpy(), conditions.noise.numpy())


def test_white_mask_of_all_steps_keeps_the_network_at_the_input(
    engine: InProcessEngine, tmp_path: Path, clip: str
) -> None:
    """Masks of every kind that say the same give the same bits: a picture, a video, and labels."""
    cv2.imwrite(str(tmp_path / "white.png"), np.full((32, 48, 3), 255, np.uint8))
    write_video(tmp_path / "white.mp4", np.full((25, 32, 48, 3), 255, np.uint8), 10.0, lossless=True)
    np.savez(tmp_path / "white.npz", np.full((25, 32, 48), 7, np.uint8))
    run = make_run("run", clip, {"edge": 0.5}, seed=3)
    (plain,) = made(engine, tmp_path / "plain", run).values()
    found = [
        made(engine, tmp_path / f"of_{name}", guided(run, str(tmp_path / name), labels=labels))["run"]
        for name, labels in (("white.png", None), ("white.mp4", None), ("white.npz", None), ("white.npz", (7, 9)))
    ]
    assert all(np.array_equal(frames, found[0]) for frames in found)
    assert difference(found[0], plain) > LIMIT
    none = guided(run, str(tmp_path / "white.npz"), labels=(9,))
    assert np.array_equal(made(engine, tmp_path / "none", none)["run"], plain)


def test_guided_runs_and_others_share_a_batch(
    engine: InProcessEngine, tmp_path: Path, clip: str, left_half: str
) -> None:
    runs = [
        guided(make_run("guided", clip, {"edge": 0.5}, 20, seed=3, num_steps=4), left_half, threshold=2),
        make_run("plain", clip, {"edge": 0.5}, 20, seed=3),
        guided(make_run("bound", clip, {"depth": 0.4}, 20, seed=4, guidance=0.0), left_half),
        guided(make_run("low", clip, {"vis": 0.4}, seed=4, sigma_max=2.0), left_half, threshold=1),
    ]
    company = made(engine, tmp_path / "company", *runs)
    for run in runs:
        (alone,) = made(engine, tmp_path / "alone", run).values()
        assert difference(company[run.id], alone) <= LIMIT
        bare = replace(run, guided_generation=None)
        (without,) = made(engine, tmp_path / "without", bare).values()
        assert (difference(without, alone) > LIMIT) == (run.guided_generation is not None)


@pytest.mark.parametrize("done", range(1, 9))
def test_guided_run_resumes_at_each_step_with_the_same_bits(
    engine: InProcessEngine, tmp_path: Path, clip: str, left_half: str, done: int
) -> None:
    """Three chunks of three steps, of which the first two are guided."""
    run = guided(make_run("run", clip, {"edge": 0.5}, 20, seed=3), left_half, threshold=1)
    (wanted,) = made(engine, tmp_path / "left_alone", run).values()
    save_after(engine, job_of(run, tmp_path), done)
    (resumed,) = made(engine, tmp_path, run).values()
    assert np.array_equal(resumed, wanted)


def test_prompts_are_read_ahead_for_videos_of_any_size(
    engine: InProcessEngine, tmp_path: Path, clip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative prompt of a run without guidance is read by nothing."""
    cache = ControlCache(tmp_path)
    guided, unguided = (make_run(f"g{g:g}", clip, {"edge": 1.0}, guidance=g) for g in (2.0, 0.0))
    parts = {
        run.id: len(list(parts_of_start(engine.model, run, read_videos(run, cache)))) for run in (guided, unguided)
    }
    assert parts == {"g2": 3, "g0": 2}  # prompts, and the edge video

    monkeypatch.setattr("cosmos_batch.engines.inprocess.request.MAX_TOKENS", 1)
    assert len(list(parts_of_start(engine.model, unguided, read_videos(unguided, cache)))) == 1


def test_guided_run_of_one_frame_has_one_latent_frame(
    engine: InProcessEngine, tmp_path: Path, clip: str, left_half: str
) -> None:
    run = make_run("one", clip, {"edge": 0.5}, 1, seed=3)
    own = guided(run, left_half)
    blend = state_of(engine, own, tmp_path).conditioning().blend
    assert blend is not None
    assert blend.mask.shape == (1, 1, 1, 4, 6)
    (plain,), (held,) = (
        made(engine, tmp_path / "plain", run).values(),
        made(engine, tmp_path / "own", own).values(),
    )
    assert held.shape == (1, 32, 48, 3)
    assert difference(plain, held) > LIMIT

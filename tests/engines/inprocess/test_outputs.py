"""Runs of one frame, and outputs at the size of the input: from job to files, on a tiny random model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors import safe_open

from benchmarks.recording_guardrail import RecordingGuardrail
from cosmos_batch.engines.base import Outcome
from cosmos_batch.engines.inprocess.checkpoint import load_state, save_state
from cosmos_batch.engines.inprocess.engine import InProcessEngine
from cosmos_batch.engines.inprocess.gpu.host_device import to_video
from cosmos_batch.engines.inprocess.model_files import resolve
from cosmos_batch.engines.inprocess.text.trigram import TrigramText
from cosmos_batch.engines.inprocess.transfer25.branches import Networks
from cosmos_batch.engines.inprocess.transfer25.published import PUBLISHED
from cosmos_batch.engines.inprocess.transfer25.schedule import make_schedule
from cosmos_batch.engines.inprocess.transfer25.transformer import rotary
from cosmos_batch.media.controls.pixels import make_control
from cosmos_batch.media.display import over_black
from cosmos_batch.media.pictures import write_picture
from cosmos_batch.media.verify import check_picture, check_video
from cosmos_batch.media.video import Frames, encoding_of, probe, read_frames
from cosmos_batch.run import GuidedGeneration, Run
from tests.support.clips import moving
from tests.support.shown_files import turned_image
from tests.support.tiny_model import (
    CONTROLS,
    SIZE,
    drive,
    job_of,
    launch_of,
    make_run,
    save_after,
)

LIMIT = 2  # of 255: how far two makings of one run may be apart
CPU = torch.device("cpu")


@pytest.fixture
def make(
    engine: InProcessEngine, tmp_path: Path, screening: RecordingGuardrail
) -> Callable[..., dict[str, Frames]]:
    """Makes runs in one batch; their frames as they are before they are compressed, by id."""

    def made(*runs: Run, folder: str = "made") -> dict[str, Frames]:
        screening.videos.clear()
        session = engine.open(launch_of(*runs))
        for run in runs:
            session.join(job_of(run, tmp_path / folder))
        results = drive(session)
        session.close()
        assert {result.outcome for result in results.values()} == {Outcome.SUCCEEDED}
        return dict(zip(results, screening.videos, strict=True))

    return made


def still(path: Path, width: int = 96, height: int = 64) -> str:
    write_picture(path, moving(1, width, height)[0])
    return str(path)


def with_size_kept(run: Run) -> Run:
    return replace(run, sampling=replace(run.sampling, keep_input_resolution=True))


def difference(one: Frames, other: Frames) -> int:
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other.astype(int)).max())


@pytest.mark.parametrize(("name", "suffix"), [("still.png", "png"), ("still.jpg", "jpg")])
def test_picture_gives_a_picture_of_its_kind(
    tmp_path: Path, make: Callable[..., dict[str, Frames]], name: str, suffix: str
) -> None:
    """Its controls are pictures, too; a file's name says nothing of its kind."""
    source = tmp_path / "input.dat"
    source.write_bytes(Path(still(tmp_path / name)).read_bytes())
    run = make_run("a", str(source), {"edge": 0.5, "depth": 0.5}, frames=1)

    (frames,) = make(run).values()

    folder = tmp_path / "made" / "a"
    files = [f"control_depth.{suffix}", f"control_edge.{suffix}", f"output.{suffix}"]
    assert sorted(path.name for path in folder.iterdir()) == files
    check_picture(folder / files[2], size=SIZE, fingerprint=run.fingerprint)
    assert frames.shape == (1, SIZE[1], SIZE[0], 3)
    if suffix == "png":
        assert np.array_equal(read_frames(folder / files[2]), frames)


def test_one_frame_of_a_video_is_a_jpeg(tmp_path: Path, clip: str, make: Callable[..., dict[str, Frames]]) -> None:
    make(make_run("a", clip, {"edge": 1.0}, frames=1))
    assert {path.name for path in (tmp_path / "made" / "a").iterdir()} == {"control_edge.jpg", "output.jpg"}


def test_one_frame_does_not_depend_on_its_company(
    tmp_path: Path, clip: str, make: Callable[..., dict[str, Frames]]
) -> None:
    """Other single frames, of other settings, in its batch, and a video in a batch beside it."""
    picture = still(tmp_path / "still.png")
    runs = [
        make_run("one", picture, {"edge": 1.0}, frames=1, seed=1),
        make_run("two", clip, {"depth": 0.9, "seg": 0.8}, frames=1, seed=2, num_steps=5),
        make_run("unguided", clip, {"vis": 0.3}, frames=1, seed=3, guidance=0.0),
        make_run("video", clip, {"edge": 0.4}, frames=12, seed=4),
    ]
    together = make(*runs)
    for run in runs:
        assert difference(make(run, folder="alone")[run.id], together[run.id]) <= LIMIT
    assert together["one"].shape[0] == 1


def test_first_step_of_one_frame_is_the_written_out_one(
    model: Path, engine: InProcessEngine, tmp_path: Path
) -> None:
    """One latent frame, made from noise of one latent frame: nothing is padded to a chunk."""
    run = make_run("a", still(tmp_path / "still.png"), {"edge": 1.0}, frames=1, seed=7, guidance=0.0)
    job = job_of(run, tmp_path)
    session = engine.open(launch_of(run))
    session.join(job)
    list(session.advance())
    session.save("a")
    session.close()
    (state,) = job.state.parent.iterdir()
    with torch.no_grad():
        networks = Networks(resolve(str(model), CONTROLS, PUBLISHED), CPU, torch.float64)
        base, edge = networks.base, networks.branch("edge")
        words = TrigramText.load(model / "text_encoder").encode(run.prompt).double()[None]
        control = make_control("edge", read_frames(run.video or "", size=SIZE), "medium")
        latents = engine.model.vae.encode(to_video(control, CPU, torch.float32)).double()
        noise = torch.randn(1, 16, 1, 4, 6, generator=torch.Generator().manual_seed(7)).double()
        sigma, unknown = make_schedule(3, 200.0).sigmas[:1].view(1, 1), torch.zeros(1, 1)
        table = rotary(base.config, 1, 2, 3, CPU)
        patches = base.patches(noise, unknown)
        residuals = list(edge(patches, sigma, edge.embed(latents, unknown), edge.read(words), table))
        velocity = base.unpatch(base(patches, sigma, base.read(words), residuals, table), 1, 4, 6)
        clean = noise - sigma * velocity

    saved = load_state(state, owners_of(state))

    assert saved is not None
    assert saved.solver.newer.shape == (1, 16, 1, 4, 6)
    assert torch.allclose(saved.solver.newer.double(), clean, atol=1e-4)


def owners_of(state: Path) -> list[str]:
    with safe_open(state, framework="pt") as file:
        return [(file.metadata() or {})["owner"]]


def test_one_frame_resumes_at_each_step(
    engine: InProcessEngine,
    tmp_path: Path,
    make: Callable[..., dict[str, Frames]],
    screening: RecordingGuardrail,
) -> None:
    run = make_run("a", still(tmp_path / "still.png"), {"edge": 0.7}, frames=1, seed=5)
    whole = make(run)["a"]
    for steps in (1, 2):
        job = job_of(run, tmp_path / f"after-{steps}")
        save_after(engine, job, steps)
        second = engine.open(launch_of(run))
        second.join(job)
        drive(second)
        assert difference(screening.videos[-1], whole) == 0


def test_state_of_another_latent_size_is_not_resumed(
    engine: InProcessEngine, tmp_path: Path, make: Callable[..., dict[str, Frames]], screening: RecordingGuardrail
) -> None:
    """Earlier versions denoised a single frame as a padded chunk."""
    run = make_run("a", still(tmp_path / "still.png"), {"edge": 0.7}, frames=1)
    job = job_of(run, tmp_path)
    session = engine.open(launch_of(run))
    session.join(job)
    list(session.advance())
    session.save("a")
    session.leave("a")
    (owner,) = owners_of(job.state)
    saved = load_state(job.state, [owner])
    assert saved is not None
    padded = {
        name: getattr(saved.solver, name).repeat(1, 1, 3, 1, 1) for name in ("sample", "last", "newer", "older")
    }
    save_state(job.state, replace(saved, solver=replace(saved.solver, **padded)), owner)

    session.join(job)
    drive(session)

    assert difference(screening.videos[-1], make(run)["a"]) == 0


@pytest.mark.parametrize("given", [(120, 80), (80, 120), (97, 63)], ids=["wide", "upright", "odd"])
def test_output_and_controls_keep_the_size_of_the_input(
    tmp_path: Path, make: Callable[..., dict[str, Frames]], given: tuple[int, int]
) -> None:
    """Odd sides lose a pixel, as with NVIDIA's script; the network's own size is unchanged."""
    picture, size = still(tmp_path / "still.png", *given), (given[0] // 2 * 2, given[1] // 2 * 2)
    run = with_size_kept(make_run("a", picture, {"edge": 0.5, "seg": 0.5}, frames=1))

    frames = make(run)["a"]

    assert frames.shape[1:3] == (SIZE[1], SIZE[0])
    folder = tmp_path / "made" / "a"
    for name in ("output", "control_edge", "control_seg"):
        info = probe(folder / f"{name}.png")
        assert (info.width, info.height) == size
    check_picture(folder / "output.png", size=size, fingerprint=run.fingerprint)


def test_video_that_keeps_the_size_of_its_input_has_it_in_every_frame(
    tmp_path: Path, clip: str, make: Callable[..., dict[str, Frames]]
) -> None:
    run = with_size_kept(make_run("a", clip, {"edge": 1.0}, frames=12))
    make(run)
    folder = tmp_path / "made" / "a"
    check_video(folder / "output.mp4", frames=12, width=96, height=64, fps=10.0, fingerprint=run.fingerprint)
    check_video(folder / "control_edge.mp4", frames=12, width=96, height=64, fps=10.0)


def test_run_that_keeps_the_size_has_the_same_frames_in_the_network(
    clip: str, make: Callable[..., dict[str, Frames]]
) -> None:
    run = make_run("a", clip, {"edge": 1.0})
    assert difference(make(run)["a"], make(with_size_kept(run))["a"]) == 0


def test_picture_takes_masks_guides_and_its_input_as_pictures(
    tmp_path: Path, make: Callable[..., dict[str, Frames]]
) -> None:
    """Weight masks, guided generation and a start from the input are of one frame, too."""
    picture, mask = still(tmp_path / "still.png"), tmp_path / "mask.png"
    half = np.zeros((64, 96, 3), np.uint8)
    half[:, 48:] = 255
    write_picture(mask, half)
    plain = make_run("a", picture, {"edge": 1.0}, frames=1)
    masked = replace(plain, controls=(replace(plain.controls[0], mask=str(mask)),))
    guided = replace(plain, guided_generation=GuidedGeneration(mask=str(mask), step_threshold=1))
    started = replace(plain, sampling=replace(plain.sampling, sigma_max=1.0))

    found = [make(run)["a"] for run in (plain, masked, guided, started)]

    assert {frames.shape for frames in found} == {(1, SIZE[1], SIZE[0], 3)}
    assert all(difference(found[0], other) > LIMIT for other in found[1:])


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_turned_picture_is_upright_in_its_output(
    tmp_path: Path, make: Callable[..., dict[str, Frames]], suffix: str
) -> None:
    """Its EXIF exchanges the sides: the size that is kept is that on the screen."""
    turned = turned_image(tmp_path / f"turned.{suffix}", 6)
    (upright,) = read_frames(turned)
    write_picture(tmp_path / "plain.png", upright)
    turned_run, plain_run = (
        with_size_kept(make_run("a", str(path), {"vis": 1.0}, frames=1))
        for path in (turned, tmp_path / "plain.png")
    )

    frames = make(turned_run)["a"]

    info = probe(tmp_path / "made" / "a" / f"output.{suffix}")
    assert (info.width, info.height) == (upright.shape[1], upright.shape[0]) == (160, 96)
    assert difference(frames, make(plain_run)["a"]) == 0


def test_transparent_picture_gives_an_opaque_one(tmp_path: Path, make: Callable[..., dict[str, Frames]]) -> None:
    """What is transparent counts as black, as in videos."""
    see_through = np.full((64, 96, 4), 255, np.uint8)
    see_through[:, 48:, 3] = 0
    cv2.imwrite(str(tmp_path / "clear.png"), see_through)
    write_picture(tmp_path / "black.png", over_black(see_through))

    clear, flat = (
        make(make_run("a", str(tmp_path / name), {"vis": 1.0}, frames=1))["a"]
        for name in ("clear.png", "black.png")
    )

    assert difference(clear, flat) == 0
    assert encoding_of(tmp_path / "made" / "a" / "output.png") == ("png", "rgb24")

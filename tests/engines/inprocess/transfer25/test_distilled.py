"""A distilled model from its folder to videos, tiny and random: what it takes, and that runs stay apart."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.recording_guardrail import RecordingGuardrail
from cosmos_batch.cli.app import main
from cosmos_batch.engines.base import Event, Outcome, Progress, Result
from cosmos_batch.engines.inprocess.engine import InProcessEngine
from cosmos_batch.engines.inprocess.loader import load_engine
from cosmos_batch.engines.inprocess.transfer25.published import DISTILLED, DISTILLED_SETTINGS
from cosmos_batch.engines.inprocess.transfer25.traits import traits_of_model
from cosmos_batch.errors import PlanError
from cosmos_batch.media.controls.cache import ControlCache
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.media.video import Frames
from cosmos_batch.planning.equivalence import refusals_by_run, work_of
from cosmos_batch.planning.resolve import resolve
from cosmos_batch.run import ResolvedRun, Sampling
from tests.support.runs import MakeRun
from tests.support.tiny_model import SETTINGS, drive, job_of, launch_of, save_after, write_clip, write_tiny_model
from tests.support.tiny_model import make_run as tiny_run

LIMIT = 2  # of 255: how far two makings of one run may be apart
TRAITS = traits_of_model(DISTILLED_SETTINGS, frozenset({"edge"}))
Make = Callable[[ResolvedRun], Frames]
CLIP = VideoInfo(1280, 704, 93, 24.0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with a distilled model's settings, as far as they differ from the published ones."""
    root = write_tiny_model(tmp_path_factory.mktemp("tiny") / "model")
    own = {name: SETTINGS[name] for name in ("sizes", "chunk_frames", "guardrail")}
    own |= {"sampler": "distilled", "defaults": {"resolution": "32"}}
    (root / "cosmos_batch.json").write_text(json.dumps(own))
    (root / "scheduler" / "scheduler_config.json").unlink()  # it has no UniPC
    return root


@pytest.fixture
def screening() -> RecordingGuardrail:
    return RecordingGuardrail()


@pytest.fixture
def engine(model: Path, tmp_path: Path, screening: RecordingGuardrail) -> InProcessEngine:
    return load_engine(str(model), ["edge"], ControlCache(tmp_path / "controls"), guardrail=screening)


@pytest.fixture
def clip(tmp_path: Path) -> str:
    return write_clip(tmp_path / "clip.mp4", 25)


@pytest.fixture
def alone(engine: InProcessEngine, tmp_path: Path, screening: RecordingGuardrail) -> Make:
    """Makes a run by itself; its frames as they are before they are compressed."""

    def make(run: ResolvedRun) -> Frames:
        session = engine.open(launch_of(run))
        session.join(job_of(run, tmp_path / "alone"))
        assert drive(session)[run.id].outcome is Outcome.SUCCEEDED
        return screening.videos[-1]

    return make


def distilled(name: str, clip: str, steps: int, frames: int = 9) -> ResolvedRun:
    return tiny_run(name, clip, {"edge": 1.0}, frames=frames, num_steps=steps, guidance=0.0, seed=steps)


def difference(one: Frames, other: Frames) -> int:
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other.astype(int)).max())


def test_settings_that_a_file_leaves_out_are_the_distilled_models(engine: InProcessEngine) -> None:
    settings = engine.model.settings
    assert (settings.sampler, settings.known_sigma, settings.bfloat16_levels) == ("distilled", 1e-4, True)
    assert engine.traits.defaults == replace(DISTILLED_SETTINGS.defaults, resolution="32")
    assert settings.chunk_frames == SETTINGS["chunk_frames"]


def test_company_of_other_step_counts_and_late_runs_does_not_change_a_run(
    engine: InProcessEngine,
    tmp_path: Path,
    clip: str,
    alone: Make,
    screening: RecordingGuardrail,
) -> None:
    runs = [
        distilled(f"of_{steps}_steps", clip, steps, frames) for steps, frames in ((4, 9), (1, 9), (2, 20), (3, 9))
    ]
    session = engine.open(launch_of(*runs))
    for run in runs[:3]:
        session.join(job_of(run, tmp_path))
    early = {event.run_id for event in session.advance() if isinstance(event, Result)}
    session.join(job_of(runs[3], tmp_path))
    results = [*early, *drive(session)]
    in_company = dict(zip(results, screening.videos, strict=True))
    for run in runs:
        assert difference(in_company[run.id], alone(run)) <= LIMIT


@pytest.mark.parametrize("stop_after", [1, 2, 3, 4, 5, 7])
def test_run_resumes_from_each_step(
    engine: InProcessEngine,
    tmp_path: Path,
    clip: str,
    alone: Make,
    screening: RecordingGuardrail,
    stop_after: int,
) -> None:
    """Two chunks of four steps; the second has known frames."""
    run = distilled("long", clip, 4, frames=17)
    save_after(engine, job_of(run, tmp_path), stop_after)
    second = engine.open(launch_of(run))
    events: list[Event] = []
    second.join(job_of(run, tmp_path))
    drive(second, events)
    assert [e.step for e in events if isinstance(e, Progress)] == list(range(stop_after + 1, 9))
    assert difference(screening.videos[-1], alone(run)) <= LIMIT


def test_steps_beyond_four_and_a_start_from_the_input_are_refused(make_run: MakeRun) -> None:
    asked = make_run("edge", num_steps=35, sigma_max=70.0)
    found = {problem.field: str(problem) for problem in refusals_by_run([asked], TRAITS)[asked.id]}
    assert "takes 1 to 4 steps; say 4, or leave it out" in found["num_steps"]
    assert "starts from noise alone" in found["sigma_max"]
    assert refusals_by_run([make_run("edge", num_steps=steps) for steps in (1, 4)], TRAITS) == {}


def test_other_controls_are_refused_by_name(make_run: MakeRun) -> None:
    run = make_run("depth")
    (problem,) = refusals_by_run([run], TRAITS)[run.id]
    assert (problem.field, problem.remedy) == ("controls.depth", "it has edge")


def test_guidance_is_noticed_and_not_used(make_run: MakeRun) -> None:
    run = make_run("edge", guidance=3.0, negative_prompt="blurry")
    facts = {"/in/a.mp4": CLIP}
    assert [notice.field for notice in TRAITS.notices(run, CLIP)] == ["guidance", "negative_prompt"]
    made = resolve(run, TRAITS, facts)
    assert (made.sampling.guidance, made.sampling.negative_prompt, made.sampling.num_steps) == (0.0, "", 4)
    assert made.sampling.sigma_max == 200.0
    assert refusals_by_run([made], TRAITS, facts) == {}
    shape = TRAITS.shape(run, CLIP)
    assert (work_of(run, shape, TRAITS).rows, work_of(made, shape, TRAITS).rows) == (1, 1)
    assert TRAITS.notices(make_run("edge", guidance=0.0, negative_prompt=" "), CLIP) == ()


def test_more_than_a_chunk_is_noticed(make_run: MakeRun) -> None:
    long = VideoInfo(1280, 704, 94, 24.0)
    (notice,) = TRAITS.notices(make_run("edge"), long)
    assert (notice.field, notice.found) == ("num_frames", 94)
    assert TRAITS.notices(make_run("edge", num_frames=93), long) == ()


def test_defaults_that_a_distilled_model_cannot_have_are_refused() -> None:
    wrong = replace(DISTILLED_SETTINGS, defaults=Sampling(num_steps=8, resolution="720"))
    with pytest.raises(PlanError, match=r"defaults\.num_steps = 8: .* takes 1 to 4"):
        traits_of_model(wrong, frozenset({"edge"}))


def test_cost_is_that_of_one_row_and_counts_coding(make_run: MakeRun) -> None:
    """The figures of the published table of costs on an H200, in seconds a video."""
    cost = DISTILLED.profile.cost
    for resolution, seconds in (("832x480", 4.7), ("1280x704", 16.2)):
        run = make_run("edge", resolution=resolution)
        work = work_of(run, TRAITS.shape(run, CLIP), TRAITS)
        assert cost.overhead_seconds(work.steps) + cost.run_seconds(work) == pytest.approx(seconds, rel=0.06)


def test_commands_make_its_videos_and_record_what_it_read(
    model: Path, tmp_path: Path, clip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = {"id": "r", "prompt": "snow", "inputs": {"video": clip}}
    config = {"weights": {"edge": 1.0}, "guidance": 5, "negative_prompt": "dark", "num_frames": 9}
    file = tmp_path / "runs.jsonl"
    file.write_text(json.dumps(line | {"execution_config": config}))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def call(*words: str | Path) -> int:
        monkeypatch.setattr("sys.argv", ["cosmos-batch", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0)

    assert call("warm", file, "--model", model) == 0
    assert call("run", file, "--model", model, "-o", tmp_path / "out") == 0

    record = json.loads((tmp_path / "out" / "r" / "run.json").read_text())
    settings = record["run"]["sampling"]
    assert (settings["num_steps"], settings["guidance"], settings["negative_prompt"]) == (4, 0.0, "")
    assert record["made_by"]["model"] == DISTILLED_SETTINGS.name

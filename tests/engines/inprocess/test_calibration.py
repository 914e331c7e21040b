"""Calibration: what is measured, within what time, and where it goes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cosmos_batch.cli.commands.calibrate import calibrate_command
from cosmos_batch.engines.inprocess import calibration
from cosmos_batch.engines.inprocess.calibration import Meter, Probe, calibrate, probes
from cosmos_batch.engines.inprocess.engine import InProcessEngine
from cosmos_batch.engines.inprocess.guardrail import NoGuardrail
from cosmos_batch.engines.inprocess.loader import load_engine
from cosmos_batch.engines.profile_store import keep_profile, kept_profile
from cosmos_batch.engines.registry import BuiltInEngines, EngineChoice, profile
from cosmos_batch.errors import PlanError, StorageError
from cosmos_batch.media.controls.cache import ControlCache
from tests.support.tiny_model import CONTROLS

PRIOR = profile("transfer", "h100")
SHORT = {"resolution": "32"}


@pytest.fixture(autouse=True)
def a_short_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "_REPEAT_SECONDS", 0.01)


@pytest.fixture
def engine(model: Path, tmp_path: Path) -> InProcessEngine:
    return load_engine(str(model), CONTROLS, ControlCache(tmp_path / "controls"), guardrail=NoGuardrail())


def ticks(seconds: float = 1.0) -> Iterator[float]:
    """A clock that is read, and stands some seconds later each time."""
    now = 0.0
    while True:
        yield now
        now += seconds


def test_probes_separate_sizes_batches_and_controls() -> None:
    wanted = probes([(832, 480), (320, 192), (1280, 704)], 93, controls=4)
    assert wanted[0] == Probe(320, 192, 93, runs=1, controls=0)
    assert wanted[-1] == Probe(1280, 704, 93, runs=1, controls=1)
    assert {probe.runs for probe in wanted} == {1, 2, 4}
    assert {probe.controls for probe in wanted} == {0, 1, 4}
    assert {probe.width for probe in wanted} == {320, 832, 1280}


def test_a_model_of_one_size_without_controls_has_probes_too() -> None:
    assert {(p.runs, p.controls) for p in probes([(48, 32)], 9, controls=0)} == {(1, 0), (2, 0), (4, 0)}


def test_every_probe_is_measured_and_fitted(engine: InProcessEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr(calibration.Meter, "_peak", lambda _: 30 << 30)  # as a GPU would say
    found = engine.calibrated(PRIOR, seconds=1e9, write=lambda _frames: None, say=lines.append)
    assert len(lines) == found.measured == 5
    assert found.error is not None
    assert found.load == PRIOR.load
    assert found.pixel not in (0, PRIOR.pixel)
    assert found.control_pixel not in (0, PRIOR.control_pixel)
    weights = found.peak_bytes(0, branches=len(CONTROLS))
    assert found.peak_bytes(0, len(CONTROLS), frame=48 * 32) == max(30 << 30, weights)


def test_a_distilled_model_is_measured_without_guidance_over_several_of_its_short_runs(
    model: Path, tmp_path: Path
) -> None:
    root = shutil.copytree(model, tmp_path / "distilled")
    settings = root / "cosmos_batch.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"sampler": "distilled", "defaults": SHORT}))
    engine = load_engine(str(root), ["edge"], ControlCache(tmp_path / "controls"), guardrail=NoGuardrail())
    engine.model.keep_only(["edge"])
    clock = ticks(1e-4)
    meter = Meter(engine.model, PRIOR, lambda _frames: None, lambda: next(clock))

    measured = meter.steps(probe := Probe(48, 32, 9, 2, 1))

    assert measured.rows == 2  # one for each run
    assert measured.steps == 20  # five times as many as a run has
    assert measured.tokens == 2 * probe.work(engine.model).tokens


def test_slow_probe_is_left_out(engine: InProcessEngine) -> None:
    clock, lines = ticks(), list[str]()
    quick, slow = Probe(48, 32, 9, 1, 1), Probe(48, 32, 9, 40_000_000, 1)
    engine.model.keep_only(CONTROLS)
    found = calibrate(
        engine.model, PRIOR, [quick, slow], seconds=500, write=lambda _frames: None, say=lines.append,
        clock=lambda: next(clock),
    )  # fmt: skip
    assert found.measured == 1
    assert [line.endswith("left out, for it would take too long") for line in lines] == [False, True]


def test_a_kept_profile_is_what_the_commands_believe(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    choice = EngineChoice("transfer", str(model))
    assert BuiltInEngines().preview(choice).prior == PRIOR
    assert calibrate_command(BuiltInEngines(), choice, seconds=1e9) == 0
    kept = kept_profile(tmp_path / "cosmos-batch" / "profiles", "transfer")
    assert kept is not None
    assert (kept.device, kept.measured) == ("cpu", 5)
    assert BuiltInEngines().preview(choice).prior == kept
    assert BuiltInEngines().load(choice, ["edge"]).prior == kept


def test_a_script_is_not_calibrated() -> None:
    with pytest.raises(PlanError, match="runs NVIDIA's script"):
        calibrate_command(BuiltInEngines(), EngineChoice("transfer1"), seconds=1)


def test_a_damaged_profile_is_reported(tmp_path: Path) -> None:
    file = keep_profile(tmp_path, replace(PRIOR, measured=3))
    assert kept_profile(tmp_path, "transfer") == replace(PRIOR, measured=3)
    assert kept_profile(tmp_path, "pocket") is None
    file.write_text(json.dumps({"engine": "transfer"}))
    with pytest.raises(StorageError, match="measure anew with cosmos-batch calibrate"):
        kept_profile(tmp_path, "transfer")

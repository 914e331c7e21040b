"""What a user may ask of the engine reaches workers and records, and is refused where it means nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cosmos_batch.cli.commands.serve import WorkerOptions, _take_devices
from cosmos_batch.cli.service_location import ServiceLocation
from cosmos_batch.engines.base import approximations_of, model_key
from cosmos_batch.engines.inprocess.options import Approximation, Options, Part
from cosmos_batch.engines.registry import BuiltInEngines, EngineChoice
from cosmos_batch.errors import PlanError
from cosmos_batch.run import Run

ALL = Options(frozenset({Part.VAE, Part.TEXT}), frozenset({Approximation.STEP_CACHING}), split_guidance=True)
WORKERS = WorkerOptions(
    workers=2, flush_seconds=1, flush_runs=2, max_batch=None, max_failures=3, save_every=20, prediction=False
)  # fmt: skip
ENDING = "--offload text --offload vae --approximate step-caching --no-prediction --split-guidance"


def test_worker_gets_the_options_of_its_server(tmp_path: Path) -> None:
    arguments = WORKERS.arguments(ServiceLocation(home=tmp_path, ledger=None), EngineChoice(options=ALL))
    assert " ".join(arguments).endswith(ENDING)


@pytest.mark.parametrize(
    ("seen", "gpus", "taken"),
    [("", 1, "1"), ("", 2, "2,3"), ("4,5,6,7", 2, "6,7"), ("a,b", 1, "b"), ("a", 1, "a")],
)
def test_every_worker_has_gpus_of_its_own(
    seen: str, gpus: int, taken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", seen)
    _take_devices(1, 2, gpus)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == taken


def test_nvidias_scripts_refuse_in_process_options() -> None:
    with pytest.raises(PlanError, match="step-caching, offload-text, offload-vae, split-guidance"):
        BuiltInEngines().preview(EngineChoice("transfer1", options=ALL))


def test_profiles_with_and_without_options_are_separate() -> None:
    plain, asked = (
        BuiltInEngines().preview(EngineChoice("transfer", options=options)).prior for options in (Options(), ALL)
    )
    assert plain.device == "h100"
    assert asked.device == "h100 step-caching offload-text offload-vae split-guidance"


def test_plan_leaves_out_the_memory_of_offloaded_parts() -> None:
    engines = BuiltInEngines()
    plain = engines.preview(EngineChoice("transfer")).prior
    asked = engines.preview(EngineChoice("transfer", options=Options(frozenset(Part)))).prior
    assert asked.model_bytes < plain.model_bytes / 2
    assert asked.peak_bytes(0, branches=4) == asked.peak_bytes(0, branches=1)


def test_tile_replaces_the_frame_in_the_memory_of_the_plan() -> None:
    tiling = Options(approximations=frozenset({Approximation.VAE_TILING}))
    plain, tiled = (
        BuiltInEngines()
        .preview(EngineChoice("transfer", options=options))
        .prior.peak_bytes(0, 1, frame=1280 * 704)
        for options in (Options(), tiling)
    )
    assert (
        tiled == BuiltInEngines().preview(EngineChoice("transfer")).prior.peak_bytes(0, 1, frame=512 * 512) < plain
    )


def test_approximated_video_does_not_satisfy_an_exact_request() -> None:
    run = Run(id="a", prompt="snow", controls=())
    exact = {"engine": "transfer", "weights": "w"}
    approximated = exact | {"approximations": "float8-attention step-caching"}
    assert model_key(run, exact) == ("transfer", "w")
    assert model_key(run, approximated) == ("transfer", "w", "float8-attention", "step-caching")
    assert approximations_of(exact) == ()

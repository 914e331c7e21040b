"""A whole engine whose parts wait in the host's memory, or whose autoencoder has tiles."""

from __future__ import annotations

import gc
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn.modules.module import register_module_forward_pre_hook

from benchmarks.recording_guardrail import RecordingGuardrail
from cosmos_batch.engines.base import Outcome
from cosmos_batch.engines.inprocess.engine import InProcessEngine
from cosmos_batch.engines.inprocess.gpu.offload import OffloadedModule
from cosmos_batch.engines.inprocess.guardrail import NoGuardrail
from cosmos_batch.engines.inprocess.loader import load_engine
from cosmos_batch.engines.inprocess.model import Model
from cosmos_batch.engines.inprocess.options import TILE, Approximation, Options, Part
from cosmos_batch.engines.inprocess.vae.wan import WanVae
from cosmos_batch.errors import PlanError
from cosmos_batch.media.controls.cache import ControlCache
from cosmos_batch.media.video import Frames
from cosmos_batch.run import Run
from tests.support.tiny_model import CONTROLS, drive, job_of, launch_of, make_run, write_clip

EVERYTHING = frozenset(Part)
WAN = {"_class_name": "AutoencoderKLWan", "base_dim": 2, "latents_mean": [0.1] * 16, "latents_std": [1.3] * 16}


@pytest.fixture
def runs(tmp_path: Path) -> list[Run]:
    """Different controls and prompts; one is of two chunks, and one is not guided."""
    clip = write_clip(tmp_path / "clip.mp4", 25)
    return [
        make_run("one", clip, {"edge": 1.0}, seed=1),
        make_run("all", clip, dict.fromkeys(CONTROLS, 0.25), seed=2, frames=12),
        make_run("two", clip, {"depth": 0.5, "edge": 0.3}, seed=3, guidance=0.0),
    ]


def loaded(model: Path, folder: Path, guardrail: NoGuardrail, options: Options) -> InProcessEngine:
    cache = ControlCache(folder / "controls")
    return load_engine(str(model), CONTROLS, cache, guardrail=guardrail, options=options)


def videos(model: Path, folder: Path, runs: list[Run], offload: frozenset[Part]) -> list[Frames]:
    """All the runs in one batch; their videos, in the order in which they came to an end."""
    keeping = RecordingGuardrail()
    session = loaded(model, folder, keeping, Options(offload)).open(launch_of(*runs))
    for run in runs:
        session.join(job_of(run, folder))
    results = drive(session)
    assert {result.outcome for result in results.values()} == {Outcome.SUCCEEDED}
    return keeping.videos


@pytest.mark.parametrize("offload", [EVERYTHING, *({part} for part in Part)], ids=["everything", *Part])
def test_offloading_does_not_change_videos(
    offload: frozenset[Part], model: Path, tmp_path: Path, runs: list[Run]
) -> None:
    plain = videos(model, tmp_path / "plain", runs, frozenset())
    asked = videos(model, tmp_path / "offloaded", runs, frozenset(offload))
    for one, other in zip(plain, asked, strict=True):
        assert np.array_equal(one, other)


def test_at_most_one_offloaded_part_is_on_the_device(model: Path, tmp_path: Path, runs: list[Run]) -> None:
    engine = loaded(model, tmp_path, NoGuardrail(), Options(EVERYTHING))
    session = engine.open(launch_of(*runs))
    parts = [thing for thing in gc.get_objects() if type(thing) is OffloadedModule]
    resident: list[int] = []

    def look(*_: object) -> None:
        resident.append(sum(part.resident for part in parts))

    hook = register_module_forward_pre_hook(look)  # of every layer of every part
    try:
        for run in runs:
            session.join(job_of(run, tmp_path))
        drive(session)
    finally:
        hook.remove()
    assert resident.count(1) > 20
    assert max(resident) == 1


class KeepingNetwork:
    """A network that keeps things until it is to forget them."""

    device = torch.device("cpu")

    def __init__(self) -> None:
        self.kept = ["a prompt"]

    def forget(self) -> None:
        self.kept.clear()


def test_what_is_kept_is_freed_before_work_fails_for_want_of_memory(model: Path, tmp_path: Path) -> None:
    part, network = loaded(model, tmp_path, NoGuardrail(), Options()).model, KeepingNetwork()
    part = Model(part.folders, network, part.vae, part.guardrail, part.dtype)  # type: ignore[arg-type]

    def work(too_much: bool) -> str:
        if network.kept or too_much:
            raise torch.OutOfMemoryError
        return "done"

    assert part.within_memory(lambda: work(False)) == "done"
    with pytest.raises(torch.OutOfMemoryError):
        part.within_memory(lambda: work(True))


TILED = Options(approximations=frozenset({Approximation.VAE_TILING}))


@torch.no_grad()
@pytest.mark.parametrize("offload", [frozenset(), EVERYTHING], ids=["on the device", "waiting"])
def test_tiles_are_used_where_they_are_asked_for(offload: frozenset[Part], model: Path, tmp_path: Path) -> None:
    wide = shutil.copytree(model, tmp_path / "wide")
    shutil.rmtree(wide / "vae")
    (wide / "vae").mkdir()
    (wide / "vae" / "config.json").write_text(json.dumps(WAN))
    torch.manual_seed(0)
    save_file(WanVae.from_config(WAN).state_dict(), wide / "vae" / "weights.safetensors")
    options = Options(offload, TILED.approximations)
    engine = loaded(wide, tmp_path, NoGuardrail(), options)
    latents = torch.randn(1, 16, 1, 4, TILE // 8 + 4)
    made = engine.model.decode(latents)
    assert torch.equal(made, WanVae.load(wide / "vae", TILE).decode(latents))
    assert not torch.equal(made, WanVae.load(wide / "vae").decode(latents))
    assert engine.identity["approximations"] == "vae-tiling"


def test_an_autoencoder_without_tiles_says_so(model: Path, tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="no tiles; leave out --approximate vae-tiling"):
        loaded(model, tmp_path, NoGuardrail(), TILED)

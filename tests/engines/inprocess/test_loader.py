"""A model in the published layout, tiny, from its files to videos: by the engine, and by the commands.

It has all that the published one has: an image context, wider control input, NVIDIA's name for vis, the Wan
autoencoder. The text encoder alone is another, for the published one needs packages that the tests do without.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from benchmarks.gpu.folder import PUBLISHED, TINY, WEIGHTS, base_shapes, write_model, write_settings
from cosmos_batch.cli.app import main
from cosmos_batch.engines.base import Outcome
from cosmos_batch.engines.inprocess.loader import load_engine
from cosmos_batch.media.controls.cache import ControlCache
from tests.support.published_model import write_trigram
from tests.support.tiny_model import CONTROLS, drive, job_of, launch_of, make_run, write_clip

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("published") / "model", TINY, write_trigram, CPU)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two runs with their inputs."""
    write_clip(tmp_path / "clip.mp4", 9)
    lines = [
        {
            "id": name,
            "prompt": f"a video of {name}",
            "inputs": {"video": "clip.mp4", "depth": "clip.mp4"},
            "execution_config": {"weights": weights, "fps": 10},
        }
        for name, weights in (("alone", {"edge": 1.0}), ("both", {"edge": 0.5, "depth": 0.5}))
    ]
    file = tmp_path / "runs.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def call(monkeypatch: pytest.MonkeyPatch, home: Path, *arguments: str | Path) -> int:
    """The exit code of a command that keeps its caches in `home`."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    monkeypatch.setattr("sys.argv", ["cosmos-batch", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_the_engine_makes_a_mixed_batch_of_a_model_in_the_published_layout(model: Path, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 9)
    engine = load_engine(str(model), CONTROLS, ControlCache(tmp_path / "controls"))
    runs = [make_run("one", clip, {"edge": 1.0}), make_run("all", clip, dict.fromkeys(CONTROLS, 0.25))]
    session = engine.open(launch_of(*runs))
    for run in runs:
        assert list(session.join(job_of(run, tmp_path))) == []
    assert {result.outcome for result in drive(session).values()} == {Outcome.SUCCEEDED}


def test_plan_run_and_calibrate_accept_the_model(
    model: Path, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    named = ("--engine", "transfer", "--model", model)

    assert call(monkeypatch, tmp_path, "plan", runs, *named) == 0
    assert call(monkeypatch, tmp_path, "run", runs, *named, "-o", tmp_path / "out", "--plain") == 0
    assert "2 runs: 2 succeeded" in capsys.readouterr().out
    assert call(monkeypatch, tmp_path, "calibrate", *named, "--seconds", "2") == 0

    assert "kept in" in capsys.readouterr().out


def test_its_settings_are_the_published_ones_but_for_the_guardrail(tmp_path: Path) -> None:
    write_settings(tmp_path, replace(PUBLISHED.settings, chunk_frames=29))

    written = json.loads((tmp_path / "cosmos_batch.json").read_text())

    assert (written["guardrail"], written["chunk_frames"]) == ("none", 29)
    assert written["sizes"]["720"]["16:9"] == [1280, 704]
    assert written["defaults"]["num_steps"] == 36


def test_its_weights_are_random_but_the_same_every_time(model: Path, tmp_path: Path) -> None:
    again = load_file(write_model(tmp_path / "model", TINY, write_trigram, CPU) / "transformer" / WEIGHTS)
    first, other = (load_file(model / name / WEIGHTS) for name in ("transformer", "controlnet_edge"))

    assert set(first) == set(base_shapes(TINY))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["crossattn_proj.0.weight"], other["crossattn_proj.0.weight"])

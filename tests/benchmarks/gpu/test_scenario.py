"""The standard scenario on the CPU: diffusers' side with a stand-in, ours with the engine and the dispatcher."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
import torch

from benchmarks.gpu.pipeline import Pipeline
from benchmarks.gpu.scenario import main
from cosmos_batch.engines.inprocess.model_files import ModelFolders
from cosmos_batch.engines.inprocess.text.trigram import TrigramText
from tests.support.diffusers_standin import diffusers_standin


def read_trigram(folders: ModelFolders, _device: torch.device, _dtype: torch.dtype) -> TrigramText:
    """Load the tiny model's text encoder."""
    return TrigramText.load(folders.text_encoder)


def test_three_ways_are_compared(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "result.json"
    load = partial(Pipeline, read_text=read_trigram, diffusers=diffusers_standin())

    main([str(model), "--sizes", "48x32x9:2", "--work", str(tmp_path / "work"), "--json", str(file)], load)

    found = json.loads(file.read_text())["48x32x9"]
    assert list(found["totals"]) == ["all controls forced, diffusers", "own controls, diffusers", "ours"]
    assert all(total["step"] > 0 for total in found["totals"].values())
    assert found["difference"].keys() == {"run0", "run6", "run9"}
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("| 48x32x9 |") for line in lines) == 3 + 2

"""Weights, read from the files of a folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from cosmos_batch.engines.inprocess.weight_files import WeightFiles
from cosmos_batch.errors import ModelError


def test_a_checkpoint_holds_the_tensors_of_all_its_files(tmp_path: Path) -> None:
    first, second = torch.arange(6.0).reshape(2, 3), torch.ones(4, dtype=torch.bfloat16)
    save_file({"first": first}, tmp_path / "model-00001-of-00002.safetensors")
    save_file({"second": second}, tmp_path / "model-00002-of-00002.safetensors")

    checkpoint = WeightFiles(tmp_path)

    assert set(checkpoint) == {"first", "second"}
    assert checkpoint["first"].equal(first)
    assert checkpoint["second"].equal(second)
    assert checkpoint["second"].dtype is torch.bfloat16
    assert "third" not in checkpoint
    assert WeightFiles(tmp_path, dtype=torch.float64)["second"].dtype is torch.float64


@pytest.mark.parametrize("cut", [0, 4, -1])
def test_a_file_that_is_cut_short_is_named(tmp_path: Path, cut: int) -> None:
    file = tmp_path / "model.safetensors"
    save_file({"weight": torch.ones(16)}, file)
    file.write_bytes(file.read_bytes()[:cut])

    with pytest.raises(ModelError, match=r"model\.safetensors: not a readable safetensors file"):
        WeightFiles(tmp_path)


def test_a_folder_without_weights_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no \.safetensors file"):
        WeightFiles(tmp_path)

"""Weights in safetensors files: read in the order of their use, whole, and refused by name where damaged."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from cosmos_batch.engines.inprocess.gpu import parallel_reader
from cosmos_batch.engines.inprocess.weight_files import WeightFiles, load_weights
from cosmos_batch.errors import ModelError
from tests.support.tiny_model import write_tiny_model

FORMATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool)


@pytest.mark.parametrize("piece", [5, 64, 16 << 20])
def test_a_tensor_is_read_whole_in_pieces_of_any_size(
    piece: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel_reader, "PIECE", piece * 8)
    tensors = {str(kind): (torch.rand(7, 11) * 100).to(kind) for kind in FORMATS}
    tensors |= {"scalar": torch.tensor(3.0), "empty": torch.zeros(0, 4)}
    save_file(tensors, tmp_path / "weights.safetensors")
    read = WeightFiles(tmp_path)
    assert set(read) == set(tensors)
    for name, tensor in tensors.items():
        assert read[name].dtype is tensor.dtype
        assert torch.equal(read[name], tensor)


def test_a_function_of_tensors_gets_them_in_any_order_and_as_often_as_it_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel_reader, "AHEAD", 100)
    tensors = {f"t{i}": torch.rand(5) for i in range(20)}
    save_file({name: tensors[name] for name in list(tensors)[:9]}, tmp_path / "a.safetensors")
    save_file({name: tensors[name] for name in list(tensors)[9:]}, tmp_path / "b.safetensors")
    used = [19, 3, 3, 0, 19, 12]
    made = WeightFiles(tmp_path).apply(lambda given: {str(i): given[f"t{n}"] for i, n in enumerate(used)})
    for i, n in enumerate(used):
        assert torch.equal(made[str(i)], tensors[f"t{n}"])


def test_a_file_that_shrinks_after_it_was_opened_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    save_file({"first": torch.zeros(10_000)}, file)
    read = WeightFiles(tmp_path)
    with file.open("r+b") as handle:
        handle.truncate(5_000)
    with pytest.raises(ModelError, match=r"weights\.safetensors.*ends at byte 5000"):
        read["first"]
    with pytest.raises(ModelError, match="ends at byte 5000"):
        read.apply(lambda given: {"first": given["first"]})


def test_a_module_without_memory_is_filled(tmp_path: Path) -> None:
    wanted = nn.Linear(3, 4)
    save_file(wanted.state_dict(), tmp_path / "weights.safetensors")
    with torch.device("meta"):
        module = nn.Linear(3, 4)
    load_weights(module, tmp_path, dtype=torch.float64)
    assert module.weight.dtype is torch.float64
    assert torch.equal(module.weight.float(), wanted.weight)


def test_a_module_of_another_shape_is_refused(tmp_path: Path) -> None:
    save_file(nn.Linear(3, 4).state_dict(), tmp_path / "weights.safetensors")
    with pytest.raises(ModelError, match=r"do not fit config\.json"):
        load_weights(nn.Linear(4, 4), tmp_path)


def test_networks_are_read_without_the_compiler_of_pytorch(tmp_path: Path) -> None:
    """Importing it takes seconds, and nothing of it is used."""
    write_tiny_model(tmp_path / "model")
    script = (
        "import sys, torch\n"
        "from cosmos_batch.engines.inprocess.model_files import resolve\n"
        "from cosmos_batch.engines.inprocess.transfer25.branches import Networks\n"
        "from cosmos_batch.engines.inprocess.transfer25.published import PUBLISHED\n"
        "networks = Networks(resolve(sys.argv[1], ['edge'], PUBLISHED), torch.device('cpu'), torch.float32)\n"
        "networks.keep_only(['edge'])\n"
        "assert networks.loaded == ('edge',)\n"
        "assert 'torch._dynamo' not in sys.modules\n"
    )
    made = subprocess.run([sys.executable, "-c", script, str(tmp_path / "model")], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr

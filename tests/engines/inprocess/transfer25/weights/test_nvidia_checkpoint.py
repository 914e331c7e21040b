"""Weights of NVIDIA's files, against those that diffusers' layout gives: bit for bit."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks.gpu.folder import TINY, base_shapes, branch_shapes
from cosmos_batch.engines.inprocess.transfer25.config import NetworkConfig
from cosmos_batch.engines.inprocess.transfer25.diffusers_weights import base_from_diffusers, branch_from_diffusers
from cosmos_batch.engines.inprocess.transfer25.weights.nvidia_checkpoint import NvidiaCheckpoint
from cosmos_batch.engines.inprocess.transfer25.weights.nvidia_names import NetworkPart
from cosmos_batch.errors import ModelError
from tests.support.nvidia_weights import nvidia_tensors, prefixed, with_stem, write_nvidia_file

Weights = tuple[dict[str, Tensor], dict[str, Tensor]]


@pytest.fixture(scope="module")
def weights() -> Weights:
    """Random weights of base and branch by diffusers' names, image context included."""
    torch.manual_seed(0)
    base = {name: torch.randn(shape) for name, shape in base_shapes(TINY).items()}
    branch = {name: torch.randn(shape) for name, shape in branch_shapes(TINY).items()}
    return base, with_stem(branch, base)


def parts(path: Path, dtype: torch.dtype | None = None) -> list[NvidiaCheckpoint]:
    return [NvidiaCheckpoint(path, part, TINY.network, dtype=dtype) for part in NetworkPart]


def assert_same(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    assert set(found) == set(wanted)
    for name, tensor in wanted.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor), name


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_a_file_gives_the_state_that_the_diffusers_layout_gives(
    dtype: torch.dtype, weights: Weights, tmp_path: Path
) -> None:
    base, branch = ({name: tensor.to(dtype) for name, tensor in part.items()} for part in weights)
    path = write_nvidia_file(tmp_path / "model_ema_bf16.pt", nvidia_tensors(base, branch))

    ours, our_branch = parts(path)

    assert_same(ours, base)
    assert_same(our_branch, branch)
    assert_same(base_from_diffusers(ours, TINY.network), base_from_diffusers(base, TINY.network))
    assert_same(branch_from_diffusers(our_branch, TINY.network), branch_from_diffusers(branch, TINY.network))


def test_the_moving_average_goes_before_the_weights(weights: Weights, tmp_path: Path) -> None:
    base, branch = weights
    average = nvidia_tensors(base, branch)
    newest = {name: tensor + 1 for name, tensor in average.items()}
    critic = {name: tensor + 2 for name, tensor in average.items()}
    whole = {**prefixed(newest, "net."), **prefixed(average, "net_ema."), **prefixed(critic, "net_fake_score.")}
    ours, our_branch = parts(write_nvidia_file(tmp_path / "model.pt", whole, ""))
    assert_same(ours, base)
    assert_same(our_branch, branch)


def test_extra_state_of_transformer_engine_is_left_out(weights: Weights, tmp_path: Path) -> None:
    extra = {"t_embedding_norm._extra_state": io.BytesIO(b"\x80state"), "blocks.0.self_attn._extra_state": None}
    path = write_nvidia_file(tmp_path / "model.pt", nvidia_tensors(*weights) | extra)  # type: ignore[operator]
    assert_same(parts(path)[0], weights[0])


def test_tensors_come_in_the_format_that_is_asked_for_and_are_not_kept(weights: Weights, tmp_path: Path) -> None:
    base, _ = parts(write_nvidia_file(tmp_path / "model.pt", nvidia_tensors(*weights)), torch.float64)
    tensor = base["proj_out.weight"]
    assert tensor.dtype is torch.float64
    tensor.zero_()
    assert base["proj_out.weight"].abs().max() > 0


def test_a_file_that_does_not_fit_is_refused_with_its_tensors(weights: Weights, tmp_path: Path) -> None:
    tensors = nvidia_tensors(*weights)
    del tensors["t_embedding_norm.weight"]
    path = write_nvidia_file(tmp_path / "model.pt", tensors)
    with pytest.raises(ModelError, match=r"model\.pt: lacks 1 tensor of the network: t_embedding_norm\.weight"):
        parts(path)


PEAK = """
import resource, sys
from pathlib import Path
import torch
from cosmos_batch.engines.inprocess.model_files import ModelFolders
from cosmos_batch.engines.inprocess.transfer25.branches import Networks
from cosmos_batch.engines.inprocess.transfer25.published import SETTINGS

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

file = Path(sys.argv[1])
before = peak()
folders = ModelFolders(file, file, file, file, {"edge": file}, SETTINGS)
networks = Networks(folders, torch.device("cpu"), torch.bfloat16)
parts = (networks.base, networks.branch("edge"))
print(peak() - before, sum(each.nbytes for part in parts for each in part.parameters()))
"""


def test_loading_peaks_at_the_size_of_the_network(tmp_path: Path) -> None:
    sizes = replace(TINY, network=NetworkConfig(heads=4, blocks=8, inject_every=2, text_dim=20_000), image=None)
    shapes = base_shapes(sizes), branch_shapes(sizes)
    base, branch = (
        {name: torch.ones(shape, dtype=torch.bfloat16) for name, shape in each.items()} for each in shapes
    )
    file = write_nvidia_file(tmp_path / "model.pt", nvidia_tensors(base, with_stem(branch, base)))

    child = subprocess.run([sys.executable, "-c", PEAK, file], capture_output=True, text=True, check=True)

    rise, network = map(int, child.stdout.split())
    assert network > 1e8
    assert rise < 1.4 * network

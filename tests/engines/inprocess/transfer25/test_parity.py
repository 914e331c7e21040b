"""Our network and sampler against the diffusers classes on equal weights (see reference/make_reference.py)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from cosmos_batch.engines.inprocess.sampling.unipc import SolverState, StepCoefficients, unipc_step
from cosmos_batch.engines.inprocess.transfer25.config import NetworkConfig
from cosmos_batch.engines.inprocess.transfer25.diffusers_weights import (
    base_from_diffusers,
    base_to_diffusers,
    branch_from_diffusers,
    branch_to_diffusers,
)
from cosmos_batch.engines.inprocess.transfer25.schedule import make_schedule
from cosmos_batch.engines.inprocess.transfer25.transformer import ControlBranch, Transformer, rotary
from tests.support.tiny_network import error

REFERENCE = Path(__file__).parents[1] / "reference"
CONFIG = NetworkConfig(
    heads=2,
    head_dim=24,
    blocks=5,
    control_blocks=2,
    inject_every=2,
    adaln_dim=16,
    context_dim=32,
    text_dim=40,
)
TOLERANCE = 1e-4  # relative, in the norm, float32


def part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


@pytest.fixture(scope="module")
def reference() -> dict[str, Tensor]:
    return load_file(REFERENCE / "networks.safetensors")


def branch_residuals(reference: dict[str, Tensor], name: str) -> list[Tensor]:
    branch = ControlBranch(CONFIG)
    branch.load_state_dict(branch_from_diffusers(part(reference, f"branch.{name}."), CONFIG))
    known, sigma = reference["known"][:, 0, :, 0, 0], reference["sigma"][:, 0, :, 0, 0]
    tokens = branch.embed(reference[f"control.{name}"], known)
    patches = branch.patches(reference["latents"], known)
    table = rotary(CONFIG, 3, 3, 4, torch.device("cpu"))
    return branch(patches, sigma, tokens, branch.read(reference["features"]), table)


def velocity(reference: dict[str, Tensor], residuals: Sequence[Tensor]) -> Tensor:
    base = Transformer(CONFIG)
    base.load_state_dict(base_from_diffusers(part(reference, "base."), CONFIG))
    known, sigma = reference["known"][:, 0, :, 0, 0], reference["sigma"][:, 0, :, 0, 0]
    table = rotary(CONFIG, 3, 3, 4, torch.device("cpu"))
    patches = base(
        base.patches(reference["latents"], known), sigma, base.read(reference["features"]), residuals, table
    )
    return base.unpatch(patches, 3, 6, 8)


@torch.no_grad()
@pytest.mark.parametrize("name", ["edge", "depth"])
def test_a_control_branch_gives_the_residuals_of_the_diffusers_controlnet(
    reference: dict[str, Tensor], name: str
) -> None:
    for j, residual in enumerate(branch_residuals(reference, name)):
        assert error(residual, reference[f"residual.{name}.{j}"]) < TOLERANCE


@torch.no_grad()
def test_the_transformer_gives_the_velocity_of_the_diffusers_transformer(
    reference: dict[str, Tensor],
) -> None:
    edge, depth = branch_residuals(reference, "edge"), branch_residuals(reference, "depth")
    residuals = [0.7 * a + 0.25 * b for a, b in zip(edge, depth, strict=True)]
    assert error(velocity(reference, residuals), reference["velocity"]) < TOLERANCE


@torch.no_grad()
def test_networks_without_an_image_context_are_those_of_diffusers() -> None:
    reference = load_file(REFERENCE / "networks_without_image.safetensors")
    residuals = list(branch_residuals(reference, "edge"))
    for j, residual in enumerate(residuals):
        assert error(residual, reference[f"residual.edge.{j}"]) < TOLERANCE
    assert error(velocity(reference, [0.7 * part for part in residuals]), reference["velocity"]) < TOLERANCE


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 35])
def test_the_sampler_walks_the_path_of_the_diffusers_scheduler(steps: int) -> None:
    reference = load_file(REFERENCE / "trajectories.safetensors")
    schedule = make_schedule(steps)
    assert error(schedule.sigmas, reference[f"sigmas.{steps}"]) < TOLERANCE
    path = reference[f"path.{steps}"]
    memory = SolverState.start(path[0])
    for step in range(steps):
        velocity = torch.sin(3 * memory.sample + schedule.sigmas[step].float()) + 0.3 * memory.sample
        memory = unipc_step(memory, velocity, StepCoefficients.of([schedule.table], [step]))
        assert error(memory.sample, path[step + 1]) < TOLERANCE


def test_weights_written_in_the_diffusers_layout_read_back_the_same() -> None:
    base, branch = Transformer(CONFIG), ControlBranch(CONFIG)
    for ours, again in (
        (base.state_dict(), base_from_diffusers(base_to_diffusers(base.state_dict(), CONFIG), CONFIG)),
        (
            branch.state_dict(),
            branch_from_diffusers(branch_to_diffusers(branch.state_dict(), CONFIG), CONFIG),
        ),
    ):
        assert ours.keys() == again.keys()
        assert all(torch.equal(ours[name], again[name]) for name in ours)

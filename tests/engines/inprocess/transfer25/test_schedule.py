"""The distilled model's steps against NVIDIA's loop, written out in float64."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from cosmos_batch.engines.inprocess.sampling.batch import DenoisingBatch
from cosmos_batch.engines.inprocess.sampling.samples import Conditioning
from cosmos_batch.engines.inprocess.transfer25.forward import Forward, NoiseLevels
from cosmos_batch.engines.inprocess.transfer25.schedule import DISTILLED_SIGMAS, distilled_schedule
from cosmos_batch.engines.inprocess.transfer25.transformer import Text, rotary
from tests.support.tiny_network import CONFIG, CPU, SHAPE, Request, TinyModel, error

ANGLES = (math.pi / 2, math.atan(15), math.atan(5), math.atan(5 / 3))  # selected_sampling_time
SIGMA_CONDITIONAL = 1e-4
TOLERANCE = 1e-6  # relative, in the norm


@pytest.fixture(scope="module")
def model() -> TinyModel:
    model = TinyModel()
    model.base.double()
    return model


def text_of(model: TinyModel) -> Text:
    """Keys and values of a prompt of five words."""
    return model.base.read(torch.randn(1, 5, 12, generator=torch.Generator().manual_seed(9), dtype=torch.float64))


def conditions_of(steps: int, known: bool) -> Conditioning:
    request = Request(seed=steps, guidance=0.0, weights=(), known=known)
    return replace(request.conditions(), schedule=distilled_schedule(steps))


def clean_of(model: TinyModel, conditions: Conditioning, x: Tensor, angle: float) -> Tensor:
    """The clean sample that the network predicts, as NVIDIA's wrapper of a rectified flow gives it: float64."""
    scale = math.sin(angle) + math.cos(angle)
    level = math.sin(angle) / scale
    flag = conditions.known[:, None, :, None, None] > 0
    given = conditions.given.double()
    latents = torch.where(flag, given, x.double() / scale)
    known_level = SIGMA_CONDITIONAL / (1 + SIGMA_CONDITIONAL)
    times = torch.where(conditions.known > 0, known_level, level).to(torch.bfloat16).double()
    _, frames, height, width = SHAPE
    table = rotary(CONFIG, frames, height // CONFIG.patch, width // CONFIG.patch, CPU)
    patches = model.base.patches(latents, conditions.known)
    velocity = model.base(patches, times, text_of(model), [], table)
    return torch.where(flag, given, latents - level * model.base.unpatch(velocity, frames, height, width))


def nvidia_loop(model: TinyModel, conditions: Conditioning, steps: int) -> Tensor:
    """`generate_samples_from_batch` of cosmos-transfer2.5's `cosmos2_interactive_model.py`."""
    noise = conditions.noise.double()
    x, angles = noise, [*ANGLES[:steps], 0.0]
    for here, there in pairwise(angles):
        x = clean_of(model, conditions, x, here)
        if there > 1e-5:
            x = math.cos(there) * x + math.sin(there) * noise
    return x


@torch.no_grad()
@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_distilled_steps_end_where_nvidias_loop_ends(model: TinyModel, steps: int, known: bool) -> None:
    conditions = conditions_of(steps, known)
    levels = NoiseLevels(SIGMA_CONDITIONAL, rounded=True)
    batch = DenoisingBatch(Forward(model.base, model.branch, lambda *_: text_of(model), CPU, levels=levels))
    batch.join("run", conditions)
    while not batch.done("run"):
        batch.step()

    made, _ = batch.state("run")

    assert error(made.sample, nvidia_loop(model, conditions, steps)) < TOLERANCE


def test_levels_are_those_of_nvidias_angles() -> None:
    flow = [math.sin(angle) / (math.sin(angle) + math.cos(angle)) for angle in ANGLES]
    assert pytest.approx(flow, rel=1e-12) == list(DISTILLED_SIGMAS)


@pytest.mark.parametrize("steps", [0, 5])
def test_other_numbers_of_steps_are_refused(steps: int) -> None:
    with pytest.raises(ValueError, match="takes 1 to 4"):
        distilled_schedule(steps)


def test_levels_are_rounded_where_the_model_reads_them_so() -> None:
    sigma, known = torch.tensor([5 / 6, 0.625]), torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    rounded = NoiseLevels(SIGMA_CONDITIONAL, rounded=True).read(sigma, known)
    assert rounded.tolist() == [[pytest.approx(1e-4, rel=4e-3), 0.83203125], [0.625, 0.625]]
    assert NoiseLevels().read(sigma, known)[0].tolist() == pytest.approx([0.1, 5 / 6])
    assert NoiseLevels().read(sigma, None).shape == (2, 1)

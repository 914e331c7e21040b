"""Guided generation against NVIDIA's loop, written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from cosmos_batch.engines.inprocess.sampling.samples import PreparedSample
from cosmos_batch.engines.inprocess.sampling.schedule import Schedule
from cosmos_batch.engines.inprocess.sampling.source_blend import BlendedSamples, SourceBlend, latent_mask
from cosmos_batch.engines.inprocess.sampling.unipc import SolverState, StepCoefficients, unipc_step
from cosmos_batch.engines.inprocess.transfer25.schedule import distilled_schedule, make_schedule
from tests.support.tiny_network import CPU, SHAPE, Request, TinyModel, error

STEPS = 5
MODEL = TinyModel()


def without_blend(request: Request) -> Request:
    return Request(**{**vars(request), "guided": None})


def reference(request: Request, threshold: int) -> Tensor:
    """The loop of `generate_samples_from_batch`: the network reads a blend, the solver steps from the latents."""
    conditions, plain = request.conditions(), without_blend(request).conditions()
    blend, noise = conditions.blend, conditions.noise
    assert blend is not None
    passes = MODEL.passes()
    drift = (plain.noise - plain.given) * plain.known[:, None, :, None, None]
    velocity = passes.arranged([PreparedSample(plain, passes.tokens(plain), drift)])
    state = SolverState.start(noise)
    for step in range(request.steps):
        coefficients = StepCoefficients.of([plain.schedule.table], [step])
        sigma, read = coefficients.sigma, state.sample
        if step <= threshold:
            read = (blend.source * (1 - sigma) + noise * sigma) * blend.mask + read * (1 - blend.mask)
        state = unipc_step(state, velocity(read, sigma.flatten()), coefficients)
    return state.sample


def made(request: Request) -> Tensor:
    batch = MODEL.batch()
    batch.join("only", request.conditions())
    for _ in range(request.steps):
        batch.step()
    return batch.state("only")[0].sample


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("threshold", [0, 2, STEPS - 1, 25])
def test_latents_are_those_of_the_written_out_loop(threshold: int, known: bool) -> None:
    request = Request(seed=1, steps=STEPS, guided=threshold, known=known)
    wanted = reference(request, threshold)
    assert error(made(request), wanted) < 1e-6
    assert error(made(without_blend(request)), wanted) > 1e-4


def written_out_mask(mask: NDArray[np.float32], cell: int) -> NDArray[np.float32]:
    """The mean of the middle four pixels of each cell, of the first frame and of the middle two of every four."""
    half = cell // 2
    frames = [mask[0], *(mask[start + 1 : start + 3].mean(axis=0) for start in range(1, len(mask), 4))]
    middle = [[half - 1, half - 1], [half - 1, half], [half, half - 1], [half, half]]
    return np.stack([sum(frame[y::cell, x::cell] for y, x in middle) / 4 for frame in frames])


@pytest.mark.parametrize("frames", [1, 5, 9])
def test_mask_of_latents_counts_the_centres_as_trilinear_interpolation_does(frames: int) -> None:
    mask = np.random.default_rng(1).random((frames, 32, 48), dtype=np.float32)
    found = latent_mask(mask, 4, (4, 6))
    assert found.shape == (1, 1, 1 + (frames - 1) // 4, 4, 6)
    assert np.allclose(found[0, 0].numpy(), written_out_mask(mask, 8), atol=1e-6)


def test_samples_without_it_and_steps_after_it_are_the_same_bits() -> None:
    generator = torch.Generator().manual_seed(1)
    sample, noise = (torch.randn(3, *SHAPE, generator=generator) for _ in range(2))
    blend = SourceBlend(torch.randn(1, *SHAPE), torch.rand(1, 1, *SHAPE[1:], generator=generator), lowest=0.5)
    rows = BlendedSamples.of([None, blend, blend], list(noise.split(1)), CPU)
    assert rows is not None
    read = rows.blended(sample, torch.tensor([0.9, 0.5, 0.499]))
    assert torch.equal(read[0], sample[0])
    assert not torch.equal(read[1], sample[1])
    assert torch.equal(read[2], sample[2])
    assert BlendedSamples.of([None], [noise[:1]], CPU) is None


@pytest.mark.parametrize(
    "schedule",
    [make_schedule(1000, 1000.0), make_schedule(1000, 200.0), make_schedule(35, 0.5), distilled_schedule(4)],
)
def test_noise_level_tells_the_steps_of_a_run_apart(schedule: Schedule) -> None:
    """The last guided step is known by its level, so no two steps may have one level."""
    assert (schedule.table[:, 0].diff() < 0).all()


def test_guided_sample_does_not_change_the_others_of_its_batch() -> None:
    plain, guided = Request(seed=1, steps=STEPS), Request(seed=2, steps=STEPS, guided=2)
    batch = MODEL.batch()
    batch.join("plain", plain.conditions())
    batch.join("guided", guided.conditions())
    for _ in range(STEPS):
        batch.step()
    assert error(batch.state("plain")[0].sample, made(plain)) < 1e-6
    assert error(batch.state("guided")[0].sample, made(guided)) < 1e-6

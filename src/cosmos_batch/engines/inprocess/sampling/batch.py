"""The denoising batch: samples that go through the network together and join or leave at any denoising step.

Each sample is at its own step of its own schedule, with its own prompt, guidance, control set and weights.
A control branch runs on just those rows whose sample uses it. What does not change while a sample is denoised
(text keys and values, control tokens) is computed when it joins, and stacked when the membership changes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from cosmos_batch.engines.inprocess.gpu.host_device import to_device
from cosmos_batch.engines.inprocess.gpu.launch_ahead import LaunchAhead
from cosmos_batch.engines.inprocess.sampling.samples import Conditioning, Passes, PreparedSample, Velocity
from cosmos_batch.engines.inprocess.sampling.schedule import is_estimated
from cosmos_batch.engines.inprocess.sampling.unipc import (
    SolverState,
    StepCoefficients,
    estimated_velocity,
    unipc_step,
)

_LAYOUTS = 2
"""How many sets of samples are kept laid out: with step caching two sets alternate from step to step."""


class DenoisingBatch:
    """Samples of one latent shape, denoised together."""

    def __init__(self, passes: Passes, *, step_caching: bool = False) -> None:
        """`step_caching`: some steps of every sample are estimated, not computed (see `schedule.is_estimated`)."""
        self._step_caching = step_caching
        self._passes = passes
        self._device = passes.device
        self._samples: dict[str, PreparedSample] = {}
        self._tables: dict[str, Tensor] = {}  # tables of the samples' schedules, on the device
        self._steps: dict[str, int] = {}
        self._solver: SolverState | None = None
        self._launch_ahead = LaunchAhead.of(passes.device)
        self._velocities: dict[tuple[int, ...], Velocity] = {}  # of the samples at these indices

    @property
    def keys(self) -> tuple[str, ...]:
        """The samples in the batch, in the order in which they joined."""
        return tuple(self._samples)

    @torch.no_grad()
    def join(self, key: str, conditioning: Conditioning, solver: SolverState | None = None, step: int = 0) -> None:
        """Add a sample: a fresh one, or one with the solver state and step that it left with.

        Raises ValueError if its latent shape is not the batch's.
        """
        start = (
            solver.to(self._device) if solver else SolverState.start(to_device(conditioning.noise, self._device))
        )
        if self._solver is not None and start.sample.shape[1:] != self._solver.sample.shape[1:]:
            raise ValueError(f"latents {list(start.sample.shape[1:])} in a batch of another shape")
        tokens = self._passes.tokens(conditioning)
        flag = conditioning.known[:, None, :, None, None]
        drift = to_device((conditioning.noise - conditioning.given) * flag, self._device)
        self._samples[key] = PreparedSample(conditioning, tokens, drift)
        self._tables[key] = to_device(conditioning.schedule.table, self._device)
        self._steps[key] = step
        self._solver = SolverState.join([self._solver, start]) if self._solver is not None else start
        self._velocities.clear()

    def state(self, key: str) -> tuple[SolverState, int]:
        """A copy of a sample's solver state, and the number of its steps done."""
        assert self._solver is not None
        return self._solver.rows([self.keys.index(key)]), self._steps[key]

    def leave(self, key: str) -> None:
        """Remove a sample."""
        assert self._solver is not None
        rest = [index for index, other in enumerate(self.keys) if other != key]
        self._solver = self._solver.rows(rest) if rest else None
        del self._samples[key], self._tables[key], self._steps[key]
        self._velocities.clear()

    def steps_done(self, key: str) -> int:
        """Return the number of steps that a sample has done."""
        return self._steps[key]

    def done(self, key: str) -> bool:
        """Whether a sample has done all its steps."""
        return self._steps[key] == self._samples[key].conditions.schedule.steps

    @torch.no_grad()
    def step(self) -> None:
        """Take every sample one step further. If it raises, every sample is as it was before."""
        assert self._solver is not None
        self._launch_ahead.wait()
        coefficients = StepCoefficients.of(list(self._tables.values()), list(self._steps.values()))
        self._solver = unipc_step(self._solver, self._velocities_of(self._solver, coefficients), coefficients)
        self._steps = {key: step + 1 for key, step in self._steps.items()}
        self._launch_ahead.launched()

    def _velocities_of(self, solver: SolverState, coefficients: StepCoefficients) -> Tensor:
        """The velocity of every sample, [B, C, T, H, W]."""
        count, sigma = len(self._samples), coefficients.sigma.flatten().contiguous()
        indices = tuple(index for index in range(count) if not self._estimates(self.keys[index]))
        if len(indices) == count:
            return self._velocity(indices)(solver.sample, sigma)
        made = estimated_velocity(solver, coefficients)
        if indices:
            rows = torch.tensor(indices, device=self._device)
            made[rows] = self._velocity(indices)(solver.sample[rows], sigma[rows])
        return made

    def _estimates(self, key: str) -> bool:
        """Whether a sample's next step is estimated."""
        return self._step_caching and is_estimated(self._steps[key], self._samples[key].conditions.schedule.steps)

    def _velocity(self, indices: tuple[int, ...]) -> Velocity:
        """The network's pass over the samples at these indices."""
        if indices not in self._velocities:
            if len(self._velocities) == _LAYOUTS:
                self._velocities.clear()
            samples = list(self._samples.values())
            self._velocities[indices] = self._passes.arranged([samples[index] for index in indices])
        return self._velocities[indices]

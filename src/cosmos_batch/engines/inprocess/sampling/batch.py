"""The running batch: samples that go through the network together and join or leave at any denoising step.

Each sample stands at its own step of its own schedule, with its own prompt, guidance, control set and weights.
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
"""How many sets of samples are kept laid out: with step caching they take turns, at every other step."""


class DenoisingBatch:
    """Samples of one latent shape, denoised together."""

    def __init__(self, passes: Passes, *, step_caching: bool = False) -> None:
        """`step_caching`: some steps of every sample are estimated, not computed (see `schedule.is_estimated`)."""
        self._step_caching = step_caching
        self._passes = passes
        self._device = passes.device
        self._samples: dict[str, PreparedSample] = {}
        self._tables: dict[str, Tensor] = {}  # of the samples' schedules, on the device
        self._steps: dict[str, int] = {}
        self._memory: SolverState | None = None
        self._launch_ahead = LaunchAhead.of(passes.device)
        self._velocities: dict[tuple[int, ...], Velocity] = {}  # of the samples at these places

    @property
    def keys(self) -> tuple[str, ...]:
        """The samples in the batch, in the order in which they joined."""
        return tuple(self._samples)

    @torch.no_grad()
    def join(self, key: str, conditions: Conditioning, memory: SolverState | None = None, step: int = 0) -> None:
        """Take a sample in: fresh, or with the memory and place that it left with.

        Raises ValueError if its latent shape is not the batch's.
        """
        start = memory.to(self._device) if memory else SolverState.start(to_device(conditions.noise, self._device))
        if self._memory is not None and start.sample.shape[1:] != self._memory.sample.shape[1:]:
            raise ValueError(f"latents {list(start.sample.shape[1:])} in a batch of another shape")
        tokens = self._passes.tokens(conditions)
        flag = conditions.known[:, None, :, None, None]
        drift = to_device((conditions.noise - conditions.given) * flag, self._device)
        self._samples[key] = PreparedSample(conditions, tokens, drift)
        self._tables[key] = to_device(conditions.schedule.table, self._device)
        self._steps[key] = step
        self._memory = SolverState.join([self._memory, start]) if self._memory is not None else start
        self._velocities.clear()

    def state(self, key: str) -> tuple[SolverState, int]:
        """A sample's memory, in a copy, and the number of steps that it has done."""
        assert self._memory is not None
        return self._memory.rows([self.keys.index(key)]), self._steps[key]

    def leave(self, key: str) -> None:
        """Take a sample out."""
        assert self._memory is not None
        rest = [index for index, other in enumerate(self.keys) if other != key]
        self._memory = self._memory.rows(rest) if rest else None
        del self._samples[key], self._tables[key], self._steps[key]
        self._velocities.clear()

    def steps_done(self, key: str) -> int:
        """How many steps a sample has done."""
        return self._steps[key]

    def done(self, key: str) -> bool:
        """Whether a sample has done all its steps."""
        return self._steps[key] == self._samples[key].conditions.schedule.steps

    @torch.no_grad()
    def step(self) -> None:
        """Take every sample one step further. If it raises, every sample is as it was before."""
        assert self._memory is not None
        self._launch_ahead.wait()
        numbers = StepCoefficients.of(list(self._tables.values()), list(self._steps.values()))
        self._memory = unipc_step(self._memory, self._made(self._memory, numbers), numbers)
        self._steps = {key: step + 1 for key, step in self._steps.items()}
        self._launch_ahead.launched()

    def _made(self, memory: SolverState, numbers: StepCoefficients) -> Tensor:
        """The velocity of every sample, [B, C, T, H, W]."""
        count, sigma = len(self._samples), numbers.sigma.flatten().contiguous()
        places = tuple(place for place in range(count) if not self._estimates(self.keys[place]))
        if len(places) == count:
            return self._velocity(places)(memory.sample, sigma)
        made = estimated_velocity(memory, numbers)
        if places:
            index = torch.tensor(places, device=self._device)
            made[index] = self._velocity(places)(memory.sample[index], sigma[index])
        return made

    def _estimates(self, key: str) -> bool:
        """Whether a sample's next step is estimated."""
        return self._step_caching and is_estimated(self._steps[key], self._samples[key].conditions.schedule.steps)

    def _velocity(self, places: tuple[int, ...]) -> Velocity:
        """The network's pass over the samples at these places."""
        if places not in self._velocities:
            if len(self._velocities) == _LAYOUTS:
                self._velocities.clear()
            samples = list(self._samples.values())
            self._velocities[places] = self._passes.arranged([samples[place] for place in places])
        return self._velocities[places]

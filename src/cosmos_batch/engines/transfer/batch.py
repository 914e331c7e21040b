"""The running batch: samples that go through the network together and join or leave at any denoising step.

Each sample stands at its own step of its own schedule, with its own prompt, guidance, control set and weights.
A control branch runs on just those rows whose sample uses it. What does not change while a sample is denoised
(text keys and values, control tokens) is computed when it joins, and stacked when the membership changes.
"""

from __future__ import annotations

import torch

from cosmos_batch.engines.transfer.forward import Passes, Velocity
from cosmos_batch.engines.transfer.layout import Conditions as Conditions
from cosmos_batch.engines.transfer.layout import Guide as Guide
from cosmos_batch.engines.transfer.layout import Sample
from cosmos_batch.engines.transfer.sampler import Memory, unipc_step


class Batch:
    """Samples of one latent shape, denoised together."""

    def __init__(self, passes: Passes) -> None:
        self._passes = passes
        self._device = passes.device
        self._samples: dict[str, Sample] = {}
        self._steps: dict[str, int] = {}
        self._memory: Memory | None = None
        self._velocity: Velocity | None = None  # of the present membership

    @property
    def keys(self) -> tuple[str, ...]:
        """The samples in the batch, in the order in which they joined."""
        return tuple(self._samples)

    @torch.no_grad()
    def join(self, key: str, conditions: Conditions, memory: Memory | None = None, step: int = 0) -> None:
        """Take a sample in: fresh, or with the memory and place that it left with.

        Raises ValueError if its latent shape is not the batch's.
        """
        start = memory or Memory.start(conditions.noise)
        if self._memory is not None and start.sample.shape[1:] != self._memory.sample.shape[1:]:
            raise ValueError(f"latents {list(start.sample.shape[1:])} in a batch of another shape")
        tokens = self._passes.tokens(conditions)
        flag = conditions.known[:, None, :, None, None]
        drift = ((conditions.noise - conditions.given) * flag).to(self._device)
        self._samples[key] = Sample(conditions, tokens, drift)
        self._steps[key] = step
        mine = start.to(self._device)
        self._memory = Memory.join([self._memory, mine]) if self._memory is not None else mine
        self._velocity = None

    def state(self, key: str) -> tuple[Memory, int]:
        """A sample's memory, on the CPU, and the number of steps that it has done."""
        assert self._memory is not None
        return self._memory.rows([self.keys.index(key)]).to(torch.device("cpu")), self._steps[key]

    def leave(self, key: str) -> None:
        """Take a sample out."""
        assert self._memory is not None
        rest = [index for index, other in enumerate(self.keys) if other != key]
        self._memory = self._memory.rows(rest) if rest else None
        del self._samples[key], self._steps[key]
        self._velocity = None

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
        velocity = self._velocity or self._passes.arranged(list(self._samples.values()))
        self._velocity = velocity
        keys = self.keys
        schedules = [self._samples[key].conditions.schedule for key in keys]
        steps = [self._steps[key] for key in keys]
        sigma = torch.stack([s.sigmas[step] for s, step in zip(schedules, steps, strict=True)]).float()
        made = velocity(self._memory.sample, sigma.to(self._device))
        self._memory = unipc_step(self._memory, made, schedules, steps)
        self._steps = {key: step + 1 for key, step in zip(keys, steps, strict=True)}

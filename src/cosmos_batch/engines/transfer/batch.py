"""The running batch: samples that go through the network together and join or leave at any denoising step.

Each sample stands at its own step of its own schedule, with its own prompt, guidance, control set and weights.
A control branch runs on just those rows whose sample uses it. What does not change while a sample is denoised
(text keys and values, control tokens) is computed when it joins, and stacked when the membership changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from cosmos_batch.engines.transfer.network import ControlBranch, Rotary, Text, Transformer, rotary
from cosmos_batch.engines.transfer.sampler import Memory, unipc_step
from cosmos_batch.engines.transfer.schedule import Schedule

KNOWN_SIGMA = 0.1
"""Noise level at which the published model reads latent frames that are given."""


@dataclass(frozen=True, slots=True)
class Guide:
    """One control of one sample."""

    latents: Tensor  # [1, C, T, H, W]
    weight: Tensor  # [] or, from a mask, [N]; as it is applied, already normalised


@dataclass(frozen=True, slots=True)
class Conditions:
    """What one sample is made from. Nothing in it depends on the sample's company."""

    schedule: Schedule
    guidance: float  # g in c + g (c - u); 0: the unguided pass is not run
    prompt: str
    negative: str
    guides: Mapping[str, Guide]
    known: Tensor  # [1, T]: 1 for latent frames that are given
    given: Tensor  # [1, C, T, H, W]: their latents, zero elsewhere
    noise: Tensor  # [1, C, T, H, W]: what the sample started from


class ReadText(Protocol):
    """Prompts as a network's cross-attention reads them: one row, no padding."""

    def __call__(self, network: str, prompt: str) -> Text: ...


@dataclass(frozen=True, slots=True)
class _Sample:
    conditions: Conditions
    tokens: Mapping[str, Tensor]  # of each control, [1, N, D]
    drift: Tensor  # [1, C, T, H, W]: velocity of the given frames, zero elsewhere


@dataclass(frozen=True, slots=True)
class _Lane:
    """The rows that one control branch runs on."""

    name: str
    rows: Tensor  # [r] indices into the batch's rows
    tokens: Tensor  # [r, N, D]
    text: Text
    weight: Tensor  # [r, 1, 1] or [r, N, 1]


@dataclass(frozen=True, slots=True)
class _Layout:
    """All that a step needs beside the latents; valid until the membership changes."""

    sample_of_row: Tensor  # [R]: guided rows of all samples, then the unguided rows of those that have one
    unguided: Tensor  # [u]: samples that have an unguided row
    guidance: Tensor  # [u, 1, 1, 1, 1]
    known: Tensor  # [B, T]
    given: Tensor  # [B, C, T, H, W]
    drift: Tensor  # [B, C, T, H, W]
    text: Text
    lanes: tuple[_Lane, ...]
    table: Rotary


class Batch:
    """Samples of one latent shape, denoised together."""

    def __init__(
        self, base: Transformer, branch: Callable[[str], ControlBranch], read: ReadText, device: torch.device
    ) -> None:
        self._base = base
        self._branch = branch
        self._read = read
        self._device = device
        self._dtype = base.patch.weight.dtype
        self._samples: dict[str, _Sample] = {}
        self._steps: dict[str, int] = {}
        self._memory: Memory | None = None
        self._layout: _Layout | None = None

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
        known = conditions.known.to(self._device)
        tokens = {
            name: self._branch(name).embed(guide.latents.to(self._device, self._dtype), known)
            for name, guide in conditions.guides.items()
        }
        flag = known[:, None, :, None, None]
        drift = (conditions.noise - conditions.given).to(self._device) * flag
        self._samples[key] = _Sample(conditions, tokens, drift)
        self._steps[key] = step
        mine = start.to(self._device)
        self._memory = Memory.join([self._memory, mine]) if self._memory is not None else mine
        self._layout = None

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
        self._layout = None

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
        layout = self._layout or self._arrange()
        self._layout = layout
        keys = self.keys
        schedules = [self._samples[key].conditions.schedule for key in keys]
        steps = [self._steps[key] for key in keys]
        sigma = torch.stack([s.sigmas[step] for s, step in zip(schedules, steps, strict=True)]).float()
        velocity = self._velocity(layout, self._memory.sample, sigma.to(self._device))
        self._memory = unipc_step(self._memory, velocity, schedules, steps)
        self._steps = {key: step + 1 for key, step in zip(keys, steps, strict=True)}

    def _velocity(self, layout: _Layout, sample: Tensor, sigma: Tensor) -> Tensor:
        """Guided velocity [B, C, T, H, W] of noisy latents at noise levels [B]."""
        flag = layout.known[:, None, :, None, None]
        latents = torch.where(flag > 0, layout.given, sample)[layout.sample_of_row]
        levels = torch.where(layout.known > 0, KNOWN_SIGMA, sigma[:, None])[layout.sample_of_row]
        patches = self._base.patches(latents, layout.known[layout.sample_of_row]).to(self._dtype)
        residuals = self._residuals(layout, patches, levels)
        out = self._base(patches, levels, layout.text, residuals, layout.table)
        rows = self._base.unpatch(out, *latents.shape[2:]).float()
        guided, rest = rows[: len(sample)], rows[len(sample) :]
        if len(rest):
            pull = layout.guidance * (guided[layout.unguided] - rest)
            guided = guided.index_add(0, layout.unguided, pull)
        return torch.where(flag > 0, layout.drift, guided)

    def _residuals(self, layout: _Layout, patches: Tensor, levels: Tensor) -> list[Tensor]:
        """The weighted sum of the branches' residuals [R, N, D], per injection."""
        totals: list[Tensor] = []
        for lane in layout.lanes:
            branch = self._branch(lane.name)
            parts = branch(patches[lane.rows], levels[lane.rows], lane.tokens, lane.text, layout.table)
            if not totals:
                shape = (len(patches), *parts[0].shape[1:])
                totals = [torch.zeros(shape, dtype=part.dtype, device=part.device) for part in parts]
            for total, part in zip(totals, parts, strict=True):
                total.index_add_(0, lane.rows, part * lane.weight)
        return totals

    def _arrange(self) -> _Layout:
        samples = list(self._samples.values())
        guided = list(range(len(samples)))
        unguided = [i for i, sample in enumerate(samples) if sample.conditions.guidance > 0]
        rows = guided + unguided
        prompts = [samples[i].conditions.prompt for i in guided]
        prompts += [samples[i].conditions.negative for i in unguided]
        given = torch.cat([sample.conditions.given for sample in samples]).to(self._device)
        strength = torch.tensor([samples[i].conditions.guidance for i in unguided], device=self._device)
        _, _, frames, height, width = given.shape
        patch = self._base.config.patch
        return _Layout(
            sample_of_row=torch.tensor(rows, device=self._device),
            unguided=torch.tensor(unguided, dtype=torch.long, device=self._device),
            guidance=strength.view(-1, 1, 1, 1, 1),
            known=torch.cat([sample.conditions.known for sample in samples]).to(self._device),
            given=given,
            drift=torch.cat([sample.drift for sample in samples]),
            text=self._stack("base", prompts),
            lanes=tuple(self._lane(name, samples, rows, prompts) for name in _controls(samples)),
            table=rotary(self._base.config, frames, height // patch, width // patch, self._device),
        )

    def _lane(self, name: str, samples: Sequence[_Sample], rows: Sequence[int], prompts: Sequence[str]) -> _Lane:
        used = [row for row, i in enumerate(rows) if name in samples[i].conditions.guides]
        owners = [samples[rows[row]] for row in used]
        weights = [owner.conditions.guides[name].weight.to(self._device, self._dtype) for owner in owners]
        longest = max(weight.numel() for weight in weights)
        return _Lane(
            name=name,
            rows=torch.tensor(used, device=self._device),
            tokens=torch.cat([owner.tokens[name] for owner in owners]),
            text=self._stack(name, [prompts[row] for row in used]),
            weight=torch.stack([weight.reshape(-1, 1).expand(longest, 1) for weight in weights]),
        )

    def _stack(self, network: str, prompts: Sequence[str]) -> Text:
        return stack_texts([self._read(network, prompt) for prompt in prompts])


def _controls(samples: Sequence[_Sample]) -> list[str]:
    return sorted({name for sample in samples for name in sample.conditions.guides})


def stack_texts(texts: Sequence[Text]) -> Text:
    """One Text of several one-row ones; shorter ones are padded, and the padding is masked out."""
    lengths = [text.keys.shape[3] for text in texts]
    longest = max(lengths)

    def padded(parts: Sequence[Tensor]) -> Tensor:
        return torch.cat([F.pad(part, (0, 0, 0, longest - part.shape[3])) for part in parts], dim=1)

    mask = None
    if min(lengths) < longest:
        places = torch.arange(longest, device=texts[0].keys.device)
        ends = torch.tensor(lengths, device=places.device)
        mask = (places < ends[:, None])[:, None, None, :]
    return Text(padded([text.keys for text in texts]), padded([text.values for text in texts]), mask)

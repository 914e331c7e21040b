"""Layout of a batch in a forward pass: the rows of its samples, and the inputs of each network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from cosmos_batch.engines.inprocess.gpu.host_device import to_device
from cosmos_batch.engines.inprocess.sampling.samples import PreparedSample
from cosmos_batch.engines.inprocess.sampling.source_blend import BlendedSamples
from cosmos_batch.engines.inprocess.sampling.step_inputs import StepInputs
from cosmos_batch.engines.inprocess.transfer25.config import NetworkConfig
from cosmos_batch.engines.inprocess.transfer25.transformer import Rotary, Text, rotary


class ReadText(Protocol):
    """Gives a prompt as a network's cross-attention reads it: one row, no padding."""

    def __call__(self, network: str, prompt: str) -> Text: ...


@dataclass(frozen=True, slots=True)
class BranchRows:
    """The samples, and their rows, that one control branch runs on."""

    name: str
    samples: Tensor  # [b] indices into the batch's samples
    sample_of_row: Tensor | None  # [r] indices into those; None: one row of each, in their order
    rows: Tensor | None  # [r] indices into the batch's rows; None: all of them
    tokens: Tensor  # [b, N, D]
    text: Text
    weight: Tensor  # [r, 1, 1] or [r, N, 1]


@dataclass(frozen=True)
class Layout(StepInputs):
    """The inputs of a step beside the latents; valid until the membership changes."""

    rows: int  # R
    sample_of_row: Tensor | None
    """[R]: guided rows of all samples, then the unguided rows of those that have one; None: there are none"""
    unguided: Tensor  # [u]: samples that have an unguided row
    guidance: Tensor  # [u, 1, 1, 1, 1]
    known: Tensor  # [B, T]
    none_known: bool  # so all frames of a sample have one noise level
    given: Tensor  # [B, C, T, H, W]
    drift: Tensor  # [B, C, T, H, W]
    blended: BlendedSamples | None  # guided generation; None: no sample has it
    text: Text
    branches: tuple[BranchRows, ...]
    rotary: Rotary

    @property
    def row_tokens(self) -> int:
        """Tokens of the forward pass."""
        return self.rows * self.rotary.cos.shape[0]


@dataclass(frozen=True, slots=True)
class LayoutBuilder:
    """Lays samples out for networks of one configuration."""

    config: NetworkConfig
    read: ReadText
    device: torch.device
    dtype: torch.dtype  # of the networks

    def arrange(self, samples: Sequence[PreparedSample]) -> Layout:
        """The layout of these samples, in this order."""
        unguided = [i for i, sample in enumerate(samples) if sample.conditions.guidance > 0]
        rows = [*range(len(samples)), *unguided]
        prompts = [sample.conditions.prompt for sample in samples]
        prompts += [samples[i].conditions.negative for i in unguided]
        given = to_device(torch.cat([sample.conditions.given for sample in samples]), self.device)
        known = torch.cat([sample.conditions.known for sample in samples])
        strength = to_device(torch.tensor([samples[i].conditions.guidance for i in unguided]), self.device)
        _, _, frames, height, width = given.shape
        patch = self.config.patch
        return Layout(
            rows=len(rows),
            sample_of_row=self._index(rows) if unguided else None,
            unguided=self._index(unguided),
            guidance=strength.view(-1, 1, 1, 1, 1),
            known=to_device(known, self.device),
            none_known=not bool(known.any()),
            given=given,
            drift=torch.cat([sample.drift for sample in samples]),
            blended=BlendedSamples.of(
                [sample.conditions.blend for sample in samples],
                [sample.conditions.noise for sample in samples],
                self.device,
            ),
            text=self._stack("base", prompts),
            branches=tuple(self._branch_rows(name, samples, rows, prompts) for name in _controls(samples)),
            rotary=rotary(self.config, frames, height // patch, width // patch, self.device),
        )

    def _branch_rows(
        self, name: str, samples: Sequence[PreparedSample], rows: Sequence[int], prompts: Sequence[str]
    ) -> BranchRows:
        used = [row for row, i in enumerate(rows) if name in samples[i].conditions.guides]
        owners = [i for i, sample in enumerate(samples) if name in sample.conditions.guides]
        place = {i: index for index, i in enumerate(owners)}
        doubled = len(used) > len(owners)
        guides = [samples[rows[row]].conditions.guides[name] for row in used]
        weights = [to_device(guide.weight, self.device).to(self.dtype) for guide in guides]
        longest = max(weight.numel() for weight in weights)
        return BranchRows(
            name=name,
            samples=self._index(owners),
            sample_of_row=self._index([place[rows[row]] for row in used]) if doubled else None,
            rows=self._index(used) if len(used) < len(rows) else None,
            tokens=_joined([samples[i].tokens[name] for i in owners]),
            text=self._stack(name, [prompts[row] for row in used]),
            weight=torch.stack([weight.reshape(-1, 1).expand(longest, 1) for weight in weights]),
        )

    def _index(self, places: Sequence[int]) -> Tensor:
        return to_device(torch.tensor(places, dtype=torch.long), self.device)

    def _stack(self, network: str, prompts: Sequence[str]) -> Text:
        return stack_texts([self.read(network, prompt) for prompt in prompts])


def _joined(parts: Sequence[Tensor]) -> Tensor:
    """All in one tensor; a single one as it is, for it may be large."""
    return torch.cat(list(parts)) if len(parts) > 1 else parts[0]


def _controls(samples: Sequence[PreparedSample]) -> list[str]:
    return sorted({name for sample in samples for name in sample.conditions.guides})


def stack_texts(texts: Sequence[Text]) -> Text:
    """One Text of several one-row ones; shorter ones are padded, and the padding is masked out."""
    lengths = [text.keys.shape[2] for text in texts]
    longest = max(lengths)

    def padded(parts: Sequence[Tensor]) -> Tensor:
        return torch.cat([F.pad(part, (0, 0, 0, 0, 0, longest - part.shape[2])) for part in parts], dim=1)

    mask = None
    if min(lengths) < longest:
        places = torch.arange(longest, device=texts[0].keys.device)
        ends = torch.tensor(lengths, device=places.device)
        mask = (places < ends[:, None])[:, None, None, :]
    return Text(padded([text.keys for text in texts]), padded([text.values for text in texts]), mask)

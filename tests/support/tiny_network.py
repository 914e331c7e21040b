"""A small random network, and samples for it: what the tests of sampling share."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cosmos_batch.engines.inprocess.sampling.batch import DenoisingBatch
from cosmos_batch.engines.inprocess.sampling.samples import Conditioning, ControlInput
from cosmos_batch.engines.inprocess.sampling.schedule import Schedule
from cosmos_batch.engines.inprocess.sampling.source_blend import SourceBlend
from cosmos_batch.engines.inprocess.transfer25.conditioning import noise, normalised
from cosmos_batch.engines.inprocess.transfer25.config import NetworkConfig
from cosmos_batch.engines.inprocess.transfer25.forward import Forward
from cosmos_batch.engines.inprocess.transfer25.schedule import make_schedule
from cosmos_batch.engines.inprocess.transfer25.transformer import ControlBranch, Text, Transformer

CONFIG = NetworkConfig(
    latent_channels=4, heads=2, head_dim=16, blocks=4, control_blocks=2, inject_every=2, adaln_dim=8,
    context_dim=12, text_dim=None,
)  # fmt: skip
CPU = torch.device("cpu")
SHAPE = (4, 3, 4, 6)  # C, T, H, W
CONTROLS = ("depth", "edge", "seg", "vis")
TOLERANCE = 2e-5  # absolute, float32 latents of order 1


class TinyModel:
    """A random network whose every part matters, and counts how many rows each branch ran on."""

    def __init__(self) -> None:
        torch.manual_seed(1)
        self.base = self._random(Transformer(CONFIG))
        self.branches = {name: self._random(ControlBranch(CONFIG)) for name in CONTROLS}
        self.used: list[str] = []

    @staticmethod
    def _random(network: torch.nn.Module) -> torch.nn.Module:
        for parameter in network.parameters():
            if parameter.dim() > 1:
                torch.nn.init.normal_(parameter, 0, 0.7 / parameter.shape[-1] ** 0.5)
        return network.eval().requires_grad_(False)

    def branch(self, name: str) -> ControlBranch:
        self.used.append(name)
        return self.branches[name]

    def read(self, network: str, prompt: str) -> Text:
        """One token per character, so that prompts differ in length."""
        tokens = [torch.randn(12, generator=torch.Generator().manual_seed(ord(c))) for c in prompt or " "]
        stem = self.base if network == "base" else self.branches[network]
        return stem.read(torch.stack(tokens).unsqueeze(0))

    def batch(self) -> DenoisingBatch:
        return DenoisingBatch(self.passes())

    def passes(self) -> Forward:
        return Forward(self.base, self.branch, self.read, CPU)


@dataclass(frozen=True)
class Request:
    seed: int
    prompt: str = "snow"
    steps: int = 3
    guidance: float = 1.5
    weights: tuple[tuple[str, float], ...] = (("edge", 1.0),)
    known: bool = False
    masked: bool = False
    guided: int | None = None  # step threshold of guided generation

    def conditions(self) -> Conditioning:
        generator = torch.Generator().manual_seed(self.seed + 1)
        tokens = SHAPE[1] * SHAPE[2] * SHAPE[3] // 4
        weights: dict[str, Tensor] = {}
        for name, weight in self.weights:
            mask = torch.rand(tokens, generator=generator) if self.masked else torch.tensor(1.0)
            weights[name] = weight * mask
        guides = {
            name: ControlInput(torch.randn(1, *SHAPE, generator=generator), weight)
            for name, weight in normalised(weights).items()
        }
        flag, latents = torch.zeros(1, SHAPE[1]), torch.zeros(1, *SHAPE)
        if self.known:
            flag[:, 0] = 1
            latents[:, :, 0] = torch.randn(1, *SHAPE, generator=generator)[:, :, 0]
        schedule = make_schedule(self.steps, 200.0)
        return Conditioning(
            schedule,
            self.guidance,
            self.prompt,
            "blurry",
            guides,
            flag,
            latents,
            noise(self.seed, 0, SHAPE),
            self._blend(schedule),
        )

    def _blend(self, schedule: Schedule) -> SourceBlend | None:
        if self.guided is None:
            return None
        generator = torch.Generator().manual_seed(self.seed + 2)
        source = torch.randn(1, *SHAPE, generator=generator)
        mask = torch.rand(1, 1, *SHAPE[1:], generator=generator)
        return SourceBlend(source, mask, float(schedule.table[min(self.guided, self.steps - 1), 0]))


MIX = [
    Request(seed=1),
    Request(seed=2, guidance=0.0, weights=()),
    Request(seed=3, known=True, weights=(("depth", 0.7), ("edge", 0.5)), prompt="a longer prompt"),
]


def made(batch: DenoisingBatch, requests: list[Request]) -> Tensor:
    """Return the latents of the requests after two steps in one batch."""
    for index, request in enumerate(requests):
        batch.join(str(index), request.conditions())
    batch.step()
    batch.step()
    return torch.cat([batch.state(str(index))[0].sample for index in range(len(requests))])


def error(found: Tensor, wanted: Tensor) -> float:
    """Return the relative error in the norm, computed in float64."""
    return float((found.double() - wanted.double()).norm() / wanted.double().norm())

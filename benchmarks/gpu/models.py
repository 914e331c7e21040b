"""Networks of the published Transfer2.5-2B configuration with random weights: the diffusers classes, and ours.

Both hold the same weights. The speed of a forward pass does not depend on their values. Needs diffusers 0.42 and a
CUDA device.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from diffusers import CosmosControlNetModel, CosmosTransformer3DModel
from torch import Tensor, nn

from benchmarks.gpu.folder import PUBLISHED, network_configs
from benchmarks.gpu.pipeline import GUIDANCE, Networks
from benchmarks.gpu.sizes import CONFIG, Size
from cosmos_batch.engines.inprocess.gpu.accelerate import accelerate
from cosmos_batch.engines.inprocess.options import Approximation
from cosmos_batch.engines.inprocess.sampling.batch import Conditioning, ControlInput, DenoisingBatch
from cosmos_batch.engines.inprocess.sampling.schedule import make_schedule
from cosmos_batch.engines.inprocess.transfer25.conditioning import noise, normalised
from cosmos_batch.engines.inprocess.transfer25.diffusers_weights import base_from_diffusers, branch_from_diffusers
from cosmos_batch.engines.inprocess.transfer25.forward import Forward
from cosmos_batch.engines.inprocess.transfer25.transformer import ControlBranch, Stem, Text, Transformer

DEVICE = torch.device("cuda")
TEXT_TOKENS = 512
STEPS = 50
BASE, CONTROL = network_configs(PUBLISHED)


def flops(tokens: int, samples: int, branches: int, *, shared: bool) -> float:
    """Matrix operations of one step, guided and unguided, of samples that go through `branches` each.

    With `shared`, the first self-attention of each network counts once per sample, as we compute it; without, once
    per row, as the architecture has it.
    """
    width, config = CONFIG.width, CONFIG
    attend = 8 * width**2 + 4 * tokens * width  # a token's self-attention with its projections
    rest = 4 * width**2 + 4 * TEXT_TOKENS * width + int(4 * config.mlp_ratio) * width**2
    blocks = config.blocks + config.control_blocks * branches
    networks = 1 + branches
    after = 2 * width**2 * config.control_blocks * branches
    per_token = 2 * (blocks * (attend + rest) + after) - (networks * attend if shared else 0)
    return float(samples * tokens * per_token)


@torch.no_grad()
def _randomise(model: nn.Module) -> nn.Module:
    for parameter in model.parameters():
        if parameter.dim() > 1:
            nn.init.normal_(parameter, 0, parameter[0].numel() ** -0.5)
    return model.eval().requires_grad_(False)


def _made(kind: Any, config: dict[str, Any], dtype: torch.dtype) -> nn.Module:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with DEVICE:
            return _randomise(kind.from_config(config))
    finally:
        torch.set_default_dtype(before)


@dataclass
class Reference:
    """The diffusers classes with random weights, one video at a time."""

    controls: Sequence[str]
    dtype: torch.dtype = torch.bfloat16
    base: nn.Module = field(init=False)
    branches: dict[str, nn.Module] = field(init=False)

    def __post_init__(self) -> None:
        torch.manual_seed(0)
        self.base = _made(CosmosTransformer3DModel, BASE, self.dtype)
        self.branches = {name: _made(CosmosControlNetModel, CONTROL, self.dtype) for name in self.controls}

    def to(self, dtype: torch.dtype) -> None:
        """Compute in another number format from now on."""
        self.dtype = dtype
        for model in (self.base, *self.branches.values()):
            model.to(dtype)

    @torch.no_grad()
    def velocity(self, case: Case, sigma: float) -> Tensor:
        """Guided velocity [1, C, T, H, W] of a case's noise."""
        networks = Networks(self.base, self.branches, self.dtype)
        return networks.velocity(case.noise.to(DEVICE), sigma, case.texts, case.controls, case.weights)


@dataclass
class Case:
    """One video's inputs, random."""

    size: Size
    weights: dict[str, float]
    seed: int = 1
    steps: int = STEPS

    @cached_property
    def noise(self) -> Tensor:
        """What it starts from, on the CPU [1, C, T, H, W]."""
        return noise(self.seed, 0, self.size.latent)

    @cached_property
    def texts(self) -> tuple[Tensor, Tensor]:
        """Features of the prompt and of the negative prompt, [512, 100352]."""
        prompt, negative = (_features(seed) for seed in (self.seed, 0))
        return prompt, negative

    @cached_property
    def controls(self) -> dict[str, Tensor]:
        """Latents of the control videos [1, C, T, H, W]."""
        return {
            name: noise(1000 + self.seed, index, self.size.latent).to(DEVICE, torch.bfloat16)
            for index, name in enumerate(sorted(self.weights))
        }

    def conditions(self) -> Conditioning:
        """The same, as our batch takes it; the prompts are the seeds."""
        weights = normalised({name: torch.tensor(weight) for name, weight in self.weights.items()})
        shape = self.size.latent
        return Conditioning(
            schedule=make_schedule(self.steps),
            guidance=GUIDANCE,
            prompt=str(self.seed),
            negative="0",
            guides={name: ControlInput(self.controls[name], weight) for name, weight in weights.items()},
            known=torch.zeros(1, shape[1]),
            given=torch.zeros(1, *shape),
            noise=self.noise,
        )


def _features(seed: int) -> Tensor:
    generator = torch.Generator(DEVICE).manual_seed(seed)
    return torch.randn(TEXT_TOKENS, 100_352, generator=generator, device=DEVICE, dtype=torch.bfloat16)


def _loaded(network: Stem, state: dict[str, Tensor]) -> Stem:
    network.load_state_dict(state, assign=True)
    return network.eval().requires_grad_(False)


@dataclass
class Ours:
    """Our networks with the weights of the diffusers classes, as the engine runs them."""

    base: Transformer
    branches: dict[str, ControlBranch]
    texts: dict[tuple[str, str], Text] = field(default_factory=dict)
    forward: Forward = field(init=False)  # one for all batches, so that they share what was recorded

    def __post_init__(self) -> None:
        self.forward = Forward(self.base, self.branches.__getitem__, self.read, DEVICE)

    @classmethod
    @torch.no_grad()
    def like(
        cls, reference: Reference, *, fast: bool = True, approximations: Collection[Approximation] = ()
    ) -> Ours:
        """The same weights, in the same number format."""
        with torch.device("meta"):
            base = Transformer(CONFIG)
            branches = {name: ControlBranch(CONFIG) for name in reference.branches}
        _loaded(base, base_from_diffusers(reference.base.state_dict(), CONFIG))
        for name, branch in branches.items():
            state = branch_from_diffusers(reference.branches[name].state_dict(), CONFIG)
            _loaded(branch, {key: tensor.to(DEVICE) for key, tensor in state.items()})
        base.to(DEVICE, reference.dtype)
        for network in (base, *branches.values()):
            network.to(DEVICE, reference.dtype)
            if fast:
                accelerate(network, approximations)
        return cls(base, branches)

    @property
    def weight_bytes(self) -> int:
        """Of base and branches."""
        networks = (self.base, *self.branches.values())
        return sum(p.numel() * p.element_size() for network in networks for p in network.parameters())

    @torch.no_grad()
    def read(self, network: str, prompt: str) -> Text:
        """A prompt's keys and values; the prompt is a seed."""
        if (network, prompt) not in self.texts:
            stem = self.base if network == "base" else self.branches[network]
            features = _features(int(prompt)).to(stem.patch.weight.dtype)
            self.texts[network, prompt] = stem.read(features.unsqueeze(0))
        return self.texts[network, prompt]

    def batch(self, cases: Sequence[Case]) -> DenoisingBatch:
        """A batch of the cases, each at its first step."""
        batch = DenoisingBatch(self.forward)
        for index, case in enumerate(cases):
            batch.join(str(index), case.conditions())
        return batch

"""Networks of one configuration with random weights: the diffusers classes, and ours.

Both hold the same weights. The speed of a forward pass does not depend on their values. The published
configuration needs a CUDA device; the diffusers classes need diffusers 0.42.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.gpu.folder import PUBLISHED, Sizes, network_configs
from benchmarks.gpu.pipeline import GUIDANCE, Networks
from benchmarks.gpu.size import Size
from cosmos_batch.engines.inprocess.gpu.accelerate import accelerate
from cosmos_batch.engines.inprocess.options import Approximation
from cosmos_batch.engines.inprocess.sampling.batch import DenoisingBatch
from cosmos_batch.engines.inprocess.sampling.cuda_graphs import GraphCache
from cosmos_batch.engines.inprocess.sampling.samples import Conditioning, ControlInput
from cosmos_batch.engines.inprocess.transfer25.conditioning import noise, normalised
from cosmos_batch.engines.inprocess.transfer25.config import NetworkConfig
from cosmos_batch.engines.inprocess.transfer25.diffusers_weights import base_from_diffusers, branch_from_diffusers
from cosmos_batch.engines.inprocess.transfer25.forward import Forward
from cosmos_batch.engines.inprocess.transfer25.schedule import make_schedule
from cosmos_batch.engines.inprocess.transfer25.transformer import ControlBranch, Stem, Text, Transformer

STEPS = 50


@dataclass(frozen=True)
class Setup:
    """Sizes of the networks, the device, and the library that they are compared with."""

    sizes: Sizes
    device: torch.device
    diffusers: Callable[[], Any]  # imports the library
    text_tokens: int = 512

    @classmethod
    def published(cls) -> Setup:
        """The published configuration on a CUDA device, against diffusers."""
        return cls(PUBLISHED, torch.device("cuda"), partial(import_module, "diffusers"))

    @property
    def config(self) -> NetworkConfig:
        """Configuration of the networks."""
        return self.sizes.network

    def features(self, seed: int) -> Tensor:
        """Random features of a prompt, [L, text_dim]."""
        generator = torch.Generator(self.device).manual_seed(seed)
        width = self.config.text_dim or self.config.context_dim
        return torch.randn(self.text_tokens, width, generator=generator, device=self.device, dtype=torch.bfloat16)

    def case(self, size: Size, weights: dict[str, float], seed: int = 1, steps: int = STEPS) -> Case:
        """Random inputs of one video."""
        return Case(self, size, weights, seed, steps)

    def flops(self, tokens: int, samples: int, branches: int, *, shared: bool) -> float:
        """Matrix operations of one step, guided and unguided, of samples that go through `branches` each.

        With `shared`, the first self-attention of each network counts once per sample, as we compute it; without,
        once per row, as the architecture has it.
        """
        width, config = self.config.width, self.config
        attend = 8 * width**2 + 4 * tokens * width  # a token's self-attention with its projections
        rest = 4 * width**2 + 4 * self.text_tokens * width + int(4 * config.mlp_ratio) * width**2
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


def _new_network(kind: Any, config: dict[str, Any], dtype: torch.dtype, device: torch.device) -> nn.Module:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with device:
            return _randomise(kind.from_config(config))
    finally:
        torch.set_default_dtype(before)


@dataclass
class Reference:
    """The diffusers classes with random weights, one video at a time."""

    controls: Sequence[str]
    setup: Setup
    dtype: torch.dtype = torch.bfloat16
    base: nn.Module = field(init=False)
    branches: dict[str, nn.Module] = field(init=False)

    def __post_init__(self) -> None:
        torch.manual_seed(0)
        library, device = self.setup.diffusers(), self.setup.device
        base, control = network_configs(self.setup.sizes)
        self.base = _new_network(library.CosmosTransformer3DModel, base, self.dtype, device)
        self.branches = {
            name: _new_network(library.CosmosControlNetModel, control, self.dtype, device)
            for name in self.controls
        }

    @property
    def weight_bytes(self) -> int:
        """Bytes of the weights of base and branches."""
        return _weight_bytes((self.base, *self.branches.values()))

    def to(self, dtype: torch.dtype) -> None:
        """Convert the weights to another number format, in which later passes are computed."""
        self.dtype = dtype
        for model in (self.base, *self.branches.values()):
            model.to(dtype)

    @torch.no_grad()
    def velocity(self, case: Case, sigma: float) -> Tensor:
        """Guided velocity [1, C, T, H, W] of a case's noise."""
        networks = Networks(self.base, self.branches, self.dtype)
        return networks.velocity(case.noise.to(self.setup.device), sigma, case.texts, case.controls, case.weights)


@dataclass
class Case:
    """Random inputs of one video."""

    setup: Setup
    size: Size
    weights: dict[str, float]
    seed: int
    steps: int

    @cached_property
    def noise(self) -> Tensor:
        """Initial noise, on the CPU [1, C, T, H, W]."""
        return noise(self.seed, 0, self.size.latent)

    @cached_property
    def texts(self) -> tuple[Tensor, Tensor]:
        """Features of the prompt and of the negative prompt, [L, text_dim]."""
        prompt, negative = (self.setup.features(seed) for seed in (self.seed, 0))
        return prompt, negative

    @cached_property
    def controls(self) -> dict[str, Tensor]:
        """Latents of the control videos [1, C, T, H, W]."""
        return {
            name: noise(1000 + self.seed, index, self.size.latent).to(self.setup.device, torch.bfloat16)
            for index, name in enumerate(sorted(self.weights))
        }

    def conditions(self) -> Conditioning:
        """The inputs as our batch takes them; the seeds stand for the prompts."""
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


def _weight_bytes(networks: Sequence[nn.Module]) -> int:
    return sum(p.numel() * p.element_size() for network in networks for p in network.parameters())


def _loaded(network: Stem, state: dict[str, Tensor]) -> Stem:
    network.load_state_dict(state, assign=True)
    return network.eval().requires_grad_(False)


@dataclass
class Ours:
    """Our networks with the weights of the diffusers classes, as the engine runs them."""

    setup: Setup
    base: Transformer
    branches: dict[str, ControlBranch]
    texts: dict[tuple[str, str], Text] = field(default_factory=dict)
    forward: Forward = field(init=False)  # one for all batches, so that they share what was recorded

    def __post_init__(self) -> None:
        self.forward = Forward(
            self.base, self.branches.__getitem__, self.read, self.setup.device, GraphCache(self.setup.device)
        )

    @classmethod
    @torch.no_grad()
    def like(
        cls, reference: Reference, *, fast: bool = True, approximations: Collection[Approximation] = ()
    ) -> Ours:
        """The same weights, in the same number format."""
        setup, config = reference.setup, reference.setup.config
        with torch.device("meta"):
            base = Transformer(config)
            branches = {name: ControlBranch(config) for name in reference.branches}
        _loaded(base, base_from_diffusers(reference.base.state_dict(), config))
        for name, branch in branches.items():
            state = branch_from_diffusers(reference.branches[name].state_dict(), config)
            _loaded(branch, {key: tensor.to(setup.device) for key, tensor in state.items()})
        for network in (base, *branches.values()):
            network.to(setup.device, reference.dtype)
            if fast:
                accelerate(network, approximations)
        return cls(setup, base, branches)

    @property
    def weight_bytes(self) -> int:
        """Bytes of the weights of base and branches."""
        return _weight_bytes((self.base, *self.branches.values()))

    @property
    def text_bytes(self) -> int:
        """Bytes of the prompts' keys and values that are kept."""
        tensors = [tensor for text in self.texts.values() for tensor in (text.keys, text.values)]
        return sum(tensor.nelement() * tensor.element_size() for tensor in tensors)

    @torch.no_grad()
    def read(self, network: str, prompt: str) -> Text:
        """Keys and values of a prompt, which is a seed."""
        if (network, prompt) not in self.texts:
            stem = self.base if network == "base" else self.branches[network]
            features = self.setup.features(int(prompt)).to(stem.patch.weight.dtype)
            self.texts[network, prompt] = stem.read(features.unsqueeze(0))
        return self.texts[network, prompt]

    def batch(self, cases: Sequence[Case]) -> DenoisingBatch:
        """A batch of the cases, each before its first step."""
        batch = DenoisingBatch(self.forward)
        for index, case in enumerate(cases):
            batch.join(str(index), case.conditions())
        return batch

    def first_velocity(self, case: Case) -> tuple[Tensor, float]:
        """Guided velocity of a case at its first step, on the CPU [1, C, T, H, W], and the noise level there."""
        batch = self.batch([case])
        sigma = float(case.conditions().schedule.sigmas[0])
        batch.step()
        solver, _ = batch.state("0")
        return (case.noise - solver.newer.cpu()) / sigma, sigma

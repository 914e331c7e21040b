"""The embedded model's networks together: sizes, making, saving, loading, and making videos with them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from cosmos_batch.engines.inprocess.json_files import read_config
from cosmos_batch.engines.inprocess.pocket import MODEL
from cosmos_batch.engines.inprocess.sampling.batch import DenoisingBatch
from cosmos_batch.engines.inprocess.sampling.samples import Conditioning, ControlInput
from cosmos_batch.engines.inprocess.text.trigram import TrigramConfig, TrigramText
from cosmos_batch.engines.inprocess.transfer25.conditioning import noise, normalised
from cosmos_batch.engines.inprocess.transfer25.config import NetworkConfig, from_diffusers, to_diffusers
from cosmos_batch.engines.inprocess.transfer25.diffusers_weights import (
    base_from_diffusers,
    base_to_diffusers,
    branch_from_diffusers,
    branch_to_diffusers,
)
from cosmos_batch.engines.inprocess.transfer25.forward import Forward
from cosmos_batch.engines.inprocess.transfer25.published import SIGMA_MIN
from cosmos_batch.engines.inprocess.transfer25.schedule import SIGMA_MAX, make_schedule
from cosmos_batch.engines.inprocess.transfer25.transformer import ControlBranch, Text, Transformer
from cosmos_batch.engines.inprocess.vae.pocket_vae import FoldedVae
from cosmos_batch.engines.inprocess.weight_files import WeightFiles
from training.pocket.footage import CONTROLS, to_pixels, to_signal
from training.pocket.prompts import NEGATIVE
from training.pocket.world import FRAMES, HEIGHT, WIDTH

CONFIG = NetworkConfig(
    heads=4,
    head_dim=64,
    blocks=6,
    control_blocks=1,
    inject_every=6,
    mlp_ratio=3.0,
    adaln_dim=32,
    context_dim=256,
    text_dim=None,
    rope_scale=(1.0, 1.0, 1.0),
)
STEPS, GUIDANCE = 12, 1.0
"""Default steps and guidance of a run."""

_WEIGHTS = "diffusion_pytorch_model.safetensors"


@dataclass(frozen=True, slots=True)
class Nets:
    """All networks of the model, on one device."""

    base: Transformer
    branches: dict[str, ControlBranch]
    text: TrigramText
    vae: FoldedVae

    def modules(self) -> list[nn.Module]:
        """All networks."""
        return [self.base, *self.branches.values(), self.text, self.vae]

    def to(self, device: torch.device) -> Nets:
        """Move all networks to a device."""
        for module in self.modules():
            module.to(device)
        return self


def new_nets(vae: FoldedVae) -> Nets:
    """Networks ready to be trained: every block begins as the identity, every branch adds nothing."""
    base = Transformer(CONFIG)
    branches = {name: ControlBranch(CONFIG) for name in CONTROLS}
    for stem in (base, *branches.values()):
        for name, weight in stem.named_parameters():
            if name.startswith("after.") or name.endswith("modulation.outer"):
                nn.init.zeros_(weight)
    nn.init.zeros_(base.out_outer.weight)
    nn.init.zeros_(base.out.weight)
    return Nets(base, branches, TrigramText(TrigramConfig()), vae)


def _write(folder: Path, config: Mapping[str, Any], tensors: Mapping[str, Tensor], file: str = _WEIGHTS) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    halves = {name: tensor.detach().to("cpu", torch.bfloat16).contiguous() for name, tensor in tensors.items()}
    save_file(halves, folder / file, metadata={"format": "pt"})


def save_vae(vae: FoldedVae, folder: Path) -> None:
    """Write the autoencoder alone, in bfloat16."""
    _write(folder / "vae", vae.config, vae.state_dict())


def save_nets(nets: Nets, folder: Path) -> None:
    """Write everything in the diffusers folder layout, weights in bfloat16."""
    base_config, branch_config = to_diffusers(CONFIG)
    _write(folder / "transformer", base_config, base_to_diffusers(nets.base.state_dict(), CONFIG))
    for name, branch in nets.branches.items():
        _write(folder / "controlnet" / name, branch_config, branch_to_diffusers(branch.state_dict(), CONFIG))
    _write(folder / "text_encoder", nets.text.config, nets.text.state_dict(), "model.safetensors")
    save_vae(nets.vae, folder)
    for place, content in _notes().items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(json.dumps(content, indent=2) + "\n")


def _notes() -> dict[str, dict[str, Any]]:
    """Content of the files without weights, by path."""
    return {
        "model_index.json": {
            "_class_name": "Cosmos2_5_TransferPipeline",
            "controlnet": ["diffusers", "CosmosControlNetModel"],
            "scheduler": ["diffusers", "UniPCMultistepScheduler"],
            "text_encoder": ["cosmos_batch.engines.inprocess.text.trigram", "TrigramText"],
            "transformer": ["diffusers", "CosmosTransformer3DModel"],
            "vae": ["cosmos_batch.engines.inprocess.vae.pocket_vae", "FoldedVae"],
        },
        "scheduler/scheduler_config.json": {
            "_class_name": "UniPCMultistepScheduler",
            "final_sigmas_type": "zero",
            "prediction_type": "flow_prediction",
            "sigma_max": SIGMA_MAX,
            "sigma_min": SIGMA_MIN,
            "solver_order": 2,
            "solver_type": "bh2",
            "use_flow_sigmas": True,
            "use_karras_sigmas": True,
        },
        "cosmos_batch.json": {
            "name": "pocket",
            "sizes": {str(HEIGHT): {"5:3": [WIDTH, HEIGHT]}},
            "chunk_frames": FRAMES,
            "overlap": 1,
            "guardrail": "none",
            "defaults": {
                "num_steps": STEPS,
                "guidance": GUIDANCE,
                "sigma_max": SIGMA_MAX,
                "seed": 42,
                "fps": "input",
                "resolution": str(HEIGHT),
                "negative_prompt": NEGATIVE,
            },
        },
    }


def load_nets(folder: Path = MODEL) -> Nets:
    """Read everything from a folder, in float32. Raises ModelError where something is missing or does not fit."""
    controlnet = folder / "controlnet"
    config = from_diffusers(read_config(folder / "transformer"), read_config(controlnet / CONTROLS[0]))
    base = Transformer(config)
    base.load_state_dict(base_from_diffusers(WeightFiles(folder / "transformer"), config))
    branches = {}
    for name in CONTROLS:
        branches[name] = ControlBranch(config)
        branches[name].load_state_dict(branch_from_diffusers(WeightFiles(controlnet / name), config))
    nets = Nets(base, branches, TrigramText.load(folder / "text_encoder"), FoldedVae.load(folder / "vae"))
    for module in nets.modules():
        module.float().eval().requires_grad_(False)
    return nets


@dataclass(frozen=True, slots=True)
class Request:
    """One video to make."""

    prompt: str
    controls: Mapping[str, tuple[Tensor, float]]  # control video uint8 [T, H, W, 3], weight
    seed: int = 42


@torch.no_grad()
def generate(
    nets: Nets,
    requests: Sequence[Request],
    steps: int = STEPS,
    guidance: float = GUIDANCE,
    *,
    step_caching: bool = False,
) -> Tensor:
    """Videos uint8 [B, T, H, W, 3] of 17 frames, all in one batch."""
    device = nets.base.patch.weight.device

    def read(network: str, prompt: str) -> Text:
        stem = nets.base if network == "base" else nets.branches[network]
        return stem.read(nets.text.encode(prompt).to(stem.patch.weight.dtype).unsqueeze(0))

    shape = (CONFIG.latent_channels, 1 + (FRAMES - 1) // 4, HEIGHT // 8, WIDTH // 8)
    passes = Forward(nets.base, nets.branches.__getitem__, read, device)
    batch = DenoisingBatch(passes, step_caching=step_caching)
    for index, request in enumerate(requests):
        batch.join(str(index), _conditions(nets, request, shape, steps, guidance))
    for _ in range(steps):
        batch.step()
    latents = torch.cat([batch.state(str(index))[0].sample for index in range(len(requests))])
    return torch.cat([to_pixels(nets.vae.decode(part.to(device))) for part in latents.split(16)]).cpu()


def _conditions(nets: Nets, request: Request, shape: tuple[int, ...], steps: int, guidance: float) -> Conditioning:
    device = nets.base.patch.weight.device
    weights = normalised({name: torch.tensor(weight) for name, (_, weight) in request.controls.items()})
    guides = {
        name: ControlInput(nets.vae.encode(to_signal(video[None].to(device))), weights[name])
        for name, (video, _) in request.controls.items()
    }
    return Conditioning(
        schedule=make_schedule(steps),
        guidance=guidance,
        prompt=request.prompt,
        negative=NEGATIVE,
        guides=guides,
        known=torch.zeros(1, shape[1]),
        given=torch.zeros(1, *shape),
        noise=noise(request.seed, 0, shape),
    )

"""Training of the transformer, its control branches and the text encoder, on precomputed latents."""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

from cosmos_batch.engines.inprocess.text.trigram import TrigramText
from cosmos_batch.engines.inprocess.transfer25.forward import KNOWN_SIGMA
from cosmos_batch.engines.inprocess.transfer25.transformer import rotary
from cosmos_batch.engines.inprocess.vae.pocket_vae import FoldedVae
from training.pocket.fit_vae import rate_at
from training.pocket.footage import CONTROLS, Footage, to_signal
from training.pocket.looks import STYLES
from training.pocket.nets import Nets
from training.pocket.prompts import write_negative, write_prompt

_KNOWN = 0.25  # part of the samples whose first latent frame is given
_UNNAMED = 0.1  # part of the samples whose prompt names no style
_LEAST = 0.2  # weight
_WRONG = 0.3  # part of the controls of weight 0 that would be another scene's: weak controls are trusted less
_PROMPTS = 2000  # per style
_AVERAGE = 0.999  # of the weights that are kept


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """Duration and batch size of the training."""

    seconds: float
    batch: int = 128
    rate: float = 1e-3


@dataclass(frozen=True, slots=True)
class Library:
    """Latents of all clips, and prompts as rows of the text encoder's table."""

    styles: Tensor  # [styles, N, C, T, H, W]
    controls: Tensor  # [controls, N, C, T, H, W]
    prompts: Tensor  # [styles, prompts, L, grams]
    unnamed: Tensor  # [prompts, L, grams]


@dataclass(frozen=True, slots=True)
class Sample:
    """A batch. Every branch runs on half of the rows, drawn independently."""

    clean: Tensor  # [B, C, T, H, W]
    given: Tensor  # [B, C, T, H, W]: what is shown where frames are known
    noise: Tensor  # [B, C, T, H, W]
    sigma: Tensor  # [B]
    known: Tensor  # [B, T]
    prompts: Tensor  # [B, L, grams]
    rows: Tensor  # [controls, B / 2]
    controls: Tensor  # [controls, B / 2, C, T, H, W]
    weights: Tensor  # [controls, B / 2]


@torch.no_grad()
def build_library(vae: FoldedVae, text: TrigramText, footage: list[Footage]) -> Library:
    """Encode all footage, and write the prompts."""
    styles, controls, device = [], [], vae.mean.device
    for clip in footage:
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            styles.append(torch.stack([vae.encode(to_signal(v)).bfloat16() for v in clip.styles.values()]))
            controls.append(torch.stack([vae.encode(to_signal(clip.controls[n])).bfloat16() for n in CONTROLS]))
    dice = random.Random(0)
    prompts = torch.stack([_table(text, [write_prompt(s, dice) for _ in range(_PROMPTS)]) for s in STYLES])
    unnamed = _table(text, [write_negative(dice) for _ in range(99)])
    return Library(torch.cat(styles, 1), torch.cat(controls, 1), prompts.to(device), unnamed.to(device))


def _table(text: TrigramText, prompts: list[str]) -> Tensor:
    rows = torch.zeros(len(prompts), text.sizes.max_words, text.sizes.max_grams, dtype=torch.long)
    for row, prompt in zip(rows, prompts, strict=True):
        tokens = text.tokens(prompt)
        row[: len(tokens)] = tokens
    return rows


def draw(library: Library, size: int) -> Sample:
    """A batch of random clips, styles, prompts, noise levels, controls and weights."""
    device = library.styles.device
    count, frames = library.styles.shape[1], library.styles.shape[3]
    clip = torch.randint(count, (size,), device=device)
    style = torch.randint(len(library.styles), (size,), device=device)
    clean = library.styles[style, clip].float()
    prompts = library.prompts[style, torch.randint(library.prompts.shape[1], (size,), device=device)]
    unnamed = library.unnamed[torch.randint(len(library.unnamed), (size,), device=device)]
    prompts = torch.where(_chance(size, _UNNAMED, device).view(-1, 1, 1), unnamed, prompts)
    known = torch.zeros(size, frames, device=device)
    known[:, 0] = _chance(size, _KNOWN, device).float()
    sigma = torch.sigmoid(0.4 + 1.3 * torch.randn(size, device=device))
    rows, controls, weights = _draw_controls(library, clip)
    given = clean + 0.1 * torch.randn_like(clean)  # the frames of the chunk before are made, not true
    return Sample(clean, given, torch.randn_like(clean), sigma, known, prompts, rows, controls, weights)


def _chance(size: int, part: float, device: torch.device) -> Tensor:
    return torch.rand(size, device=device) < part


def _draw_controls(library: Library, clip: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    size, device = len(clip), clip.device
    rows = torch.stack([torch.randperm(size, device=device)[: size // 2] for _ in CONTROLS])
    drawn = _LEAST + (1 - _LEAST) * torch.rand(rows.shape, device=device)
    strength = torch.where(torch.rand(rows.shape, device=device) < 0.4, 1.0, drawn)
    wrong = torch.rand(rows.shape, device=device) < _WRONG * (1 - strength)
    other = torch.randint(library.controls.shape[1], rows.shape, device=device)
    source = torch.where(wrong, other, clip[rows])
    controls = torch.stack([library.controls[i, index] for i, index in enumerate(source)]).float()
    total = torch.zeros(size, device=device).index_add(0, rows.flatten(), strength.flatten()).clamp(min=1)
    return rows, controls, strength / total[rows]


def network_loss(nets: Nets, sample: Sample) -> Tensor:
    """Mean square error of the velocity, of the frames that are not given."""
    level = sample.sigma.view(-1, 1, 1, 1, 1)
    flag = sample.known[:, None, :, None, None]
    noisy = torch.where(flag > 0, sample.given, (1 - level) * sample.clean + level * sample.noise)
    levels = torch.where(sample.known > 0, KNOWN_SIGMA, sample.sigma[:, None])
    features = nets.text(sample.prompts)
    mask = (sample.prompts != 0).any(-1)[:, None, None, :]
    frames, height, width = sample.clean.shape[2:]
    table = rotary(nets.base.config, frames, height // 2, width // 2, noisy.device)
    patches = nets.base.patches(noisy, sample.known)
    residual = torch.zeros(len(noisy), patches.shape[1], nets.base.config.width, device=noisy.device)
    for name, rows, control, weight in zip(CONTROLS, sample.rows, sample.controls, sample.weights, strict=True):
        branch = nets.branches[name]
        text = branch.read(features[rows])._replace(mask=mask[rows])
        tokens = branch.embed(control, sample.known[rows])
        (part,) = branch(patches[rows], levels[rows], tokens, text, table)
        residual = residual.index_add(0, rows, part.float() * weight.view(-1, 1, 1))
    text = nets.base.read(features)._replace(mask=mask)
    out = nets.base.unpatch(nets.base(patches, levels, text, [residual], table), frames, height, width)
    error = (out.float() - (sample.noise - sample.clean)).square() * (1 - flag)
    return error.mean()


def _trained(nets: Nets) -> list[Tensor]:
    """All weights but the autoencoder's and the image biases, for which the diffusers layout has no place."""
    weights: list[Tensor] = []
    for module in (nets.base, *nets.branches.values(), nets.text):
        for name, weight in module.named_parameters():
            weight.requires_grad_(not name.endswith("image_bias"))
            weights += [weight] if weight.requires_grad else []
    return weights


Step = Callable[[Sample], Tensor]
"""One optimiser step on a batch; returns its loss."""


def _replayed(step: Step, example: Sample) -> Step:
    """The step as a CUDA graph: its hundreds of small kernels are launched at once, on fixed memory."""
    static = Sample(*(getattr(example, field.name).clone() for field in fields(Sample)))
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step(static)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = step(static)

    def replay(sample: Sample) -> Tensor:
        for field in fields(Sample):
            getattr(static, field.name).copy_(getattr(sample, field.name))
        graph.replay()
        return loss

    return replay


def _stepper(nets: Nets, weights: list[Tensor], rate: Tensor) -> Step:
    on_gpu = rate.device.type == "cuda"
    optimizer = torch.optim.AdamW(
        weights, lr=rate, betas=(0.9, 0.98), weight_decay=1e-2, fused=True, capturable=on_gpu
    )

    def step(sample: Sample) -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(rate.device.type, torch.bfloat16, enabled=on_gpu, cache_enabled=False):
            loss = network_loss(nets, sample)
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        return loss.detach()

    return step


def fit_network(
    nets: Nets, library: Library, plan: NetworkPlan, say: Callable[[str], None], compiled: bool
) -> Nets:
    """Train; returns the moving average of the weights. `compiled`: on CUDA only."""
    average = copy.deepcopy(nets)
    weights, means = _trained(nets), _trained(average)
    rate = torch.zeros((), device=weights[0].device)
    step = _stepper(nets, weights, rate)
    if compiled:
        for stem in (nets.base, *nets.branches.values()):
            for block in stem.blocks:
                block.compile(dynamic=False)
        step = _replayed(step, draw(library, plan.batch))
    steps, begin, recent = 0, time.monotonic(), torch.zeros((), device=rate.device)
    while (part := (time.monotonic() - begin) / plan.seconds) < 1:
        rate.fill_(rate_at(part, plan.rate))
        loss = step(draw(library, plan.batch))
        with torch.no_grad():
            torch._foreach_lerp_(means, weights, 1 - min(_AVERAGE, (steps + 1) / (steps + 10)))
        recent = torch.lerp(loss, recent, 0.98 if steps else 0.0)
        steps += 1
        if steps % 250 == 0:
            say(f"network: step {steps}, {time.monotonic() - begin:.0f} s, loss {recent.item():.4f}")
    say(f"network: {steps} steps in {time.monotonic() - begin:.0f} s, loss {recent.item():.4f}")
    for module in average.modules():
        module.eval().requires_grad_(False)
    return average

"""A tiny random model in the diffusers folder layout, and runs for it: the whole engine in a second."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from cosmos_batch.engines.base import Engine, Event, Job, Progress, Result, Session
from cosmos_batch.engines.inprocess.text.trigram import TrigramConfig, TrigramText
from cosmos_batch.engines.inprocess.transfer25.config import NetworkConfig, to_diffusers
from cosmos_batch.engines.inprocess.transfer25.diffusers_weights import base_to_diffusers, branch_to_diffusers
from cosmos_batch.engines.inprocess.transfer25.published import PUBLISHED
from cosmos_batch.engines.inprocess.transfer25.transformer import ControlBranch, Transformer
from cosmos_batch.engines.inprocess.vae.pocket_vae import FoldedConfig, FoldedVae
from cosmos_batch.media.encode import write_video
from cosmos_batch.planning.plan import Batch, Launch
from cosmos_batch.planning.resolve import with_sampling
from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import Control, ResolvedRun, ResolvedSampling, Run, Sampling

CONFIG = NetworkConfig(
    heads=2, head_dim=16, blocks=2, control_blocks=1, inject_every=1, adaln_dim=8, context_dim=32, text_dim=None
)
CONTROLS = ("depth", "edge", "seg", "vis")
SIZE = (48, 32)
CHUNK = 9
SETTINGS = {
    "name": "tiny",
    "sizes": {"32": {"3:2": SIZE}},
    "chunk_frames": CHUNK,
    "overlap": 1,
    "guardrail": "none",
    "defaults": {"num_steps": 3, "guidance": 1.0, "sigma_max": 200, "seed": 0, "fps": "input", "resolution": "32"},
}


def _save(folder: Path, config: dict[str, object], tensors: dict[str, Tensor]) -> None:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    save_file({k: v.contiguous() for k, v in tensors.items()}, folder / "diffusion_pytorch_model.safetensors")


def _random(network: nn.Module) -> dict[str, Tensor]:
    for parameter in network.parameters():
        if parameter.dim() > 1:
            nn.init.normal_(parameter, 0, 0.7 / parameter[0].numel() ** 0.5)
    state = network.state_dict()
    return {name: torch.zeros_like(t) if name.endswith("image_bias") else t for name, t in state.items()}


def write_tiny_model(root: Path) -> Path:
    """The model's folder."""
    torch.manual_seed(0)
    base, control = to_diffusers(CONFIG)
    _save(root / "transformer", base, base_to_diffusers(_random(Transformer(CONFIG)), CONFIG))
    for name in CONTROLS:
        branch = branch_to_diffusers(_random(ControlBranch(CONFIG)), CONFIG)
        _save(root / "controlnet" / name, control, branch)
    vae = FoldedVae(FoldedConfig(16, 16, 16, 16, 16, 16))
    _save(root / "vae", vae.config, _random(vae) | {"std": torch.full((16, 1, 1, 1), 0.5)})
    text = TrigramText(TrigramConfig(buckets=64, bucket_dim=8, features=32, hidden=8))
    _save(root / "text_encoder", text.config, _random(text))
    (root / "scheduler").mkdir()
    (root / "scheduler" / "scheduler_config.json").write_text(
        json.dumps(dict(PUBLISHED.scheduler) | {"sigma_max": 200.0})
    )
    (root / "cosmos_batch.json").write_text(json.dumps(SETTINGS))
    return root


def write_clip(path: Path, frames: int, seed: int = 0) -> str:
    """A small video of moving blocks."""
    dice = np.random.default_rng(seed)
    video = np.full((frames, 64, 96, 3), 40, np.uint8)
    top, left, colour = dice.integers(4, 30), dice.integers(4, 50), dice.integers(90, 255, 3)
    for t in range(frames):
        video[t, top : top + 24, left + t : left + t + 24] = colour
    write_video(path, video, 10.0)
    return str(path)


def as_resolved(run: Run, frames: int) -> ResolvedRun:
    """The run as an engine gets it."""
    defaults = Sampling(**SETTINGS["defaults"], negative_prompt="blurry", keep_input_resolution=False)  # type: ignore[arg-type]
    found: dict[str, object] = {"resolution": "48x32", "num_frames": frames, "fps": 10.0}
    if run.sampling.num_conditional_frames is None:
        found["num_conditional_frames"] = SETTINGS["overlap"]
    return with_sampling(run, ResolvedSampling(**asdict(run.sampling.over(defaults)) | found))  # type: ignore[arg-type]


def make_run(
    name: str, video: str, weights: dict[str, float], frames: int = CHUNK, **sampling: object
) -> ResolvedRun:
    """A resolved run; the input video serves as depth and seg control, too."""
    controls = tuple(
        Control(name=n, weight=w, video=video if n in ("depth", "seg") else None)  # type: ignore[arg-type]
        for n, w in weights.items()
    )
    run = Run(id=name, prompt=f"a video of {name}", controls=controls, video=video, sampling=Sampling(**sampling))  # type: ignore[arg-type]
    return as_resolved(run, frames)


def launch_of(*runs: ResolvedRun) -> Launch:
    """One launch of one batch."""
    batch = Batch(runs, Shape(*SIZE, CHUNK), 0.0, 0)
    return Launch(0, batch.signature, (batch,), 0.0, "a test")


def job_of(run: ResolvedRun, folder: Path) -> Job:
    """The run's job, with its folders below `folder`."""
    return Job(run, folder / run.id, folder / "states" / f"{run.id}.safetensors")


def save_after(engine: Engine, job: Job, steps: int) -> None:
    """Denoise a run for some steps in a session of its own, and save it."""
    session = engine.open(launch_of(job.run))
    list(session.join(job))
    for _ in range(steps):
        list(session.advance())
    session.save(job.run.id)
    session.leave(job.run.id)
    session.close()


def drive(session: Session, events: list[Event] | None = None) -> dict[str, Result]:
    """Advance until every run has ended; the results by run."""
    results = {}
    while session.active:
        for event in session.advance():
            if events is not None:
                events.append(event)
            if isinstance(event, Result):
                results[event.run_id] = event
            else:
                assert isinstance(event, Progress)
    return results

"""NVIDIA's `transfer.py` of Cosmos-Transfer1."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cosmos_batch.engines.nvidia.config import ScriptConfig
from cosmos_batch.engines.nvidia.output_tracker import PositionTracker
from cosmos_batch.engines.nvidia.script import Script, expected_samples
from cosmos_batch.engines.nvidia.transfer1.profile import PROFILE
from cosmos_batch.engines.nvidia.transfer1.traits import TRANSFER1_DRIVEN
from cosmos_batch.planning.plan import Launch

if TYPE_CHECKING:
    from cosmos_batch.engines.nvidia.launch_files import LaunchFiles, Stage
    from cosmos_batch.media.controls.cache import ControlCache


def _write(launch: Launch, folder: Path, cache: ControlCache, stage: Stage) -> LaunchFiles:
    from cosmos_batch.engines.nvidia.transfer1.write import write_transfer1

    return write_transfer1(launch, folder, cache=cache, stage=stage)


def _track(files: LaunchFiles) -> PositionTracker:
    return PositionTracker(expected_samples(files), files.batch_size)


def _arguments(config: ScriptConfig) -> tuple[str, ...]:
    gpus = ("--num_gpus", str(config.gpus)) if config.gpus > 1 else ()
    return (*gpus, *(("--checkpoint_dir", config.checkpoints) if config.checkpoints else ()))


SCRIPT = Script(
    traits=TRANSFER1_DRIVEN,
    profile=PROFILE,
    program=("cosmos_transfer1/diffusion/inference/transfer.py",),
    write=_write,
    track=_track,
    skips_blocked=True,
    exits_when_blocked=True,
    arguments=_arguments,
    guardrail=("prompt", "video"),
    options=frozenset(
        {"--offload_diffusion_transformer", "--offload_text_encoder_model", "--offload_guardrail_models"}
    ),
)

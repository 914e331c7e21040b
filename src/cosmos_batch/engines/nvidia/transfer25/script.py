"""NVIDIA's `examples/inference.py` of Cosmos-Transfer2.5."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cosmos_batch.engines.nvidia.config import ScriptConfig
from cosmos_batch.engines.nvidia.output_tracker import NameTracker
from cosmos_batch.engines.nvidia.script import Script, expected_samples
from cosmos_batch.engines.nvidia.transfer25.profile import PROFILE
from cosmos_batch.engines.nvidia.transfer25.traits import TRANSFER25_SCRIPT
from cosmos_batch.planning.plan import Launch

if TYPE_CHECKING:
    from cosmos_batch.engines.nvidia.launch_files import LaunchFiles, Stage
    from cosmos_batch.media.controls.cache import ControlCache


def _write(launch: Launch, folder: Path, _: ControlCache, stage: Stage) -> LaunchFiles:
    from cosmos_batch.engines.nvidia.transfer25.write import write_transfer25

    return write_transfer25(launch, folder, stage=stage)


def _track(files: LaunchFiles) -> NameTracker:
    return NameTracker(expected_samples(files), start_file="{}.json", end_file="{}.txt", skips=True)


def _arguments(config: ScriptConfig) -> tuple[str, ...]:
    return ("--checkpoint-path", config.checkpoints) if config.checkpoints else ()


SCRIPT = Script(
    traits=TRANSFER25_SCRIPT,
    profile=PROFILE,
    program=("examples/inference.py",),
    write=_write,
    track=_track,
    skips_blocked=True,
    exits_when_blocked=False,
    arguments=_arguments,
    guardrail=("prompt", "negative prompt", "video"),
    options=frozenset({"--offload-guardrail-models"}),
)

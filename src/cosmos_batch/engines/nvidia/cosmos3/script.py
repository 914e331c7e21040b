"""NVIDIA's `cosmos_framework.scripts.inference`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from cosmos_batch.engines.nvidia.config import ScriptConfig
from cosmos_batch.engines.nvidia.cosmos3.profile import PROFILE
from cosmos_batch.engines.nvidia.cosmos3.traits import COSMOS3
from cosmos_batch.engines.nvidia.output_tracker import NameTracker
from cosmos_batch.engines.nvidia.script import Script, expected_samples
from cosmos_batch.planning.plan import Launch

if TYPE_CHECKING:
    from cosmos_batch.engines.nvidia.launch_files import LaunchFiles, Stage
    from cosmos_batch.media.controls.cache import ControlCache


def _write(launch: Launch, folder: Path, _: ControlCache, stage: Stage) -> LaunchFiles:
    from cosmos_batch.engines.nvidia.cosmos3.write import write_cosmos3

    return write_cosmos3(launch, folder, stage=stage)


def _track(files: LaunchFiles) -> NameTracker:
    return NameTracker(expected_samples(files), start_file="{}", end_file="{}/sample_outputs.json", skips=False)


def _config_problems(config: ScriptConfig) -> Iterable[tuple[str, str, str, str]]:
    if config.gpus > 1:
        message = "several GPUs split the samples among them, and their order is then not known"
        yield "gpus", str(config.gpus), message, "say 1"
    if config.checkpoints is not None:
        message = "the script finds its checkpoints by its environment"
        yield "checkpoints", "", message, "use cosmos3.environment"


SCRIPT = Script(
    traits=COSMOS3,
    profile=PROFILE,
    program=("-m", "cosmos_framework.scripts.inference"),
    write=_write,
    track=_track,
    skips_blocked=False,
    exits_when_blocked=False,
    arguments=lambda _: (),
    config_problems=_config_problems,
)

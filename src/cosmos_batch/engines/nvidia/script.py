"""The record that the folder of a script provides: traits, writer, tracker, command line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cosmos_batch.engines.nvidia.config import ScriptConfig
from cosmos_batch.engines.nvidia.output_tracker import ExpectedSample, OutputTracker
from cosmos_batch.engines.profile import ShippedProfile
from cosmos_batch.planning.plan import Launch
from cosmos_batch.planning.traits import Traits

if TYPE_CHECKING:  # writers load torch, which a planner does without
    from cosmos_batch.engines.nvidia.launch_files import LaunchFiles, Stage
    from cosmos_batch.media.controls.cache import ControlCache

Write = Callable[[Launch, Path, "ControlCache", "Stage"], "LaunchFiles"]
"""Writes the files of a launch into a folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """One of NVIDIA's scripts."""

    traits: Traits  # what it holds fixed for a launch and for a batch; its name is the engine's
    profile: ShippedProfile  # its cost before anything is measured
    program: tuple[str, ...]  # the arguments of the interpreter, relative to the root of the script's repository
    write: Write
    track: Callable[[LaunchFiles], OutputTracker]
    skips_blocked: bool  # a sample without an output was refused by the script's guardrail
    exits_when_blocked: bool  # a tensor batch that is refused as a whole ends the script
    arguments: Callable[[ScriptConfig], tuple[str, ...]]  # arguments that come from the configuration
    guardrail: tuple[str, ...] = ()  # what its guardrail checks of every sample
    options: frozenset[str] = frozenset()  # memory levers that a user may pass: they change no video
    table: str = ""  # the configuration's table, where another script has it too; "": that of its name
    environment: Mapping[str, str] = field(default_factory=dict)  # variables that it needs
    config_problems: Callable[[ScriptConfig], Iterable[tuple[str, str, str, str]]] = lambda _: ()
    """Settings of the configuration that this script cannot use: field, value, message, remedy."""

    @property
    def name(self) -> str:
        """The engine's name."""
        return self.traits.name

    @property
    def config_table(self) -> str:
        """The table of the configuration file that says where it is and how it runs."""
        return self.table or self.name

    def argv(self, config: ScriptConfig, files: LaunchFiles) -> tuple[str, ...]:
        """The whole command line of a launch; with several GPUs, under torch's own launcher."""
        spread = ("-m", "torch.distributed.run", f"--nproc_per_node={config.gpus}", "--nnodes=1", "--node_rank=0")
        program = (*spread, *self.program) if config.gpus > 1 else self.program
        return (config.python, *program, *files.arguments, *self.arguments(config), *config.options)


def expected_samples(files: LaunchFiles) -> list[ExpectedSample]:
    """The samples of a launch as a tracker needs them, with paths relative to the folder of the outputs."""

    def relative(path: Path) -> str:
        return path.relative_to(files.outputs).as_posix()

    return [
        ExpectedSample(s.name, s.run.prompt, relative(s.prompt) if s.prompt else None, relative(s.video))
        for s in files.samples
    ]

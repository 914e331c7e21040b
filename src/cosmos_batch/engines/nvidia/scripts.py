"""NVIDIA's three scripts: how each is called, what is written for it, and how its outputs are followed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cosmos_batch.engines.nvidia.config import ScriptConfig
from cosmos_batch.engines.nvidia.cosmos3.write import write_cosmos3
from cosmos_batch.engines.nvidia.launch_files import There, Written
from cosmos_batch.engines.nvidia.output_tracker import ByName, ByPosition, Expected, OutputTracker
from cosmos_batch.engines.nvidia.transfer1.write import write_transfer1
from cosmos_batch.engines.nvidia.transfer25.write import write_transfer25
from cosmos_batch.media.controls.cache import ControlCache
from cosmos_batch.planning.plan import Launch

Write = Callable[[Launch, Path, ControlCache, There], Written]
"""Writes the files of a launch into a folder."""


@dataclass(frozen=True, slots=True)
class Script:
    """One of NVIDIA's scripts."""

    name: str  # the engine's
    program: tuple[str, ...]  # what follows the interpreter on the command line, relative to the script folder
    write: Write
    follow: Callable[[Written], OutputTracker]
    guarded: bool  # a sample that it passes over was refused by its guardrail
    dies_blocked: bool  # a tensor batch that is refused as a whole ends it
    settings: Callable[[ScriptConfig], tuple[str, ...]]  # arguments that come from the configuration

    def argv(self, config: ScriptConfig, written: Written) -> tuple[str, ...]:
        """The whole command line of a launch; with several GPUs, under torch's own launcher."""
        spread = ("-m", "torch.distributed.run", f"--nproc_per_node={config.gpus}", "--nnodes=1", "--node_rank=0")
        program = (*spread, *self.program) if config.gpus > 1 else self.program
        return (config.python, *program, *written.arguments, *self.settings(config), *config.options)


def _write_transfer1(launch: Launch, folder: Path, cache: ControlCache, there: There) -> Written:
    return write_transfer1(launch, folder, cache=cache, there=there)


def _write_transfer25(launch: Launch, folder: Path, _: ControlCache, there: There) -> Written:
    return write_transfer25(launch, folder, there=there)


def _write_cosmos3(launch: Launch, folder: Path, _: ControlCache, there: There) -> Written:
    return write_cosmos3(launch, folder, there=there)


def _expected(written: Written) -> list[Expected]:
    def relative(path: Path) -> str:
        return path.relative_to(written.outputs).as_posix()

    return [
        Expected(s.name, s.run.prompt, relative(s.prompt) if s.prompt else None, relative(s.video))
        for s in written.samples
    ]


def _by_position(written: Written) -> OutputTracker:
    return ByPosition(_expected(written), written.batch_size)


def _flat(written: Written) -> OutputTracker:
    return ByName(_expected(written), first_sign="{}.json", last_sign="{}.txt", skips=True)


def _in_folders(written: Written) -> OutputTracker:
    return ByName(_expected(written), first_sign="{}", last_sign="{}/sample_outputs.json", skips=False)


def _transfer1_settings(config: ScriptConfig) -> tuple[str, ...]:
    gpus = ("--num_gpus", str(config.gpus)) if config.gpus > 1 else ()
    return (*gpus, *(("--checkpoint_dir", config.checkpoints) if config.checkpoints else ()))


def _transfer25_settings(config: ScriptConfig) -> tuple[str, ...]:
    return ("--checkpoint-path", config.checkpoints) if config.checkpoints else ()


SCRIPTS: Mapping[str, Script] = {
    script.name: script
    for script in (
        Script(
            name="transfer1",
            program=("cosmos_transfer1/diffusion/inference/transfer.py",),
            write=_write_transfer1,
            follow=_by_position,
            guarded=True,
            dies_blocked=True,
            settings=_transfer1_settings,
        ),
        Script(
            name="transfer25",
            program=("examples/inference.py",),
            write=_write_transfer25,
            follow=_flat,
            guarded=True,
            dies_blocked=False,
            settings=_transfer25_settings,
        ),
        Script(
            name="cosmos3",
            program=("-m", "cosmos_framework.scripts.inference"),
            write=_write_cosmos3,
            follow=_in_folders,
            guarded=False,
            dies_blocked=False,
            settings=lambda _: (),
        ),
    )
}
"""The scripts by the engine's name."""

"""The registry of the scripts: names, command lines, and what imports it loads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cosmos_batch.engines.nvidia.config import ScriptConfig
from cosmos_batch.engines.nvidia.launch_files import LaunchFiles
from cosmos_batch.engines.nvidia.scripts import SCRIPTS

FILES = LaunchFiles(
    files=(), arguments=("-i", "batch.jsonl"), samples=(), batch_size=1, inputs=(), outputs=Path("/out")
)


def test_scripts_have_the_names_of_their_engines() -> None:
    assert list(SCRIPTS) == ["transfer1", "transfer25", "transfer25-distilled", "cosmos3"]


@pytest.mark.parametrize(
    ("engine", "gpus", "argv"),
    [
        (
            "transfer1",
            1,
            "python cosmos_transfer1/diffusion/inference/transfer.py -i batch.jsonl --checkpoint_dir /w",
        ),
        (
            "transfer1",
            2,
            "python -m torch.distributed.run --nproc_per_node=2 --nnodes=1 --node_rank=0 "
            "cosmos_transfer1/diffusion/inference/transfer.py -i batch.jsonl --num_gpus 2 --checkpoint_dir /w",
        ),
        ("transfer25", 1, "python examples/inference.py -i batch.jsonl --checkpoint-path /w"),
        ("cosmos3", 1, "python -m cosmos_framework.scripts.inference -i batch.jsonl"),
    ],
)
def test_command_line_of_a_launch(engine: str, gpus: int, argv: str) -> None:
    config = ScriptConfig(folder="/opt/script", checkpoints="/w", gpus=gpus)

    assert " ".join(SCRIPTS[engine].argv(config, FILES)) == argv


def test_registry_loads_neither_torch_nor_decoders() -> None:
    program = (
        "import sys, cosmos_batch.engines.nvidia.scripts\n"
        "print([name for name in ('torch', 'av', 'cv2') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"

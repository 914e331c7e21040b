"""Files of runs and their input videos for the GPU benchmarks, in the form in which a user has them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.gpu.size import Size
from cosmos_batch.media.encode import write_video

FPS = 24.0
ENCODERS = 4  # videos that are written at the same time, each with four threads

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class RunSpec:
    """A run to be written to a file."""

    id: str
    controls: tuple[str, ...]
    size: Size
    steps: int
    seed: int

    @property
    def prompt(self) -> str:
        """A prompt that differs for every run."""
        return f"a street at dusk, seen from a slowly moving car, take {self.seed}"

    @property
    def weights(self) -> dict[str, float]:
        """Weights of its controls, with the sum 1."""
        return {name: 1.0 / len(self.controls) for name in self.controls}

    def video(self, kind: str) -> str:
        """The name of its input video, or of the video of a control."""
        return f"{self.id}_{kind}.mp4"


def pictures(size: Size, seed: int) -> Iterator[Picture]:
    """A moving pattern of waves, and a block that moves differently; they depend on the seed."""
    dice = np.random.default_rng(seed)
    y, x = np.mgrid[: size.height, : size.width].astype(np.float32)
    rates = dice.uniform(0.02, 0.1, (3, 2))
    waves = np.stack([127 + 90 * np.sin(down * y + along * x) for down, along in rates], axis=-1).astype(np.uint8)
    side, colour = size.height // 4, dice.integers(0, 255, 3)
    top, left = dice.integers(0, size.height - side), dice.integers(0, size.width - side)
    for index in range(size.frames):
        picture = np.roll(waves, 2 * index, axis=1)
        at = (left + index) % (size.width - side)
        picture[top : top + side, at : at + side] = colour
        yield picture


def write_runs(folder: Path, name: str, specs: Sequence[RunSpec]) -> Path:
    """Write the file of runs and all its videos. Every run has videos of its own, so that no cache holds them."""
    folder.mkdir(parents=True, exist_ok=True)
    videos = {
        folder / spec.video(kind): (spec.size, 100 * spec.seed + index)
        for spec in specs
        for index, kind in enumerate(("video", *spec.controls))
    }
    with ThreadPoolExecutor(ENCODERS) as pool:
        list(pool.map(lambda item: write_video(item[0], pictures(*item[1]), FPS), videos.items()))
    file = folder / f"{name}.jsonl"
    file.write_text("".join(json.dumps(_line(spec)) + "\n" for spec in specs))
    return file


def _line(spec: RunSpec) -> dict[str, Any]:
    return {
        "id": spec.id,
        "prompt": spec.prompt,
        "inputs": {kind: spec.video(kind) for kind in ("video", *spec.controls)},
        "execution_config": {
            "weights": spec.weights,
            "num_steps": spec.steps,
            "seed": spec.seed,
            "resolution": f"{spec.size.width}x{spec.size.height}",
        },
    }

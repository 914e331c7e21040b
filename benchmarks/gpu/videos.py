"""Input videos and a file of runs for the GPU benchmarks, as a user has them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.gpu.sizes import Size
from cosmos_batch.media.encode import write_video

FPS = 24.0
ENCODERS = 4  # videos that are written at the same time, each with four threads

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Wish:
    """A run to be written down."""

    id: str
    controls: Sequence[str]
    size: Size
    steps: int
    seed: int

    @property
    def prompt(self) -> str:
        """Another for every run."""
        return f"a street at dusk, seen from a slowly moving car, take {self.seed}"

    @property
    def weights(self) -> dict[str, float]:
        """Of its controls: together 1."""
        return {name: 1.0 / len(self.controls) for name in self.controls}

    def video(self, kind: str) -> str:
        """The name of its input video or of a control's."""
        return f"{self.id}_{kind}.mp4"


def pictures(size: Size, seed: int) -> Iterator[Picture]:
    """A pattern of waves that moves, with a block that moves otherwise; another for every seed."""
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


def write_runs(folder: Path, name: str, wishes: Sequence[Wish]) -> Path:
    """The runs' file and all its videos, of which every run has its own: no cache knows them."""
    folder.mkdir(parents=True, exist_ok=True)
    videos = {
        folder / wish.video(kind): (wish.size, 100 * wish.seed + index)
        for wish in wishes
        for index, kind in enumerate(("video", *wish.controls))
    }
    with ThreadPoolExecutor(ENCODERS) as pool:
        list(pool.map(lambda item: write_video(item[0], pictures(*item[1]), FPS), videos.items()))
    file = folder / f"{name}.jsonl"
    file.write_text("".join(json.dumps(_line(wish)) + "\n" for wish in wishes))
    return file


def _line(wish: Wish) -> dict[str, Any]:
    return {
        "id": wish.id,
        "prompt": wish.prompt,
        "inputs": {kind: wish.video(kind) for kind in ("video", *wish.controls)},
        "execution_config": {
            "weights": wish.weights,
            "num_steps": wish.steps,
            "seed": wish.seed,
            "resolution": f"{wish.size.width}x{wish.size.height}",
        },
    }

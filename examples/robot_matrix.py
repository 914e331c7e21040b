"""`python -m examples.robot_matrix DATASET OUT FILE.png`: the videos of the tutorial as a matrix.

A row for each episode: its input, then a column for each prompt, the seeds below each other.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from cosmos_batch.formats.lerobot.layout import episode_name
from cosmos_batch.media.video import read_frames
from examples.robot_dataset import CAMERA, HEIGHT, LENGTHS, PROMPTS, WIDTH

SEEDS = (10, 20)
SCALE, GAP, HEAD = 2, 8, 28  # of the pictures, and pixels
Picture = NDArray[np.uint8]


def matrix(dataset: Path, out: Path) -> Picture:
    """Draw the middle frame of each input and output [height, width, 3]."""
    inputs = read_frames(dataset / f"videos/{CAMERA}/chunk-000/file-000.mp4")
    rows = []
    for index, length in enumerate(LENGTHS):
        start, middle, name = sum(LENGTHS[:index]), length // 2, episode_name(index)
        cells = [np.concatenate([_cell(inputs[start + middle]), np.full(_size(), 255, np.uint8)])]
        for prompt in PROMPTS:
            made = [read_frames(out / f"{name}__{prompt}__s{seed}" / "output.mp4")[middle] for seed in SEEDS]
            cells.append(np.concatenate([_cell(frame) for frame in made]))
        rows.append(np.concatenate(cells, axis=1))
    body = np.concatenate(rows)
    return np.concatenate([_headings(["input", *PROMPTS], body.shape[1]), body])


def _size() -> tuple[int, int, int]:
    return SCALE * HEIGHT + GAP, SCALE * WIDTH + GAP, 3


def _cell(frame: Picture) -> Picture:
    """A frame with a white border on the right and below."""
    cell = np.full(_size(), 255, np.uint8)
    cell[:-GAP, :-GAP] = cv2.resize(frame, (SCALE * WIDTH, SCALE * HEIGHT), interpolation=cv2.INTER_CUBIC)
    return cell


def _headings(names: Sequence[str], width: int) -> Picture:
    head = np.full((HEAD, width, 3), 255, np.uint8)
    for column, name in enumerate(names):
        place = (column * _size()[1], HEAD - 10)
        cv2.putText(head, name, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (40, 40, 40), 1, cv2.LINE_AA)
    return head


def main(dataset: Path, out: Path, target: Path) -> None:
    """Write the matrix of a finished tutorial."""
    cv2.imwrite(str(target), cv2.cvtColor(matrix(dataset, out), cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))

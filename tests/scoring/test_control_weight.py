"""Scores of the pocket model's videos rise with the weight of the control that they measure."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

import cosmos_batch
from cosmos_batch.media.encode import write_video


def test_edges_are_kept_the_better_the_higher_the_weight_of_edge(tmp_path: Path) -> None:
    picture = np.full((96, 160, 3), 170, np.uint8)
    cv2.rectangle(picture, (0, 60), (160, 96), (90, 100, 90), -1)
    cv2.rectangle(picture, (20, 30), (60, 75), (200, 80, 60), -1)
    cv2.circle(picture, (110, 60), 22, (60, 80, 200), -1)
    write_video(tmp_path / "in.mp4", picture[None], 8.0)

    def request(weight: float) -> dict[str, object]:
        """A run of one frame and few steps."""
        settings = {"weights": {"edge": weight}, "num_steps": 4, "seed": 5}
        inputs = {"video": str(tmp_path / "in.mp4")}
        return {"id": f"w{weight}", "prompt": "toy blocks", "inputs": inputs, "execution_config": settings}

    made = list(cosmos_batch.run([request(weight) for weight in (0.05, 0.5, 1.0)], out=tmp_path / "out"))

    scores = {result.id: result.scores["edge_f1"] for result in made}
    assert scores["w0.05"] < scores["w0.5"] < scores["w1.0"]

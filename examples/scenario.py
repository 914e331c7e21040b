"""The standard scenario: ten runs, six with edge alone, three with edge and depth, one with all four controls."""

from __future__ import annotations

import json
from pathlib import Path

from cosmos_batch.media.encode import write_video
from training.pocket.world import FPS, film_seed

SCENES = range(9_000, 9_010)
"""Seeds of the scenes; they are not used in training."""

# id, prompt, weights, settings other than the model's own
RUNS: tuple[tuple[str, str, dict[str, float], dict[str, int | float]], ...] = (
    ("plaza_snow", "a plaza under fresh snow", {"edge": 1.0}, {"seed": 1}),
    ("plaza_night", "a plaza at night, under the moon", {"edge": 1.0}, {"seed": 2, "num_steps": 9}),
    ("blocks_neon", "toy blocks in neon colours", {"edge": 0.8}, {"seed": 3}),
    ("blocks_desert", "toy blocks in the desert", {"edge": 1.0}, {"seed": 4, "num_steps": 16}),
    ("street_autumn", "a street in autumn", {"edge": 0.6}, {"seed": 5}),
    ("street_blueprint", "a street, drawn as a blueprint", {"edge": 1.0}, {"seed": 6, "num_steps": 9}),
    ("yard_snow", "a yard in a snowy winter", {"edge": 0.5, "depth": 0.5}, {"seed": 7}),
    ("yard_neon", "a yard lit by neon lights", {"edge": 0.7, "depth": 0.3}, {"seed": 8, "num_steps": 16}),
    ("yard_desert", "a yard among desert dunes", {"edge": 0.3, "depth": 0.9}, {"seed": 9}),
    (
        "square_autumn",
        "a square in golden autumn light",
        {"edge": 0.4, "depth": 0.4, "seg": 0.3, "vis": 0.2},
        {"seed": 10},
    ),
)


def write_scenario(folder: Path) -> Path:
    """Film the scenes and write them and the runs' file into `folder`; returns the file."""
    inputs = folder / "inputs"
    inputs.mkdir(parents=True, exist_ok=True)
    lines = []
    for scene, (name, prompt, weights, settings) in zip(SCENES, RUNS, strict=True):
        film = film_seed(scene, looks=("clay",))
        videos = {"video": film.rgb["clay"], "depth": film.depth, "seg": film.seg}
        given = {}
        for kind in ("video", *(kind for kind in ("depth", "seg") if kind in weights)):
            path = inputs / f"{name}_{kind}.mp4"
            write_video(path, videos[kind][0].numpy(), FPS)
            given[kind] = f"inputs/{path.name}"
        config = {"weights": weights, **settings}
        lines.append({"id": name, "prompt": prompt, "inputs": given, "execution_config": config})
    file = folder / "runs.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def forced(run: dict[str, object], controls: dict[str, str]) -> dict[str, object]:
    """The same run with every branch. `controls`: videos that it lacks, used at a weight without effect."""
    config = run["execution_config"]
    given = run["inputs"]
    assert isinstance(config, dict)
    assert isinstance(given, dict)
    weights = {name: config["weights"].get(name, NO_EFFECT) for name in ("edge", "depth", "seg", "vis")}
    return {**run, "inputs": controls | given, "execution_config": config | {"weights": weights}}


NO_EFFECT = 1e-30
"""A weight at which a branch is computed and the result in float32 does not change."""

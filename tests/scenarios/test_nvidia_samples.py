"""Transfer2.5 and Cosmos 3 through their stand-ins: one sample after the other, each under its own name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from cosmos_batch.formats import read_files
from cosmos_batch.media.video import probe
from cosmos_batch.run import GuidedGeneration
from tests.support.nvidia_world import BLOCKED, DONE, FAILED, World, states

CONTROL_ONLY: dict[str, Any] = {"name": "a", "prompt": "snow", "model_mode": "video2video", "resolution": "256"}


@pytest.fixture
def transfer25(tmp_path: Path) -> World:
    return World(tmp_path, engine="transfer25")


@pytest.fixture
def cosmos3(tmp_path: Path) -> World:
    return World(tmp_path, engine="cosmos3")


def test_transfer25_has_one_start_per_control_set(transfer25: World) -> None:
    sets = [{"edge": 1.0}, {"vis": 0.5}, {"edge": 0.5, "vis": 0.5}]
    runs = [transfer25.run(f"r{i}", weights=sets[i % 3], resolution="256") for i in range(6)]

    assert set(states(transfer25.make(runs)).values()) == {DONE}

    assert sorted(transfer25.diary("controls")) == [["edge"], ["edge", "vis"], ["vis"]]


def test_distilled_edge_model_is_the_one_that_the_script_loads(tmp_path: Path) -> None:
    world = World(tmp_path, engine="transfer25-distilled")
    runs = [
        world.run(f"r{i}", weights={"edge": 1.0}, resolution="256", num_steps=steps)
        for i, steps in ((0, 4), (1, 1))
    ]

    assert set(states(world.make(runs)).values()) == {DONE}

    assert world.diary("model") == ["edge/distilled"]


def test_transfer25_takes_the_mask_of_guided_generation(transfer25: World) -> None:
    np.savez(transfer25.root / "labels.npz", np.ones((2, 4, 6), np.uint8))
    own = GuidedGeneration(mask=str(transfer25.root / "labels.npz"), step_threshold=3, foreground_labels=(1,))
    plain = transfer25.run("plain", resolution="256", num_conditional_frames=0)
    guided = replace(transfer25.run("guided", resolution="256"), guided_generation=own)

    assert states(transfer25.make([guided, plain])) == {"guided": DONE, "plain": DONE}

    recorded = json.loads((transfer25.root / "out" / "guided" / "run.json").read_text())
    assert recorded["run"]["guided_generation"] == {
        "mask": own.mask,
        "step_threshold": 3,
        "foreground_labels": [1],
    }
    assert own.mask in [each["path"] for each in recorded["inputs"]]
    assert sorted(recorded["outputs"]) == ["control_edge.mp4", "output.mp4"]


def test_transfer25_outputs_keep_the_size_of_the_input_to_even_numbers(transfer25: World) -> None:
    run = transfer25.run("odd", video=transfer25.video("odd", size=(65, 37)), resolution="256")

    assert states(transfer25.make([run])) == {"odd": DONE}

    facts = probe(transfer25.root / "out" / "odd" / "output.mp4")
    assert (facts.width, facts.height) == (64, 36)
    assert (transfer25.root / "out" / "odd" / "control_edge.mp4").exists()


def test_transfer25_writes_the_size_of_the_network_where_a_run_asks_for_it(transfer25: World) -> None:
    run = transfer25.run("r", resolution="256", keep_input_resolution=False)

    assert states(transfer25.make([run])) == {"r": DONE}

    facts = probe(transfer25.root / "out" / "r" / "output.mp4")
    assert (facts.width, facts.height) == (320, 192)


@pytest.mark.parametrize("settings", [{"video": "still.png"}, {"num_frames": 1}], ids=["picture", "first frame"])
def test_transfer25_makes_a_picture_of_one_frame(transfer25: World, settings: dict[str, Any]) -> None:
    cv2.imwrite(str(transfer25.root / "still.png"), np.full((36, 64, 3), 128, np.uint8))
    if "video" in settings:
        settings = {"video": str(transfer25.root / settings["video"])}
    run = transfer25.run("r", resolution="256", **settings)

    assert states(transfer25.make([run])) == {"r": DONE}

    folder = transfer25.root / "out" / "r"
    assert sorted(path.name for path in folder.iterdir()) == ["control_edge.jpg", "output.jpg", "run.json"]
    assert (probe(folder / "output.jpg").width, probe(folder / "output.jpg").height) == (64, 36)


def test_skipped_sample_of_transfer25_is_blocked(transfer25: World) -> None:
    transfer25.behaviour = {"unsafe_prompts": ["r0"], "unsafe_videos": ["r3"]}
    runs = [transfer25.run(f"r{i}", resolution="256") for i in range(4)]

    assert states(transfer25.make(runs)) == {"r0": BLOCKED, "r1": DONE, "r2": DONE, "r3": BLOCKED}

    assert len(transfer25.diary("start")) == 1


def test_sample_that_crashes_the_script_costs_the_others_one_restart(transfer25: World) -> None:
    transfer25.behaviour = {"poison": ["r1"]}
    runs = [transfer25.run(f"r{i}", resolution="256") for i in range(4)]

    statuses = transfer25.make(runs)

    assert states(statuses) == {"r0": DONE, "r1": FAILED, "r2": DONE, "r3": DONE}
    assert "cannot cope" in statuses["r1"].cause
    assert transfer25.diary("batch") == [["r0"], ["r1"], ["r2"], ["r3"]]


def test_script_without_output_for_too_long_is_ended(transfer25: World) -> None:
    transfer25.behaviour = {"stuck": ["r1"]}
    transfer25.silence = 1.5
    runs = [transfer25.run(f"r{i}", resolution="256") for i in range(3)]

    statuses = transfer25.make(runs)

    assert states(statuses) == {"r0": DONE, "r1": FAILED, "r2": DONE}
    assert "said nothing for 1.5 s" in statuses["r1"].cause


def test_progress_counts_denoising_steps(transfer25: World) -> None:
    transfer25.behaviour = {"each": 0.4}

    transfer25.make([transfer25.run("r0", resolution="256", num_steps=20)])

    assert transfer25.events.steps[0] == ("r0", 1)
    assert transfer25.events.steps[-1] == ("r0", 20)


def test_cosmos3_runs_mixed_control_sets_in_one_start(cosmos3: World) -> None:
    sets = [{"edge": 1.0}, {"vis": 1.0}, {"edge": 0.5, "vis": 0.5}]
    runs = [cosmos3.run(f"r{i}", weights=sets[i % 3], resolution="256") for i in range(4)]

    assert set(states(cosmos3.make(runs)).values()) == {DONE}

    assert len(cosmos3.diary("start")) == 1


def test_cosmos3_sample_that_crashes_the_script_fails_alone(cosmos3: World) -> None:
    cosmos3.behaviour = {"poison": ["r0"]}
    runs = [cosmos3.run(f"r{i}", resolution="256") for i in range(3)]

    assert states(cosmos3.make(runs)) == {"r0": FAILED, "r1": DONE, "r2": DONE}


@pytest.mark.parametrize(
    ("size", "made"), [((36, 64), (192, 320)), ((64, 48), (320, 256)), ((50, 50), (256, 256))]
)
def test_cosmos3_without_an_input_video_has_the_shape_of_the_control(
    cosmos3: World, size: tuple[int, int], made: tuple[int, int]
) -> None:
    """The script takes that shape whatever the sample says: its output is right, and is kept."""
    control = cosmos3.video("control", size=size, frames=3)
    spec = cosmos3.root / "spec.json"
    spec.write_text(json.dumps(CONTROL_ONLY | {"depth": {"control_path": control}}))
    (run,) = read_files([spec]).runs

    assert states(cosmos3.make([run])) == {"a": DONE}

    found = probe(cosmos3.root / "out" / "a" / "output.mp4")
    assert (found.width, found.height, found.frames, found.fps) == (*made, 3, 24.0)


def test_cosmos3_makes_a_picture_of_a_picture(cosmos3: World) -> None:
    picture = cosmos3.root / "still.png"
    cv2.imwrite(str(picture), np.full((36, 64, 3), 128, np.uint8))
    spec = cosmos3.root / "spec.json"
    spec.write_text(
        json.dumps(CONTROL_ONLY | {"model_mode": "image2image", "edge": {"control_path": str(picture)}})
    )
    (run,) = read_files([spec]).runs

    assert states(cosmos3.make([run])) == {"a": DONE}

    folder = cosmos3.root / "out" / "a"
    assert [probe(folder / name).frames for name in ("output.jpg", "control_edge.jpg")] == [1, 1]


def test_cosmos3_captions_pass_through_the_script(cosmos3: World) -> None:
    caption = '{\n  "subjects": ["a car"],\r\n  "text": "snow"\n}\n'
    (cosmos3.root / "caption.json").write_text(caption, newline="")
    spec = cosmos3.root / "spec.json"
    fields = {"prompt": None, "prompt_path": "caption.json", "negative_prompt_file": "caption.json"}
    spec.write_text(json.dumps(CONTROL_ONLY | fields | {"edge": {"control_path": cosmos3.video("street")}}))
    (run,) = read_files([spec]).runs

    assert states(cosmos3.make([run])) == {"a": DONE}

    assert cosmos3.diary("batch") == [[caption]]

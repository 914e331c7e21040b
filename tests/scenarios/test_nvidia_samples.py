"""Transfer2.5 and Cosmos 3 through their stand-ins: one sample after the other, each under its own name."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosmos_batch.media.video import probe
from tests.support.nvidia_world import BLOCKED, DONE, FAILED, World, states


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


def test_transfer25_outputs_keep_the_size_of_the_input_to_even_numbers(transfer25: World) -> None:
    run = transfer25.run("odd", video=transfer25.video("odd", size=(65, 37)), resolution="256")

    assert states(transfer25.make([run])) == {"odd": DONE}

    facts = probe(transfer25.root / "out" / "odd" / "output.mp4")
    assert (facts.width, facts.height) == (64, 36)
    assert (transfer25.root / "out" / "odd" / "control_edge.mp4").exists()


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

"""Transfer1 through its stand-in: started as seldom as can be, and every output under the run it was made for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.nvidia_world import BLOCKED, DONE, FAILED, World, states


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_runs_of_one_control_set_share_one_start(world: World) -> None:
    runs = [world.run(f"r{i:02}") for i in range(11)]

    assert set(states(world.make(runs)).values()) == {DONE}

    assert world.diary("start") == ["transfer1"]
    assert [len(batch) for batch in world.diary("batch")] == [8, 3]
    assert all(world.shows(run) for run in runs)


def test_blocked_runs_are_blocked_and_no_output_moves_to_another_run(world: World) -> None:
    world.behaviour = {"unsafe_prompts": ["r0", "r7"], "unsafe_videos": ["r3"]}
    runs = [world.run(f"r{i}") for i in range(8)]

    found = states(world.make(runs))

    assert found == {f"r{i}": BLOCKED if i in (0, 3, 7) else DONE for i in range(8)}
    assert all(world.shows(run) for run in runs if found[run.id] == DONE)
    assert len(world.diary("start")) == 1


def test_tensor_batch_blocked_as_a_whole_costs_the_others_one_restart(world: World) -> None:
    world.behaviour = {"unsafe_prompts": [f"r{i:02}" for i in range(8, 16)]}
    runs = [world.run(f"r{i:02}") for i in range(20)]

    found = states(world.make(runs))

    assert found == {f"r{i:02}": BLOCKED if 8 <= i < 16 else DONE for i in range(20)}
    assert len(world.diary("size")) == 2
    assert [len(batch) for batch in world.diary("batch")] == [8, 8, 4]


def test_ambiguous_runs_of_one_prompt_are_repeated_alone(world: World) -> None:
    """All prompts are equal, and the guardrail drops a video: only making them one by one tells which."""
    videos = [world.video(f"v{i}", shade=20 * i + 20) for i in range(4)]
    runs = [world.run(f"r{i}", "the same", video=video) for i, video in enumerate(videos)]
    world.behaviour = {"unsafe_once": "the same"}

    found = states(world.make(runs))

    assert set(found.values()) == {DONE}
    assert all(world.shows(run) for run in runs)
    assert world.diary("size") == [4, 1]


def test_runs_of_one_prompt_need_no_restart_if_none_is_dropped(world: World) -> None:
    videos = [world.video(f"v{i}", shade=20 * i + 20) for i in range(4)]
    runs = [world.run(f"r{i}", "the same", video=video) for i, video in enumerate(videos)]

    assert set(states(world.make(runs)).values()) == {DONE}

    assert all(world.shows(run) for run in runs)
    assert world.diary("size") == [4]


def test_run_that_crashes_the_script_fails_alone(world: World) -> None:
    world.behaviour = {"poison": ["r12"]}
    runs = [world.run(f"r{i:02}") for i in range(20)]

    statuses = world.make(runs)

    found = states(statuses)
    assert found == {f"r{i:02}": FAILED if i == 12 else DONE for i in range(20)}
    assert "cannot cope with 'r12'" in statuses["r12"].cause
    assert all(world.shows(run) for run in runs if found[run.id] == DONE)
    assert world.diary("size") == [8, 1, 1]  # with all; its tensor batch one by one; with what is left


def test_killed_script_costs_no_run(world: World) -> None:
    world.behaviour = {"deadly": {"r09": 1}}
    runs = [world.run(f"r{i:02}") for i in range(12)]

    assert set(states(world.make(runs)).values()) == {DONE}

    assert world.diary("death") == ["r09"]
    assert all(world.shows(run) for run in runs)


def test_run_at_which_the_script_is_killed_each_time_fails(world: World) -> None:
    world.behaviour = {"deadly": {"r1": 99}}
    runs = [world.run(f"r{i}") for i in range(3)]

    statuses = world.make(runs)

    assert states(statuses) == {"r0": DONE, "r1": FAILED, "r2": DONE}
    assert "signal 9" in statuses["r1"].cause


def test_out_of_memory_batch_is_repeated_in_smaller_ones(world: World) -> None:
    world.behaviour = {"most": 3}
    runs = [world.run(f"r{i:02}") for i in range(16)]

    assert set(states(world.make(runs)).values()) == {DONE}

    assert world.diary("size") == [8, 4, 2]
    assert all(world.shows(run) for run in runs)


def test_next_command_knows_the_memory_limit(world: World) -> None:
    world.behaviour = {"most": 4}
    world.make([world.run(f"r{i}") for i in range(8)])
    world.diary_file.unlink()

    world.make([world.run(f"s{i}") for i in range(8)])

    assert world.diary("size") == [4]


def test_run_that_does_not_fit_even_alone_fails(world: World) -> None:
    world.behaviour = {"most": 0}

    statuses = world.make([world.run("r0")])

    assert states(statuses) == {"r0": FAILED}
    assert "even alone" in statuses["r0"].cause


def test_different_shapes_and_weights_never_share_a_tensor_batch_wrongly(world: World) -> None:
    """The stand-in fails where sizes or lengths are mixed, and gives all the first one's weights."""
    shapes = {"wide": (64, 36), "square": (48, 48), "upright": (36, 64)}
    runs = [
        world.run(f"{name}-{frames}-{i}", video=world.video(f"{name}{frames}", size=size, frames=frames))
        for name, size in shapes.items()
        for frames in (2, 3)
        for i in range(3)
    ]

    assert set(states(world.make(runs)).values()) == {DONE}

    assert all(world.shows(run) for run in runs)


def test_input_without_a_derivable_control_fails_its_run_alone(world: World) -> None:
    runs = [world.run("good"), world.run("bad", video=world.video("bad", shade=7)), world.run("fine")]

    statuses = world.make(runs, before=lambda: Path(world.video("bad")).write_bytes(b"no video"))

    assert states(statuses) == {"good": DONE, "bad": FAILED, "fine": DONE}

"""One command over a few runs, and what can go wrong with them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from cosmos_batch.dispatch.output.directory import HOME, OutputDirectory
from cosmos_batch.dispatch.settings import DispatchSettings
from cosmos_batch.engines.base import Job
from cosmos_batch.engines.simulated import Fault, Trouble, Write
from cosmos_batch.errors import InputError, StorageError
from cosmos_batch.ledger import Ledger, State
from cosmos_batch.media.encode import write_video
from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import Run
from tests.support.dispatch_world import EventRecorder, dispatch, make_input, make_run, owner, states, write_answer


@pytest.fixture
def runs(tmp_path: Path) -> list[Run]:
    """Six runs of one shape, with different prompts."""
    video = make_input(tmp_path / "in.mp4")
    return [make_run(f"r{index}", video, prompt=f"street {index}") for index in range(6)]


def test_every_run_is_made_and_filed_under_its_own_name(tmp_path: Path, runs: list[Run]) -> None:
    root = tmp_path / "out"

    statuses = dispatch(runs, root)

    assert set(states(statuses).values()) == {State.SUCCEEDED}
    assert [owner(root, run) for run in runs] == [run.fingerprint for run in runs]
    record = json.loads((root / "r0" / "run.json").read_text())
    assert record["run"]["prompt"] == "street 0"
    assert record["fingerprint"] == runs[0].fingerprint
    assert record["approximations"] == []
    assert set(record["outputs"]) == {"output.mp4"}
    lines = [json.loads(line) for line in (root / "manifest.jsonl").read_text().splitlines()]
    assert {line["id"]: line["output"] for line in lines} == {run.id: f"{run.id}/output.mp4" for run in runs}
    assert not any((root / HOME / "work").iterdir())
    assert not any((root / HOME / "state").iterdir())


def test_the_same_command_again_does_nothing(tmp_path: Path, runs: list[Run]) -> None:
    root = tmp_path / "out"
    dispatch(runs, root)
    events = EventRecorder()

    statuses = dispatch(runs, root, events=events)

    assert events.batches == []
    assert set(states(statuses).values()) == {State.SUCCEEDED}


def test_a_changed_request_under_the_same_id_is_made_again(tmp_path: Path, runs: list[Run]) -> None:
    root, events = tmp_path / "out", EventRecorder()
    dispatch(runs, root)
    other = make_run("r3", tmp_path / "in.mp4", prompt="another street")

    dispatch([*runs[:3], other, *runs[4:]], root, events=events)

    assert events.batches == [("r3",)]
    assert owner(root, other) == other.fingerprint
    assert not any((root / HOME / "replaced").iterdir())


@pytest.mark.parametrize("damage", ["delete", "truncate", "delete record"])
def test_a_lost_or_damaged_output_is_made_again(tmp_path: Path, runs: list[Run], damage: str) -> None:
    root, events = tmp_path / "out", EventRecorder()
    dispatch(runs, root)
    if damage == "delete":
        shutil.rmtree(root / "r2")
    elif damage == "truncate":
        (root / "r2" / "output.mp4").write_bytes(b"half")
    else:
        (root / "r2" / "output.mp4").unlink()

    dispatch(runs, root, events=events)

    assert events.batches == [("r2",)]
    assert owner(root, runs[2]) == runs[2].fingerprint


def test_a_changed_input_makes_its_runs_again(tmp_path: Path, runs: list[Run]) -> None:
    root, events = tmp_path / "out", EventRecorder()
    dispatch(runs, root)
    (tmp_path / "in.mp4").write_bytes((tmp_path / "in.mp4").read_bytes() + b"\0")

    dispatch(runs, root, events=events)

    assert sorted(id_ for batch in events.batches for id_ in batch) == [run.id for run in runs]


def test_finished_outputs_count_without_the_ledger(tmp_path: Path, runs: list[Run]) -> None:
    root, events = tmp_path / "out", EventRecorder()
    dispatch(runs, root)
    for file in (root / HOME).glob("ledger.sqlite*"):
        file.unlink()
    (root / HOME / "state" / "r0-0123.safetensors").write_text("left by a process that died after publishing")

    statuses = dispatch(runs, root, events=events)

    assert events.batches == []
    assert set(states(statuses).values()) == {State.SUCCEEDED}
    assert not any((root / HOME / "state").iterdir())


@pytest.mark.parametrize(
    ("trouble", "step", "state"),
    [
        (Trouble.FAIL, 0, State.FAILED),
        (Trouble.FAIL, 2, State.FAILED),
        (Trouble.FALTER, 2, State.FAILED),  # every time, so the attempts run out
        (Trouble.BLOCK, 0, State.BLOCKED),
        (Trouble.BLOCK, 4, State.BLOCKED),
        (Trouble.BREAK, 0, State.FAILED),  # in join: that run alone
        (Trouble.BREAK, 3, State.FAILED),  # in a step: the batch is halved until the run is alone
        (Trouble.VANISH, 1, State.FAILED),
    ],
)
def test_fault_concerns_its_run_alone(
    tmp_path: Path, runs: list[Run], trouble: Trouble, step: int, state: State
) -> None:
    root = tmp_path / "out"

    statuses = dispatch(runs, root, faults={"r4": Fault(trouble, step)})

    expected = {run.id: State.SUCCEEDED for run in runs} | {"r4": state}
    assert states(statuses) == expected
    assert statuses["r4"].cause
    assert not (root / "r4").exists()
    assert all(owner(root, run) == run.fingerprint for run in runs if run.id != "r4")


def test_retryable_failure_is_retried(tmp_path: Path, runs: list[Run]) -> None:
    statuses = dispatch(runs, tmp_path / "out", faults={"r1": Fault(Trouble.FALTER, 2, times=2)})

    assert statuses["r1"].state is State.SUCCEEDED


def test_failed_runs_are_tried_again_by_the_next_command_and_blocked_ones_are_not(
    tmp_path: Path, runs: list[Run]
) -> None:
    root, events = tmp_path / "out", EventRecorder()
    dispatch(runs, root, faults={"r1": Fault(Trouble.FAIL), "r2": Fault(Trouble.BLOCK)})

    statuses = dispatch(runs, root, events=events)

    assert events.batches == [("r1",)]
    assert statuses["r1"].state is State.SUCCEEDED
    assert statuses["r2"].state is State.BLOCKED


def test_blocked_run_stays_blocked_under_another_spelling_of_its_paths(tmp_path: Path, runs: list[Run]) -> None:
    root, events = tmp_path / "out", EventRecorder()
    dispatch(runs[:2], root, faults={"r1": Fault(Trouble.BLOCK)})
    shutil.copy(tmp_path / "in.mp4", tmp_path / "copy.mp4")
    (tmp_path / "in.mp4").unlink()
    moved = [make_run(f"r{i}", tmp_path / "copy.mp4", prompt=f"street {i}") for i in range(2)]

    statuses = dispatch(moved, root, events=events)

    assert (events.batches, states(statuses)) == ([], {"r0": State.SUCCEEDED, "r1": State.BLOCKED})
    assert statuses["r1"].cause


@pytest.mark.parametrize("change", ["contents", "prompt"])
def test_blocked_run_is_tried_again_once_its_request_changes(tmp_path: Path, runs: list[Run], change: str) -> None:
    root, events, video = tmp_path / "out", EventRecorder(), tmp_path / "in.mp4"
    dispatch(runs[:2], root, faults={"r1": Fault(Trouble.BLOCK)})
    if change == "contents":
        write_video(video, np.full((2, 32, 32, 3), 30, np.uint8), 8.0)
        again = runs[1:2]
    else:
        again = [make_run("r1", video, prompt="another street")]

    statuses = dispatch(again, root, events=events)

    assert (events.batches, statuses["r1"].state) == ([("r1",)], State.SUCCEEDED)


def test_id_that_differs_by_case_alone_from_a_known_one_is_refused(tmp_path: Path, runs: list[Run]) -> None:
    root, events = tmp_path / "out", EventRecorder()
    dispatch(runs, root, faults={"r1": Fault(Trouble.BLOCK)})  # blocked: there is no folder of that name
    others = [make_run(id_, tmp_path / "in.mp4") for id_ in ("R0", "R1", "new")]

    with pytest.raises(InputError) as caught:
        dispatch(others, root, events=events)

    assert [problem.found for problem in caught.value.problems] == ["R0", "R1"]
    assert "differs by case alone from r0" in str(caught.value)
    assert events.batches == []


def test_a_batch_that_does_not_fit_is_halved_and_the_limit_learnt(tmp_path: Path, runs: list[Run]) -> None:
    root, events = tmp_path / "out", EventRecorder()

    statuses = dispatch(runs, root, most=2, events=events)

    assert set(states(statuses).values()) == {State.SUCCEEDED}
    sizes = [len(batch) for batch in events.batches]
    assert sizes[0] > 2
    assert max(sizes[2:]) <= 3
    ledger = Ledger(root / HOME / "ledger.sqlite")
    assert min(ledger.measurements.limits("replay", "virtual").values()) <= 2
    again = EventRecorder()
    dispatch([make_run(f"s{i}", tmp_path / "in.mp4") for i in range(6)], root, most=2, events=again)
    assert max(len(batch) for batch in again.batches) <= 2
    assert not any("halved" in note for note in again.notes)
    ledger.close()


def test_a_run_that_does_not_fit_alone_fails(tmp_path: Path, runs: list[Run]) -> None:
    statuses = dispatch(runs[:3], tmp_path / "out", most=0)

    assert set(states(statuses).values()) == {State.FAILED}
    assert "even alone" in statuses["r0"].cause


def test_a_stop_saves_the_runs_and_the_next_command_continues(tmp_path: Path, runs: list[Run]) -> None:
    root = tmp_path / "out"
    first = EventRecorder(stop_after=14)
    statuses = dispatch(runs, root, events=first)
    assert State.PREEMPTED in states(statuses).values()
    assert State.RUNNING not in states(statuses).values()

    second = EventRecorder()
    statuses = dispatch(runs, root, events=second)

    assert set(states(statuses).values()) == {State.SUCCEEDED}
    assert sorted(first.steps + second.steps) == sorted((run.id, step) for run in runs for step in range(1, 5))
    assert any(json.loads((root / run.id / "run.json").read_text())["resumed"] for run in runs)


def test_the_user_may_limit_the_batch(tmp_path: Path, runs: list[Run]) -> None:
    events = EventRecorder()

    dispatch(runs, tmp_path / "out", events=events, settings=DispatchSettings(max_batch=2))

    assert [len(batch) for batch in events.batches] == [2, 2, 2]


def another_runs_output(runs: list[Run]) -> Write:
    def write(job: Job, shape: Shape) -> None:
        stray = Job(runs[0], job.folder, job.state) if job.run.id == "r5" else job
        write_answer(stray, shape)

    return write


def test_an_output_of_another_run_is_never_published(tmp_path: Path, runs: list[Run]) -> None:
    root = tmp_path / "out"

    statuses = dispatch(runs, root, write=another_runs_output(runs))

    assert statuses["r5"].state is State.FAILED
    assert runs[0].fingerprint in statuses["r5"].cause
    assert not (root / "r5").exists()


def nothing(_job: Job, _shape: Shape) -> None:
    pass


def test_success_without_an_output_is_a_failure(tmp_path: Path, runs: list[Run]) -> None:
    statuses = dispatch(runs[:1], tmp_path / "out", write=nothing)

    assert statuses["r0"].state is State.FAILED
    assert "output.mp4" in statuses["r0"].cause


def test_an_output_folder_that_goes_away_stops_everything(tmp_path: Path, runs: list[Run]) -> None:
    root = tmp_path / "out"

    def pull_the_disk(_job: Job, _shape: Shape) -> None:
        root.rename(tmp_path / "elsewhere")

    with pytest.raises(StorageError, match="is gone"):
        dispatch(runs, root, write=pull_the_disk)

    (tmp_path / "elsewhere").rename(root)
    assert set(states(dispatch(runs, root)).values()) == {State.SUCCEEDED}


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    with OutputDirectory(tmp_path / "out"), pytest.raises(StorageError, match="in use by process"):
        OutputDirectory(tmp_path / "out")


def test_foreign_files_are_never_replaced(tmp_path: Path, runs: list[Run]) -> None:
    root = tmp_path / "out"
    (root / "r1").mkdir(parents=True)
    (root / "r1" / "precious.txt").write_text("mine")

    with pytest.raises(InputError, match="not made by cosmos-batch"):
        dispatch(runs, root)

    assert (root / "r1" / "precious.txt").read_text() == "mine"


def test_every_batch_is_measured(tmp_path: Path, runs: list[Run]) -> None:
    root = tmp_path / "out"

    dispatch(runs, root, settings=DispatchSettings(max_batch=3))

    ledger = Ledger(root / HOME / "ledger.sqlite")
    measured = ledger.measurements.latest("replay", "virtual")
    ledger.close()
    assert [(each.kind, each.first) for each in measured] == [
        ("launch", False),
        ("batch", True),
        ("batch", False),
    ]

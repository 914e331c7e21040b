"""When the first runs of a command all fail for one cause."""

from __future__ import annotations

from cosmos_batch.dispatch.execution.failure_streak import FailureStreak
from cosmos_batch.run import Run
from tests.support.runs import MakeRun


class RecordingStreak(FailureStreak):
    """A streak that ends after three runs, or nine attempts, and keeps the reasons."""

    def __init__(self) -> None:
        self.reasons: list[str] = []
        super().__init__(3, 3, self.reasons.append)


def runs(make_run: MakeRun, count: int) -> list[Run]:
    return [make_run("edge", id=f"night_{number}", video=f"/in/{number}.mp4") for number in range(count)]


def test_runs_that_fail_for_one_cause_end_the_streak_once(make_run: MakeRun) -> None:
    streak = RecordingStreak()
    for run in runs(make_run, 5):
        streak.failed(run, f"{run.id}: no memory: 20.{run.id[-1]} GiB wanted, {run.id[-1]} free", final=True)
    assert streak.reasons == [
        "the first 3 runs have failed for one cause: night_2: no memory: 20.2 GiB wanted, 2 free"
    ]


def test_another_cause_begins_anew(make_run: MakeRun) -> None:
    streak = RecordingStreak()
    for run, cause in zip(runs(make_run, 6), ["a", "a", "b", "b", "a", "a"], strict=True):
        streak.failed(run, cause, final=True)
    assert streak.reasons == []


def test_cause_that_names_a_video_of_the_run_does_not_count(make_run: MakeRun) -> None:
    streak = RecordingStreak()
    for run in runs(make_run, 6):
        streak.failed(run, f"{run.video}: it cannot be read", final=True)
    same = [make_run("edge", video="/in/same.mp4") for _ in range(6)]
    for run in same:
        streak.failed(run, "same.mp4: it cannot be read", final=True)
    assert streak.reasons == []
    for run in same[:3]:  # nor do such failures end a streak
        streak.failed(run, "no device", final=True)
        streak.failed(run, "same.mp4: it cannot be read", final=True)
    assert len(streak.reasons) == 1


def test_success_ends_the_count_for_good(make_run: MakeRun) -> None:
    streak = RecordingStreak()
    streak.succeeded()
    for run in runs(make_run, 9):
        streak.failed(run, "no device", final=True)
    assert streak.reasons == []


def test_nothing_is_decided_while_an_output_is_being_written(make_run: MakeRun) -> None:
    first, *others = runs(make_run, 7)
    streak = RecordingStreak()
    streak.denoised(first.id)
    for run in others[:4]:
        streak.failed(run, "no device", final=True)
    assert streak.reasons == []
    streak.left(first.id)
    streak.failed(others[4], "no device", final=True)
    assert streak.reasons == ["the first 5 runs have failed for one cause: no device"]


def test_attempts_count_where_runs_are_tried_again(make_run: MakeRun) -> None:
    streak = RecordingStreak()
    for run in runs(make_run, 9):
        assert streak.reasons == []
        streak.failed(run, "the output is not whole", final=False)
    assert streak.reasons == ["the first 9 attempts have failed for one cause: the output is not whole"]


def test_one_run_that_fails_again_and_again_is_one_run(make_run: MakeRun) -> None:
    streak = RecordingStreak()
    (run,) = runs(make_run, 1)
    for attempt in range(3):
        streak.failed(run, "the output is not whole", final=attempt == 2)
    assert streak.reasons == []

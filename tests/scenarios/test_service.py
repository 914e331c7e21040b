"""A worker of a service on a virtual clock: when runs start, which share a batch, and how failures end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cosmos_batch.dispatch.contract import ExitCode
from cosmos_batch.dispatch.scheduler.queue_planner import SchedulerSettings
from cosmos_batch.dispatch.settings import DispatchSettings
from cosmos_batch.engines.base import Job
from cosmos_batch.engines.simulated import Fault, SimulatedBehaviour, SimulatedEngine, Trouble
from cosmos_batch.errors import LedgerError
from cosmos_batch.ledger import BatchFacts, Mode, State
from cosmos_batch.planning.policies.flush import FlushRules
from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import Priority
from tests.support.dispatch_world import PRIOR, TRAITS
from tests.support.service_world import ListeningEngine, World, stamp


def batches(world: World) -> dict[int, list[str]]:
    """Who was in which batch, those that joined later included."""
    members: dict[int, list[str]] = {}
    for line in world.happened("began"):
        members.setdefault(line["batch"], []).extend(line["runs"])
    return members


def test_runs_that_come_one_by_one_share_a_batch(world: World) -> None:
    world.submit(world.run("r0", steps=8))
    for index in range(1, 5):
        world.arrive(index * 1.5, world.run(f"r{index}", steps=8))

    assert world.serve() == [ExitCode.STOPPED]

    assert set(world.states().values()) == {State.SUCCEEDED}
    assert batches(world) == {1: ["r0", "r1", "r2", "r3", "r4"]}
    # the device was idle for the first; every other joined at the end of the step in which it came
    assert [world.began(f"r{index}") for index in range(5)] == [0, 2, 3, 5, 6]
    assert [world.finished(f"r{index}") for index in range(5)] == [8, 10, 11, 13, 14]


def test_launch_of_the_same_branches_shares_the_session(world: World) -> None:
    """No run waits for outputs that are still written, nor for a new session."""
    world.settings = replace(world.settings, max_batch=2)
    engine = ListeningEngine(world, lag=2)
    world.submit(*[world.run(f"r{index}") for index in range(4)])
    world.arrive(9.5, world.run("late"))

    world.serve(engine)

    assert set(world.states().values()) == {State.SUCCEEDED}
    assert batches(world) == {1: ["r0", "r1"], 2: ["r2", "r3"], 3: ["late"]}
    assert [world.began(f"r{index}") for index in range(4)] == [0, 0, 4, 4]
    assert [world.finished(f"r{index}") for index in range(2)] == [6, 6]  # two steps after the last of their own
    assert engine.launches == [["edge"], ["edge"]]  # no run was running when the late one came


def test_session_switches_branches_while_outputs_are_written(world: World) -> None:
    world.settings = replace(world.settings, max_batch=1)
    engine = ListeningEngine(world, lag=2)
    world.submit(world.run("a", priority=3), world.run("c", priority=1))
    world.arrive(0.5, world.run("b", priority=2, controls="depth"))

    world.serve(engine)

    assert set(world.states().values()) == {State.SUCCEEDED}
    assert engine.launches == [["edge", "depth+edge"]]
    assert (world.began("b"), world.finished("a")) == (4, 6)


def test_launch_that_cannot_be_switched_to_waits(world: World) -> None:
    """As where an engine cannot start: its runs get another turn later, and nothing that was denoised is lost."""
    engine = ListeningEngine(world, lag=2, refuses="no such branch today")
    world.submit(world.run("a", priority=3))
    world.arrive(0.5, world.run("b", priority=2, controls="depth", steps=2))

    world.serve(engine)

    assert set(world.states().values()) == {State.SUCCEEDED}
    assert engine.launches == [["edge"], ["edge"], ["depth"]]
    assert any("no such branch today" in line["message"] for line in world.happened("noted"))


def test_suspect_has_a_session_of_its_own(world: World) -> None:
    engine = ListeningEngine(world, lag=2)
    world.submit(world.run("a", priority=1), world.run("b"))
    world.ledger.queue.claim(["b"], BatchFacts("replay", Shape(32, 32, 2), 1.0, 0), "dead", lease=900)
    world.ledger.queue.reclaim("it died", worker="dead")
    world.ledger.crashes.record_crash({"b": 0}, "it died")

    world.serve(engine)

    assert set(world.states().values()) == {State.SUCCEEDED}
    assert engine.launches == [["edge"], ["edge"]]


def test_engine_seconds_are_counted_batch_by_batch(world: World) -> None:
    world.settings = replace(world.settings, max_batch=1)
    world.lag = 1
    world.submit(world.run("a"), world.run("b"))
    seen: list[float] = []
    world.clock.at(6.5, lambda: seen.append(world.ledger.measurements.counters()["engine_seconds", ""]))

    world.serve()

    assert seen == [4.0]


def test_a_batch_takes_no_more_than_was_planned(world: World) -> None:
    world.submit(*[world.run(f"r{index}", steps=4 + index) for index in range(8)])
    world.arrive(1.5, world.run("late"), world.run("later"))

    world.serve()

    assert world.began("late") == world.finished("r0") == 4
    assert world.began("later") == world.finished("r1") == 5


def test_urgent_run_starts_within_a_step_and_the_preempted_run_loses_none(world: World) -> None:
    world.submit(*[world.run(f"r{index}", steps=10, priority=-index) for index in range(8)])
    world.arrive(3.5, world.run("urgent", steps=5, priority=Priority.URGENT))

    world.serve()

    assert world.began("urgent") == 4
    assert world.finished("urgent") == 9
    assert [change.state for change in world.ledger.queries.history("r7")][2:5] == [
        State.RUNNING,
        State.PREEMPTED,
        State.LEASED,
    ]
    assert world.finished("r7") == 15  # ten steps, and five beside which the urgent run sat in its place
    assert world.ledger.measurements.counters()["preemptions", ""] == 1


def test_urgent_run_of_another_shape_preempts_the_batch(world: World) -> None:
    world.submit(*[world.run(f"r{index}", steps=10) for index in range(3)])
    other = world.run("urgent", steps=5, priority=Priority.URGENT)
    world.arrive(3.5, replace(other, sampling=replace(other.sampling, resolution="48x48")))

    world.serve()

    assert (world.began("urgent"), world.finished("urgent")) == (4, 9)
    assert {world.finished(f"r{index}") for index in range(3)} == {15}


def test_a_script_finishes_its_launch_and_the_urgent_run_is_next(world: World) -> None:
    world.traits = replace(TRAITS, ragged=False, steppable=False, launch_keys=("signature",))
    world.submit(*[world.run(f"r{index}", steps=10) for index in range(4)])
    world.arrive(3.5, world.run("urgent", steps=5, priority=Priority.URGENT), world.run("other"))

    world.serve()

    assert {world.finished(f"r{index}") for index in range(4)} == {world.began("urgent")}
    assert world.began("other") >= world.finished("urgent")


def test_runs_that_gather_behind_a_script_share_a_launch(world: World) -> None:
    world.traits = replace(TRAITS, ragged=False, steppable=False, launch_keys=("signature",))
    world.scheduling = SchedulerSettings(rules=FlushRules(seconds=100, runs=32, quiet=2))
    for index in range(3):
        world.arrive(index, world.run(f"a{index}", steps=20))
    for index in range(3):
        world.arrive(10 + index, world.run(f"b{index}"))

    world.serve()

    assert list(batches(world).values()) == [["a0", "a1", "a2"], ["b0", "b1", "b2"]]
    assert world.began("a0") == 4  # no run came for two seconds


def test_no_run_waits_without_bound_behind_a_large_group(world: World) -> None:
    world.scheduling = SchedulerSettings(rules=FlushRules(), point_seconds=10)
    lone = world.run("lone", controls="depth+edge+seg+vis")
    world.submit(*[world.run(f"r{index:03}") for index in range(8)])
    world.arrive(1, replace(lone, sampling=replace(lone.sampling, resolution="48x48")))
    for second in range(1, 30):  # half as many again as can be made
        world.arrive(second, *[world.run(f"p{second:03}-{index}") for index in range(3)])

    world.serve()

    assert set(world.states().values()) == {State.SUCCEEDED}
    assert world.began("lone") < 25
    assert world.finished("p029-2") > 45


@pytest.mark.parametrize(("lower", "others"), [(Priority.LOW, 0), (Priority.LOW, -1), (0, 10), (10, 99)])
def test_waiting_outweighs_a_lower_priority_of_the_same_level_only(world: World, lower: int, others: int) -> None:
    world.scheduling = SchedulerSettings(point_seconds=0.5)
    world.settings = replace(world.settings, max_batch=1)
    world.submit(world.run("first", priority=others), world.run("low", priority=lower))
    for second in range(1, 70):
        world.arrive(second, world.run(f"n{second:02}", steps=1, priority=others))

    world.serve()

    due = 0.5 * (others - lower)  # a point for every half second
    if Priority.level(lower) is Priority.level(others):
        assert due <= world.began("low") < due + 4
    else:
        assert world.began("low") >= world.finished("n69")


@pytest.mark.parametrize("steppable", [True, False])
def test_high_run_precedes_two_thousand_that_have_waited_for_days(world: World, steppable: bool) -> None:
    world.traits = replace(TRAITS, steppable=steppable)
    world.settings = replace(world.settings, max_batch=1)
    present = world.clock.time
    world.clock.time -= 3 * 86_400
    world.submit(*[world.run(f"r{index:04}", steps=10) for index in range(2000)])
    world.clock.time = present
    world.submit(world.run("high", priority=Priority.HIGH), world.run("higher", priority=11))
    worker = world.worker()
    world.clock.at(15, lambda: worker.stop.request())

    worker.run()

    assert world.began("higher") <= world.began("high") <= 8
    assert {world.states()["high"], world.states()["r1999"]} == {State.SUCCEEDED, State.QUEUED}


def test_a_waiting_run_is_cancelled_at_once_and_a_running_one_at_the_next_step(world: World) -> None:
    world.submit(*[world.run(f"r{index}", steps=10) for index in range(9)])
    world.clock.at(2.5, lambda: world.ledger.runs.cancel(["r0", "r8"]))

    world.serve()

    assert world.states() == {f"r{index}": State.SUCCEEDED for index in range(1, 8)} | {
        "r0": State.CANCELLED,
        "r8": State.CANCELLED,
    }
    assert (world.finished("r0"), world.finished("r8")) == (3, 2.5)
    assert not any((world.home.videos / ".cosmos-batch" / "state").iterdir())
    assert not any((world.home.videos / ".cosmos-batch" / "work").iterdir())


def test_run_that_becomes_urgent_preempts_others(world: World) -> None:
    world.submit(*[world.run(f"r{index}", steps=10) for index in range(12)])
    world.clock.at(2.5, lambda: world.ledger.runs.reprioritise(["r9"], Priority.URGENT))

    world.serve()

    assert world.began("r9") == 3


def test_a_pause_saves_every_run_and_ends_the_process_and_they_go_on_later(world: World) -> None:
    world.submit(*[world.run(f"r{index}", steps=10) for index in range(3)])
    world.clock.at(3.5, lambda: world.ledger.settings.set_mode(Mode.PAUSED))

    assert world.serve() == [ExitCode.AWAY]
    assert set(world.states().values()) == {State.PREEMPTED}
    assert world.clock.now() - 1_000_000 == 4
    world.ledger.settings.set_mode(Mode.RUNNING)
    assert world.serve() == [ExitCode.STOPPED]

    assert set(world.states().values()) == {State.SUCCEEDED}
    assert world.finished("r0") == 10


def test_a_pause_waits_for_the_launch_of_a_script(world: World) -> None:
    world.traits = replace(TRAITS, ragged=False, steppable=False, launch_keys=("signature",))
    world.submit(*[world.run(f"r{index}", steps=10) for index in range(4)], world.run("other", controls="vis"))
    world.clock.at(3.5, lambda: world.ledger.settings.set_mode(Mode.PAUSED))

    assert world.serve() == [ExitCode.AWAY]

    assert world.states() == {f"r{index}": State.SUCCEEDED for index in range(4)} | {"other": State.QUEUED}


def test_draining_ends_the_batch_and_starts_none(world: World) -> None:
    world.submit(*[world.run(f"r{index}", steps=10) for index in range(9)])
    world.clock.at(3.5, lambda: world.ledger.settings.set_mode(Mode.DRAINING))

    assert world.serve() == [ExitCode.AWAY]

    assert sorted(world.states().values()) == [State.QUEUED] + [State.SUCCEEDED] * 8


def test_a_retry_waits_longer_every_time(world: World) -> None:
    world.faults = {"a": Fault(Trouble.FALTER, 1, times=2)}
    world.submit(world.run("a"))

    world.serve()

    assert world.states() == {"a": State.SUCCEEDED}
    starts = [
        change.at - 1_000_000 for change in world.ledger.queries.history("a") if change.state is State.LEASED
    ]
    assert starts[1] >= 1 + 5
    assert starts[2] >= starts[1] + 1 + 10
    assert world.ledger.measurements.counters()["retries", ""] == 2


def test_failure_that_is_not_retryable_fails_at_once(world: World) -> None:
    world.faults = {"bad": Fault(Trouble.FAIL, 2), "blocked": Fault(Trouble.BLOCK)}
    world.submit(world.run("bad"), world.run("good"), world.run("blocked"))

    world.serve()

    assert world.states() == {"bad": State.FAILED, "good": State.SUCCEEDED, "blocked": State.BLOCKED}


def test_crashed_batch_is_halved_and_admits_no_run_until_the_faulty_run_is_found(world: World) -> None:
    world.faults = {"r02": Fault(Trouble.BREAK, 3)}
    names = [f"r{index:02}" for index in range(20)]
    world.submit(*[world.run(name, steps=6) for name in names])

    world.serve()

    assert world.states() == dict.fromkeys(names, State.SUCCEEDED) | {"r02": State.FAILED}
    assert world.ledger.measurements.counters()["splits", ""] == 3  # eight, four, two
    broken = [batch for batch in batches(world).values() if "r02" in batch]
    assert [len(batch) for batch in broken] == [8, 4, 2, 1, 1]  # the last from its start, not from a saved state


def test_parts_of_a_crashed_batch_stay_with_its_worker_until_the_faulty_run_is_found(world: World) -> None:
    world.faults = {"r3": Fault(Trouble.BREAK, 3)}
    world.submit(*[world.run(f"r{index}", steps=6) for index in range(4)])
    seen: list[set[State]] = []
    world.clock.at(4.5, lambda: seen.append({world.states()[name] for name in ("r2", "r3")}))
    world.clock.at(5.5, lambda: world.ledger.runs.cancel(["r2"]))

    world.serve()

    assert seen == [{State.LEASED}]
    assert world.states() == {
        "r0": State.SUCCEEDED,
        "r1": State.SUCCEEDED,
        "r2": State.CANCELLED,
        "r3": State.FAILED,
    }


def test_halves_that_do_not_fit_are_halved_further_and_admit_no_run(world: World) -> None:
    world.faults = {"r02": Fault(Trouble.BREAK, 1)}
    names = [f"r{index:02}" for index in range(20)]
    world.submit(*[world.run(name, steps=6) for name in names])
    script = SimulatedBehaviour(stamp, 0.0, lambda _runs: 1.0, faults=world.faults)
    engine = SimulatedEngine(TRAITS, script, world.clock)
    world.clock.at(0.5, lambda: setattr(engine, "_script", replace(script, max_runs=3)))  # memory becomes scarce

    world.serve(engine)

    assert world.states() == dict.fromkeys(names, State.SUCCEEDED) | {"r02": State.FAILED}
    broken = [batch for batch in batches(world).values() if "r02" in batch]
    assert [len(batch) for batch in broken] == [8, 4, 2, 1, 1]


def test_pause_during_the_search_for_the_faulty_run_requeues_all(world: World) -> None:
    world.faults = {"r3": Fault(Trouble.BREAK, 3)}
    world.submit(*[world.run(f"r{index}", steps=6) for index in range(4)])
    world.clock.at(4.5, lambda: world.ledger.settings.set_mode(Mode.PAUSED))

    assert world.serve() == [ExitCode.AWAY]

    assert set(world.states().values()) == {State.PREEMPTED}
    assert not any((world.home.videos / ".cosmos-batch" / "work").iterdir())
    world.ledger.settings.set_mode(Mode.RUNNING)
    world.serve()
    assert world.states()["r3"] is State.FAILED
    assert world.states()["r2"] is State.SUCCEEDED


def test_failures_count_across_batches(world: World) -> None:
    world.settings = replace(world.settings, retry_wait=10)
    world.faults = {"bad": Fault(Trouble.FALTER, 1)}
    for index in range(6):
        world.arrive(20 * index, world.run(f"long{index}", steps=18))
    world.arrive(1.5, world.run("bad"))

    world.serve()

    assert world.states()["bad"] is State.FAILED
    tried = [
        change.at - 1_000_000 for change in world.ledger.queries.history("bad") if change.state is State.RUNNING
    ]
    assert tried == [2.25, 13.25, 35]  # the second and the third as soon as it may join, beside long0 and long1


def test_out_of_memory_batch_is_halved_and_admits_no_run_beyond_the_limit(world: World) -> None:
    world.most = 3
    world.submit(*[world.run(f"r{index}") for index in range(8)])
    world.arrive(20, *[world.run(f"s{index}") for index in range(8)])

    world.serve()

    assert set(world.states().values()) == {State.SUCCEEDED}
    assert min(world.ledger.measurements.limits("replay", "virtual").values()) == 2
    assert (
        world.ledger.measurements.counters()["out_of_memory", ""] == 2
    )  # eight, and four; then the limit is known


def foreign(_job: Job, _shape: Shape) -> None:
    raise RuntimeError("CUDA error: an illegal memory access was encountered")


def test_after_an_unforeseen_error_a_fresh_process_tries_the_runs_one_by_one(world: World) -> None:
    def write(job: Job, shape: Shape) -> None:
        (foreign if job.run.id == "bad" else stamp)(job, shape)

    engine = SimulatedEngine(TRAITS, SimulatedBehaviour(write, 0.0, lambda _runs: 1.0), world.clock)
    world.submit(world.run("a"), world.run("bad"), world.run("c"))

    endings = world.serve(engine)

    # with the others; alone, from its saved state, which may have been the reason; alone, from its start
    assert endings == [ExitCode.BROKEN] * 3 + [ExitCode.STOPPED]
    assert world.states() == {"a": State.SUCCEEDED, "bad": State.FAILED, "c": State.SUCCEEDED}
    assert "illegal memory access" in world.ledger.queries.history("bad")[-1].reason
    assert all(len(members) == 1 for number, members in batches(world).items() if number > 1)


def test_published_output_counts_if_its_worker_died_before_recording_it(world: World) -> None:
    world.submit(world.run("a"))
    world.serve()
    world.ledger.runs.set_state(["a"], State.QUEUED, "as if its worker had died after publishing it")

    world.serve()

    assert len(batches(world)[1]) == 1
    assert world.happened("changed")[-1]["cause"] == "its finished output was found"


def test_worker_waits_for_a_folder_that_is_gone(world: World) -> None:
    elsewhere = world.home.videos.with_name("elsewhere")
    world.submit(*[world.run(f"r{index}", steps=10) for index in range(3)])
    world.clock.at(3.5, lambda: world.home.videos.rename(elsewhere))
    world.clock.at(60, lambda: elsewhere.rename(world.home.videos))

    assert world.serve() == [ExitCode.STOPPED]

    assert set(world.states().values()) == {State.SUCCEEDED}
    assert len(world.happened("mended")) == 1
    assert "is gone" in world.happened("troubled")[0]["trouble"]


def test_worker_waits_for_a_ledger_that_does_not_answer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.submit(*[world.run(f"r{index}", steps=10) for index in range(3)])
    healthy = type(world.ledger.database).write

    def locked(_self: object) -> object:
        raise LedgerError("the ledger has been locked by another process for too long")

    world.clock.at(3.5, lambda: monkeypatch.setattr(type(world.ledger.database), "write", locked))
    world.clock.at(60, lambda: monkeypatch.setattr(type(world.ledger.database), "write", healthy))

    assert world.serve() == [ExitCode.STOPPED]

    assert set(world.states().values()) == {State.SUCCEEDED}
    assert world.happened("troubled")


def test_run_that_the_engine_cannot_make_fails_alone(world: World) -> None:
    odd = world.run("odd")
    world.submit(world.run("good"), replace(odd, job_type="upscale"))

    world.serve()

    assert world.states() == {"good": State.SUCCEEDED, "odd": State.FAILED}
    assert "does not do this" in world.ledger.queries.history("odd")[-1].reason


def test_batches_that_runs_join_and_leave_are_measured(world: World) -> None:
    world.step_seconds = lambda runs: 0.5 + 0.25 * runs
    for index in range(24):
        world.arrive(index * 1.7, world.run(f"r{index}", steps=6 + index % 5))

    world.serve()

    measured = world.ledger.measurements.latest("replay", "virtual")
    assert [m.kind for m in measured] == ["batch"] * len(measured)
    for m in measured:  # half a second for every step, a quarter for every step of a run
        per_run = TRAITS.tokens(world.run("any"), TRAITS.shape(world.run("any"), None)) * 2
        assert m.seconds == pytest.approx(0.5 * m.steps + 0.25 * m.token_steps / per_run)


def test_worker_reports_its_state_and_forecast(world: World) -> None:
    world.submit(*[world.run(f"r{index}", steps=30) for index in range(20)])
    seen = []
    world.clock.at(10.5, lambda: seen.extend(world.ledger.workers.all()))

    world.serve()

    (worker,) = seen
    assert worker.state == "working"
    (launch, *_) = worker.forecast["launches"]
    assert launch["batches"][0]["runs_total"] == 8
    assert "edge alone" in launch["reason"]
    assert world.ledger.workers.all() == []


def test_runs_that_come_during_a_long_batch_are_in_the_forecast(world: World) -> None:
    world.submit(world.run("long", steps=60))
    others = [world.run(f"r{index}") for index in range(2)]
    world.arrive(3, *[replace(run, sampling=replace(run.sampling, resolution="48x48")) for run in others])
    seen = []
    world.clock.at(40, lambda: seen.extend(world.ledger.workers.all()))

    world.serve()

    (worker,) = seen
    (launch,) = worker.forecast["launches"]
    assert [batch["runs"] for batch in launch["batches"]] == [["r0", "r1"]]
    assert "20 s" in worker.forecast["flushed"]


def test_runs_of_a_silent_worker_are_requeued_and_its_files_discarded(world: World) -> None:
    world.settings = DispatchSettings(save_every=0, lease=5, guarded=True)
    world.submit(world.run("a", steps=8))
    frozen = world.worker()

    def usurp() -> None:  # as if the first worker had been frozen, and its lease had run out
        world.ledger.queue.reclaim("its worker was silent for too long", every_worker=True)
        world.ledger.runs.cancel(["a"])

    world.clock.at(7.5, usurp)
    frozen.run()

    assert world.states() == {"a": State.CANCELLED}
    assert not (world.home.videos / "a").exists()


def test_model_load_is_predicted_for_the_batch_before_which_it_happens(world: World) -> None:
    """A second batch of the same launch loads nothing."""
    world.settings = replace(world.settings, max_batch=1)
    world.submit(world.run("a"), world.run("b"))

    world.serve()

    loads = {run_id: world.ledger.queries.attempts(run_id)[0].load_seconds for run_id in ("a", "b")}
    assert loads == {"a": PRIOR.load_seconds(1), "b": 0.0}

"""How far a command is, on a terminal and in plain lines."""

from __future__ import annotations

import io

from rich.console import Console

from cosmos_batch.cli.render.progress import LiveProgress, PlainProgress, headline
from cosmos_batch.cli.render.progress_state import ProgressState
from cosmos_batch.engines.simulated import VirtualClock
from cosmos_batch.ledger import State
from cosmos_batch.planning.plan import Batch, Launch, Plan
from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import Control, Run
from tests.support.runs import resolved


def a_plan(*ids: str) -> Plan:
    """One batch of ten predicted seconds for each run."""
    edge = (Control(name="edge", weight=1),)
    runs = tuple(resolved(Run(id=id_, prompt="p", controls=edge, video="/v")) for id_ in ids)
    batch = Batch(runs, Shape(32, 32, 5), seconds=10.0 * len(runs), bytes=1 << 20)
    return Plan("replay", (Launch(0, ("edge",), (batch,), 1.0, "they are alike"),), 50.0, 60.0, None)


def test_time_left_is_predicted_at_first_and_then_follows_the_pace() -> None:
    clock = VirtualClock()
    progress = ProgressState(clock.now, 2)
    assert progress.left is None
    progress.plan(a_plan("a", "b"))
    assert progress.left == 21  # a load of 1 s, and a batch of 20 s

    progress.launch()
    progress.begin(["a", "b"])
    clock.sleep(0.5)
    assert progress.left == 20.5
    clock.sleep(50)  # the load takes far longer than predicted, which says nothing of the steps
    assert progress.left == 20
    lefts = []
    for step in range(1, 5):
        clock.sleep(10)  # twice as long as predicted: a quarter of 20 s of work
        progress.step("a", step, 4)
        lefts.append(progress.left)
        progress.step("b", step, 4)
    assert lefts == [17.5, 12.5, 15.0, 5.0]  # by the pace from the third step, which ends the second

    assert headline(progress) == "0 of 2 runs done, about 0.0 s left"
    progress.change("a", State.SUCCEEDED)
    progress.change("b", State.FAILED)
    assert headline(progress) == "2 of 2 runs done, 1 failed, about 0.0 s left"


def test_requeued_run_is_not_counted_as_done() -> None:
    progress = ProgressState(VirtualClock().now, 1)
    progress.plan(a_plan("a"))
    progress.begin(["a"])

    progress.change("a", State.PREEMPTED)

    assert progress.ended == 0
    assert progress.running == {}


def test_plain_lines_are_printed_every_few_seconds_and_at_every_end() -> None:
    clock, stream = VirtualClock(), io.StringIO()
    with PlainProgress(stream, ProgressState(clock.now, 2), clock.now) as progress:
        progress.planned(a_plan("a", "b"))
        progress.launched("they are alike", 2)
        progress.began(1, ["a", "b"])
        for step in range(1, 5):
            clock.sleep(3)
            progress.stepped("a", step, 4)
        progress.changed("a", State.SUCCEEDED, "")
        progress.changed("b", State.FAILED, "\x1b[2Jbroken")

    lines = stream.getvalue().splitlines()
    assert lines[:3] == [
        "2 runs in 1 batch in 1 launch, about 21 s",
        "a launch of 2 runs: they are alike",
        "batch 1: a, b",
    ]
    assert next(line for line in lines if "a step" in line).endswith("a step 2 of 4, b starting")
    assert lines[-2:] == ["a: succeeded", "b: failed: \\x1b[2Jbroken"]


def test_the_live_display_shows_runs_and_steps() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100, markup=False)
    with LiveProgress(console, ProgressState(VirtualClock().now, 2)) as progress:
        progress.planned(a_plan("a", "[red]b"[5:]))
        progress.launched("they are alike", 2)
        progress.began(1, ["a", "b"])
        progress.stepped("a", 3, 4)
        progress.changed("b", State.BLOCKED, "the guardrail")
        progress.noted("a batch of 2 is halved")

    shown = screen.getvalue()
    assert "step 3 of 4" in shown
    assert "b: blocked: the guardrail" in shown
    assert "a batch of 2 is halved" in shown

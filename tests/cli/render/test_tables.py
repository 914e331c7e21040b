"""Lists of runs and plans, as a user reads them."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from cosmos_batch.cli.render.tables import SHOWN_RUNS, RunLine, causes_of, draft_line, plan_lines, print_statuses
from cosmos_batch.ledger import RunStatus, State
from cosmos_batch.planning.drafts import Draft
from cosmos_batch.planning.plan import Plan


def status(run_id: str, state: State = State.FAILED, cause: str = "no room") -> RunStatus:
    return RunStatus(
        id=run_id, fingerprint="", state=state, cause=cause, priority=0, step=0, steps=0, seconds=None
    )


def printed(statuses: list[RunStatus], *, all_rows: bool = False) -> str:
    console = Console(file=io.StringIO(), width=140, markup=False, emoji=False, highlight=False)
    print_statuses(console, statuses, all_rows=all_rows)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("draft", "line"),
    [
        (
            Draft("4 steps with the distilled edge model", 4, "nvidia/some@distilled/edge", 1, 16.2, 232.0),
            "a draft: 4 steps with the distilled edge model, about 16 s in place of 3 min 52 s "
            "(--model nvidia/some@distilled/edge)",
        ),
        (
            Draft("12 steps", 12, None, 2, 20.0, 60.0),
            "a draft for 2 of 3 runs: 12 steps, about 20 s in place of 1 min (num_steps 12)",
        ),
    ],
)
def test_draft_says_what_it_saves_and_how_to_ask_for_it(draft: Draft, line: str) -> None:
    assert draft_line(draft, 3 if draft.runs == 2 else 1) == line


def test_few_runs_are_listed() -> None:
    lines = printed([status(f"r{number}") for number in range(SHOWN_RUNS)]).splitlines()

    assert len(lines) == SHOWN_RUNS + 2
    assert lines[-1] == "20 runs: 20 failed"


def test_many_runs_are_summarised_by_cause() -> None:
    runs = [status(f"r{n}", cause=f"r{n} has {n} frames") for n in range(500)]
    runs += [status(f"b{n}", State.BLOCKED, "prompt: unsafe text") for n in range(2)]
    runs += [status(f"ok{n}", State.SUCCEEDED, "") for n in range(1500)]

    lines = printed(runs).splitlines()

    assert lines[0] == "2,002 runs: 1,500 succeeded, 500 failed, 2 blocked"
    assert lines[2].split() == ["500", "failed", "r0", "has", "0", "frames", "r0,", "r1,", "r2,", "…"]
    assert lines[3].split() == ["2", "blocked", "prompt:", "unsafe", "text", "b0,", "b1"]
    assert lines[4].startswith("--all lists every run")
    assert len(lines) == 5


def test_all_rows_list_every_run() -> None:
    runs = [status(f"r{n}") for n in range(100)] + [status("ok", State.SUCCEEDED, "")]

    lines = printed(runs, all_rows=True).splitlines()

    assert len(lines) == 101 + 2
    assert lines[-1] == "101 runs: 1 succeeded, 100 failed"


def test_many_causes_are_cut() -> None:
    words = [f"{a}{b}" for a in "abcdefgh" for b in "abcdefgh"]

    lines = printed([status(word, cause=f"cause {word}{word}") for word in words]).splitlines()

    assert len(lines) == 1 + 1 + 20 + 1 + 1
    assert "of 44 other causes" in lines[-2]


def test_causes_differ_in_words_and_state_alone() -> None:
    lines = [
        RunLine("a", "failed", "/out/a/run.json: attempt 1"),
        RunLine("b", "failed", "/out/b/run.json: attempt 22"),
        RunLine("c", "failed", "a crash"),
        RunLine("d", "blocked", "a crash"),
    ]

    assert [(each.state, each.cause, each.run_ids) for each in causes_of(lines)] == [
        ("failed", "/out/a/run.json: attempt 1", ("a", "b")),
        ("blocked", "a crash", ("d",)),
        ("failed", "a crash", ("c",)),
    ]


@pytest.mark.parametrize(
    ("one_by_one", "said"),
    [
        (100.0, "saves nothing"),
        (99.7, "saves nothing"),
        (100.3, "saves nothing"),
        (200.0, "saves 50%"),
        (80.0, "takes 25% longer"),
    ],
)
def test_saving_is_never_minus_nothing(one_by_one: float, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Plan("replay", (), one_by_one, 100.0, None)
    monkeypatch.setattr(Plan, "seconds", 100.0)

    lines = plan_lines(replace(plan), measured=0)

    assert lines[1].endswith(f"this plan {said}")
    assert not any("-" in line.rpartition("this plan")[2] for line in lines)

"""Runs whose videos have to reach scores: made again with another seed, the best published, whatever ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cosmos_batch.dispatch.command import check_output
from cosmos_batch.engines.base import Job
from cosmos_batch.engines.simulated import SimulatedBehaviour, SimulatedEngine
from cosmos_batch.ledger import Ledger, RunStatus, State
from cosmos_batch.media.outputs import write_frames
from cosmos_batch.media.verify import FINGERPRINT
from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import Acceptance, ResolvedRun
from tests.support.dispatch_world import EventRecorder, dispatch, make_input, make_run
from tests.support.service_world import World


class Writer:
    """Writes videos whose share of noise depends on the seed, and keeps the seeds. `fatal`: a seed that kills."""

    def __init__(self, shares: Mapping[int, float], fatal: int | None = None) -> None:
        self.shares = shares
        self.seeds: list[int] = []
        self._fatal = fatal

    def __call__(self, job: Job, shape: Shape) -> None:
        seed = job.run.sampling.seed
        self.seeds.append(seed)
        if seed == self._fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        size = (shape.frames, shape.height, shape.width, 3)
        ramp = np.broadcast_to(np.linspace(0, 255, shape.width)[:, None], size)
        noise = np.random.default_rng(seed).integers(0, 256, size)
        frames = ((1 - self.shares[seed]) * ramp + self.shares[seed] * noise).astype(np.uint8)
        metadata = {FINGERPRINT: job.run.fingerprint}
        write_frames(job.folder / "output.mp4", frames, job.run.sampling.fps, metadata=metadata)


@pytest.fixture
def run(tmp_path: Path) -> ResolvedRun:
    """A run whose video may not be noise."""
    made = make_run("a", make_input(tmp_path / "in.mp4"))
    return replace(made, acceptance=Acceptance(scores={"noise": "<0.2"}, attempts=3))


def record(out: Path) -> dict[str, object]:
    described: dict[str, object] = json.loads((out / "a" / "run.json").read_text())
    return described


def verdict(status: RunStatus) -> tuple[object, object, int]:
    tries = status.acceptance["tries"]
    assert isinstance(tries, list)
    return status.acceptance["accepted"], status.acceptance["seed"], len(tries)


def test_a_flagged_run_is_made_again_until_it_is_accepted(run: ResolvedRun, tmp_path: Path) -> None:
    writer, out = Writer({42: 1.0, 43: 0.0}), tmp_path / "out"
    status = dispatch([run], out, write=writer)["a"]

    assert writer.seeds == [42, 43]
    assert (status.state, verdict(status)) == (State.SUCCEEDED, (True, 43, 2))
    assert status.cause == "accepted: seed 43, attempt 2"
    described = record(out)
    assert described["acceptance"] == status.acceptance
    assert described["run"]["sampling"]["seed"] == 43  # type: ignore[index]
    manifest = json.loads((out / "manifest.jsonl").read_text())
    assert manifest["acceptance"] == status.acceptance
    assert not list((out / ".cosmos-batch" / "kept").iterdir())

    dispatch([run], out, write=writer)
    assert writer.seeds == [42, 43]  # what was accepted stays


def test_the_best_is_published_where_none_is_accepted(run: ResolvedRun, tmp_path: Path) -> None:
    writer, out = Writer({42: 1.0, 43: 0.5, 44: 0.9}), tmp_path / "out"
    status = dispatch([run], out, write=writer)["a"]

    assert writer.seeds == [42, 43, 44]
    assert (status.state, verdict(status)) == (State.SUCCEEDED, (False, 43, 3))
    assert "not accepted: noise is" in status.cause
    assert record(out)["acceptance"] == status.acceptance
    dispatch([run], out, write=writer)
    assert len(writer.seeds) == 3


def test_a_killed_command_goes_on_with_the_next_attempt(run: ResolvedRun, tmp_path: Path) -> None:
    out = tmp_path / "out"
    script = "import sys; from tests.scenarios.test_acceptance import killed_command; killed_command(sys.argv[1])"
    ended = subprocess.run([sys.executable, "-c", script, str(tmp_path)], timeout=60)
    assert ended.returncode == -signal.SIGKILL
    assert not (out / "a").exists()  # no attempt was accepted: none has the final name

    writer = Writer({43: 0.9, 44: 0.5})
    status = dispatch([run], out, write=writer)["a"]
    assert writer.seeds == [43, 44]
    assert verdict(status) == (False, 44, 3)


def killed_command(folder: str) -> None:
    """Run a command that is killed while it makes the second attempt."""
    made = make_run("a", Path(folder) / "in.mp4")
    ruled = replace(made, acceptance=Acceptance(scores={"noise": "<0.2"}, attempts=3))
    dispatch([ruled], Path(folder) / "out", write=Writer({42: 1.0}, fatal=43))


def test_an_attempt_that_the_ledger_does_not_know_is_not_made_again(run: ResolvedRun, tmp_path: Path) -> None:
    out, events = tmp_path / "out", EventRecorder(stop_after=5)
    dispatch([run], out, write=Writer({42: 1.0, 43: 0.0}), events=events)
    ledger = Ledger(out / ".cosmos-batch" / "ledger.sqlite")
    ledger.runs.set_state(["a"], State.QUEUED, "as a process leaves it that was killed before it told the ledger")
    ledger.close()

    writer = Writer({43: 0.0})
    assert verdict(dispatch([run], out, write=writer)["a"]) == (True, 43, 2)
    assert writer.seeds == [43]


def test_retry_starts_anew(run: ResolvedRun, tmp_path: Path) -> None:
    out, events = tmp_path / "out", EventRecorder(stop_after=9)
    dispatch([run], out, write=Writer({42: 1.0, 43: 0.9, 44: 0.8}), events=events)
    ledger = Ledger(out / ".cosmos-batch" / "ledger.sqlite")
    assert ledger.runs.cancel(["a"]) == {"a": State.CANCELLED}
    assert ledger.runs.retry(["a"]) == ["a"]
    assert ledger.queries.statuses()[0].acceptance == {}
    ledger.close()

    writer = Writer({42: 1.0, 43: 0.0})
    assert verdict(dispatch([run], out, write=writer)["a"]) == (True, 43, 2)
    assert writer.seeds == [42, 43]


def test_a_new_rule_judges_the_video_that_there_is(run: ResolvedRun, tmp_path: Path) -> None:
    out = tmp_path / "out"
    dispatch([replace(run, acceptance=None)], out, write=Writer({42: 0.5}))
    lenient = replace(run, acceptance=Acceptance(scores={"noise": "<0.9"}))
    writer = Writer({43: 0.9, 44: 0.0})
    assert verdict(dispatch([lenient], out, write=writer)["a"]) == (True, 42, 1)
    assert not writer.seeds

    assert verdict(dispatch([run], out, write=writer)["a"]) == (True, 44, 3)
    assert writer.seeds == [43, 44]
    assert dispatch([replace(run, acceptance=None)], out, write=Writer({42: 0.5}))["a"].acceptance == {}
    assert record(out)["run"]["sampling"]["seed"] == 42  # type: ignore[index]


def test_a_rule_has_an_own_scorer_measure_what_there_is(
    run: ResolvedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = "['sh', '-c', 'echo 7']"
    (tmp_path / "dice.py").write_text(f"throw = {words}")
    facts = tmp_path / "dice-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: dice\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[cosmos_batch.scorers]\ndice = dice:throw\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    out = tmp_path / "out"
    dispatch([replace(run, acceptance=None)], out, write=Writer({42: 0.5}))

    writer = Writer({43: 0.0})
    wanted = replace(run, acceptance=Acceptance(scores={"dice": ">=7"}))
    status = dispatch([wanted], out, write=writer)["a"]
    assert (verdict(status), status.scores["dice"]) == ((True, 42, 1), 7.0)
    assert not writer.seeds
    assert record(out)["scores"]["dice"] == 7.0  # type: ignore[index]


def test_a_later_attempt_that_fails_leaves_the_best(run: ResolvedRun, tmp_path: Path) -> None:
    writer = Writer({42: 1.0})  # it knows no other seed, so that the next attempts fail
    status = dispatch([run], tmp_path / "out", write=writer)["a"]
    assert (status.state, verdict(status)) == (State.SUCCEEDED, (False, 42, 3))


def test_a_score_that_cannot_be_measured_makes_nothing_again(run: ResolvedRun, tmp_path: Path) -> None:
    picture = replace(run.sampling, num_frames=2)
    unknown = replace(run, sampling=picture, acceptance=Acceptance(scores={"judge": ">3"}))
    writer = Writer({42: 0.0})
    status = dispatch([unknown], tmp_path / "out", write=writer)["a"]
    assert writer.seeds == [42]
    assert status.cause == "not accepted: judge was not measured (the only attempt)"


def test_a_service_makes_a_run_again_and_follows_a_cancel_request(world: World) -> None:
    make_input(world.video)
    world.check = check_output
    writer = Writer({42: 1.0, 43: 0.0})
    again = replace(world.run("a"), acceptance=Acceptance(scores={"noise": "<0.2"}))
    cancelled = replace(again, id="b")
    world.submit(again, cancelled)
    world.clock.at(5.0, lambda: world.ledger.runs.cancel(["b"]))  # an attempt takes four seconds

    world.serve(SimulatedEngine(world.traits, SimulatedBehaviour(writer, 0.0, world.step_seconds), world.clock))

    assert world.states() == {"a": State.SUCCEEDED, "b": State.CANCELLED}
    assert writer.seeds == [42, 42, 43]
    found = world.ledger.queries.get("a")
    assert found is not None
    assert (found.acceptance["accepted"], found.acceptance["seed"]) == (True, 43)
    reasons = [change.reason for change in world.ledger.queries.history("a")]
    assert "not accepted: noise is 1, not <0.2 (the only attempt); the next seed is 43" in reasons
    assert not (world.home.videos / "b").exists()
    assert not list((world.home.videos / ".cosmos-batch" / "kept").iterdir())

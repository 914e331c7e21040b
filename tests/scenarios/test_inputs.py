"""Inputs that change while a command runs: what is recorded is what was read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cosmos_batch.dispatch.output.inputs import file_digest
from cosmos_batch.dispatch.settings import DispatchSettings
from cosmos_batch.engines.base import Job
from cosmos_batch.ledger import State
from cosmos_batch.planning.traits import Shape
from tests.support.clips import clip
from tests.support.dispatch_world import EventRecorder, dispatch, make_input, make_run, states, write_answer

READ = {"width": 32, "height": 32, "frames": 2, "fps": 8.0}


def record(root: Path, run_id: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads((root / run_id / "run.json").read_text())
    return made


def test_record_has_digest_and_numbers_of_every_video(tmp_path: Path) -> None:
    run = make_run("r", make_input(tmp_path / "in.mp4"))

    dispatch([run], tmp_path / "out")

    made = record(tmp_path / "out", "r")
    digest = file_digest(tmp_path / "in.mp4")
    assert made["inputs"] == [{"path": run.video, "sha256": digest} | READ]
    assert made["input"] == made["network"] == made["output"] == READ
    assert made["guardrail"] == []
    assert made["ended_at"].endswith("Z")


def test_record_and_manifest_have_the_scores_of_the_output(tmp_path: Path) -> None:
    run = make_run("r", make_input(tmp_path / "in.mp4"))

    dispatch([run], tmp_path / "out")

    made = record(tmp_path / "out", "r")
    # Input and output are two equal frames of one colour: no edge in either, and nothing moves in either.
    assert (made["scores"]["edge_f1"], made["scores"]["steadiness"]) == (1.0, 1.0)
    assert (made["flags"], made["scoring"]["frames"]) == ([], 2)
    assert json.loads((tmp_path / "out" / "manifest.jsonl").read_text())["scores"] == made["scores"]


def test_scores_of_a_found_output_come_from_its_record(tmp_path: Path) -> None:
    run, root = make_run("r", make_input(tmp_path / "in.mp4")), tmp_path / "out"
    dispatch([run], root)
    (root / ".cosmos-batch" / "ledger.sqlite").unlink()

    dispatch([run], root)

    line = json.loads((root / "manifest.jsonl").read_text())
    assert line["scores"] == record(root, "r")["scores"] != {}


def test_record_names_the_span_of_a_video(tmp_path: Path) -> None:
    path = str(clip(tmp_path / "in.mp4", frames=6, width=32, height=32))
    runs = [make_run("r", f"{path}#frames=1+2"), make_run("s", f"{path}#frames=3+2")]

    ended = dispatch(runs, tmp_path / "out")

    assert states(ended) == {"r": State.SUCCEEDED, "s": State.SUCCEEDED}
    made, other = record(tmp_path / "out", "r"), record(tmp_path / "out", "s")
    named = {"path": path, "span": {"start": 1, "frames": 2}, "sha256": file_digest(Path(path))}
    assert made["inputs"] == [named | READ]
    assert made["key"] != other["key"]


def test_run_starts_again_where_its_input_changes_meanwhile(tmp_path: Path) -> None:
    path, events = make_input(tmp_path / "in.mp4"), EventRecorder()
    run, before = make_run("r", path), file_digest(path)

    def change_first(job: Job, shape: Shape) -> None:
        if file_digest(path) == before:
            clip(path, frames=4)
        write_answer(job, shape)

    ended = dispatch([run], tmp_path / "out", write=change_first, events=events)

    assert states(ended) == {"r": State.SUCCEEDED}
    assert events.batches == [("r",), ("r",)]
    (made,) = record(tmp_path / "out", "r")["inputs"]
    assert (made["sha256"], made["width"], made["frames"]) == (file_digest(path), 64, 4)


@pytest.mark.parametrize("change", ["always", "gone"])
def test_run_whose_input_does_not_stay_fails_alone(tmp_path: Path, change: str) -> None:
    path = make_input(tmp_path / "in.mp4")
    runs = [make_run("r", path), make_run("other", make_input(tmp_path / "other.mp4"))]

    def changing(job: Job, shape: Shape) -> None:
        if job.run.id == "r" and change == "always":
            with path.open("ab") as stream:
                stream.write(b"\0")
        elif job.run.id == "r":
            path.unlink()
        write_answer(job, shape)

    ended = dispatch(runs, tmp_path / "out", write=changing, settings=DispatchSettings(max_failures=2))

    assert states(ended) == {"r": State.FAILED, "other": State.SUCCEEDED}
    assert str(path) in ended["r"].cause
    assert not (tmp_path / "out" / "r").exists()


def test_other_spelling_of_a_path_makes_nothing_again(tmp_path: Path) -> None:
    path, root, events = make_input(tmp_path / "in.mp4"), tmp_path / "out", EventRecorder()
    (tmp_path / "x").mkdir()
    dispatch([make_run("r", path)], root)

    ended = dispatch([make_run("r", tmp_path / "x" / ".." / "in.mp4")], root, events=events)

    assert states(ended) == {"r": State.SUCCEEDED}
    assert events.batches == []


def test_checkpoint_of_another_spelling_is_used(tmp_path: Path) -> None:
    path, root = make_input(tmp_path / "in.mp4"), tmp_path / "out"
    (tmp_path / "x").mkdir()
    events = EventRecorder(stop_after=2)
    dispatch([make_run("r", path, steps=4)], root, events=events)

    dispatch([make_run("r", tmp_path / "x" / ".." / "in.mp4", steps=4)], root)

    assert record(root, "r")["resumed"]


def test_linked_input_is_read_through_its_link(tmp_path: Path) -> None:
    path = make_input(tmp_path / "in.mp4")
    (tmp_path / "link.mp4").symlink_to(path)
    other = clip(tmp_path / "other.mp4", frames=4)

    def relink(job: Job, shape: Shape) -> None:
        if (tmp_path / "link.mp4").readlink() == path:
            (tmp_path / "link.mp4").unlink()
            (tmp_path / "link.mp4").symlink_to(other)
        write_answer(job, shape)

    dispatch([make_run("r", tmp_path / "link.mp4")], tmp_path / "out", write=relink)

    assert record(tmp_path / "out", "r")["inputs"][0]["sha256"] == file_digest(other)

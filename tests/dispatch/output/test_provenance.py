"""run.json: its contents, and the check of a finished run against it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from cosmos_batch.dispatch.output.inputs import InputDigests
from cosmos_batch.dispatch.output.provenance import (
    AttemptInfo,
    VideoSizes,
    check_published,
    describe,
    earlier_key,
    iso_time,
    published_scores,
    request_key,
    write_description,
)
from cosmos_batch.errors import OutputError
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.run import Control, GuidedGeneration, Run, Sampling
from cosmos_batch.scoring.scores import VideoScores

IDENTITY = {"engine": "replay", "weights": "m"}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "in.mp4").write_bytes(b"input")
    return Run(
        id="a", prompt="a street", controls=(Control(name="edge", weight=1.0, video=str(tmp_path / "in.mp4")),)
    )


def info_of(run: Run) -> AttemptInfo:
    read, network = VideoInfo(64, 48, 12, 10.0), VideoInfo(160, 96, 12, 8.0)
    files = InputDigests().files(run)
    return AttemptInfo(
        attempt=1,
        batch=2,
        batch_runs=("a", "b"),
        started=10.0,
        ended=12.5,
        resumed=False,
        inputs=files,
        sizes=VideoSizes({file.path: read for file in files}, read, network, network),
        guardrail=("prompt", "video"),
        scores=VideoScores({"edge_f1": 0.5, "black": 1.0}, frames=12, seconds=0.25),
    )


@pytest.fixture
def finished(tmp_path: Path, run: Run) -> Path:
    """The folder of a finished run."""
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / "output.mp4").write_bytes(b"output")
    write_description(folder, describe(run, folder, IDENTITY, info_of(run)))
    return folder


def test_description_keeps_the_names_of_its_fields(finished: Path, run: Run) -> None:
    described = describe(run, finished, IDENTITY, info_of(run))

    assert list(described) == [
        *("id", "fingerprint", "key", "run", "inputs", "made_by"),
        *("attempt", "batch", "company", "started", "ended", "started_at", "ended_at", "resumed"),
        *("seconds", "input", "network", "output", "outputs", "guardrail", "approximations"),
        *("scores", "flags", "scoring", "acceptance"),
    ]
    assert described["company"] == ("a", "b")
    assert described["seconds"] == 2.5
    assert (described["started_at"], described["ended_at"]) == (
        "1970-01-01T00:00:10.000Z",
        "1970-01-01T00:00:12.500Z",
    )
    assert described["guardrail"] == ["prompt", "video"]
    assert described["scores"] == {"edge_f1": 0.5, "black": 1.0}
    assert described["flags"] == ["black"]
    assert described["scoring"] == {"frames": 12, "seconds": 0.25}


def test_scores_of_a_published_run_are_read_back(finished: Path) -> None:
    assert published_scores(finished) == {"edge_f1": 0.5, "black": 1.0}
    (finished / "run.json").write_text('{"scores": null}')
    assert published_scores(finished) == {}


def test_a_run_without_scores_says_why(tmp_path: Path, run: Run) -> None:
    info = replace(info_of(run), scores=VideoScores(problem="in.mp4: no such file"))
    described = describe(run, tmp_path, IDENTITY, info)
    assert (described["scores"], described["flags"]) == ({}, [])
    assert described["scoring"] == {"problem": "in.mp4: no such file"}


def test_sizes_stand_as_numbers(finished: Path, run: Run) -> None:
    described = describe(run, finished, IDENTITY, info_of(run))

    read = {"width": 64, "height": 48, "frames": 12, "fps": 10.0}
    assert described["input"] == read
    assert described["network"] == described["output"] == {"width": 160, "height": 96, "frames": 12, "fps": 8.0}
    assert [{name: each[name] for name in read} for each in described["inputs"]] == [read]


def test_size_that_is_not_known_is_null(finished: Path, run: Run) -> None:
    info = info_of(run)
    unknown = replace(info, sizes=replace(info.sizes, inputs={}, input=None))

    described = describe(run, finished, IDENTITY, unknown)

    assert described["input"] == {"width": None, "height": None, "frames": None, "fps": None}
    assert described["inputs"][0]["fps"] is None


def test_time_is_iso_8601_in_utc() -> None:
    assert iso_time(1_000_000_012.5) == "2001-09-09T01:46:52.500Z"


def respelled(run: Run, path: str) -> Run:
    return replace(run, controls=(replace(run.controls[0], video=path),))


def test_key_comes_from_contents_and_not_from_paths(tmp_path: Path, run: Run, finished: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "copy.mov").write_bytes(b"input")
    (tmp_path / "link.mp4").symlink_to(tmp_path / "in.mp4")
    spellings = (f"{tmp_path}/elsewhere/../in.mp4", f"{tmp_path}/copy.mov", f"{tmp_path}/link.mp4")
    keys = {request_key(respelled(run, path), IDENTITY, InputDigests()) for path in spellings}

    assert keys == {request_key(run, IDENTITY, InputDigests())}
    check_published(finished, *keys)


def test_key_depends_on_contents_and_on_the_use_of_each_file(tmp_path: Path) -> None:
    one, other = tmp_path / "one.mp4", tmp_path / "other.mp4"
    one.write_bytes(b"one")
    other.write_bytes(b"other")

    def key(video: Path, mask: Path) -> str:
        control = Control(name="edge", weight=1.0, video=str(video), mask=str(mask))
        return request_key(Run(id="a", prompt="a street", controls=(control,)), IDENTITY, InputDigests())

    assert len({key(one, other), key(other, one), key(one, one), key(other, other)}) == 4


def test_key_depends_on_the_mask_of_guided_generation_and_its_settings(tmp_path: Path, run: Run) -> None:
    one, other, copy = (tmp_path / name for name in ("one.npz", "other.npz", "copy.npz"))
    one.write_bytes(b"one")
    other.write_bytes(b"other")
    copy.write_bytes(b"one")

    def key(mask: Path, threshold: int = 25, labels: tuple[int, ...] | None = None) -> str:
        own = GuidedGeneration(mask=str(mask), step_threshold=threshold, foreground_labels=labels)
        return request_key(replace(run, guided_generation=own), IDENTITY, InputDigests())

    assert key(one) == key(copy)
    keys = {request_key(run, IDENTITY, InputDigests()), key(one), key(other), key(one, 3), key(one, 25, (1,))}
    assert len(keys) == 5


def test_finished_guided_run_answers_its_request(tmp_path: Path, run: Run) -> None:
    (tmp_path / "mask.npz").write_bytes(b"labels")
    own = GuidedGeneration(mask=str(tmp_path / "mask.npz"), foreground_labels=(1, 2))
    guided = replace(run, guided_generation=own, sampling=Sampling(num_conditional_frames=0))
    description = json.loads(json.dumps(describe(guided, tmp_path, IDENTITY, info_of(guided))))
    assert [each["path"] for each in description["inputs"]] == [run.controls[0].video, own.mask]
    assert TypeAdapter(Run).validate_python(description["run"]) == guided


@pytest.mark.parametrize("spelling", ["in.mp4", "elsewhere/../in.mp4"])
def test_output_of_an_earlier_version_stays_valid(tmp_path: Path, run: Run, finished: Path, spelling: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    description = json.loads((finished / "run.json").read_text())
    description["key"] = earlier_key(run, IDENTITY, InputDigests())
    for name in ("started_at", "ended_at", "input", "network", "output", "guardrail"):
        del description[name]
    description["inputs"] = [{"path": each["path"], "sha256": each["sha256"]} for each in description["inputs"]]
    write_description(finished, description)
    asked = respelled(run, f"{tmp_path}/{spelling}")

    check_published(finished, request_key(asked, IDENTITY, InputDigests()))

    (tmp_path / "in.mp4").write_bytes(b"other")
    with pytest.raises(OutputError, match="other settings, inputs or another model"):
        check_published(finished, request_key(asked, IDENTITY, InputDigests()))


def test_finished_run_answers_its_request_only(finished: Path, run: Run) -> None:
    check_published(finished, request_key(run, IDENTITY, InputDigests()))

    with pytest.raises(OutputError, match="other settings, inputs or another model"):
        check_published(finished, request_key(run, {"engine": "replay", "weights": "n"}, InputDigests()))


@pytest.mark.parametrize(
    ("name", "contents", "message"),
    [
        ("output.mp4", b"changed", "damaged or replaced"),
        ("output.mp4", None, "missing or unreadable"),
        ("run.json", b"{", "is damaged"),
        ("run.json", None, "holds no run.json"),
    ],
)
def test_damaged_run_is_refused(finished: Path, run: Run, name: str, contents: bytes | None, message: str) -> None:
    if contents is None:
        (finished / name).unlink()
    else:
        (finished / name).write_bytes(contents)

    with pytest.raises(OutputError, match=message):
        check_published(finished, request_key(run, IDENTITY, InputDigests()))


def of_one_frame(run: Run) -> Run:
    return replace(run, sampling=Sampling(num_frames=1))


@pytest.mark.parametrize("name", ["output.png", "output.jpg"])
def test_run_of_one_frame_has_a_picture(finished: Path, run: Run, name: str) -> None:
    """A video of one frame is what earlier versions made of it."""
    one = of_one_frame(run)
    key = request_key(one, IDENTITY, InputDigests())
    write_description(finished, describe(one, finished, IDENTITY, info_of(one)))
    with pytest.raises(OutputError, match=r"names no output\.png or output\.jpg"):
        check_published(finished, key)

    (finished / "output.mp4").rename(finished / name)
    write_description(finished, describe(one, finished, IDENTITY, info_of(one)))

    check_published(finished, key)


@pytest.mark.parametrize(("size", "kept"), [((64, 48), True), ((160, 96), False)])
def test_earlier_output_answers_by_its_recorded_size(
    finished: Path, run: Run, size: tuple[int, int], kept: bool
) -> None:
    """Earlier versions kept the size of the input with one engine, and did not record that."""
    info = info_of(run)
    sizes = replace(info.sizes, output=VideoInfo(*size, 12, 8.0))
    described = describe(run, finished, IDENTITY, replace(info, sizes=sizes))
    del described["run"]["sampling"]["keep_input_resolution"]
    write_description(finished, described)
    keeping = replace(run, sampling=replace(run.sampling, keep_input_resolution=True))
    wanted, other = (keeping, run) if kept else (run, keeping)
    described["key"] = "of the earlier version"
    write_description(finished, described)

    check_published(finished, request_key(wanted, IDENTITY, InputDigests()))

    with pytest.raises(OutputError, match="other settings"):
        check_published(finished, request_key(other, IDENTITY, InputDigests()))

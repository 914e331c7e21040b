"""Native run dicts, in every file shape that holds them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cosmos_batch.errors import InputError
from cosmos_batch.formats import read_files, run_from_dict
from cosmos_batch.formats.native import record_of
from cosmos_batch.run import Control, GuidedGeneration, Priority, Run, Sampling
from tests.support.format_files import Write, minimal

FULL: dict[str, Any] = {
    "id": "snow-1",
    "prompt": "the street in deep snow",
    "negative_prompt": "blurry",
    "inputs": {"video": "street.mp4", "depth": "depth.mp4", "seg": None},
    "execution_config": {
        "weights": {"vis": 0.25, "edge": 0.5, "depth": 1, "seg": 0},
        "num_steps": 20,
        "guidance": 6,
        "sigma_max": 80.0,
        "seed": 7,
        "fps": 12,
        "num_frames": 49,
        "resolution": "480p",
        "blur_strength": "high",
        "canny_threshold": "very_low",
        "num_conditional_frames": 0,
    },
    "priority": "urgent",
    "job_type": "batch_inference",
}


def test_full_record_is_read_field_by_field(write: Write, tmp_path: Path) -> None:
    reading = read_files([write("runs.jsonl", [FULL])])

    assert reading.problems == ()
    assert reading.runs == (
        Run(
            id="snow-1",
            prompt="the street in deep snow",
            video=str(tmp_path / "street.mp4"),
            controls=(
                Control(name="vis", weight=0.25, preset="high"),
                Control(name="edge", weight=0.5, preset="very_low"),
                Control(name="depth", weight=1.0, video=str(tmp_path / "depth.mp4")),
                Control(name="seg", weight=0.0),
            ),
            sampling=Sampling(
                num_steps=20,
                guidance=6.0,
                sigma_max=80.0,
                seed=7,
                fps=12.0,
                num_frames=49,
                resolution="480p",
                num_conditional_frames=0,
                negative_prompt="blurry",
            ),
            priority=Priority.URGENT,
        ),
    )


def test_missing_settings_stay_unset(write: Write) -> None:
    (run,) = read_files([write("runs.jsonl", [minimal()])]).runs

    assert run.sampling == Sampling()
    assert (run.priority, run.job_type) == (Priority.NORMAL, "inference")


@pytest.mark.parametrize(
    ("name", "content", "ids"),
    [
        # An object alone is named after its file; beside others its line or position is added.
        ("night.json", json.dumps(minimal()), ["night"]),
        ("night.json", json.dumps(minimal(), indent=2), ["night"]),
        ("list.json", json.dumps([minimal(), minimal()], indent=1), ["list-1", "list-2"]),
        ("list.json", json.dumps([minimal(), minimal()]), ["list-1", "list-2"]),
        ("runs.json", json.dumps({"runs": [minimal(), minimal(id="a")]}), ["runs-1", "a"]),
        ("one.jsonl", json.dumps(minimal()), ["one-1"]),
        # Lines are detected by content: the name does not matter.
        ("lines.txt", f"{json.dumps(minimal())}\n{json.dumps(minimal())}\n", ["lines-1", "lines-2"]),
        # Blank lines count, so that an id names the line that an editor shows.
        ("gaps.jsonl", f"\n{json.dumps(minimal())}\n  \n\n{json.dumps(minimal())}", ["gaps-2", "gaps-5"]),
        ("crlf.jsonl", f"{json.dumps(minimal())}\r\n{json.dumps(minimal())}\r\n", ["crlf-1", "crlf-2"]),
        ("bom.jsonl", f"\ufeff{json.dumps(minimal())}\n{json.dumps(minimal())}\n", ["bom-1", "bom-2"]),
        ("bom.json", f"\ufeff{json.dumps(minimal())}", ["bom"]),
        ("../straße 1.json", json.dumps(minimal(inputs={"edge": "/dev/null"})), ["stra-e-1"]),
    ],
)
def test_every_file_layout_gives_its_runs(write: Write, name: str, content: str, ids: list[str]) -> None:
    reading = read_files([write(name, content)], check_inputs=False)

    assert reading.problems == ()
    assert [run.id for run in reading.runs] == ids


def test_control_with_a_video_needs_no_input_video(write: Write, tmp_path: Path) -> None:
    record = minimal(inputs={"depth": "depth.mp4"}, execution_config={"weights": {"depth": 1}})

    (run,) = read_files([write("runs.jsonl", [record])]).runs

    assert run.video is None
    assert run.controls[0].video == str(tmp_path / "depth.mp4")


def test_control_video_without_a_weight_is_neither_used_nor_checked(write: Write) -> None:
    record = minimal(inputs={"video": "street.mp4", "seg": "not-made-yet.mp4"})

    reading = read_files([write("runs.jsonl", [record])])

    assert (len(reading.runs), reading.problems) == (1, ())


def test_upscale_job_needs_no_prompt_and_no_weights(write: Write) -> None:
    record = {"id": "big", "inputs": {"video": "street.mp4"}, "job_type": "upscale"}

    (run,) = read_files([write("runs.jsonl", [record])]).runs

    assert (run.job_type, run.signature) == ("upscale", ("upscale",))
    assert run.controls[0].weight == 0.5
    assert run.prompt.startswith("The video captures a stunning")


@pytest.mark.parametrize(("priority", "value"), [("low", -10), ("Normal", 0), ("HIGH", 10), (17, 17), (None, 0)])
def test_priorities_have_names_and_numbers(priority: object, value: int) -> None:
    assert run_from_dict(minimal(priority=priority)).priority == value


def test_equal_settings_of_many_runs_are_one_object(write: Write) -> None:
    runs = read_files([write("runs.jsonl", [minimal() for _ in range(200)])]).runs

    assert len(runs) == 200
    assert len({id(run.sampling) for run in runs}) == 1
    assert len({id(control) for run in runs for control in run.controls}) == 1


def test_home_and_absolute_paths_are_resolved(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    inputs = {"video": "~/street.mp4", "edge": str(tmp_path / "depth.mp4")}

    (run,) = read_files([write("below/runs.jsonl", [minimal(inputs=inputs)])]).runs

    assert run.video == str(tmp_path / "street.mp4")
    assert run.controls[0].video == str(tmp_path / "depth.mp4")


class TestRunFromDict:
    def test_paths_start_from_the_base_or_the_working_directory(self, tmp_path: Path) -> None:
        assert run_from_dict(minimal(), base=tmp_path).video == str(tmp_path / "street.mp4")
        assert run_from_dict(minimal()).video == str(Path.cwd() / "street.mp4")

    def test_files_are_checked_only_on_request(self, tmp_path: Path) -> None:
        record = minimal(inputs={"video": "absent.mp4"})

        assert run_from_dict(record, base=tmp_path).video == str(tmp_path / "absent.mp4")
        with pytest.raises(InputError, match="does not exist"):
            run_from_dict(record, base=tmp_path, check_inputs=True)

    def test_equal_records_without_an_id_get_equal_ids(self) -> None:
        first, again, other = (run_from_dict(minimal(prompt=prompt)).id for prompt in ("a", "a", "b"))

        assert first == again != other

    def test_all_problems_are_in_one_error(self) -> None:
        with pytest.raises(InputError) as caught:
            run_from_dict({"id": "../x", "promt": "snow", "execution_config": {"weights": {"edge": 2}}})

        assert {problem.field for problem in caught.value.problems} == {
            "id",
            "promt",
            "prompt",
            "execution_config.weights.edge",
        }


def guided(mask: str = "depth.mp4", **settings: object) -> dict[str, Any]:
    """A record with guided generation."""
    config = {"weights": {"edge": 1.0}, **settings}
    return minimal(inputs={"video": "street.mp4", "guided_generation_mask": mask}, execution_config=config)


def test_guided_generation_is_read(write: Write, tmp_path: Path) -> None:
    write("labels.npz", b"PK")
    settings = {"guided_generation_step_threshold": 9, "guided_generation_foreground_labels": [3, 1]}
    records = [guided(), guided("labels.npz", **settings), guided(guided_generation_step_threshold=0), minimal()]

    reading = read_files([write("runs.jsonl", records)])

    assert reading.problems == ()
    assert [run.guided_generation for run in reading.runs] == [
        GuidedGeneration(mask=str(tmp_path / "depth.mp4")),
        GuidedGeneration(mask=str(tmp_path / "labels.npz"), step_threshold=9, foreground_labels=(3, 1)),
        GuidedGeneration(mask=str(tmp_path / "depth.mp4"), step_threshold=0),
        None,
    ]


@pytest.mark.parametrize(
    ("record", "field", "words"),
    [
        (guided("absent.mp4"), "inputs.guided_generation_mask", "does not exist"),
        (
            guided(guided_generation_foreground_labels=[1]),
            "execution_config.guided_generation_foreground_labels",
            "has no effect: the mask is a video or a picture",
        ),
        (
            guided("labels.npz", guided_generation_foreground_labels=[]),
            "execution_config.guided_generation_foreground_labels",
            "",
        ),
        (
            guided("labels.npz", guided_generation_foreground_labels=[0]),
            "execution_config.guided_generation_foreground_labels[0]",
            "is too small",
        ),
        (
            minimal(execution_config={"weights": {"edge": 1}, "guided_generation_step_threshold": 3}),
            "execution_config.guided_generation_step_threshold",
            "has no effect without a mask; give inputs.guided_generation_mask, or remove it",
        ),
        (
            guided(num_conditional_frames=3),
            "execution_config.num_conditional_frames",
            "give a whole number from 0 to 2",
        ),
        (minimal(inputs={"video": "labels.npz"}), "inputs.video", "holds labels, and no video"),
        (
            minimal(
                inputs={"depth": "depth.mp4", "guided_generation_mask": "depth.mp4"},
                execution_config={"weights": {"depth": 1}},
            ),
            "inputs.video",
            "is missing; give the input video, which guided generation holds the output to",
        ),
    ],
)
def test_guided_generation_that_cannot_be_is_a_problem(
    write: Write, record: dict[str, Any], field: str, words: str
) -> None:
    write("labels.npz", b"PK")

    reading = read_files([write("runs.jsonl", [record])])

    assert reading.runs == ()
    (problem,) = reading.problems
    assert problem.field == field
    assert words in str(problem)


def test_input_may_be_a_span_of_a_video() -> None:
    def video(value: object) -> str | None:
        inputs = {"video": value, "depth": "/d.mp4#t=1,2"}
        record = {
            "id": "r",
            "prompt": "p",
            "inputs": inputs,
            "execution_config": {"weights": {"edge": 1, "depth": 1}},
        }
        run = run_from_dict(record, check_inputs=False)
        assert run.controls[1].video == "/d.mp4#t=1,2"
        return run.video

    assert video({"path": "/a.mp4", "start": 5, "frames": 3}) == "/a.mp4#frames=5+3"
    assert video({"path": "/a.mp4", "frames": 3}) == video("/a.mp4#frames=0+3")
    assert video({"path": "/a.mp4", "start": 5}) == "/a.mp4#frames=5+"
    assert video({"path": "/a.mp4", "start_seconds": 0.1, "seconds": 0.2}) == "/a.mp4#t=0.1,0.3"
    assert video({"path": "/a.mp4"}) == "/a.mp4"


def test_problems_of_spans_masks_and_prompts_come_at_once() -> None:
    record = {
        "id": "r",
        "prompt": "p",
        "inputs": {
            "video": {"path": "/a.mp4", "start": -1, "seconds": 2, "begin": 3},
            "depth": "/d.mp4#t=2,1",
            "seg": {"path": "/a.mp4", "start": 1, "seconds": 2},
            "edge_mask": {"path": "/a.npz", "start": 1},
        },
        "execution_config": {"weights": {"edge": 1}, "control_prompts": {"edge": "cars", "seg": ""}},
    }
    with pytest.raises(InputError) as refused:
        run_from_dict(record, check_inputs=False)
    assert [(problem.field, problem.message) for problem in refused.value.problems] == [
        ("inputs.video.start", "is too small"),
        ("inputs.video.begin", "is not a known key"),
        ("inputs.depth", "names a span that ends before it begins"),
        ("inputs.seg", "is given in frames and in seconds"),
        ("inputs.edge_mask", "names a span of a file of labels"),
        ("execution_config.control_prompts.seg", "is empty"),
        ("execution_config.control_prompts.edge", "has no effect: seg alone is made by a prompt"),
    ]


def test_masks_and_prompts_of_controls_are_read() -> None:
    record = {
        "id": "r",
        "prompt": "p",
        "inputs": {"video": "/a.mp4", "vis_mask": "/m.mp4"},
        "execution_config": {
            "weights": {"vis": 1, "seg": 0.5},
            "mask_prompts": {"seg": "the road"},
            "control_prompts": {"seg": "cars"},
        },
    }
    vis, seg = run_from_dict(record, check_inputs=False).controls
    assert (vis.mask, vis.mask_prompt) == ("/m.mp4", None)
    assert (seg.mask, seg.mask_prompt, seg.prompt) == (None, "the road", "cars")


def test_mask_is_not_given_twice() -> None:
    record = {
        "id": "r",
        "prompt": "p",
        "inputs": {"video": "/a.mp4", "vis_mask": "/m.mp4"},
        "execution_config": {"weights": {"vis": 1}, "mask_prompts": {"vis": "the road"}},
    }
    with pytest.raises(InputError, match="is beside a mask"):
        run_from_dict(record, check_inputs=False)


def test_record_holds_all_settings_of_a_run() -> None:
    controls = (Control(name="edge", weight=0.5, preset="high"), Control(name="depth", weight=1, video="/d.mp4"))
    run = Run(id="r", prompt="p", controls=controls, video="/v.mp4", sampling=Sampling(seed=3, fps="input"))
    assert record_of(run, {"/v.mp4": "file-v", "/d.mp4": "file-d"}) == {
        "id": "r",
        "prompt": "p",
        "inputs": {"depth": "file-d", "video": "file-v"},
        "execution_config": {"weights": {"edge": 0.5, "depth": 1.0}, "seed": 3, "canny_threshold": "high"},
        "priority": 0,
        "job_type": "inference",
    }


def test_record_holds_the_guided_generation_of_a_run() -> None:
    own = GuidedGeneration(mask="/m.npz", step_threshold=9, foreground_labels=(1, 2))
    sampling = Sampling(num_conditional_frames=0)
    run = Run(id="r", prompt="p", controls=(Control(name="edge", weight=1),), video="/v.mp4", sampling=sampling)
    body = record_of(replace(run, guided_generation=own), {"/v.mp4": "/v.mp4", "/m.npz": "/m.npz"})
    again = run_from_dict(body, check_inputs=False)
    assert (again.guided_generation, again.sampling) == (own, sampling)


def test_record_holds_masks_prompts_and_spans() -> None:
    controls = (
        Control(name="edge", weight=1, mask="/m.mp4#frames=3+2", video="/v.mp4#frames=0+2"),
        Control(name="seg", weight=0.5, prompt="cars", mask_prompt="the road"),
    )
    run = Run(id="r", prompt="p", controls=controls, video="/v.mp4#t=1,2.5")
    body = record_of(run, {"/v.mp4": "file-v", "/m.mp4": "file-m"})
    names = {"video": "file-v#t=1,2.5", "edge": "file-v#frames=0+2", "edge_mask": "file-m#frames=3+2"}
    assert body["inputs"] == names
    again = run_from_dict(record_of(run, {"/v.mp4": "/v.mp4", "/m.mp4": "/m.mp4"}), check_inputs=False)
    assert again == run


def test_character_nul_is_refused_in_every_text(write: Write) -> None:
    record = minimal() | {"prompt": "a\0b", "negative_prompt": "\0"}

    problems = read_files([write("runs.jsonl", [record])]).problems

    found = {(problem.field, problem.message) for problem in problems}
    assert {(name, "holds the character NUL") for name in ("prompt", "negative_prompt")} <= found

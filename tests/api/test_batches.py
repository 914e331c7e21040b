"""The public functions of Cosmos batch generation."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import cosmos_batch
from cosmos_batch import (
    Control,
    InputError,
    PlanError,
    Priority,
    Run,
    create_minimal_base_spec,
    determine_batch_size,
    get_control_signature,
    group_runs_for_batching,
    smart_batch_generation,
    to_cosmos_batch_inference_jsonl,
    write_launches,
)
from cosmos_batch.formats import read_files
from cosmos_batch.formats.run_like import as_run
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.media.video import probe
from tests.support.clips import clip
from tests.support.nvidia_world import STANDINS
from tests.support.runs import MakeRun


def test_every_exported_name_exists() -> None:
    assert all(getattr(cosmos_batch, name) for name in cosmos_batch.__all__)
    assert set(dir(cosmos_batch)) == set(cosmos_batch.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = cosmos_batch.nonsense


def test_importing_the_package_loads_no_heavy_library() -> None:
    code = (
        "import sys, cosmos_batch; cosmos_batch.smart_batch_generation; "
        "print(sorted({'torch', 'av', 'cv2', 'sqlalchemy', 'numpy'} & set(sys.modules))); "
        "[getattr(cosmos_batch, name) for name in cosmos_batch.__all__]; print('torch' in sys.modules)"
    )
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert printed.split() == ["[]", "False"]


def test_signature_is_the_sorted_active_controls(make_run: MakeRun) -> None:
    run = make_run(
        controls=(Control(name="vis", weight=1), Control(name="seg", weight=0), Control(name="edge", weight=0.1))
    )
    assert get_control_signature(run) == ("edge", "vis")
    assert get_control_signature(make_run()) == ()


def test_run_dicts_are_accepted_and_returned_as_given() -> None:
    given = {
        "id": "a",
        "prompt": "rain",
        "inputs": {"video": "a.mp4"},
        "execution_config": {"weights": {"edge": 0.5, "vis": 0}},
    }
    assert get_control_signature(given) == ("edge",)
    assert group_runs_for_batching([given])[("edge",)][0] is given
    assert smart_batch_generation([given])[0].runs[0] is given
    with pytest.raises(InputError):
        get_control_signature({"id": "a", "prompt": "rain", "execution_config": {"weights": {"edge": -1}}})


def test_groups_are_by_signature_simplest_first(standard: list[Run]) -> None:
    groups = group_runs_for_batching(list(reversed(standard)))
    assert list(groups) == [("edge",), ("depth", "edge"), ("depth", "edge", "seg", "vis")]
    assert [len(runs) for runs in groups.values()] == [6, 3, 1]


def test_group_key_names_only_settings_that_differ(make_run: MakeRun) -> None:
    runs = [
        make_run("edge", seed=42),
        make_run("edge"),
        make_run("edge", seed=7),
        make_run("vis", seed=1, num_steps=10),
    ]
    groups = group_runs_for_batching(runs)
    # An unset seed is the default, 42; vis has a group of its own, in which nothing differs
    assert {key: len(group) for key, group in groups.items()} == {
        ("edge", ("seed", 42)): 2,
        ("edge", ("seed", 7)): 1,
        ("vis",): 1,
    }


def test_presets_separate_runs_only_where_the_control_video_is_made(make_run: MakeRun) -> None:
    low, medium = Control(name="vis", weight=1, preset="low"), Control(name="vis", weight=1)
    given = Control(name="vis", weight=1, preset="high", video="/in/blurred.mp4")
    groups = group_runs_for_batching([make_run(controls=(c,)) for c in (low, medium, given)])
    assert {key: len(group) for key, group in groups.items()} == {
        ("vis", ("blur_strength", "low")): 1,
        ("vis", ("blur_strength", "medium")): 2,
    }


def test_engine_with_mixed_control_sets_has_one_group(standard: list[Run]) -> None:
    assert list(group_runs_for_batching(standard, "transfer")) == [("depth", "edge", "seg", "vis")]
    with pytest.raises(PlanError, match="'transfer9' is not known; known are pocket, transfer, transfer1"):
        group_runs_for_batching(standard, "transfer9")


def test_base_spec_has_every_process_setting(make_run: MakeRun) -> None:
    unused = (Control(name="edge", weight=0.4), Control(name="depth", weight=0))
    assert create_minimal_base_spec([make_run(controls=unused), make_run("seg", video="/in/b.mp4")]) == {
        "negative_prompt": "low quality, blurry",
        "num_steps": 35,
        "guidance": 7.0,
        "sigma_max": 70.0,
        "seed": 42,
        "fps": 24.0,
        "blur_strength": "medium",
        "canny_threshold": "medium",
        "input_video_path": "/in/a.mp4",
        "edge": {"control_weight": 0},
        "seg": {"control_weight": 0},
    }


def test_base_spec_refuses_settings_that_differ(make_run: MakeRun) -> None:
    with pytest.raises(PlanError, match=r"guidance must be equal .* 7.0 in run r1, 5.0 in run r2"):
        create_minimal_base_spec([make_run("edge"), make_run("edge", guidance=5)])
    with pytest.raises(PlanError, match="use_distilled must be equal"):
        create_minimal_base_spec([make_run("edge"), replace(make_run("edge"), job_type="distilled")])
    with pytest.raises(PlanError, match="fps = 'input': a base spec needs a number"):
        create_minimal_base_spec([make_run("edge", fps="input")])
    with pytest.raises(PlanError, match="at least one run"):
        create_minimal_base_spec([])


@pytest.mark.parametrize(("controls", "size"), [(0, 1), (1, 8), (2, 4), (3, 2), (4, 2), (5, 1), (9, 1)])
def test_batch_sizes_by_control_count(controls: int, size: int) -> None:
    assert determine_batch_size(controls) == size
    assert determine_batch_size(controls, job_type="upscale") == 1


def test_batch_sizes_of_signatures_and_runs(make_run: MakeRun) -> None:
    assert determine_batch_size(("depth", "edge")) == 4
    assert determine_batch_size(("upscale",)) == 1
    assert determine_batch_size(make_run("edge")) == 8
    assert determine_batch_size(make_run("edge", job_type="upscale")) == 1


def test_line_overrides_every_control_so_nothing_is_inherited(make_run: MakeRun) -> None:
    controls = (
        Control(name="edge", weight=0.7, video="/in/edge.mp4"),
        Control(name="seg", weight=0.2, prompt="the robot arm", mask_prompt="the cup"),
        Control(name="vis", weight=0),
    )
    assert to_cosmos_batch_inference_jsonl([make_run(controls=controls)]) == [
        {
            "visual_input": "/in/a.mp4",
            "prompt": "prompt 1",
            "control_overrides": {
                "edge": {"control_weight": 0.7, "input_control": "/in/edge.mp4"},
                "seg": {
                    "control_weight": 0.2,
                    "input_control": None,
                    "input_control_prompt": "the robot arm",
                    "control_weight_prompt": "the cup",
                },
            },
        }
    ]


def test_smart_batches_of_the_standard_scenario(standard: list[Run]) -> None:
    batches = smart_batch_generation(standard)
    assert [(b.signature, b.batch_size, b.control_count, b.launch) for b in batches] == [
        (("edge",), 6, 1, 0),
        (("depth", "edge"), 3, 2, 1),
        (("depth", "edge", "seg", "vis"), 1, 4, 2),
    ]
    first = batches[0]
    assert first["runs"] == first.runs == tuple(standard[:6])
    assert dict(first)["base_spec"]["edge"] == {"control_weight": 0}
    assert len(first["batch_jsonl"]) == 6
    with pytest.raises(KeyError):
        first["nonsense"]


def test_smart_batches_follow_the_levels_of_priority(make_run: MakeRun) -> None:
    priorities = (-10, 0, 5, 10, 99, 100, 250, -1)
    runs = [make_run(name, id=f"{name}{p}", priority=p) for p in priorities for name in ("vis", "edge")]
    batches = [
        [run.priority for run in batch.runs if isinstance(run, Run)] for batch in smart_batch_generation(runs)
    ]
    levels = [{Priority.level(priority) for priority in batch} for batch in batches]
    assert [level for batch in levels for level in batch] == [level for level in reversed(Priority) for _ in "ev"]


def test_smart_batches_are_within_the_size_limits_and_share_a_base_spec(make_run: MakeRun) -> None:
    batches = smart_batch_generation([make_run("edge") for _ in range(19)])
    assert [b.batch_size for b in batches] == [8, 8, 3]
    assert {b.launch for b in batches} == {0}
    assert batches[0].base_spec is batches[2].base_spec


def test_scalar_weights_part_the_batches(make_run: MakeRun) -> None:
    # Transfer1 gives every video of a tensor batch the first one's weights, where they are numbers
    runs = [make_run("edge", weight=w) for w in (0.5, 0.9, 0.5, 0.9, 0.5)]
    batches = smart_batch_generation(runs, weights="scalar")
    assert [[line["control_overrides"]["edge"]["control_weight"] for line in b.batch_jsonl] for b in batches] == [
        [0.5, 0.5, 0.5],
        [0.9, 0.9],
    ]
    assert {b.launch for b in batches} == {0}
    assert [b.weight_maps for b in batches] == [{}, {}]
    with pytest.raises(PlanError, match=r"weights = 'tensor': it is 'maps' or 'scalar'"):
        smart_batch_generation(runs, weights="tensor")  # type: ignore[arg-type]


def of_different_weights(make_run: MakeRun, video: str = "/in/a.mp4") -> list[Run]:
    """Six runs with edge of different weights, three with edge and depth, one with all four controls."""
    names = ["edge"] * 6 + ["edge depth"] * 3 + ["edge depth seg vis"]
    return [
        make_run(*controls.split(), weight=0.1 + 0.07 * place, video=video) for place, controls in enumerate(names)
    ]


def test_runs_of_different_weights_share_a_batch_with_weights_as_maps(make_run: MakeRun) -> None:
    batches = smart_batch_generation(of_different_weights(make_run))
    assert [(b.signature, b.batch_size) for b in batches] == [
        (("edge",), 6),
        (("depth", "edge"), 3),
        (("depth", "edge", "seg", "vis"), 1),
    ]
    for batch in batches[:2]:  # every line has one map, whose weight is its run's
        for run, line in zip(batch.runs, batch.batch_jsonl, strict=True):
            assert isinstance(run, Run)
            given = [each["control_weight"] for each in line["control_overrides"].values()]
            maps = [weight for weight in given if isinstance(weight, str)]
            assert [batch.weight_maps[name] for name in maps] == [run.active[0].weight]
            assert [weight for weight in given if weight not in maps] == [c.weight for c in run.active[1:]]
    assert batches[2].weight_maps == {}
    assert [b.batch_size for b in smart_batch_generation(of_different_weights(make_run), weights="scalar")] == [
        1
    ] * 10


def test_run_with_a_map_of_its_own_shares_a_batch_and_keeps_it(make_run: MakeRun) -> None:
    own = make_run(controls=(Control(name="edge", weight=1, mask="/in/left.pt"),))
    (batch,) = smart_batch_generation([own, make_run("edge", weight=0.3)])
    weights = [line["control_overrides"]["edge"]["control_weight"] for line in batch.batch_jsonl]
    assert weights[0] == "/in/left.pt"
    assert [batch.weight_maps[name] for name in weights[1:]] == [0.3]


def test_written_batches_are_what_nvidias_loader_takes_and_read_back_as_their_runs(
    make_run: MakeRun, tmp_path: Path
) -> None:
    video = str(clip(tmp_path / "street.mp4", fps=30))
    runs = of_different_weights(make_run, video)
    batches = smart_batch_generation(runs, facts={video: probe(video)})
    for batch in batches:
        files = batch.write(tmp_path / "out")
        assert files.spec.name == f"batch_{batch.number:04d}_spec.json"
        assert json.loads(files.spec.read_text())["fps"] == 30
        outputs = tmp_path / "outputs" / files.lines.stem
        script = STANDINS / "cosmos_transfer1/diffusion/inference/transfer.py"
        command = [sys.executable, str(script), *files.arguments, "--video_save_folder", str(outputs)]
        subprocess.run(command, check=True, cwd="/", env={"PYTHONPATH": str(STANDINS)})
        made = sorted(outputs.glob("video_*/output.mp4"))
        assert len({path.read_bytes() for path in made}) == batch.batch_size  # a colour for each set of weights
        reading = read_files([files.spec, files.lines])
        assert reading.problems == ()
        given = [as_run(run) for run in batch.runs]
        assert [_weights(run) for run in reading.runs] == [_weights(run) for run in given]
        lines = [json.loads(line) for line in files.lines.read_text().splitlines()]
        assert _used_weights(lines) == [_weights(run) for run in given]
        assert batch.write(tmp_path / "out") == files  # the same again
    with pytest.raises(InputError, match=r"batch_0001\.jsonl: holds another batch; name a folder"):
        smart_batch_generation(runs[6:])[0].write(tmp_path / "out")


def _weights(run: Run) -> dict[str, float]:
    return {control.name: control.weight for control in run.active}


def _used_weights(lines: list[dict[str, Any]]) -> list[dict[str, float]]:
    """The weights with which Transfer1 makes the samples of a tensor batch: of numbers, all the first one's."""
    found, mapped = [], []
    for line in lines:
        given = {name: each["control_weight"] for name, each in line["control_overrides"].items()}
        maps = {name: torch.load(weight) for name, weight in given.items() if isinstance(weight, str)}
        assert all(each.ndim in (2, 3) and each.unique().numel() == 1 for each in maps.values())
        found.append(given | {name: each.flatten()[0].item() for name, each in maps.items()})
        mapped.append(bool(maps))
    assert len(set(mapped)) == 1  # numbers and maps cannot be concatenated
    return found if mapped[0] else found[:1] * len(found)


def test_launch_of_several_batches_is_one_spec_and_one_file_of_lines(make_run: MakeRun, tmp_path: Path) -> None:
    video = str(clip(tmp_path / "street.mp4", fps=30))
    runs = [make_run("edge", video=video, weight=0.1 + 0.05 * (number // 2)) for number in range(10)]
    runs += [make_run("edge", "depth", video=video)]
    batches = smart_batch_generation(runs, facts={video: probe(video)})
    assert [(batch.launch, batch.batch_size) for batch in batches] == [(0, 8), (0, 2), (1, 1)]

    written = write_launches(batches, tmp_path / "out")

    assert [files.spec.name for files in written] == ["launch_0001_spec.json", "launch_0002_spec.json"]
    assert [files.arguments[-2:] for files in written] == [("--batch_size", "8"), ("--batch_size", "1")]
    reading = read_files([written[0].spec, written[0].lines])
    assert reading.problems == ()
    given = [_weights(as_run(run)) for batch in batches[:2] for run in batch.runs]
    assert [_weights(run) for run in reading.runs] == given
    lines = [json.loads(line) for line in written[0].lines.read_text().splitlines()]
    assert [*_used_weights(lines[:8]), *_used_weights(lines[8:])] == given  # as the script cuts them
    script = STANDINS / "cosmos_transfer1/diffusion/inference/transfer.py"
    command = [sys.executable, str(script), *written[0].arguments, "--video_save_folder", str(tmp_path / "made")]
    subprocess.run(command, check=True, cwd="/", env={"PYTHONPATH": str(STANDINS)})
    assert len(list((tmp_path / "made").glob("video_*/output.mp4"))) == 10
    assert write_launches(batches, tmp_path / "out") == written  # the same again


def test_launch_that_the_script_would_cut_otherwise_is_not_written(make_run: MakeRun, tmp_path: Path) -> None:
    runs = [make_run("edge", video="/in/a.mp4") for _ in range(9)]
    large, small = smart_batch_generation(runs)
    assert (large.batch_size, small.batch_size) == (8, 1)
    grown = replace(small, number=0)  # before the large one
    with pytest.raises(PlanError, match="launch 0: batches of 1, 8 runs; Transfer1 cuts a file into batches of"):
        write_launches([large, grown], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_only_batches_for_transfer1_are_written(make_run: MakeRun, tmp_path: Path) -> None:
    (batch,) = smart_batch_generation([make_run("edge")], "transfer")
    with pytest.raises(PlanError, match="for engine 'transfer'; only Transfer1 reads such files"):
        write_launches([batch], tmp_path)
    with pytest.raises(PlanError, match="for engine 'transfer'; only Transfer1 reads such files"):
        batch.write(tmp_path)


def test_open_frame_rate_is_that_of_the_input(make_run: MakeRun) -> None:
    facts = {"/in/a.mp4": VideoInfo(1280, 720, 121, 29.97), "/in/b.mp4": VideoInfo(1280, 720, 121, 50)}
    runs = [
        make_run("edge"),
        make_run("edge", video="/in/b.mp4"),
        make_run("edge", fps=50),
        make_run("edge", fps="input"),
    ]
    batches = smart_batch_generation(runs, facts=facts)
    assert [(b.base_spec["fps"], [run.id for run in b.runs]) for b in batches] == [
        (29.97, ["r1", "r4"]),
        (50, ["r2", "r3"]),
    ]
    assert smart_batch_generation(runs[:2])[0].base_spec["fps"] == 24  # nothing is known of the inputs
    assert list(group_runs_for_batching([runs[0], make_run("edge", fps=24)])) == [("edge",)]


@pytest.mark.parametrize("engine", ["transfer25", "cosmos3", "transfer1"])
def test_engines_that_take_the_rate_of_the_input_have_batches_without_facts(
    make_run: MakeRun, engine: str
) -> None:
    assert smart_batch_generation([make_run("edge", weight=1)], engine)[0].batch_size == 1


def test_transfer1_batch_has_one_video_size_and_length(make_run: MakeRun) -> None:
    facts = {"/in/a.mp4": VideoInfo(1280, 720, 121, 24), "/in/b.mp4": VideoInfo(720, 1280, 121, 24)}
    runs = [make_run("edge", video=f"/in/{name}.mp4") for name in "aabb"]
    assert [b.batch_size for b in smart_batch_generation(runs)] == [4]
    assert [b.batch_size for b in smart_batch_generation(runs, facts=facts)] == [2, 2]


def test_urgent_runs_are_first_and_in_a_launch_of_their_own(make_run: MakeRun) -> None:
    runs = [make_run("edge"), make_run("edge"), make_run("edge", "seg", id="now", priority=100)]
    batches = smart_batch_generation(runs)
    assert [[run.id for run in b.runs] for b in batches] == [["now"], ["r1", "r2"]]


def test_upscaling_is_one_by_one_in_a_launch_of_its_own(make_run: MakeRun) -> None:
    runs = [
        make_run("edge"),
        make_run(job_type="upscale"),
        make_run("upscale", job_type="upscale"),
        make_run("edge"),
    ]
    batches = smart_batch_generation(runs)
    upscaled = [b for b in batches if any(run.job_type == "upscale" for run in b.runs)]
    assert [b.batch_size for b in upscaled] == [1, 1]
    assert not {b.launch for b in upscaled} & {b.launch for b in batches if b not in upscaled}
    assert all("upscale" in b.base_spec and "upscale" in b.batch_jsonl[0]["control_overrides"] for b in upscaled)


def test_base_spec_for_mixed_settings_has_the_shared_ones(make_run: MakeRun) -> None:
    runs = [make_run("edge", seed=1), make_run("vis", seed=2)]
    (batch,) = smart_batch_generation(runs, "transfer")
    assert batch.signature == ("edge", "vis")
    assert "seed" not in batch.base_spec
    assert "fps" not in smart_batch_generation([make_run("edge", fps="input")], "transfer")[0].base_spec
    assert batch.base_spec["num_steps"] == 35
    assert [sorted(line["control_overrides"]) for line in batch.batch_jsonl] == [["edge"], ["vis"]]


def test_runs_that_an_engine_cannot_execute_are_refused_with_every_reason(make_run: MakeRun) -> None:
    runs = [make_run("wsm", id="a"), make_run("edge", id="b", num_frames=10), make_run("edge", id="c")]
    with pytest.raises(PlanError) as refused:
        smart_batch_generation(runs)
    assert "a: controls.wsm: engine transfer1 has no such control" in str(refused.value)
    assert "b: num_frames = 10" in str(refused.value)


def test_no_runs_give_no_batches() -> None:
    assert smart_batch_generation([]) == []
    assert group_runs_for_batching([]) == {}
    assert to_cosmos_batch_inference_jsonl([]) == []

"""The files of Transfer1, read by the rules of its own loader."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from cosmos_batch.engines.nvidia.launch_files import LaunchFiles
from cosmos_batch.engines.nvidia.transfer1.traits import TRANSFER1_DRIVEN
from cosmos_batch.engines.nvidia.transfer1.write import write_transfer1
from cosmos_batch.errors import PlanError
from cosmos_batch.formats import read_files
from cosmos_batch.media.controls.cache import ControlCache
from cosmos_batch.media.controls.pixels import make_control
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.media.video import probe, read_frames
from cosmos_batch.planning.equivalence import refusals_by_run, work_of
from cosmos_batch.planning.plan import Batch, Launch
from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import Control, ResolvedRun, Run, Sampling
from tests.support.clips import clip
from tests.support.nvidia_files import as_written, fingerprints, planned, read_back

SPECS = Path(__file__).parents[3] / "data" / "transfer1"
SPATIOTEMPORAL = SPECS / "inference_cosmos_transfer1_spatiotemporal_weights_auto.json"


@pytest.fixture
def cache(tmp_path: Path) -> ControlCache:
    return ControlCache(tmp_path / "cache")


@pytest.fixture
def street(tmp_path: Path) -> str:
    return str(clip(tmp_path / "street.mp4"))


def run_of(id_: str, video: str, *, prompt: str = "", seed: int = 1, **weights: float) -> Run:
    controls = tuple(Control(name=name, weight=weight) for name, weight in weights.items())  # type: ignore[arg-type]
    sampling = Sampling(seed=seed, fps=24)
    return Run(id=id_, prompt=prompt or f"prompt {id_}", video=video, controls=controls, sampling=sampling)


def spec_and_lines(written: LaunchFiles) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    spec, lines = written.files
    return json.loads(spec.read_text()), [json.loads(line) for line in lines.read_text().splitlines()]


def tensor_batches(written: LaunchFiles) -> list[list[dict[str, Any]]]:
    """The lines as the script cuts them: by number alone."""
    _, lines = spec_and_lines(written)
    size = int(written.arguments[written.arguments.index("--batch_size") + 1])
    return [lines[start : start + size] for start in range(0, len(lines), size)]


def test_launch_is_a_minimal_spec_and_a_line_per_run(tmp_path: Path, street: str, cache: ControlCache) -> None:
    runs = [run_of("a", street, edge=0.7, vis=0.0), run_of("b", street, edge=0.7)]
    (launch,) = planned(runs, "transfer1").launches

    written = write_transfer1(launch, tmp_path / "out", cache=cache)

    spec, lines = spec_and_lines(written)
    assert spec == {
        "num_input_frames": 1,
        "is_av_sample": False,
        "use_distilled": False,
        "upsample_prompt": False,
        "save_input_noise": False,
        "negative_prompt": "low quality, blurry",
        "num_steps": 35,
        "guidance": 7,
        "sigma_max": 70,
        "seed": 1,
        "fps": 24,
        "blur_strength": "medium",
        "canny_threshold": "medium",
        "input_video_path": street,
        "edge": {"control_weight": "0"},
    }
    made = str(written.samples[0].controls["edge"])
    override = {"edge": {"control_weight": 0.7, "input_control": made}}
    assert lines == [
        {"visual_input": street, "prompt": "prompt a", "control_overrides": override},
        {"visual_input": street, "prompt": "prompt b", "control_overrides": override},
    ]
    out = tmp_path / "out"
    assert written.arguments == (
        "--controlnet_specs",
        str(out / "batch_0001_spec.json"),
        "--batch_input_path",
        str(out / "batch_0001.jsonl"),
        "--batch_size",
        "2",
        "--video_save_folder",
        str(out / "outputs" / "batch_0001"),
    )
    assert set(written.inputs) == {Path(street), Path(made)}
    first = written.samples[0]
    assert (first.name, first.video) == ("video_0", written.outputs / "video_0" / "output.mp4")
    assert first.expected == VideoInfo(960, 704, 6, 24.0)


def test_distilled_runs_are_a_launch_of_their_own_that_reads_back_as_the_same(
    tmp_path: Path, street: str, cache: ControlCache
) -> None:
    base = {"input_video_path": street, "edge": {"control_weight": 0.7}}
    specs = {"general.json": base, "distilled.json": base | {"use_distilled": True}}
    for name, spec in specs.items():
        (tmp_path / name).write_text(json.dumps(spec))
    read = read_files([tmp_path / name for name in specs]).runs
    plan = planned(read, "transfer1")

    written = [
        write_transfer1(launch, tmp_path / str(launch.index), cache=cache)
        for launch in sorted(plan.launches, key=lambda launch: launch.runs[0].id, reverse=True)
    ]

    assert [spec_and_lines(files)[0]["use_distilled"] for files in written] == [False, True]
    (back,) = read_back(written[1], "transfer1")
    assert back.job_type == "distilled"
    expected = as_written(written[1].samples[0], made=("edge",))
    assert back.fingerprint == expected.fingerprint
    works = [work_of(files.samples[0].run, Shape(960, 704, 6), TRANSFER1_DRIVEN) for files in written]
    assert [(work.steps, work.rows) for work in works] == [(35, 2), (1, 1)]


def test_edge_and_vis_videos_are_made_at_the_inputs_own_size(
    tmp_path: Path, street: str, cache: ControlCache
) -> None:
    run = run_of("a", street, edge=0.5, vis=0.5)
    run = replace(run, controls=tuple(replace(control, preset="low") for control in run.controls))
    (launch,) = planned([run], "transfer1").launches

    (sample,) = write_transfer1(launch, tmp_path / "out", cache=cache).samples

    frames = read_frames(street)
    for name, path in sample.controls.items():
        assert path.is_relative_to(tmp_path / "out" / "inputs")
        assert probe(path).width == 64
        assert (read_frames(path) == make_control(name, frames, "low")).all()


def test_runs_of_different_presets_share_a_launch(street: str) -> None:
    runs = [run_of("a", street, edge=0.5), run_of("b", street, edge=0.5)]
    runs[1] = replace(runs[1], controls=(Control(name="edge", weight=0.5, preset="high"),))
    assert len(planned(runs, "transfer1").launches) == 1


def test_videos_that_the_script_makes_are_null_and_upscale_is_not_named(
    tmp_path: Path, street: str, cache: ControlCache
) -> None:
    seg = replace(run_of("a", street, seg=0.5), prompt="a red car")
    up = replace(run_of("b", street), controls=(Control(name="upscale", weight=0.5),), job_type="upscale")
    first, second = planned([seg, up], "transfer1").launches

    seg_written = write_transfer1(first, tmp_path / "out", cache=cache)
    up_written = write_transfer1(second, tmp_path / "out", cache=cache)

    override = {"control_weight": 0.5, "input_control": None, "input_control_prompt": "a red car"}
    assert spec_and_lines(seg_written)[1][0]["control_overrides"] == {"seg": override}
    assert spec_and_lines(up_written)[1][0]["control_overrides"] == {"upscale": {"control_weight": 0.5}}
    assert up_written.batch_size == 1
    # three tiles of 960x704, which share 256 pixels across and 192 down
    assert up_written.samples[0].expected == VideoInfo(2624, 1920, 6, 24.0)


def test_runs_of_different_weights_share_a_tensor_batch_as_maps(
    tmp_path: Path, street: str, cache: ControlCache
) -> None:
    # 3 + 1 edge-only runs: one batch of four with maps costs less than two batches
    runs = [run_of(f"a{i}", street, edge=0.25) for i in range(3)] + [run_of("b", street, edge=0.8)]
    (launch,) = planned(runs, "transfer1").launches

    written = write_transfer1(launch, tmp_path / "out", cache=cache)

    assert [len(batch) for batch in tensor_batches(written)] == [4]
    weights = [line["control_overrides"]["edge"]["control_weight"] for line in spec_and_lines(written)[1]]
    maps = [torch.load(path, weights_only=True) for path in weights]
    assert [each.unique().tolist() for each in maps] == [[0.25], [0.25], [0.25], [0.8]]
    assert {each.shape for each in maps} == {(2, 2)}
    assert {Path(path) for path in weights} <= set(written.inputs)


def test_tensor_batch_of_equal_weights_keeps_its_numbers(tmp_path: Path, street: str, cache: ControlCache) -> None:
    runs = [run_of(f"a{i}", street, edge=0.25, seed=i % 2) for i in range(4)]
    for launch in planned(runs, "transfer1").launches:
        _, lines = spec_and_lines(write_transfer1(launch, tmp_path / "out", cache=cache))
        assert {line["control_overrides"]["edge"]["control_weight"] for line in lines} == {0.25}


def test_run_with_a_map_gets_no_other(tmp_path: Path, street: str, cache: ControlCache) -> None:
    own = (Control(name="seg", weight=0.5, mask_prompt="car"),)
    runs = [replace(run_of("a", street), controls=own), run_of("b", street, seg=0.5)]
    batch = Batch(runs=tuple(_resolved(runs)), shape=Shape(960, 704, 6), seconds=1, bytes=1)
    launch = Launch(0, ("seg",), (batch,), 1.0, "")

    _, lines = spec_and_lines(write_transfer1(launch, tmp_path / "out", cache=cache))

    first, second = (line["control_overrides"]["seg"] for line in lines)
    assert (first["control_weight"], first["control_weight_prompt"]) == (0.5, "car")
    assert second["control_weight"].endswith(".pt")


def _resolved(runs: list[Run]) -> list[ResolvedRun]:
    return [run for launch in planned(runs, "transfer1").launches for run in launch.runs]


def test_equal_prompts_go_to_different_tensor_batches(tmp_path: Path, street: str, cache: ControlCache) -> None:
    prompts = ["snow", "snow", "rain", "fog", "night", "snow"]
    runs = [run_of(f"r{i}", street, prompt=prompt, depth=0.5) for i, prompt in enumerate(prompts)]
    resolved = _resolved(runs)
    batches = tuple(Batch(tuple(resolved[i : i + 2]), Shape(960, 704, 6), 1.0, 1) for i in (0, 2, 4))

    written = write_transfer1(Launch(0, ("depth",), batches, 1.0, ""), tmp_path / "out", cache=cache)

    for batch in tensor_batches(written):
        assert len({line["prompt"] for line in batch}) == 2
    assert [s.run.prompt for s in written.samples] == [line["prompt"] for line in spec_and_lines(written)[1]]
    assert sorted(sample.run.id for sample in written.samples) == sorted(run.id for run in runs)


def test_batches_of_unequal_sizes_are_refused(tmp_path: Path, street: str, cache: ControlCache) -> None:
    runs = _resolved([run_of(f"r{i}", street, depth=0.5) for i in range(3)])
    batches = tuple(Batch(tuple(part), Shape(960, 704, 6), 1.0, 1) for part in (runs[:1], runs[1:]))
    with pytest.raises(PlanError, match=r"batches of \[1, 2\]"):
        write_transfer1(Launch(0, ("depth",), batches, 1.0, ""), tmp_path / "out", cache=cache)


def test_files_have_their_staged_paths(tmp_path: Path, street: str, cache: ControlCache) -> None:
    (launch,) = planned([run_of("a", street, edge=0.5)], "transfer1").launches
    asked: list[Path] = []

    def there(path: Path) -> str:
        asked.append(path)
        assert path.exists() or path == tmp_path / "out" / "outputs" / "batch_0001"
        return f"/remote/{len(asked)}{path.suffix}"

    written = write_transfer1(launch, tmp_path / "out", cache=cache, stage=there)

    assert all(argument.startswith(("--", "/remote/", "1")) for argument in written.arguments)
    (line,) = spec_and_lines(written)[1]
    assert line["visual_input"].startswith("/remote/")
    assert line["control_overrides"]["edge"]["input_control"].startswith("/remote/")
    assert len(asked) == len(set(asked))


def test_prompt_is_data_whatever_it_contains(tmp_path: Path, street: str, cache: ControlCache) -> None:
    prompt = "--seed 7; $(rm -rf /) \"quoted\" 'too'\nnew line \u2028 separator \x1c \u00e9 \U0001f697"
    (launch,) = planned([run_of("a", street, prompt=prompt, edge=0.5)], "transfer1").launches

    written = write_transfer1(launch, tmp_path / "out", cache=cache)

    assert written.files[1].read_bytes().count(b"\n") == 1
    assert spec_and_lines(written)[1][0]["prompt"] == prompt
    assert read_back(written, "transfer1")[0].prompt == prompt


def test_weights_by_prompt_on_other_controls_than_seg_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NVIDIA's own sample has them on vis and edge, where its script passes over them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "assets").mkdir()
    clip(tmp_path / "assets" / "example1_input_video.mp4")
    runs = read_files([SPATIOTEMPORAL]).runs
    (problems,) = refusals_by_run(runs, TRANSFER1_DRIVEN, {}).values()
    assert [problem.field for problem in problems] == ["controls.vis", "controls.edge"]


@pytest.mark.parametrize("spec", sorted({*SPECS.glob("*.json")} - {SPATIOTEMPORAL}), ids=lambda path: path.stem)
def test_nvidias_own_specs_read_back_as_the_same_runs(
    spec: Path, tmp_path: Path, cache: ControlCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "assets").mkdir()
    for value in _paths(json.loads(spec.read_text())):
        clip(tmp_path / value)
    reading = read_files([spec])
    assert reading.problems == ()
    (launch,) = planned(reading.runs, "transfer1").launches

    written = write_transfer1(launch, tmp_path / "out", cache=cache)

    expected = [as_written(sample, made=("edge", "vis")) for sample in written.samples]
    assert fingerprints(read_back(written, "transfer1")) == fingerprints(expected)


def _paths(value: object) -> list[str]:
    if isinstance(value, dict):
        return [path for each in value.values() for path in _paths(each)]
    return [value] if isinstance(value, str) and value.endswith(".mp4") else []

"""Properties of the files of any plan."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cosmos_batch.engines.nvidia.cosmos3.write import write_cosmos3
from cosmos_batch.engines.nvidia.launch_files import LaunchFiles, LaunchFolder
from cosmos_batch.engines.nvidia.transfer1.write import write_transfer1
from cosmos_batch.engines.nvidia.transfer25.write import write_transfer25
from cosmos_batch.formats.nvidia.weight_maps import constant_value
from cosmos_batch.media.controls.cache import ControlCache
from cosmos_batch.media.video import read_frames
from cosmos_batch.run import Control, Run, Sampling
from tests.support.clips import clip
from tests.support.nvidia_files import as_written, fingerprints, planned, read_back

FEW = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
PROMPTS = st.sampled_from(["snow", "rain"]) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20
).filter(lambda text: not text.isspace())
SETS = {
    "transfer1": (("edge",), ("depth",), ("edge", "seg"), ("depth", "vis")),
    "transfer25": (("edge",), ("depth",), ("edge", "seg"), ("depth", "vis"), ("depth", "edge", "seg", "vis")),
    "cosmos3": (("edge",), ("wsm",), ("edge", "seg"), ("depth", "vis")),
}
SHARES = {1: ((1.0,),), 2: ((0.5, 0.5), (0.25, 0.75)), 4: ((0.25, 0.25, 0.25, 0.25),)}
GIVEN = ("depth", "seg", "wsm")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Small clips: two wide ones of different length, and an upright one."""
    folder = tmp_path_factory.mktemp("clips")
    return {
        "wide": str(clip(folder / "wide.mp4", frames=3)),
        "long": str(clip(folder / "long.mp4", frames=4)),
        "upright": str(clip(folder / "upright.mp4", frames=3, width=48, height=64)),
    }


@st.composite
def run_lists(draw: st.DrawFn, engine: str) -> list[dict[str, Any]]:
    """Requests of few kinds, so that many of them have something in common."""
    requests = []
    for _ in range(draw(st.integers(1, 12))):
        names = draw(st.sampled_from(SETS[engine]))
        weights = draw(st.sampled_from(SHARES[len(names)]))
        if engine != "cosmos3":
            weights = tuple(draw(st.sampled_from((weight, 0.9))) for weight in weights)
        requests.append(
            {
                "names": names,
                "weights": weights,
                "video": draw(st.sampled_from(("wide", "long", "upright"))),
                "prompt": draw(PROMPTS),
                "seed": draw(st.sampled_from((1, 7))),
                "preset": draw(st.sampled_from(("low", "medium"))),
            }
        )
    return requests


def runs_of(requests: list[dict[str, Any]], videos: Mapping[str, str], engine: str) -> list[Run]:
    runs = []
    for index, request in enumerate(requests):
        video = videos[request["video"]]
        controls = tuple(
            Control(
                name=name,
                weight=weight,
                video=video if name in GIVEN and engine == "cosmos3" else None,
                preset=request["preset"] if name in ("edge", "vis") else "medium",
            )
            for name, weight in zip(request["names"], request["weights"], strict=True)
        )
        sampling = Sampling(seed=request["seed"], fps=24.0 if engine == "transfer1" else None)
        runs.append(
            Run(id=f"r{index}", prompt=request["prompt"], video=video, controls=controls, sampling=sampling)
        )
    return runs


@FEW
@given(requests=run_lists("transfer1"))
def test_transfer1_files_never_mix_and_read_back_as_the_same_runs(
    requests: list[dict[str, Any]], videos: Mapping[str, str], tmp_path: Path
) -> None:
    runs = runs_of(requests, videos, "transfer1")
    cache = ControlCache(tmp_path / "cache")

    written = [
        write_transfer1(launch, tmp_path / "out", cache=cache) for launch in planned(runs, "transfer1").launches
    ]

    assert sorted(sample.run.id for each in written for sample in each.samples) == sorted(run.id for run in runs)
    for each in written:
        _tensor_batches_are_uniform(each)
        expected = [as_written(sample, made=("edge", "vis")) for sample in each.samples]
        assert fingerprints(read_back(each, "transfer1")) == fingerprints(expected)


def _tensor_batches_are_uniform(written: LaunchFiles) -> None:
    """As the script cuts its file, every tensor batch has what it must have equal, and weights that count."""
    spec = json.loads(written.files[0].read_text())
    lines = [json.loads(line) for line in written.files[1].read_text().splitlines()]
    controls = [name for name, value in spec.items() if isinstance(value, dict)]
    for start in range(0, len(lines), written.batch_size):
        samples = written.samples[start : start + written.batch_size]
        assert len({sample.expected for sample in samples}) == 1
        overrides = [line["control_overrides"] for line in lines[start : start + written.batch_size]]
        assert all(sorted(override) == controls for override in overrides)
        weights = [[override[name]["control_weight"] for name in controls] for override in overrides]
        mapped = [any(str(weight).endswith(".pt") for weight in each) for each in weights]
        assert all(mapped) or (not any(mapped) and all(each == weights[0] for each in weights))
        for sample, each in zip(samples, weights, strict=True):
            meant = {control.name: control.weight for control in sample.run.active}
            assert [_value(weight) for weight in each] == [meant[name] for name in controls]


def _value(weight: float | str) -> float | None:
    return constant_value(weight) if isinstance(weight, str) else weight


@pytest.mark.parametrize("engine", ["transfer25", "cosmos3"])
@FEW
@given(data=st.data())
def test_other_files_read_back_as_the_same_runs(
    engine: str, data: st.DataObject, videos: Mapping[str, str], tmp_path: Path
) -> None:
    write = {"transfer25": write_transfer25, "cosmos3": write_cosmos3}[engine]
    runs = runs_of(data.draw(run_lists(engine)), videos, engine)

    written = [write(launch, tmp_path / engine) for launch in planned(runs, engine).launches]

    assert sorted(sample.run.id for each in written for sample in each.samples) == sorted(run.id for run in runs)
    for each in written:
        names = [sample.name for sample in each.samples]
        assert len(names) == len(set(names))
        expected = [as_written(sample) for sample in each.samples]
        assert fingerprints(read_back(each, engine)) == fingerprints(expected)


def test_script_gets_a_cut_copy_of_a_span(tmp_path: Path) -> None:
    video = clip(tmp_path / "long.mp4", frames=6)
    target = LaunchFolder(tmp_path / "launch", "batch_0001", str)
    (first, again, other) = (target.input(f"{video}#frames={span}") for span in ("2+3", "2+3", "0+1"))
    assert first == again != other
    assert np.array_equal(read_frames(first), read_frames(video)[2:5])
    assert target.info(f"{video}#frames=2+3").frames == 3

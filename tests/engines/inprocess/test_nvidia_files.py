"""Models whose networks are in NVIDIA's `.pt` files, from their names to their videos."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from benchmarks.recording_guardrail import RecordingGuardrail
from cosmos_batch.cli.app import main
from cosmos_batch.engines.base import Outcome
from cosmos_batch.engines.inprocess.availability import availability
from cosmos_batch.engines.inprocess.families import published_of
from cosmos_batch.engines.inprocess.loader import load_engine
from cosmos_batch.engines.inprocess.model_files import resolve
from cosmos_batch.engines.inprocess.transfer25.published import DISTILLED, PUBLISHED
from cosmos_batch.errors import ModelError
from cosmos_batch.media.controls.cache import ControlCache
from cosmos_batch.media.video import Frames
from tests.support.nvidia_weights import (
    folder_tensors,
    model_tensors,
    prefixed,
    with_stem,
    write_nvidia_file,
)
from tests.support.tiny_model import drive, job_of, launch_of, make_run, write_clip, write_tiny_model

WHOLE = "edge"  # the control whose branch is in the file


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model in the diffusers layout, whose edge branch reads patches and noise levels as its base does."""
    model = write_tiny_model(tmp_path_factory.mktemp("tiny") / "model")
    base, place = folder_tensors(model / "transformer"), model / "controlnet" / WHOLE
    branch = with_stem(folder_tensors(place), base)
    save_file(branch, place / "diffusion_pytorch_model.safetensors")
    return model


@pytest.fixture(scope="module")
def tensors(folder: Path) -> dict[str, Tensor]:
    return model_tensors(folder, WHOLE)


@pytest.fixture
def parts(folder: Path, tmp_path: Path) -> Path:
    """The model's folder without networks."""
    root = tmp_path / "parts"
    shutil.copytree(folder, root, ignore=shutil.ignore_patterns("transformer", "controlnet"))
    return root


def test_a_file_makes_the_video_of_the_folder_that_holds_its_weights(
    folder: Path, parts: Path, tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    # Given the weights as a training leaves them, beside autoencoder and text encoder
    newest = {name: tensor + 1 for name, tensor in tensors.items()}
    file = write_nvidia_file(parts / "model.pt", prefixed(newest) | prefixed(tensors, "net_ema."), "")
    run = make_run("a", write_clip(tmp_path / "clip.mp4", 9), {WHOLE: 1.0})

    def made(model: str) -> tuple[Frames, dict[str, str]]:
        screening = RecordingGuardrail()
        engine = load_engine(model, [WHOLE], ControlCache(tmp_path / "controls"), guardrail=screening)
        session = engine.open(launch_of(run))
        session.join(job_of(run, tmp_path / hashlib.md5(model.encode()).hexdigest()))
        drive(session)
        return screening.videos[-1], dict(engine.identity)

    # When the same run is made from either
    by_file, identity = made(f"{file}@{WHOLE}")
    by_folder, _ = made(str(folder))

    # Then the video is the same, and the record names the file by its content
    assert (by_file == by_folder).all()
    shutil.copy(file, parts / "renamed.pt")
    renamed = resolve(f"{parts}/renamed.pt@{WHOLE}", [WHOLE], PUBLISHED)
    assert identity["weights_edge"] == made(f"{renamed.transformer}@{WHOLE}")[1]["weights_edge"]
    write_nvidia_file(parts / "renamed.pt", tensors | {"t_embedding_norm.weight": torch.zeros(32)})
    assert identity["weights_edge"] != made(f"{renamed.transformer}@{WHOLE}")[1]["weights_edge"]


def test_a_folder_may_hold_networks_as_files_of_either_kind(
    folder: Path, parts: Path, tensors: dict[str, Tensor]
) -> None:
    shutil.copytree(folder / "controlnet" / "vis", parts / "controlnet" / "vis")
    file = write_nvidia_file(parts / "transformer" / "model_ema_bf16.pt", tensors)
    (parts / "controlnet" / "edge").mkdir()
    (parts / "controlnet" / "edge" / "link.pt").symlink_to(file)
    found = resolve(str(parts), ["edge", "vis"], PUBLISHED)
    assert found.transformer == file
    assert found.controls == {
        "edge": parts / "controlnet" / "edge" / "link.pt",
        "vis": parts / "controlnet" / "vis",
    }
    assert availability(str(parts), PUBLISHED).controls == {"edge", "vis"}
    assert availability(str(parts), PUBLISHED).problems == ()


def test_a_branch_alone_may_be_a_file(folder: Path, tensors: dict[str, Tensor], tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(folder, model)
    shutil.rmtree(model / "controlnet" / "edge")
    branch = {name: each for name, each in tensors.items() if not name.startswith(("blocks.", "final_layer."))}
    write_nvidia_file(model / "controlnet" / "edge" / "mine.pt", branch)
    run = make_run("a", write_clip(tmp_path / "clip.mp4", 9), {"edge": 0.5, "vis": 0.5})
    session = load_engine(str(model), ["edge", "vis"], ControlCache(tmp_path / "controls")).open(launch_of(run))
    session.join(job_of(run, tmp_path))
    assert drive(session)["a"].outcome is Outcome.SUCCEEDED


def test_a_branch_that_cannot_be_loaded_concerns_its_runs_alone(
    folder: Path, tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    model = tmp_path / "model"
    shutil.copytree(folder, model)
    shutil.rmtree(model / "controlnet" / "edge")
    write_nvidia_file(
        model / "controlnet" / "edge" / "mine.pt",
        {name: each for name, each in tensors.items() if name != "control_blocks.0.after_proj.bias"},
    )
    found = availability(str(model), PUBLISHED)
    assert found.problems == ()
    assert found.controls == {"depth", "seg", "vis"}
    edge, vis = (make_run(name, "/in.mp4", {name: 1.0}) for name in ("edge", "vis"))
    assert found.objections(vis, None) == ()
    (problem,) = found.objections(edge, None)
    assert str(problem).startswith(
        f"controls.edge: {model}/controlnet/edge/mine.pt: lacks 1 tensor of the network"
    )
    assert "control_blocks.0.after_proj.bias" in str(problem)


def test_folders_with_several_weights_are_refused(folder: Path, parts: Path, tensors: dict[str, Tensor]) -> None:
    for name in ("model.pt", "model_ema_bf16.pt"):
        write_nvidia_file(parts / "transformer" / name, tensors)
    shutil.copytree(folder / "controlnet" / "edge", parts / "controlnet" / "edge")
    write_nvidia_file(parts / "controlnet" / "edge" / "edge.pt", tensors)
    with pytest.raises(ModelError) as caught:
        resolve(str(parts), ["edge"], PUBLISHED)
    assert str(caught.value).replace(str(parts), "M").splitlines() == [
        "M: incomplete:",
        "  M/transformer: holds model.pt, model_ema_bf16.pt; keep one .pt file, or .safetensors files alone",
        "  M/controlnet/edge: holds edge.pt, diffusion_pytorch_model.safetensors; keep one .pt file, or "
        ".safetensors files alone",
    ]


def test_parts_that_are_not_beside_the_file_are_the_published_ones(
    parts: Path, tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    file = write_nvidia_file(tmp_path / "general" / "edge" / "61f5694b_ema_bf16.pt", tensors)
    fetched: list[tuple[str, str, Sequence[str]]] = []

    def hub(repo: str, revision: str, patterns: Sequence[str]) -> Path:
        fetched.append((repo, revision, patterns))
        return parts

    found = resolve(str(file), ["edge"], PUBLISHED, hub)

    assert (found.transformer, found.vae, found.controls) == (file, parts / "vae", {"edge": file})
    ((repo, revision, patterns),) = fetched
    assert (repo, revision) == ("nvidia/Cosmos-Transfer2.5-2B", "diffusers/general")
    assert not any("transformer" in pattern for pattern in patterns)


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        (
            "model.pt",
            ["M/model.pt: its name says no control; name it as one of M/model.pt@depth, M/model.pt@edge, "
             "M/model.pt@seg, M/model.pt@vis"],
        ),
        (
            "model.pt@egde",
            ["M/model.pt: its name says 'egde', which is no control of it; name it as one of M/model.pt@depth, "
             "M/model.pt@edge, M/model.pt@seg, M/model.pt@vis"],
        ),
        ("nothing.pt@edge", ["M/nothing.pt: no such file"]),
        ("model.pt@vis", ["M/model.pt: holds the branch of vis, not of edge"]),
    ],
)  # fmt: skip
def test_names_that_do_not_suffice_are_refused_with_what_would_do(
    name: str, lines: list[str], parts: Path, tensors: dict[str, Tensor]
) -> None:
    write_nvidia_file(parts / "model.pt", tensors)
    with pytest.raises(ModelError) as caught:
        resolve(f"{parts}/{name}", ["edge"], PUBLISHED)
    found = str(caught.value).replace(str(parts), "M").splitlines()
    assert found[0] == f"M/{name}: incomplete:"
    assert [line.removeprefix("  ") for line in found[1:]][: len(lines)] == lines


def test_the_distilled_model_is_named_by_kind_folder_file_or_settings(parts: Path) -> None:
    assert published_of(f"{parts}/model.pt@edge") is PUBLISHED
    assert published_of(f"{parts}/model.pt@distilled/edge") is DISTILLED
    assert published_of(f"{parts}/distilled/general/edge/model.pt") is DISTILLED
    assert DISTILLED.checkpoint is not None
    assert published_of(f"{parts}/{Path(DISTILLED.checkpoint.file).name}@edge") is DISTILLED
    with pytest.raises(ModelError, match=r"no kind 'destiled' of model is known; name it as .*@distilled/edge"):
        published_of(f"{parts}/model.pt@destiled/edge")
    settings = parts / "cosmos_batch.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"sampler": "distilled"}))
    assert published_of(f"{parts}/model.pt@edge") is DISTILLED


def test_plan_and_check_know_a_file_without_loading_it(
    parts: Path,
    tensors: dict[str, Tensor],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_clip(tmp_path / "clip.mp4", 9)
    runs = tmp_path / "runs.jsonl"
    record = {
        "id": "a",
        "prompt": "p",
        "inputs": {"video": "clip.mp4"},
        "execution_config": {"weights": {"edge": 1}},
    }
    runs.write_text(json.dumps(record) + "\n")
    file = parts / "model.pt"

    def check(content: dict[str, Tensor]) -> tuple[int, str]:
        write_nvidia_file(file, content)
        monkeypatch.setattr("sys.argv", ["cosmos-batch", "check", str(runs), "--model", f"{file}@edge"])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), capsys.readouterr().err

    assert check(tensors)[0] == 0
    code, said = check({name: each for name, each in tensors.items() if name != "t_embedding_norm.weight"})
    assert code != 0
    assert said.count("lacks 1 tensor of the network: t_embedding_norm.weight") == 1


def test_calibrate_measures_a_model_with_the_controls_that_it_has(
    parts: Path, tensors: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_nvidia_file(parts / "model.pt", tensors)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    command = ["cosmos-batch", "calibrate", "--model", f"{file}@edge", "--seconds", "2"]
    monkeypatch.setattr("sys.argv", command)
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code


def test_a_model_that_is_not_read_from_files_says_so(parts: Path, tensors: dict[str, Tensor]) -> None:
    write_nvidia_file(parts / "model.pt", tensors)
    named = replace(PUBLISHED, networks=None)
    with pytest.raises(ModelError, match=r"Cosmos-Transfer2\.5-2B is not read from \.pt files"):
        resolve(f"{parts}/model.pt@edge", ["edge"], named)

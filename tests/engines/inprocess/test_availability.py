"""What keeps a model, or a run, from working here."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

from cosmos_batch.engines.inprocess import pocket
from cosmos_batch.engines.inprocess.availability import (
    availability,
    device_problems,
    estimation_objections,
    option_problems,
)
from cosmos_batch.engines.inprocess.options import Approximation, Options
from cosmos_batch.engines.inprocess.transfer25.published import DISTILLED, PUBLISHED
from cosmos_batch.media.controls import estimation
from cosmos_batch.run import Control
from tests.support.nvidia_weights import model_tensors, write_nvidia_file
from tests.support.runs import MakeRun
from tests.support.tiny_model import CONTROLS, write_tiny_model

HUB_ID = PUBLISHED.hub_prefix


def package(monkeypatch: pytest.MonkeyPatch, name: str, **content: object) -> None:
    """Make a package of that name importable."""
    module = ModuleType(name)
    module.__spec__ = object()  # type: ignore[assignment]
    module.__dict__.update(content)
    monkeypatch.setitem(sys.modules, name, module)


def without(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Make packages impossible to import."""
    for name in names:
        monkeypatch.setitem(sys.modules, name, None)


def test_hub_model_has_the_controls_that_are_published() -> None:
    assert availability(PUBLISHED.hub_id, PUBLISHED).controls == frozenset(CONTROLS)
    assert availability(DISTILLED.hub_id, DISTILLED).controls == {"edge"}


def messages(model: str | Path) -> list[str]:
    return [str(problem) for problem in availability(str(model), PUBLISHED).problems]


def test_whole_folder_has_no_problem_and_the_branches_in_it(tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "model")
    assert availability(str(model), PUBLISHED).problems == ()
    assert availability(str(model), PUBLISHED).controls == frozenset(CONTROLS)
    (model / "controlnet" / "depth" / "config.json").unlink()
    assert availability(str(model), PUBLISHED).controls == frozenset(CONTROLS) - {"depth"}


def test_everything_that_a_folder_lacks_is_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    found = messages(tmp_path / "model")
    assert all(any(f"model/{part}" in each for each in found) for part in ("transformer", "vae", "scheduler"))
    assert all(each.endswith("complete the folder, or name another model") for each in found)


def test_packages_that_a_folder_needs_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = write_tiny_model(tmp_path / "model")
    settings = model / "cosmos_batch.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"guardrail": "nvidia"}))
    config = model / "text_encoder" / "config.json"
    config.write_text(json.dumps({"model_type": "qwen2_5_vl"}))
    (model / "tokenizer").mkdir()
    without(monkeypatch, "transformers", "cosmos_guardrail")
    text, guardrail = messages(model)
    assert "its text encoder needs an extra that is not installed: pip install 'cosmos-batch[nvidia]'" in text
    assert "NVIDIA's guardrail" in guardrail


@pytest.mark.parametrize("name", ["./weights", "/no/such/folder", "~/nothing/here", "a/b/c"])
def test_folder_that_does_not_exist_is_a_problem(name: str) -> None:
    (found,) = messages(name)
    assert found == (
        f"model = {name}: no such folder, and no hub id (owner/name) either; correct the name of the model"
    )


def test_hub_model_without_the_extra_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "huggingface_hub")
    (found,) = messages(HUB_ID)
    assert "there is no such folder, and a model from the Hugging Face hub needs an extra" in found
    assert "pip install 'cosmos-batch[nvidia]'; or name a folder that holds the model" in found


def test_hub_model_that_is_neither_here_nor_reachable_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_arguments: object, **_options: object) -> str:
        raise FileNotFoundError("not in the cache")

    class Constants:
        HF_HUB_OFFLINE = True

    for name in ("transformers", "cosmos_guardrail"):
        package(monkeypatch, name)
    package(monkeypatch, "huggingface_hub", constants=Constants, snapshot_download=absent)
    (found,) = messages(HUB_ID)
    assert "cannot be fetched (FileNotFoundError: not in the cache)" in found
    Constants.HF_HUB_OFFLINE = False
    assert messages(HUB_ID) == []


def test_options_that_model_or_machine_do_not_allow_are_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    tiling = Options(approximations=frozenset({Approximation.VAE_TILING}))
    (found,) = option_problems(str(pocket.MODEL), PUBLISHED, tiling)
    assert str(found) == ("--approximate vae-tiling: the autoencoder of this model has no tiles; leave it out")
    assert option_problems(HUB_ID, PUBLISHED, tiling) == ()
    assert option_problems(str(pocket.MODEL), PUBLISHED, Options()) == ()
    (split,) = option_problems(DISTILLED.hub_id, DISTILLED, Options(split_guidance=True))
    assert "this model has no guidance" in str(split)
    assert option_problems(HUB_ID, PUBLISHED, Options(split_guidance=True)) == ()

    asked = Options(frozenset(), frozenset({Approximation.FLOAT8_ATTENTION}), split_guidance=True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    assert [problem.field for problem in device_problems(asked)] == [
        "--split-guidance",
        "--approximate float8-attention",
    ]
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    without(monkeypatch, "fa3_fwd")
    (found,) = device_problems(asked)
    assert "pip install 'cosmos-batch[hopper]'" in str(found)
    assert device_problems(Options()) == ()


def test_control_that_must_be_estimated_is_a_problem_without_the_extra(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "transformers")
    objections = estimation_objections()
    runs = [
        make_run("edge", "vis"),
        make_run(controls=(Control(name="depth", weight=0), Control(name="edge", weight=1))),
        make_run(controls=(Control(name="depth", weight=1, video="/in/depth.mp4"),)),
        make_run(controls=(Control(name="edge", weight=1, mask="/in/mask.mp4"),)),
    ]
    assert [objections(run, None) for run in runs] == [()] * 4
    wanting = make_run(
        controls=(
            Control(name="depth", weight=1),
            Control(name="edge", weight=1, mask_prompt="the cup"),
            Control(name="seg", weight=1),
        )
    )
    depth, edge, seg = map(str, objections(wanting, None))
    assert depth == (
        "controls.depth: making depth control videos needs an extra that is not installed: "
        "pip install 'cosmos-batch[estimators]'; or give the control video"
    )
    assert edge.startswith("controls.edge: making seg control videos and masks needs an extra")
    assert seg.startswith("controls.seg: ")


@pytest.mark.parametrize("cached", [{estimation.DEPTH_MODEL}, {estimation.DETECTOR, estimation.TRACKER}])
def test_estimators_that_are_neither_here_nor_reachable_are_a_problem(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, cached: set[str]
) -> None:
    class Constants:
        HF_HUB_OFFLINE = True

    def look_up(model: str, _file: str) -> str | None:
        return "/cache" if model in cached else None

    for name in ("transformers", "PIL"):
        package(monkeypatch, name)
    package(monkeypatch, "huggingface_hub", constants=Constants, try_to_load_from_cache=look_up)
    refused = {p.field for p in estimation_objections()(make_run("depth", "seg"), None)}
    assert refused == ({"controls.seg"} if estimation.DEPTH_MODEL in cached else {"controls.depth"})
    Constants.HF_HUB_OFFLINE = False
    assert estimation_objections()(make_run("depth", "seg"), None) == ()


def test_file_model_has_its_problems_and_those_of_the_parts_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = write_tiny_model(tmp_path / "model")
    tensors = model_tensors(model)
    whole = write_nvidia_file(model / "whole.pt", tensors)
    del tensors["t_embedding_norm.weight"]
    broken = write_nvidia_file(model / "broken.pt", tensors)
    assert messages(f"{whole}@vis") == []
    assert availability(f"{whole}@blur", PUBLISHED).controls == {"vis"}
    assert availability(str(whole), PUBLISHED).controls == frozenset(CONTROLS)  # not known, and a problem
    shutil.rmtree(model / "vae")
    lack, part = messages(f"{broken}@edge")
    assert lack.startswith(
        f"model = {broken}@edge: lacks 1 tensor of the network: t_embedding_norm.weight; needed is"
    )
    assert part.startswith(f"model = {broken}@edge: {model}/vae: no such folder")
    assert messages(f"{model}/other.pt@edge") == [
        f"model = {model}/other.pt@edge: no such file; correct the name of the model"
    ]
    # Without parts beside it, they are those of the hub
    without(monkeypatch, "huggingface_hub")
    (found,) = messages(f"{write_nvidia_file(tmp_path / 'alone' / 'whole.pt', model_tensors(model))}@edge")
    assert "are not beside the file, and fetching them from the Hugging Face hub needs an extra" in found

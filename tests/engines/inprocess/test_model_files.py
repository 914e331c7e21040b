"""Finding a model's parts: in folders of either layout, and on a hub that is a few folders here."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cosmos_batch.engines.inprocess.families import published_of
from cosmos_batch.engines.inprocess.model_files import ModelFolders, check_scheduler, hub_download, resolve
from cosmos_batch.engines.inprocess.model_settings import read_settings
from cosmos_batch.engines.inprocess.transfer25.published import DISTILLED, PUBLISHED
from cosmos_batch.errors import MissingExtraError, ModelError

SCHEDULER = {**PUBLISHED.scheduler, "sigma_max": 200.0, "solver_order": 2, "solver_type": "bh2", "flow_shift": 1.0}


def component(folder: Path, **config: Any) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "diffusion_pytorch_model.safetensors").touch()
    return folder


def pipeline(root: Path, *branches: str) -> Path:
    """A folder in the diffusers layout, with branches at the given places."""
    for part in ("transformer", "vae", *branches):
        component(root / part)
    component(root / "text_encoder", model_type="qwen2_5_vl")
    (root / "tokenizer").mkdir()
    (root / "scheduler").mkdir()
    (root / "scheduler" / "scheduler_config.json").write_text(json.dumps(SCHEDULER))
    return root


class FakeHub:
    """Revisions as folders; remembers what was fetched."""

    def __init__(self, **revisions: Path) -> None:
        self.revisions = revisions
        self.fetched: list[tuple[str, str]] = []
        self.patterns: list[str] = []

    def __call__(self, repo: str, revision: str, patterns: Sequence[str]) -> Path:
        self.fetched.append((repo, revision))
        self.patterns += patterns
        name = revision.rpartition("/")[2]
        if name not in self.revisions:
            raise ModelError(f"{repo}, revision {revision}: cannot be fetched (not found)")
        return self.revisions[name]


@pytest.mark.parametrize("place", ["controlnet/{}", "controlnet_{}"])
def test_a_folder_gives_its_parts_and_the_branches_asked_for(place: str, tmp_path: Path) -> None:
    root = pipeline(tmp_path / "model", place.format("edge"), place.format("depth"), place.format("seg"))
    assert resolve(str(root), ["seg", "edge"], PUBLISHED) == ModelFolders(
        transformer=root / "transformer",
        vae=root / "vae",
        text_encoder=root / "text_encoder",
        tokenizer=root / "tokenizer",
        controls={"edge": root / place.format("edge"), "seg": root / place.format("seg")},
        settings=PUBLISHED.settings,
    )


@pytest.mark.parametrize("place", ["controlnet/vis", "controlnet_vis", "controlnet/blur", "controlnet_blur"])
def test_vis_is_found_under_nvidias_name_too(place: str, tmp_path: Path) -> None:
    root = pipeline(tmp_path / "model", place)
    assert resolve(str(root), ["vis"], PUBLISHED).controls == {"vis": root / place}


def test_all_missing_parts_are_named_at_once(tmp_path: Path) -> None:
    root = pipeline(tmp_path / "model", "controlnet/edge")
    (root / "transformer" / "diffusion_pytorch_model.safetensors").unlink()
    (root / "controlnet" / "edge" / "config.json").unlink()
    for part in ("vae", "tokenizer", "scheduler"):
        shutil.rmtree(root / part)
    with pytest.raises(ModelError) as caught:
        resolve(str(root), ["edge", "depth"], PUBLISHED)
    assert str(caught.value).replace(str(root), "M").splitlines() == [
        "M: incomplete:",
        "  M/transformer: no .safetensors or .pt file",
        "  M/vae: no such folder",
        "  M/tokenizer: no such folder",
        "  M/scheduler/scheduler_config.json: no such file",
        "  M/controlnet/depth: no such folder, nor M/controlnet_depth",
        "  M/controlnet/edge/config.json: no such file",
    ]


def test_a_single_branch_that_does_not_say_of_which_control_is_refused(tmp_path: Path) -> None:
    root = pipeline(tmp_path / "model", "controlnet")
    with pytest.raises(ModelError, match=r"controlnet holds one branch without saying of which control"):
        resolve(str(root), ["edge"], PUBLISHED)


def test_a_text_encoder_of_its_own_kind_needs_no_tokenizer(tmp_path: Path) -> None:
    root = pipeline(tmp_path / "model")
    (root / "tokenizer").rmdir()
    (root / "text_encoder" / "config.json").write_text(json.dumps({"_class_name": "TrigramText"}))
    assert resolve(str(root), [], PUBLISHED).controls == {}


def test_a_models_own_settings_go_before_the_schedulers(tmp_path: Path) -> None:
    root = pipeline(tmp_path / "model")
    (root / "scheduler" / "scheduler_config.json").write_text(json.dumps(SCHEDULER | {"sigma_max": 80.0}))
    # Without settings, a run starts from the noise level of the scheduler
    assert resolve(str(root), [], PUBLISHED).settings.defaults.sigma_max == 80.0
    # With settings, from theirs
    settings = {"name": "Small", "sizes": {"96": {"16:9": [160, 96]}}, "chunk_frames": 17, "overlap": 1}
    settings |= {"guardrail": "none", "defaults": {"sigma_max": 120.0}}
    (root / "cosmos_batch.json").write_text(json.dumps(settings))
    resolved = resolve(str(root), [], PUBLISHED).settings
    assert (resolved.name, resolved.defaults.sigma_max) == ("Small", 120.0)


def test_the_published_scheduler_is_accepted(tmp_path: Path) -> None:
    root = pipeline(tmp_path / "model")
    assert check_scheduler(root / "scheduler", PUBLISHED) == SCHEDULER


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"_class_name": "EulerDiscreteScheduler"}, "_class_name = 'EulerDiscreteScheduler': supported is UniPC"),
        ({"prediction_type": "epsilon"}, "prediction_type = 'epsilon': .* prediction_type = 'flow_prediction'"),
        ({"use_flow_sigmas": False}, "use_flow_sigmas = True"),
        ({"use_karras_sigmas": False}, "use_karras_sigmas = True"),
        ({"sigma_min": None}, "sigma_min = 0.01"),
        ({"solver_order": 3, "solver_type": "bh1"}, "solver_order = 3, solver_type = 'bh1': .* solver_order = 2"),
        ({"disable_corrector": [0]}, r"disable_corrector = \[\]"),
    ],
)
def test_another_scheduler_is_refused_with_what_would_do(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    root = pipeline(tmp_path / "model")
    (root / "scheduler" / "scheduler_config.json").write_text(json.dumps(SCHEDULER | change))
    with pytest.raises(ModelError, match=message):
        resolve(str(root), [], PUBLISHED)


def test_a_damaged_scheduler_file_is_named(tmp_path: Path) -> None:
    root = pipeline(tmp_path / "model")
    for content in ("{", "[]"):
        (root / "scheduler" / "scheduler_config.json").write_text(content)
        with pytest.raises(ModelError, match=r"scheduler_config\.json: (not readable as JSON|holds list)"):
            resolve(str(root), [], PUBLISHED)


def test_a_hub_id_fetches_the_pipeline_and_the_branches_asked_for(tmp_path: Path) -> None:
    # Given a hub with the pipeline and two branches
    edge, blur = component(tmp_path / "edge"), component(tmp_path / "blur")
    hub = FakeHub(general=pipeline(tmp_path / "general"), edge=edge, blur=blur, seg=component(tmp_path / "seg"))
    # When two controls are asked for
    folders = resolve("nvidia/Cosmos-Transfer2.5-2B", ["vis", "edge"], PUBLISHED, hub)
    # Then their branches come from their own revisions, and nothing else is fetched
    assert folders.controls == {"edge": edge, "vis": blur}
    assert folders.transformer == tmp_path / "general" / "transformer"
    assert hub.fetched == [
        ("nvidia/Cosmos-Transfer2.5-2B", "diffusers/general"),
        ("nvidia/Cosmos-Transfer2.5-2B", "diffusers/controlnet/general/edge"),
        ("nvidia/Cosmos-Transfer2.5-2B", "diffusers/controlnet/general/blur"),
    ]
    assert "controlnet/*" not in hub.patterns


def test_branches_that_the_hub_lacks_are_all_named(tmp_path: Path) -> None:
    hub = FakeHub(general=pipeline(tmp_path / "general"), edge=component(tmp_path / "edge"))
    with pytest.raises(ModelError) as caught:
        resolve("nvidia/Cosmos-Transfer2.5-2B", ["depth", "edge", "vis"], PUBLISHED, hub)
    assert "general/depth: cannot be fetched" in str(caught.value)
    assert "general/blur: cannot be fetched" in str(caught.value)
    assert "general/edge" not in str(caught.value)


def test_a_variant_is_one_file_beside_the_parts_of_the_pipeline(tmp_path: Path) -> None:
    general, variant = pipeline(tmp_path / "general"), tmp_path / "variant"
    assert DISTILLED.checkpoint is not None
    file = variant / DISTILLED.checkpoint.file
    hub = FakeHub(general=general, **{DISTILLED.checkpoint.revision: variant})

    with pytest.raises(ModelError, match=r"_ema_bf16\.pt: no such file\n  no branch for depth: it has edge"):
        resolve(DISTILLED.hub_id, ["depth"], DISTILLED, hub)
    file.parent.mkdir(parents=True)
    file.touch()
    folders = resolve(DISTILLED.hub_id, ["edge"], DISTILLED, hub)

    assert (folders.transformer, folders.controls) == (file, {"edge": file})
    assert (folders.vae, folders.text_encoder) == (general / "vae", general / "text_encoder")
    assert folders.settings == DISTILLED.settings
    assert {repo for repo, _ in hub.fetched} == {"nvidia/Cosmos-Transfer2.5-2B"}
    assert "transformer/*" not in hub.patterns


def test_a_distilled_folder_needs_no_scheduler_and_says_so_in_its_settings(tmp_path: Path) -> None:
    root = pipeline(tmp_path / "model", "controlnet/edge")
    shutil.rmtree(root / "scheduler")
    (root / "cosmos_batch.json").write_text('{"sampler": "distilled", "name": "Mine"}')
    published = published_of(root)
    assert published == DISTILLED
    assert resolve(str(root), ["edge"], published).settings == replace(DISTILLED.settings, name="Mine")


@pytest.mark.parametrize("model", ["nvidia/Cosmos-Transfer2.5-2B@distilled/depth", "own/model@fast"])
def test_unknown_variants_are_refused_with_those_that_are_known(model: str) -> None:
    with pytest.raises(ModelError, match=r"known are .*nvidia/Cosmos-Transfer2\.5-2B@distilled/edge"):
        published_of(model)
    assert published_of("own/model") == PUBLISHED


def test_unknown_samplers_are_refused_by_the_name_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "cosmos_batch.json").write_text('{"sampler": "euler"}')
    with pytest.raises(ModelError, match=r"cosmos_batch\.json: sampler: Input should be 'unipc' or 'distilled'"):
        read_settings(tmp_path, published_of(tmp_path).settings)


@pytest.mark.parametrize("model", ["", "nowhere", "a/b/c", "/nowhere/at/all"])
def test_neither_folder_nor_hub_id_is_refused(model: str, tmp_path: Path) -> None:
    name = model or str(tmp_path / "nothing")
    with pytest.raises(ModelError, match="no such folder, and no hub id"):
        resolve(name, [], PUBLISHED)


def test_without_huggingface_hub_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r"hub .* pip install 'cosmos-batch\[nvidia\]'"):
        hub_download("nvidia/Cosmos-Transfer2.5-2B", "diffusers/general", [])

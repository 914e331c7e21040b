"""Names of models that are one `.pt` file."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosmos_batch.engines.inprocess.torch_files.file_model import FileModel, file_model


@pytest.mark.parametrize(
    ("name", "kind", "control"),
    [
        ("/m/model.pt", "", ""),
        ("/m/model.pt@edge", "", "edge"),
        ("/m/model.pt@blur", "", "blur"),
        ("/m/model.pt@general/edge", "", "edge"),
        ("/m/model.pt@distilled/edge", "distilled", "edge"),
        ("/m/model.pt@other/edge", "other", "edge"),
        # NVIDIA's folders say it, and the user goes before them
        ("/m/general/depth/626e6618_ema_bf16.pt", "", "depth"),
        ("/m/distilled/general/edge/41f07f13_ema_bf16.pt", "distilled", "edge"),
        ("/m/general/depth/626e6618_ema_bf16.pt@seg", "", "seg"),
        ("/m/edge/a/b/c/model.pt", "", ""),
        ("/m/with@sign/model.pt", "", ""),
    ],
)
def test_a_file_says_its_kind_and_control(name: str, kind: str, control: str) -> None:
    found = file_model(name)
    assert found is not None
    assert (found.kind, found.control) == (kind, control)
    assert found.file == Path(name if name.endswith(".pt") else name.rpartition("@")[0])


@pytest.mark.parametrize(
    "name", ["nvidia/Cosmos-Transfer2.5-2B", "nvidia/Cosmos-Transfer2.5-2B@distilled/edge", "/m"]
)
def test_folders_and_hub_ids_are_no_files(name: str) -> None:
    assert file_model(name) is None


def test_a_folder_may_end_like_a_file(tmp_path: Path) -> None:
    (tmp_path / "model.pt").mkdir()
    assert file_model(tmp_path / "model.pt") is None


def test_parts_may_be_beside_the_file(tmp_path: Path) -> None:
    named = FileModel(tmp_path / "model.pt", "", "edge")
    assert named.parts is None
    (tmp_path / "vae").mkdir()
    assert named.parts == tmp_path

"""Weight maps (.pt) in Transfer1 files."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import torch

from cosmos_batch.formats import read_files
from cosmos_batch.formats.nvidia.weight_maps import constant_value
from tests.support.format_files import Write, lines_and_fields


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("weight", [0.0, 0.25, 1.5])
def test_constant_map_is_its_number(tmp_path: Path, dtype: torch.dtype, weight: float) -> None:
    torch.save(torch.full((2, 2), weight, dtype=dtype), tmp_path / "map.pt")
    assert constant_value(str(tmp_path / "map.pt")) == weight


def test_other_files_are_no_constant_map(tmp_path: Path) -> None:
    files = {
        "varied.pt": torch.tensor([[0.0, 1.0]]),
        "whole.pt": torch.ones((2, 2), dtype=torch.int64),
        "two.pt": [torch.ones(1), torch.ones(1)],
        "large.pt": torch.ones(100_000),
        "text.pt": "0.5",
    }
    for name, value in files.items():
        torch.save(value, tmp_path / name)
        assert constant_value(str(tmp_path / name)) is None
    (tmp_path / "broken.pt").write_bytes(b"PK\x03\x04 no archive")
    assert constant_value(str(tmp_path / "broken.pt")) is None
    assert constant_value(str(tmp_path / "absent.pt")) is None


def test_damaged_maps_are_no_constant_map(tmp_path: Path) -> None:
    pickle = b"torch\nDoubleStorage\n"
    for name, values in (("odd.pt", b"1234567"), ("empty.pt", b"")):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("map/data.pkl", pickle)
            archive.writestr("map/data/0", values)
        assert constant_value(str(tmp_path / name)) is None
    torch.save(torch.full((2, 2), 0.5), tmp_path / "map.pt")
    whole = (tmp_path / "map.pt").read_bytes()
    for place in range(0, len(whole), 7):
        (tmp_path / "bent.pt").write_bytes(whole[:place] + b"\xff" + whole[place + 1 :])
        assert isinstance(constant_value(str(tmp_path / "bent.pt")), float | None)


def test_constant_maps_are_weights_in_specs_and_in_overrides(tmp_path: Path, write: Write) -> None:
    for weight in (0.3, 0.7):
        torch.save(torch.full((2, 2), weight, dtype=torch.float64), tmp_path / f"w{weight}.pt")
    spec = write("b_spec.json", {"input_video_path": "street.mp4", "edge": {"control_weight": "w0.3.pt"}})
    override = {"edge": {"control_weight": "w0.7.pt"}}
    batch = write(
        "b.jsonl",
        [
            {"visual_input": "street.mp4", "prompt": "a"},
            {"visual_input": "street.mp4", "prompt": "b", "control_overrides": override},
        ],
    )
    assert [run.controls[0].weight for run in read_files([spec, batch]).runs] == [0.3, 0.7]
    assert [run.controls[0].weight for run in read_files([spec]).runs] == [0.3]


def test_map_that_varies_is_a_problem(tmp_path: Path, write: Write) -> None:
    torch.save(torch.tensor([[0.0, 1.0]]), tmp_path / "map.pt")
    content = {"input_video_path": "street.mp4", "edge": {"control_weight": "map.pt"}}
    reading = read_files([write("spec.json", content)])
    assert lines_and_fields(reading.problems) == [(None, "edge.control_weight")]

"""The tutorial of robot demonstrations: its commands run as they stand there, with the pocket model."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from cosmos_batch.cli.app import main
from examples import robot_dataset
from tests.support.lerobot_reader import load

TUTORIALS = Path(__file__).parents[2] / "docs" / "tutorials"
BLOCK = re.compile(r"```console\n(.+?)```", re.S)


def commands(page: str) -> list[list[str]]:
    """The commands of a tutorial's console blocks, without those that install."""
    lines = "\n".join(BLOCK.findall((TUTORIALS / page).read_text())).replace("\\\n", "").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True)) and words[0] != "pip"]


def execute(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a command in this process; it must succeed."""
    if words[0] == "python":
        assert robot_dataset.main(Path(words[-1])) == 0
        return
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0, words


def test_robot_demonstrations_become_datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for words in commands("robot-demonstrations.md"):
        execute(words, monkeypatch)

    lines = [json.loads(line) for line in (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()]
    assert [line["state"] for line in lines] == ["succeeded"] * 18
    again = [line["acceptance"] for line in lines if len(line["acceptance"]["tries"]) > 1]
    assert len(again) == 2
    assert all(record["tries"][0]["scores"]["blur_ssim"] < 0.375 for record in again)

    before = load(tmp_path / "demos")
    made = sorted((tmp_path / "demos-varied").iterdir())
    assert len(made) == 6
    for folder in made:
        after = load(folder)
        assert [episode.rows for episode in after] == [episode.rows for episode in before]
        for old, new in zip(before, after, strict=True):
            assert new.frames[robot_dataset.CAMERA].shape == old.frames[robot_dataset.CAMERA].shape
            assert np.any(new.frames[robot_dataset.CAMERA] != old.frames[robot_dataset.CAMERA])
            assert "edge_f1" in str(new.metadata["cosmos/scores"])

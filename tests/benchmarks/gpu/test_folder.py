"""A whole model written by the command, tiny."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.gpu.folder import main
from cosmos_batch.controls import TRANSFER_CONTROLS
from cosmos_batch.engines.inprocess.model_files import resolve
from cosmos_batch.engines.inprocess.transfer25.published import PUBLISHED
from tests.support.published_model import write_trigram


def test_all_parts_of_a_model_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(tmp_path / "model"), "--tiny"], write_trigram)

    folders = resolve(str(tmp_path / "model"), TRANSFER_CONTROLS, PUBLISHED)
    assert folders.controls.keys() == set(TRANSFER_CONTROLS)
    assert (tmp_path / "model" / "scheduler" / "scheduler_config.json").exists()
    assert " GB in " in capsys.readouterr().out

"""The quality table of the embedded model, with tiny networks and random pictures."""

from __future__ import annotations

import pytest

from benchmarks.pocket_quality import main
from training.pocket.footage import Footage
from training.pocket.nets import Nets


def test_table_has_a_row_for_every_setting_of_weights(
    nets: Nets, footage: Footage, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--threads", "1", "--rows", "none", "edge"], nets, footage)

    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[0] for line in lines if line.startswith("| ")][2:] == ["| none", "| edge"]
    assert lines[-1].startswith("one run alone, edge: ")

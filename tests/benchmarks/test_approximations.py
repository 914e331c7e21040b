"""The error of approximations in finished videos, with tiny networks and random pictures."""

from __future__ import annotations

import pytest

from benchmarks.approximations import main
from training.pocket.footage import Footage
from training.pocket.nets import Nets


def test_table_has_a_row_for_every_approximation(
    nets: Nets, footage: Footage, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--steps", "4"], nets, footage)

    rows = capsys.readouterr().out.splitlines()[2:]
    assert [row.split(" | ")[0] for row in rows] == [
        "| step-caching",
        "| exact, fewer steps",
        "| float8-attention",
    ]

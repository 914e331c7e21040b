"""The choice of the next launch among few and many workers."""

from __future__ import annotations

import pytest

from benchmarks.next_launch import main, measure


@pytest.mark.parametrize("others", [1, 33])
def test_a_choice_takes_some_time(others: int) -> None:
    assert measure(others, repeats=1) > 0


def test_the_table_has_a_row_for_each_number_of_workers(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--others", "1", "2"])
    assert [row.split("|")[1].strip() for row in capsys.readouterr().out.splitlines()[2:]] == ["1", "2"]

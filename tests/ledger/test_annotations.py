"""Runs are found by their sweep and their tags."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cosmos_batch.ledger import Filter, Ledger
from cosmos_batch.run import Annotations
from tests.support.ledger import make_run


@pytest.mark.parametrize(
    ("where", "found"),
    [
        (Filter(sweep="weather"), ["a", "b"]),
        (Filter(tags={"road/type": "wet"}), ["a", "c"]),
        (Filter(sweep="weather", tags={"road/type": "wet"}), ["a"]),
        (Filter(tags={"road/type": "wet", "night": 'yes"; --'}), ["c"]),
        (Filter(tags={"other": "wet"}), []),
    ],
)
def test_sweep_and_tags_are_conditions(tmp_path: Path, where: Filter, found: list[str]) -> None:
    annotations = {
        "a": Annotations(sweep="weather", tags={"road/type": "wet"}),
        "b": Annotations(sweep="weather", tags={"road/type": "dry"}),
        "c": Annotations(tags={"road/type": "wet", "night": 'yes"; --'}),
        "d": None,
    }
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.runs.submit([replace(make_run(name), annotations=each) for name, each in annotations.items()])

    assert [status.id for status in ledger.queries.statuses(where)] == found
    assert sorted(each.record.id for each in ledger.queries.page(where).runs) == found
    ledger.close()

"""The picture of the coming hours, and the error of earlier pictures."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from cosmos_batch.ledger import Ledger, State, Submission
from cosmos_batch.planning.policies.flush import FlushRules
from cosmos_batch.service.outlook import EVERY, FIRST_PICTURES, OutlookReader
from tests.support.dispatch_world import FACTS, PRIOR, TRAITS, make_run

COST = replace(PRIOR, load=2.0, step=1.0, token=0.0)  # a step takes 1 s, whatever its runs


def test_a_picture_foresees_the_queue_and_is_compared_with_what_came(tmp_path: Path) -> None:
    now, video = [1000.0], tmp_path / "in.mp4"
    with closing(Ledger(tmp_path / "ledger.sqlite", lambda: now[0])) as ledger:
        ledger.runs.accept([Submission(make_run("a", video, steps=8), {str(video): FACTS})])
        reader = OutlookReader(ledger, (TRAITS, COST), FlushRules(), ledger.now)
        first = reader.read()
        assert (first.runs, first.left_out, first.devices, first.error) == (1, 0, 1, None)
        assert first.outlook.seconds == pytest.approx(10.0)
        assert reader.read() is first  # one picture for a while
        now[0] += 20.0
        ledger.runs.set_state(["a"], State.SUCCEEDED, "made")
        now[0] += EVERY
        later = reader.read()
        assert (later.runs, later.compared) == (0, 1)
        assert later.error == pytest.approx(0.5)  # 10 s were foreseen, and it took 20 s


def test_pictures_of_another_version_are_left_out(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        ledger.settings.set(FIRST_PICTURES, '[["a", "b"]]')
        assert OutlookReader(ledger, (TRAITS, COST), FlushRules()).read().error is None

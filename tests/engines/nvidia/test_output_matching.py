"""Matching outputs to runs after samples of a tensor batch were dropped and the others moved up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos_batch.engines.nvidia.output_matching import match_outputs

TABLE = [
    # prompts  outputs  owners of the outputs           runs in doubt
    ("abc", "abc", {0: 0, 1: 1, 2: 2}, set()),  # none was dropped
    ("abc", "bc", {0: 1, 1: 2}, set()),  # the first
    ("abc", "ac", {0: 0, 1: 2}, set()),  # one in the middle
    ("abc", "", {}, set()),  # all
    ("aab", "aab", {0: 0, 1: 1, 2: 2}, set()),  # equal prompts, and none was dropped
    ("aab", "ab", {1: 2}, {0, 1}),  # one of the equal ones was
    ("aba", "ba", {0: 1, 1: 2}, set()),  # equal prompts, and their neighbours tell which
    ("aba", "a", {}, {0, 2}),
]


@pytest.mark.parametrize(("prompts", "outputs", "owners", "doubtful"), TABLE)
def test_complete_tensor_batch(prompts: str, outputs: str, owners: dict[int, int], doubtful: set[int]) -> None:
    found = match_outputs(list(prompts), list(outputs), complete=True)

    assert (found.owners, found.ambiguous, found.fits) == (owners, doubtful, True)


def test_outputs_of_other_prompts_fit_no_run() -> None:
    assert not match_outputs(["a", "b"], ["c"], complete=True).fits
    assert not match_outputs(["a", "b"], ["b", "a"], complete=True).fits


def test_output_waits_while_its_prompt_may_still_be_written() -> None:
    assert match_outputs(["a car", "a"], ["a"], complete=False).owners == {}
    assert match_outputs(["a car", "a"], ["a"], complete=True).owners == {0: 1}


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), min_size=1, max_size=8), st.data())
def test_proven_owners_are_right_whatever_was_dropped(batch: list[tuple[str, bool]], data: st.DataObject) -> None:
    kept = [place for place, (_, passed) in enumerate(batch) if passed]
    seen = data.draw(st.integers(0, len(kept)))

    for outputs, complete in ((kept, True), (kept[:seen], False)):
        found = match_outputs([p for p, _ in batch], [batch[place][0] for place in outputs], complete=complete)
        assert found.fits
        assert all(outputs[i] == owner for i, owner in found.owners.items())
        assert found.claimed.issuperset(outputs if complete else ())

"""Shards of a set of runs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos_batch.dispatch.output.shard import Shard
from cosmos_batch.errors import InputError


@given(st.sets(st.text(max_size=4), max_size=30), st.integers(1, 12))
def test_every_run_is_of_one_shard_and_no_shard_has_two_more_than_another(ids: set[str], count: int) -> None:
    shards = [Shard(number, count).of(ids) for number in range(1, count + 1)]

    assert sorted(id_ for shard in shards for id_ in shard) == sorted(ids)
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


def test_the_order_of_the_runs_does_not_matter() -> None:
    assert Shard(2, 3).of(["a", "b", "c", "d", "e"]) == Shard(2, 3).of(["e", "d", "c", "b", "a"]) == {"b", "e"}


def test_a_shard_is_read_as_it_is_written() -> None:
    assert Shard.parse(" 2/8") == Shard(2, 8)
    assert Shard(2, 8).name == "2-of-8"


@pytest.mark.parametrize("text", ["0/4", "5/4", "1/0", "1", "a/b", "-1/4", "1/4/2", "1/1000000"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is no shard; write i/n"):
        Shard.parse(text)

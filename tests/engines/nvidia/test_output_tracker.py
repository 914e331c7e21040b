"""Tracking a script's outputs while it writes them."""

from __future__ import annotations

from cosmos_batch.engines.nvidia.output_tracker import ExpectedSample, NameTracker, SampleEnd


class Listings:
    """An output folder that looks different each time that it is listed."""

    def __init__(self, *listings: set[str]) -> None:
        self._listings = [frozenset(names) for names in listings]

    def listing(self, folder: str = "") -> frozenset[str]:
        assert not folder
        return self._listings.pop(0) if len(self._listings) > 1 else self._listings[0]

    def read(self, name: str) -> bytes | None:
        raise AssertionError(f"{name} holds nothing to be read")


def follower() -> NameTracker:
    """Of two samples of a script that may pass one over."""
    samples = [ExpectedSample(name, name, None, f"{name}.mp4") for name in ("a", "b")]
    return NameTracker(samples, start_file="{}.json", end_file="{}.txt", skips=True)


def test_listing_that_missed_a_file_skips_no_sample() -> None:
    """Of names that come while a folder is listed, the later one can be in the list without the other."""
    torn = {"a.json", "a.mp4", "b.json"}

    assert follower().poll(Listings(torn, torn | {"a.txt"}), done=False) == [SampleEnd(0, "a.mp4")]


def test_sample_without_an_end_file_is_skipped_once_the_next_has_started() -> None:
    assert follower().poll(Listings({"a.json", "b.json"}), done=False) == [SampleEnd(0, None)]
    assert follower().poll(Listings({"a.json"}), done=False) == []

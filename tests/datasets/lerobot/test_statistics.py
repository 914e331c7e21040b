"""Statistics of pictures, against values computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from cosmos_batch.datasets.lerobot.statistics import camera_statistics, pooled, shifted

NAMES = ("min", "max", "mean", "std", "count", "q50", "unknown")


def test_statistics_are_those_of_all_pixels_from_0_to_1() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (4, 6, 8, 3), np.uint8)
    found, values = camera_statistics(frames, 4, NAMES), frames / 255
    assert found.keys() == set(NAMES) - {"unknown"}
    assert found["count"].tolist() == [4]
    for name, expected in (
        ("min", values.min((0, 1, 2))),
        ("max", values.max((0, 1, 2))),
        ("mean", values.mean((0, 1, 2))),
        ("std", values.std((0, 1, 2))),
        ("q50", np.quantile(values, 0.5, axis=(0, 1, 2), method="inverted_cdf")),
    ):
        assert found[name].shape == (3, 1, 1)
        assert found[name].ravel() == pytest.approx(expected)


def test_long_episodes_are_sampled_and_large_pictures_thinned() -> None:
    frames = (np.full((320, 400, 3), index % 256, np.uint8) for index in range(256))
    found = camera_statistics(frames, 256, NAMES)
    assert found["count"].tolist() == [100]  # 256 ** 0.75 is 64, and 100 the fewest
    assert (found["min"].ravel()[0], found["max"].ravel()[0]) == (0, 1)


def test_pooled_statistics_are_those_of_all_values_together() -> None:
    one, other = np.array([1.0, 2, 4]), np.array([3.0, 9])

    def statistics(values: np.ndarray) -> dict[str, np.ndarray]:
        return {
            "min": values.min(keepdims=True),
            "max": values.max(keepdims=True),
            "mean": values.mean(keepdims=True),
            "std": values.std(keepdims=True),
            "count": np.array([len(values)]),
        }

    found, expected = pooled([statistics(one), statistics(other)]), statistics(np.concatenate([one, other]))
    assert {name: value.tolist() for name, value in found.items()} == {
        name: pytest.approx(value.tolist()) for name, value in expected.items()
    }


def test_shifted_statistics_keep_count_and_deviation() -> None:
    found = shifted({"min": np.array([1.0]), "std": np.array([2.0]), "count": np.array([3.0])}, 10)
    assert {name: value.tolist() for name, value in found.items()} == {"min": [11], "std": [2], "count": [3]}

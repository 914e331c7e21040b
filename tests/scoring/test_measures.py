"""Measures of pictures against values computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from cosmos_batch.scoring.measures import (
    EdgeCounts,
    difference,
    edge_counts,
    is_black,
    roughness,
    ssim,
)

NOISE = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)


def test_f1_of_edges_that_are_partly_kept() -> None:
    reference = np.array([[True, True, True, False]])
    output = np.array([[True, True, False, True]])
    counts = edge_counts(reference, output)
    assert counts == EdgeCounts(both=2, output_only=1, reference_only=1)
    assert counts.f1 == pytest.approx(2 / 3)  # precision 2/3, recall 2/3


def test_f1_of_a_video_is_that_of_all_its_pixels() -> None:
    assert (EdgeCounts(both=3) + EdgeCounts(output_only=2, reference_only=4)).f1 == pytest.approx(6 / 12)
    assert EdgeCounts().f1 == 1.0  # no edge to keep, and none made
    assert EdgeCounts(output_only=1).f1 == 0.0


def test_ssim_of_two_even_pictures_is_that_of_their_brightness() -> None:
    first, second = np.full((16, 16), 100, np.uint8), np.full((16, 16), 200, np.uint8)
    constant = (0.01 * 255) ** 2
    assert ssim(first, second) == pytest.approx(
        (2 * 100 * 200 + constant) / (100**2 + 200**2 + constant), abs=1e-3
    )
    assert ssim(NOISE, NOISE) == pytest.approx(1.0, abs=1e-5)
    assert ssim(NOISE, 255 - NOISE) < -0.5


def test_difference_is_a_share_of_the_range() -> None:
    assert difference(np.array([[0, 255]], np.uint8), np.array([[51, 255]], np.uint8)) == pytest.approx(0.1)


def test_black_leaves_two_pixels_in_a_hundred_and_a_tenth_of_the_range() -> None:
    picture = np.full((10, 10), 25, np.uint8)
    picture[0, :2] = 255
    assert is_black(picture)
    picture[0, 2] = 255
    assert not is_black(picture)
    assert not is_black(np.full((10, 10), 26, np.uint8))


def test_roughness_of_noise_of_a_ramp_and_of_one_colour() -> None:
    ramp = np.tile(np.arange(64, dtype=np.uint8), (64, 1))
    assert roughness(NOISE) > 0.9
    assert roughness(ramp) == pytest.approx(0.0, abs=1e-5)
    assert roughness(np.full((4, 4), 7, np.uint8)) == 0.0
    assert roughness(np.zeros((1, 1), np.uint8)) == 0.0

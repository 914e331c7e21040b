"""Statistics of the pictures of a camera, as LeRobot keeps them to normalise the input of a policy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cosmos_batch.media.video import Frames

Statistic = NDArray[np.float64]
Statistics = Mapping[str, Statistic]
"""Statistics by name: min, max, mean, std, count, and quantiles such as q01; of a camera [3, 1, 1], count [1]."""

_QUANTILE = re.compile(r"q(\d\d)")
_BOUNDED = (100, 10_000)  # the fewest and the most frames of an episode that are looked at
_GROWTH = 0.75  # the power of the length that is looked at, between those
_LARGE, _SMALL = 300, 150  # pixels: a picture with a longer side of _LARGE is thinned to about _SMALL


def camera_statistics(frames: Iterable[Frames], length: int, names: Iterable[str]) -> dict[str, Statistic]:
    """Compute statistics of an episode's pictures, each value from 0 to 1; names that are not known are left out.

    Sampled as LeRobot samples (`lerobot/datasets/compute_stats.py`): `length` ** 0.75 frames, at least 100 and at
    most 10,000, at equal distances; large pictures thinned. A quantile is the least value that so many reach.
    """
    wanted = set(_sampled(length))
    counts = np.zeros((3, 256), np.int64)
    pictures = 0
    for index, frame in enumerate(frames):
        if index in wanted:
            pictures += 1
            counts += [np.bincount(channel, minlength=256) for channel in _thinned(frame).reshape(-1, 3).T]
    values = np.arange(256) / 255
    total = counts.sum(axis=1)
    mean = counts @ values / total
    found: dict[str, Statistic] = {"count": np.array([pictures], np.float64)}
    shape = (3, 1, 1)
    for name in names:
        if quantile := _QUANTILE.fullmatch(name):
            reached = counts.cumsum(axis=1) >= (int(quantile[1]) / 100 * total)[:, None]
            found[name] = values[reached.argmax(axis=1)].reshape(shape)
        elif name == "mean":
            found[name] = mean.reshape(shape)
        elif name == "std":
            found[name] = np.sqrt(counts @ values**2 / total - mean**2).reshape(shape)
        elif name == "min":
            found[name] = values[(counts > 0).argmax(axis=1)].reshape(shape)
        elif name == "max":
            found[name] = values[255 - (counts[:, ::-1] > 0).argmax(axis=1)].reshape(shape)
    return found


def pooled(episodes: Sequence[Statistics]) -> dict[str, Statistic]:
    """Statistics of all episodes together, weighted by their counts.

    The variance is pooled (Chan, Golub and LeVeque 1979); a quantile is the weighted mean of those of the
    episodes, as LeRobot's `aggregate_stats` has it.
    """
    counts = [float(each["count"].reshape(-1)[0]) for each in episodes]
    total = sum(counts)

    def weighted(values: Iterable[Statistic]) -> Statistic:
        return np.asarray(sum(count * value for count, value in zip(counts, values, strict=True)) / total)

    found: dict[str, Statistic] = {"count": np.array([total])}
    for name in episodes[0]:
        values = [each[name] for each in episodes]
        if name == "min":
            found[name] = np.min(values, axis=0)
        elif name == "max":
            found[name] = np.max(values, axis=0)
        elif name == "std":
            mean = weighted(each["mean"] for each in episodes)
            spread = [each["std"] ** 2 + (each["mean"] - mean) ** 2 for each in episodes]
            found[name] = np.sqrt(weighted(spread))
        elif name != "count":
            found[name] = weighted(values)
    return found


def shifted(statistics: Statistics, distance: int) -> dict[str, Statistic]:
    """Statistics of values that were all increased by `distance`."""
    return {name: value if name in ("count", "std") else value + distance for name, value in statistics.items()}


def as_json(statistics: Statistics) -> dict[str, object]:
    """Statistics as nested lists; the count as a whole number."""
    return {
        name: value.astype(np.int64).tolist() if name == "count" else value.tolist()
        for name, value in statistics.items()
    }


def _sampled(length: int) -> list[int]:
    """Numbers of the frames that are looked at."""
    fewest, most = _BOUNDED
    count = max(min(fewest, length), min(int(length**_GROWTH), most))
    return [round(index) for index in np.linspace(0, length - 1, count).tolist()]


def _thinned(frame: Frames) -> Frames:
    side = max(frame.shape[:2])
    step = 1 if side < _LARGE else max(1, side // _SMALL)
    return frame[::step, ::step]

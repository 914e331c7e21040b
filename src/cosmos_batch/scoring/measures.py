"""Measures of pictures: pure functions, by which `video_scores` scores a video.

Edge F1 and blur SSIM are the measures of how a video keeps to its controls in the evaluation of Cosmos-Transfer1
(arXiv 2503.14492, TransferBench) and of Cosmos-Transfer2.5, as NVIDIA's cookbook defines them
(docs/core_concepts/evaluation/evaluation_transfer.md of nvidia-cosmos/cosmos-cookbook).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]
"""Luma of a picture, [height, width], 0 to 255."""
Mask = NDArray[np.bool_]
"""[height, width]"""

_WINDOW, _SIGMA = (11, 11), 1.5  # pixels; the Gaussian window of Wang et al. 2004, section III.C
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2  # of the same section, for values up to 255
_BLACK_LUMA, _BLACK_SHARE = 0.10 * 255, 0.98  # pix_th and pic_th of FFmpeg's filter blackdetect
_FROZEN = 0.001  # of the range, mean absolute difference: the noise of FFmpeg's filter freezedetect


@dataclass(frozen=True, slots=True)
class EdgeCounts:
    """Pixels of two edge maps: added up over a video, they give its F1."""

    both: int = 0  # edge in the reference and in the output
    output_only: int = 0
    reference_only: int = 0

    def __add__(self, other: EdgeCounts) -> EdgeCounts:
        return EdgeCounts(
            self.both + other.both,
            self.output_only + other.output_only,
            self.reference_only + other.reference_only,
        )

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, 0 to 1; 1 where neither has an edge."""
        wrong = self.output_only + self.reference_only
        return 1.0 if not self.both and not wrong else 2 * self.both / (2 * self.both + wrong)


def edge_counts(reference: Mask, output: Mask) -> EdgeCounts:
    """Compare two edge maps of equal size, pixel by pixel."""
    both = int(np.count_nonzero(reference & output))
    return EdgeCounts(both, int(np.count_nonzero(output)) - both, int(np.count_nonzero(reference)) - both)


def ssim(first: Grey, second: Grey) -> float:
    """Structural similarity of two pictures of equal size, -1 to 1, the mean over all pixels.

    Wang et al. 2004, "Image quality assessment: from error visibility to structural similarity", equation 13.
    """
    x, y = first.astype(np.float32), second.astype(np.float32)
    mean_x, mean_y = _windowed(x), _windowed(y)
    var_x = _windowed(x * x) - mean_x * mean_x
    var_y = _windowed(y * y) - mean_y * mean_y
    covariance = _windowed(x * y) - mean_x * mean_y
    likeness = (2 * mean_x * mean_y + _C1) * (2 * covariance + _C2)
    return float((likeness / ((mean_x**2 + mean_y**2 + _C1) * (var_x + var_y + _C2))).mean())


def _windowed(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(values, _WINDOW, _SIGMA, borderType=cv2.BORDER_REFLECT_101), np.float32)


def scaled_rmse(reference: NDArray[np.float32], estimate: NDArray[np.float32]) -> float:
    """Scale-invariant error of a depth, of any shape, as a share of the median of the reference; 0: equal.

    Root of the mean square error after the estimate is scaled to the reference's median, as NVIDIA's cookbook
    defines the depth RMSE of Cosmos Transfer (see above); the division makes it independent of the unit.
    """
    wanted, found = float(np.median(reference)), float(np.median(estimate))
    scale = wanted / found if wanted > 0 and found > 0 else 1.0
    error = float(np.sqrt(np.mean((reference - scale * estimate) ** 2)))
    return error / wanted if wanted > 0 else error


def mean_iou(reference: NDArray[np.bool_], output: NDArray[np.bool_]) -> float:
    """Mean over the reference's objects of the largest intersection over union with an object of the output.

    Both [objects, ...]; the reference has at least one. Matching by the largest is one of the two ways of the
    cookbook's segmentation mIoU.
    """
    return float(np.mean([max((_iou(each, other) for other in output), default=0.0) for each in reference]))


def _iou(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    union = int(np.count_nonzero(first | second))
    return int(np.count_nonzero(first & second)) / union if union else 0.0


def difference(first: Grey, second: Grey) -> float:
    """Mean absolute difference of two pictures of equal size, as a share of the range: 0 to 1.

    One minus its mean over the pairs of successive frames is VBench's temporal flickering (Huang et al. 2023,
    arXiv 2311.17982), of luma.
    """
    return float(cv2.absdiff(first, second).mean()) / 255


def is_frozen(change: float) -> bool:
    """Whether a frame that differs so much from the one before shows the same picture."""
    return change <= _FROZEN


def is_black(picture: Grey) -> bool:
    """Whether nearly all pixels are nearly black."""
    return float(np.count_nonzero(picture <= _BLACK_LUMA)) >= _BLACK_SHARE * picture.size


def roughness(picture: Grey) -> float:
    """How little pixels have in common with their neighbours: 0 a smooth picture, 1 white noise.

    One minus the mean correlation of pixels with their right and lower neighbours, within 0 and 1; 0 for a picture
    of one colour.
    """
    values = picture.astype(np.float32)
    pairs = ((values[:, :-1], values[:, 1:]), (values[:-1], values[1:]))
    return 1 - min(1.0, max(0.0, sum(_correlation(*pair) for pair in pairs) / len(pairs)))


def _correlation(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Pearson's correlation; 1 where either does not vary."""
    if first.size < 2:
        return 1.0
    x, y = first - first.mean(), second - second.mean()
    spread = float(np.sqrt(np.mean(x * x) * np.mean(y * y)))
    return float(np.mean(x * y)) / spread if spread > 0 else 1.0

"""Quality of a video: similarity to the true render, and whether its style is the requested one."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2


def _kernel(like: Tensor) -> Tensor:
    places = torch.arange(_WINDOW, dtype=like.dtype, device=like.device) - _WINDOW // 2
    line = torch.exp(-(places**2) / (2 * _SIGMA**2))
    return line / line.sum()


def _blurred(x: Tensor, line: Tensor) -> Tensor:
    return F.conv2d(F.conv2d(x, line.view(1, 1, -1, 1)), line.view(1, 1, 1, -1))


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Structural similarity of videos uint8 [B, T, H, W, 3] -> [B], the mean over frames, channels and places.

    Wang et al. 2004: Gaussian window of 11 pixels and sigma 1.5, K1 = 0.01, K2 = 0.03; no padding.
    """
    x, y = (v.permute(0, 1, 4, 2, 3).flatten(0, 2).unsqueeze(1).float() / 255 for v in (a, b))
    line = _kernel(x)
    mx, my = _blurred(x, line), _blurred(y, line)
    vx, vy = _blurred(x * x, line) - mx * mx, _blurred(y * y, line) - my * my
    both = _blurred(x * y, line) - mx * my
    score = (2 * mx * my + _C1) * (2 * both + _C2) / ((mx * mx + my * my + _C1) * (vx + vy + _C2))
    return score.flatten(1).mean(1).unflatten(0, (len(a), -1)).mean(1)


def _colours(video: Tensor) -> Tensor:
    """Colours of a video without their positions: quantiles of each channel, [B, 129, 3]."""
    pixels, _ = video.flatten(1, 3).float().sort(dim=1)
    places = torch.linspace(0, pixels.shape[1] - 1, 129, device=video.device).round().long()
    return pixels[:, places]


def nearest_look(video: Tensor, renders: Mapping[str, Tensor]) -> list[str]:
    """Of each video uint8 [B, T, H, W, 3], the look whose true render of the same scene has the nearest colours.

    The distance is the mean one of the channels' sorted values, which does not ask where things are: a video
    without controls shows another scene in the right style.
    """
    names, found = list(renders), _colours(video)
    gaps = [(found - _colours(renders[name])).abs().mean((1, 2)) for name in names]
    return [names[index] for index in torch.stack(gaps).argmin(0).tolist()]

"""Triton kernels for what stands between the convolutions of the Wan autoencoder; see `activation`.

Tensors have a pixel's channels together in memory (`torch.channels_last_3d`, for pictures `channels_last`), so a
row of a kernel's block is a pixel. Sums are in float32.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

_BLOCK = 4096
"""Numbers that a program has in hand."""


@triton.jit(do_not_specialize=("frames", "pixels"))  # type: ignore[untyped-decorator]
def _activate(  # type: ignore[no-untyped-def]
    x,
    bias,
    gamma,
    before,
    out,
    after,
    frames,  # T
    pixels,  # of a frame
    nothing,
    channels: tl.constexpr,
    across: tl.constexpr,  # channels, rounded up to a power of two
    down: tl.constexpr,  # pixels of a program
    stacked: tl.constexpr,
    biased: tl.constexpr,
    begins: tl.constexpr,  # nothing comes before
):
    frame, video = tl.program_id(1), tl.program_id(2).to(tl.int64)  # frame of `before` and x, one after the other
    row = tl.program_id(0).to(tl.int64) * down + tl.arange(0, down)
    column = tl.arange(0, across)
    inside = (row < pixels)[:, None] & (column < channels)[None, :]
    place = row[:, None] * channels + column[None, :]
    size = pixels.to(tl.int64) * channels
    if frame < 2:
        if begins:
            made = tl.zeros((down, across), out.dtype.element_ty)
        else:
            made = tl.load(before + (video * 2 + frame) * size + place, inside, 0.0)
    else:
        value = tl.load(x + (video * frames + frame - 2) * size + place, inside, 0.0).to(tl.float32)
        if biased:
            value += tl.load(bias + column, column < channels, 0.0).to(tl.float32)[None, :]
            value = tl.where(inside, value, 0.0)
        scale = tl.rsqrt(tl.sum(value * value, 1) / channels + nothing)
        value *= scale[:, None] * tl.load(gamma + column, column < channels, 0.0).to(tl.float32)[None, :]
        made = (value * tl.sigmoid(value)).to(out.dtype.element_ty)
    if stacked:
        for back in tl.static_range(3):
            to = frame - back  # the frame that reads this one as its first, second or third
            if (to >= 0) & (to < frames):
                spot = ((video * frames + to) * pixels + row[:, None]) * 3 + back
                tl.store(out + spot * channels + column[None, :], made, inside)
    else:
        tl.store(out + (video * (frames + 2) + frame) * size + place, made, inside)
    if frame >= frames:
        tl.store(after + (video * 2 + frame - frames) * size + place, made, inside)


@triton.jit(do_not_specialize=("count",))  # type: ignore[untyped-decorator]
def _join(  # type: ignore[no-untyped-def]
    y,
    bias,
    shortcut,
    count,
    channels: tl.constexpr,
    block: tl.constexpr,
    with_shortcut: tl.constexpr,
):
    place = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    inside = place < count
    value = tl.load(y + place, inside, 0.0).to(tl.float32)
    value += tl.load(bias + place % channels, inside, 0.0).to(tl.float32)
    if with_shortcut:
        value += tl.load(shortcut + place, inside, 0.0).to(tl.float32)
    tl.store(y + place, value.to(y.dtype.element_ty), inside)


def activated(
    x: Tensor, bias: Tensor | None, gamma: Tensor, before: Tensor | None, nothing: float, *, stacked: bool
) -> tuple[Tensor, Tensor]:
    """As `activation.activated`; `nothing` is added to the mean square."""
    videos, channels, frames, height, width = x.shape
    after = x.new_empty(videos, 2, height, width, channels).permute(0, 4, 1, 2, 3)
    if stacked:
        out = x.new_empty(videos * frames, height, width, 3 * channels).permute(0, 3, 1, 2)
    else:
        out = x.new_empty(videos, frames + 2, height, width, channels).permute(0, 4, 1, 2, 3)
    across = triton.next_power_of_2(channels)
    down = max(1, _BLOCK // across)
    pixels = height * width
    with torch.cuda.device_of(x):
        _activate[(triton.cdiv(pixels, down), frames + 2, videos)](
            x,
            x if bias is None else bias,
            gamma,
            x if before is None else before.contiguous(memory_format=torch.channels_last_3d),
            out,
            after,
            frames,
            pixels,
            nothing,
            channels=channels,
            across=across,
            down=down,
            stacked=stacked,
            biased=bias is not None,
            begins=before is None,
        )
    return out, after


def joined(y: Tensor, bias: Tensor, shortcut: Tensor | None) -> Tensor:
    """As `activation.joined`."""
    count = y.numel()
    order = torch.channels_last_3d if y.dim() == 5 else torch.channels_last
    with torch.cuda.device_of(y):
        _join[(triton.cdiv(count, _BLOCK),)](
            y,
            bias,
            y if shortcut is None else shortcut.contiguous(memory_format=order),
            count,
            channels=y.shape[1],
            block=_BLOCK,
            with_shortcut=shortcut is not None,
        )
    return y

"""Layers of the Wan 2.1 video autoencoder, for evaluation one group of frames after the other.

The autoencoder is causal: a frame depends on itself and on earlier frames only. So a long video goes through
in small groups, and each layer that looks back keeps the last frames that it saw in a `Past`. A new video
starts with an empty one. Names of modules are those of diffusers' AutoencoderKLWan, so that the published
weights load as they are.

Shapes are [B, C, T, H, W] throughout.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cosmos_batch.engines.inprocess.vae.wan_ops import activated, joined, rms_norm, stacks

Past = dict[nn.Module, Tensor]
"""The last frames that each layer with a look-back saw: [B, C, 1 or 2, H, W]."""


_TOGETHER = 8
"""Channels of which a GPU's matrix units take a multiple. With another number it computes without them."""


class CausalConv3d(nn.Conv3d):
    """A convolution over pixels and over the current and earlier frames."""

    def __init__(self, inside: int, outside: int, frames: int = 3, pixels: int = 3) -> None:
        super().__init__(inside, outside, (frames, pixels, pixels), padding=(0, pixels // 2, pixels // 2))

    def step(self, x: Tensor, past: Past) -> Tensor:
        """Convolve a group of frames. Before the first frame of a video there are zeros."""
        look_back = self.kernel_size[0] - 1
        if look_back:
            before = past.get(self)
            x = F.pad(x, (0, 0, 0, 0, look_back, 0)) if before is None else torch.cat((before, x), dim=2)
            past[self] = x[:, :, -look_back:].clone()
        missing = -self.in_channels % _TOGETHER if x.is_cuda else 0
        if not missing:
            return self(x)
        wide = F.pad(self.weight, (0, 0, 0, 0, 0, 0, 0, missing))
        return F.conv3d(F.pad(x, (0, 0, 0, 0, 0, 0, 0, missing)), wide, self.bias, self.stride, self.padding)

    def behind(self, norm: RmsNorm, x: Tensor, past: Past, bias: Tensor | None = None) -> Tensor:
        """Convolve the SiLU of the norm of x, to which a bias [C] is still to be added, if there is one. This
        layer's own bias is left to be added.
        """
        stacked = stacks(x)
        seen, past[self] = activated(x, bias, norm.gamma.flatten(), past.get(self), stacked=stacked)
        if not stacked:
            return F.conv3d(seen, self.weight, None, self.stride, self.padding)
        weight = self.weight.transpose(1, 2).flatten(1, 2).contiguous(memory_format=torch.channels_last)
        made = F.conv2d(seen, weight, None, padding=self.padding[1:])
        return made.unflatten(0, (len(x), -1)).transpose(1, 2)

    def joined(self, y: Tensor, shortcut: Tensor | None = None) -> Tensor:
        """Add this layer's bias and a shortcut to what `behind` made."""
        assert self.bias is not None
        return joined(y, self.bias, shortcut)


def _order_of(x: Tensor) -> torch.memory_format:
    """Whether x keeps a pixel's channels together in memory."""
    last = x.is_contiguous(memory_format=torch.channels_last_3d) and not x.is_contiguous()
    return torch.channels_last_3d if last else torch.contiguous_format


def _per_frame(layer: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Apply a layer for images [B * T, C, H, W] to every frame."""
    made = layer(x.transpose(1, 2).flatten(0, 1))
    return made.view(x.shape[0], -1, *made.shape[1:]).transpose(1, 2)


def _per_picture(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """A convolution of images [B, C, H, W]."""
    assert conv.bias is not None
    return joined(F.conv2d(x, conv.weight, None, conv.stride, conv.padding), conv.bias)


def _per_pixel(conv: nn.Conv3d, x: Tensor) -> Tensor:
    """A convolution over nothing but the channels of x [B, C, ...]."""
    return F.linear(x.movedim(1, -1), conv.weight.flatten(1), conv.bias).movedim(-1, 1)


class RmsNorm(nn.Module):
    """Each pixel's channels scaled to a root mean square of gamma."""

    def __init__(self, channels: int, dims: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels, *[1] * dims))

    def forward(self, x: Tensor) -> Tensor:
        """x [B, C, ...] with as many dims after C as given -> the same shape."""
        return rms_norm(x, self.gamma.flatten())


class Residual(nn.Module):
    """Two normalised convolutions beside a shortcut."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.norm1 = RmsNorm(inside, 3)
        self.conv1 = CausalConv3d(inside, outside)
        self.norm2 = RmsNorm(outside, 3)
        self.conv2 = CausalConv3d(outside, outside)
        self.conv_shortcut = nn.Conv3d(inside, outside, 1) if inside != outside else None

    def step(self, x: Tensor, past: Past) -> Tensor:
        """A group of frames -> the same frames."""
        y = self.conv1.behind(self.norm1, x, past)
        y = self.conv2.behind(self.norm2, y, past, self.conv1.bias)
        return self.conv2.joined(y, x if self.conv_shortcut is None else _per_pixel(self.conv_shortcut, x))


class Attention(nn.Module):
    """One head of attention among the pixels of each frame."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = RmsNorm(channels, 2)
        self.to_qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.proj = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """x [B, C, T, H, W] -> the same shape."""
        return x + _per_frame(self._attend, x)

    def _attend(self, frames: Tensor) -> Tensor:
        pixels = self.to_qkv(self.norm(frames)).flatten(2).transpose(1, 2)
        q, k, v = pixels.unsqueeze(1).chunk(3, dim=-1)
        mixed = F.scaled_dot_product_attention(q, k, v).squeeze(1)
        return self.proj(mixed.transpose(1, 2).view_as(frames))


class Down(nn.Module):
    """Half the height and width and, with `time`, half the frames after the first."""

    def __init__(self, channels: int, time: bool) -> None:
        super().__init__()
        # Padding right and below alone is how the published weights were trained
        self.resample = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(channels, channels, 3, stride=2))
        self.time_conv = nn.Conv3d(channels, channels, (3, 1, 1), stride=(2, 1, 1)) if time else None

    def step(self, x: Tensor, past: Past) -> Tensor:
        """The first frame of a video goes through alone; after it an even number of frames."""
        pad, conv = self.resample
        x = _per_frame(lambda images: _per_picture(conv, pad(images)), x)  # type: ignore[arg-type]
        if self.time_conv is None:
            return x
        before, past[self] = past.get(self), x[:, :, -1:].clone()
        return x if before is None else self.time_conv(torch.cat((before, x), dim=2))


class Up(nn.Module):
    """Twice the height and width, half the channels and, with `time`, twice the frames after the first."""

    def __init__(self, channels: int, time: bool) -> None:
        super().__init__()
        self.resample = nn.Sequential(
            nn.Upsample(scale_factor=2.0, mode="nearest-exact"),
            nn.Conv2d(channels, channels // 2, 3, padding=1),
        )
        self.time_conv = CausalConv3d(channels, 2 * channels, pixels=1) if time else None

    def step(self, x: Tensor, past: Past) -> Tensor:
        """The first frame of a video goes through alone."""
        if self.time_conv is not None:
            x = self._double(self.time_conv, x, past)
        scale, conv = self.resample
        return _per_frame(lambda images: _per_picture(conv, scale(images)), x)  # type: ignore[arg-type]

    def _double(self, conv: CausalConv3d, x: Tensor, past: Past) -> Tensor:
        if conv not in past:  # the first frame stays single, and those after it do not look back at it
            past[conv] = x.new_zeros(*x.shape[:2], 2, *x.shape[3:])
            return x
        pairs = conv.step(x, past).view(x.shape[0], 2, *x.shape[1:])  # B, 2, C, T, H, W
        doubled = pairs.permute(0, 2, 3, 1, 4, 5).flatten(2, 3)
        return doubled.contiguous(memory_format=_order_of(x))


class Middle(nn.Module):
    """Residual, attention, residual at the smallest size."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(Residual(channels, channels) for _ in range(2))
        self.attentions = nn.ModuleList([Attention(channels)])

    def step(self, x: Tensor, past: Past) -> Tensor:
        """A group of frames -> the same frames."""
        first, second = self.resnets
        x = self.attentions[0](first.step(x, past))  # type: ignore[operator]
        return second.step(x, past)  # type: ignore[operator]

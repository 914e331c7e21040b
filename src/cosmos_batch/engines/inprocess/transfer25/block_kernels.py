"""Triton kernels for what stands between the matrix products of a block; see `block_ops`.

Their sizes are fixed and nothing is tuned by timing, so equal versions on equal GPUs give equal bits. A program
computes one token. Sums are in float32; a kernel rounds its results once.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

_BLOCK = 4096
"""Numbers that a program of `gelu_` computes."""

_SIZES = ("tokens", "per_frame", "gate_row", "gate_frame", "shift_row", "shift_frame")


@triton.jit(do_not_specialize=_SIZES)  # type: ignore[untyped-decorator]
def _modulate(  # type: ignore[no-untyped-def]
    x,
    update,
    bias,
    gate,
    shift,
    scale,
    out,
    tokens,  # of a row
    per_frame,  # tokens that share a gate, shift and scale
    gate_row,  # distance in memory between the gates of two rows
    gate_frame,  # between those of two frames
    shift_row,
    shift_frame,
    eps,
    width: tl.constexpr,
    across: tl.constexpr,  # width, rounded up to a power of two
    gated: tl.constexpr,
    biased: tl.constexpr,
    modulated: tl.constexpr,
):
    token = tl.program_id(0).to(tl.int64)
    row, frame = token // tokens, (token % tokens) // per_frame
    column = tl.arange(0, across)
    inside = column < width
    place = token * width + column
    value = tl.load(x + place, inside, 0.0).to(tl.float32)
    if gated:
        more = tl.load(update + place, inside, 0.0).to(tl.float32)
        if biased:
            more += tl.load(bias + column, inside, 0.0).to(tl.float32)
        strength = tl.load(gate + row * gate_row + frame * gate_frame + column, inside, 0.0).to(tl.float32)
        value += more * strength
        tl.store(update + place, value.to(update.dtype.element_ty), inside)
    if modulated:
        spot = row * shift_row + frame * shift_frame + column
        centred = tl.where(inside, value - tl.sum(value, 0) / width, 0.0)
        normal = centred * tl.rsqrt(tl.sum(centred * centred, 0) / width + eps)
        more = 1.0 + tl.load(scale + spot, inside, 0.0).to(tl.float32)
        made = normal * more + tl.load(shift + spot, inside, 0.0).to(tl.float32)
        tl.store(out + place, made.to(out.dtype.element_ty), inside)


@triton.jit  # type: ignore[untyped-decorator]
def _norm(first, second, weight, column, inside, eps, width: tl.constexpr):  # type: ignore[no-untyped-def]
    """Two halves of heads [A, E / 2], each head normalised, times the weight [E]."""
    squares = tl.sum(first * first, 1) + tl.sum(second * second, 1)
    by = tl.rsqrt(squares / width + eps)[:, None]
    half: tl.constexpr = width // 2
    low = tl.load(weight + column, inside, 0.0).to(tl.float32)[None, :]
    high = tl.load(weight + half + column, inside, 0.0).to(tl.float32)[None, :]
    return first * by * low, second * by * high


@triton.jit(do_not_specialize=("tokens", "stride"))  # type: ignore[untyped-decorator]
def _norm_heads(  # type: ignore[no-untyped-def]
    x,
    weight,
    cos,
    sin,
    out,
    tokens,  # of a row
    stride,  # distance in memory between two tokens of x
    eps,
    heads: tl.constexpr,
    above: tl.constexpr,  # heads, rounded up to a power of two
    width: tl.constexpr,  # of a head
    across: tl.constexpr,  # half of that, rounded up to a power of two
    rotated: tl.constexpr,
):
    token = tl.program_id(0).to(tl.int64)
    half: tl.constexpr = width // 2
    head, column = tl.arange(0, above), tl.arange(0, across)
    inside = column < half
    filled = (head < heads)[:, None] & inside[None, :]
    place = head[:, None] * width + column[None, :]
    first = tl.load(x + token * stride + place, filled, 0.0).to(tl.float32)
    second = tl.load(x + token * stride + place + half, filled, 0.0).to(tl.float32)
    first, second = _norm(first, second, weight, column, inside, eps, width)
    if rotated:
        angle = (token % tokens) * half + column
        real = tl.load(cos + angle, inside, 0.0)[None, :]
        imaginary = tl.load(sin + angle, inside, 0.0)[None, :]
        first, second = first * real - second * imaginary, second * real + first * imaginary
    to = out + token * heads * width + place
    tl.store(to, first.to(out.dtype.element_ty), filled)
    tl.store(to + half, second.to(out.dtype.element_ty), filled)


@triton.jit  # type: ignore[untyped-decorator]
def _gelu(x, count, block: tl.constexpr):  # type: ignore[no-untyped-def]
    place = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    inside = place < count
    value = tl.load(x + place, inside, 0.0).to(tl.float32)
    made = 0.5 * value * (1.0 + tl.erf(value * 0.7071067811865476))
    tl.store(x + place, made.to(x.dtype.element_ty), inside)


def modulated(
    x: Tensor,
    update: Tensor | None,
    bias: Tensor | None,
    gate: Tensor | None,
    shift: Tensor | None,
    scale: Tensor | None,
    eps: float,
) -> Tensor | None:
    """Gate, modulate, or both; the sum is in place of `update`. See `block_ops` for the shapes."""
    rows, tokens, width = x.shape
    given = [part for part in (gate, shift, scale) if part is not None]
    frames = given[0].shape[1]
    gates = x if gate is None else gate
    shifts = x if shift is None else shift
    out = None if shift is None else torch.empty_like(x)
    with torch.cuda.device_of(x):
        _modulate[(rows * tokens,)](
            x,
            x if update is None else update,
            x if bias is None else bias,
            gates,
            shifts,
            x if scale is None else scale,
            x if out is None else out,
            tokens,
            tokens // frames,
            gates.stride(0),
            gates.stride(1),
            shifts.stride(0),
            shifts.stride(1),
            eps,
            width=width,
            across=triton.next_power_of_2(width),
            gated=update is not None,
            biased=bias is not None,
            modulated=out is not None,
            num_warps=4,
        )
    return out


def normed_heads(x: Tensor, weight: Tensor, eps: float, rotation: tuple[Tensor, Tensor] | None) -> Tensor:
    """Normalise the heads of x [R, N, A, E], and turn them where a rotation [N, 1, E / 2] is given."""
    rows, tokens, heads, width = x.shape
    out = x.new_empty(x.shape)
    cos, sin = (out, out) if rotation is None else rotation
    with torch.cuda.device_of(x):
        _norm_heads[(rows * tokens,)](
            x,
            weight,
            cos,
            sin,
            out,
            tokens,
            x.stride(1),
            eps,
            heads=heads,
            above=triton.next_power_of_2(heads),
            width=width,
            across=triton.next_power_of_2(width // 2),
            rotated=rotation is not None,
            num_warps=4,
        )
    return out


def gelu_(x: Tensor) -> Tensor:
    """GELU of x, in place of x, which must be contiguous."""
    count = x.numel()
    with torch.cuda.device_of(x):
        _gelu[(triton.cdiv(count, _BLOCK),)](x, count, block=_BLOCK, num_warps=8)
    return x

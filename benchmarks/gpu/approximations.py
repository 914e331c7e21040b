"""Speed and error of approximations at real sizes: `python -m benchmarks.gpu.approximations`.

Random weights of the published Transfer2.5-2B configuration, one control, guided and unguided. Columns: seconds of
a step, how many times as fast as exact, and how far the guided velocity of the first step lies from the exact one
and, at the smallest size, from that of the diffusers classes in float32 (relative, in the norm). Their effect on
the videos of a trained model is measured by `benchmarks.approximations`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from statistics import median

import torch
from torch import Tensor

from benchmarks.gpu.measuring import error, seconds_of, versions
from benchmarks.gpu.models import Ours, Reference, Setup
from benchmarks.gpu.size import Size
from cosmos_batch.engines.inprocess.options import Approximation
from cosmos_batch.engines.inprocess.sampling.batch import DenoisingBatch
from cosmos_batch.engines.inprocess.sampling.schedule import is_estimated

SIZES = "320x192x93,832x480x93,1280x704x93"
VARIANTS = ((), (Approximation.FLOAT8_ATTENTION,))


def measure(ours: Ours, size: Size) -> tuple[float, Tensor, float]:
    """Seconds of a step, the guided velocity of the first one, and its noise level."""
    case = ours.setup.case(size, {"edge": 1.0})
    velocity, sigma = ours.first_velocity(case)
    batch = ours.batch([case])
    batch.step()
    repeats, warm = (8, 3) if size.tokens < 10_000 else (1, 1)
    taken = median(seconds_of(batch.step, repeats, warm=warm))
    ours.texts.clear()
    return taken, velocity, sigma


def caching(ours: Ours, size: Size, steps: int) -> tuple[float, float]:
    """Seconds of a video of `steps` steps without and with step caching, without the first step."""
    taken = []
    for step_caching in (False, True):
        batch = DenoisingBatch(ours.forward, step_caching=step_caching)
        batch.join("0", ours.setup.case(size, {"edge": 1.0}, steps=steps).conditions())
        batch.step()
        taken.append(sum(seconds_of(batch.step, 1, warm=0)[0] for _ in range(steps - 1)))
    ours.texts.clear()
    return taken[0], taken[1]


def main(
    arguments: Sequence[str] | None = None,
    setup: Setup | None = None,
    variants: Sequence[tuple[Approximation, ...]] = VARIANTS,
) -> None:
    """Measure and print. `variants`: sets of approximations, the first of them empty."""
    parser = argparse.ArgumentParser(description="Speed and error of approximations at real sizes.")
    parser.add_argument("--sizes", default=SIZES)
    parser.add_argument("--steps", type=int, default=36, help="of the video made with step caching")
    options = parser.parse_args(arguments)
    sizes = [Size.parse(name) for name in options.sizes.split(",")]
    print(versions(), flush=True)
    reference = Reference(("edge",), setup or Setup.published())
    found: dict[tuple[Size, tuple[Approximation, ...]], tuple[float, Tensor, float]] = {}
    cached = (0.0, 0.0)
    for variant in variants:
        ours = Ours.like(reference, approximations=variant)
        for size in sizes:
            found[size, variant] = measure(ours, size)
            print(size, variant, found[size, variant][0], flush=True)
        if not variant:
            cached = caching(ours, sizes[0], options.steps)
    reference.to(torch.float32)
    case = reference.setup.case(sizes[0], {"edge": 1.0})
    exact = reference.velocity(case, found[sizes[0], ()][2])
    print("\n| size | variant | s/step | times | from exact | from float32 |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for (size, variant), (taken, velocity, _) in sorted(found.items(), key=lambda item: item[0][0].tokens):
        plain, wanted, _ = found[size, ()]
        apart = f"{error(velocity, wanted):.2%}" if variant else ""
        far = f"{error(velocity, exact):.2%}" if size == sizes[0] else ""
        name = ", ".join(variant) or "exact"
        print(f"| {size} | {name} | {taken:.4f} | {plain / taken:.2f} | {apart} | {far} |")
    left_out = sum(is_estimated(step, options.steps) for step in range(options.steps))
    print(
        f"\nstep caching at {sizes[0]}: {options.steps} steps, {left_out} of them estimated: "
        f"{cached[0]:.2f} s exact, {cached[1]:.2f} s: {cached[0] / cached[1]:.2f} times as fast"
    )


if __name__ == "__main__":
    main()

"""How fast approximations are at real sizes: `python -m benchmarks.gpu.approximations`.

Random weights of the published Transfer2.5-2B configuration, one control, guided and unguided. Columns: seconds of
a step, how many times as fast as exact, and how far the guided velocity of the first step lies from the exact one
and, at the smallest size, from that of the diffusers classes in float32 (relative, in the norm). What they do to
videos of a model that has learnt something is in `benchmarks.approximations`.
"""

from __future__ import annotations

import argparse
from statistics import median

import torch
from torch import Tensor

from benchmarks.gpu.measuring import error, seconds_of, versions
from benchmarks.gpu.models import Case, Ours, Reference
from benchmarks.gpu.sizes import Size
from cosmos_batch.engines.inprocess.options import Approximation
from cosmos_batch.engines.inprocess.sampling.batch import DenoisingBatch
from cosmos_batch.engines.inprocess.sampling.schedule import is_estimated

SIZES = "320x192x93,832x480x93,1280x704x93"
WAYS = ((), (Approximation.FLOAT8_ATTENTION,))


def measure(ours: Ours, size: Size) -> tuple[float, Tensor, float]:
    """Seconds of a step, the guided velocity of the first one, and its noise level."""
    case = Case(size, {"edge": 1.0})
    batch = ours.batch([case])
    sigma = float(case.conditions().schedule.sigmas[0])
    batch.step()
    memory, _ = batch.state("0")
    repeats, warm = (8, 3) if size.tokens < 10_000 else (1, 1)
    taken = median(seconds_of(batch.step, repeats, warm=warm))
    ours.texts.clear()
    return taken, (case.noise - memory.newer) / sigma, sigma


def caching(ours: Ours, size: Size, steps: int) -> tuple[float, float]:
    """Seconds of a video of so many steps without and with step caching, the first step left out."""
    taken = []
    for step_caching in (False, True):
        batch = DenoisingBatch(ours.forward, step_caching=step_caching)
        batch.join("0", Case(size, {"edge": 1.0}, steps=steps).conditions())
        batch.step()
        taken.append(sum(seconds_of(batch.step, 1, warm=0)[0] for _ in range(steps - 1)))
    ours.texts.clear()
    return taken[0], taken[1]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="How fast approximations are at real sizes.")
    parser.add_argument("--sizes", default=SIZES)
    options = parser.parse_args()
    sizes = [Size.parse(name) for name in options.sizes.split(",")]
    print(versions(), flush=True)
    reference = Reference(("edge",))
    found: dict[tuple[Size, tuple[Approximation, ...]], tuple[float, Tensor, float]] = {}
    cached = (0.0, 0.0)
    for way in WAYS:
        ours = Ours.like(reference, approximations=way)
        for size in sizes:
            found[size, way] = measure(ours, size)
            print(size, way, found[size, way][0], flush=True)
        if not way:
            cached = caching(ours, sizes[0], 36)
    reference.to(torch.float32)
    case = Case(sizes[0], {"edge": 1.0})
    exact = reference.velocity(case, found[sizes[0], ()][2]).cpu()
    print("\n| size | way | s/step | times | from exact | from float32 |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for (size, way), (taken, velocity, _) in sorted(found.items(), key=lambda item: item[0][0].tokens):
        plain, wanted, _ = found[size, ()]
        apart = f"{error(velocity, wanted):.2%}" if way else ""
        far = f"{error(velocity, exact):.2%}" if size == sizes[0] else ""
        name = ", ".join(way) or "exact"
        print(f"| {size} | {name} | {taken:.4f} | {plain / taken:.2f} | {apart} | {far} |")
    left_out = sum(is_estimated(step, 36) for step in range(36))
    print(
        f"\nstep caching at {sizes[0]}: 36 steps, {left_out} of them estimated: {cached[0]:.2f} s exact, "
        f"{cached[1]:.2f} s: {cached[0] / cached[1]:.2f} times as fast"
    )


if __name__ == "__main__":
    main()

"""Our engine against the diffusers classes on one CUDA device: `python -m benchmarks.gpu`.

Both hold the same random weights of the published Transfer2.5-2B configuration, in one process. A step is one
denoising step of one video with one control, guided and unguided: of diffusers two passes one after the other, of
ours `Batch.step`, solver included. Columns:

- s/step: seconds of a step of the whole batch, the median of several;
- ratio: seconds per video of diffusers over ours;
- TFLOP/s: matrix operations that are really carried out, per second;
- ceiling: that over the rate of a bf16 product of 8192 x 8192 matrices, measured in the same process;
- GiB: peak of the device's memory, of the networks in use and all that a step needs, text features left out;
- error: of the guided velocity, relative in the norm, against the diffusers classes in float32.

The second table says what the device is busy with during a step, in milliseconds.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu.measuring import added_peak_bytes, error, seconds_of, synchronize, versions
from benchmarks.gpu.models import Ours, Reference, Setup
from benchmarks.gpu.size import Size

SIZES = (("320x192x29", 1), ("320x192x29", 8), ("320x192x93", 1), ("832x480x93", 1), ("1280x704x93", 1))
FLOAT32 = ("320x192x29", "320x192x93", "832x480x93", "1280x704x93")
KINDS = (
    ("attention", re.compile(r"flash|fmha|sdpa|attention", re.I)),
    ("products", re.compile(r"nvjet|gemm|cutlass|cublas|gemv|splitk", re.I)),
)
OTHERS = "normalisation, modulation and the rest"


def ceiling(device: torch.device, side: int) -> float:
    """TFLOP/s of a bf16 product of square matrices of random numbers, `side` x `side`."""
    one, other = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    out = torch.empty_like(one)
    taken = median(seconds_of(lambda: [torch.mm(one, other, out=out) for _ in range(10)], 5)) / 10
    return 2 * side**3 / taken / 1e12


def busy_with(call: Callable[[], object]) -> dict[str, float]:
    """Milliseconds of the device's time by kind of work, and the number of kernels."""
    synchronize()
    activity = ProfilerActivity.CUDA if torch.cuda.is_available() else ProfilerActivity.CPU
    with profile(activities=[activity]) as record:
        call()
        synchronize()
    times = dict.fromkeys((*(name for name, _ in KINDS), OTHERS), 0.0)
    count = 0
    for event in record.key_averages():
        kind = next((name for name, pattern in KINDS if pattern.search(event.key)), OTHERS)
        times[kind] += event.self_device_time_total / 1000
        count += event.count
    return times | {"kernels": count}


def measure_ours(ours: Ours, size: Size, count: int, repeats: int) -> dict[str, Any]:
    """Measure a step of our batch of `count` videos."""
    cases = [ours.setup.case(size, {"edge": 1.0}, seed=1 + index) for index in range(count)]
    batch = ours.batch(cases)
    begin = time.perf_counter()
    batch.step()
    synchronize()
    first = time.perf_counter() - begin
    batch.step()
    taken = seconds_of(batch.step, repeats)
    held = ours.text_bytes
    peak = added_peak_bytes(lambda: ours.batch(cases).step())
    work = ours.setup.flops(size.tokens, count, 1, shared=True)
    return {
        "seconds": median(taken),
        "spread": max(taken) - min(taken),
        "first": first,
        "tflops": work / median(taken) / 1e12,
        "gib": (ours.weight_bytes + held + peak) / 2**30,
        "busy": busy_with(batch.step),
    }


def measure_reference(reference: Reference, size: Size, repeats: int) -> dict[str, Any]:
    """Measure a step of the diffusers classes, for one video."""
    case = reference.setup.case(size, {"edge": 1.0})
    _ = case.noise, case.texts, case.controls  # made before the memory is measured
    peak = added_peak_bytes(lambda: reference.velocity(case, 0.995))
    taken = seconds_of(lambda: reference.velocity(case, 0.995), repeats, warm=0)
    return {
        "seconds": median(taken),
        "spread": max(taken) - min(taken),
        "tflops": reference.setup.flops(size.tokens, 1, 1, shared=False) / median(taken) / 1e12,
        "gib": (reference.weight_bytes + peak) / 2**30,
        "busy": busy_with(lambda: reference.velocity(case, 0.995)),
    }


def measure_errors(ours: Ours, reference: Reference, sizes: list[Size]) -> dict[str, dict[str, float]]:
    """Errors of both velocities against float32; `reference` is in float32 afterwards."""
    found = {}
    for size in sizes:
        case = ours.setup.case(size, {"edge": 1.0})
        velocity, sigma = ours.first_velocity(case)
        found[size] = (velocity, reference.velocity(case, sigma).cpu(), sigma)
    reference.to(torch.float32)
    errors = {}
    for size, (velocity, of_reference, sigma) in found.items():
        exact = reference.velocity(ours.setup.case(size, {"edge": 1.0}), sigma)
        errors[str(size)] = {"ours": error(velocity, exact), "diffusers": error(of_reference, exact)}
        print(f"error at {size}: {errors[str(size)]}", flush=True)
    return errors


def main(arguments: Sequence[str] | None = None, setup: Setup | None = None) -> None:
    """Measure and print both tables."""
    parser = argparse.ArgumentParser(description="Our engine against the diffusers classes.")
    parser.add_argument("--sizes", default=",".join(f"{size}:{count}" for size, count in SIZES))
    parser.add_argument("--float32", default=",".join(FLOAT32), help="sizes at which errors are measured")
    parser.add_argument("--json", type=Path, help="also write everything here")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--ours-only", action="store_true")
    parser.add_argument("--side", type=int, default=8192, help="of the matrices of the ceiling")
    options = parser.parse_args(arguments)
    setup = setup or Setup.published()
    torch.backends.cuda.matmul.allow_tf32 = False
    result: dict[str, Any] = {"versions": versions(), "ceiling": ceiling(setup.device, options.side), "rows": []}
    print(result["versions"], f"ceiling {result['ceiling']:.0f} TFLOP/s", flush=True)
    reference = Reference(("edge",), setup)
    ours = Ours.like(reference)
    alone: dict[str, dict[str, Any]] = {}
    for text in options.sizes.split(","):
        name, _, count = text.partition(":")
        size, repeats = Size.parse(name), options.repeats if "1280" not in name else 2
        row: dict[str, Any] = {"size": name, "batch": int(count or 1)}
        row["ours"] = measure_ours(ours, size, row["batch"], repeats)
        if not options.ours_only:
            if name not in alone:
                alone[name] = measure_reference(reference, size, repeats)
            row["diffusers"] = alone[name]
            row["ratio"] = row["batch"] * alone[name]["seconds"] / row["ours"]["seconds"]
        result["rows"].append(row)
        print(json.dumps(row), flush=True)
        ours.texts.clear()
    if not options.ours_only:
        named = {row["size"] for row in result["rows"]}
        sizes = [Size.parse(name) for name in options.float32.split(",") if name in named]
        result["errors"] = measure_errors(ours, reference, sizes)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))
    print_tables(result)


def print_tables(result: dict[str, Any]) -> None:
    """Print the table of steps and the table of what the device is busy with."""
    print("| size | batch | side | s/step | ratio | TFLOP/s | ceiling | GiB | error |")
    print("| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for row in result["rows"]:
        errors = result.get("errors", {}).get(row["size"], {})
        for side in ("diffusers", "ours"):
            if side not in row or (side == "diffusers" and row["batch"] > 1):
                continue
            m = row[side]
            ratio = f"{row['ratio']:.2f}" if side == "ours" and "ratio" in row else ""
            wrong = f"{errors[side]:.2%}" if side in errors else ""
            print(
                f"| {row['size']} | {row['batch']} | {side} | {m['seconds']:.4f} | {ratio} | {m['tflops']:.0f} "
                f"| {m['tflops'] / result['ceiling']:.0%} | {m['gib']:.1f} | {wrong} |"
            )
    print(f"\n| size | batch | side | attention | products | {OTHERS} | not busy | kernels | first step, s |")
    print("| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for row in result["rows"]:
        for side in ("diffusers", "ours"):
            if side not in row:
                continue
            m, busy = row[side], row[side]["busy"]
            parts = [busy[name] for name in ("attention", "products", OTHERS)]
            idle = max(m["seconds"] * 1000 - sum(parts), 0)
            cells = " | ".join(f"{part:.1f}" for part in (*parts, idle))
            first = f"{m['first']:.1f}" if "first" in m else ""
            print(f"| {row['size']} | {row['batch']} | {side} | {cells} | {busy['kernels']} | {first} |")


if __name__ == "__main__":
    main()

"""Error of calibrated and of shipped cost models on a CUDA device: `python -m benchmarks.gpu.costs MODEL`.

MODEL is a folder of `benchmarks.gpu.folder`. Calibrates as `cosmos-batch calibrate` does; then measures cases that
were not part of the calibration, and compares seconds per step, seconds to decode a video and encode its controls,
and the peaks of memory of both, with the predictions of the calibrated cost model and of the shipped profile. The
shipped profile also counts the time in which the GPU waits for a video, which is not measured here.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.gpu.measuring import versions
from cosmos_batch.controls import TRANSFER_CONTROLS
from cosmos_batch.engines.inprocess.calibration import Meter, Probe
from cosmos_batch.engines.inprocess.loader import load_engine
from cosmos_batch.engines.registry import cache_folder, profile
from cosmos_batch.media.controls.cache import ControlCache
from cosmos_batch.media.encode import write_video
from cosmos_batch.planning.cost.model import CostModel

FRAMES = 93
HELD_OUT = (
    Probe(320, 192, FRAMES, 3, 2),
    Probe(480, 288, FRAMES, 1, 1),
    Probe(704, 400, FRAMES, 1, 2),
    Probe(832, 480, FRAMES, 1, 3),
    Probe(1280, 704, FRAMES, 1, 1),
)

COLUMNS = (
    ("s/step", "seconds", ".3f", "error"),
    ("coding, s", "coding", ".3f", "coding_error"),
    ("GiB", "gib", ".1f", "memory_error"),
    ("coding, GiB", "coding_gib", ".1f", "coding_memory_error"),
)
"""Columns of the table: heading, key and format of the measurement, and key of the models' error."""


def compare(probe: Probe, meter: Meter, models: dict[str, CostModel]) -> dict[str, Any]:
    """Measure one case, and compare it with the prediction of each model."""
    measured = meter.steps(probe)
    each = measured.seconds / measured.steps
    decoding, encoding = meter.code(probe)
    coding = decoding.seconds + probe.controls * encoding.seconds
    row: dict[str, Any] = asdict(probe) | {"seconds": each, "coding": coding}
    row |= {"gib": (measured.bytes or 0) / 2**30, "coding_gib": (decoding.bytes or 0) / 2**30}
    for name, model in models.items():
        predicted = (model.batch_seconds(measured) - model.batch) / measured.steps
        peak = model.peak_bytes(measured.tokens, measured.branches, measured.rows)
        row[name] = {"seconds": predicted, "gib": peak / 2**30, "error": predicted / each - 1}
        beside = model.pixel * decoding.pixels + model.control_pixel * probe.controls * encoding.control_pixels
        row[name]["coding_error"] = beside / coding - 1
        row[name]["memory_error"] = peak / measured.bytes - 1 if measured.bytes else 0.0
        held = model.peak_bytes(0, decoding.branches, frame=decoding.frame)
        row[name]["coding_memory_error"] = held / decoding.bytes - 1 if decoding.bytes else 0.0
    return row


def main(arguments: Sequence[str] | None = None, held_out: Sequence[Probe] = HELD_OUT) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Error of calibrated and of shipped cost models.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--seconds", type=float, default=150.0)
    parser.add_argument("--json", type=Path, help="also write everything here")
    options = parser.parse_args(arguments)
    begin = time.perf_counter()
    cache = ControlCache(options.model / "controls")
    engine = load_engine(str(options.model), TRANSFER_CONTROLS, cache, kept=cache_folder())
    print(f"loaded in {time.perf_counter() - begin:.0f} s", flush=True)
    shipped, begin = profile("transfer", "h100"), time.perf_counter()
    video = options.model / "calibration.mp4"
    calibrated = engine.calibrated(
        shipped,
        seconds=options.seconds,
        write=lambda frames: write_video(video, frames, 24.0),
        say=lambda line: print(line, flush=True),
    )
    print(f"calibrated in {time.perf_counter() - begin:.0f} s: {calibrated}", flush=True)
    meter = Meter(engine.model, shipped, lambda _frames: None)
    rows = []
    for probe in held_out:
        rows.append(compare(probe, meter, {"calibrated": calibrated, "shipped": shipped}))
        print(rows[-1], flush=True)
    if options.json:
        everything = {"versions": versions(), "calibrated": asdict(calibrated), "held_out": rows}
        options.json.write_text(json.dumps(everything, indent=1))
    print_table(rows)


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print the cases that were not part of the calibration."""
    print(
        f"| size | runs | controls |{''.join(f' {heading} | calibrated | shipped |' for heading, *_ in COLUMNS)}"
    )
    print("| --- | ---: | ---: |" + 3 * len(COLUMNS) * " ---: |")
    for row in rows:
        cells = [f"{row['width']}x{row['height']}x{row['frames']}", row["runs"], row["controls"]]
        for _, key, form, error in COLUMNS:
            cells += [format(row[key], form), *(f"{row[name][error]:+.1%}" for name in ("calibrated", "shipped"))]
        print("| " + " | ".join(map(str, cells)) + " |")


if __name__ == "__main__":
    main()

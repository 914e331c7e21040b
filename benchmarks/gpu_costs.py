"""What calibration learns of a CUDA device, and how well it predicts: `python -m benchmarks.gpu_costs`.

Random weights of the published configuration. Calibrates as `cosmos-batch calibrate` does, but that no text
encoder is in memory and no file is written; then measures cases that it has not seen, and compares seconds per
step and peak of memory with what the calibrated cost model says, and with what the profile that ships says.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import torch
from diffusers import AutoencoderKLWan

from benchmarks.gpu import versions
from benchmarks.gpu_models import DEVICE, Ours, Reference
from benchmarks.gpu_tasks import ALL
from cosmos_batch.engines.transfer.calibration import Meter, Probe, calibrate, probes
from cosmos_batch.engines.transfer.forward import Forward
from cosmos_batch.engines.transfer.network import Transformer
from cosmos_batch.engines.transfer.vae.wan import WanVae
from cosmos_batch.planning.cost import CostModel
from cosmos_batch.planning.profiles import profile

SIZES = ((320, 192), (832, 480), (1280, 704))
FRAMES = 93
HELD_OUT = (
    Probe(320, 192, FRAMES, 3, 2),
    Probe(480, 288, FRAMES, 1, 1),
    Probe(704, 400, FRAMES, 1, 2),
    Probe(832, 480, FRAMES, 1, 3),
    Probe(960, 704, FRAMES, 1, 1),
)


@dataclass
class Machine:
    """Our networks and the autoencoder, as calibration wants them."""

    ours: Ours
    vae: WanVae
    device: torch.device = DEVICE
    dtype: torch.dtype = torch.bfloat16

    @property
    def base(self) -> Transformer:
        """The base network."""
        return self.ours.base

    @property
    def controls(self) -> frozenset[str]:
        """The control branches that it has."""
        return frozenset(self.ours.branches)

    @property
    def loaded(self) -> tuple[str, ...]:
        """Those that are in memory: all."""
        return tuple(sorted(self.ours.branches))

    def passes(self) -> Forward:
        """The network's pass over a batch; prompts are turned into seeds of random features."""
        ours = self.ours
        return Forward(
            ours.base,
            ours.branches.__getitem__,
            lambda net, prompt: ours.read(net, str(crc32(prompt.encode()))),
            DEVICE,
        )


def machine() -> Machine:
    """All in bfloat16, on the device."""
    vae = WanVae.from_config(dict(AutoencoderKLWan().config)).to(DEVICE, torch.bfloat16).eval()
    return Machine(Ours.like(Reference(ALL)), vae.requires_grad_(False).channels_last())


def compare(probe: Probe, meter: Meter, models: dict[str, CostModel]) -> dict[str, Any]:
    """One case: measured, and as each model has it."""
    measured = meter.steps(probe)
    each = measured.seconds / measured.steps
    row: dict[str, Any] = asdict(probe) | {"seconds": each, "gib": (measured.bytes or 0) / 2**30}
    for name, model in models.items():
        said = (model.batch_seconds(measured) - model.batch) / measured.steps
        peak = model.peak_bytes(measured.tokens, measured.branches, measured.rows)
        row[name] = {"seconds": said, "gib": peak / 2**30, "error": said / each - 1}
        row[name]["memory_error"] = peak / measured.bytes - 1 if measured.bytes else 0.0
    return row


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What calibration learns, and how well it predicts.")
    parser.add_argument("--seconds", type=float, default=170.0)
    parser.add_argument("--json", type=Path, help="also write everything here")
    options = parser.parse_args()
    rig, shipped = machine(), profile("transfer", "h100")
    begin = time.perf_counter()
    wanted = probes(SIZES, FRAMES, len(ALL))
    learnt = calibrate(rig, shipped, wanted, seconds=options.seconds, write=lambda _frames: None, say=print)
    print(f"calibrated in {time.perf_counter() - begin:.0f} s: {learnt}", flush=True)
    meter = Meter(rig, shipped, lambda _frames: None)
    rows = []
    for probe in HELD_OUT:
        rows.append(compare(probe, meter, {"calibrated": learnt, "shipped": shipped}))
        print(rows[-1], flush=True)
    if options.json:
        everything = {"versions": versions(), "calibrated": asdict(learnt), "held_out": rows}
        options.json.write_text(json.dumps(everything, indent=1))
    print_table(rows)


def print_table(rows: list[dict[str, Any]]) -> None:
    """Cases that calibration has not seen."""
    print("| size | runs | controls | s/step | calibrated | shipped | GiB | calibrated | shipped |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for row in rows:
        cells = [f"{row['width']}x{row['height']}x{row['frames']}", row["runs"], row["controls"]]
        cells += [f"{row['seconds']:.3f}", *(f"{row[name]['error']:+.1%}" for name in ("calibrated", "shipped"))]
        cells += [
            f"{row['gib']:.1f}",
            *(f"{row[name]['memory_error']:+.1%}" for name in ("calibrated", "shipped")),
        ]
        print("| " + " | ".join(map(str, cells)) + " |")


if __name__ == "__main__":
    main()

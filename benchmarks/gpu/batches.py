"""What the batch itself costs on a CUDA device: `python -m benchmarks.gpu.batches`.

Random weights of the published configuration. Mixed control sets against the sum of their parts, joining and
leaving a running batch, replayed steps against plain ones, and setting a video aside to disk and taking it back.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from benchmarks.gpu.measuring import error, seconds_of, versions
from benchmarks.gpu.models import DEVICE, Case, Ours, Reference, Size
from benchmarks.gpu.tasks import ALL
from cosmos_batch.engines.inprocess.checkpoint import SavedState, load_state, save_state
from cosmos_batch.engines.inprocess.sampling.batch import DenoisingBatch
from cosmos_batch.engines.inprocess.transfer25.forward import Forward

MIX = (*[("edge",)] * 4, *[("depth", "edge")] * 2, ALL, ("edge", "seg", "vis"))
"""Control sets of a batch of eight."""


def case(size: Size, names: Sequence[str], seed: int) -> Case:
    """A video with these controls."""
    return Case(size, {name: 1.0 / len(names) for name in names}, seed)


def timed(call: Callable[[], object]) -> float:
    """Seconds of one call, with the device idle before and after."""
    return seconds_of(call, 1, warm=0)[0]


def ragged(ours: Ours, size: Size, mix: Sequence[Sequence[str]], repeats: int) -> dict[str, float]:
    """A step of a mixed batch, and what its parts cost in batches as large whose videos are all alike."""
    warm = 3 if repeats > 1 else 1
    alike = {}
    for names in sorted(set(mix)):
        batch = ours.batch([case(size, names, seed) for seed in range(1, len(mix) + 1)])
        alike[names] = median(seconds_of(batch.step, repeats, warm)) / len(mix)
        ours.texts.clear()
    batch = ours.batch([case(size, names, seed) for seed, names in enumerate(mix, start=1)])
    mixed = median(seconds_of(batch.step, repeats, warm))
    ours.texts.clear()
    parts = sum(alike[names] for names in mix)
    return {"mixed": mixed, "parts": parts, "over": mixed / parts - 1}


def joining(ours: Ours, size: Size, count: int) -> dict[str, float]:
    """What a video adds to the time of a running batch by joining or leaving, beside its own steps."""
    videos = [case(size, ("edge",), seed) for seed in range(1, count + 2)]
    newcomer = videos.pop()
    ours.batch([*videos, newcomer]).step()  # compiles
    batch = ours.batch(videos)
    before = median(seconds_of(batch.step, 3, warm=3))
    conditions = newcomer.conditions()
    join = timed(lambda: batch.join("new", conditions)) + sum(timed(batch.step) for _ in range(4))
    after = median(seconds_of(batch.step, 3))
    leave = timed(lambda: batch.leave("new")) + sum(timed(batch.step) for _ in range(4))
    ours.texts.clear()
    return {
        "step_before": before,
        "step_after": after,
        "join": join - 4 * after,
        "leave": leave - 4 * before,
    }


def replaying(ours: Ours, size: Size, count: int, steps: int) -> dict[str, float]:
    """Latents after some steps, launched one by one and replayed from recordings; and again with other videos."""
    plain = Forward(ours.base, ours.branches.__getitem__, ours.read, DEVICE, record=False)
    found = {}
    for name, first in {"recorded": 1, "other videos": 50}.items():
        videos = [case(size, ("edge",), seed) for seed in range(first, first + count)]
        latents = []
        for passes in (ours.forward, plain, plain):
            batch = DenoisingBatch(passes)
            for index, video in enumerate(videos):
                batch.join(str(index), video.conditions())
            taken = [timed(batch.step) for _ in range(steps)]
            latents.append(torch.cat([batch.state(key)[0].sample for key in batch.keys]))
            ours.texts.clear()
        replayed, one, other = latents
        found[f"{name}: difference"] = error(replayed, one)
        found[f"{name}: of two plain ones"] = error(other, one)
        found[f"{name}: last plain step, s"] = taken[-1]
    return found


def setting_aside(ours: Ours, size: Size) -> dict[str, float]:
    """Seconds from a running batch to a file that is safe on disk, and from that file to a running batch."""
    video = case(size, ("edge",), 1)
    batch = ours.batch([video])
    batch.step()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.safetensors"
        nothing = np.zeros((0, size.height, size.width, 3), dtype=np.uint8)

        def save() -> None:
            memory, step = batch.state("0")
            save_state(path, SavedState(0, step, memory, nothing, None), "owner")
            batch.leave("0")

        def restore() -> None:
            state = load_state(path, "owner")
            assert state is not None
            batch.join("0", video.conditions(), state.memory, state.step)

        result = {"save": timed(save), "restore": timed(restore), "mib": path.stat().st_size / 2**20}
    batch.step()
    ours.texts.clear()
    return result


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What the batch itself costs.")
    parser.add_argument("--only", default="", help="a word in the names of the parts to measure")
    parser.add_argument("--json", type=Path, help="also write everything here")
    options = parser.parse_args()
    reference = Reference(ALL)
    ours = Ours.like(reference)
    del reference
    small, middle, large = (Size.parse(s) for s in ("320x192x29", "832x480x93", "1280x704x93"))
    found: dict[str, Any] = {"versions": versions()}
    for name, measure in {
        "ragged 320x192x29": lambda: ragged(ours, small, MIX, 5),
        "ragged 832x480x93": lambda: ragged(ours, middle, (("edge",), ("depth", "edge")), 1),
        "replaying 320x192x29, 1": lambda: replaying(ours, small, 1, 12),
        "replaying 320x192x29, 8": lambda: replaying(ours, small, 8, 12),
        "joining 320x192x29, 1 running": lambda: joining(ours, small, 1),
        "joining 320x192x29, 7 running": lambda: joining(ours, small, 7),
        "joining 832x480x93, 1 running": lambda: joining(ours, middle, 1),
        "setting aside 1280x704x93": lambda: setting_aside(ours, large),
    }.items():
        if options.only not in name:
            continue
        found[name] = measure()
        print(name, found[name], flush=True)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()

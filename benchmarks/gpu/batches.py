"""Costs of batching on a CUDA device: `python -m benchmarks.gpu.batches`.

Random weights of the published configuration. Mixed control sets against the sum of their parts, joining and
leaving a running batch, replayed steps against plain ones, and writing a checkpoint and restoring it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from benchmarks.gpu.measuring import error, seconds_of, versions
from benchmarks.gpu.models import Case, Ours, Reference, Setup
from benchmarks.gpu.size import Size
from benchmarks.gpu.standard_scenario import ALL
from cosmos_batch.engines.inprocess.checkpoint import SavedState, load_state, save_state
from cosmos_batch.engines.inprocess.sampling.batch import DenoisingBatch
from cosmos_batch.engines.inprocess.transfer25.forward import Forward

SIZES = "320x192x29,832x480x93,1280x704x93"
MIX = (*[("edge",)] * 4, *[("depth", "edge")] * 2, ALL, ("edge", "seg", "vis"))
"""Control sets of a batch of eight."""


def case(ours: Ours, size: Size, names: Sequence[str], seed: int) -> Case:
    """Inputs of a video with these controls, equally weighted."""
    return ours.setup.case(size, {name: 1.0 / len(names) for name in names}, seed)


def timed(call: Callable[[], object]) -> float:
    """Seconds of one call, with the device idle before and after."""
    return seconds_of(call, 1, warm=0)[0]


def ragged(ours: Ours, size: Size, mix: Sequence[tuple[str, ...]], repeats: int) -> dict[str, float]:
    """Seconds of a step of a mixed batch, and of its parts in uniform batches of the same number of videos."""
    warm = 3 if repeats > 1 else 1
    alike = {}
    for names in sorted(set(mix)):
        batch = ours.batch([case(ours, size, names, seed) for seed in range(1, len(mix) + 1)])
        alike[names] = median(seconds_of(batch.step, repeats, warm)) / len(mix)
        ours.texts.clear()
    batch = ours.batch([case(ours, size, names, seed) for seed, names in enumerate(mix, start=1)])
    mixed = median(seconds_of(batch.step, repeats, warm))
    ours.texts.clear()
    parts = sum(alike[names] for names in mix)
    return {"mixed": mixed, "parts": parts, "over": mixed / parts - 1}


def joining(ours: Ours, size: Size, count: int) -> dict[str, float]:
    """Seconds that joining and leaving add to a running batch, beyond the steps themselves."""
    videos = [case(ours, size, ("edge",), seed) for seed in range(1, count + 2)]
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
    """Differences of the latents after some steps, launched one by one and replayed from recordings.

    Measured twice, the second time with other videos in the recorded steps.
    """
    plain = Forward(ours.base, ours.branches.__getitem__, ours.read, ours.setup.device)
    found = {}
    for name, first in {"recorded": 1, "other videos": 50}.items():
        videos = [case(ours, size, ("edge",), seed) for seed in range(first, first + count)]
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


def checkpointing(ours: Ours, size: Size) -> dict[str, float]:
    """Seconds to write a checkpoint of a run and drop the run, and to restore it into the batch."""
    video = case(ours, size, ("edge",), 1)
    batch = ours.batch([video])
    batch.step()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.safetensors"
        nothing = np.zeros((0, size.height, size.width, 3), dtype=np.uint8)

        def save() -> None:
            solver, step = batch.state("0")
            save_state(path, SavedState(0, step, solver, nothing, None), "owner")
            batch.leave("0")

        def restore() -> None:
            state = load_state(path, "owner")
            assert state is not None
            batch.join("0", video.conditions(), state.solver, state.step)

        result = {"save": timed(save), "restore": timed(restore), "mib": path.stat().st_size / 2**20}
    batch.step()
    ours.texts.clear()
    return result


def main(arguments: Sequence[str] | None = None, setup: Setup | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Costs of batching.")
    parser.add_argument("--only", default="", help="a word in the names of the parts to measure")
    parser.add_argument("--json", type=Path, help="also write everything here")
    parser.add_argument("--sizes", default=SIZES, help="small, middle and large")
    options = parser.parse_args(arguments)
    reference = Reference(ALL, setup or Setup.published())
    ours = Ours.like(reference)
    del reference
    small, middle, large = (Size.parse(text) for text in options.sizes.split(","))
    found: dict[str, Any] = {"versions": versions()}
    parts: dict[str, Callable[[], Mapping[str, float]]] = {
        f"ragged {small}": lambda: ragged(ours, small, MIX, 5),
        f"ragged {middle}": lambda: ragged(ours, middle, (("edge",), ("depth", "edge")), 1),
        f"replaying {small}, 1": lambda: replaying(ours, small, 1, 12),
        f"replaying {small}, 8": lambda: replaying(ours, small, 8, 12),
        f"joining {small}, 1 running": lambda: joining(ours, small, 1),
        f"joining {small}, 7 running": lambda: joining(ours, small, 7),
        f"joining {middle}, 1 running": lambda: joining(ours, middle, 1),
        f"checkpointing {large}": lambda: checkpointing(ours, large),
    }
    for name, measure in parts.items():
        if options.only not in name:
            continue
        found[name] = measure()
        print(name, found[name], flush=True)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()

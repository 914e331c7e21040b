"""`cosmos-batch export-webdataset` and `cosmos-batch export-hdf5`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cosmos_batch.cli.render.text import plural, safe


def webdataset_command(out: Path, target: Path, samples: int, ids: Sequence[str], *, accepted_only: bool) -> int:
    """Write finished runs as shards; returns the exit code."""
    from cosmos_batch.datasets.finished_runs import finished_folders
    from cosmos_batch.datasets.shards import write_shards

    runs = finished_folders(out, ids, accepted_only=accepted_only)
    files = write_shards(runs, target, samples)
    print(f"{safe(str(target))}: {plural(len(runs), 'sample')} in {plural(len(files), 'shard')}")
    return 0


def hdf5_command(
    out: Path, dataset: Path, camera: str, target: Path, ids: Sequence[str], *, accepted_only: bool
) -> int:
    """Write demonstrations with finished videos in place of a camera; returns the exit code."""
    from cosmos_batch.datasets.finished_runs import finished_folders
    from cosmos_batch.datasets.robomimic import write_demos

    made = write_demos(finished_folders(out, ids, accepted_only=accepted_only), dataset, camera, target)
    for demo in made:
        print(f"{demo.name}: {demo.source} as {safe(demo.run_id)} shows it")
    print(f"{safe(str(target))}: {plural(len(made), 'demonstration')} added")
    return 0

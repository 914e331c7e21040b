"""What of this machine works, and what to do about the rest: GPU, packages, weights, codecs, disk."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal

import numpy as np

from cosmos_batch.engines.registry import EngineChoice, Engines, cache_folder
from cosmos_batch.errors import CosmosBatchError, explain

State = Literal["ok", "note", "fault"]
"""Works; is absent, which some uses need; keeps runs from being made."""

GIB = 1 << 30
LEAST_SPACE, USUAL_SPACE = 1 * GIB, 20 * GIB  # free bytes: below the first nothing works, weights need the second
DECODERS = ("h264", "hevc", "vp9", "av1", "png", "mjpeg")
_NO_GPU = "none; the embedded model runs on the CPU, published weights need an NVIDIA GPU"
_DRIVER = Path("/proc/driver/nvidia/version")


@dataclass(frozen=True, slots=True)
class Finding:
    """One part of the machine."""

    part: str  # for example "gpu"
    state: State
    found: str  # what there is
    remedy: str = ""  # what to do; "" where there is nothing to do


def findings(engines: Engines, choice: EngineChoice, output: Path | None) -> list[Finding]:
    """Look at every part of the machine that runs of this engine need. Loads no weights, and uses no network."""
    places = [("cache folder", cache_folder()), *([("output folder", output)] if output else [])]
    return [
        Finding("cosmos-batch", "ok", version("cosmos-batch")),
        *_torch(),
        *_extras(),
        *_model(engines, choice),
        *_codecs(),
        *(_folder(part, path) for part, path in places),
    ]


def _torch() -> Iterator[Finding]:
    try:
        import torch

        from cosmos_batch.engines.inprocess.gpu.compiler import can_compile
    except (ImportError, OSError) as exc:
        yield Finding("torch", "fault", f"cannot be imported ({exc})", "pip install --force-reinstall torch")
        return
    built = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA"
    yield Finding("torch", "ok", f"{torch.__version__}, built {built}")
    if not torch.cuda.is_available():
        yield _unused_gpu(built)
        return
    for index in range(torch.cuda.device_count()):
        seen = torch.cuda.get_device_properties(index)
        yield Finding("gpu", "ok", f"{index}: {seen.name}, {seen.total_memory / GIB:.0f} GiB")
    if can_compile(torch.device("cuda")):
        yield Finding("kernel compiler", "ok", "Triton and a C compiler")
    else:
        remedy = "install gcc and triton, or set CC, for faster kernels"
        yield Finding("kernel compiler", "note", "Triton or a C compiler is missing", remedy)


def _unused_gpu(built: str) -> Finding:
    """Why PyTorch sees no GPU."""
    if not _DRIVER.exists():
        return Finding("gpu", "note", _NO_GPU)
    remedy = "install a PyTorch for the CUDA of the driver (nvidia-smi shows it), and check CUDA_VISIBLE_DEVICES"
    return Finding("gpu", "fault", f"there is a driver, and PyTorch, built {built}, sees no GPU", remedy)


def _extras() -> Iterator[Finding]:
    """The extras of the package, by its metadata."""
    extras: dict[str, list[str]] = {}
    for line in requires("cosmos-batch") or ():
        found = re.match(r"([A-Za-z0-9._-]+).*;.*extra == ['\"]([^'\"]+)", line)
        if found:
            extras.setdefault(found[2], []).append(found[1])
    for extra, packages in sorted(extras.items()):
        missing = [package for package in packages if not _installed(package)]
        if missing:
            remedy = f"where it is needed: pip install 'cosmos-batch[{extra}]'"
            yield Finding(f"extra {extra}", "note", f"not installed: {', '.join(missing)}", remedy)
        else:
            yield Finding(f"extra {extra}", "ok", ", ".join(packages))


def _installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def _model(engines: Engines, choice: EngineChoice) -> Sequence[Finding]:
    """The problems of the engine's weights or scripts, as `check` and `run` report them."""
    part = f"engine {choice.name}"
    try:
        preview = engines.preview(choice, executes=True)
    except CosmosBatchError as exc:
        return [Finding(part, "fault", str(exc))]
    if preview.problems:
        return [Finding(part, "fault", str(problem)) for problem in preview.problems]
    return [Finding(part, "ok", f"can make {', '.join(sorted(preview.traits.controls))}")]


def _codecs() -> Iterator[Finding]:
    """Whether a video can be written and read here, and which kinds of video can be read."""
    remedy = "pip install --force-reinstall --only-binary :all: av"
    try:
        import av

        from cosmos_batch.media.encode import write_video
        from cosmos_batch.media.video import count_intact_frames

        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "video.mp4"
            write_video(file, np.zeros((2, 64, 64, 3), np.uint8), 8)
            count_intact_frames(file)
    except (ImportError, OSError, CosmosBatchError) as exc:
        yield Finding("video codecs", "fault", f"no video can be written and read ({explain(exc)})", remedy)
        return
    missing = [name for name in DECODERS if name not in av.codecs_available]
    if missing:
        yield Finding("video codecs", "note", f"H.264 works; cannot be read: {', '.join(missing)}", remedy)
    else:
        yield Finding("video codecs", "ok", f"H.264 is written; read are {', '.join(DECODERS)}")


def _folder(part: str, path: Path) -> Finding:
    """Whether a folder, or the one that it would be made in, can be written, and its free space."""
    home = next(place for place in (path.absolute(), *path.absolute().parents) if place.exists())
    try:
        with tempfile.TemporaryFile(dir=home):
            free = shutil.disk_usage(home).free
    except OSError as exc:
        return Finding(
            part, "fault", f"{path} cannot be written ({exc.strerror})", "make it writable, or choose another"
        )
    found = f"{path}, {free / GIB:.1f} GiB free"
    if free < LEAST_SPACE:
        return Finding(part, "fault", found, "free some space")
    if free < USUAL_SPACE:
        return Finding(part, "note", found, f"published weights need about {USUAL_SPACE / GIB:.0f} GiB")
    return Finding(part, "ok", found)

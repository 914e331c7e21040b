"""Shared parts of the stand-ins for NVIDIA's scripts. The JSON file that $STANDIN names sets their behaviour."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class OutOfMemoryError(RuntimeError):
    """An error with the name of torch's in a traceback."""

    __module__ = "torch"


@dataclass
class Behaviour:
    """The behaviour of a stand-in."""

    load: float = 0.0  # seconds from the start of the process until the model is loaded
    each: float = 0.0  # seconds to make a video
    most: int | None = None  # videos that fit in memory together
    unsafe_prompts: list[str] = field(default_factory=list)  # that the guardrail refuses
    unsafe_videos: list[str] = field(default_factory=list)  # prompts whose videos it refuses
    unsafe_once: str | None = None  # a prompt the first video of which it refuses
    poison: list[str] = field(default_factory=list)  # prompts at which the script fails
    deadly: dict[str, int] = field(default_factory=dict)  # prompts at which it is killed, and how often
    stuck: list[str] = field(default_factory=list)  # prompts at which it goes on for ever
    templates: str | None = None  # a folder of finished videos by size, to copy instead of encoding
    diary: str | None = None  # a file that gets a line for every start and every tensor batch


def behaviour() -> Behaviour:
    """The behaviour in the file of $STANDIN."""
    place = os.environ.get("STANDIN")
    return Behaviour(**json.loads(Path(place).read_text())) if place else Behaviour()


def load(how: Behaviour) -> None:
    """Wait for the time of a model load, which includes the start of the interpreter."""
    started = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    time.sleep(max(0.0, started + how.load - time.clock_gettime(time.CLOCK_BOOTTIME)))


def note(how: Behaviour, **what: Any) -> None:
    """A line in the diary."""
    if how.diary:
        with open(how.diary, "a") as stream:
            stream.write(json.dumps({"pid": os.getpid(), **what}) + "\n")


def suffer(how: Behaviour, prompts: list[str]) -> None:
    """Apply the faults that the behaviour sets for these prompts."""
    for prompt in prompts:
        if prompt in how.poison:
            raise ValueError(f"cannot cope with {prompt!r}")
        if how.deadly.get(prompt, 0) > 0 and how.diary:
            deaths = Path(how.diary).read_text().count(json.dumps({"death": prompt})[1:-1])
            if deaths < how.deadly[prompt]:
                note(how, death=prompt)
                os.kill(os.getpid(), signal.SIGKILL)
        if prompt in how.stuck:
            time.sleep(3600)
    if how.most is not None and len(prompts) > how.most:
        raise OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")


def first_time(how: Behaviour, prompt: str) -> bool:
    """Whether this is the first video ever of the prompt of which the first is refused."""
    if prompt != how.unsafe_once or how.diary is None or '"refused"' in Path(how.diary).read_text():
        return False
    note(how, refused=prompt)
    return True


def facts(path: str, how: Behaviour) -> tuple[int, int, int, float]:
    """Width, height, frames and rate of a video; raises for one that cannot be read."""
    known = Path(how.templates) / f"{hashlib.sha256(path.encode()).hexdigest()}.json" if how.templates else None
    if known and known.exists():
        width, height, frames, fps = json.loads(known.read_text())
        return width, height, frames, fps
    import av

    with av.open(path) as container:
        stream = container.streams.video[0]
        frames = sum(1 for _ in container.decode(stream))
        found = stream.width, stream.height, frames, float(stream.average_rate or 8)
    if known:
        known.write_text(json.dumps(found))
    return found


def colour(*made_from: Any) -> tuple[int, int, int]:
    """The colour of a video, equal only for equal inputs."""
    digest = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).digest()
    return digest[0], digest[1], digest[2]


def content(path: str | None) -> str | None:
    """Digest of a file's content."""
    return path and hashlib.sha256(Path(path).read_bytes()).hexdigest()


def write_picture(path: str, size: tuple[int, int], rgb: tuple[int, int, int]) -> None:
    """A picture of one colour."""
    import cv2
    import numpy as np

    cv2.imwrite(path, np.full((size[1], size[0], 3), rgb[::-1], np.uint8))


def write_video(
    path: str, size: tuple[int, int], frames: int, fps: float, rgb: tuple[int, int, int], how: Behaviour
) -> None:
    """A video of one colour."""
    template = Path(how.templates) / f"{size[0]}x{size[1]}x{frames}@{fps}.mp4" if how.templates else None
    if template and template.exists():
        shutil.copyfile(template, path)
        return
    import av
    import numpy as np
    from av.video.reformatter import Colorspace

    with av.open(path, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=round(fps), options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        picture = np.broadcast_to(np.array(rgb, np.uint8), (size[1], size[0], 3))
        for _ in range(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            # A large video without a colour space counts as BT.709.
            container.mux(stream.encode(frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709)))
        container.mux(stream.encode(None))
    if template:
        shutil.copyfile(path, template)


def say(text: str) -> None:
    """A line of the log."""
    print(text, flush=True)


def bar(done: int, of: int) -> None:
    """A progress bar as tqdm draws it."""
    sys.stderr.write(
        f"\rGenerating samples: {100 * done // of:3}%|##| {done}/{of} [00:0{done % 10}<00:01, 1.00s/it]"
    )
    sys.stderr.flush()

"""Folders of numbered pictures that were given in place of a video."""

from __future__ import annotations

import os
import re
import shlex
from itertools import islice
from pathlib import Path

_NUMBERED = re.compile(
    r"(?P<stem>.*?)(?P<number>[0-9]+)(?P<suffix>\.(?:png|jpe?g|bmp|tiff?|webp|exr))", re.IGNORECASE
)
_PATTERN = re.compile(r".*(%[0-9]*d|[*?]).*")
_MOST = 10_000  # names that are looked at


def numbered_pictures(path: Path) -> str | None:
    """The command that makes a video of the numbered pictures of a folder, or of a pattern such as `%05d.png`.

    None where there are no such pictures.
    """
    folder = path.parent if _PATTERN.fullmatch(path.name) else path
    try:
        with os.scandir(folder) as entries:
            found = [match for entry in islice(entries, _MOST) if (match := _NUMBERED.fullmatch(entry.name))]
    except (OSError, ValueError):
        return None
    if not found:
        return None
    first = min(found, key=lambda match: (match["stem"], int(match["number"])))
    padded = first["number"].startswith("0") or len({len(match["number"]) for match in found}) == 1
    digits = f"%0{len(first['number'])}d" if padded and len(first["number"]) > 1 else "%d"
    stem = str(folder / first["stem"]) if first["stem"] else f"{folder}/"
    pattern = shlex.quote(f"{stem.replace('%', '%%')}{digits}{first['suffix']}")
    start = f"-start_number {int(first['number'])} "
    target = shlex.quote(f"{folder}.mp4")
    return f"ffmpeg -framerate 24 {start}-i {pattern} -c:v libx264 -crf 4 -pix_fmt yuv420p {target}"

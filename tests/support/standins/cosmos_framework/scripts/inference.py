"""Behaves as NVIDIA's `cosmos_framework.scripts.inference` does on transfer samples, and draws one colour."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from standin import behaviour, colour, content, facts, load, note, suffer, write_video

HINTS = ("edge", "blur", "depth", "seg", "wsm")
SIZES = {"16,9": (320, 192), "4,3": (320, 256), "1,1": (256, 256), "3,4": (256, 320), "9,16": (192, 320)}


def generate(sample: dict[str, Any], out: str, how: Any) -> None:
    """One sample, in a folder of its own."""
    folder = Path(out, sample["name"])
    folder.mkdir(parents=True, exist_ok=True)
    with open(f"{folder}/sample_args.json", "w") as stream:
        json.dump(sample, stream)
    suffer(how, [sample["prompt"]])
    hints = {name: sample[name]["weight"] for name in HINTS if name in sample}
    total = sum(hints.values())
    source = sample.get("vision_path") or next(sample[name]["control_path"] for name in hints)
    _, _, frames, fps = facts(source, how)
    frames, size = min(frames, sample["max_frames"]), SIZES[sample["aspect_ratio"]]
    time.sleep(how.each)
    for name in hints:
        write_video(f"{folder}/control_{name}.mp4", size, frames, fps, (90, 90, 90), how)
    weights = {name: weight / total for name, weight in hints.items()}
    rgb = colour(sample["prompt"], content(source), weights, sample["seed"])
    write_video(f"{folder}/vision.mp4", size, frames, fps, rgb, how)
    with open(f"{folder}/sample_outputs.json", "w") as stream:
        json.dump({"files": ["vision.mp4"]}, stream)


def main() -> None:
    """Read all files, load, then sample after sample."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-i", nargs="+", required=True)
    parser.add_argument("-o", required=True)
    args = parser.parse_args()
    how = behaviour()
    samples = []
    for path in sorted(args.i):
        with open(path) as stream:
            samples += [json.loads(line) for line in stream if line.strip()]
    note(how, start="cosmos3")
    load(how)
    for sample in samples:
        assert sample["resolution"] == "256", "the stand-in knows no other size"
        note(how, batch=[sample["prompt"]])
        generate(sample, args.o, how)


if __name__ == "__main__":
    main()

"""Behaves as NVIDIA's `cosmos_framework.scripts.inference` does on transfer samples, and draws one colour."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from standin import behaviour, colour, content, facts, load, note, suffer, write_picture, write_video

HINTS = ("edge", "blur", "depth", "seg", "wsm")
FIELDS = {
    *HINTS,
    *("name", "model_mode", "prompt", "prompt_path", "negative_prompt", "negative_prompt_file"),
    *(
        "negative_metadata_mode",
        "negative_prompt_keep_metadata",
        "vision_path",
        "seed",
        "num_outputs",
        "num_steps",
    ),
    *("guidance", "control_guidance", "shift", "resolution", "aspect_ratio", "fps", "num_frames", "max_frames"),
    *("num_video_frames_per_chunk", "num_conditional_frames", "num_first_chunk_conditional_frames"),
    *("share_vision_temporal_positions", "emphasize_control_in_prompt", "show_control_condition", "show_input"),
}
CONTROL_FIELDS = {"control_path", "weight", "preset_edge_threshold", "preset_blur_strength"}
PICTURES = (".png", ".jpg", ".jpeg")
SIZES = {"16,9": (320, 192), "4,3": (320, 256), "1,1": (256, 256), "3,4": (256, 320), "9,16": (192, 320)}


def read(path: str) -> list[dict[str, Any]]:
    """The samples of a file; raises ValueError for what NVIDIA's loader refuses."""
    text = Path(path).read_text()
    samples = (
        [json.loads(line) for line in text.splitlines() if line] if path.endswith("l") else [json.loads(text)]
    )
    for sample in samples:
        check(sample, Path(path).absolute().parent)
    return samples


def check(sample: dict[str, Any], folder: Path) -> None:
    """Make the paths of a sample absolute, and raise ValueError for one that NVIDIA's loader refuses."""
    unknown = set(sample) - FIELDS
    for name in HINTS:
        if name in sample:
            unknown |= set(sample[name]) - CONTROL_FIELDS
    if unknown:
        raise ValueError(f"Extra inputs are not permitted: {sorted(unknown)}")
    if type(sample.get("fps", 1)) is not int or sample["resolution"] not in ("256", "480", "720", "768"):
        raise ValueError(f"bad fps or resolution: {sample}")
    holders = [(sample, "vision_path"), (sample, "prompt_path")]
    holders += [(sample[name], "control_path") for name in HINTS if name in sample]
    for holder, name in holders:
        if holder.get(name) is not None:
            holder[name] = str(folder / holder[name])
            if not Path(holder[name]).is_file():
                raise ValueError(f"Path does not point to a file: {holder[name]}")
    vision = sample.get("vision_path")
    if vision and Path(vision).suffix.lower() not in (".mp4", *PICTURES):
        raise ValueError(f"Invalid vision extension: {vision}")
    if sample.get("prompt") is None:
        sample["prompt"] = json.dumps(json.loads(Path(sample["prompt_path"]).read_text()))


def size_of(sample: dict[str, Any], hints: dict[str, float], how: Any) -> tuple[int, int]:
    """The size of the output: without an input video of the aspect nearest to the first control's."""
    if sample.get("vision_path"):
        return SIZES[sample.get("aspect_ratio") or "16,9"]
    width, height, _, _ = facts(next(sample[name]["control_path"] for name in hints), how)
    ratios = {"16,9": 16 / 9, "4,3": 4 / 3, "1,1": 1.0, "3,4": 3 / 4, "9,16": 9 / 16}
    return SIZES[min(ratios, key=lambda name: (ratios[name] - width / height) ** 2)]


def generate(sample: dict[str, Any], out: str, how: Any) -> None:
    """One sample, in a folder of its own."""
    folder = Path(out, sample["name"])
    folder.mkdir(parents=True, exist_ok=True)
    with open(f"{folder}/sample_args.json", "w") as stream:
        json.dump(sample, stream)
    suffer(how, [sample["prompt"]])
    hints = {name: sample[name].get("weight", 1.0) for name in HINTS if name in sample}
    total = sum(hints.values())
    source = sample.get("vision_path") or next(sample[name]["control_path"] for name in hints)
    first = next(iter(hints))
    _, _, frames, fps = facts(sample[first].get("control_path") or source, how)
    if sample.get("vision_path") is None:
        fps = sample.get("fps", 24)
    frames, size = min(frames, sample.get("max_frames", 5000)), size_of(sample, hints, how)
    time.sleep(how.each)
    for name in hints:
        save(f"{folder}/control_{name}", size, frames, fps, (90, 90, 90), how)
    weights = {name: weight / total for name, weight in hints.items()}
    rgb = colour(sample["prompt"], content(source), weights, sample["seed"])
    save(f"{folder}/vision", size, frames, fps, rgb, how)
    vision = "vision.jpg" if sample.get("num_frames", 189) == 1 else "vision.mp4"
    assert Path(folder, vision).is_file(), vision
    with open(f"{folder}/sample_outputs.json", "w") as stream:
        json.dump({"files": [vision]}, stream)


def save(stem: str, size: tuple[int, int], frames: int, fps: float, rgb: tuple[int, int, int], how: Any) -> None:
    """A video, or a picture of a single frame."""
    if frames > 1:
        write_video(f"{stem}.mp4", size, frames, fps, rgb, how)
        return
    write_picture(f"{stem}.jpg", size, rgb)


def main() -> None:
    """Read all files, load, then sample after sample."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-i", nargs="+", required=True)
    parser.add_argument("-o", required=True)
    args = parser.parse_args()
    how = behaviour()
    samples = [sample for path in sorted(args.i) for sample in read(path)]
    note(how, start="cosmos3")
    load(how)
    for sample in samples:
        assert sample["resolution"] == "256", "the stand-in knows no other size"
        note(how, batch=[sample["prompt"]])
        generate(sample, args.o, how)


if __name__ == "__main__":
    main()

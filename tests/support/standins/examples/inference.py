"""Behaves as NVIDIA's Cosmos-Transfer2.5 `examples/inference.py` does, and draws one colour for a video."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from standin import bar, behaviour, colour, content, facts, load, note, say, suffer, write_picture, write_video

CONTROLS = ("edge", "vis", "depth", "seg")
WIDE = {"256": (320, 192)}  # sizes of 16:9, by resolution
REQUIRED = {"name", "prompt", "video_path"}
FIELDS = {
    *(REQUIRED | set(CONTROLS)),
    *("negative_prompt", "seed", "guidance", "resolution", "max_frames", "num_video_frames_per_chunk"),
    *("num_conditional_frames", "num_steps", "keep_input_resolution", "show_input", "show_control_condition"),
    *("guided_generation_mask", "guided_generation_step_threshold", "guided_generation_foreground_labels"),
}


def read(path: str) -> list[dict[str, Any]]:
    """The samples of a file, all validated before the model loads."""
    with open(path) as stream:
        samples = [json.loads(line) for line in stream]
    for sample in samples:
        wrong = (REQUIRED - set(sample)) | (set(sample) - FIELDS)
        if wrong or not any(name in sample for name in CONTROLS) or not isinstance(sample["resolution"], str):
            print(f"validation error: {sorted(wrong)}", file=sys.stderr)
            sys.exit(1)
        if not Path(sample["video_path"]).is_file():
            print(f"validation error: {sample['video_path']} is not a file", file=sys.stderr)
            sys.exit(1)
    return samples


def generate(sample: dict[str, Any], out: str, union: list[str], how: Any) -> None:
    """One sample. Where sets differ within a call, controls can get lost: here, all of them do."""
    path = f"{out}/{sample['name']}"
    with open(f"{path}.json", "w") as stream:
        json.dump(sample, stream)
    if sample["prompt"] in how.unsafe_prompts or not sample.get("negative_prompt", "bad"):
        say(f"CRITICAL| Guardrail blocked generation. Prompt: {sample['prompt']}")
        return
    suffer(how, [sample["prompt"]])
    width, height, frames, fps = facts(sample["video_path"], how)
    width, height, frames = width // 2 * 2, height // 2 * 2, min(frames, sample.get("max_frames") or frames)
    if not sample.get("keep_input_resolution", True):
        width, height = WIDE[sample["resolution"]]
    if sample.get("num_video_frames_per_chunk", 93) != (1 if frames == 1 else 93):
        raise AssertionError("the network takes 24 latent frames, or 1")
    steps = sample.get("num_steps", 35)
    for step in (1, steps):
        bar(step, steps)
        time.sleep(how.each / 2)
    used = {name: sample[name].get("control_weight", 1.0) for name in CONTROLS if name in sample}
    for name in used:
        save(f"{path}_control_{name}", (width, height), frames, fps, (90, 90, 90), how)
    if mask := sample.get("guided_generation_mask"):
        if not mask.endswith((".mp4", ".npz")) or not Path(mask).is_file():
            raise ValueError(f"Unknown video mask format: {mask} not a mp4 or npz file")
        save(f"{path}_mask_guided_generation", (width, height), frames, fps, (255, 255, 255), how)
    if sample["prompt"] in how.unsafe_videos:
        return
    weights = used if sorted(used) == sorted(union) else {}
    rgb = colour(sample["prompt"], content(sample["video_path"]), weights, sample["seed"])
    save(path, (width, height), frames, fps, rgb, how)
    with open(f"{path}.txt", "w") as stream:
        stream.write(sample["prompt"])


def save(stem: str, size: tuple[int, int], frames: int, fps: float, rgb: tuple[int, int, int], how: Any) -> None:
    """A video, or a picture of a single frame."""
    if frames > 1:
        write_video(f"{stem}.mp4", size, frames, int(fps), rgb, how)
    else:
        write_picture(f"{stem}.jpg", size, rgb)


def main() -> None:
    """Read all files, load, then sample after sample."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-i", nargs="+", required=True)
    parser.add_argument("-o", required=True)
    parser.add_argument("--model", choices=("edge", "edge/distilled"), default="edge")
    parser.add_argument("--checkpoint-path")
    parser.add_argument("--offload-guardrail-models", action="store_true")
    args = parser.parse_args()
    how = behaviour()
    samples = [sample for path in args.i for sample in read(path)]
    if len({sample["name"] for sample in samples}) < len(samples):
        raise ValueError("names must be unique")
    union = [name for name in CONTROLS if any(name in sample for sample in samples)]
    if args.model == "edge/distilled" and os.environ.get("COSMOS_EXPERIMENTAL_CHECKPOINTS") != "1":
        raise ValueError("edge/distilled is not available")
    note(how, start="transfer25", controls=union, model=args.model)
    load(how)
    Path(args.o).mkdir(parents=True, exist_ok=True)
    for sample in samples:
        note(how, batch=[sample["prompt"]])
        generate(sample, args.o, union, how)


if __name__ == "__main__":
    main()

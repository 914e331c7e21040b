"""Behaves as NVIDIA's Cosmos-Transfer1 `transfer.py` does in batch mode, and draws one colour for a video."""

from __future__ import annotations

import argparse
import copy
import json
import sys
import time
from pathlib import Path
from typing import Any

from standin import bar, behaviour, colour, content, facts, first_time, load, note, say, suffer, write_video

CONTROLS = ("vis", "seg", "edge", "depth", "keypoint", "upscale", "hdmap", "lidar")
MADE = ("vis", "seg", "edge", "depth", "keypoint")
BUCKETS = {1 / 1: (960, 960), 4 / 3: (960, 704), 3 / 4: (704, 960), 16 / 9: (1280, 704), 9 / 16: (704, 1280)}


def parse() -> tuple[argparse.Namespace, dict[str, Any]]:
    """Command line and base spec: the spec wins unless the exact option is on the command line."""
    parser = argparse.ArgumentParser(conflict_handler="resolve")
    parser.add_argument("--controlnet_specs", required=True)
    for name, default in (
        *(("prompt", ""), ("negative_prompt", "bad"), ("input_video_path", ""), ("blur_strength", "medium")),
        *(("canny_threshold", "medium"), ("checkpoint_dir", "checkpoints"), ("video_save_name", "output")),
        *(("video_save_folder", "outputs/"), ("batch_input_path", None)),
    ):
        parser.add_argument(f"--{name}", default=default)
    for name, whole in (("batch_size", 1), ("num_steps", 35), ("fps", 24), ("seed", 1), ("num_gpus", 1)):
        parser.add_argument(f"--{name}", type=int, default=whole)
    for name, number in (("sigma_max", 70.0), ("guidance", 5.0)):
        parser.add_argument(f"--{name}", type=float, default=number)
    for name in ("diffusion_transformer", "text_encoder_model", "guardrail_models"):
        parser.add_argument(f"--offload_{name}", action="store_true")
    args = parser.parse_args()
    with open(args.controlnet_specs) as stream:
        spec = json.load(stream)
    controls = {}
    for key, value in spec.items():
        if key in CONTROLS:
            controls[key] = value
        elif isinstance(value, dict):
            raise ValueError(f"Invalid hint_key: {key}")
        elif f"--{key}" not in sys.argv:
            setattr(args, key, value)
    if not args.negative_prompt:
        raise RuntimeError("no negative prompt")
    return args, controls


def weights_of(controls: dict[str, Any]) -> list[Any]:
    """The weights of one sample, as they are read."""
    read = []
    for spec in controls.values():
        weight = spec.get("control_weight", "0.5")
        is_map = isinstance(weight, str) and weight.endswith(".pt")
        if not is_map and float(weight) < 0:
            raise ValueError("negative weight")
        read.append("map" if is_map else float(weight))
    return read


def used_weights(batch: list[dict[str, Any]]) -> list[list[Any]]:
    """The weights of every sample of a tensor batch: its own if all have maps, else those of the first."""
    weights = [weights_of(sample["controls"]) for sample in batch]
    maps = ["map" in each for each in weights]
    if all(maps):
        return weights
    if any(maps):
        raise RuntimeError("Tensors must have same number of dimensions: got 6 and 1")
    return [weights[0]] * len(batch)


def measure(sample: dict[str, Any], how: Any) -> tuple[tuple[int, int], int]:
    """Bucket and frames of a sample; all its videos must come to one bucket."""
    paths = [sample["video"], *(spec.get("input_control") for spec in sample["controls"].values())]
    seen = [facts(path, how) for path in paths if path]
    nearest = {BUCKETS[min(BUCKETS, key=lambda ratio: abs(ratio - w / h))] for w, h, _, _ in seen}
    if len(nearest) != 1:
        raise RuntimeError("Sizes of tensors must match except in dimension 1")
    frames = min(frames for _, _, frames, _ in seen)
    if frames == 1:
        raise RuntimeError("torch.cat(): expected a non-empty list of Tensors")
    return nearest.pop(), frames


def generate(batch: list[dict[str, Any]], args: argparse.Namespace, how: Any) -> list[dict[str, Any]] | None:
    """The samples of a tensor batch that the guardrail lets pass, or None if it is none."""
    safe = [sample for sample in batch if sample["prompt"] and sample["prompt"] not in how.unsafe_prompts]
    if not safe:
        say("CRITICAL| All prompts failed safety checks")
        return None
    suffer(how, [sample["prompt"] for sample in safe])
    sizes = {measure(sample, how) for sample in safe}
    if len(sizes) > 1:
        raise RuntimeError("Sizes of tensors must match except in dimension 0")
    size, frames = sizes.pop()
    used = used_weights(safe)
    clips = -(-(frames - 1) // 120)
    bar(0, clips)
    time.sleep(how.each * len(safe) * clips)
    bar(clips, clips)
    made = []
    for sample, weights in zip(safe, used, strict=True):
        if sample["prompt"] in how.unsafe_videos or first_time(how, sample["prompt"]):
            say(f"CRITICAL| Generated video {len(made) + 1} is not safe")
            continue
        controls = {name: content(spec.get("input_control")) for name, spec in sample["controls"].items()}
        ingredients = (sample["prompt"], content(sample["video"]), weights, sorted(controls), args.seed)
        made.append({"prompt": sample["prompt"], "size": size, "frames": frames, "rgb": colour(*ingredients)})
    return made or None


def prepare(line: dict[str, Any], base: dict[str, Any], folder: str, how: Any) -> dict[str, Any]:
    """A sample with its overrides, and with the controls that are made from its input."""
    controls = copy.deepcopy(base)
    for key, override in line.get("control_overrides", {}).items():
        if key in controls:
            controls[key].update(override)
        else:
            say(f"WARNING| Ignoring unknown control key in override: {key}")
    for name, spec in controls.items():
        if spec.get("input_control") is None and name in MADE:
            spec["input_control"] = f"{folder}/{name}_input_control_0.mp4"
            width, height, frames, fps = facts(line["visual_input"], how)
            write_video(spec["input_control"], (width, height), frames, fps, (90, 90, 90), how)
    return {"prompt": line.get("prompt"), "video": line.get("visual_input"), "controls": controls}


def demo(args: argparse.Namespace, controls: dict[str, Any]) -> None:
    """Load, then tensor batch after tensor batch."""
    how = behaviour()
    if not args.input_video_path:
        raise ValueError("input_video_path is required")
    note(how, start="transfer1", controls=sorted(controls), size=args.batch_size)
    load(how)
    with open(args.batch_input_path) as stream:
        lines = [json.loads(line.strip()) for line in stream]
    size = 1 if "upscale" in controls else args.batch_size
    for start in range(0, len(lines), size):
        batch = []
        for place, line in enumerate(lines[start : start + size], start):
            folder = f"{args.video_save_folder}/video_{place}"
            Path(folder).mkdir(parents=True, exist_ok=True)
            batch.append(prepare(line, controls, folder, how))
        note(how, batch=[sample["prompt"] for sample in batch])
        made = generate(batch, args, how)
        if made is None:
            say("CRITICAL| Guardrail blocked generation for entire batch.")
        videos, prompts = made and (list(made), [each["prompt"] for each in made])
        for place, (video, prompt) in enumerate(zip(videos, prompts, strict=True), start):
            folder = f"{args.video_save_folder}/video_{place}"
            write_video(f"{folder}/output.mp4", video["size"], video["frames"], args.fps, video["rgb"], how)
            with open(f"{folder}/prompt.txt", "wb") as stream:
                stream.write(prompt.encode("utf-8"))


if __name__ == "__main__":
    demo(*parse())

"""The standard scenario on one CUDA device, three ways: `python -m benchmarks.gpu_scenario`.

Ten runs, one video each: six with edge, three with edge and depth, one with edge, vis, depth and seg. The ways:

- all controls forced, one by one, with the diffusers classes: every run goes through all four branches;
- own controls, one by one, with the diffusers classes, their outputs added up, which diffusers' pipeline leaves to
  its caller;
- ours: all ten in a batch where that pays, else one after the other.

The parts of a run are measured one by one (a step by number of controls, text, encoding, decoding) and added up as
each way does them; a step of ours in a batch is measured with the real mix of control sets. Random weights.
diffusers' pipeline encodes a prompt and a negative prompt for every run, and a video of zeros beside the controls;
ours encodes a negative prompt once, and no zeros.
"""

from __future__ import annotations

import argparse
import gc
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import torch
from diffusers import AutoencoderKLWan
from transformers import Qwen2_5_VLTextConfig, Qwen2_5_VLTextModel

from benchmarks.gpu import seconds_of, versions
from benchmarks.gpu_models import DEVICE, Case, Ours, Reference, Size
from cosmos_batch.engines.transfer.text.qwen import TOKENS, QwenEncoder
from cosmos_batch.engines.transfer.vae.wan import WanVae

SIZES = ("320x192x29", "832x480x93", "1280x704x93")
ALL = ("depth", "edge", "seg", "vis")
RUNS = (*[("edge",)] * 6, *[("depth", "edge")] * 3, ALL)
BATCHED = ("320x192x29",)
"""Sizes at which ours puts all ten in one batch."""


@dataclass
class Parts:
    """Seconds of each part of a run, of one way of making it."""

    text: float = 0.0  # of a prompt
    encode: float = 0.0  # of a video
    decode: float = 0.0
    step: dict[int, float] = field(default_factory=dict)  # by number of controls
    batch: float | None = None  # of a step of all ten together


class _Words:
    """Stands in for the tokenizer: as many ids as it would give."""

    def apply_chat_template(self, conversation: Sequence[dict[str, Any]], **_options: Any) -> list[int]:
        """Ids that depend on the prompt."""
        return [(7919 * (index + len(str(conversation)))) % 150_000 for index in range(TOKENS)]


def text_encoder() -> QwenEncoder:
    """Qwen2.5-VL-7B's language model, random."""
    config = Qwen2_5_VLTextConfig(
        vocab_size=152_064, hidden_size=3584, intermediate_size=18_944, num_hidden_layers=28,
        num_attention_heads=28, num_key_value_heads=4,
        rope_parameters={"rope_type": "default", "mrope_section": [16, 24, 24], "rope_theta": 1_000_000.0},
    )  # fmt: skip
    torch.set_default_dtype(torch.bfloat16)
    try:
        with DEVICE:
            model = Qwen2_5_VLTextModel(config).eval().requires_grad_(False)
    finally:
        torch.set_default_dtype(torch.float32)
    return QwenEncoder(_Words(), model, DEVICE)


def measure_text() -> float:
    """Seconds of a prompt."""
    encode = text_encoder().encode
    return median(seconds_of(lambda: encode("a street at dusk"), 5, warm=2))


@torch.no_grad()
def measure_autoencoders(sizes: Sequence[Size]) -> dict[str, dict[str, tuple[float, float, float]]]:
    """Seconds of encoding and decoding one video, and the peak in GiB, by size and side."""
    theirs = AutoencoderKLWan().to(DEVICE, torch.bfloat16).eval()
    ours = WanVae.from_config(dict(theirs.config))
    ours.load_state_dict(theirs.state_dict())
    ours.to(DEVICE, torch.bfloat16).eval().requires_grad_(False).channels_last()
    found: dict[str, dict[str, tuple[float, float, float]]] = {}
    for size in sizes:
        shape = (1, 3, size.frames, size.height, size.width)
        video = torch.rand(shape, device=DEVICE, dtype=torch.bfloat16) * 2 - 1
        latents = torch.randn(1, *size.latent, device=DEVICE, dtype=torch.bfloat16)
        ways = {
            "diffusers": (
                lambda v=video: theirs.encode(v).latent_dist.mode(),
                lambda z=latents: theirs.decode(z).sample,
            ),
            "ours": (lambda v=video: ours.encode(v), lambda z=latents: ours.decode(z)),
        }
        found[str(size)] = {}
        for side, (encode, decode) in ways.items():
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            repeats = 5 if str(size) in BATCHED else 1
            taken = [median(seconds_of(call, repeats)) for call in (encode, decode)]
            peak = (torch.cuda.max_memory_allocated() - before) / 2**30
            found[str(size)][side] = (taken[0], taken[1], peak)
        print(size, found[str(size)], flush=True)
    return found


def _case(size: Size, names: Sequence[str], seed: int = 1) -> Case:
    return Case(size, {name: 1.0 / len(names) for name in names}, seed)


def measure_steps(reference: Reference | None, ours: Ours, size: Size) -> dict[str, Parts]:
    """Steps by number of controls, of both."""
    parts = {"ours": Parts()} | ({"diffusers": Parts()} if reference else {})
    small = str(size) in BATCHED
    repeats, warm = (3, 3) if small else (1, 1)
    for names in (("edge",), ("depth", "edge"), ALL):
        case = _case(size, names)
        _ = case.noise, case.texts, case.controls
        if reference:
            taken = seconds_of(lambda c=case: reference.velocity(c, 0.995), repeats, warm=1 if small else 0)
            parts["diffusers"].step[len(names)] = median(taken)
        batch = ours.batch([case])
        parts["ours"].step[len(names)] = median(seconds_of(batch.step, repeats, warm))
    if small:
        batch = ours.batch([_case(size, names, seed + 1) for seed, names in enumerate(RUNS)])
        parts["ours"].batch = median(seconds_of(batch.step, 5, warm=3))
    ours.texts.clear()
    print(size, parts, flush=True)
    return parts


def totals(parts: dict[str, Parts], steps: int) -> dict[str, tuple[float, float]]:
    """Seconds of all ten by way: in all, and of a denoising step of all."""
    theirs, ours = parts["diffusers"], parts["ours"]
    runs = len(RUNS)
    sets = [len(names) for names in RUNS]
    forced = runs * theirs.step[4]
    own = sum(theirs.step[count] for count in sets)
    mixed = ours.batch if ours.batch is not None else sum(ours.step[count] for count in sets)
    each = runs * (2 * theirs.text + theirs.decode)
    return {
        "all controls forced, diffusers": (steps * forced + each + runs * 5 * theirs.encode, forced),
        "own controls, diffusers": (steps * own + each + (runs + sum(sets)) * theirs.encode, own),
        "ours": (
            steps * mixed + (runs + 1) * ours.text + runs * ours.decode + sum(sets) * ours.encode,
            mixed,
        ),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="The standard scenario, three ways.")
    parser.add_argument("--sizes", default=",".join(SIZES))
    parser.add_argument("--steps", type=int, default=35)
    parser.add_argument("--json", type=Path, help="also write everything here")
    options = parser.parse_args()
    sizes = [Size.parse(name) for name in options.sizes.split(",")]
    print(versions(), flush=True)
    text = measure_text()
    gc.collect()
    torch.cuda.empty_cache()
    print(f"a prompt: {text:.3f} s", flush=True)
    coded = measure_autoencoders(sizes)
    reference = Reference(ALL)
    ours = Ours.like(reference)
    table: dict[str, Any] = {}
    for size in sizes:
        parts = measure_steps(reference, ours, size)
        for side, part in parts.items():
            part.text = text
            part.encode, part.decode, _ = coded[str(size)][side]
        table[str(size)] = totals(parts, options.steps)
    if options.json:
        everything = {"versions": versions(), "text": text, "autoencoder": coded, "totals": table}
        options.json.write_text(json.dumps(everything, indent=1))
    print_tables(table, coded, options.steps)


def print_tables(table: dict[str, Any], coded: dict[str, Any], steps: int) -> None:
    """The scenario, and the autoencoder."""
    print(f"| size | way | s/step of all ten | times | s/video at {steps} steps | times |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for size, ways in table.items():
        first = next(iter(ways.values()))
        for way, (whole, step) in ways.items():
            print(
                f"| {size} | {way} | {step:.3f} | {first[1] / step:.2f} | {whole / len(RUNS):.2f} "
                f"| {first[0] / whole:.2f} |"
            )
    print("\n| size | side | encode, s | decode, s | peak, GiB |")
    print("| --- | --- | ---: | ---: | ---: |")
    for size, sides in coded.items():
        for side, (encode, decode, peak) in sides.items():
            print(f"| {size} | {side} | {encode:.3f} | {decode:.3f} | {peak:.1f} |")


if __name__ == "__main__":
    main()

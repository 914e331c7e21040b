"""The quality of the embedded model on held-out scenes, as a table."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from training.pocket.footage import CONTROLS, Footage
from training.pocket.looks import STYLES
from training.pocket.nets import GUIDANCE, STEPS, Nets, Request, generate
from training.pocket.prompts import write_prompt
from training.pocket.quality import nearest_look, ssim

HELD_OUT = 10_000_000
"""The first seed of the held-out scenes."""

ROWS: dict[str, dict[str, float]] = {
    "none": {},
    **{name: {name: 1.0} for name in CONTROLS},
    "edge at 0.2": {"edge": 0.2},
    "all four": dict.fromkeys(CONTROLS, 1.0),
}
"""The rows of the table: controls and their weights."""


@dataclass(frozen=True, slots=True)
class Score:
    """Quality of one row of the table."""

    row: str
    ssim: float  # mean against the true render
    matched: float  # share of the videos whose nearest render is of the requested style
    seconds: float  # per video


def requested_style(index: int) -> str:
    """The style that the prompt of the index-th held-out scene names."""
    return list(STYLES)[index % len(STYLES)]


def requests(footage: Footage, weights: dict[str, float], first: int = 0) -> list[Request]:
    """One request per clip, with prompts drawn as in the training."""
    made = []
    for index in range(len(footage.clay)):
        dice = random.Random(HELD_OUT + first + index)
        videos = {name: (footage.controls[name][index], weight) for name, weight in weights.items()}
        made.append(Request(write_prompt(requested_style(first + index), dice), videos, seed=first + index))
    return made


def truth(footage: Footage, first: int = 0) -> Tensor:
    """The true renders in the requested styles, uint8 [B, T, H, W, 3]."""
    return torch.stack([footage.styles[requested_style(first + i)][i] for i in range(len(footage.clay))])


def judge(
    nets: Nets, footage: Footage, rows: Sequence[str] = tuple(ROWS), steps: int = STEPS, guidance: float = GUIDANCE
) -> list[Score]:
    """Score every row on all clips, in one batch each."""
    true, wanted = truth(footage), [requested_style(i) for i in range(len(footage.clay))]
    renders = footage.styles | {"clay": footage.clay}
    scores = []
    for row in rows:
        begin = time.monotonic()
        made = generate(nets, requests(footage, ROWS[row]), steps, guidance)
        seconds = (time.monotonic() - begin) / len(made)
        made = made.to(true.device)
        hits = [found == style for found, style in zip(nearest_look(made, renders), wanted, strict=True)]
        scores.append(Score(row, float(ssim(made, true).mean()), sum(hits) / len(hits), seconds))
    return scores


def table(scores: Sequence[Score]) -> str:
    """The scores as a Markdown table."""
    lines = ["| controls | SSIM | style matched | s per video |", "| --- | --- | --- | --- |"]
    lines += [f"| {s.row} | {s.ssim:.3f} | {s.matched:.1%} | {s.seconds:.2f} |" for s in scores]
    return "\n".join(lines)

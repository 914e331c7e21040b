"""Quality of the embedded model on held-out scenes, and the seconds that a default run takes.

    python -m benchmarks.pocket_quality [--scenes 12] [--threads 2]

Scenes have seeds that are not used in training. Their controls are made from the neutral clay video, as for any
input: edge and vis from its pixels, depth and seg from the renderer. Every row of the table is one setting of
control weights on all scenes; the styles take turns. SSIM is against the true render of the scene in the requested
style; a style counts as matched if, of the true renders in all seven looks, the one with the nearest colours is of
that style.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import torch

from cosmos_batch.media.controls.pixels import make_control
from training.pocket.footage import Footage, joined
from training.pocket.judge import HELD_OUT, ROWS, judge, requests, table
from training.pocket.nets import GUIDANCE, STEPS, Nets, generate, load_nets
from training.pocket.world import film_seed


def held_out(scenes: int) -> Footage:
    """Film the first held-out scenes on the CPU."""
    films = [film_seed(HELD_OUT + index) for index in range(scenes)]
    rgb = joined([film.rgb for film in films])
    clay = rgb.pop("clay")
    controls = joined([{"depth": film.depth, "seg": film.seg} for film in films])
    for name in ("edge", "vis"):
        made = [torch.from_numpy(make_control(name, video.numpy(), "medium")) for video in clay]
        controls[name] = torch.stack(made)
    return Footage(rgb, controls, clay)


def seconds_of_a_run(nets: Nets, footage: Footage) -> float:
    """Seconds of one run with one control: encoding, denoising, decoding."""
    request = requests(footage, {"edge": 1.0})[0]
    begin = time.perf_counter()
    generate(nets, [request])
    return time.perf_counter() - begin


def main(arguments: Sequence[str] | None = None, nets: Nets | None = None, footage: Footage | None = None) -> None:
    """Measure and print. The embedded model and held-out scenes are used unless others are given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=12)
    parser.add_argument("--rows", nargs="*", default=list(ROWS), choices=list(ROWS), help="of the table")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args(arguments)
    torch.set_num_threads(args.threads)
    nets, footage = nets or load_nets(), footage or held_out(args.scenes)
    print(f"{args.scenes} scenes, {STEPS} steps, guidance {GUIDANCE}, {args.threads} threads")
    print(table(judge(nets, footage, tuple(args.rows))))
    print(f"one run alone, edge: {seconds_of_a_run(nets, footage):.1f} s")


if __name__ == "__main__":
    main()

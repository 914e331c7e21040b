"""Train the embedded model: film scenes, fit the autoencoder, then transformer, branches and text encoder.

Weights that are in the folder already are trained further, so that the training can be split over several
sessions. `python -m training.pocket.train --help` lists the options. The model card,
src/cosmos_batch/engines/inprocess/pocket/README.md, has the commands that made the shipped weights.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from cosmos_batch.engines.inprocess.vae.pocket_vae import FoldedConfig, FoldedVae
from training.pocket.fit_network import NetworkPlan, build_library, fit_network
from training.pocket.fit_vae import VaePlan, fit_vae, judge_vae
from training.pocket.footage import CONTROLS, Footage, Studio, to_pixels, to_signal
from training.pocket.judge import HELD_OUT, ROWS, judge, requests, table, truth
from training.pocket.nets import Nets, generate, load_nets, new_nets, save_nets, save_vae


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


def _sheet(path: Path, rows: list[list[Tensor]]) -> None:
    """Write a contact sheet of pictures uint8 [H, W, 3]."""
    sheet = np.concatenate([np.concatenate([p.cpu().numpy() for p in row], axis=1) for row in rows])
    cv2.imwrite(str(path), sheet[..., ::-1])


def train_vae(out: Path, footage: list[Footage], plan: VaePlan, compiled: bool) -> FoldedVae:
    """Train the autoencoder, starting from the one in `out` if there is one."""
    old = out / "vae"
    vae = FoldedVae.load(old) if old.exists() else FoldedVae(FoldedConfig())
    vae.to(footage[0].clay.device)
    fit_vae(vae, footage, plan, _say, compiled)
    save_vae(vae, out)
    return vae


def report_vae(out: Path, vae: FoldedVae, footage: Footage) -> None:
    """Print SSIM of decoded held-out videos, and write a sheet of pictures."""
    for name, score in judge_vae(vae, footage).items():
        _say(f"vae: SSIM {name} {score:.3f}")
    videos = (footage.styles | footage.controls).values()
    again = [to_pixels(vae.decode(vae.encode(to_signal(video[:3])))) for video in videos]
    rows = [[v[i, 6] for v in kind] for i in range(len(again[0])) for kind in (list(videos), again)]
    _sheet(out / "vae.png", rows)


def train_network(out: Path, footage: list[Footage], plan: NetworkPlan, compiled: bool) -> None:
    """Train the networks, starting from those in `out` if there are any."""
    trained = (out / "transformer").exists()
    nets = load_nets(out) if trained else new_nets(FoldedVae.load(out / "vae").requires_grad_(False))
    nets.to(footage[0].clay.device)
    begin = time.monotonic()
    library = build_library(nets.vae, nets.text, footage)
    footage.clear()
    _say(f"network: encoded in {time.monotonic() - begin:.0f} s")
    save_nets(fit_network(nets, library, plan, _say, compiled), out)


def report(out: Path, footage: Footage) -> None:
    """Print the quality of the saved model on held-out scenes, and write a sheet of pictures."""
    nets = load_nets(out).to(footage.clay.device)
    _say("\n" + table(judge(nets, footage)))
    _pictures(out / "network.png", nets, footage)
    for steps, guidance in ((12, 1.0), (35, 1.0), (20, 0.5)):
        scores = judge(nets, footage, ("edge", "all four"), steps, guidance)
        _say(f"{steps} steps, guidance {guidance}\n" + table(scores))


def _pictures(path: Path, nets: Nets, footage: Footage) -> None:
    """Write a sheet of six scenes: controls and true renders, then one row per row of the table."""
    few = min(6, len(footage.clay))
    controls = [[footage.controls[name][i, 8] for i in range(few)] for name in CONTROLS]
    made = [generate(nets, requests(footage, weights)[:few])[:, 8] for weights in ROWS.values()]
    _sheet(path, [*controls, list(truth(footage)[:few, 8]), *[list(pictures) for pictures in made]])


def main() -> None:
    """Train and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder of the model")
    parser.add_argument("--clips", type=int, default=4096, help="scenes to film at most")
    parser.add_argument("--first", type=int, default=0, help="seed of the first scene")
    parser.add_argument("--film-seconds", type=float, default=60)
    parser.add_argument("--vae-seconds", type=float, default=250, help="0: keep the one that is there")
    parser.add_argument("--vae-rate", type=float, default=2e-3, help="highest learning rate")
    parser.add_argument("--network-seconds", type=float, default=0, help="0: the autoencoder alone")
    parser.add_argument("--network-rate", type=float, default=1e-3, help="highest learning rate")
    parser.add_argument("--at-once", type=int, default=64, help="scenes filmed together")
    parser.add_argument("--batch", type=int, default=128, help="of the network; the autoencoder's is a quarter")
    parser.add_argument("--compile", nargs="*", default=["film"], choices=("film", "vae", "network"))
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("high")
    args.out.mkdir(parents=True, exist_ok=True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    studio = Studio(device, workers=os.cpu_count() or 1, compiled="film" in args.compile)
    begin = time.monotonic()
    footage = studio.clips(args.first, args.clips, args.at_once, args.film_seconds)
    held_out = studio.shoot(range(HELD_OUT, HELD_OUT + args.at_once), clay_only=True)()
    _say(f"{sum(len(clip.clay) for clip in footage)} clips filmed in {time.monotonic() - begin:.0f} s")
    if args.vae_seconds:
        plan = VaePlan(args.vae_seconds, batch=max(args.batch // 4, 2), rate=args.vae_rate)
        report_vae(args.out, train_vae(args.out, footage, plan, "vae" in args.compile), held_out)
    if args.network_seconds:
        plan_network = NetworkPlan(args.network_seconds, batch=args.batch, rate=args.network_rate)
        train_network(args.out, footage, plan_network, "network" in args.compile)
        report(args.out, held_out)


if __name__ == "__main__":
    main()

"""Fixtures and settings of the benchmarks' tests."""

from __future__ import annotations

import pytest
import torch

from cosmos_batch.engines.inprocess.text.trigram import TrigramConfig, TrigramText
from cosmos_batch.engines.inprocess.transfer25.config import NetworkConfig
from cosmos_batch.engines.inprocess.transfer25.transformer import ControlBranch, Transformer
from cosmos_batch.engines.inprocess.vae.pocket_vae import FoldedConfig, FoldedVae
from training.pocket.footage import CONTROLS, Footage
from training.pocket.looks import STYLES
from training.pocket.nets import Nets
from training.pocket.world import FRAMES, HEIGHT, WIDTH

CONFIG = NetworkConfig(
    heads=2, head_dim=16, blocks=2, control_blocks=1, inject_every=1, adaln_dim=8, context_dim=32, text_dim=None
)


@pytest.fixture
def nets() -> Nets:
    """Tiny random networks of the pocket model's kind."""
    torch.manual_seed(0)
    branches = {name: ControlBranch(CONFIG) for name in CONTROLS}
    text = TrigramText(TrigramConfig(buckets=64, bucket_dim=8, features=32, hidden=8))
    nets = Nets(Transformer(CONFIG), branches, text, FoldedVae(FoldedConfig(16, 16, 16, 16, 16, 16)))
    for module in nets.modules():
        module.eval().requires_grad_(False)
    return nets


@pytest.fixture
def footage() -> Footage:
    """Random pictures in place of one filmed scene."""
    dice = torch.Generator().manual_seed(0)

    def video() -> torch.Tensor:
        return torch.randint(0, 255, (1, FRAMES, HEIGHT, WIDTH, 3), generator=dice, dtype=torch.uint8)

    return Footage({name: video() for name in STYLES}, {name: video() for name in CONTROLS}, video())

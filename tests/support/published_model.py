"""A tiny random model in the published layout, with the pocket model's kind of text encoder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch

from benchmarks.gpu.folder import TINY, WEIGHTS, Sizes, write_model
from benchmarks.gpu.text import Shapes
from cosmos_batch.engines.inprocess.text.trigram import TrigramConfig, TrigramText


def write_trigram(root: Path, sizes: Sizes) -> Mapping[Path, Shapes]:
    """Write the pocket model's kind of text encoder without weights; returns their shapes by file."""
    assert sizes.network.text_dim is not None
    text = TrigramText(TrigramConfig(buckets=64, bucket_dim=8, features=sizes.network.text_dim, hidden=8))
    folder = root / "text_encoder"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(text.config))
    return {folder / WEIGHTS: {name: tuple(tensor.shape) for name, tensor in text.state_dict().items()}}


def write_published_model(root: Path) -> Path:
    """Write all folders of the model, with random weights; returns its root."""
    return write_model(root, TINY, write_trigram, torch.device("cpu"))

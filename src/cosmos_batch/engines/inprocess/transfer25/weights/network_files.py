"""Sizes of a network in files of either kind: folders of the diffusers layout, and NVIDIA's `.pt` files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from cosmos_batch.engines.inprocess.json_files import read_config
from cosmos_batch.engines.inprocess.transfer25.config import NetworkConfig, from_diffusers
from cosmos_batch.engines.inprocess.transfer25.weights.nvidia_file import read_nvidia_file
from cosmos_batch.engines.inprocess.transfer25.weights.nvidia_names import NetworkPart
from cosmos_batch.errors import ModelError


def read_network_config(transformer: Path, branch: Path | None = None) -> NetworkConfig:
    """The sizes of a base network, and of a control's branch.

    Args:
        transformer: a folder with a config.json, or a `.pt` file.
        branch: the same; it may be the same file.

    Raises ModelError where they cannot be read, or are those of a network of another kind.
    """
    if not transformer.is_file():
        control = _control_config(branch) if branch else None
        return _from_folder(transformer, control)
    base = read_nvidia_file(transformer).config
    if branch is None or branch == transformer:
        return base
    count = _control_config(branch)["n_controlnet_blocks"]
    return replace(base, control_blocks=count, inject_every=max(base.blocks // max(count, 1), 1))


def _control_config(branch: Path) -> dict[str, int]:
    if branch.is_file():
        return {"n_controlnet_blocks": read_nvidia_file(branch).config.control_blocks}
    config = read_config(branch)
    if not isinstance(config.get("n_controlnet_blocks"), int):
        raise ModelError(f"{branch}/config.json: no number n_controlnet_blocks, which a control's branch needs")
    return config


def _from_folder(transformer: Path, control: Mapping[str, int] | None) -> NetworkConfig:
    try:
        return from_diffusers(read_config(transformer), control)
    except KeyError as exc:
        raise ModelError(f"{transformer}/config.json: no field {exc}") from exc


def base_problems(transformer: Path) -> list[str]:
    """What keeps the base network from being loaded from a `.pt` file."""
    try:
        file = read_nvidia_file(transformer)
        return file.problems(NetworkPart.BASE, file.config)
    except ModelError as exc:
        return [str(exc)]


def branch_problems(transformer: Path, branch: Path) -> list[str]:
    """What keeps a control's branch from being loaded from a `.pt` file, for a base of whichever kind."""
    try:
        return read_nvidia_file(branch).problems(NetworkPart.BRANCH, read_network_config(transformer, branch))
    except ModelError as exc:
        return [str(exc)]

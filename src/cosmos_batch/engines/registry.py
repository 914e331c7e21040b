"""Which engine a name stands for. What imports torch is imported only when an engine is really loaded."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from cosmos_batch.controls import TRANSFER_CONTROLS
from cosmos_batch.engines.base import Engine
from cosmos_batch.engines.catalogue import ENGINES
from cosmos_batch.engines.cost_profiles import offloaded, profile
from cosmos_batch.engines.inprocess.model_settings import TRANSFER25, read_settings, traits_of
from cosmos_batch.engines.inprocess.options import TILE, Approximation, Options
from cosmos_batch.engines.inprocess.pocket import MODEL
from cosmos_batch.engines.profile_store import kept_profile
from cosmos_batch.errors import ModelError, PlanError
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.traits import Traits

POCKET = "pocket"
TRANSFER = "transfer"
HUB_ID = "nvidia/Cosmos-Transfer2.5-2B"
"""What the transfer engine loads where no other model is named."""


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """What the user wants the runs to be made with."""

    engine: str | None = None  # None: transfer if a model is named, else pocket
    model: str | None = None  # a folder or a hub id
    config: Path | None = None  # of NVIDIA's scripts: where and how they run
    options: Options = field(default_factory=Options)  # of pocket and transfer: how they are to run

    @property
    def name(self) -> str:
        """The engine's name."""
        return self.engine or (TRANSFER if self.model else POCKET)


@dataclass(frozen=True, slots=True)
class Preview:
    """An engine as the planner needs it."""

    traits: Traits
    prior: CostModel  # what it is believed to cost before anything is measured


@dataclass(frozen=True, slots=True)
class Loaded:
    """An engine that can run."""

    engine: Engine
    prior: CostModel


class Engines(Protocol):
    """Where the commands get engines from."""

    def preview(self, choice: EngineChoice) -> Preview:
        """An engine's traits and cost. Raises PlanError for an unknown one, ModelError for a broken model."""

    def load(self, choice: EngineChoice, controls: Iterable[str]) -> Loaded:
        """An engine with the branches of these controls. Raises EngineError and PlanError."""


class BuiltInEngines:
    """The engines that come with cosmos-batch."""

    def preview(self, choice: EngineChoice) -> Preview:
        """Traits and cost by name; of a model in a folder, what its own settings say."""
        _refuse(choice)
        if choice.name == POCKET:
            return Preview(_traits_in(MODEL), _believed(POCKET, "cpu", choice.options))
        if choice.name == TRANSFER:
            return Preview(_transfer_traits(choice.model), _believed(TRANSFER, "h100", choice.options))
        if choice.name not in ENGINES:
            raise PlanError(f"engine {choice.name!r} is not known; known are {', '.join((POCKET, *ENGINES))}")
        return Preview(ENGINES[choice.name], profile(choice.name, "h100"))

    def load(self, choice: EngineChoice, controls: Iterable[str]) -> Loaded:
        """Load the pocket model, or weights from a folder or a hub."""
        _refuse(choice)
        if choice.name == POCKET:
            return _load(POCKET, str(MODEL), TRANSFER_CONTROLS, choice.options)
        if choice.name == TRANSFER:
            return _load(TRANSFER, choice.model or HUB_ID, controls, choice.options)
        return _script(choice)


def _refuse(choice: EngineChoice) -> None:
    if choice.model is not None and choice.name != TRANSFER:
        raise PlanError(f"engine {choice.name!r} takes no --model; leave it out, or say --engine {TRANSFER}")
    if choice.config is not None and choice.name in (POCKET, TRANSFER):
        scripts = ", ".join(name for name in ENGINES if name != TRANSFER)
        raise PlanError(f"engine {choice.name!r} takes no --config; leave it out, or say --engine: {scripts}")
    if choice.options.words and choice.name in ENGINES and choice.name != TRANSFER:
        asked = ", ".join(choice.options.words)
        raise PlanError(f"engine {choice.name!r} runs NVIDIA's script, which cannot be asked for: {asked}")


def _load(name: str, model: str, controls: Iterable[str], options: Options) -> Loaded:
    from cosmos_batch.engines.inprocess.loader import load_engine
    from cosmos_batch.media.controls.cache import ControlCache

    cache = ControlCache(cache_folder() / "controls")
    engine = load_engine(model, controls, cache, compiled=cache_folder() / "compiled", options=options)
    device = _costed_as(device_of(engine), options)
    prior = _believed(name, device_of(engine), options)
    prior = prior if prior.device == device else shipped(name, device_of(engine), options)
    return Loaded(engine, replace(prior, memory_bytes=engine.memory_bytes))


def _believed(engine: str, device: str, options: Options) -> CostModel:
    """What was measured on this machine, on whatever device it has, else the profile of a device."""
    return kept_profile(profile_folder(), engine, options.words) or shipped(engine, device, options)


def shipped(engine: str, device: str, options: Options) -> CostModel:
    """The profile of a device, with the memory that the options leave free."""
    cost = offloaded(profile(engine, device), options.offload)
    tile = TILE**2 if Approximation.VAE_TILING in options.approximations else None
    return replace(cost, device=_costed_as(device, options), tile_pixels=tile)


def _costed_as(device: str, options: Options) -> str:
    """A device with options costs what it costs with them: other measurements say nothing of it."""
    return " ".join((device, *options.words))


def _script(choice: EngineChoice) -> Loaded:
    """One of NVIDIA's own scripts."""
    from cosmos_batch.engines.nvidia.config_file import read_config
    from cosmos_batch.engines.nvidia.engine import ScriptEngine
    from cosmos_batch.media.controls.cache import ControlCache

    if choice.name not in ENGINES:
        raise PlanError(f"engine {choice.name!r} is not known; known are {', '.join((POCKET, *ENGINES))}")
    if choice.config is None:
        raise PlanError(f"engine {choice.name!r} runs NVIDIA's script: say where that is, with --config FILE")
    config = read_config(choice.config, choice.name)
    cache = ControlCache(cache_folder() / "controls")
    engine = ScriptEngine(choice.name, config, cache, cache_folder() / "launches")
    return Loaded(engine, profile(choice.name, "h100"))


def _transfer_traits(model: str | None) -> Traits:
    """What a local model says of itself; of one on a hub, what the published one does, until it is loaded."""
    folder = Path(model).expanduser() if model else None
    if folder and folder.is_dir():
        return _traits_in(folder)
    return traits_of(TRANSFER25, frozenset(TRANSFER_CONTROLS))


def _traits_in(folder: Path) -> Traits:
    if not folder.is_dir():
        raise ModelError(f"{folder}: no such folder; install cosmos-batch anew, or name a model with --model")
    return traits_of(read_settings(folder), frozenset(TRANSFER_CONTROLS))


def device_of(engine: Engine) -> str:
    """The device as the cost profiles name it."""
    name = engine.identity.get("device", "cpu")
    return "h100" if "H100" in name else name


def profile_folder() -> Path:
    """Where calibration keeps what it measured."""
    return cache_folder() / "profiles"


def cache_folder() -> Path:
    """Where made control videos are kept between commands, after the XDG base directory specification."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    root = Path(base) if base.startswith("/") else Path.home() / ".cache"
    return root / "cosmos-batch"

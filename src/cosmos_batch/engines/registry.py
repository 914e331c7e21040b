"""The engines by name: traits, cost and loading of each. No other module knows an engine's name.

Modules that import torch are imported only when an engine is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from platformdirs import user_cache_path

from cosmos_batch.controls import TRANSFER_CONTROLS
from cosmos_batch.engines.base import Deferred, Engine, EngineSource, Loaded
from cosmos_batch.engines.inprocess import pocket
from cosmos_batch.engines.inprocess.availability import (
    availability,
    device_problems,
    estimation_objections,
    option_problems,
)
from cosmos_batch.engines.inprocess.families import FAMILIES, family_of, published_of
from cosmos_batch.engines.inprocess.identity import model_identity
from cosmos_batch.engines.inprocess.model_files import resolve
from cosmos_batch.engines.inprocess.model_settings import ModelSettings, read_settings
from cosmos_batch.engines.inprocess.options import TILE, Approximation, Options
from cosmos_batch.engines.inprocess.pocket import profile as pocket_profile
from cosmos_batch.engines.inprocess.torch_files.file_model import settings_folder
from cosmos_batch.engines.inprocess.transfer25.traits import TRANSFER25
from cosmos_batch.engines.nvidia.script import Script
from cosmos_batch.engines.nvidia.scripts import SCRIPTS
from cosmos_batch.engines.profile import ShippedProfile
from cosmos_batch.engines.profile_store import kept_profile
from cosmos_batch.errors import InputError, PlanError, Problem
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.drafts import DraftModel
from cosmos_batch.planning.traits import Traits, VideoInfo
from cosmos_batch.run import Run


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """The engine that a user chose, with its model, configuration and options."""

    engine: str | None = None  # None: transfer if a model is named, else pocket
    model: str | None = None  # a folder, a hub id, or a `.pt` file
    config: Path | None = None  # of NVIDIA's scripts: where and how they run
    options: Options = field(default_factory=Options)  # of in-process engines: memory, GPUs, approximations

    @property
    def name(self) -> str:
        """The engine's name."""
        return self.engine or (TRANSFER.name if self.model else POCKET.name)


@dataclass(frozen=True, slots=True)
class Preview:
    """An engine as the planner needs it."""

    traits: Traits  # with the problems of runs that cannot be made on this machine
    prior: CostModel  # its cost before anything is measured
    problems: tuple[Problem, ...] = ()  # why it cannot make any run on this machine
    drafts: tuple[DraftModel, ...] = ()  # models that make videos of the same kind at a lower cost


class Engines(Protocol):
    """Where the commands get engines from."""

    def preview(self, choice: EngineChoice, *, executes: bool = False) -> Preview:
        """Traits and cost of an engine, and what keeps it from working here; loads nothing.

        `executes`: whether runs are to be made here, not planned alone: a script then needs its configuration.
        Raises PlanError for an unknown engine, ModelError for a broken model.
        """

    def load(self, choice: EngineChoice, controls: Iterable[str]) -> Loaded:
        """Load an engine with the branches of these controls. Raises EngineError and PlanError."""

    def source(self, choice: EngineChoice, controls: Iterable[str]) -> EngineSource:
        """An engine that is loaded when the first run needs it. Raises EngineError and PlanError."""


class EngineSpec(Protocol):
    """An engine of the registry."""

    @property
    def name(self) -> str:
        """Its name on the command line, in a plan and in measurements."""

    @property
    def traits(self) -> Traits:
        """Its traits, as far as the name alone determines them."""

    @property
    def profile(self) -> ShippedProfile:
        """Its cost before anything is measured."""

    def profile_of(self, choice: EngineChoice) -> ShippedProfile:
        """Its cost with this model, before anything is measured. Raises ModelError for a broken model."""

    def check(self, choice: EngineChoice) -> None:
        """Raise PlanError for a model, configuration or option that the engine does not take."""

    def preview(self, choice: EngineChoice, *, executes: bool) -> Preview:
        """Its traits and cost with this model and these options. Raises ModelError for a broken model."""

    def load(self, choice: EngineChoice, controls: Iterable[str]) -> Loaded:
        """Load it. Raises EngineError and PlanError."""

    def source(self, choice: EngineChoice, controls: Iterable[str]) -> EngineSource:
        """The engine, loaded or to be loaded. Raises EngineError and PlanError."""


@dataclass(frozen=True, slots=True)
class InProcessSpec:
    """An engine that loads a model into this process."""

    name: str
    profile: ShippedProfile
    model: str  # a folder or a hub id
    own_model: bool = False  # whether `model` is part of the engine, so that no other can be chosen
    named_traits: Traits | None = None  # None: those of the model's folder

    @property
    def traits(self) -> Traits:
        """The traits by name."""
        return self.named_traits or _model_traits(self.model, frozenset(TRANSFER_CONTROLS))

    def check(self, choice: EngineChoice) -> None:
        """Refuse a configuration, and a model where the engine has its own."""
        if self.own_model and choice.model is not None:
            raise _no_model(self.name)
        if choice.config is not None:
            scripts = ", ".join(name for name, spec in ENGINES.items() if isinstance(spec, ScriptSpec))
            raise PlanError(f"engine {self.name!r} takes no --config; leave it out, or say --engine: {scripts}")

    def preview(self, choice: EngineChoice, *, executes: bool) -> Preview:
        """Traits of the model with the branches that it has, and the profile that was measured here or shipped."""
        model, options = choice.model or self.model, choice.options
        published, shipped_profile = published_of(model), self.profile_of(choice)
        problems = (*option_problems(model, published, options), *(device_problems(options) if executes else ()))
        found = availability(model, published)
        return Preview(
            _with_objections(_model_traits(model, found.controls), estimation_objections(), found.objections),
            _prior(shipped_profile, shipped_profile.cost.device, options),
            (*found.problems, *problems),
            _draft_models(model),
        )

    def profile_of(self, choice: EngineChoice) -> ShippedProfile:
        """The cost of the chosen model before anything is measured."""
        return self.profile if self.own_model else published_of(choice.model or self.model).profile

    def load(self, choice: EngineChoice, controls: Iterable[str]) -> Loaded:
        """Load weights from a folder or a hub. An engine with its own model has all branches that it has."""
        from cosmos_batch.engines.inprocess.loader import load_engine
        from cosmos_batch.media.controls.cache import ControlCache

        options = choice.options
        engine = load_engine(
            choice.model or self.model,
            TRANSFER_CONTROLS if self.own_model else controls,
            ControlCache(cache_folder() / "controls"),
            kept=cache_folder(),
            options=options,
        )
        device = device_of(engine)
        shipped_profile = self.profile_of(choice)
        prior = _prior(shipped_profile, device, options)
        if prior.device != _device_with(device, options):
            prior = _shipped(shipped_profile, device, options)
        return Loaded(engine, replace(prior, memory_bytes=engine.memory_bytes))

    def source(self, choice: EngineChoice, controls: Iterable[str]) -> EngineSource:
        """The engine with what its files alone say of it. Raises ModelError for a model that is incomplete."""
        model, options = choice.model or self.model, choice.options
        wanted = frozenset(TRANSFER_CONTROLS if self.own_model else controls)
        family = family_of(model)
        folders = resolve(model, wanted, published_of(model))
        traits = family.traits(folders.settings, frozenset(folders.controls))
        identity = model_identity(folders, family.name, options)
        return Deferred(traits, identity, lambda: self.load(choice, wanted))


@dataclass(frozen=True, slots=True)
class ScriptSpec:
    """One of NVIDIA's own scripts."""

    script: Script

    @property
    def name(self) -> str:
        """The engine's name."""
        return self.script.name

    @property
    def traits(self) -> Traits:
        """Traits of the script."""
        return self.script.traits

    @property
    def profile(self) -> ShippedProfile:
        """Shipped cost of the script."""
        return self.script.profile

    def profile_of(self, choice: EngineChoice) -> ShippedProfile:  # noqa: ARG002 - the protocol's name
        """Shipped cost of the script."""
        return self.script.profile

    def check(self, choice: EngineChoice) -> None:
        """Refuse a model and the options of in-process engines."""
        if choice.model is not None:
            raise _no_model(self.name)
        if choice.options.words:
            options = ", ".join(choice.options.words)
            raise PlanError(f"engine {self.name!r} runs NVIDIA's script, which cannot be asked for: {options}")

    def preview(self, choice: EngineChoice, *, executes: bool) -> Preview:
        """Traits and cost by name, and where runs are to be made the problems of the configuration."""
        return Preview(self.traits, self.profile.cost, self._problems(choice) if executes else ())

    def _problems(self, choice: EngineChoice) -> tuple[Problem, ...]:
        if choice.config is None:
            message = f"engine {self.name!r} runs NVIDIA's script"
            return (Problem("", None, "--config", "", message, "say where that is, with --config FILE"),)
        from cosmos_batch.engines.nvidia.config_file import installation_problems, read_config

        try:
            config = read_config(choice.config, self.name)
        except InputError as exc:
            return exc.problems
        return installation_problems(choice.config, self.name, config)

    def load(self, choice: EngineChoice, controls: Iterable[str]) -> Loaded:  # noqa: ARG002 - the protocol's name
        """Read the script's configuration. Raises PlanError where there is none."""
        from cosmos_batch.engines.nvidia.config_file import read_config
        from cosmos_batch.engines.nvidia.engine import ScriptEngine
        from cosmos_batch.media.controls.cache import ControlCache

        if choice.config is None:
            raise PlanError(f"engine {self.name!r} runs NVIDIA's script: say where that is, with --config FILE")
        config = read_config(choice.config, self.name)
        cache = ControlCache(cache_folder() / "controls")
        return Loaded(ScriptEngine(self.name, config, cache, cache_folder() / "launches"), self.profile.cost)

    def source(self, choice: EngineChoice, controls: Iterable[str]) -> EngineSource:
        """The script itself: it loads its models at each launch."""
        return self.load(choice, controls)


POCKET = InProcessSpec("pocket", pocket_profile.PROFILE, str(pocket.MODEL), own_model=True)
_TRANSFER_MODEL = FAMILIES[0].models[0]
TRANSFER = InProcessSpec("transfer", _TRANSFER_MODEL.profile, _TRANSFER_MODEL.hub_id, named_traits=TRANSFER25)
"""Models of the families; the published Cosmos-Transfer2.5-2B where none is named."""

_SPECS: tuple[EngineSpec, ...] = (POCKET, TRANSFER, *map(ScriptSpec, SCRIPTS.values()))
ENGINES: Mapping[str, EngineSpec] = {spec.name: spec for spec in _SPECS}
"""All engines by name."""


class BuiltInEngines:
    """The engines that come with cosmos-batch."""

    def preview(self, choice: EngineChoice, *, executes: bool = False) -> Preview:
        """Traits and cost of the chosen engine, and what keeps it from working here."""
        return _checked(choice).preview(choice, executes=executes)

    def load(self, choice: EngineChoice, controls: Iterable[str]) -> Loaded:
        """Load the chosen engine."""
        return _checked(choice).load(choice, controls)

    def source(self, choice: EngineChoice, controls: Iterable[str]) -> EngineSource:
        """The chosen engine, which is loaded when the first run needs it."""
        return _checked(choice).source(choice, controls)


def engine_named(name: str) -> EngineSpec:
    """The engine of a name. Raises PlanError for a name that is not known."""
    if name not in ENGINES:
        raise PlanError(f"engine {name!r} is not known; known are {', '.join(ENGINES)}")
    return ENGINES[name]


def traits_of(engine: str | Traits) -> Traits:
    """The traits of an engine by name; traits pass through. Raises PlanError for a name that is not known."""
    return engine if isinstance(engine, Traits) else engine_named(engine).traits


def profile(engine: str, device: str) -> CostModel:
    """The shipped cost of an engine on a device. Raises PlanError for a name that is not known."""
    if engine not in ENGINES:
        raise PlanError(f"no cost profile for engine {engine!r}; there are some for {', '.join(sorted(ENGINES))}")
    return ENGINES[engine].profile.on(device)


def shipped(choice: EngineChoice, device: str) -> CostModel:
    """The shipped cost of the chosen engine on a device, with the memory that the options leave free."""
    return _shipped(_checked(choice).profile_of(choice), device, choice.options)


def device_of(engine: Engine) -> str:
    """The device as the cost profiles name it."""
    name = engine.identity.get("device", "cpu")
    return "h100" if "H100" in name else name


def profile_folder() -> Path:
    """Where calibration keeps its measurements."""
    return cache_folder() / "profiles"


def cache_folder() -> Path:
    """Where files are kept between commands, after the XDG base directory specification."""
    return user_cache_path("cosmos-batch")


def _checked(choice: EngineChoice) -> EngineSpec:
    spec = engine_named(choice.name)
    spec.check(choice)
    return spec


def _no_model(engine: str) -> PlanError:
    return PlanError(f"engine {engine!r} takes no --model; leave it out, or say --engine {TRANSFER.name}")


def _with_objections(traits: Traits, *more: Callable[[Run, VideoInfo | None], tuple[Problem, ...]]) -> Traits:
    """The traits with further problems of runs."""

    def objections(run: Run, facts: VideoInfo | None) -> tuple[Problem, ...]:
        return tuple(problem for each in (traits.objections, *more) for problem in each(run, facts))

    return replace(traits, objections=objections)


def _model_traits(model: str, controls: frozenset[str]) -> Traits:
    """Traits by a folder's settings; of a hub id by those of the published model, until it is loaded."""
    return family_of(model).traits(_settings_of(model), controls)


def _settings_of(model: str) -> ModelSettings:
    folder, settings = settings_folder(model), published_of(model).settings
    return read_settings(folder, settings) if folder else settings


def _draft_models(model: str) -> tuple[DraftModel, ...]:
    """The published models that make drafts of the videos of this one; none, where it is not published itself."""
    family, own = family_of(model), published_of(model)
    if _settings_of(model).name != own.settings.name:
        return ()
    return tuple(
        DraftModel(each.label, each.hub_id, family.traits(each.settings, frozenset(each.control_names)))
        for each in family.models
        if each.label and each != own
    )


def _prior(shipped_profile: ShippedProfile, device: str, options: Options) -> CostModel:
    """The profile that was measured on this machine, on whatever device it has, else the shipped one."""
    measured = kept_profile(profile_folder(), shipped_profile.cost.engine, options.words)
    return measured or _shipped(shipped_profile, device, options)


def _shipped(shipped_profile: ShippedProfile, device: str, options: Options) -> CostModel:
    cost = shipped_profile.offloaded(device, options.offload)
    tile = TILE**2 if Approximation.VAE_TILING in options.approximations else None
    return replace(cost, device=_device_with(device, options), tile_pixels=tile)


def _device_with(device: str, options: Options) -> str:
    """The device's name in measurements: those with other options do not apply."""
    return " ".join((device, *options.words))

"""Parts of a model on disk: a folder in the diffusers layout, or a model on the Hugging Face hub.

The layout is transformer/, vae/, text_encoder/, tokenizer/, scheduler/, and per control controlnet/<control>/ or
controlnet_<control>/; optionally cosmos_batch.json (see `model_settings`). On the hub, NVIDIA keeps the
pipeline and each control's branch in revisions of their own, and calls vis "blur".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from cosmos_batch.engines.inprocess.json_files import read_json
from cosmos_batch.engines.inprocess.model_settings import SETTINGS_FILE, ModelSettings, read_settings
from cosmos_batch.engines.inprocess.torch_files.file_model import ENCODERS, SUFFIX, FileModel, file_model
from cosmos_batch.engines.profile import ShippedProfile
from cosmos_batch.errors import MissingExtraError, ModelError

_PARTS = ("transformer", "vae", "text_encoder", "tokenizer", "scheduler")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(@[\w.-]+(/[\w.-]+)*)?")


@dataclass(frozen=True, slots=True)
class HubCheckpoint:
    """A file on the hub that holds a network with its branches."""

    revision: str
    file: str  # its path in the repository


class NetworkFiles(Protocol):
    """Knows a family's networks in `.pt` files, without loading them."""

    def base_problems(self, transformer: Path) -> list[str]:
        """What keeps the base network from being loaded from a `.pt` file."""

    def branch_problems(self, transformer: Path, branch: Path) -> list[str]:
        """What keeps a control's branch from being loaded from a `.pt` file, for a base in a file or folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedModel:
    """A family's published model: names of its files on the hub, the scheduler that it needs, settings, cost."""

    hub_prefix: str  # how the hub ids of such models begin
    hub_id: str  # its own: owner/name, or owner/name@variant
    revision: str  # of all parts but the controls' branches
    control_revision: str  # of a control's branch; {} stands for the published name of the control
    control_names: Mapping[str, str]  # published name of each control
    scheduler: Mapping[str, object]
    """What scheduler_config.json must state for the family's schedule to be right; empty: none is needed."""
    scheduler_defaults: Mapping[str, object]  # what it may leave out, as diffusers' defaults, but not contradict
    scheduler_summary: str  # the supported scheduler, in words
    settings: ModelSettings  # for a folder that states none
    profile: ShippedProfile  # its cost before anything is measured
    label: str = ""  # in a sentence, where it makes drafts of another model's videos
    checkpoint: HubCheckpoint | None = None  # holds network and branches; None: folders of the diffusers layout
    networks: NetworkFiles | None = None  # what is known of networks in `.pt` files; None: it has none

    @property
    def variant(self) -> str:
        """What follows the @ in its hub id; "" where there is none."""
        return self.hub_id.partition("@")[2]

    @property
    def repository(self) -> str:
        """The hub's repository: owner/name."""
        return self.hub_id.partition("@")[0]

    def control_named(self, name: str) -> str | None:
        """The control that we or NVIDIA call by that name."""
        return next((control for control, own in self.control_names.items() if name in (control, own)), None)


@dataclass(frozen=True, slots=True)
class ModelFolders:
    """The folders of a model's parts on this machine, and its settings."""

    transformer: Path  # or the file that holds it and the branches
    vae: Path
    text_encoder: Path
    tokenizer: Path  # may be missing where the text encoder is not one of transformers
    controls: Mapping[str, Path]  # by control; those that were requested. Or the same file
    settings: ModelSettings


class Downloader(Protocol):
    """Downloads a part of a hub model."""

    def __call__(self, repo: str, revision: str, patterns: Sequence[str]) -> Path:
        """The folder with the files of a revision that match a pattern. Raises ModelError."""


def resolve(
    model: str, controls: Iterable[str], published: PublishedModel, download: Downloader | None = None
) -> ModelFolders:
    """Find or fetch the folders of a model with the given controls' branches.

    Args:
        model: a folder in the diffusers layout; or a hub id such as nvidia/Cosmos-Transfer2.5-2B, of which
            @distilled/edge may name a variant; or a `.pt` file with base and branch, of which @edge says the
            control.
        controls: edge, vis, depth, seg; no other branch is looked for or fetched.
        published: of the family that the model belongs to.
        download: default: huggingface_hub.

    Raises ModelError naming all that is missing at once, and MissingExtraError.
    """
    wanted = sorted(set(controls))
    root = Path(model).expanduser()
    if (named := file_model(model)) is not None:
        return _resolve_file(model, named, wanted, published, download or hub_download)
    if root.is_dir():
        branches, missing = _local_branches(root, wanted, published)
    elif is_hub_id(model) and published.checkpoint is not None:
        return _fetch_checkpoint(download or hub_download, model, wanted, published, published.checkpoint)
    elif is_hub_id(model):
        fetch = download or hub_download
        root = fetch(model, published.revision, [*(f"{part}/*" for part in _PARTS), SETTINGS_FILE])
        branches, missing = _fetch_branches(fetch, model, wanted, published)
    else:
        raise ModelError(f"{model}: no such folder, and no hub id (owner/name) either")
    _refuse(model, missing_parts(root, published) + missing)
    return ModelFolders(
        transformer=network_place(root / "transformer"),
        vae=root / "vae",
        text_encoder=root / "text_encoder",
        tokenizer=root / "tokenizer",
        controls=branches,
        settings=_settings(root, published),
    )


def _refuse(model: str, missing: Sequence[str]) -> None:
    """Raise ModelError naming what a model lacks, if anything."""
    if missing:
        raise ModelError(f"{model}: incomplete:" + "".join(f"\n  {item}" for item in missing))


def is_hub_id(model: str) -> bool:
    """Whether a model that is no folder here may be one of the hub: owner/name, or owner/name@variant."""
    return _HUB_ID.fullmatch(model) is not None


def branch_lacks(root: Path, controls: Iterable[str], published: PublishedModel) -> dict[str, list[str]]:
    """What each branch in a model's folder lacks; nothing where it can be loaded. Absent ones are left out."""
    found = {control: _local_branches(root, [control], published) for control in controls}
    return {control: missing for control, (branches, missing) in found.items() if branches}


def hub_download(repo: str, revision: str, patterns: Sequence[str]) -> Path:
    """Fetch with huggingface_hub, or find in its cache. Raises MissingExtraError and ModelError."""
    try:
        from huggingface_hub import snapshot_download
    except ImportError as exc:
        raise MissingExtraError("A model from the Hugging Face hub", "nvidia") from exc
    try:
        return Path(snapshot_download(repo, revision=revision, allow_patterns=list(patterns)))
    except Exception as exc:  # the library raises its HTTP client's errors as well as its own
        raise ModelError(f"{repo}, revision {revision}: cannot be fetched ({type(exc).__name__}: {exc})") from exc


def check_scheduler(folder: Path, published: PublishedModel) -> dict[str, Any]:
    """Read `scheduler_config.json`. Raises ModelError where the family's schedule is another one."""
    file = folder / "scheduler_config.json"
    config = read_json(file)
    needed = {**published.scheduler, **published.scheduler_defaults}
    wrong = {name: config.get(name) for name, value in published.scheduler.items() if config.get(name) != value}
    wrong |= {
        name: config[name]
        for name, value in published.scheduler_defaults.items()
        if config.get(name, value) != value
    }
    if wrong:
        found = ", ".join(f"{name} = {value!r}" for name, value in wrong.items())
        remedy = ", ".join(f"{name} = {needed[name]!r}" for name in wrong)
        raise ModelError(f"{file}: {found}: supported is {published.scheduler_summary}: {remedy}")
    return config


def _settings(root: Path, published: PublishedModel, own: Path | None = None) -> ModelSettings:
    """The settings of the model in a folder; `own`: the folder of its settings, where that is another one."""
    place = own or root
    settings = read_settings(place, published.settings)
    if not published.scheduler:
        return settings
    sigma_max = check_scheduler(root / "scheduler", published).get("sigma_max")
    if sigma_max is None or (place / SETTINGS_FILE).exists():
        return settings
    return replace(settings, defaults=replace(settings.defaults, sigma_max=float(sigma_max)))


def missing_parts(root: Path, published: PublishedModel) -> list[str]:
    """What a model's folder lacks, its branches aside."""
    return [*_base_lacks(root / "transformer", published), *missing_companions(root, published)]


def missing_companions(root: Path, published: PublishedModel) -> list[str]:
    """What a model's folder lacks beside the networks: autoencoder, text encoder, tokenizer, scheduler."""
    scheduler = root / "scheduler" / "scheduler_config.json"
    needed = bool(published.scheduler) and not scheduler.is_file()
    return [*_missing_encoders(root), *([f"{scheduler}: no such file"] if needed else [])]


def _missing_encoders(root: Path) -> list[str]:
    """What a folder lacks of autoencoder, text encoder and tokenizer."""
    missing = [item for part in ("vae", "text_encoder") for item in _lacks(root / part)]
    config = root / "text_encoder" / "config.json"
    # Every configuration of transformers states its model_type
    if config.is_file() and "model_type" in read_json(config) and not (root / "tokenizer").is_dir():
        missing.append(f"{root / 'tokenizer'}: no such folder")
    return missing


def _lacks(folder: Path, kinds: str = ".safetensors") -> list[str]:
    """Missing files of a folder that must have a configuration and weights."""
    if not folder.is_dir():
        return [f"{folder}: no such folder"]
    lacks = [] if (folder / "config.json").is_file() else [f"{folder / 'config.json'}: no such file"]
    return lacks if any(folder.glob("*.safetensors")) else [*lacks, f"{folder}: no {kinds} file"]


def network_place(folder: Path) -> Path:
    """Where a network's weights are: the `.pt` file of a folder that has one, else the folder."""
    return next(iter(sorted(folder.glob(f"*{SUFFIX}"))), folder)


def _base_lacks(folder: Path, published: PublishedModel) -> list[str]:
    networks = published.networks
    return _network_lacks(folder, networks.base_problems if networks else None)


def _network_lacks(folder: Path, problems: Callable[[Path], list[str]] | None) -> list[str]:
    """What a network's folder lacks, which may hold one `.pt` file in place of configuration and weights."""
    if problems is None:
        return _lacks(folder)
    files, others = sorted(folder.glob(f"*{SUFFIX}")), sorted(folder.glob("*.safetensors"))
    if not files:
        return _lacks(folder, f".safetensors or {SUFFIX}")
    if len(files) > 1 or others:
        names = ", ".join(file.name for file in (*files, *others))
        return [f"{folder}: holds {names}; keep one {SUFFIX} file, or .safetensors files alone"]
    return problems(files[0])


def _local_branches(
    root: Path, controls: Sequence[str], published: PublishedModel
) -> tuple[dict[str, Path], list[str]]:
    branches: dict[str, Path] = {}
    missing: list[str] = []
    for control in controls:
        names = dict.fromkeys((control, published.control_names.get(control, control)))
        places = [root / place.format(name) for name in names for place in ("controlnet/{}", "controlnet_{}")]
        found = next((place for place in places if place.is_dir()), None)
        if found is None:
            missing.append(_no_branch(root, control))
        else:
            branches[control] = network_place(found)
            missing += _network_lacks(found, _branch_check(root / "transformer", published))
    return branches, missing


def _branch_check(folder: Path, published: PublishedModel) -> Callable[[Path], list[str]] | None:
    """What a branch in a `.pt` file lacks for the base in a folder; nothing, where that lacks something itself."""
    networks, transformer = published.networks, network_place(folder)
    if networks is None:
        return None
    base_lacks = _base_lacks(folder, published)
    return lambda file: [] if base_lacks else networks.branch_problems(transformer, file)


def _no_branch(root: Path, control: str) -> str:
    message = f"{root / 'controlnet' / control}: no such folder, nor {root / f'controlnet_{control}'}"
    if (root / "controlnet" / "config.json").is_file():
        message += (
            f"; {root / 'controlnet'} holds one branch without saying of which control: move it there if it is"
        )
    return message


def _fetch_branches(
    download: Downloader, model: str, controls: Sequence[str], published: PublishedModel
) -> tuple[dict[str, Path], list[str]]:
    branches: dict[str, Path] = {}
    missing: list[str] = []
    for control in controls:
        revision = published.control_revision.format(published.control_names.get(control, control))
        try:
            branches[control] = download(model, revision, ["config.json", "*.safetensors"])
        except ModelError as exc:
            missing.append(str(exc))
        else:
            missing += _lacks(branches[control])
    return branches, missing


def _fetch_checkpoint(
    download: Downloader,
    model: str,
    controls: Sequence[str],
    published: PublishedModel,
    checkpoint: HubCheckpoint,
) -> ModelFolders:
    """Fetch a network with its branches in one file, and the parts that it shares with the published pipeline."""
    repo = model.partition("@")[0]
    root = download(repo, published.revision, [f"{part}/*" for part in ENCODERS])
    file = download(repo, checkpoint.revision, [checkpoint.file]) / checkpoint.file
    have = ", ".join(sorted(published.control_names))
    missing = _missing_encoders(root) + ([] if file.is_file() else [f"{file}: no such file"])
    missing += [f"no branch for {name}: it has {have}" for name in controls if name not in published.control_names]
    _refuse(model, missing)
    return ModelFolders(
        transformer=file,
        vae=root / "vae",
        text_encoder=root / "text_encoder",
        tokenizer=root / "tokenizer",
        controls=dict.fromkeys(controls, file),
        settings=published.settings,
    )


def file_lacks(named: FileModel, published: PublishedModel) -> list[str]:
    """What keeps base and branch from being loaded from a `.pt` file, and whether its control is known."""
    file, networks = named.file, published.networks
    if not file.is_file():
        return [f"{file}: no such file"]
    if networks is None:
        return [f"{file}: {published.settings.name} is not read from {SUFFIX} files"]
    examples = ", ".join(f"{file}@{control}" for control in sorted(published.control_names))
    says = f"says {named.control!r}, which is no control of it" if named.control else "says no control"
    lacks = [] if file_control(named, published) else [f"{file}: its name {says}; name it as one of {examples}"]
    # What is wrong with the file as a whole is said once
    return [*lacks, *dict.fromkeys(networks.base_problems(file) + networks.branch_problems(file, file))]


def file_control(named: FileModel, published: PublishedModel) -> str | None:
    """The control of the branch in a `.pt` file: stated, or the only one that such a model has."""
    if not named.control and len(published.control_names) == 1:
        return next(iter(published.control_names))
    return published.control_named(named.control)


def _resolve_file(
    model: str, named: FileModel, controls: Sequence[str], published: PublishedModel, download: Downloader
) -> ModelFolders:
    """Find the parts of a model whose networks are in a `.pt` file: beside it, or those of the published model."""
    missing = file_lacks(named, published)
    control = file_control(named, published)
    others = [name for name in controls if name != control]
    missing += [f"{named.file}: holds the branch of {control}, not of {name}" for name in others]
    _refuse(model, missing)
    parts = (*ENCODERS, "scheduler") if published.scheduler else ENCODERS
    root = named.parts or download(published.repository, published.revision, [f"{part}/*" for part in parts])
    _refuse(model, missing_companions(root, published))
    return ModelFolders(
        transformer=named.file,
        vae=root / "vae",
        text_encoder=root / "text_encoder",
        tokenizer=root / "tokenizer",
        controls=dict.fromkeys(controls, named.file),
        settings=_settings(root, published, named.file.parent),
    )

"""Parts of a model on disk: a folder in the diffusers layout, or a model on the Hugging Face hub.

The layout is transformer/, vae/, text_encoder/, tokenizer/, scheduler/, and per control controlnet/<control>/ or
controlnet_<control>/; optionally cosmos_batch.json (see `model_settings`). On the hub, NVIDIA keeps the
pipeline and each control's branch in revisions of their own, and calls vis "blur".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from cosmos_batch.engines.inprocess.json_files import read_json
from cosmos_batch.engines.inprocess.model_settings import SETTINGS_FILE, ModelSettings, read_settings
from cosmos_batch.engines.profile import ShippedProfile
from cosmos_batch.errors import MissingExtraError, ModelError

_PARTS = ("transformer", "vae", "text_encoder", "tokenizer", "scheduler")
_ENCODERS = ("vae", "text_encoder", "tokenizer")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(@[\w.-]+(/[\w.-]+)*)?")


@dataclass(frozen=True, slots=True)
class HubCheckpoint:
    """A file on the hub that holds a network with its branches."""

    revision: str
    file: str  # its path in the repository


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
    checkpoint: HubCheckpoint | None = None  # holds network and branches; None: folders of the diffusers layout

    @property
    def variant(self) -> str:
        """What follows the @ in its hub id; "" where there is none."""
        return self.hub_id.partition("@")[2]


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
        model: a folder in the diffusers layout, or a hub id such as nvidia/Cosmos-Transfer2.5-2B, of which
            @distilled/edge may name a variant.
        controls: edge, vis, depth, seg; no other branch is looked for or fetched.
        published: of the family that the model belongs to.
        download: default: huggingface_hub.

    Raises ModelError naming all that is missing at once, and MissingExtraError.
    """
    wanted = sorted(set(controls))
    root = Path(model).expanduser()
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
        transformer=root / "transformer",
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


def complete_branches(root: Path, controls: Iterable[str], published: PublishedModel) -> frozenset[str]:
    """The controls whose branches are in a model's folder, with their configuration and weights."""
    return frozenset(control for control in controls if not _local_branches(root, [control], published)[1])


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


def _settings(root: Path, published: PublishedModel) -> ModelSettings:
    settings = read_settings(root, published.settings)
    if not published.scheduler:
        return settings
    sigma_max = check_scheduler(root / "scheduler", published).get("sigma_max")
    if sigma_max is None or (root / SETTINGS_FILE).exists():
        return settings
    return replace(settings, defaults=replace(settings.defaults, sigma_max=float(sigma_max)))


def missing_parts(root: Path, published: PublishedModel) -> list[str]:
    """What a model's folder lacks, its branches aside."""
    missing = [*_lacks(root / "transformer"), *_missing_encoders(root)]
    if published.scheduler and not (root / "scheduler" / "scheduler_config.json").is_file():
        missing.append(f"{root / 'scheduler' / 'scheduler_config.json'}: no such file")
    return missing


def _missing_encoders(root: Path) -> list[str]:
    """What a folder lacks of autoencoder, text encoder and tokenizer."""
    missing = [item for part in ("vae", "text_encoder") for item in _lacks(root / part)]
    config = root / "text_encoder" / "config.json"
    # Every configuration of transformers states its model_type
    if config.is_file() and "model_type" in read_json(config) and not (root / "tokenizer").is_dir():
        missing.append(f"{root / 'tokenizer'}: no such folder")
    return missing


def _lacks(folder: Path) -> list[str]:
    """Missing files of a folder that must have a configuration and weights."""
    if not folder.is_dir():
        return [f"{folder}: no such folder"]
    lacks = [] if (folder / "config.json").is_file() else [f"{folder / 'config.json'}: no such file"]
    return lacks if any(folder.glob("*.safetensors")) else [*lacks, f"{folder}: no .safetensors file"]


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
            branches[control] = found
            missing += _lacks(found)
    return branches, missing


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
    root = download(repo, published.revision, [f"{part}/*" for part in _ENCODERS])
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

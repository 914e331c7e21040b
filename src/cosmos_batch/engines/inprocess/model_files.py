"""Where the parts of a model lie: a folder in the diffusers layout, or a model on the Hugging Face hub.

The layout is transformer/, vae/, text_encoder/, tokenizer/, scheduler/, and per control controlnet/<control>/ or
controlnet_<control>/; beside them, perhaps, cosmos_batch.json (see `settings`). On the hub, NVIDIA keeps the
pipeline and each control's branch in revisions of their own, and calls vis "blur".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from cosmos_batch.controls import CONTROLS
from cosmos_batch.engines.inprocess.model_settings import SETTINGS_FILE, ModelSettings, read_settings
from cosmos_batch.engines.inprocess.sampling.schedule import SIGMA_MIN
from cosmos_batch.errors import MissingExtraError, ModelError

PIPELINE_REVISION = "diffusers/general"
CONTROL_REVISION = "diffusers/controlnet/general/{}"
PUBLISHED_NAMES: Mapping[str, str] = {
    control.name: control.checkpoint for control in CONTROLS.values() if control.checkpoint
}
"""Names of the control branches among the published weights, by control."""

SCHEDULER: Mapping[str, object] = {
    "_class_name": "UniPCMultistepScheduler",
    "prediction_type": "flow_prediction",
    "use_flow_sigmas": True,
    "use_karras_sigmas": True,
    "sigma_min": SIGMA_MIN,
}
"""What scheduler/scheduler_config.json must say, beside a sigma_max, for the sampler here to be the right one."""

_SOLVER: Mapping[str, object] = {
    "disable_corrector": [],
    "final_sigmas_type": "zero",
    "lower_order_final": True,
    "predict_x0": True,
    "solver_order": 2,
    "solver_p": None,
    "solver_type": "bh2",
    "thresholding": False,
}
"""What it may leave out, because these are diffusers' defaults, but not say otherwise."""

_PARTS = ("transformer", "vae", "text_encoder", "tokenizer", "scheduler")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True, slots=True)
class ModelFolders:
    """The parts of a model, each in a folder on this machine, and what the model says of itself."""

    transformer: Path
    vae: Path
    text_encoder: Path
    tokenizer: Path  # need not exist where the text encoder is none of transformers'
    controls: Mapping[str, Path]  # those that were asked for
    settings: ModelSettings


class Downloader(Protocol):
    """Brings a part of a hub model onto this machine."""

    def __call__(self, repo: str, revision: str, patterns: Sequence[str]) -> Path:
        """The folder with the files of a revision that match a pattern. Raises ModelError."""


def resolve(model: str, controls: Iterable[str], download: Downloader | None = None) -> ModelFolders:
    """The folders of a model with the given controls' branches.

    Args:
        model: a folder in the diffusers layout, or a hub id such as nvidia/Cosmos-Transfer2.5-2B.
        controls: edge, vis, depth, seg; no other branch is looked for or fetched.
        download: default: huggingface_hub.

    Raises ModelError naming all that is missing at once, and MissingExtraError.
    """
    wanted = sorted(set(controls))
    root = Path(model).expanduser()
    if root.is_dir():
        branches, missing = _local_branches(root, wanted)
    elif _HUB_ID.fullmatch(model):
        fetch = download or hub_download
        root = fetch(model, PIPELINE_REVISION, [*(f"{part}/*" for part in _PARTS), SETTINGS_FILE])
        branches, missing = _fetch_branches(fetch, model, wanted)
    else:
        raise ModelError(f"{model}: no such folder, and no hub id (owner/name) either")
    missing = _missing_parts(root) + missing
    if missing:
        raise ModelError(f"{model}: incomplete:" + "".join(f"\n  {item}" for item in missing))
    return ModelFolders(
        transformer=root / "transformer",
        vae=root / "vae",
        text_encoder=root / "text_encoder",
        tokenizer=root / "tokenizer",
        controls=branches,
        settings=_settings(root),
    )


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


def check_scheduler(folder: Path) -> dict[str, Any]:
    """The content of `scheduler_config.json`. Raises ModelError where the sampler here would not follow it."""
    file = folder / "scheduler_config.json"
    config = _read_object(file)
    wrong = {name: config.get(name) for name, value in SCHEDULER.items() if config.get(name) != value}
    wrong |= {name: config[name] for name, value in _SOLVER.items() if config.get(name, value) != value}
    if wrong:
        found = ", ".join(f"{name} = {value!r}" for name, value in wrong.items())
        needed = ", ".join(f"{name} = {(SCHEDULER | _SOLVER)[name]!r}" for name in wrong)  # type: ignore[operator]
        raise ModelError(
            f"{file}: {found}: supported is UniPC of order 2 on Karras-spaced flow sigmas, predicting the flow "
            f"(as Cosmos-Transfer2.5's): {needed}"
        )
    return config


def _read_object(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as exc:
        raise ModelError(f"{file}: not readable as JSON ({exc})") from exc
    if not isinstance(value, dict):
        raise ModelError(f"{file}: holds {type(value).__name__}, not an object")
    return value


def _settings(root: Path) -> ModelSettings:
    sigma_max = check_scheduler(root / "scheduler").get("sigma_max")
    settings = read_settings(root)
    if sigma_max is None or (root / SETTINGS_FILE).exists():
        return settings
    return replace(settings, defaults=replace(settings.defaults, sigma_max=float(sigma_max)))


def _missing_parts(root: Path) -> list[str]:
    missing = [item for part in ("transformer", "vae", "text_encoder") for item in _lacks(root / part)]
    config = root / "text_encoder" / "config.json"
    # Every configuration of transformers states its model_type
    if config.is_file() and "model_type" in _read_object(config) and not (root / "tokenizer").is_dir():
        missing.append(f"{root / 'tokenizer'}: no such folder")
    if not (root / "scheduler" / "scheduler_config.json").is_file():
        missing.append(f"{root / 'scheduler' / 'scheduler_config.json'}: no such file")
    return missing


def _lacks(folder: Path) -> list[str]:
    """What a folder with a configuration and weights lacks."""
    if not folder.is_dir():
        return [f"{folder}: no such folder"]
    lacks = [] if (folder / "config.json").is_file() else [f"{folder / 'config.json'}: no such file"]
    return lacks if any(folder.glob("*.safetensors")) else [*lacks, f"{folder}: no .safetensors file"]


def _local_branches(root: Path, controls: Sequence[str]) -> tuple[dict[str, Path], list[str]]:
    branches: dict[str, Path] = {}
    missing: list[str] = []
    for control in controls:
        names = dict.fromkeys((control, PUBLISHED_NAMES.get(control, control)))
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
    download: Downloader, model: str, controls: Sequence[str]
) -> tuple[dict[str, Path], list[str]]:
    branches: dict[str, Path] = {}
    missing: list[str] = []
    for control in controls:
        revision = CONTROL_REVISION.format(PUBLISHED_NAMES.get(control, control))
        try:
            branches[control] = download(model, revision, ["config.json", "*.safetensors"])
        except ModelError as exc:
            missing.append(str(exc))
        else:
            missing += _lacks(branches[control])
    return branches, missing

"""What keeps a model, or a run, from working on this machine. Loads nothing and uses no network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path

from cosmos_batch.controls import CONTROLS, TRANSFER_CONTROLS, Derivation
from cosmos_batch.engines.inprocess.json_files import read_config
from cosmos_batch.engines.inprocess.model_files import (
    PublishedModel,
    branch_lacks,
    check_scheduler,
    file_control,
    file_lacks,
    is_hub_id,
    missing_companions,
    missing_parts,
    resolve,
)
from cosmos_batch.engines.inprocess.model_settings import ModelSettings, read_settings
from cosmos_batch.engines.inprocess.options import Approximation, Options
from cosmos_batch.engines.inprocess.torch_files.file_model import FileModel, file_model, local_folder
from cosmos_batch.errors import EngineError, MissingExtraError, ModelError, Problem
from cosmos_batch.media.controls import estimation
from cosmos_batch.planning.traits import VideoInfo
from cosmos_batch.run import Control, Run

_PURPOSES = {"depth": "making depth control videos", "seg": "making seg control videos and masks"}
_UNTILED_VAE = "FoldedVae"
_FLOAT8_PACKAGE = "fa3_fwd"
_OWN_TEXT_ENCODER = "TrigramText"  # every other one is of transformers


@dataclass(frozen=True, slots=True)
class Availability:
    """What there is of a model."""

    problems: tuple[Problem, ...]  # why it cannot be loaded, whatever the runs
    controls: frozenset[str]  # the branches that it has; of a hub model all, until they are fetched
    broken: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Controls whose branches are there and cannot be loaded, and why."""

    def objections(self, run: Run, _facts: VideoInfo | None) -> tuple[Problem, ...]:
        """The problems of a run's controls whose branches cannot be loaded."""
        return tuple(
            Problem("", None, f"controls.{control.name}", "", message, "mend it, or leave the control out")
            for control in run.active
            for message in self.broken.get(control.name, ())
        )


def availability(model: str, published: PublishedModel) -> Availability:
    """Look at a model: a folder in the diffusers layout, a `.pt` file, or a hub id."""
    root = Path(model).expanduser()
    if (named := file_model(model)) is not None:
        control = file_control(named, published)
        controls = frozenset({control} if control else published.control_names)
        return Availability(_file_problems(model, named, published), controls)
    if root.is_dir():
        problems = [
            _problem(model, lack, "complete the folder, or name another model") for lack in _lacks(root, published)
        ]
        branches = branch_lacks(root, TRANSFER_CONTROLS, published)
        broken = {control: tuple(lacks) for control, lacks in branches.items() if lacks}
        return Availability(tuple(problems), frozenset(branches) - set(broken), broken)
    every = frozenset(published.control_names)
    if not is_hub_id(model):
        message = "no such folder, and no hub id (owner/name) either"
        return Availability((_problem(model, message, "correct the name of the model"),), every)
    return Availability(_hub_problems(model, published), every)


def _file_problems(model: str, named: FileModel, published: PublishedModel) -> tuple[Problem, ...]:
    """What keeps a model in a `.pt` file from being loaded, with the parts beside it or on the hub."""
    if not named.file.is_file():
        return (_problem(model, "no such file", "correct the name of the model"),)
    lacks = [lack.removeprefix(f"{named.file}: ") for lack in file_lacks(named, published)]
    if named.parts is not None:
        lacks += missing_companions(named.parts, published) or _unsupported(named.parts, published)
    found = tuple(_problem(model, lack, "mend it, or name another model") for lack in lacks)
    if named.parts is not None or found:
        return found
    own = replace(published, settings=read_settings(named.file.parent, published.settings))
    return _hub_problems(model, own, "autoencoder and text encoder are not beside the file, and fetching them")


def _lacks(root: Path, published: PublishedModel) -> list[str]:
    """What a model's folder lacks, its branches aside."""
    return missing_parts(root, published) or _unsupported(root, published)


def _unsupported(root: Path, published: PublishedModel) -> list[str]:
    """What of a complete folder is not supported, or not on this machine."""
    try:
        if published.scheduler:
            check_scheduler(root / "scheduler", published)
        return _lacking_extra(read_settings(root, published.settings), read_config(root / "text_encoder"))
    except ModelError as exc:
        return [str(exc)]


def _lacking_extra(settings: ModelSettings, text_encoder: Mapping[str, object]) -> list[str]:
    """The message of a missing extra, for a model of these settings."""
    needed = []
    if text_encoder.get("_class_name") != _OWN_TEXT_ENCODER:
        needed.append(("transformers", "its text encoder"))
    if settings.guardrail == "nvidia":
        needed.append(("cosmos_guardrail", "NVIDIA's guardrail, which its licence asks for with its weights,"))
    return [str(MissingExtraError(purpose, "nvidia")) for package, purpose in needed if find_spec(package) is None]


def _hub_problems(
    model: str, published: PublishedModel, purpose: str = "there is no such folder, and a model"
) -> tuple[Problem, ...]:
    """What keeps a model from being fetched and used; `purpose`: why the hub is needed."""
    elsewhere = "or name a folder that holds the model"
    if find_spec("huggingface_hub") is None:
        lack = MissingExtraError(f"{purpose} from the Hugging Face hub", "nvidia")
        return (_problem(model, str(lack), elsewhere),)
    lacks = _lacking_extra(published.settings, {})
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        try:
            resolve(model, (), published)
        except EngineError as exc:
            lacks.append(str(exc))
    return tuple(_problem(model, lack, elsewhere) for lack in lacks)


def _problem(model: str, message: str, remedy: str) -> Problem:
    return Problem("", None, "model", model, message.removeprefix(f"{model}: "), remedy)


def option_problems(model: str, published: PublishedModel, options: Options) -> tuple[Problem, ...]:
    """Options that the model does not have."""
    return (*_tiling_problems(model, options), *_splitting_problems(published, options))


def _splitting_problems(published: PublishedModel, options: Options) -> tuple[Problem, ...]:
    if not options.split_guidance or published.settings.guided:
        return ()
    message = "this model has no guidance, so that a second GPU would have nothing to do"
    return (Problem("", None, "--split-guidance", "", message, "leave it out, or serve with one worker per GPU"),)


def _tiling_problems(model: str, options: Options) -> tuple[Problem, ...]:
    vae = (local_folder(model) or Path(model)) / "vae"
    if Approximation.VAE_TILING not in options.approximations or not (vae / "config.json").is_file():
        return ()
    if read_config(vae).get("_class_name") != _UNTILED_VAE:
        return ()
    return (_option_problem(Approximation.VAE_TILING, "the autoencoder of this model has no tiles"),)


def device_problems(options: Options) -> tuple[Problem, ...]:
    """Options that the devices or packages of this machine do not allow."""
    float8 = Approximation.FLOAT8_ATTENTION in options.approximations
    if not (options.split_guidance or float8):
        return ()
    import torch

    found, count = [], torch.cuda.device_count()
    if count < options.gpus:
        message = f"needs two GPUs that this process may see; there are {count}"
        found.append(Problem("", None, "--split-guidance", "", message, "leave it out"))
    if float8 and not count:
        found.append(_option_problem(Approximation.FLOAT8_ATTENTION, "needs a Hopper GPU; there is no GPU here"))
    elif float8 and find_spec(_FLOAT8_PACKAGE) is None:
        lack = MissingExtraError("attention in 8 bits", "hopper")
        found.append(_option_problem(Approximation.FLOAT8_ATTENTION, str(lack)))
    return tuple(found)


def _option_problem(option: Approximation, message: str) -> Problem:
    return Problem("", None, f"--approximate {option}", "", message, "leave it out")


def estimation_objections() -> Callable[[Run, VideoInfo | None], tuple[Problem, ...]]:
    """Make a function that gives the problems of a run's controls that cannot be made here.

    The machine is looked at now, and not for each run.
    """
    gaps = {control: found for control in _PURPOSES if (found := _gap(control))}

    def objections(run: Run, _facts: VideoInfo | None) -> tuple[Problem, ...]:
        found = ((control, gaps.get(kind)) for control in run.active for kind in _estimated(control))
        return tuple(
            Problem("", None, f"controls.{control.name}", "", message, remedy)
            for control, gap in found
            if gap is not None
            for message, remedy in (gap,)
        )

    return objections


def _estimated(control: Control) -> list[str]:
    """What is estimated for a control: depth, seg; a mask that a prompt names counts as seg."""
    derived = CONTROLS[control.name].derivation is Derivation.MODEL and control.video is None
    masked = control.mask is None and control.mask_prompt is not None
    return list(dict.fromkeys(([control.name] if derived else []) + (["seg"] if masked else [])))


def _gap(control: str) -> tuple[str, str] | None:
    """Message and remedy where depth or seg cannot be estimated here."""
    instead = "or give the control video" if control == "depth" else "or give the control video or mask"
    if estimation.lacking_extra():
        return str(MissingExtraError(_PURPOSES[control], estimation.EXTRA)), instead
    if models := estimation.unreachable_models(control):
        message = f"{_PURPOSES[control]} needs {' and '.join(models)}, and HF_HUB_OFFLINE forbids to fetch them"
        return message, f"fetch them into the cache once, {instead}"
    return None

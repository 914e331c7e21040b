"""Loading of an engine from a folder or hub id."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from pathlib import Path

import torch

from cosmos_batch.engines.inprocess.engine import InProcessEngine
from cosmos_batch.engines.inprocess.families import family_of, published_of
from cosmos_batch.engines.inprocess.family import Network
from cosmos_batch.engines.inprocess.gpu.compiler import keep_compiled
from cosmos_batch.engines.inprocess.gpu.offload import OffloadedModule
from cosmos_batch.engines.inprocess.gpu.versions import installed_version, versions
from cosmos_batch.engines.inprocess.guardrail import Guardrail, NoGuardrail, NvidiaGuardrail
from cosmos_batch.engines.inprocess.identity import digest, model_identity
from cosmos_batch.engines.inprocess.json_files import read_config
from cosmos_batch.engines.inprocess.model import Model
from cosmos_batch.engines.inprocess.model_files import ModelFolders, resolve
from cosmos_batch.engines.inprocess.offloaded_parts import OffloadedText, OffloadedVae
from cosmos_batch.engines.inprocess.options import TILE, Approximation, Options, Part
from cosmos_batch.engines.inprocess.text.base import TextEncoder
from cosmos_batch.engines.inprocess.text.context_store import ContextStore
from cosmos_batch.engines.inprocess.text.qwen import LazyQwen
from cosmos_batch.engines.inprocess.text.trigram import TrigramText
from cosmos_batch.engines.inprocess.vae.base import Vae
from cosmos_batch.engines.inprocess.vae.pocket_vae import FoldedVae
from cosmos_batch.engines.inprocess.vae.wan import WanVae
from cosmos_batch.errors import ModelError, PlanError
from cosmos_batch.media.controls.cache import ControlCache


def pick_device() -> torch.device:
    """The first CUDA device, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def load_engine(
    model: str,
    controls: Iterable[str],
    cache: ControlCache,
    *,
    device: torch.device | None = None,
    guardrail: Guardrail | None = None,
    kept: Path | None = None,
    options: Options | None = None,
) -> InProcessEngine:
    """Load the engine of a model: a folder in the diffusers layout, or a hub id.

    Args:
        model: path or hub id.
        controls: the branches that it can use; they load at the launches that use them.
        cache: keeps control videos that are derived from input videos.
        device: default: the first CUDA device, else the CPU. On CUDA all is bfloat16. On the CPU the network is
            float64 and the rest float32: a matrix product's rounding depends on how many rows it has, and in
            float64 what is left of that vanishes when latents and pixels are rounded.
        guardrail: default: the one that the model requires.
        kept: folder of what is kept between processes: compiled kernels, and texts as the networks read them;
            default: kernels where Triton keeps them, and no texts.
        options: default: exact, on one device, with everything in its memory.

    Raises ModelError naming all that is missing, MissingExtraError, and PlanError for options that are not
    possible here.
    """
    options = options or Options()
    family = family_of(model)
    folders = resolve(model, controls, published_of(model))
    if kept is not None:
        keep_compiled(kept / "compiled")
    device = device or pick_device()
    devices = (device, second_device(device)) if options.split_guidance else (device,)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    network_dtype = torch.bfloat16 if device.type == "cuda" else torch.float64
    text = _text(folders, device, dtype, Part.TEXT in options.offload)
    contexts = _contexts(kept, folders, device)
    network = family.load(folders, text, devices, network_dtype, options, contexts)
    loaded = Model(
        folders,
        network,
        vae=_vae(folders.vae, device, dtype, options),
        guardrail=guardrail or _own_guardrail(folders),
        dtype=dtype,
        step_caching=Approximation.STEP_CACHING in options.approximations,
    )
    traits = family.traits(folders.settings, loaded.controls)
    return InProcessEngine(loaded, traits, cache, identity(folders, family.name, device, options, network))


def second_device(first: torch.device) -> torch.device:
    """The GPU after the first one. Raises PlanError where there is none."""
    count = torch.cuda.device_count()
    place = (first.index or 0) + 1
    if first.type != "cuda" or place >= count:
        raise PlanError(f"--split-guidance needs two GPUs that this process may see; there are {count}")
    return torch.device("cuda", place)


def identity(
    folders: ModelFolders, engine: str, device: torch.device, options: Options, network: Network
) -> dict[str, str]:
    """Return what determines a video to the bit, for its record."""
    return {
        **model_identity(folders, engine, options),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "cosmos-batch": version("cosmos-batch"),
        **versions(device),
        **network.arithmetic,
    }


def _contexts(kept: Path | None, folders: ModelFolders, device: torch.device) -> ContextStore | None:
    """Where texts are kept that were made by exactly this text encoder and these networks, on such a device."""
    if kept is None or not _is_qwen(folders):
        return None
    facts = versions(device) | {
        "text": digest(folders.text_encoder, folders.tokenizer),
        "transformers": installed_version("transformers"),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
    }
    weights = {name: digest(place) for name, place in (("base", folders.transformer), *folders.controls.items())}
    return ContextStore(kept / "texts", json.dumps(facts, sort_keys=True), weights)


def _class_of(folder: Path, known: Mapping[str, object]) -> str:
    name = read_config(folder).get("_class_name", "")
    if name not in known:
        raise ModelError(f"{folder}/config.json: _class_name = {name!r}; known are {', '.join(sorted(known))}")
    return str(name)


def _vae(folder: Path, device: torch.device, dtype: torch.dtype, options: Options) -> Vae:
    tile = TILE if Approximation.VAE_TILING in options.approximations else None
    offloaded = Part.VAE in options.offload
    place = torch.device("cpu") if offloaded else device
    kinds: dict[str, Callable[[], FoldedVae | WanVae]] = {
        "AutoencoderKLWan": lambda: WanVae.load(folder, tile, place, dtype),
        "FoldedVae": lambda: _untiled(folder, tile).to(place, dtype).requires_grad_(False),
    }
    vae = kinds[_class_of(folder, kinds)]()
    if isinstance(vae, WanVae) and device.type == "cuda":
        vae.channels_last()
    return OffloadedVae(vae, OffloadedModule(vae, device)) if offloaded else vae


def _untiled(folder: Path, tile: int | None) -> FoldedVae:
    if tile is not None:
        raise PlanError(
            f"{folder}: the autoencoder of this model has no tiles; leave out --approximate vae-tiling"
        )
    return FoldedVae.load(folder)


def _text(folders: ModelFolders, device: torch.device, dtype: torch.dtype, waits: bool) -> TextEncoder:
    if _is_qwen(folders):
        return LazyQwen(folders.tokenizer, folders.text_encoder, device, dtype, waits=waits)
    text = TrigramText.load(folders.text_encoder).to(dtype).eval().requires_grad_(False)
    return OffloadedText(text, OffloadedModule(text, device)) if waits else text.to(device)


def _is_qwen(folders: ModelFolders) -> bool:
    return read_config(folders.text_encoder).get("_class_name") != "TrigramText"


def _own_guardrail(folders: ModelFolders) -> Guardrail:
    return NvidiaGuardrail() if folders.settings.guardrail == "nvidia" else NoGuardrail()

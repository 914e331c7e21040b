"""The model families, and which of them a model belongs to."""

from __future__ import annotations

from pathlib import Path

from cosmos_batch.engines.inprocess.family import ModelFamily
from cosmos_batch.engines.inprocess.json_files import read_config
from cosmos_batch.engines.inprocess.model_files import PublishedModel, is_hub_id
from cosmos_batch.engines.inprocess.model_settings import sampler_of
from cosmos_batch.engines.inprocess.transfer25.family import TRANSFER25
from cosmos_batch.errors import ModelError

FAMILIES: tuple[ModelFamily, ...] = (TRANSFER25,)
"""The first one is that of models that do not state theirs."""


def family_of(model: str | Path) -> ModelFamily:
    """The family of a hub id, or of a folder by the class of its network. Raises ModelError for an unknown one."""
    folder = Path(model).expanduser()
    if not folder.is_dir():
        published = (family for family in FAMILIES if str(model).startswith(family.models[0].hub_prefix))
        return next(published, FAMILIES[0])
    if not (folder / "transformer" / "config.json").is_file():
        return FAMILIES[0]  # `model_files.resolve` names all that is missing
    stated = read_config(folder / "transformer").get("_class_name", FAMILIES[0].network_class)
    for family in FAMILIES:
        if family.network_class == stated:
            return family
    known = ", ".join(family.network_class for family in FAMILIES)
    raise ModelError(f"{folder}/transformer/config.json: _class_name = {stated!r}; known are {known}")


def published_of(model: str | Path) -> PublishedModel:
    """The published model that a hub id names, or that a folder is like, by the sampler in its settings.

    Raises ModelError for an unknown variant of a hub model, and for settings that cannot be read.
    """
    models, folder = family_of(model).models, Path(model).expanduser()
    if folder.is_dir():
        sampler = sampler_of(folder)
        return next((each for each in models if each.settings.sampler == sampler), models[0])
    variant = str(model).partition("@")[2] if is_hub_id(str(model)) else ""
    for each in models:
        if each.variant == variant:
            return each
    known = ", ".join(each.hub_id for each in models)
    raise ModelError(f"{model}: no variant {variant!r} is known; known are {known}")

"""The model families, and which of them a model belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cosmos_batch.engines.inprocess.family import ModelFamily
from cosmos_batch.engines.inprocess.json_files import read_config
from cosmos_batch.engines.inprocess.model_files import PublishedModel, is_hub_id
from cosmos_batch.engines.inprocess.model_settings import sampler_of
from cosmos_batch.engines.inprocess.torch_files.file_model import FileModel, file_model, settings_folder
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
    models, folder, named = family_of(model).models, settings_folder(model), file_model(model)
    if named is not None and (known := _of_file(named, models)) is not None:
        return known
    if folder is not None:
        sampler = sampler_of(folder)
        return next((each for each in models if each.settings.sampler == sampler), models[0])
    variant = str(model).partition("@")[2] if is_hub_id(str(model)) else ""
    for each in models:
        if each.variant == variant:
            return each
    variants = ", ".join(each.hub_id for each in models)
    raise ModelError(f"{model}: no variant {variant!r} is known; known are {variants}")


def _of_file(named: FileModel, models: Sequence[PublishedModel]) -> PublishedModel | None:
    """The published model that a `.pt` file is by its name or kind; None where neither says it."""
    for each in models:
        published_name = Path(each.checkpoint.file).name if each.checkpoint else None
        if named.file.name == published_name or (named.kind and named.kind == each.variant.partition("/")[0]):
            return each
    if not named.kind:
        return None
    kinds = ", ".join(f"{named.file}@{each.variant}" for each in models if each.variant)
    raise ModelError(f"{named.file}: no kind {named.kind!r} of model is known; name it as {kinds}, or @edge alone")

"""What is in one of NVIDIA's `.pt` files of Transfer2.5, and what keeps it from being used; without PyTorch.

Beside the published files, those count that `convert_distcp_to_pt.py` of cosmos-transfer2.5 makes of a training:
`model.pt` holds the weights and their moving average, `model_ema_bf16.pt` and `model_ema_fp32.pt` the average
alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cosmos_batch.engines.inprocess.torch_files.archive import StoredTensor, read_torch_file
from cosmos_batch.engines.inprocess.transfer25.config import NetworkConfig
from cosmos_batch.engines.inprocess.transfer25.weights.nvidia_names import (
    NetworkPart,
    TensorName,
    image_names,
    names,
    network_config,
    short,
)
from cosmos_batch.errors import ModelError

_PREFIXES = ("net_ema.", "net.")  # the moving average goes before the weights that it is of
_TRAINING = ("net_fake_score.", "net_teacher.", "net_discriminator_head.")  # of a distillation
_IDLE = re.compile(r"(^|\.)_extra_state$|^accum_|^pos_embedder\.")  # counters, and tables that are computed
_FORMATS = ("bfloat16", "float16", "float32", "float64")
_REMEDY = "needed is a network of Cosmos-Transfer2.5 for one control (edge, vis, depth or seg)"

_OTHERS = {  # a tensor's name -> the network that has it
    r"lora_": "has low-rank adapters (LoRA) beside its weights: merge them into the weights and save it again",
    r"(^|\.)view_embeddings\.|adaln_view_embedder": "is a network of several cameras (multiview)",
    r"cam_encoder|camera_embed|plucker": "is a network that takes the path of a camera (plenoptic)",
    r"(^|\.)control_blocks_\d+\.": "holds the branches of several controls in one network",
    r"(^|\.)input_hint_block\.": "is a network whose controls pass an input_hint_block",
    r"blocks\.block\d+\.|(^|\.)(net_ctrl|base_model)\.": "is a network of Cosmos-Transfer1",
    r"_moe_gen(\.|$)|\.(to_add_out|add_q_proj)\.": "is a network of Cosmos 3",
    r"(^|\.)(transformer_blocks\.\d+|patch_embed)\.": "holds tensors by diffusers' names, which belong into "
    "safetensors files beside a config.json",
    r"(^|\.)(language_model|embed_tokens)\.": "is a language model",
    r"^(encoder|decoder)\.": "is an autoencoder",
}


@dataclass(frozen=True)
class NvidiaFile:
    """A file whose tensors are those of a Transfer2.5 network, as far as their names say."""

    path: Path
    stored: Mapping[str, StoredTensor]  # by the names in the file
    stored_names: Mapping[str, str]  # names without prefix -> names in the file

    @cached_property
    def config(self) -> NetworkConfig:
        """The sizes of the network. Raises ModelError where its tensors do not give them."""
        try:
            return network_config({name: self.stored[there].shape for name, there in self.stored_names.items()})
        except ModelError as exc:
            raise ModelError(f"{self.path}: {exc}; {_REMEDY}") from exc

    def has(self, part: NetworkPart) -> bool:
        """Whether a network is in the file."""
        return any(name.startswith(f"{part.blocks}.") for name in self.stored_names)

    def names(self, part: NetworkPart, config: NetworkConfig) -> list[TensorName]:
        """The tensors that a network in this file must have; with those of the image context, if it has one."""
        image = any(name.startswith("img_context_proj.") for name in self.stored_names)
        return names(part, config) + (image_names(part, config) if image else [])

    def problems(self, part: NetworkPart, config: NetworkConfig) -> list[str]:
        """What keeps a network of these sizes from being loaded from this file, each with the tensors' names."""
        if not self.has(part):
            absent = "branch of a control" if part is NetworkPart.BRANCH else "base network"
            return [f"{self.path}: holds no {absent}; {_REMEDY}"]
        try:
            own = self.config
        except ModelError as exc:
            return [str(exc)]
        wanted = self.names(part, config)
        known = {name.nvidia for each in NetworkPart for name in (*names(each, own), *image_names(each, own))}
        lacking = [name.nvidia for name in wanted if name.nvidia not in self.stored_names]
        unknown = [there for name, there in self.stored_names.items() if name not in known]
        misfits = [message for name in wanted if (message := self._misfit(name))]
        kinds = {"lacks {} of the network": lacking, "holds {} that no such network has": unknown}
        kinds |= {"has {} of another size or format than the rest": misfits}
        return [
            f"{self.path}: {kind.format(_tensors(found))}: {short(found)}; {_REMEDY}"
            for kind, found in kinds.items()
            if found
        ]

    def _misfit(self, name: TensorName) -> str:
        tensor = self.stored.get(self.stored_names.get(name.nvidia, ""))
        if tensor is None:
            return ""
        if not name.has_shape(tensor.shape):
            return f"{name.nvidia} {list(tensor.shape)}, needed is {name.shown_shape}"
        if tensor.dtype not in _FORMATS:
            return f"{name.nvidia} in {tensor.dtype}, needed is {' or '.join(_FORMATS)}"
        return ""


def read_nvidia_file(path: Path) -> NvidiaFile:
    """Read what is in a file. Raises ModelError for a damaged one, and for one of another network."""
    stored = read_torch_file(path).tensors
    found = _without_prefix(stored)
    for pattern, kind in _OTHERS.items():
        sample = next((there for there in found.values() if re.search(pattern, there)), None)
        if sample is not None:
            raise ModelError(f"{path}: {kind} (tensor {sample!r}); {_REMEDY}")
    file = NvidiaFile(path, stored, found)
    if not any(file.has(part) for part in NetworkPart):
        raise ModelError(f"{path}: is no network of Transfer2.5: it holds {short(sorted(stored), 3)}; {_REMEDY}")
    return file


def _without_prefix(stored: Iterable[str]) -> dict[str, str]:
    """Names without prefix -> names in the file, without what a network does not need."""

    def prefix_of(name: str) -> str:
        return next((prefix for prefix in _PREFIXES if name.startswith(prefix)), "")

    found: dict[str, str] = {}
    order = (*_PREFIXES, "")
    for there in sorted(stored, key=lambda name: order.index(prefix_of(name))):
        name = there.removeprefix(prefix_of(there))
        if not there.startswith(_TRAINING) and not _IDLE.search(name):
            found.setdefault(name, there)
    return found


def _tensors(found: list[str]) -> str:
    return f"{len(found)} tensor{'s' if len(found) > 1 else ''}"

"""Transfer2.5 as a model family."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cosmos_batch.engines.inprocess.model_files import ModelFolders, PublishedModel
from cosmos_batch.engines.inprocess.model_settings import ModelSettings
from cosmos_batch.engines.inprocess.options import Options, Part
from cosmos_batch.engines.inprocess.transfer25.published import DISTILLED, PUBLISHED
from cosmos_batch.engines.inprocess.transfer25.traits import traits_of_model
from cosmos_batch.planning.traits import Traits

if TYPE_CHECKING:
    import torch

    from cosmos_batch.engines.inprocess.family import Network
    from cosmos_batch.engines.inprocess.text.base import TextEncoder
    from cosmos_batch.engines.inprocess.text.context_store import ContextStore


@dataclass(frozen=True, slots=True)
class Transfer25:
    """Cosmos-Transfer2.5-2B and models of its architecture, such as the pocket model; see `family.ModelFamily`."""

    name: str = "transfer"
    network_class: str = "CosmosTransformer3DModel"
    models: tuple[PublishedModel, ...] = (PUBLISHED, DISTILLED)

    def traits(self, settings: ModelSettings, controls: frozenset[str]) -> Traits:
        """A model as the planner sees it, with the control branches that it has."""
        return traits_of_model(settings, controls)

    def load(
        self,
        folders: ModelFolders,
        text: TextEncoder,
        devices: tuple[torch.device, ...],
        dtype: torch.dtype,
        options: Options,
        contexts: ContextStore | None = None,
    ) -> Network:
        """Load base network and text memory; branches load at the launches that use them."""
        from cosmos_batch.engines.inprocess.transfer25.branches import Networks
        from cosmos_batch.engines.inprocess.transfer25.network import TransferNetwork

        offload = Part.BRANCHES in options.offload
        copies = [
            Networks(folders, device, dtype, approximations=options.approximations, offload_branches=offload)
            for device in devices
        ]
        second = copies[1] if len(copies) > 1 else None
        return TransferNetwork(copies[0], text, second, contexts)


TRANSFER25 = Transfer25()

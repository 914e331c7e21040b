"""Transfer2.5's network as the engine uses it: base and branches, what they read of prompts, passes."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from cosmos_batch.engines.inprocess.family import Chunk
from cosmos_batch.engines.inprocess.gpu.host_device import memory_of
from cosmos_batch.engines.inprocess.sampling.cfg_parallel import SplitForward
from cosmos_batch.engines.inprocess.sampling.cuda_graphs import GraphCache
from cosmos_batch.engines.inprocess.sampling.samples import Conditioning, Passes
from cosmos_batch.engines.inprocess.text.base import TextEncoder
from cosmos_batch.engines.inprocess.text.context_store import ContextStore
from cosmos_batch.engines.inprocess.text.lru_cache import FeatureCache
from cosmos_batch.engines.inprocess.transfer25.batch_layout import Layout, ReadText
from cosmos_batch.engines.inprocess.transfer25.branches import Networks
from cosmos_batch.engines.inprocess.transfer25.conditioning import conditioning
from cosmos_batch.engines.inprocess.transfer25.forward import Forward, NoiseLevels
from cosmos_batch.engines.inprocess.transfer25.transformer import ControlBranch, Text, Transformer

_BASE = "base"
_TEXT_SHARE = 20
"""One part in so many of the device's memory is for keys and values of prompts."""


class TransferNetwork:
    """Base network, control branches and text memory; see `family.Network`."""

    def __init__(
        self,
        first: Networks,
        text: TextEncoder,
        second: Networks | None = None,
        contexts: ContextStore | None = None,
    ) -> None:
        """Take the networks in.

        Args:
            first: computes all passes, or the guided ones where there is a second.
            text: gives features of prompts, on any device.
            second: the same networks on another device, for the unguided passes.
            contexts: keeps what the networks make of prompts between processes; None: nothing is kept.
        """
        self._first = first
        self._second = second
        self._text = text
        self._contexts = contexts
        self._settings = first.settings
        self._texts = FeatureCache[Text](memory_of(first.device) // _TEXT_SHARE)
        self._passes: Passes | None = None

    @property
    def device(self) -> torch.device:
        """The device of the latents."""
        return self._first.device

    @property
    def devices(self) -> tuple[torch.device, ...]:
        """All devices that hold a copy of the network."""
        return tuple(networks.device for networks in self._copies)

    @property
    def pending_bytes(self) -> int:
        """Bytes of the device's memory that the text encoder takes once it is loaded."""
        return self._text.pending_bytes

    @property
    def arithmetic(self) -> dict[str, str]:
        """The kernels of attention and of what stands between the matrix products."""
        return self._first.arithmetic

    @property
    def loaded(self) -> tuple[str, ...]:
        """The controls whose branches are in memory."""
        return self._first.loaded

    @property
    def _copies(self) -> tuple[Networks, ...]:
        return (self._first,) if self._second is None else (self._first, self._second)

    def keep_only(self, controls: Iterable[str]) -> None:
        """Load the branches of these controls and free all others. Raises ModelError if the model lacks one."""
        wanted = set(controls)
        if not wanted.issuperset(self.loaded):
            self._passes = None  # small steps are recorded with the weights' places in memory
        for networks in self._copies:
            networks.keep_only(wanted)

    def rest(self) -> None:
        """Leave the device's memory to another part of the model, where branches are offloaded."""
        self._first.rest()

    def forget(self) -> None:
        """Free what is kept of prompts and small steps."""
        self._texts.clear()
        if self._passes is not None:
            self._passes.forget()

    def read_prompt(self, prompt: str) -> None:
        """Compute and keep a prompt's keys and values."""
        self.read(_BASE, prompt)

    def tokens(self, frames: int, height: int, width: int) -> int:
        """Tokens of latents of that size."""
        patch = self._first.config.patch
        return frames * (height // patch) * (width // patch)

    def conditioning(self, chunk: Chunk) -> Conditioning:
        """Compute what a chunk is denoised from."""
        return conditioning(chunk, self._first.config.patch, self._settings.sampler)

    def passes(self) -> Passes:
        """The network's pass over a batch, valid until branches are freed."""
        if self._passes is None:
            self._passes = self._new_passes()
        return self._passes

    @torch.no_grad()
    def read(self, network: str, prompt: str) -> Text:
        """A prompt's keys and values for "base" or a control's branch; one row."""
        key = _key(network, prompt)
        found = self._texts.get(key)
        if found is None:
            self._read_all(prompt)
            found = self._texts.get(key)
        if found is None:  # another branch than those loaded, or a prompt too large to keep
            found = self._stem(network).read_context(self._context(network, prompt, self.encode_prompt(prompt)))
        return found

    def _new_passes(self) -> Passes:
        levels = NoiseLevels(self._settings.known_sigma, self._settings.bfloat16_levels)
        first = _forward(self._first, self.read, levels)
        if self._second is None:
            return first
        device = self._second.device

        def read(network: str, prompt: str) -> Text:
            return self.read(network, prompt).to(device)

        return SplitForward(first, _forward(self._second, read, levels))

    def _read_all(self, prompt: str) -> None:
        """Read a prompt for every network in memory: features are slow to compute, so once, if at all."""
        networks = (_BASE, *self._first.loaded)
        contexts = {network: self._kept_context(network, prompt) for network in networks}
        if None in contexts.values():
            features = self.encode_prompt(prompt)
            contexts = {network: self._context(network, prompt, features) for network in networks}
        for network, context in contexts.items():
            assert context is not None
            text = self._stem(network).read_context(context)
            size = 2 * text.keys.nelement() * text.keys.element_size()
            self._texts.put(_key(network, prompt), text, size)

    def encode_prompt(self, prompt: str) -> Tensor:
        """A prompt -> features [L, text_dim]; they are not kept."""
        self._first.rest()
        return self._text.encode(prompt)

    def _kept_context(self, network: str, prompt: str) -> Tensor | None:
        kept = None if self._contexts is None else self._contexts.get(network, prompt)
        return None if kept is None else kept.to(self.device)

    def _context(self, network: str, prompt: str, features: Tensor) -> Tensor:
        """A network's text tokens of a prompt's features [L, text_dim], which are kept."""
        context = self._stem(network).context(features.to(self.device, self._first.dtype).unsqueeze(0))
        if self._contexts is not None:
            self._contexts.put(network, prompt, context)
        return context

    def _stem(self, network: str) -> Transformer | ControlBranch:
        return self._first.base if network == _BASE else self._first.branch(network)


def _forward(networks: Networks, read: ReadText, levels: NoiseLevels) -> Forward:
    """The pass on one device; small steps are recorded where the weights stay in their places."""
    graphs = GraphCache[Layout](networks.device) if networks.stay else None
    return Forward(networks.base, networks.branch, read, networks.device, graphs, levels)


def _key(network: str, prompt: str) -> str:
    return f"{network}\0{prompt}"

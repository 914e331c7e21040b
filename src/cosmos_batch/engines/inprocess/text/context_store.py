"""Texts as the networks read them, kept on disk between processes.

A prompt's features need a text encoder of 14 GB in memory; what a network makes of them is 1 MB. So a process
whose prompts were all read before, by the same model on the same kind of device, never loads the text encoder.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from cosmos_batch.engines.inprocess.gpu.host_device import PendingCopy
from cosmos_batch.errors import StorageError
from cosmos_batch.media.atomic import replacing

MAX_BYTES = 1 << 30
"""Size of the folder above which the least recently used texts are removed."""

_SUFFIX = ".safetensors"
_DIGEST = "blake2b"


class ContextStore:
    """A folder of texts. Any number of processes may share it. An entry whose bytes changed counts as absent."""

    def __init__(
        self,
        folder: Path,
        model: str,
        weights: Mapping[str, str] | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        """
        Args:
            folder: holds the texts; it is made at the first one.
            model: identifies what all texts depend on beside the prompt: text encoder, device, versions.
            weights: identifies each network; texts of one network do not depend on the others.
            max_bytes: size of the folder above which the least recently used texts are removed.
        """
        self._folder = folder
        self._model = model
        self._weights = weights or {}
        self._max_bytes = max_bytes
        self._writer = ThreadPoolExecutor(1, "texts")

    def get(self, network: str, prompt: str) -> Tensor | None:
        """What a network made of a prompt, on the CPU; None if it is not kept."""
        file = self._file(network, prompt)
        try:
            with safe_open(file, framework="pt") as opened:
                wanted = (opened.metadata() or {}).get(_DIGEST)
                tensor: Tensor = opened.get_tensor("context")
            if _digest(tensor) != wanted:
                return None
            os.utime(file)
        except (OSError, SafetensorError):
            return None
        return tensor

    def put(self, network: str, prompt: str, context: Tensor) -> None:
        """Keep what a network made of a prompt. Where the folder cannot be written, nothing is kept.

        Beside a GPU a thread writes it, so that the device does not wait for the disk.
        """
        file, pending = self._file(network, prompt), PendingCopy(context)
        if context.device.type == "cpu":
            self._write(file, pending)
        else:
            self._writer.submit(self._write, file, pending)

    def _write(self, file: Path, pending: PendingCopy) -> None:
        kept = pending.result()
        with suppress(OSError, StorageError):
            self._folder.mkdir(parents=True, exist_ok=True)
            with replacing(file) as part:
                save_file({"context": kept}, part, metadata={_DIGEST: _digest(kept)})
            self._evict()

    def _evict(self) -> None:
        marks = ((file, file.stat()) for file in self._folder.glob(f"*{_SUFFIX}"))
        entries = sorted((mark.st_mtime, file, mark.st_size) for file, mark in marks)
        total = sum(size for _, _, size in entries)
        for _, file, size in entries:
            if total <= self._max_bytes:
                return
            file.unlink(missing_ok=True)
            total -= size

    def _file(self, network: str, prompt: str) -> Path:
        key = json.dumps([self._model, network, self._weights.get(network, ""), prompt])
        return self._folder / f"{hashlib.blake2b(key.encode(), digest_size=20).hexdigest()}{_SUFFIX}"


def _digest(tensor: Tensor) -> str:
    return hashlib.blake2b(tensor.view(-1).view(torch.uint8).numpy().data, digest_size=16).hexdigest()

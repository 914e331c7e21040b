"""Prompts and videos of the runs that join next, encoded between the steps of the runs that are denoised."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from traceback import clear_frames

import torch

from cosmos_batch.engines.inprocess.io.prefetch import VideoPrefetcher
from cosmos_batch.engines.inprocess.model import Model
from cosmos_batch.engines.inprocess.request import parts_of_start
from cosmos_batch.errors import CosmosBatchError
from cosmos_batch.run import ResolvedRun


class PreEncoder:
    """Encodes the prompts and prefetched videos of the runs that join next, one part at a time.

    A part is launched after a denoising step, and launching it takes little time, so the device is never idle
    because of it. The model keeps the results until the run joins. An error is reported when the run joins.
    """

    def __init__(self, model: Model, prefetch: VideoPrefetcher) -> None:
        self._model = model
        self._prefetch = prefetch
        self._parts: deque[tuple[ResolvedRun, Iterator[None]]] = deque()  # left of each run
        self._enabled = True

    def enable(self, enabled: bool) -> None:
        """Allow or forbid spending time of the device."""
        self._enabled = enabled

    def encode_part(self) -> bool:
        """Encode the next part; False if there is none."""
        if not self._enabled:
            return False
        fresh = self._prefetch.fresh()
        self._parts.extend((run, parts_of_start(self._model, run, videos)) for run, videos in fresh)
        while self._parts:
            run, parts = self._parts[0]
            if self._prefetch.expects(run) and self._encoded(parts):
                return True
            self._parts.popleft()
        return False

    def encode_all(self) -> None:
        """Encode all parts that are left."""
        while self.encode_part():
            pass

    def _encoded(self, parts: Iterator[None]) -> bool:
        """Encode the next of these parts; False if there is none, or it failed."""
        try:
            return next(parts, self) is not self
        except torch.OutOfMemoryError as exc:
            clear_frames(exc.__traceback__)
            self._model.forget()
        except CosmosBatchError:
            pass
        return False

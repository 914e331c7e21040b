"""What the runs that come next ask of the model, done while others are denoised."""

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
    """Has the model read the prompts and encode the videos that were read ahead, a part at a time.

    A part is launched behind a denoising step, and is soon launched: so the device is never without work for it.
    What comes of it is kept by the model, and found when the run joins; what goes wrong is said then.
    """

    def __init__(self, model: Model, prefetch: VideoPrefetcher) -> None:
        self._model = model
        self._prefetch = prefetch
        self._parts: deque[tuple[ResolvedRun, Iterator[None]]] = deque()  # left of each run
        self.may = True  # whether the device's time is to be spent on it

    def part(self) -> bool:
        """Do the next part; False if there is none."""
        if not self.may:
            return False
        fresh = self._prefetch.fresh()
        self._parts.extend((run, parts_of_start(self._model, run, videos)) for run, videos in fresh)
        while self._parts:
            run, parts = self._parts[0]
            if self._prefetch.expects(run) and self._did(parts):
                return True
            self._parts.popleft()
        return False

    def all(self) -> None:
        """Do all parts that are left."""
        while self.part():
            pass

    def _did(self, parts: Iterator[None]) -> bool:
        """Whether there was another one, and it could be done."""
        try:
            return next(parts, self) is not self
        except torch.OutOfMemoryError as exc:
            clear_frames(exc.__traceback__)
            self._model.forget()
        except CosmosBatchError:
            pass
        return False

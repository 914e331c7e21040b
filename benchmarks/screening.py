"""What the engine made, before it was compressed."""

from __future__ import annotations

from cosmos_batch.engines.inprocess.guardrail import NoGuardrail
from cosmos_batch.media.video import Frames


class Screening(NoGuardrail):
    """Lets everything pass, and keeps the frames."""

    def __init__(self) -> None:
        self.seen: list[Frames] = []

    def check_video(self, frames: Frames) -> Frames | None:
        """The same frames."""
        self.seen.append(frames)
        return frames

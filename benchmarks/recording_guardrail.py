"""Keeps the frames that an engine made, before compression."""

from __future__ import annotations

from cosmos_batch.engines.inprocess.guardrail import NoGuardrail
from cosmos_batch.media.video import Frames


class RecordingGuardrail(NoGuardrail):
    """Passes every video, and keeps its frames in order."""

    def __init__(self) -> None:
        self.videos: list[Frames] = []

    def check_video(self, frames: Frames) -> Frames | None:
        """Keep the frames and return them."""
        self.videos.append(frames)
        return frames

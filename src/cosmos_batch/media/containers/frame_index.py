"""Index of a video's frames: when each is shown, and which of them a span holds."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from cosmos_batch.errors import MediaError
from cosmos_batch.spans import Span


@dataclass(frozen=True, slots=True)
class FrameIndex:
    """The frames of a file in the order in which they are shown."""

    times: Sequence[int]  # of each frame, ascending, in `unit`
    unit: Fraction  # seconds
    exact: bool  # from the container: the file can be read from the middle

    def chosen(self, span: Span, video: str) -> range:
        """The numbers of a span's frames.

        A frame belongs to a span in seconds where it is shown from half the shortest interval between frames
        before its start to as much before its end, so that rounded times choose the frames that were meant.
        Raises MediaError, in which the text `video` names the video, for a span that the file does not hold.
        """
        found = self._by_time(span) if span.in_seconds else self._by_number(span)
        count = len(self.times)
        has = f"it has {count} frames" + (f", of {self._seconds(count):g} s" if span.in_seconds else "")
        if found.start >= count:
            raise MediaError(f"{video}: its span begins after its end: {has}; correct the span")
        if not found:
            raise MediaError(f"{video}: no frame is shown within its span: {has}; make the span longer")
        if found.stop > count:
            raise MediaError(f"{video}: its span is longer than the rest of the video: {has}; correct the span")
        return found

    def _by_number(self, span: Span) -> range:
        start = int(span.start)
        return range(start, len(self.times) if span.length is None else start + int(span.length))

    def _by_time(self, span: Span) -> range:
        count, half = len(self.times), self._shortest_interval() / 2
        start = self._first_from(span.start - half)
        if span.length is None:
            return range(start, count)
        end = span.start + span.length
        past = end > self._seconds(count) + half
        return range(start, count + 1 if past and start < count else self._first_from(end - half))

    def _first_from(self, seconds: float) -> int:
        """The first frame that is shown at that time, or later."""
        return bisect_left(self.times, seconds, key=lambda time: float((time - self.times[0]) * self.unit))

    def _shortest_interval(self) -> float:
        """The shortest time between two frames; of one frame a tenth of a second."""
        return float(min((after - before for before, after in pairwise(self.times)), default=0) * self.unit) or 0.1

    def _interval(self) -> float:
        """The mean time between two frames; of one frame a tenth of a second."""
        steps = len(self.times) - 1
        return float((self.times[-1] - self.times[0]) * self.unit) / steps if steps else 0.1

    def _seconds(self, count: int) -> float:
        """The time at which the last of so many frames ends."""
        return float((self.times[count - 1] - self.times[0]) * self.unit) + self._interval()

"""The smallest card on which a video can be made: `python -m benchmarks.gpu.small_cards --model DIR`.

A larger card stands for the smaller ones: PyTorch may allocate no more than a card of that size has, less what
CUDA itself takes. On each, one whole video of a few steps goes through the real engine, from prompt to file, with
a prompt that is not cached. For a set of options the engine is loaded once, on the smallest card that suffices.
Each set has an equal share of the time: videos with few controls come first, and cases for which the time does
not suffice are left out and listed.

The search for a case begins on the card that it is predicted to need, and goes up after a failure, down where the
peak is below the next smaller card. The prediction is that of the shipped profile, or the peak of the same video
with more parts offloaded, if that is more. Columns:

- card: the smallest on which the video succeeded, of those tried;
- peak: of the memory that PyTorch allocated there, in GiB; caches of earlier videos are dropped before;
- s/step: seconds of the last denoising step, guided and unguided;
- text, encode, decode: seconds for the prompt and the negative prompt, for all control videos, for the result.

Needs a model's folder, such as `benchmarks.gpu.folder` writes. On the CPU, whose memory is not limited, every
video succeeds on the smallest card.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from benchmarks.gpu.cards import GIB, PARTS, CardTrial, VideoCase, VideoCost
from cosmos_batch.controls import TRANSFER_CONTROLS
from cosmos_batch.engines.inprocess.engine import InProcessEngine
from cosmos_batch.engines.inprocess.options import Approximation, Options, Part

CARDS = (8, 12, 16, 24, 32)
SIZES = ("320x192", "832x480", "1280x704")
SETS = ("text", "text,vae,branches,tiles", "text,vae,branches", "")
TILES = "tiles"


def options_of(words: str) -> Options:
    """Parse options such as "text,vae,tiles"."""
    names = {word for word in words.split(",") if word}
    approximations = {Approximation.VAE_TILING} if TILES in names else set()
    return Options(frozenset(map(Part, names - {TILES})), frozenset(approximations))


@dataclass(frozen=True)
class CardResult:
    """The smallest card for a case with a set of options; None: no card suffices."""

    words: str
    case: VideoCase
    card: int | None
    cost: VideoCost | None


def smallest(
    cards: Sequence[int], predicted: float, attempt: Callable[[int], VideoCost | None]
) -> tuple[int, VideoCost] | None:
    """The smallest card on which an attempt succeeds, and its cost; None: it succeeds on none.

    Args:
        cards: GiB, rising.
        predicted: bytes that the video is predicted to need; the search begins there.
        attempt: makes the video on a card of so many GiB; None: it ran out of memory.
    """
    place = next((place for place, card in enumerate(cards) if card * GIB >= predicted), len(cards) - 1)
    failed, best = -1, None
    while place < len(cards):
        found = attempt(cards[place])
        if found is None and best is not None:
            break
        if found is None:
            failed, place = place, place + 1
            continue
        best = (cards[place], found)
        place -= 1
        if place <= failed or found.peak > cards[place] * GIB:
            break
    return best


class PeakRecords:
    """Measured peaks, by case and options."""

    def __init__(self) -> None:
        self._peaks: list[tuple[str, Options, int]] = []

    def add(self, case: VideoCase, options: Options, peak: int) -> None:
        """Record the peak of a video with these options, in bytes."""
        self._peaks.append((str(case), options, peak))

    def least(self, case: VideoCase, options: Options) -> int:
        """A lower bound of the peak, in bytes: that of the same video with at least as much offloaded."""
        return max(
            (
                peak
                for name, other, peak in self._peaks
                if name == str(case)
                and other.offload >= options.offload
                and other.approximations >= options.approximations
            ),
            default=0,
        )


@dataclass
class CardSearch:
    """Searches the smallest card for sets of options and cases, within a time."""

    trial: CardTrial
    cards: Sequence[int]
    seconds: float
    peaks: PeakRecords = field(default_factory=PeakRecords)
    rows: list[CardResult] = field(default_factory=list)
    begin: float = field(default_factory=time.perf_counter)

    def run(self, sets: Sequence[str], cases: Sequence[VideoCase]) -> None:
        """Add a row for each set of options and case."""
        for place, words in enumerate(sets, start=1):
            self._over_cases(words, cases, self.seconds * place / len(sets))

    def _over_cases(self, words: str, cases: Sequence[VideoCase], until: float) -> None:
        if self._late(until, f"{words or 'none'}: all"):
            return
        loaded = self.trial.load(options_of(words), self.cards)
        held = f"loaded, {self.trial.device.held() / GIB:.1f} GiB" if loaded else "does not load"
        self._say(f"{words or 'none'}: {held}")
        for case in cases:
            if loaded is None:
                self.rows.append(CardResult(words, case, None, None))
            elif not self._late(until, f"{words or 'none'}: {case}"):
                self._row(words, case, *loaded)

    def _row(self, words: str, case: VideoCase, engine: InProcessEngine, least: int) -> None:
        options = options_of(words)
        predicted = (
            max(case.predicted_bytes(options), self.peaks.least(case, options)) if self.trial.device.on_gpu else 0
        )
        cards = [card for card in self.cards if card >= least]
        best = smallest(cards, predicted, partial(self.trial.attempt, engine, case))
        if best is not None:
            self.peaks.add(case, options, best[1].peak)
        self.rows.append(CardResult(words, case, *(best or (None, None))))

    def _late(self, until: float, what: str) -> bool:
        late = time.perf_counter() - self.begin > until
        if late:
            self._say(f"{what} left out, the time is used up")
        return late

    def _say(self, line: str) -> None:
        print(f"[{time.perf_counter() - self.begin:.0f} s] {line}", flush=True)


def print_table(rows: Sequence[CardResult]) -> None:
    """Print the rows as Markdown."""
    print("| options | video | card, GiB | peak, GiB | s/step | text, s | encode, s | decode, s |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for row in rows:
        name = f"| {row.words or 'none'} | {row.case} "
        if row.cost is None:
            print(f"{name}| none of these | | | | | |")
            continue
        parts = " | ".join(f"{row.cost.parts.get(part, 0.0):.2f}" for part in PARTS)
        print(f"{name}| {row.card} | {row.cost.peak / GIB:.1f} | {row.cost.step:.3f} | {parts} |")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="The smallest card for a video.")
    parser.add_argument("--model", required=True, help="a folder in the diffusers layout")
    parser.add_argument("--sizes", default=" ".join(SIZES), help="with spaces between")
    parser.add_argument("--sets", nargs="*", default=SETS, help="of options, such as text,vae,branches,tiles")
    parser.add_argument("--controls", default="1 4", help="numbers of controls")
    parser.add_argument("--cards", default=" ".join(map(str, CARDS)), help="GiB, rising")
    parser.add_argument("--frames", type=int, default=93)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=150.0, help="after which no video is begun")
    parser.add_argument("--json", type=Path, help="also write everything here")
    given = parser.parse_args(arguments)
    cases = [
        VideoCase(int(width), int(height), given.frames, _first(int(count)), given.steps)
        for count in given.controls.split()
        for width, height in (size.split("x") for size in given.sizes.split())
    ]
    with tempfile.TemporaryDirectory() as folder:
        search = CardSearch(
            CardTrial(given.model, Path(folder)), [int(card) for card in given.cards.split()], given.seconds
        )
        search.run(given.sets, cases)
    if given.json:
        given.json.write_text(json.dumps([asdict(row) for row in search.rows], indent=1))
    print_table(search.rows)


def _first(count: int) -> tuple[str, ...]:
    """The first `count` controls, in the order edge first."""
    return tuple(sorted(sorted(TRANSFER_CONTROLS, key=lambda name: name != "edge")[:count]))


if __name__ == "__main__":
    main()

"""The smallest card on which a video can be made: `python -m benchmarks.gpu.small_cards --model DIR`.

A larger card plays the smaller ones: PyTorch may take no more of it than a card of so many GiB has, less what CUDA
itself takes. On each, one whole video of a few steps goes through the real engine, from prompt to file, with a
prompt that it has not read before. For a set of options the engine is loaded once, on the smallest card on which
it loads, and each set has an equal share of the time: videos with few controls come first, and what the time does
not suffice for is left out and said.

Every case begins on the card that it is believed to need, and goes up where that fails, down where the peak leaves
room. What it is believed to need is what the profile that ships says, or what the same video took with more parts
offloaded, if that is more. Columns:

- card: the smallest on which it went well, of those tried;
- peak: of what PyTorch held of the device's memory there, in GiB; nothing is kept of the videos before it;
- s/step: seconds of the last denoising step, guided and unguided;
- text, encode, decode: seconds for the prompt and the negative prompt, for all control videos, for the result.

Needs a model's folder, such as `benchmarks.gpu.folder` writes. On the CPU, where nothing bounds the memory, it
goes through the motions.
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

from benchmarks.gpu.cards import GIB, PARTS, Case, Found, Stage
from cosmos_batch.controls import TRANSFER_CONTROLS
from cosmos_batch.engines.inprocess.engine import TransferEngine
from cosmos_batch.engines.inprocess.options import Approximation, Options, Part

CARDS = (8, 12, 16, 24, 32)
SIZES = ("320x192", "832x480", "1280x704")
SETS = ("text", "text,vae,branches,tiles", "text,vae,branches", "")
TILES = "tiles"


def options_of(words: str) -> Options:
    """From "text,vae,tiles"."""
    names = {word for word in words.split(",") if word}
    approximations = {Approximation.VAE_TILING} if TILES in names else set()
    return Options(frozenset(map(Part, names - {TILES})), frozenset(approximations))


@dataclass(frozen=True)
class Row:
    """The smallest card for a case with some options; None: none of them."""

    words: str
    case: Case
    card: int | None
    found: Found | None


def smallest(
    cards: Sequence[int], believed: float, attempt: Callable[[int], Found | None]
) -> tuple[int, Found] | None:
    """The smallest card on which an attempt goes well, and what it took; None: it goes well on none.

    Args:
        cards: GiB, rising.
        believed: bytes that it is believed to take; where to begin.
        attempt: on a card of so many GiB; None: its memory does not suffice.
    """
    place = next((place for place, card in enumerate(cards) if card * GIB >= believed), len(cards) - 1)
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


class Known:
    """What videos took, by case and what was offloaded."""

    def __init__(self) -> None:
        self._peaks: list[tuple[str, Options, int]] = []

    def add(self, case: Case, options: Options, peak: int) -> None:
        """A video with these options took so many bytes."""
        self._peaks.append((str(case), options, peak))

    def least(self, case: Case, options: Options) -> int:
        """Bytes that the same video took with at least as much offloaded, and so takes with these, too."""
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
class Survey:
    """Goes through sets of options and cases, within a time."""

    stage: Stage
    cards: Sequence[int]
    seconds: float
    known: Known = field(default_factory=Known)
    rows: list[Row] = field(default_factory=list)
    begin: float = field(default_factory=time.perf_counter)

    def go(self, sets: Sequence[str], cases: Sequence[Case]) -> None:
        """A row for each set of options and case."""
        for place, words in enumerate(sets, start=1):
            self._over_cases(words, cases, self.seconds * place / len(sets))

    def _over_cases(self, words: str, cases: Sequence[Case], until: float) -> None:
        if self._late(until, f"{words or 'none'}: all"):
            return
        loaded = self.stage.load(options_of(words), self.cards)
        held = f"loaded, {self.stage.device.held() / GIB:.1f} GiB" if loaded else "does not load"
        self._say(f"{words or 'none'}: {held}")
        for case in cases:
            if loaded is None:
                self.rows.append(Row(words, case, None, None))
            elif not self._late(until, f"{words or 'none'}: {case}"):
                self._row(words, case, *loaded)

    def _row(self, words: str, case: Case, engine: TransferEngine, least: int) -> None:
        options = options_of(words)
        believed = max(case.believed(options), self.known.least(case, options)) if self.stage.device.on_gpu else 0
        cards = [card for card in self.cards if card >= least]
        best = smallest(cards, believed, partial(self.stage.attempt, engine, case))
        if best is not None:
            self.known.add(case, options, best[1].peak)
        self.rows.append(Row(words, case, *(best or (None, None))))

    def _late(self, until: float, what: str) -> bool:
        late = time.perf_counter() - self.begin > until
        if late:
            self._say(f"{what} left out, the time is over")
        return late

    def _say(self, line: str) -> None:
        print(f"[{time.perf_counter() - self.begin:.0f} s] {line}", flush=True)


def print_table(rows: Sequence[Row]) -> None:
    """As Markdown."""
    print("| options | video | card, GiB | peak, GiB | s/step | text, s | encode, s | decode, s |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for row in rows:
        name = f"| {row.words or 'none'} | {row.case} "
        if row.found is None:
            print(f"{name}| none of these | | | | | |")
            continue
        parts = " | ".join(f"{row.found.parts.get(part, 0.0):.2f}" for part in PARTS)
        print(f"{name}| {row.card} | {row.found.peak / GIB:.1f} | {row.found.step:.3f} | {parts} |")


def main() -> None:
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
    given = parser.parse_args()
    cases = [
        Case(*map(int, size.split("x")), given.frames, _first(int(count)), given.steps)  # type: ignore[misc]
        for count in given.controls.split()
        for size in given.sizes.split()
    ]
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(given.model, Path(folder))
        survey = Survey(stage, [int(card) for card in given.cards.split()], given.seconds)
        survey.go(given.sets, cases)
    if given.json:
        given.json.write_text(json.dumps([asdict(row) for row in survey.rows], indent=1))
    print_table(survey.rows)


def _first(count: int) -> tuple[str, ...]:
    """So many controls, edge first."""
    return tuple(sorted(sorted(TRANSFER_CONTROLS, key=lambda name: name != "edge")[:count]))


if __name__ == "__main__":
    main()

"""The best video so far of a run that has to reach scores, kept until an attempt is accepted or none is left.

`.cosmos-batch/kept/<run>-<key>/<attempt>/` holds the files of an attempt, as they are published later. Its
run.json names every attempt so far, so that the folder alone says which of two that a killed process left is the
later.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cosmos_batch.dispatch.output.directory import RUN_FILE, flush_files
from cosmos_batch.media.atomic import flush, replacing
from cosmos_batch.run import Acceptance, ResolvedRun, first_try
from cosmos_batch.score_names import scorers_of
from cosmos_batch.scoring.acceptance import Tries, Try, read_tries


@dataclass(frozen=True, slots=True)
class KeptVideo:
    """The files of the best attempt, and what all attempts gave."""

    folder: Path
    tries: Tries


def find_kept(parent: Path, rule: Acceptance) -> KeptVideo | None:
    """The best video so far among those of a run; None: there is none."""
    found = [KeptVideo(path, tries) for path in _folders(parent) if (tries := recorded_tries(path, rule))]
    return max(found, key=lambda each: len(each.tries.made), default=None)


def keep(work: Path, parent: Path) -> None:
    """Keep the files of an attempt, whose run.json is written, in place of an earlier one's. Raises OSError."""
    flush_files(work)
    parent.mkdir(parents=True, exist_ok=True)
    work.rename(parent / work.name)
    flush(parent)
    _delete_others(parent, work.name)


def keep_published(published: Path, parent: Path) -> None:
    """Keep a finished output, which stays published, as the best video so far. Raises OSError."""
    draft = parent / ".draft"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    for path in published.iterdir():
        shutil.copy2(path, draft / path.name) if path.name == RUN_FILE else _link(path, draft / path.name)
    flush_files(draft)
    draft.rename(parent / "0")
    flush(parent)


def record_tries(folder: Path, tries: Tries) -> None:
    """Write the attempts and the verdict into the run.json of a kept video. Raises OSError and StorageError."""
    description = json.loads((folder / RUN_FILE).read_bytes())
    if description.get("acceptance") != tries.record:
        _write(folder, description | {"acceptance": tries.record})


def recorded_tries(folder: Path, rule: Acceptance) -> Tries | None:
    """The attempts at a run by the run.json of its video, judged by `rule`; None where it does not say."""
    made = _made(_description(folder))
    return None if made is None else Tries(rule, made)


def published_tries(run: ResolvedRun, folder: Path) -> Tries | None:
    """The attempts at a run by its published video, which other settings or another rule may have been asked of.

    None: the run has no rule, or the folder does not say.
    """
    asked = first_try(run)
    description = _description(folder)
    made = _made(description)
    if asked.acceptance is None or not made:
        return None
    if made[0].seed != asked.sampling.seed:  # another run's seed: its attempts count for nothing
        made = _only(description)
    return Tries(asked.acceptance, made) if made else None


def as_published(run: ResolvedRun, folder: Path) -> ResolvedRun:
    """The attempt of a run whose video a folder holds; the first one where it holds none of the run's."""
    asked = first_try(run)
    description = _description(folder)
    made, only = _made(description), _only(description)
    if asked.acceptance is None or not made or not only or made[0].seed != asked.sampling.seed:
        return asked
    return replace(asked, sampling=replace(asked.sampling, seed=only[0].seed))


def unscored(run: ResolvedRun, folder: Path) -> tuple[str, ...]:
    """Scores of a run's rule that its published video was never asked for, and that a scorer may give it."""
    if run.acceptance is None:
        return ()
    description = _description(folder)
    asked = {*description.get("scores", {}), *(description.get("acceptance") or {}).get("accept", {})}
    return tuple(name for name in run.acceptance.scores if name not in asked and scorers_of([name]))


def add_scores(folder: Path, scores: Mapping[str, float]) -> None:
    """Write more scores of a kept video into its run.json. Raises OSError and StorageError."""
    description = dict(_description(folder))
    seed = description["run"]["sampling"]["seed"]
    description["scores"] = {**description.get("scores", {}), **scores}
    for made in (description.get("acceptance") or {}).get("tries", ()):
        if made["seed"] == seed:
            made["scores"] |= scores
    _write(folder, description)


def _write(folder: Path, description: Mapping[str, Any]) -> None:
    text = json.dumps(description, ensure_ascii=False, indent=2)
    with replacing(folder / RUN_FILE) as part:
        part.write_text(text + "\n", encoding="utf-8")


def _description(folder: Path) -> Mapping[str, Any]:
    try:
        found = json.loads((folder / RUN_FILE).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _made(description: Mapping[str, Any]) -> tuple[Try, ...] | None:
    """The attempts that a run.json names; that of its video where it names none."""
    if (record := description.get("acceptance")) is None:
        return _only(description)
    try:
        return read_tries(record)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _only(description: Mapping[str, Any]) -> tuple[Try, ...] | None:
    """The attempt whose video a run.json describes."""
    try:
        seed, scores = description["run"]["sampling"]["seed"], description.get("scores", {})
        return (Try(int(seed), {str(name): float(score) for name, score in scores.items()}),)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _folders(parent: Path) -> list[Path]:
    return [path for path in parent.iterdir() if path.name[0] != "."] if parent.is_dir() else []


def _delete_others(parent: Path, name: str) -> None:
    for path in parent.iterdir():
        if path.name != name:
            shutil.rmtree(path, ignore_errors=True)


def _link(source: Path, target: Path) -> None:
    """Link a file to another name, or copy it where the file system has no links. Raises OSError."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)

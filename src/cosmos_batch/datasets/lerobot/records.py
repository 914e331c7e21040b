"""Native records of runs: one for each episode, prompt and seed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cosmos_batch.errors import InputError, Problem
from cosmos_batch.formats.json_text import MalformedJsonError, parse_json
from cosmos_batch.formats.lerobot.layout import CameraEpisodes, Episode
from cosmos_batch.formats.problems import Location

TASK = "{task}"
"""What stands for an episode's task in a prompt."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_JOINT = "; "


@dataclass(frozen=True, slots=True)
class RunChoice:
    """What varies between the runs of an episode, and what they have in common."""

    prompts: Mapping[str, str]  # by name; none: the episode's task is the prompt
    seeds: Sequence[int]  # none: the model's own
    weights: Mapping[str, float]  # by control


def named_prompts(texts: Sequence[str], file: Path | None) -> dict[str, str]:
    """Prompts of the command line and of a file, by name: those without a name are p1, p2 and so on.

    The file is a JSON object of names and prompts, or text with a prompt on each line. Raises InputError.
    """
    named: dict[str, str] = {}
    plain = list(texts)
    if file is not None:
        try:
            raw = file.read_bytes()
        except OSError as error:
            message, remedy = f"cannot be read ({error.strerror})", "name a file of prompts"
            raise InputError([Problem(str(file), None, "", "", message, remedy)]) from error
        if file.suffix.lower() == ".json":
            named = _prompts_of_json(raw, Location(str(file)))
        else:
            plain += [line.strip() for line in raw.decode(errors="replace").splitlines() if line.strip()]
    return {f"p{number}": text for number, text in enumerate(plain, 1)} | named


def _prompts_of_json(raw: bytes, location: Location) -> dict[str, str]:
    try:
        value = parse_json(raw)
    except MalformedJsonError as error:
        raise InputError([location.problem("", error.message, error.remedy)]) from error
    if not isinstance(value, dict):
        raise InputError([location.problem("", "is not an object", "give prompts by name", value)])
    problems = []
    for name, text in value.items():
        if not _NAME.fullmatch(name):
            remedy = "use letters, digits, '.', '_' and '-', 64 at most"
            problems.append(location.problem("", "is no name for a part of an id", remedy, name))
        if not isinstance(text, str) or not text.strip():
            problems.append(location.problem(name, "is no prompt", "say what the video is to show", text))
    if problems:
        raise InputError(problems)
    return value


def records(
    dataset: CameraEpisodes, episodes: Sequence[Episode], videos: Mapping[int, object], choice: RunChoice
) -> Iterator[str]:
    """Yield a line of JSON for each run, whose id is `episode_000012__PROMPT__sSEED`, or a part of that."""
    for episode in episodes:
        task = _JOINT.join(episode.tasks)
        for name, prompt in (choice.prompts or {"": TASK}).items():
            for seed in choice.seeds or (None,):
                parts = [episode.name, name, "" if seed is None else f"s{seed}"]
                config: dict[str, object] = {
                    "weights": dict(choice.weights),
                    "fps": dataset.info.fps,
                    "keep_input_resolution": True,
                }
                if seed is not None:
                    config["seed"] = seed
                record = {
                    "id": "__".join(filter(None, parts)),
                    "prompt": prompt.replace(TASK, task),
                    "inputs": {"video": videos[episode.index]},
                    "execution_config": config,
                }
                yield json.dumps(record, ensure_ascii=False)


def check_tasks(dataset: CameraEpisodes, episodes: Sequence[Episode], choice: RunChoice) -> None:
    """Raise InputError where a prompt needs the task of an episode that has none, for all those episodes."""
    if choice.prompts and not any(TASK in prompt for prompt in choice.prompts.values()):
        return
    missing = [episode.name for episode in episodes if not _JOINT.join(episode.tasks).strip()]
    remedy = "give --prompt TEXT or --prompts FILE without {task}"
    if missing:
        raise InputError(
            [Problem(str(dataset.root), None, "", name, "has no task for a prompt", remedy) for name in missing]
        )

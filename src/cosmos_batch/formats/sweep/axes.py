"""Reads what varies in a sweep: videos, prompts, seeds, controls, settings and rows, each as an axis."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import TypeGuard

from cosmos_batch.controls import CONTROLS
from cosmos_batch.formats.input_files import PathResolver
from cosmos_batch.formats.sweep.choices import Axis, Choice, digest, name_of_prompt, word
from cosmos_batch.formats.sweep.episodes import episode_choices
from cosmos_batch.formats.sweep.report import Report
from cosmos_batch.formats.sweep.tables import Row, TableError, read_lines, read_rows
from cosmos_batch.formats.sweep.video_files import VideoFile, find_videos
from cosmos_batch.formats.sweep.written_prompts import is_written, with_written_prompts

SETTINGS = (
    "num_steps",
    "guidance",
    "sigma_max",
    "seed",
    "fps",
    "num_frames",
    "resolution",
    "keep_input_resolution",
    "negative_prompt",
    "blur_strength",
    "canny_threshold",
    "num_conditional_frames",
    "guided_generation_step_threshold",
    "guided_generation_foreground_labels",
)
"""Settings of a run, by their names in `execution_config`."""
_TEXTS = ("resolution", "negative_prompt", "blur_strength", "canny_threshold")
_SOURCES = frozenset({"file", "dataset"})  # keys of an object that names where values are
_MAX_SEEDS = 1_000_000


def is_scalar(value: object) -> TypeGuard[str | int | float | bool]:
    """Whether a value is a text, a number, true or false."""
    return isinstance(value, str | int | float)


class AxisReader:
    """Reads the axes of one sweep, and reports what is wrong with them."""

    def __init__(self, report: Report, paths: PathResolver) -> None:
        self._report = report
        self._paths = paths

    def read(self, given: Mapping[str, object]) -> list[Axis]:
        """The axes in their order: rows, videos, prompts, seeds, controls, settings."""
        readers: Sequence[tuple[str, Callable[[object], list[Axis]]]] = (
            ("rows", self._rows),
            ("videos", self._videos),
            ("prompts", self._prompts),
            ("seeds", self._seeds),
            ("controls", self._controls),
            ("settings", self._settings),
        )
        prompts = given.get("prompts")
        written = prompts if isinstance(prompts, dict) and is_written(prompts) else None
        names = given.keys() - ({"prompts"} if written else ())
        axes = [axis for name, reader in readers if name in names for axis in reader(given[name])]
        return axes if written is None else with_written_prompts(axes, written, self._paths, self._report)

    def _videos(self, value: object) -> list[Axis]:
        found: list[Choice] = []
        for place, each in _items(value, "videos"):
            if isinstance(each, str):
                videos = find_videos(self._paths, each)
                if isinstance(videos, str):
                    remedy = f"name a file, a folder with videos, or a pattern; looked in {self._paths.base}"
                    self._report.add(place, videos, remedy, each)
                else:
                    found += [_video(video, place) for video in videos]
            elif isinstance(each, dict) and "file" in each:
                for text, name in self._column(each, place):
                    found.append(_video(VideoFile(text, name or Path(text).stem, str(Path(text).parent)), place))
            elif isinstance(each, dict) and "dataset" in each:
                found += episode_choices(each, place, self._paths, self._report)
            else:
                remedy = "give a path, a pattern, {file: TABLE, column: NAME}, or {dataset: PATH, camera: NAME}"
                self._report.add(place, "is no path", remedy, each)
        if isinstance(value, dict) and value.keys().isdisjoint(_SOURCES):
            for name, each in value.items():
                if isinstance(each, str):
                    found.append(_video(VideoFile(each, name, "."), f"videos.{name}"))
                else:
                    self._report.add(f"videos.{name}", "is no path", "give the path of a video", each)
        unique = {choice.words["video_path"]: choice for choice in reversed(found)}
        return self._axis("videos", list(reversed(unique.values())), "{video}", {"video", "video_path"})

    def _prompts(self, value: object) -> list[Axis]:
        choices: list[Choice] = []
        if isinstance(value, dict) and "file" not in value:
            entries = [(f"prompts.{name}", text, name) for name, text in value.items()]
        else:
            entries = [(place, each, "") for place, each in _items(value, "prompts")]
        for place, each, name in entries:
            if isinstance(each, str):
                choices.append(_prompt(each, name, place))
            elif isinstance(each, dict) and "file" in each:
                choices += [_prompt(text, known or name, place) for text, known in self._column(each, place)]
            elif isinstance(each, dict) and isinstance(each.get("prompt"), str):
                choices += self._named_prompt(each, place, name)
            else:
                remedy = "give a text, {name: .., prompt: ..}, {file: prompts.txt}, or {file: TABLE, column: NAME}"
                self._report.add(place, "is no prompt", remedy, each)
        id_part = "" if isinstance(value, str) else "{prompt_name}"
        return self._axis("prompts", choices, id_part, {"prompt_name"})

    def _named_prompt(self, each: Mapping[str, object], place: str, name: str) -> Iterator[Choice]:
        self._report.unknown_keys(each, ("name", "prompt", "negative_prompt"), place)
        given = each.get("name", name)
        made = _prompt(str(each["prompt"]), word(given) if is_scalar(given) else "", place)
        if (negative := each.get("negative_prompt")) is not None:
            field = "settings.negative_prompt"
            extra = Choice({}, {field: negative}, {field: f"{place}.negative_prompt"})
            made = made.beside(extra)
        yield made

    def _seeds(self, value: object) -> list[Axis]:
        seeds: dict[object, str] = {}
        for place, each in _items(value, "seeds"):
            if isinstance(each, dict):
                start, count = each.get("from", 0), each.get("count")
                self._report.unknown_keys(each, ("from", "count"), place)
                if type(start) is int and type(count) is int and 0 < count <= _MAX_SEEDS:
                    seeds |= dict.fromkeys(range(start, start + count), place)
                else:
                    remedy = f"give {{from: 0, count: 5}}, with a count from 1 to {_MAX_SEEDS:,}"
                    self._report.add(place, "is no range of seeds", remedy, each)
            else:
                seeds.setdefault(_hashable(each), place)
        choices = [_setting("seed", seed, place) for seed, place in seeds.items()]
        return self._axis("seeds", choices, "s{seed}", {"seed"})

    def _settings(self, value: object) -> list[Axis]:
        if not isinstance(value, dict):
            self._report.add(
                "settings", "is not an object", f"give settings by name: {', '.join(SETTINGS)}", value
            )
            return []
        self._report.unknown_keys(value, SETTINGS, "settings")
        axes = []
        for name in (name for name in value if name in SETTINGS):
            given, place = value[name], f"settings.{name}"
            listed = isinstance(given, list) and not (
                name.endswith("labels") and all(type(each) is int for each in given)
            )
            values = [(f"{place}[{i}]", each) for i, each in enumerate(given)] if listed else [(place, given)]
            choices = [_setting(name, each, at) for at, each in values]
            short = "s{seed}" if name == "seed" else f"{name}{{{name}}}"
            axes += self._axis(name, choices, short if listed else "", {name})
        return axes

    def _controls(self, value: object) -> list[Axis]:
        alone = isinstance(value, dict) and _is_control_set(value)
        if isinstance(value, dict) and not alone:
            entries = [(f"controls.{name}", each, name) for name, each in value.items()]
        else:
            entries = [(place, each, "") for place, each in _items(value, "controls")]
        choices = [choice for place, each, name in entries for choice in self._control_sets(each, place, name)]
        fixed = isinstance(value, dict) and alone and not _lists(value)
        return self._axis("controls", choices, "" if fixed else "{controls}", {"controls"})

    def _control_sets(self, value: object, place: str, name: str) -> Iterator[Choice]:
        """The sets of controls of one entry: one for each combination of its listed weights."""
        if not isinstance(value, dict) or not value:
            self._report.add(
                place, "is no set of controls", "give weights by control: {edge: 0.5, vis: 0.25}", value
            )
            return
        self._report.unknown_keys(value, tuple(CONTROLS), place)
        weights: dict[str, list[object]] = {}
        fields: dict[str, object] = {}
        for control in (control for control in value if control in CONTROLS):
            given = value[control]
            if isinstance(given, dict):
                self._report.unknown_keys(given, ("weight", "video"), f"{place}.{control}")
                if (video := given.get("video")) is not None:
                    fields[f"inputs.{control}"] = video
                given = given.get("weight", 1.0)
            weights[control] = list(given) if isinstance(given, list) else [given]
        listed = [control for control, values in weights.items() if len(values) > 1]
        paths = {f"execution_config.weights.{c}": f"{place}.{c}" for c in weights}
        paths |= {each: f"{place}.{each.removeprefix('inputs.')}.video" for each in fields}
        paths["execution_config.weights"] = place
        for values in product(*weights.values()):
            chosen = dict(zip(weights, values, strict=True))
            shown = "_".join(f"{c}{word(chosen[c])}" for c in (listed if name else chosen))
            full = "-".join(part for part in (name, shown) if part)
            yield Choice({"controls": full}, {"weights": chosen, **fields}, paths)

    def _rows(self, value: object) -> list[Axis]:
        rows: list[Row] = []
        renamed: Mapping[str, object] = {}
        if isinstance(value, dict):
            self._report.unknown_keys(value, ("file", "columns"), "rows")
            columns = value.get("columns", {})
            renamed = columns if isinstance(columns, dict) else {}
            rows = self._table(value.get("file"), "rows.file")
        elif isinstance(value, list):
            for index, each in enumerate(value):
                if isinstance(each, dict):
                    rows.append(each)
                else:
                    self._report.add(f"rows[{index}]", "is not an object", "write each row in braces", each)
        else:
            self._report.add("rows", "is no table", "give {file: TABLE}, or a list of rows", value)
        if missing := [column for column in renamed.values() if rows and not any(column in row for row in rows)]:
            self._report.add(
                "rows.columns", "name a column that the file does not have", self._columns(rows), missing[0]
            )
        choices = [
            self._row(row, renamed, f"rows[{n}]" if isinstance(value, list) else "rows")
            for n, row in enumerate(rows)
        ]
        has = {name for choice in choices for name in choice.words}
        own = next((name for name in ("id", "row_id", "name") if name in has), None)
        parts = [f"{{{own}}}"] if own else [f"{{{name}}}" for name in ("video", "prompt_name") if name in has]
        parts += ["s{seed}"] if "seed" in has and not own else []
        return self._axis("rows", choices, "__".join(parts) or "{row}", has)

    def _row(self, row: Row, renamed: Mapping[str, object], place: str) -> Choice:
        """The choice of a row: columns that name a field of a run set it, and each is a placeholder."""
        values = dict(row) | {field: row[str(column)] for field, column in renamed.items() if column in row}
        words = {name: word(value) for name, value in values.items() if is_scalar(value)}
        words["row"] = digest(row)
        made = Choice(words, {}, {})
        if isinstance(video := values.get("video"), str):
            own = {"video": Path(video).stem, "video_path": video, "video_folder": str(Path(video).parent)}
            made = made.beside(Choice(own, {"inputs.video": video}, {"inputs.video": place}))
        if isinstance(prompt := values.get("prompt"), str):
            made = made.beside(_prompt(prompt, words.get("prompt_name", ""), place))
        for name in (name for name in SETTINGS if name in values):
            made = made.beside(_setting(name, _cell(name, values[name]), place))
        return made

    def _column(self, given: Mapping[str, object], place: str) -> Iterator[tuple[str, str]]:
        """The texts of a file, each with its name or "": its lines, or a column of a table."""
        self._report.unknown_keys(given, ("file", "column", "name"), place)
        file, column, name = given.get("file"), given.get("column"), given.get("name")
        if column is None and isinstance(file, str) and Path(file).suffix.lower() in (".txt", ""):
            try:
                lines = read_lines(Path(self._paths.resolve(file)))
            except TableError as error:
                self._report.add(f"{place}.file", error.message, error.remedy, file)
                return
            if not lines:
                self._report.add(f"{place}.file", "has no lines", "write one text per line", file)
            yield from ((line, "") for line in lines)
            return
        rows = self._table(file, f"{place}.file")
        for key, wanted in (("column", column), ("name", name)):
            if rows and (key == "column" or wanted is not None) and not any(wanted in row for row in rows):
                message = "is missing" if wanted is None else "is no column of the file"
                self._report.add(f"{place}.{key}", message, self._columns(rows), wanted or "")
        for row in rows:
            if isinstance(text := row.get(str(column)), str):
                known = row.get(str(name))
                yield text, word(known) if is_scalar(known) else ""

    def _table(self, file: object, place: str) -> list[Row]:
        if not isinstance(file, str) or not file:
            self._report.add(place, "is no path", "name a CSV, TSV, JSONL or Parquet file", file)
            return []
        try:
            return read_rows(Path(self._paths.resolve(file)))
        except TableError as error:
            self._report.add(place, error.message, error.remedy, file)
            return []

    def _columns(self, rows: Sequence[Row]) -> str:
        names = dict.fromkeys(name for row in rows[:100] for name in row)
        return f"give one of its columns: {', '.join(list(names)[:20])}"

    def _axis(self, name: str, choices: Sequence[Choice], id_part: str, words: set[str]) -> list[Axis]:
        if not choices and not (self._report.has_problem(name) or self._report.has_problem(f"settings.{name}")):
            self._report.add(name, "is empty", "give at least one value, or leave the key out")
        return [Axis(name, choices, id_part, frozenset(words))] if choices else []


def _items(value: object, name: str) -> list[tuple[str, object]]:
    """The entries of a value that may be one or a list, each with its place."""
    if isinstance(value, list):
        return [(f"{name}[{index}]", each) for index, each in enumerate(value)]
    if isinstance(value, dict) and value.keys().isdisjoint(_SOURCES) and name in ("videos", "prompts"):
        return []
    return [(name, value)]


def _is_control_set(value: Mapping[str, object]) -> bool:
    """Whether an object is one set of controls, and not several by name."""
    return value.keys() <= CONTROLS.keys() or any(not isinstance(each, dict) for each in value.values())


def _lists(value: Mapping[str, object]) -> bool:
    weights = (each.get("weight") if isinstance(each, dict) else each for each in value.values())
    return any(isinstance(each, list) for each in weights)


def _video(video: VideoFile, place: str) -> Choice:
    words = {"video": video.name, "video_path": video.path, "video_folder": video.folder}
    return Choice(words, {"inputs.video": video.path}, {"inputs.video": place})


def _prompt(text: str, name: str, place: str) -> Choice:
    return Choice({"prompt_name": name or name_of_prompt(text)}, {"prompt": text}, {"prompt": place})


def _setting(name: str, value: object, place: str) -> Choice:
    if name == "resolution" and type(value) is int:
        value = str(value)
    field = f"settings.{name}"
    shown = word(value) if is_scalar(value) else digest(value)
    return Choice({name: shown}, {field: value}, {field: place})


def _cell(name: str, value: object) -> object:
    """A cell as the value of a setting: a text of a number is one."""
    if name in _TEXTS or not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _hashable(value: object) -> object:
    return value if is_scalar(value) or value is None else json.dumps(value, default=str)

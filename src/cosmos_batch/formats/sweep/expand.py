"""Expands a sweep to its runs, one at a time; what runs share is made once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import prod

from cosmos_batch.errors import Problem
from cosmos_batch.formats import native
from cosmos_batch.formats.acceptance import ACCEPT, ATTEMPTS, SEED_STEP
from cosmos_batch.formats.close_names import closest
from cosmos_batch.formats.ids import LONGEST_ID, RESERVED_IDS, valid_id
from cosmos_batch.formats.problems import Location, shown
from cosmos_batch.formats.records import Record
from cosmos_batch.formats.run_builder import BoundedCache, SourceFile
from cosmos_batch.formats.sweep.axes import is_scalar
from cosmos_batch.formats.sweep.choices import Axis, Choice, id_word, word
from cosmos_batch.formats.sweep.report import Report
from cosmos_batch.formats.sweep.selection import Rules, combined
from cosmos_batch.formats.sweep.template import Template
from cosmos_batch.run import Annotations, Run, Sampling

MAX_COMBINATIONS = 20_000_000
"""Of a sweep, before include and exclude rules."""
_OF_INPUTS = (
    "blur_strength",
    "canny_threshold",
    "guided_generation_step_threshold",
    "guided_generation_foreground_labels",
)
_PLACES = {
    "inputs.video": "videos",
    "inputs": "controls",
    "execution_config.weights": "controls",
    "execution_config": "settings",
}
"""Places in a sweep of the fields of a run that no choice sets."""


class Expansion:
    """The runs of one sweep."""

    def __init__(
        self, given: Mapping[str, object], axes: Sequence[Axis], report: Report, source: SourceFile, name: str
    ) -> None:
        self._given, self._axes, self._report, self._source = given, axes, report, source
        self._groups = _without_single(combined(axes, given.get("combine", "product"), report))
        self._common = {"sweep": name}
        known = dict.fromkeys(name for axis in axes for choice in axis.choices for name in choice.words)
        self._known = ("sweep", *known)
        names = {axis.name for axis in axes}
        lost = (key for key in ("rows", "videos", "prompts") if key in given and key not in names)
        self._knows_all = not any(report.has_problem(key) for key in lost)
        self._rules = Rules(given.get("include"), given.get("exclude"), self._known, report)
        self._id = self._template("id", self._id_text())
        self._tags = {tag: self._template(f"tags.{tag}", text) for tag, text in self._tag_texts().items()}
        self._tag_names = tuple({name: None for each in self._tags.values() for name in each.names})
        fields = {name for axis in axes for choice in axis.choices for name in choice.fields}
        self._inputs = tuple(sorted(name for name in fields if name.startswith("inputs.")))
        self._presets = tuple(name for name in _OF_INPUTS if f"settings.{name}" in fields)
        settings = {name.removeprefix("settings.") for name in fields if name.startswith("settings.")}
        self._settings = tuple(sorted(settings.difference(_OF_INPUTS)))
        named = (*self._inputs, "weights", *(f"settings.{name}" for name in self._presets))
        self._part_groups = self._groups_with(named, self._path_names())
        self._sampling_groups = self._groups_with([f"settings.{name}" for name in self._settings])
        self._known_parts = BoundedCache[object, Run]()
        self._known_samplings = BoundedCache[object, Sampling]()
        texts = [choice.fields["prompt"] for axis in axes for choice in axis.choices if "prompt" in choice.fields]
        self._prompt_groups = self._groups_with(["prompt"], _names_in(texts))
        self._prompts = BoundedCache[object, str]()
        self._parts = BoundedCache[object, Run]()
        self._samplings = BoundedCache[object, Sampling]()
        self._annotations = BoundedCache[object, Annotations]()
        self._broken: set[object] = set()  # parts that gave problems
        self._id_words: dict[str, str] = {}
        self._rule = self._rule_fields()

    def _groups_with(self, fields: Iterable[str], words: Iterable[str] = ()) -> tuple[int, ...]:
        """The groups with a choice that sets one of these fields, or gives one of these placeholders a value."""
        wanted, named = frozenset(fields), frozenset(words)
        return tuple(
            index
            for index, group in enumerate(self._groups)
            if any(not (wanted.isdisjoint(each.fields) and named.isdisjoint(each.words)) for each in group)
        )

    def _path_names(self) -> set[str]:
        """The placeholders in paths."""
        given = self._given.get("inputs")
        paths = list(given.values()) if isinstance(given, dict) else []
        choices = [choice.fields for axis in self._axes for choice in axis.choices]
        paths += [fields[name] for fields in choices for name in self._inputs if name in fields]
        return _names_in(paths)

    def runs(self) -> Iterator[Run]:
        """The runs of the combinations that the rules keep; problems go into the report."""
        count = prod(len(group) for group in self._groups) if self._groups else 0
        if count > MAX_COMBINATIONS:
            self._report.add(
                "", f"has {count:,} combinations", f"keep it below {MAX_COMBINATIONS:,}: split the sweep"
            )
        if self._report.problems or not self._groups:
            return
        seen: set[str] = set()
        repeated, example = 0, ""
        for run in self._of(0, self._common, {}, ()):
            folded = run.id.casefold()
            size = len(seen)
            seen.add(run.id if folded == run.id else folded)
            if len(seen) == size:
                repeated += 1
                example = example or run.id
            else:
                yield run
        if repeated:
            self._report_repeated(repeated, example)
        elif not seen and not self._report.problems:
            self._report.add(
                "exclude" if "exclude" in self._given else "include", "leaves no run", "loosen the rules"
            )

    def _of(
        self, depth: int, words: Mapping[str, str], fields: Mapping[str, object], chosen: tuple[Choice, ...]
    ) -> Iterator[Run]:
        """The runs of all combinations of the groups from `depth` on, with what was chosen before."""
        last = depth == len(self._groups) - 1
        for choice in self._groups[depth]:
            merged_words = {**words, **choice.words}
            merged_fields = {**fields, **choice.fields}
            if not last:
                yield from self._of(depth + 1, merged_words, merged_fields, (*chosen, choice))
            elif not self._rules.given or self._rules.keep(merged_words):
                run = self._run(merged_words, merged_fields, (*chosen, choice))
                if run is not None:
                    yield run

    def _run(self, words: Mapping[str, str], fields: Mapping[str, object], chosen: Sequence[Choice]) -> Run | None:
        """The run of one combination; None after a problem."""
        try:
            part = self._part(words, fields, chosen)
            sampling = self._sampling(fields, chosen)
            prompt = self._prompt(words, fields, chosen)
            id_ = self._id_of(words)
            annotations = self._annotations_of(words)
        except KeyError as error:
            remedy = "give every row a value, or leave the placeholder out"
            self._report.add("", f"has runs in which the placeholder {{{error.args[0]}}} has no value", remedy)
            return None
        if part is None or sampling is None:
            return None
        return Run(
            id=id_,
            prompt=prompt or part.prompt,
            controls=part.controls,
            video=part.video,
            sampling=sampling,
            priority=part.priority,
            job_type=part.job_type,
            guided_generation=part.guided_generation,
            annotations=annotations,
            acceptance=part.acceptance,
        )

    def _part(
        self, words: Mapping[str, str], fields: Mapping[str, object], chosen: Sequence[Choice]
    ) -> Run | None:
        """A run with the inputs and controls of this one, which other runs share; None after a problem."""
        has_prompt = bool(str(fields.get("prompt", "")).strip())
        key = (has_prompt, *[id(chosen[index]) for index in self._part_groups])
        if (known := self._known_parts.get(key)) is not None:
            return known
        made = self._new_part(words, fields, chosen, has_prompt=has_prompt)
        return None if made is None else self._known_parts.put(key, made)

    def _new_part(
        self, words: Mapping[str, str], fields: Mapping[str, object], chosen: Sequence[Choice], *, has_prompt: bool
    ) -> Run | None:
        paths = [self._filled(fields.get(name), words) for name in self._inputs]
        presets = [fields.get(f"settings.{name}") for name in self._presets]
        weights = fields.get("weights")
        key = (*map(repr, paths), *map(repr, presets), repr(weights), has_prompt)
        if (known := self._parts.get(key)) is not None:
            return known
        if key in self._broken:
            return None
        config = {name: value for name, value in zip(self._presets, presets, strict=True) if value is not None}
        inputs = {n.removeprefix("inputs."): p for n, p in zip(self._inputs, paths, strict=True) if p is not None}
        record: dict[str, object] = {"id": "run", "inputs": {**self._fixed_inputs(words), **inputs}}
        record["execution_config"] = config | ({} if weights is None else {"weights": weights})
        record |= {name: self._given[name] for name in ("priority", "job_type") if name in self._given}
        record |= self._rule
        record |= {"prompt": fields["prompt"]} if "prompt" in fields else {}
        made = native.read(Record(Location(self._report.file), None, record), self._source)
        if isinstance(made, Run):
            return self._parts.put(key, made)
        self._broken.add(key)
        self._take(made, chosen)
        return None

    def _rule_fields(self) -> dict[str, object]:
        """The scores to be reached; further attempts get seeds that no run has, unless the sweep says which."""
        given = {name: self._given[name] for name in (ACCEPT, ATTEMPTS, SEED_STEP) if name in self._given}
        choices = [choice.fields for axis in self._axes for choice in axis.choices]
        seeds = [seed for fields in choices if isinstance(seed := fields.get("settings.seed"), int)]
        reach = max(seeds) - min(seeds) + 1 if seeds else 1
        return {SEED_STEP: min(reach, 2**31 - 1)} | given if ACCEPT in given and reach > 1 else given

    def _fixed_inputs(self, words: Mapping[str, str]) -> dict[str, object]:
        given = self._given.get("inputs")
        return {n: self._filled(p, words) for n, p in given.items()} if isinstance(given, dict) else {}

    def _filled(self, value: object, words: Mapping[str, str]) -> object:
        """A path with its placeholders filled; a found video has none."""
        return (
            Template.of(value).fill(words)
            if isinstance(value, str) and "{" in value and value != words.get("video_path")
            else value
        )

    def _sampling(self, fields: Mapping[str, object], chosen: Sequence[Choice]) -> Sampling | None:
        """The settings of a run, which other runs share; None after a problem."""
        key = tuple([id(chosen[index]) for index in self._sampling_groups])
        if (known := self._known_samplings.get(key)) is not None:
            return known
        made = self._new_sampling(fields, chosen)
        return None if made is None else self._known_samplings.put(key, made)

    def _new_sampling(self, fields: Mapping[str, object], chosen: Sequence[Choice]) -> Sampling | None:
        values = [fields.get(f"settings.{name}") for name in self._settings]
        key = (*values, *map(type, values)) if all(map(_plain, values)) else repr(values)
        if (known := self._samplings.get(key)) is not None:
            return known
        if key in self._broken:
            return None
        given = {name: value for name, value in zip(self._settings, values, strict=True) if value is not None}
        made = native.read_sampling(given, Location(self._report.file), self._source.pool)
        if isinstance(made, Sampling):
            return self._samplings.put(key, made)
        self._broken.add(key)
        self._take(made, chosen)
        return None

    def _take(self, problems: Sequence[Problem], chosen: Sequence[Choice]) -> None:
        if not problems:
            return
        paths = dict(_PLACES)
        if isinstance(given := self._given.get("inputs"), dict):
            paths |= {f"inputs.{name}": f"inputs.{name}" for name in given}
        for choice in chosen:
            for name, place in choice.paths.items():
                setting = name.removeprefix("settings.")
                paths[name if setting == name else f"execution_config.{setting}"] = place
        for problem in problems:
            self._report.take(problem, paths)

    def _prompt(self, words: Mapping[str, str], fields: Mapping[str, object], chosen: Sequence[Choice]) -> str:
        text = str(fields.get("prompt", ""))
        if "{" not in text:
            return text
        key = tuple([id(chosen[index]) for index in self._prompt_groups])
        known = self._prompts.get(key)
        return known or self._prompts.put(key, self._source.pool.text(Template.of(text).fill(words)))

    def _id_of(self, words: Mapping[str, str]) -> str:
        parts = []
        for text, is_name in self._id.parts:
            if is_name:
                value = words[text]
                text = self._id_words.get(value) or self._id_words.setdefault(value, id_word(value))
            parts.append(text)
        made = "".join(parts)
        if len(made) <= LONGEST_ID and made[:1] not in ".-" and made.casefold() not in RESERVED_IDS:
            return made
        return valid_id(made)

    def _annotations_of(self, words: Mapping[str, str]) -> Annotations:
        key = tuple([words[name] for name in self._tag_names])
        known = self._annotations.get(key)
        if known is None:
            filled = {tag: template.fill(words) for tag, template in self._tags.items()}
            metadata = self._given.get("metadata") or {}
            made = native.read_annotations(self._common["sweep"], filled, metadata, Location(self._report.file))
            if isinstance(made, Annotations):
                return self._annotations.put(key, made)
            self._take(made, ())
            return self._annotations.put(key, Annotations(sweep=self._common["sweep"]))
        return known

    def _id_text(self) -> str:
        given = self._given.get("id")
        if given is not None and not (isinstance(given, str) and given):
            self._report.add(
                "id", "is not text", "give a pattern such as '{video}__{prompt_name}__s{seed}'", given
            )
        if isinstance(given, str) and given:
            return given
        return "__".join(axis.id_part for axis in self._axes if axis.id_part) or "{sweep}"

    def _tag_texts(self) -> dict[str, str]:
        given = self._given.get("tags", {})
        if not isinstance(given, dict):
            self._report.add(
                "tags", "is not an object", "give names with texts: {weather: '{prompt_name}'}", given
            )
            return {}
        for tag, value in given.items():
            if not is_scalar(value):
                self._report.add(f"tags.{tag}", "is not text", "give a text, which may have placeholders", value)
        return {str(tag): word(value) for tag, value in given.items() if is_scalar(value)}

    def _template(self, field: str, text: str) -> Template:
        """The template of a field, with a problem for each placeholder that is not known."""
        template = Template.of(text)
        self.check(field, template)
        if field == "id":
            literals = "".join(part for part, is_name in template.parts if not is_name)
            if literals != id_word(literals) and literals.strip(".-"):
                remedy = "use letters, digits, '.', '_' and '-' beside the placeholders"
                self._report.add(field, "has characters that no id may have", remedy, text)
        return template

    def check(self, field: str, template: Template) -> None:
        """Report the placeholders of a field that are not known, where all of them can be."""
        for name in template.names:
            if self._knows_all and name not in self._known:
                near = closest(name, self._known)
                known = ", ".join(f"{{{each}}}" for each in self._known)
                remedy = f"did you mean {{{near}}}?" if near else f"use some of {known}; {{{{{name}}}}} is text"
                self._report.add(field, f"has the unknown placeholder {{{name}}}", remedy)

    def check_choices(self) -> None:
        """Report what is wrong with single choices: values, files, and placeholders of prompts."""
        texts = {tag: "" if template.names else template.fill({}) for tag, template in self._tags.items()}
        metadata = self._given.get("metadata", {})
        made = native.read_annotations(self._common["sweep"], texts, metadata, Location(self._report.file))
        self._take(made if isinstance(made, list) else (), ())
        for axis in self._axes:
            for choice in axis.choices:
                self._check_values(choice)
                text = choice.fields.get("prompt")
                if isinstance(text, str) and "{" in text:
                    self.check(choice.paths["prompt"], Template.of(text))

    def _check_values(self, choice: Choice) -> None:
        config = {n.removeprefix("settings."): v for n, v in choice.fields.items() if n.startswith("settings.")}
        config |= {"weights": choice.fields["weights"]} if "weights" in choice.fields else {}
        inputs = {n.removeprefix("inputs."): p for n, p in choice.fields.items() if n.startswith("inputs.")}
        if not config and not inputs:
            return
        location = Location(self._report.file)
        record = {"execution_config": config, "inputs": inputs}
        self._take(native.field_problems(record, location), (choice,))
        for name, path in inputs.items():
            found = isinstance(path, str) and ("{" not in path or path == choice.words.get("video_path"))
            if found and (fault := self._source.paths.problem(location, f"inputs.{name}", str(path))):
                self._take([fault], (choice,))

    def _report_repeated(self, count: int, example: str) -> None:
        """One problem for all ids that are given to more than one run."""
        used = set(self._id.names)
        left = [axis for axis in self._axes if len(axis.choices) > 1 and used.isdisjoint(axis.id_words)]
        words = [f"{{{min(axis.id_words, key=len)}}}" for axis in left]
        remedy = (
            f"put {' and '.join(words)} into id"
            if words
            else (
                "give videos, prompts and rows names of their own, or put {video_folder} into id"
                if "video" in used
                else "give prompts and rows names of their own"
            )
        )
        pattern = "".join(f"{{{part}}}" if is_name else part for part, is_name in self._id.parts)
        message = f"gives {count:,} runs an id that another has, for example {shown(example)}"
        self._report.add("id", message, remedy, pattern)


def _without_single(groups: Sequence[Sequence[Choice]]) -> list[Sequence[Choice]]:
    """The groups, where one with a single choice is part of the choices of the group before it."""
    made: list[Sequence[Choice]] = []
    for group in groups:
        if made and len(group) == 1:
            made[-1] = [choice.beside(group[0]) for choice in made[-1]]
        else:
            made.append(group)
    return made


def _names_in(texts: Iterable[object]) -> set[str]:
    """The placeholders in texts; other values have none."""
    templates = (Template.of(text) for text in texts if isinstance(text, str) and "{" in text)
    return {name for template in templates for name in template.names}


def _plain(value: object) -> bool:
    return value is None or is_scalar(value)

"""Which combinations of a sweep become runs: product and zip of its axes, include and exclude rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from cosmos_batch.formats.sweep.axes import is_scalar
from cosmos_batch.formats.sweep.choices import Axis, Choice, word
from cosmos_batch.formats.sweep.report import Report

_FORMS = "give product, zip, {zip: [videos, prompts]}, or {zip: [[videos, prompts], [seeds, num_steps]]}"


def combined(axes: Sequence[Axis], combine: object, report: Report) -> list[Sequence[Choice]]:
    """The groups of choices whose product the sweep is: an axis each, or several axes that are zipped."""
    by_name = {axis.name: axis for axis in axes}
    zipped: dict[str, list[Axis]] = {}  # by the first name of a group
    for names in _zips(axes, combine, report):
        group = [by_name.pop(name) for name in names if name in by_name]
        if missing := [name for name in names if name not in {axis.name for axis in axes}]:
            known = ", ".join(axis.name for axis in axes)
            report.add("combine", "names something that does not vary", f"name some of {known}", missing[0])
        if len({len(axis.choices) for axis in group}) > 1:
            counts = ", ".join(f"{axis.name} {len(axis.choices):,}" for axis in group)
            report.add("combine", f"zips lists of different lengths ({counts})", "give them equal lengths")
        if group:
            zipped[group[0].name] = group
    groups: list[Sequence[Choice]] = []
    for axis in axes:
        if axis.name in zipped:
            groups.append(
                [_merged(each) for each in zip(*(one.choices for one in zipped[axis.name]), strict=False)]
            )
        elif axis.name in by_name:
            groups.append(axis.choices)
    return groups


def _zips(axes: Sequence[Axis], combine: object, report: Report) -> list[list[str]]:
    """The names of the axes of each zipped group."""
    if combine == "product":
        return []
    if combine == "zip":
        return [[axis.name for axis in axes if len(axis.choices) > 1]]
    value = combine.get("zip") if isinstance(combine, dict) and combine.keys() == {"zip"} else None
    groups = [value] if isinstance(value, list) and all(isinstance(each, str) for each in value) else value
    if not isinstance(groups, list) or not all(isinstance(each, list) for each in groups):
        report.add("combine", "is no way to combine", _FORMS, combine)
        return []
    return [[str(name) for name in group] for group in groups if group]


def _merged(choices: Sequence[Choice]) -> Choice:
    merged = choices[0]
    for choice in choices[1:]:
        merged = merged.beside(choice)
    return merged


class Rules:
    """Conditions on the placeholders of a run; a rule holds where all its conditions do."""

    def __init__(self, include: object, exclude: object, known: Sequence[str], report: Report) -> None:
        self._report = report
        self._known = known
        self._include = self._rules(include, "include")
        self._exclude = self._rules(exclude, "exclude")
        self._matches: dict[tuple[str, str], bool] = {}
        self.given = bool(self._include or self._exclude)

    def keep(self, words: Mapping[str, str]) -> bool:
        """Whether an include rule holds, if there is one, and no exclude rule does."""
        if self._include and not any(self._holds(rule, words) for rule in self._include):
            return False
        return not any(self._holds(rule, words) for rule in self._exclude)

    def _holds(self, rule: Mapping[str, Sequence[str]], words: Mapping[str, str]) -> bool:
        return all(
            any(self._match(pattern, words.get(name, "")) for pattern in patterns)
            for name, patterns in rule.items()
        )

    def _match(self, pattern: str, text: str) -> bool:
        known = self._matches.get((pattern, text))
        if known is None:
            if len(self._matches) > 100_000:
                self._matches.clear()
            known = self._matches[pattern, text] = fnmatchcase(text, pattern)
        return known

    def _rules(self, value: object, field: str) -> list[dict[str, list[str]]]:
        if value is None:
            return []
        rules = []
        for index, each in enumerate(value if isinstance(value, list) else [value]):
            place = f"{field}[{index}]" if isinstance(value, list) else field
            if not isinstance(each, dict) or not each:
                self._report.add(
                    place, "is no rule", "give placeholders with values or patterns: {video: night*}", each
                )
                continue
            self._report.unknown_keys(each, self._known, place)
            rule: dict[str, list[str]] = {}
            for name, wanted in each.items():
                patterns = wanted if isinstance(wanted, list) else [wanted]
                if not patterns or not all(is_scalar(pattern) for pattern in patterns):
                    remedy = "give a value, a pattern such as night*, or a list of them"
                    self._report.add(f"{place}.{name}", "is no value", remedy, wanted)
                rule[name] = [word(pattern) for pattern in patterns]
            rules.append(rule)
        return rules

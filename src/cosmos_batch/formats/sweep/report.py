"""The problems of a sweep, each with the line of its field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from cosmos_batch.errors import Problem
from cosmos_batch.formats.close_names import closest
from cosmos_batch.formats.problems import Location
from cosmos_batch.formats.sweep.document import Document

_NOTHING = object()


@dataclass(slots=True)
class Report:
    """Collects the problems of one sweep; an equal problem is kept once."""

    file: str
    document: Document
    problems: dict[Problem, None] = field(default_factory=dict)

    def add(self, name: str, message: str, remedy: str, found: object = _NOTHING) -> None:
        """Add a problem of a field; "" is the sweep itself."""
        location = Location(self.file)
        made = location.problem(name, message, remedy, found) if found is not _NOTHING else None
        made = made or location.problem(name, message, remedy)
        self.problems.setdefault(replace(made, line=self.document.line_of(name)))

    def has_problem(self, key: str) -> bool:
        """Whether there is a problem of a key of the sweep, or of a part of it, or of a file that it names."""
        return any(problem.field.startswith(key) or problem.file != self.file for problem in self.problems)

    def take(self, problem: Problem, paths: Mapping[str, str]) -> None:
        """Add a problem of a run's field, at the place of the sweep that the field is from."""
        name = next((paths[part] for part in _around(problem.field) if part in paths), problem.field)
        self.problems.setdefault(replace(problem, field=name, line=self.document.line_of(name)))

    def unknown_keys(self, given: Mapping[str, object], known: Sequence[str], within: str = "") -> None:
        """Add a problem for each key that is not known."""
        for key, value in given.items():
            if key not in known:
                near = closest(key, known)
                remedy = f"did you mean {near!r}?" if near else f"remove it; known here: {', '.join(known)}"
                self.add(f"{within}.{key}" if within else key, "is not a known key", remedy, value)


def _around(name: str) -> Sequence[str]:
    """A dotted path and the paths around it, the nearest first."""
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(len(parts), 0, -1)]

"""The YAML or JSON of a sweep as plain values, with the line of every part."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import yaml

from cosmos_batch.formats.json_text import MalformedJsonError, parse_json
from cosmos_batch.formats.problems import join_path, shown

_MAX_PARTS = 2_000_000  # of a document with its repeated parts: aliases multiply
_NUMBER = re.compile(r"-?\d+(\.\d+)?[eE][+-]?\d+")  # YAML 1.1 takes these for text
_CORE = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "timestamp"))


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed document."""

    value: object
    lines: Mapping[str, int]  # 1-based line of each part, by its dotted path

    def line_of(self, field: str) -> int | None:
        """The line of a field, else of the nearest part around it; None where none is known."""
        while field:
            if field in self.lines:
                return self.lines[field]
            field = field[: max(field.rfind("."), field.rfind("["), 0)]
        return None


def read_document(raw: bytes) -> Document:
    """Parse UTF-8 YAML, or JSON. Raises MalformedJsonError with the row and column of the fault."""
    text = raw.removeprefix(b"\xef\xbb\xbf")
    if text.lstrip()[:1] == b"{":
        return _json(text)
    return _yaml(text)


def _json(raw: bytes) -> Document:
    value = parse_json(raw)
    try:
        return Document(value, _yaml(raw).lines)
    except MalformedJsonError:  # JSON that is no YAML: indented by tabs
        return Document(value, {})


def _yaml(raw: bytes) -> Document:
    try:
        loader = yaml.CSafeLoader(raw.decode())
        node = loader.get_single_node()
        reader = _Reader(loader)
        return Document(None if node is None else reader.value(node, ""), reader.lines)
    except UnicodeDecodeError as error:
        raise MalformedJsonError(f"is not UTF-8 (byte {error.start + 1})", "save it as UTF-8") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        row, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        raise MalformedJsonError(f"is not YAML: {error.problem}", "mend the YAML there", row, column) from error
    except yaml.YAMLError as error:
        raise MalformedJsonError(f"is not YAML: {error}", "mend the YAML") from error
    except RecursionError as error:
        raise MalformedJsonError("is nested too deeply, or a part contains itself", "nest it less") from error


class _Reader:
    """Reads nodes to values."""

    def __init__(self, loader: yaml.CSafeLoader) -> None:
        self.lines: dict[str, int] = {}
        self._loader = loader
        self._parts = 0

    def value(self, node: yaml.Node, path: str) -> object:
        """The value of a node."""
        self._parts += 1
        if self._parts > _MAX_PARTS:
            raise self._fault(
                node, f"has more than {_MAX_PARTS:,} parts", "put the values into a text file or table"
            )
        if path:
            self.lines[path] = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(each, f"{path}[{index}]") for index, each in enumerate(node.value)]
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: str) -> dict[str, object]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self._fault(key, "has a key that is no text", "write the key as a word")
            if key.value in seen:
                raise self._fault(key, f"gives the key {shown(key.value)} more than once", "keep one of them")
            seen.add(key.value)
        if "<<" in seen:
            self._loader.flatten_mapping(node)
        return {key.value: self.value(each, join_path(path, key.value)) for key, each in node.value}

    def _scalar(self, node: yaml.Node) -> object:
        if node.tag not in _CORE:
            raise self._fault(node, f"has the tag {node.tag}, which is not read", "leave it out")
        text = str(node.value)
        if node.tag.endswith(":timestamp"):
            return text
        if node.tag.endswith(":str"):
            plain = getattr(node, "style", None) is None
            return float(text) if plain and _NUMBER.fullmatch(text) else text
        try:
            return self._loader.construct_object(node)
        except ValueError as error:
            raise self._fault(
                node, f"holds {shown(text)}, which is no number", "put it in quotes, or shorten it"
            ) from error

    def _fault(self, node: yaml.Node, message: str, remedy: str) -> MalformedJsonError:
        return MalformedJsonError(message, remedy, node.start_mark.line + 1, node.start_mark.column + 1)

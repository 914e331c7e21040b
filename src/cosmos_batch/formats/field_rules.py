"""The rules of a record in words, derived from its pydantic model, so that a remedy never contradicts the rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from pydantic import BaseModel

Node = Mapping[str, Any]  # a part of a JSON schema


class FieldRules:
    """The values that a model allows at each of its fields."""

    def __init__(self, model: type[BaseModel]) -> None:
        schema = model.model_json_schema()
        self._root: Node = schema
        self._definitions: Mapping[str, Node] = schema.get("$defs", {})

    def keys(self, loc: Sequence[int | str]) -> tuple[str, ...]:
        """The keys that the object at `loc` may have."""
        node = self._node(loc)
        names = self._resolved(node.get("propertyNames", {})).get("enum", ())
        return (*node.get("properties", {}), *names)

    def choices(self, loc: Sequence[int | str]) -> tuple[str, ...]:
        """The values that the text at `loc` may have, where they can be listed."""
        return tuple(str(value) for value in self._node(loc).get("enum", ()))

    def parent_of(self, key: str) -> str | None:
        """The object one level down that has a key which was found at the top; None where there is none."""
        parents = (name for name in self._root.get("properties", {}) if key in self.keys([name]))
        return next(parents, None)

    def expected(self, loc: Sequence[int | str]) -> str:
        """The expected value at `loc`, as the object of "give"."""
        return _described(self._node(loc))

    def _node(self, loc: Sequence[int | str]) -> Node:
        node = self._resolved(self._root)
        for part in loc:
            below = node.get("properties", {}).get(part) or node.get("additionalProperties") or {}
            node = self._resolved(below if isinstance(below, Mapping) else {})
        return node

    def _resolved(self, node: Node) -> Node:
        """The node of a reference, or of "this or null"."""
        for option in node.get("anyOf", ()):
            if option.get("type") != "null":
                return self._resolved(option)
        if reference := node.get("$ref"):
            return self._definitions[reference.rpartition("/")[2]]
        return node


@cache
def rules_of(model: type[BaseModel]) -> FieldRules:
    """The rules of a model, derived once."""
    return FieldRules(model)


def _described(node: Node) -> str:
    if "description" in node and node.get("type") != "object":
        return str(node["description"])
    if "const" in node or "enum" in node:
        return f"one of {', '.join(map(str, node.get('enum', [node.get('const')])))}"
    match node.get("type"):
        case "number":
            return f"a number{_range(node)}"
        case "integer":
            return f"a whole number{_range(node)}"
        case "string":
            return f"text{_length(node)}"
        case "boolean":
            return "true or false"
        case "object":
            return "an object in braces"
    return "a value that is allowed here"


def _range(node: Node) -> str:
    low, above = node.get("minimum"), node.get("exclusiveMinimum")
    high, below = node.get("maximum"), node.get("exclusiveMaximum")
    starts = f"from {_plain(low)}" if low is not None else f"above {_plain(above)}" if above is not None else ""
    ends = f"to {_plain(high)}" if high is not None else f"below {_plain(below)}" if below is not None else ""
    return "".join(f" {bound}" for bound in (starts, ends) if bound)


def _plain(bound: float | int) -> str:
    """A bound without a needless fraction."""
    return f"{bound:g}" if isinstance(bound, float) else str(bound)


def _length(node: Node) -> str:
    low, high = node.get("minLength", 0), node.get("maxLength")
    if high is None:
        return " that is not empty" if low else ""
    return f" of {low} to {high:,} characters" if low else f" of at most {high:,} characters"

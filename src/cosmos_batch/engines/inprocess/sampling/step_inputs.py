"""Inputs of a step beside the latents, in a form that a CUDA graph can be recorded from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator
from dataclasses import fields, is_dataclass
from functools import cached_property
from typing import Any, Self

from torch import Tensor


class StepInputs(ABC):
    """Base of a family's layout, which is a frozen dataclass of tensors, plain values, tuples and dataclasses."""

    @property
    @abstractmethod
    def row_tokens(self) -> int:
        """Tokens of the forward pass, over all rows."""

    @cached_property
    def tensors(self) -> tuple[Tensor, ...]:
        """All tensors in it, in an order that depends on the structure alone."""
        return tuple(leaf for leaf in _leaves(self) if isinstance(leaf, Tensor))

    @cached_property
    def structure(self) -> Hashable:
        """Everything but the values of the tensors."""
        return tuple(
            (tuple(leaf.shape), leaf.dtype) if isinstance(leaf, Tensor) else leaf for leaf in _leaves(self)
        )

    def clone(self) -> Self:
        """Copy it, with memory of its own."""
        copy: Self = _cloned(self)
        return copy


def _leaves(value: object) -> Iterator[Any]:
    """The values within dataclasses and tuples, at any depth."""
    if isinstance(value, tuple):
        for part in value:
            yield from _leaves(part)
    elif is_dataclass(value):
        for field in fields(value):
            yield from _leaves(getattr(value, field.name))
    else:
        yield value


def _cloned(value: Any) -> Any:
    """Copy dataclasses and tuples with all tensors in them."""
    if isinstance(value, Tensor):
        return value.clone()
    if is_dataclass(value) and not isinstance(value, type):
        return type(value)(**{field.name: _cloned(getattr(value, field.name)) for field in fields(value)})
    if isinstance(value, tuple):
        parts = [_cloned(part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return value

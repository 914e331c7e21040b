"""A small text encoder: a word is the mean of what its letters' trigrams mean.

Like fastText's subword vectors (Bojanowski et al. 2017, arXiv 1607.04606), so that "snowy" is near to "snow".
It has no vocabulary, and takes any script. It is the text encoder of the embedded model.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cosmos_batch.engines.inprocess.json_files import integer_fields, read_config
from cosmos_batch.engines.inprocess.weight_files import load_weights

_WORD = re.compile(r"\w+")
_NOTHING, _EMPTY, _FIRST = 0, 1, 2  # rows of the table: no trigram, the empty prompt, the first trigram


@dataclass(frozen=True, slots=True)
class TrigramConfig:
    """Sizes."""

    buckets: int = 2048  # that trigrams are hashed into
    bucket_dim: int = 96
    features: int = 256  # width of a token
    hidden: int = 160  # of the layer that mixes a word with the whole prompt
    max_words: int = 64  # those after are not read
    max_grams: int = 16  # of a word; those after are not read


class TrigramText(nn.Module):
    """Prompts to features, one token per word (see `TextEncoder`)."""

    def __init__(self, config: TrigramConfig) -> None:
        super().__init__()
        self.sizes = config
        self.table = nn.Embedding(config.buckets + _FIRST, config.bucket_dim, padding_idx=_NOTHING)
        self.widen = nn.Linear(config.bucket_dim, config.features)
        self.hidden = nn.Linear(2 * config.features, config.hidden)
        self.out = nn.Linear(config.hidden, config.features)

    @property
    def pending_bytes(self) -> int:
        """Nothing: it is loaded at once."""
        return 0

    @property
    def config(self) -> dict[str, Any]:
        """The content of `text_encoder/config.json`."""
        return {"_class_name": "TrigramText"} | asdict(self.sizes)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> TrigramText:
        """With random weights, sized by `text_encoder/config.json`. ModelError: a size is missing."""
        names = (field.name for field in fields(TrigramConfig))
        return cls(TrigramConfig(**integer_fields(config, names, "text_encoder/config.json", "TrigramText")))

    @classmethod
    def load(cls, folder: Path) -> TrigramText:
        """From a folder of config.json and safetensors, in float32. ModelError: they do not fit."""
        return load_weights(cls.from_config(read_config(folder)), folder)

    def tokens(self, prompt: str) -> Tensor:
        """A prompt -> rows of the table [L, max_grams], L >= 1; short words are filled up with row 0."""
        words = _WORD.findall(prompt.casefold())[: self.sizes.max_words]
        rows = [self._grams(word) for word in words] or [[_EMPTY]]
        return torch.tensor([row + [_NOTHING] * (self.sizes.max_grams - len(row)) for row in rows])

    def _grams(self, word: str) -> list[int]:
        marked = f"<{word}>"
        grams = [marked, *(marked[i : i + 3] for i in range(len(marked) - 2))][: self.sizes.max_grams]
        return [zlib.crc32(gram.encode("utf-8", "surrogatepass")) % self.sizes.buckets + _FIRST for gram in grams]

    def forward(self, tokens: Tensor) -> Tensor:
        """Rows of the table [B, L, max_grams] -> features [B, L, features]. A word of zeros alone is padding."""
        counts = (tokens != _NOTHING).sum(-1, keepdim=True)
        words = self.widen(self.table(tokens).sum(-2) / counts.clamp(min=1))
        there = (counts > 0).to(words.dtype)
        whole = (words * there).sum(1, keepdim=True) / there.sum(1, keepdim=True)
        mixed = torch.cat((words, whole.expand_as(words)), dim=-1)
        return words + self.out(F.silu(self.hidden(mixed)))

    @torch.no_grad()
    def encode(self, prompt: str) -> Tensor:
        """A prompt -> features [L, features], at most `max_words` of them; the empty prompt has one."""
        return self(self.tokens(prompt).to(self.table.weight.device).unsqueeze(0))[0]

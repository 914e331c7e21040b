"""A tokenizer of words for the tests of text encoders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cosmos_batch.engines.inprocess.text.qwen import SYSTEM


class WordTokenizer:
    """Encodes a word as its length, and keeps the options of the last call."""

    def __init__(self) -> None:
        self.options: dict[str, Any] = {}

    def apply_chat_template(self, conversation: Sequence[dict[str, Any]], **options: Any) -> list[int]:
        self.options = options
        texts = [part["text"] for message in conversation for part in message["content"]]
        assert [message["role"] for message in conversation] == ["system", "user"]
        assert texts[0] == SYSTEM
        ids = [len(word) for text in texts for word in text.split()]
        length = options["max_length"]
        return (ids + [0] * length)[:length]

"""The configuration of the published model's text encoder."""

from __future__ import annotations

from benchmarks.gpu.folder import PUBLISHED
from benchmarks.gpu.text import configuration


def test_configuration_has_the_sizes_of_the_published_text_encoder() -> None:
    config = configuration(PUBLISHED.text)

    text = config["text_config"]
    assert (text["hidden_size"], text["num_hidden_layers"], text["vocab_size"]) == (3584, 28, 152_064)
    assert sum(text["rope_parameters"]["mrope_section"]) == text["hidden_size"] // text["num_attention_heads"] // 2
    assert config["vision_config"]["out_hidden_size"] == text["hidden_size"]

"""Text features: against diffusers' pipeline on a small Qwen2.5-VL, and what is asked of tokenizer and model."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from cosmos_batch.engines.inprocess.text.qwen import QwenEncoder, features_from_hidden_states
from cosmos_batch.errors import MissingExtraError
from tests.support.word_tokenizer import WordTokenizer

REFERENCE = Path(__file__).parents[1] / "reference" / "text.safetensors"


class OneHotModel:
    """Two layers: the token ids as one-hot vectors of eight, and twice that."""

    def __call__(self, input_ids: Tensor, **options: bool) -> Any:
        assert options == {"output_hidden_states": True, "use_cache": False}
        first = torch.nn.functional.one_hot(input_ids.clamp(max=7), 8).float()
        return SimpleNamespace(hidden_states=(torch.zeros_like(first), first, 2 * first))


def test_features_are_those_of_the_diffusers_pipeline() -> None:
    reference = load_file(REFERENCE)
    states = [reference[f"hidden.{layer}"] for layer in range(4)]
    torch.testing.assert_close(features_from_hidden_states(states), reference["features"], atol=1e-6, rtol=1e-6)


def test_a_prompt_becomes_512_tokens_and_the_features_of_all_layers() -> None:
    # Given an encoder with a tokenizer and a model of two layers of eight
    tokenizer = WordTokenizer()
    encoder = QwenEncoder(tokenizer, OneHotModel(), torch.device("cpu"))
    # When a prompt is encoded
    features = encoder.encode("a robot arm")
    # Then every one of 512 tokens, padding included, has both layers, each with mean 0 and deviation 1
    assert features.shape == (512, 16)
    torch.testing.assert_close(features[:, :8], features[:, 8:])
    torch.testing.assert_close(features[:, :8].mean(dim=-1), torch.zeros(512), atol=1e-6, rtol=0)
    torch.testing.assert_close(features[:, :8].std(dim=-1), torch.ones(512))
    # And the template was asked for as the pipeline asks
    assert tokenizer.options == {
        "tokenize": True,
        "add_generation_prompt": False,
        "add_vision_id": False,
        "max_length": 512,
        "truncation": True,
        "padding": "max_length",
        "return_dict": False,
    }


def test_the_empty_prompt_has_features_too() -> None:
    assert QwenEncoder(WordTokenizer(), OneHotModel(), torch.device("cpu")).encode("").isfinite().all()


def test_without_transformers_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"text encoder .* pip install 'cosmos-batch\[nvidia\]'"):
        QwenEncoder.load(tmp_path, tmp_path, torch.device("cpu"))

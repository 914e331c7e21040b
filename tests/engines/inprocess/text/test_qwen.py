"""Text features: against diffusers' pipeline on a small Qwen2.5-VL, and what is asked of tokenizer and model."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from cosmos_batch.engines.inprocess.text.qwen import LazyQwen, QwenEncoder, features_from_hidden_states, token_ids
from cosmos_batch.errors import MissingExtraError, ModelError
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
    with pytest.raises(MissingExtraError, match=r"text encoder .* pip install 'cosmos-batch\[nvidia\]'"):
        LazyQwen(tmp_path, tmp_path, torch.device("cpu"), torch.float32, waits=False)


class StandInTransformers(ModuleType):
    """The part of transformers that loading uses: a language model of one table, and a tokenizer."""

    def __init__(self) -> None:
        super().__init__("transformers")
        self.__spec__ = ModuleSpec("transformers", None)
        self.loads = 0
        self.AutoTokenizer = SimpleNamespace(from_pretrained=lambda *_, **__: WordTokenizer())
        config = SimpleNamespace(get_text_config=lambda: None)
        self.AutoConfig = SimpleNamespace(from_pretrained=lambda *_, **__: config)
        self.AutoModel = SimpleNamespace(from_config=self._model)

    def _model(self, _config: None, dtype: torch.dtype) -> torch.nn.Module:
        self.loads += 1
        return TableModel().to(dtype)


class Turn(torch.nn.Module):
    """Stands for rotary tables, which are in no file."""

    def __init__(self, _config: None = None) -> None:
        super().__init__()
        self.register_buffer("inverse", torch.ones(2), persistent=False)


class TableModel(torch.nn.Module):
    """One layer: the embeddings of the tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.embed_tokens = torch.nn.Embedding(600, 4)
        self.rotary_emb = Turn()

    def forward(self, input_ids: Tensor, **_options: bool) -> Any:
        made = self.embed_tokens(input_ids.clamp(max=599)) * self.rotary_emb.inverse[0]
        return SimpleNamespace(hidden_states=(made, made))


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> StandInTransformers:
    module = StandInTransformers()
    monkeypatch.setitem(sys.modules, "transformers", module)
    return module


def test_the_encoder_is_loaded_at_the_first_prompt_and_once(tmp_path: Path, stand_in: StandInTransformers) -> None:
    """From the files of the whole Qwen2.5-VL, of which the language model alone is read."""
    table = torch.randn(600, 4, generator=torch.Generator().manual_seed(0))
    tensors = {"model.language_model.embed_tokens.weight": table, "model.visual.patch.weight": torch.ones(9)}
    save_file(tensors, tmp_path / "model.safetensors")
    lazy = LazyQwen(tmp_path, tmp_path, torch.device("cpu"), torch.float32, waits=False)
    assert stand_in.loads == 0
    assert lazy.pending_bytes == (tmp_path / "model.safetensors").stat().st_size
    features = lazy.encode("a robot arm")
    lazy.encode("a street")
    assert (stand_in.loads, lazy.pending_bytes) == (1, 0)
    ids = token_ids(WordTokenizer(), "a robot arm").clamp(max=599)
    torch.testing.assert_close(features, features_from_hidden_states([table[ids]] * 2))


@pytest.mark.parametrize("waits", [False, True])
def test_an_encoder_without_its_words_is_refused_by_name(
    waits: bool, tmp_path: Path, stand_in: StandInTransformers
) -> None:
    save_file({"visual.weight": torch.ones(3)}, tmp_path / "model.safetensors")
    lazy = LazyQwen(tmp_path, tmp_path, torch.device("cpu"), torch.float32, waits=waits)
    with pytest.raises(ModelError, match=r"0 tensors have a name that ends with embed_tokens\.weight"):
        lazy.encode("a street")
    assert stand_in.loads == 1


def test_a_folder_without_weights_is_refused_before_any_prompt(
    tmp_path: Path, stand_in: StandInTransformers
) -> None:
    with pytest.raises(ModelError, match=r"no \.safetensors file"):
        LazyQwen(tmp_path, tmp_path, torch.device("cpu"), torch.float32, waits=False)
    assert stand_in.loads == 0

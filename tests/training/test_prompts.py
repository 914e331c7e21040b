"""Prompts name styles, and the text encoder reads them."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from cosmos_batch.engines.inprocess.text.trigram import TrigramConfig, TrigramText
from cosmos_batch.errors import ModelError
from training.pocket.prompts import PHRASES, style_of, write_negative, write_prompt


@pytest.mark.parametrize("style", PHRASES)
def test_every_training_prompt_names_its_style_and_no_other(style: str) -> None:
    dice = random.Random(0)
    prompts = [write_prompt(style, dice) for _ in range(400)]
    assert {style_of(prompt) for prompt in prompts} == {style}


def test_prompts_of_the_unguided_pass_name_no_style() -> None:
    dice = random.Random(0)
    negatives = {write_negative(dice) for _ in range(50)}
    assert "" in negatives
    assert {style_of(prompt) for prompt in negatives} == {None}


@pytest.fixture
def text() -> TrigramText:
    torch.manual_seed(0)
    return TrigramText(TrigramConfig(buckets=64, bucket_dim=8, features=16, hidden=8)).eval()


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("A snowy street, at dusk.", 5),
        ("", 1),
        ("  ,.! ", 1),
        ("straße 雪 ночь", 3),
        ("word " * 100, 64),
        ("supercalifragilisticexpialidocious", 1),
    ],
)
def test_a_prompt_has_a_token_per_word_and_never_none(text: TrigramText, prompt: str, words: int) -> None:
    assert text.encode(prompt).shape == (words, 16)


def test_case_and_punctuation_do_not_matter(text: TrigramText) -> None:
    assert torch.equal(text.encode("Snow, at NIGHT!"), text.encode("snow at night"))


def test_words_with_a_common_stem_are_nearer_than_others(text: TrigramText) -> None:
    snow, snowy, desert = (text.table(text.tokens(word)).sum(1)[0] for word in ("snow", "snowy", "desert"))
    assert torch.cosine_similarity(snow, snowy, dim=0) > torch.cosine_similarity(snow, desert, dim=0)


@torch.no_grad()
def test_padding_does_not_change_a_prompt(text: TrigramText) -> None:
    tokens = text.tokens("deep snow")
    padded = torch.cat((tokens, torch.zeros(3, tokens.shape[1], dtype=torch.long)))
    assert torch.allclose(text(padded[None])[0, :2], text.encode("deep snow"), atol=1e-6)


def test_a_saved_encoder_reads_the_same(text: TrigramText, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(text.config))
    save_file(text.state_dict(), tmp_path / "model.safetensors")
    assert torch.equal(TrigramText.load(tmp_path).encode("at night"), text.encode("at night"))


def test_a_configuration_that_lacks_a_size_is_refused() -> None:
    with pytest.raises(ModelError, match="no field 'buckets'"):
        TrigramText.from_config({"_class_name": "TrigramText"})

"""Texts kept between processes: given back bit for bit, by prompt, network and model, up to a size."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from cosmos_batch.engines.inprocess.text.context_store import ContextStore

TEXT = torch.randn(1, 5, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_text_comes_back_bit_for_bit(dtype: torch.dtype, tmp_path: Path) -> None:
    ContextStore(tmp_path / "new", "model").put("base", "a street", TEXT.to(dtype))
    found = ContextStore(tmp_path / "new", "model").get("base", "a street")
    assert found is not None
    assert found.dtype is dtype
    assert torch.equal(found, TEXT.to(dtype))


@pytest.mark.parametrize(
    ("model", "network", "prompt"),
    [("other", "base", "a street"), ("model", "edge", "a street"), ("model", "base", "a street ")],
)
def test_another_model_network_or_prompt_has_a_text_of_its_own(
    model: str, network: str, prompt: str, tmp_path: Path
) -> None:
    ContextStore(tmp_path, "model").put("base", "a street", TEXT)
    assert ContextStore(tmp_path, model).get(network, prompt) is None


def test_a_text_depends_on_the_weights_of_its_own_network_alone(tmp_path: Path) -> None:
    ContextStore(tmp_path, "model", {"base": "1", "edge": "2"}).put("base", "a street", TEXT)
    assert ContextStore(tmp_path, "model", {"base": "1", "vis": "3"}).get("base", "a street") is not None
    assert ContextStore(tmp_path, "model", {"base": "4", "edge": "2"}).get("base", "a street") is None


@pytest.mark.parametrize("damage", ["cut", "changed", "another file"])
def test_a_damaged_text_counts_as_absent(damage: str, tmp_path: Path) -> None:
    store = ContextStore(tmp_path, "model")
    store.put("base", "a street", TEXT)
    (file,) = tmp_path.iterdir()
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes({"cut": content[:-20], "changed": content, "another file": b"no text"}[damage])
    assert store.get("base", "a street") is None


def test_the_least_recently_used_texts_make_room(tmp_path: Path) -> None:
    store, prompts = ContextStore(tmp_path, "model", max_bytes=1_400), ("first", "second", "third", "fourth")
    for age, prompt in enumerate(prompts[:3]):
        before = set(tmp_path.iterdir())
        store.put("base", prompt, TEXT)
        (file,) = set(tmp_path.iterdir()) - before
        assert file.stat().st_size < 350
        os.utime(file, (age, age))
    assert store.get("base", "first") is not None  # so it is used last
    store.put("base", "fourth", torch.zeros(1, 100))
    assert [store.get("base", prompt) is not None for prompt in prompts] == [True, False, True, True]


def test_a_folder_that_cannot_be_written_keeps_nothing_and_raises_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    store = ContextStore(tmp_path / "file" / "folder", "model")
    store.put("base", "a street", TEXT)
    assert store.get("base", "a street") is None

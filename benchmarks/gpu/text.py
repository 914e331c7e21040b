"""The text encoder of `folder`: Qwen2.5-VL with random weights, and a tokenizer of bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

Shape = tuple[int, ...]
Shapes = dict[str, Shape]
"""Tensors by name."""

BYTES_OF_A_SHARD = 2 << 30
CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% for part in message['content'] %}{{ part['text'] }}{% endfor %}<|im_end|>\n{% endfor %}"
)
"""Qwen's chat template, for text alone."""


def configuration(text: Mapping[str, Any]) -> dict[str, Any]:
    """config.json of the whole Qwen2.5-VL. Its vision tower is a stub, because it is dropped after loading."""
    head = text["width"] // text["heads"]
    part = head // 16
    language = {
        "vocab_size": text["vocabulary"],
        "hidden_size": text["width"],
        "intermediate_size": text["middle"],
        "num_hidden_layers": text["layers"],
        "num_attention_heads": text["heads"],
        "num_key_value_heads": text["key_heads"],
        "bos_token_id": None,
        "eos_token_id": None,
        "rope_parameters": {
            "rope_type": "default",
            "mrope_section": [2 * part, 3 * part, 3 * part],
            "rope_theta": 1_000_000.0,
        },
    }
    vision = {"depth": 1, "hidden_size": 32, "intermediate_size": 32, "num_heads": 2, "fullatt_block_indexes": [0]}
    return {
        "model_type": "qwen2_5_vl",
        "architectures": ["Qwen2_5_VLForConditionalGeneration"],
        "text_config": language,
        "vision_config": vision | {"out_hidden_size": text["width"]},
    }


def write_qwen(root: Path, sizes: Mapping[str, Any]) -> Mapping[Path, Shapes]:
    """Write text_encoder/ without its weights, and tokenizer/. Returns the shapes of the weights by file."""
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLModel

    folder = root / "text_encoder"
    folder.mkdir(parents=True)
    config = configuration(sizes)
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    with torch.device("meta"):
        model = Qwen2_5_VLModel(Qwen2_5_VLConfig(**config))
    shards = _shards({name: tuple(tensor.shape) for name, tensor in model.state_dict().items()})
    files = {f"model-{i:05}-of-{len(shards):05}.safetensors": part for i, part in enumerate(shards, start=1)}
    index = {"metadata": {}, "weight_map": {name: file for file, part in files.items() for name in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    write_tokenizer(root / "tokenizer")
    return {folder / file: part for file, part in files.items()}


def _shards(shapes: Shapes) -> list[Shapes]:
    """Split the tensors into files of a few gigabytes, which are written at the same time."""
    shards: list[Shapes] = [{}]
    capacity = BYTES_OF_A_SHARD
    for name, shape in shapes.items():
        size = 2 * torch.Size(shape).numel()
        if shards[-1] and size > capacity:
            shards.append({})
            capacity = BYTES_OF_A_SHARD
        shards[-1][name] = shape
        capacity -= size
    return shards


def write_tokenizer(folder: Path) -> None:
    """Write a tokenizer of bytes with Qwen's chat markers."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = Tokenizer(models.BPE(vocab={letter: index for index, letter in enumerate(letters)}, merges=[]))
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    marks = ["<|im_start|>", "<|im_end|>"]
    words.add_special_tokens(["<|endoftext|>", *marks])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<|endoftext|>", eos_token="<|im_end|>", chat_template=CHAT
    )
    tokenizer.save_pretrained(folder)

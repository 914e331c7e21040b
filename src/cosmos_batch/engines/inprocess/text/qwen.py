"""Text features for the published Cosmos-Transfer2.5 checkpoint: all layers of Qwen2.5-VL's language model.

As diffusers' Cosmos2_5_TransferPipeline makes them, in every detail that reaches the network: the prompt in a chat
template with a system message, cut or padded to 512 tokens, and no attention mask. So padding attends to the text
and is read by the network like text; the checkpoint was trained that way, and masking it would change its videos.
A prompt that is longer is cut without a word there, and so it is here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from cosmos_batch.engines.inprocess.gpu.host_device import to_device
from cosmos_batch.engines.inprocess.gpu.offload import in_stages
from cosmos_batch.errors import MissingExtraError, ModelError

TOKENS = 512
SYSTEM = "You are a helpful assistant who will provide prompts to an image generator."


class Tokenizer(Protocol):
    """The part of a transformers tokenizer that is used."""

    def apply_chat_template(self, conversation: Sequence[dict[str, Any]], **options: Any) -> list[int]:
        """Token ids of a conversation."""


class LanguageModel(Protocol):
    """The part of a transformers language model that is used."""

    def __call__(self, input_ids: Tensor, *, output_hidden_states: bool, use_cache: bool) -> Any:
        """Token ids [1, L] -> an object with `hidden_states`: of the embeddings, then of every layer [1, L, D]."""


def features_from_hidden_states(hidden_states: Sequence[Tensor]) -> Tensor:
    """Features [..., L, layers * D] from the hidden states [..., L, D] of the embeddings and of every layer.

    The embeddings are left out. Each layer's are brought to mean 0 and (unbiased) standard deviation 1 over D.
    """
    normal = []
    for state in hidden_states[1:]:
        centred = state - state.mean(dim=-1, keepdim=True)
        normal.append(centred / (state.std(dim=-1, keepdim=True) + 1e-8))
    return torch.cat(normal, dim=-1)


def token_ids(tokenizer: Tokenizer, prompt: str) -> Tensor:
    """The prompt in its chat template -> exactly 512 token ids [512]."""
    conversation = [
        {"role": "system", "content": [{"type": "text", "text": SYSTEM}]},
        {"role": "user", "content": [{"type": "text", "text": prompt}]},
    ]
    ids = tokenizer.apply_chat_template(
        conversation,
        tokenize=True,
        add_generation_prompt=False,
        add_vision_id=False,
        max_length=TOKENS,
        truncation=True,
        padding="max_length",
        return_dict=False,
    )
    return torch.tensor(ids, dtype=torch.long)


class QwenEncoder:
    """Prompts to features [512, layers * D], 28 layers of 3584 as published, in the model's dtype."""

    def __init__(self, tokenizer: Tokenizer, model: LanguageModel, device: torch.device) -> None:
        self._tokenizer = tokenizer
        self._model = model
        self._device = device

    @classmethod
    def load(
        cls,
        tokenizer: Path,
        text_encoder: Path,
        device: torch.device,
        dtype: torch.dtype = torch.bfloat16,
        *,
        waits: bool = False,
    ) -> QwenEncoder:
        """From the `tokenizer` and `text_encoder` folders of a diffusers layout.

        The language model alone is kept: the head is never loaded, the vision tower is dropped after loading.
        With `waits`, it is in the host's memory, and its layers go through the device one by one for every prompt:
        13 GiB in bfloat16, of which a layer has 0.43 and the table of words 1.0. Where PCIe carries 16 GB/s, that
        is a second; to compute on the host in their place is 7 TFLOP, which takes most processors longer.
        Raises MissingExtraError without transformers, ModelError where a folder does not hold what it should.
        """
        try:
            from transformers import AutoTokenizer, Qwen2_5_VLModel
        except ImportError as exc:
            raise MissingExtraError("The text encoder of Cosmos-Transfer2.5", "nvidia") from exc
        try:
            words = AutoTokenizer.from_pretrained(tokenizer, local_files_only=True)
            whole, report = Qwen2_5_VLModel.from_pretrained(
                text_encoder, dtype=dtype, local_files_only=True, output_loading_info=True
            )
        except (OSError, ValueError, RuntimeError) as exc:
            raise ModelError(
                f"{text_encoder} and {tokenizer} do not load as Qwen2.5-VL and its tokenizer ({exc})"
            ) from exc
        if missing := sorted(report["missing_keys"]):  # transformers would leave them random
            raise ModelError(f"{text_encoder}: {len(missing)} tensors missing, the first is {missing[0]!r}")
        model = whole.language_model.eval()
        return cls(words, in_stages(model, device) if waits else model.to(device), device)

    @torch.no_grad()
    def encode(self, prompt: str) -> Tensor:
        """A prompt -> features [512, layers * D]. The empty prompt is a conversation too."""
        ids = to_device(token_ids(self._tokenizer, prompt), self._device)
        states = self._model(ids[None], output_hidden_states=True, use_cache=False).hidden_states
        return features_from_hidden_states([state[0] for state in states])

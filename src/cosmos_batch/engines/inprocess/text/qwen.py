"""Text features for the published Cosmos-Transfer2.5 checkpoint: all layers of Qwen2.5-VL's language model.

As diffusers' Cosmos2_5_TransferPipeline makes them, in every detail that reaches the network: the prompt in a chat
template with a system message, cut or padded to 512 tokens, and no attention mask. So padding attends to the text
and is read by the network like text; the checkpoint was trained that way, and masking it would change its videos.
A prompt that is longer is cut without a word there, and so it is here.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from cosmos_batch.engines.inprocess.gpu.host_device import to_device
from cosmos_batch.engines.inprocess.gpu.offload import in_stages
from cosmos_batch.engines.inprocess.weight_files import WeightFiles
from cosmos_batch.errors import MissingExtraError, ModelError

_WHAT = "The text encoder of Cosmos-Transfer2.5"
_WORDS = "embed_tokens.weight"

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

        The language model alone is read, without its head and the vision tower.
        With `waits`, it is in the host's memory, and its layers go through the device one by one for every prompt:
        13 GiB in bfloat16, of which a layer has 0.43 and the table of words 1.0. Where PCIe carries 16 GB/s, that
        is a second; to compute on the host in their place is 7 TFLOP, which takes most processors longer.
        Raises MissingExtraError without transformers, ModelError where a folder does not hold what it should.
        """
        try:
            from transformers import AutoConfig, AutoModel, AutoTokenizer
        except ImportError as exc:
            raise MissingExtraError(_WHAT, "nvidia") from exc
        place = torch.device("cpu") if waits else device
        try:
            words = AutoTokenizer.from_pretrained(tokenizer, local_files_only=True)
            config = AutoConfig.from_pretrained(text_encoder, local_files_only=True).get_text_config()
            with torch.device("meta"):
                model = AutoModel.from_config(config, dtype=dtype)
            _fill(model, WeightFiles(text_encoder, place, dtype))
            model.rotary_emb = type(model.rotary_emb)(config).to(place)  # its tables are in no file
        except (OSError, ValueError, RuntimeError, AttributeError) as exc:
            raise ModelError(
                f"{text_encoder} and {tokenizer} do not load as Qwen2.5-VL and its tokenizer ({exc})"
            ) from exc
        model.eval().requires_grad_(False)
        return cls(words, in_stages(model, device) if waits else model, device)

    @property
    def pending_bytes(self) -> int:
        """Nothing: it is loaded."""
        return 0

    @torch.no_grad()
    def encode(self, prompt: str) -> Tensor:
        """A prompt -> features [512, layers * D]. The empty prompt is a conversation too."""
        ids = to_device(token_ids(self._tokenizer, prompt), self._device)
        states = self._model(ids[None], output_hidden_states=True, use_cache=False).hidden_states
        return features_from_hidden_states([state[0] for state in states])


class LazyQwen:
    """The text encoder, loaded at the first prompt: a process whose prompts were all read before needs none."""

    def __init__(
        self, tokenizer: Path, text_encoder: Path, device: torch.device, dtype: torch.dtype, *, waits: bool
    ) -> None:
        """Look at the files. Raises MissingExtraError without transformers, ModelError for damaged files."""
        if not find_spec("transformers"):
            raise MissingExtraError(_WHAT, "nvidia")
        stored = sum(file.stat().st_size for file in text_encoder.glob("*.safetensors"))
        WeightFiles(text_encoder)  # checks their heads
        self._load = partial(QwenEncoder.load, tokenizer, text_encoder, device, dtype, waits=waits)
        self._encoder: QwenEncoder | None = None
        self._bytes = 0 if waits else stored

    @property
    def pending_bytes(self) -> int:
        """Bytes of the device's memory that loading it will take, at most; 0 once it is loaded."""
        return self._bytes if self._encoder is None else 0

    def encode(self, prompt: str) -> Tensor:
        """A prompt -> features [512, layers * D]."""
        if self._encoder is None:
            self._encoder = self._load()
        return self._encoder.encode(prompt)


def _fill(model: nn.Module, weights: WeightFiles) -> None:
    """Fill the language model from the files of the whole Qwen2.5-VL, in which its names have a prefix."""
    prefixes = [name.removesuffix(_WORDS) for name in weights if name.endswith(_WORDS)]
    if len(prefixes) != 1:
        raise ValueError(f"{len(prefixes)} tensors have a name that ends with {_WORDS}; one is needed")
    names = {name: prefixes[0] + name for name in model.state_dict()}
    if missing := sorted(set(names.values()) - set(weights)):
        raise ValueError(f"{len(missing)} tensors missing, the first is {missing[0]!r}")
    state = weights.apply(lambda tensors: {name: tensors[stored] for name, stored in names.items()})
    model.load_state_dict(state, assign=True)

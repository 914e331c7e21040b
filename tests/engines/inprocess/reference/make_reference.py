"""Make the reference tensors that the parity tests compare with, from the diffusers classes.

Needs an environment of its own:
    pip install "diffusers==0.42.*" torch safetensors transformers
    python tests/engines/inprocess/reference/make_reference.py
"""

from __future__ import annotations

import types
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKLWan,
    CosmosControlNetModel,
    CosmosTransformer3DModel,
    UniPCMultistepScheduler,
)
from diffusers.models.controlnets import controlnet_cosmos
from diffusers.models.transformers import transformer_cosmos
from diffusers.pipelines.cosmos.pipeline_cosmos2_5_transfer import Cosmos2_5_TransferPipeline
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import PreTrainedTokenizerFast, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

HERE = Path(__file__).parent
FRAMES, HEIGHT, WIDTH, TOKENS = 3, 6, 8, 7

SHARED = {
    "num_attention_heads": 2,
    "attention_head_dim": 24,
    "mlp_ratio": 4.0,
    "text_embed_dim": 32,
    "adaln_lora_dim": 16,
    "patch_size": (1, 2, 2),
    "rope_scale": (1.0, 3.0, 3.0),
    "extra_pos_embed_type": None,
    "use_crossattn_projection": True,
    "crossattn_proj_in_channels": 40,
    "encoder_hidden_states_channels": 32,
}
BASE = SHARED | {
    "in_channels": 17,
    "out_channels": 16,
    "num_layers": 5,
    "concat_padding_mask": True,
    "controlnet_block_every_n": 2,
}
IMAGE_CONTEXT = {"img_context_dim_in": 12, "img_context_dim_out": 48}
IMAGE_TOKENS = 5
AUTOENCODER = {"base_dim": 2, "decoder_base_dim": 4}
VIDEOS = {1: (24, 40), 5: (40, 16), 9: (16, 32), 13: (32, 16)}  # frames: height, width
WORDS = "<pad> <unk> <|start|> <|end|> system user a robot arm in the snow at night"
CHAT = (
    "{% for message in messages %}<|start|> {{ message['role'] }} "
    "{% for part in message['content'] %}{{ part['text'] }}{% endfor %} <|end|> {% endfor %}"
)
LANGUAGE_MODEL = {
    "vocab_size": 14,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 1024,
    "rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0},
    "bos_token_id": None,
    "eos_token_id": None,
}
VISION_TOWER = {"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 16}
CONTROL = SHARED | {"n_controlnet_blocks": 2, "in_channels": 130, "latent_channels": 18, "model_channels": 48}


def without_torchvision() -> None:
    """The networks resize a padding mask with torchvision; ours is constant, so a crop serves as well."""

    def crop(mask: torch.Tensor, size: list[int], interpolation: object) -> torch.Tensor:
        assert interpolation == "nearest"
        return mask[..., : size[0], : size[1]]

    fake = types.SimpleNamespace(
        functional=types.SimpleNamespace(resize=crop),
        InterpolationMode=types.SimpleNamespace(NEAREST="nearest"),
    )
    transformer_cosmos.transforms = fake
    controlnet_cosmos.transforms = fake


def randomise(model: torch.nn.Module) -> torch.nn.Module:
    """Random weights large enough that every part of the network shows in the result."""
    for name, parameter in model.named_parameters():
        scale = 1 / parameter.shape[-1] ** 0.5 if parameter.dim() > 1 else 0.3
        offset = 1.0 if "norm" in name and parameter.dim() == 1 else 0.0
        torch.nn.init.normal_(parameter, offset, scale)
    return model.eval()


def networks(weights: dict[str, float], *, image_context: bool, file: str) -> None:
    """One forward of the base with weighted controls, the first latent frame known.

    Without an image context as in the distilled model, and in what NVIDIA published at first.
    """
    torch.manual_seed(0)
    image_sizes = IMAGE_CONTEXT if image_context else {"img_context_dim_in": None}
    tokens = {"img_context_num_tokens": IMAGE_TOKENS} if image_context else {}
    base = randomise(CosmosTransformer3DModel(**BASE, **image_sizes, **tokens))
    branches = {name: randomise(CosmosControlNetModel(**CONTROL, **image_sizes)) for name in weights}
    latents = torch.randn(2, 16, FRAMES, HEIGHT, WIDTH)
    known = torch.zeros(2, 1, FRAMES, HEIGHT, WIDTH)
    known[:, :, 0] = 1
    sigma = torch.tensor([0.9, 0.3]).view(2, 1, 1, 1, 1).repeat(1, 1, FRAMES, 1, 1)
    sigma[:, :, 0] = 0.1
    features = torch.randn(2, TOKENS, 40)
    controls = {name: torch.randn(2, 16, FRAMES, HEIGHT, WIDTH) for name in branches}
    words = (features, torch.zeros(2, IMAGE_TOKENS, 12)) if image_context else features
    padding = torch.zeros(1, 1, HEIGHT * 8, WIDTH * 8)
    residuals = {
        name: branch(
            controls_latents=controls[name],
            latents=latents,
            timestep=sigma,
            encoder_hidden_states=words,
            condition_mask=known,
            conditioning_scale=[weights[name]] * 2,
            padding_mask=padding,
            return_dict=False,
        )[0]
        for name, branch in branches.items()
    }
    # The base injects at blocks 0, 2 and 4; the branches have two blocks, so the third gets nothing
    summed = [sum(parts) for parts in zip(*residuals.values(), strict=True)]
    summed.append(torch.zeros_like(summed[0]))
    velocity = base(
        hidden_states=latents,
        timestep=sigma,
        encoder_hidden_states=words,
        block_controlnet_hidden_states=summed,
        condition_mask=known,
        padding_mask=padding,
        return_dict=False,
    )[0]
    tensors = {"latents": latents, "features": features, "sigma": sigma, "known": known, "velocity": velocity}
    for name in branches:
        tensors[f"control.{name}"] = controls[name]
        for j, residual in enumerate(residuals[name]):
            tensors[f"residual.{name}.{j}"] = residual / weights[name]
        tensors |= {f"branch.{name}.{key}": value for key, value in branches[name].state_dict().items()}
    tensors |= {f"base.{key}": value for key, value in base.state_dict().items()}
    save_file({key: value.contiguous() for key, value in tensors.items()}, HERE / file)


def trajectories() -> None:
    """Whole trajectories of the published sampler, with a velocity that depends on sample and noise level."""
    tensors = {}
    for steps in (1, 2, 3, 7, 35):
        scheduler = UniPCMultistepScheduler(
            use_karras_sigmas=True,
            use_flow_sigmas=True,
            prediction_type="flow_prediction",
            sigma_max=200.0,
            sigma_min=0.01,
        )
        scheduler.set_timesteps(steps)
        sample = torch.randn(1, 4, 2, 3, 3, generator=torch.Generator().manual_seed(steps))
        path = [sample]
        for i, t in enumerate(scheduler.timesteps):
            velocity = torch.sin(3 * sample + scheduler.sigmas[i]) + 0.3 * sample
            sample = scheduler.step(velocity, t, sample, return_dict=False)[0]
            path.append(sample)
        tensors[f"sigmas.{steps}"] = scheduler.sigmas
        tensors[f"path.{steps}"] = torch.stack(path)
    save_file(tensors, HERE / "trajectories.safetensors")


def autoencoder() -> None:
    """Videos of several lengths and shapes to the means of their latents, and latents to videos."""
    torch.manual_seed(1)
    vae = AutoencoderKLWan(**AUTOENCODER).eval()
    for name, parameter in vae.named_parameters():
        if name.endswith("gamma"):
            torch.nn.init.normal_(parameter, 1.0, 0.3)
        else:
            torch.nn.init.normal_(parameter, 0.0, 1 / max(parameter[0].numel(), 16) ** 0.5)
    vae.decoder.conv_out.weight *= 0.8  # lets a few pixels reach the clamp to -1..1
    tensors = {f"weights.{name}": value for name, value in vae.state_dict().items()}
    for frames, (height, width) in VIDEOS.items():
        video = torch.rand(1, 3, frames, height, width) * 2 - 1
        latents = torch.randn(1, 16, 1 + frames // 4, height // 8, width // 8) * 2
        tensors |= {
            f"video.{frames}": video,
            f"mean.{frames}": vae.encode(video).latent_dist.mode(),
            f"latents.{frames}": latents,
            f"decoded.{frames}": vae.decode(latents).sample,
        }
    save_file({key: value.contiguous() for key, value in tensors.items()}, HERE / "vae.safetensors")


def text() -> None:
    """Hidden states of a small Qwen2.5-VL, and the features that the pipeline makes of them."""
    torch.manual_seed(2)
    words = {word: index for index, word in enumerate(WORDS.split())}
    plain = Tokenizer(WordLevel(words, unk_token="<unk>"))
    plain.pre_tokenizer = WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=plain, pad_token="<pad>", unk_token="<unk>")
    tokenizer.chat_template = CHAT
    config = Qwen2_5_VLConfig(text_config=LANGUAGE_MODEL, vision_config=VISION_TOWER)
    model = randomise(Qwen2_5_VLForConditionalGeneration(config))
    seen: dict[str, object] = {}
    model.register_forward_hook(lambda _, args, result: seen.update(ids=args[0], states=result.hidden_states))
    pipeline = types.SimpleNamespace(tokenizer=tokenizer, text_encoder=model, _execution_device="cpu")
    features = Cosmos2_5_TransferPipeline._get_prompt_embeds(pipeline, "a robot arm in the snow")
    tensors = {"ids": seen["ids"], "features": features}
    tensors |= {f"hidden.{layer}": state for layer, state in enumerate(seen["states"])}
    start = {key: value[:, :64].contiguous() for key, value in tensors.items()}  # the rest is padding too
    save_file(start, HERE / "text.safetensors")


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    without_torchvision()
    networks({"edge": 0.7, "depth": 0.25}, image_context=True, file="networks.safetensors")
    networks({"edge": 0.7}, image_context=False, file="networks_without_image.safetensors")
    trajectories()
    autoencoder()
    text()

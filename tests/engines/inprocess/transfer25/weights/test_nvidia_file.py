"""What NVIDIA's files hold, and what keeps them from being used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks.gpu.folder import PUBLISHED, TINY, base_shapes, branch_shapes
from cosmos_batch.engines.inprocess.transfer25.config import NetworkConfig
from cosmos_batch.engines.inprocess.transfer25.weights.nvidia_file import read_nvidia_file
from cosmos_batch.engines.inprocess.transfer25.weights.nvidia_names import NetworkPart, network_config
from cosmos_batch.errors import ModelError
from tests.support.nvidia_weights import nvidia_tensors, prefixed, with_stem, write_nvidia_file

BOTH = list(NetworkPart)


def tiny(image: bool = True) -> dict[str, Tensor]:
    """Random weights of base and branch by NVIDIA's names, without prefix."""
    sizes = TINY if image else replace(TINY, image=None)
    torch.manual_seed(0)
    base = {name: torch.randn(shape) for name, shape in base_shapes(sizes).items()}
    branch = {name: torch.randn(shape) for name, shape in branch_shapes(sizes).items()}
    return nvidia_tensors(base, with_stem(branch, base))


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    return tiny()


def problems(path: Path, *parts: NetworkPart) -> list[str]:
    file = read_nvidia_file(path)
    return [problem for part in parts or BOTH for problem in file.problems(part, file.config)]


def test_the_published_sizes_are_read_from_shapes() -> None:
    base = {name: torch.empty(shape, device="meta") for name, shape in base_shapes(PUBLISHED).items()}
    branch = {name: torch.empty(shape, device="meta") for name, shape in branch_shapes(PUBLISHED).items()}
    named = nvidia_tensors(base, with_stem(branch, base))
    assert network_config({name: tuple(tensor.shape) for name, tensor in named.items()}) == NetworkConfig()
    assert named["control_embedder.proj.1.weight"].shape == (2048, 520)
    assert named["crossattn_proj.0.weight"].shape == (1024, 100_352)


@pytest.mark.parametrize("image", [True, False], ids=["current", "without image context"])
@pytest.mark.parametrize("prefix", ["net.", "net_ema.", ""])
def test_a_whole_file_has_no_problem(prefix: str, image: bool, tmp_path: Path) -> None:
    path = write_nvidia_file(tmp_path / "model.pt", tiny(image), prefix)
    assert read_nvidia_file(path).config == TINY.network
    assert problems(path) == []


def test_base_or_branch_may_be_alone(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    base = {name: tensor for name, tensor in tensors.items() if not name.startswith("control_")}
    branch = {name: tensor for name, tensor in tensors.items() if not name.startswith(("blocks.", "final_layer."))}
    alone = write_nvidia_file(tmp_path / "base.pt", base)
    assert problems(alone, NetworkPart.BASE) == []
    assert "base.pt: holds no branch of a control; needed is" in problems(alone, NetworkPart.BRANCH)[0]
    alone = write_nvidia_file(tmp_path / "branch.pt", branch)
    assert read_nvidia_file(alone).problems(NetworkPart.BRANCH, TINY.network) == []
    assert "branch.pt: holds no base network; needed is" in problems(alone, NetworkPart.BASE)[0]


def test_what_a_training_adds_is_left_out(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    extra = {
        **prefixed(tensors, "net."),
        **prefixed(tensors, "net_ema."),
        **prefixed({"blocks.0.lora_up": torch.ones(1), "view_embeddings.weight": torch.ones(1)}, "net_teacher."),
        **prefixed({"anything": torch.ones(1)}, "net_fake_score."),
        "net.accum_iteration": torch.tensor(5),
        "net_ema.accum_video_sample_counter": torch.tensor(5),
        "net.pos_embedder.seq": torch.arange(4),
        "net.pos_embedder.dim_spatial_range": torch.arange(4),
        "net.blocks.0.self_attn.q_norm._extra_state": torch.zeros(4, dtype=torch.uint8),
        "net.t_embedding_norm._extra_state": None,
    }
    path = write_nvidia_file(tmp_path / "model.pt", extra, "")
    file = read_nvidia_file(path)
    assert problems(path) == []
    assert set(file.stored_names) == set(tensors)
    assert all(name.startswith("net_ema.") for name in file.stored_names.values())


Change = Callable[[dict[str, Tensor]], object]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda t: t.pop("blocks.3.mlp.layer1.weight"),
            "lacks 1 tensor of the network: blocks.3.mlp.layer1.weight; needed is",
        ),
        (lambda t: t.pop("x_embedder.proj.1.weight"), "lacks 1 tensor of the network: x_embedder.proj.1.weight;"),
        (
            lambda t: t.pop("final_layer.linear.weight"),
            "lacks 1 tensor of the network: final_layer.linear.weight;",
        ),
        (
            lambda t: [t.pop(name) for name in list(t) if name.startswith("blocks.1.")],
            "lacks 25 tensors of the network: blocks.1.adaln_modulation_self_attn.1.weight, ",
        ),
        (
            lambda t: [t.pop(name) for name in list(t) if name.startswith("blocks.3.")],
            "has 3 blocks and 2 control blocks, whose residuals would enter at no even distance",
        ),
        (
            lambda t: t.pop("blocks.2.cross_attn.v_img.weight"),
            "lacks 1 tensor of the network: blocks.2.cross_attn.v_img.weight;",
        ),
        (
            lambda t: t.update({"blocks.0.gate": torch.ones(1), "img_context_proj.2.weight": torch.ones(1)}),
            "holds 2 tensors that no such network has: net.blocks.0.gate, net.img_context_proj.2.weight;",
        ),
        (
            lambda t: t.update({"blocks.0.self_attn.q_norm.weight": torch.ones(8)}),
            "blocks.0.self_attn.q_norm.weight [8], needed is [16];",
        ),
        (
            lambda t: t.update({"blocks.1.mlp.layer2.weight": torch.ones(32, 127)}),
            "another size or format than the rest: blocks.1.mlp.layer2.weight [32, 127], needed is [32, 128];",
        ),
        (
            lambda t: t.update({"control_embedder.proj.1.weight": torch.ones(32, 79)}),
            "control_embedder.proj.1.weight [32, 79], needed is [32, any];",
        ),
        (
            lambda t: t.update({"t_embedding_norm.weight": torch.ones(32, dtype=torch.int8)}),
            "t_embedding_norm.weight in int8, needed is bfloat16 or float16 or float32 or float64;",
        ),
    ],
)
def test_problems_name_the_tensors(
    change: Change, message: str, tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    changed = dict(tensors)
    change(changed)
    path = write_nvidia_file(tmp_path / "model.pt", changed)
    try:
        found = problems(path)
    except ModelError as exc:
        found = [str(exc)]
    assert any(f"{path}: " in each and message in each for each in found), found


def test_problems_of_all_kinds_are_named_at_once(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    changed = dict(tensors) | {"strange": torch.ones(1), "t_embedding_norm.weight": torch.ones(31)}
    for index in range(4):
        del changed[f"blocks.{index}.mlp.layer1.weight"], changed[f"blocks.{index}.mlp.layer2.weight"]
    lacking, strange, unfit = problems(write_nvidia_file(tmp_path / "model.pt", changed), NetworkPart.BASE)
    assert "lacks 8 tensors of the network: " in lacking
    assert " and 3 more; needed is" in lacking
    assert "holds 1 tensor that no such network has: net.strange;" in strange
    assert "t_embedding_norm.weight [31], needed is [32];" in unfit


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("net.view_embeddings.weight", "is a network of several cameras (multiview)"),
        ("net.blocks.0.cam_encoder.weight", "is a network that takes the path of a camera (plenoptic)"),
        ("net.control_blocks_2.0.after_proj.weight", "holds the branches of several controls in one network"),
        ("net.blocks.block0.blocks.0.block.attn.to_q.0.weight", "is a network of Cosmos-Transfer1"),
        ("layers.0.mlp_moe_gen.gate_proj.weight", "is a network of Cosmos 3"),
        ("transformer_blocks.0.attn1.to_q.weight", "holds tensors by diffusers' names"),
        ("net.blocks.0.self_attn.q_proj.lora_A.weight", "merge them into the weights"),
        ("encoder.conv1.weight", "is an autoencoder"),
        ("model.language_model.layers.0.weight", "is a language model"),
        ("conv.weight", "is no network of Transfer2.5: it holds conv.weight"),
    ],
)
def test_networks_of_other_kinds_are_named(name: str, message: str, tmp_path: Path) -> None:
    path = write_nvidia_file(tmp_path / "model.pt", {name: torch.ones(2, 2)}, "")
    with pytest.raises(ModelError) as caught:
        read_nvidia_file(path)
    assert message in str(caught.value)
    assert name in str(caught.value)
    assert "needed is a network of Cosmos-Transfer2.5 for one control (edge, vis, depth or seg)" in str(
        caught.value
    )

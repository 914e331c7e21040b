"""The network as the engine uses it: what it keeps of prompts and steps, and what it frees."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from cosmos_batch.engines.inprocess.family import Chunk, ChunkControl
from cosmos_batch.engines.inprocess.model_files import resolve
from cosmos_batch.engines.inprocess.text.context_store import ContextStore
from cosmos_batch.engines.inprocess.text.trigram import TrigramText
from cosmos_batch.engines.inprocess.transfer25.branches import Networks
from cosmos_batch.engines.inprocess.transfer25.network import TransferNetwork
from cosmos_batch.engines.inprocess.transfer25.published import PUBLISHED
from cosmos_batch.run import ResolvedSampling
from tests.support.tiny_model import CONTROLS

CPU = torch.device("cpu")
SHAPE = (16, 3, 4, 6)  # C, T, H, W
SAMPLING = ResolvedSampling(
    num_steps=3, guidance=1.0, sigma_max=200.0, seed=4, fps=10.0, num_frames=9, resolution="48x32",
    negative_prompt="blurry",
)  # fmt: skip


class CountingText:
    """A text encoder that notes the prompts that it encodes."""

    def __init__(self, text: TrigramText) -> None:
        self.text = text
        self.prompts: list[str] = []

    pending_bytes = 0

    def encode(self, prompt: str) -> Tensor:
        self.prompts.append(prompt)
        return self.text.encode(prompt)


@pytest.fixture
def text(model: Path) -> CountingText:
    return CountingText(TrigramText.load(model / "text_encoder"))


@pytest.fixture
def network(model: Path, text: CountingText) -> TransferNetwork:
    return TransferNetwork(Networks(resolve(str(model), CONTROLS, PUBLISHED), CPU, torch.float32), text)


def test_prompt_is_encoded_once_for_all_networks_in_memory(network: TransferNetwork, text: CountingText) -> None:
    network.keep_only(["edge", "seg"])
    network.read_prompt("a street")
    for name in ("base", "edge", "seg"):
        network.read(name, "a street")
    assert text.prompts == ["a street"]


def test_forgotten_prompt_is_encoded_again(network: TransferNetwork, text: CountingText) -> None:
    network.read_prompt("a street")
    network.forget()
    network.read_prompt("a street")
    assert text.prompts == ["a street", "a street"]


def test_prompt_that_another_process_has_read_needs_no_text_encoder(
    model: Path, text: CountingText, tmp_path: Path
) -> None:
    # Given a process that has read a prompt for the base network and one branch
    folders = resolve(str(model), CONTROLS, PUBLISHED)
    first, later = (
        TransferNetwork(Networks(folders, CPU, torch.float32), text, contexts=ContextStore(tmp_path, "tiny"))
        for _ in range(2)
    )
    first.keep_only(["edge"])
    read = {name: first.read(name, "a street") for name in ("base", "edge")}
    # When another process reads it for the same networks, and then for one more
    later.keep_only(["edge"])
    found = {name: later.read(name, "a street") for name in ("base", "edge")}
    assert text.prompts == ["a street"]
    later.read("vis", "a street")
    # Then both read the same to the bit, and the text is encoded again for the new branch alone
    assert text.prompts == ["a street", "a street"]
    for name in ("base", "edge"):
        assert torch.equal(found[name].keys, read[name].keys)
        assert torch.equal(found[name].values, read[name].values)


def test_only_wanted_branches_stay_in_memory(network: TransferNetwork) -> None:
    network.keep_only(["edge", "seg"])
    assert network.loaded == ("edge", "seg")
    network.keep_only(["vis"])
    assert network.loaded == ("vis",)


def test_tokens_count_patches(network: TransferNetwork) -> None:
    assert network.tokens(*SHAPE[1:]) == 3 * 2 * 3


@pytest.mark.parametrize("given_frames", [0, 1])
def test_conditioning_takes_a_chunk_as_it_is(network: TransferNetwork, given_frames: int) -> None:
    latents = torch.ones(1, *SHAPE)
    before = torch.full((1, SHAPE[0], 1, *SHAPE[2:]), 2.0) if given_frames else None
    controls = {"edge": ChunkControl(latents, 0.9), "seg": ChunkControl(latents, 0.6)}
    found = network.conditioning(Chunk("a street", SAMPLING, controls, 0, SHAPE, 8, 4, before))
    assert (found.prompt, found.negative, found.guidance) == ("a street", "blurry", 1.0)
    assert found.schedule.steps == 3
    assert [round(float(guide.weight), 3) for guide in found.guides.values()] == [0.6, 0.4]
    assert found.known.tolist() == [[float(given_frames), 0.0, 0.0]]
    assert float(found.given.sum()) == 2.0 * given_frames * SHAPE[0] * SHAPE[2] * SHAPE[3]
    assert found.noise.shape == (1, *SHAPE)

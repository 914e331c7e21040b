"""What makes a GPU fast changes nothing: compiled blocks, recorded steps, other kernels and orders in memory."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from cosmos_batch.engines.transfer import graphs
from cosmos_batch.engines.transfer.acceleration import accelerate, can_compile, compile_blocks
from cosmos_batch.engines.transfer.attention import attention, flash3_kernel
from cosmos_batch.engines.transfer.batch import Batch
from cosmos_batch.engines.transfer.graphs import MOST_TOKENS, PATIENCE, Recorder
from cosmos_batch.engines.transfer.vae.wan import WanVae
from tests.engines.transfer.test_batch import CPU, Request, TinyModel
from tests.engines.transfer.test_parity import error

MIX = [
    Request(seed=1),
    Request(seed=2, guidance=0.0, weights=()),
    Request(seed=3, known=True, weights=(("depth", 0.7), ("edge", 0.5)), prompt="a longer prompt"),
]


def made(model: TinyModel, requests: list[Request]) -> Tensor:
    """The latents of the requests after two steps in one batch."""
    batch = Batch(model.base, model.branch, model.read, CPU)
    for index, request in enumerate(requests):
        batch.join(str(index), request.conditions())
    batch.step()
    batch.step()
    return torch.cat([batch.state(str(index))[0].sample for index in range(len(requests))])


def test_compiled_blocks_give_the_same() -> None:
    """Traced whole, as for a GPU, and run operation by operation: that needs no compiler here."""
    plain, compiled = TinyModel(), TinyModel()
    for network in (compiled.base, *compiled.branches.values()):
        compile_blocks(network, backend="eager")
    assert torch.equal(made(compiled, MIX[2:]), made(plain, MIX[2:]))


def test_on_the_cpu_nothing_is_accelerated() -> None:
    model = TinyModel()
    accelerate(model.base)
    assert all(block.attention.kernel is attention for block in model.base.blocks)
    assert not can_compile(CPU)
    assert flash3_kernel(CPU, torch.bfloat16) is None


def test_another_attention_kernel_is_used_where_it_is_set() -> None:
    calls: list[tuple[int, ...]] = []

    def counting(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        calls.append(tuple(q.shape))
        return attention(q, k, v)

    model = TinyModel()
    plain = made(model, MIX[:1])
    for block in model.base.blocks:
        block.attention.kernel = counting
    assert torch.equal(made(model, MIX[:1]), plain)
    # The guided and the unguided row of a sample are one until they first attend to their text
    assert [shape[0] for shape in calls] == [1, 2, 2, 2] * 2


class Tape:
    """Stands in for a recording: it gives the same, and counts how often it was asked."""

    sign = 1

    def __init__(self, compute: Callable[[Tensor, Tensor], Tensor], _sample: Tensor, _sigma: Tensor) -> None:
        self.compute = compute
        self.replays = 0

    def replay(self, sample: Tensor, sigma: Tensor) -> Tensor:
        self.replays += 1
        # the first is compared with the step itself; a mark on the others tells them apart
        return self.sign * self.compute(sample, sigma) * (1 if self.replays == 1 else -1)


class WrongTape(Tape):
    """A recording that gives something else."""

    sign = -1


def played(recorder: Recorder, kind: object, tokens: int) -> bool:
    """Whether the next step of a kind is replayed."""
    one = torch.ones(1)
    return bool(recorder.run(lambda x, _sigma: x, kind, tokens, one, one) < 0)


def test_a_small_step_is_replayed_once_its_kind_has_been_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "_Recording", Tape)
    recorder, kind, other = Recorder(torch.device("cuda")), object(), object()
    assert [played(recorder, kind, 100) for _ in range(PATIENCE + 2)] == [False] * (PATIENCE + 1) + [True]
    assert not played(recorder, other, 100)  # the membership has changed
    assert not any(played(recorder, kind, MOST_TOKENS + 1) for _ in range(PATIENCE + 2))
    assert not any(played(Recorder(CPU), kind, 100) for _ in range(PATIENCE + 2))


def test_a_recording_that_differs_from_its_step_is_never_played(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "_Recording", WrongTape)
    recorder = Recorder(torch.device("cuda"))
    for kind in (object(), object()):
        assert not any(played(recorder, kind, 100) for _ in range(PATIENCE + 3))


def test_without_memory_for_a_recording_steps_go_on_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []

    def full(*_arguments: object) -> None:
        tries.append(1)
        raise torch.OutOfMemoryError

    monkeypatch.setattr(graphs, "_Recording", full)
    recorder, kind = Recorder(torch.device("cuda")), object()
    assert not any(played(recorder, kind, 100) for _ in range(PATIENCE + 3))
    assert len(tries) == 1


@torch.no_grad()
def test_an_autoencoder_with_its_channels_together_gives_the_same() -> None:
    torch.manual_seed(0)
    config = {"latents_mean": [0.1] * 16, "latents_std": [1.3] * 16, "base_dim": 4, "z_dim": 16}
    vae = WanVae.from_config(config).eval()
    video = torch.rand(1, 3, 9, 16, 24) * 2 - 1
    latents = vae.encode(video)
    pixels = vae.decode(latents)
    vae.channels_last()
    assert error(vae.encode(video), latents) < 1e-4
    assert error(vae.decode(latents), pixels) < 1e-4

"""What makes a GPU fast changes nothing: compiled blocks, recorded steps, other kernels and orders in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from weakref import ref

import pytest
import torch
from torch import Tensor

from cosmos_batch.engines.inprocess.gpu.accelerate import accelerate, can_compile, compile_blocks
from cosmos_batch.engines.inprocess.gpu.attention import attention, flash3_kernel
from cosmos_batch.engines.inprocess.sampling import cuda_graphs
from cosmos_batch.engines.inprocess.sampling.batch import DenoisingBatch
from cosmos_batch.engines.inprocess.sampling.cuda_graphs import PATIENCE, GraphCache
from cosmos_batch.engines.inprocess.transfer25.batch_layout import Layout, LayoutBuilder, PreparedSample
from cosmos_batch.engines.inprocess.vae.wan import WanVae
from tests.engines.inprocess.sampling.test_batch import CPU, Request, TinyModel
from tests.engines.inprocess.transfer25.test_parity import error

MIX = [
    Request(seed=1),
    Request(seed=2, guidance=0.0, weights=()),
    Request(seed=3, known=True, weights=(("depth", 0.7), ("edge", 0.5)), prompt="a longer prompt"),
]


def made(batch: DenoisingBatch, requests: list[Request]) -> Tensor:
    """The latents of the requests after two steps in one batch."""
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
    assert torch.equal(made(compiled.batch(), MIX[2:]), made(plain.batch(), MIX[2:]))


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
    plain = made(model.batch(), MIX[:1])
    for block in model.base.blocks:
        block.attention.kernel = counting
    assert torch.equal(made(model.batch(), MIX[:1]), plain)
    # The guided and the unguided row of a sample are one until they first attend to their text
    assert [shape[0] for shape in calls] == [1, 2, 2, 2] * 2


class Tape:
    """Stands in for a CUDA graph: it computes anew, into the same memory, and counts how often it was asked."""

    replays = 0
    factor = 1.0

    def __init__(self, compute: Callable[[], Tensor]) -> None:
        self.compute, self.made = compute, compute()

    def replay(self) -> None:
        Tape.replays += 1
        self.made.copy_(self.factor * self.compute())

    def pool(self) -> int:
        return 1


class WrongTape(Tape):
    """One that gives something else."""

    factor = -1.0


class Recorded:
    """A tiny model whose steps are recorded as if it were on a GPU."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tape: type[Tape] = Tape) -> None:
        self.pools: list[int | None] = []

        def captured(compute: Callable[[], Tensor], pool: int | None) -> tuple[Tape, Tensor]:
            self.pools.append(pool)
            made = tape(compute)
            return made, made.made

        monkeypatch.setattr(cuda_graphs, "captured", captured)
        monkeypatch.setattr(Tape, "replays", 0)
        self.model = TinyModel()
        self.passes = self.model.passes()
        self.passes._recorder = GraphCache(torch.device("cuda"))

    def steps(self, batch: DenoisingBatch, count: int) -> int:
        """How often a recording was played in so many steps."""
        before = Tape.replays
        for _ in range(count):
            batch.step()
        return Tape.replays - before


def test_a_small_step_is_replayed_once_its_kind_has_been_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Recorded(monkeypatch)
    batch = DenoisingBatch(rig.passes)
    batch.join("a", Request(seed=1, steps=9).conditions())
    assert rig.steps(batch, PATIENCE) == 0
    assert rig.steps(batch, 1) == 2  # the first recording of all is compared before it is used
    assert rig.steps(batch, 1) == 1
    batch.join("b", Request(seed=2, steps=9).conditions())
    assert rig.steps(batch, PATIENCE) == 0  # another kind
    assert rig.steps(batch, 1) == 1
    batch.leave("b")
    assert rig.steps(batch, 1) == 1  # the first kind again
    assert rig.pools == [None, 1]  # in the memory of the first


def test_a_recording_serves_any_batch_that_is_laid_out_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Recorded(monkeypatch)
    first = DenoisingBatch(rig.passes)
    for index, request in enumerate(MIX):
        first.join(str(index), request.conditions())
    rig.steps(first, PATIENCE + 1)
    others = [
        Request(seed=7, weights=(("edge", 0.2),)),
        Request(seed=8, guidance=0.0, weights=()),
        Request(seed=9, known=True, weights=(("depth", 0.1), ("edge", 0.9)), prompt="a larger prompt"),
    ]
    later = DenoisingBatch(rig.passes)
    for index, request in enumerate(others):
        later.join(str(index), request.conditions())
    assert rig.steps(later, 2) == 2
    latents = torch.cat([later.state(str(index))[0].sample for index in range(len(others))])
    assert torch.equal(latents, made(TinyModel().batch(), others))


def test_large_steps_and_steps_on_the_cpu_are_not_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Recorded(monkeypatch)
    monkeypatch.setattr(cuda_graphs, "MOST_TOKENS", 10)
    batch = DenoisingBatch(rig.passes)
    batch.join("a", Request(seed=1, steps=9).conditions())
    assert rig.steps(batch, PATIENCE + 3) == 0
    monkeypatch.undo()
    batch = TinyModel().batch()
    batch.join("a", Request(seed=1, steps=9).conditions())
    assert rig.steps(batch, PATIENCE + 3) == 0


def test_a_large_step_has_the_memory_of_recordings(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Recorded(monkeypatch)
    batch = DenoisingBatch(rig.passes)
    batch.join("a", Request(seed=1, steps=20).conditions())
    rig.steps(batch, PATIENCE + 1)
    monkeypatch.setattr(cuda_graphs, "MOST_TOKENS", 10)
    batch.step()
    assert not rig.passes._recorder._kept
    monkeypatch.setattr(cuda_graphs, "MOST_TOKENS", 40_000)
    assert rig.steps(batch, PATIENCE) == 0
    assert rig.steps(batch, 1) == 1  # recorded again


def test_a_recording_has_one_copy_of_what_it_was_made_from(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Recorded(monkeypatch)
    batch = DenoisingBatch(rig.passes)
    batch.join("a", Request(seed=1, steps=9).conditions())
    made_from: list[ref[Layout]] = []
    arrange = type(rig.passes._arranger).arrange

    def watched(self: LayoutBuilder, samples: Sequence[PreparedSample]) -> Layout:
        layout = arrange(self, samples)
        made_from.append(ref(layout))
        return layout

    monkeypatch.setattr(LayoutBuilder, "arrange", watched)
    rig.steps(batch, PATIENCE + 2)
    assert [layout() is None for layout in made_from] == [False]
    del batch
    assert [layout() is None for layout in made_from] == [True]
    assert len(rig.passes._recorder._kept) == 1


def test_what_gave_way_to_others_is_recorded_again_when_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Recorded(monkeypatch)
    monkeypatch.setattr(cuda_graphs, "KEPT_BYTES", 0)  # the last one alone
    batch = DenoisingBatch(rig.passes)
    batch.join("a", Request(seed=1, steps=20).conditions())
    rig.steps(batch, PATIENCE + 1)
    batch.join("b", Request(seed=2, steps=20).conditions())
    assert rig.steps(batch, PATIENCE + 1) == 1
    batch.leave("b")
    assert rig.steps(batch, PATIENCE) == 0
    assert rig.steps(batch, 2) == 2


def test_a_recording_that_differs_from_its_step_is_never_played(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Recorded(monkeypatch, WrongTape)
    batch = DenoisingBatch(rig.passes)
    batch.join("a", Request(seed=1, steps=9).conditions())
    assert rig.steps(batch, PATIENCE + 1) == 1
    batch.join("b", Request(seed=2, steps=9).conditions())
    assert rig.steps(batch, PATIENCE + 2) == 0


def test_without_memory_for_a_recording_steps_go_on_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    rig, tries = Recorded(monkeypatch), []

    def full(*_: object) -> tuple[Tape, Tensor]:
        tries.append(1)
        raise torch.OutOfMemoryError

    monkeypatch.setattr(cuda_graphs, "captured", full)
    batch = DenoisingBatch(rig.passes)
    batch.join("a", Request(seed=1, steps=9).conditions())
    assert rig.steps(batch, PATIENCE + 3) == 0
    assert len(tries) == 1


def test_recordings_give_way_where_memory_does_not_suffice(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Recorded(monkeypatch)
    batch = DenoisingBatch(rig.passes)
    batch.join("a", Request(seed=1, steps=9).conditions())
    rig.steps(batch, PATIENCE + 1)
    batch.join("b", Request(seed=2, steps=9).conditions())
    plain, failures = rig.passes._velocity, [torch.OutOfMemoryError()]

    def short(*arguments: object) -> Tensor:
        if failures:
            raise failures.pop()
        return plain(*arguments)

    monkeypatch.setattr(rig.passes, "_velocity", short)
    batch._velocities.clear()
    batch.step()
    batch.leave("b")
    assert rig.steps(batch, PATIENCE) == 0  # what was recorded of one sample alone is gone
    assert rig.steps(batch, 1) == 1  # and recorded again


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

"""What makes a GPU fast changes nothing: recorded steps, other kernels and orders in memory."""

from __future__ import annotations

import gc
from collections.abc import Callable

import torch
from torch import Tensor

from cosmos_batch.engines.inprocess.gpu.accelerate import accelerate
from cosmos_batch.engines.inprocess.gpu.attention import attention, flash3_kernel
from cosmos_batch.engines.inprocess.gpu.compiler import can_compile
from cosmos_batch.engines.inprocess.sampling.batch import DenoisingBatch
from cosmos_batch.engines.inprocess.sampling.cuda_graphs import WARMUP_STEPS, GraphCache
from cosmos_batch.engines.inprocess.transfer25.batch_layout import Layout
from cosmos_batch.engines.inprocess.transfer25.forward import Forward
from cosmos_batch.engines.inprocess.transfer25.transformer import ControlBranch
from cosmos_batch.engines.inprocess.vae.wan import WanVae
from tests.support.tiny_network import CPU, MIX, Request, TinyModel, error, made


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
    model.base.use_attention(counting)
    assert torch.equal(made(model.batch(), MIX[:1]), plain)
    # The guided and the unguided row of a sample are one until they first attend to their text
    assert [shape[0] for shape in calls] == [1, 2, 2, 2] * 2


class FakeGraph:
    """Stands in for a CUDA graph: it computes again, into the same memory, and counts its replays."""

    def __init__(self, recorder: FakeCapture, compute: Callable[[], Tensor]) -> None:
        self.recorder, self.compute, self.made = recorder, compute, compute()

    def replay(self) -> None:
        self.recorder.replays += 1
        self.made.copy_(self.recorder.factor * self.compute())

    def pool(self) -> int:
        return 1


class FakeCapture:
    """Captures computations as fake graphs."""

    def __init__(self, factor: float = 1.0, *, full: bool = False) -> None:
        """`factor`: by which a replay's result is off; `full`: memory suffices for no recording."""
        self.factor = factor
        self.full = full
        self.replays = 0
        self.pools: list[int | None] = []  # of each capture

    def __call__(self, compute: Callable[[], Tensor], pool: int | None) -> tuple[FakeGraph, Tensor]:
        self.pools.append(pool)
        if self.full:
            raise torch.OutOfMemoryError
        graph = FakeGraph(self, compute)
        return graph, graph.made


class OneTimeShortage(TinyModel):
    """Runs out of memory once, when a branch is next needed after `short` is set."""

    short = False

    def branch(self, name: str) -> ControlBranch:
        if self.short:
            self.short = False
            raise torch.OutOfMemoryError
        return super().branch(name)


class Recorded:
    """A tiny model whose steps are recorded as if it were on a GPU."""

    def __init__(self, capture: FakeCapture | None = None, model: TinyModel | None = None, **limits: int) -> None:
        self.capture = capture or FakeCapture()
        self.graphs = GraphCache[Layout](torch.device("cuda"), capture=self.capture, **limits)
        model = model or TinyModel()
        self.passes = Forward(model.base, model.branch, model.read, CPU, self.graphs)

    def steps(self, batch: DenoisingBatch, count: int) -> int:
        """How often a recording was replayed in so many steps."""
        before = self.capture.replays
        for _ in range(count):
            batch.step()
        return self.capture.replays - before


ROW_TOKENS = 3 * 2 * 3  # of a request
PAIR = 2 * ROW_TOKENS  # tokens of a guided request's two rows


def layouts_in_memory() -> int:
    gc.collect()
    return sum(type(thing) is Layout for thing in gc.get_objects())


def test_small_step_is_replayed_from_its_third_execution() -> None:
    rig = Recorded()
    batch = DenoisingBatch(rig.passes)
    batch.join("a", Request(seed=1, steps=9).conditions())
    assert rig.steps(batch, WARMUP_STEPS) == 0
    assert rig.steps(batch, 1) == 2  # the first recording of all is compared before it is used
    assert rig.steps(batch, 1) == 1
    batch.join("b", Request(seed=2, steps=9).conditions())
    assert rig.steps(batch, WARMUP_STEPS) == 0  # another structure
    assert rig.steps(batch, 1) == 1
    batch.leave("b")
    assert rig.steps(batch, 1) == 1  # the first structure again
    assert rig.capture.pools == [None, 1]  # in the memory of the first


def finished(batch: DenoisingBatch, request: Request) -> Tensor:
    """The latents of a request after all its steps, alone in a batch."""
    batch.join("only", request.conditions())
    while not batch.done("only"):
        batch.step()
    return batch.state("only")[0].sample


def test_recording_serves_guided_steps_and_later_ones_and_other_masks() -> None:
    rig = Recorded()
    for seed, threshold in ((1, 3), (2, 25), (3, 0)):
        request = Request(seed=seed, steps=9, guided=threshold)
        assert error(finished(DenoisingBatch(rig.passes), request), finished(TinyModel().batch(), request)) < 1e-6
    assert len(rig.graphs) == 1
    replays = rig.capture.replays
    finished(DenoisingBatch(rig.passes), Request(seed=1, steps=WARMUP_STEPS))
    assert rig.capture.replays == replays  # a step without guided generation has another structure


def test_recording_serves_any_batch_of_equal_structure() -> None:
    rig = Recorded()
    first = DenoisingBatch(rig.passes)
    for index, request in enumerate(MIX):
        first.join(str(index), request.conditions())
    rig.steps(first, WARMUP_STEPS + 1)
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


def test_large_steps_are_not_recorded() -> None:
    rig = Recorded(max_tokens=PAIR - 1)
    batch = DenoisingBatch(rig.passes)
    batch.join("a", Request(seed=1, steps=9).conditions())
    assert rig.steps(batch, WARMUP_STEPS + 3) == 0
    assert rig.capture.pools == []


def test_steps_on_the_cpu_are_not_recorded() -> None:
    capture, model = FakeCapture(), TinyModel()
    graphs = GraphCache[Layout](CPU, capture=capture)
    batch = DenoisingBatch(Forward(model.base, model.branch, model.read, CPU, graphs))
    batch.join("a", Request(seed=1, steps=9).conditions())
    for _ in range(WARMUP_STEPS + 3):
        batch.step()
    assert (capture.pools, len(graphs)) == ([], 0)


def test_large_step_frees_all_recordings() -> None:
    rig = Recorded(max_tokens=PAIR)
    batch = DenoisingBatch(rig.passes)
    batch.join("a", Request(seed=1, steps=20).conditions())
    rig.steps(batch, WARMUP_STEPS + 1)
    assert len(rig.graphs) == 1
    batch.join("b", Request(seed=2, steps=20).conditions())
    batch.step()
    assert len(rig.graphs) == 0
    batch.leave("b")
    assert rig.steps(batch, WARMUP_STEPS) == 0
    assert rig.steps(batch, 1) == 1  # recorded again


def test_recording_holds_one_copy_of_its_layout() -> None:
    before = layouts_in_memory()
    rig = Recorded()
    batch = DenoisingBatch(rig.passes)
    batch.join("a", Request(seed=1, steps=9).conditions())
    rig.steps(batch, WARMUP_STEPS + 2)
    assert layouts_in_memory() - before == 2  # the batch's, and the recording's copy
    del batch
    assert layouts_in_memory() - before == 1
    assert len(rig.graphs) == 1


def test_evicted_recording_is_made_again_when_its_structure_returns() -> None:
    rig = Recorded(max_bytes=0)  # the last one alone
    batch = DenoisingBatch(rig.passes)
    batch.join("a", Request(seed=1, steps=20).conditions())
    rig.steps(batch, WARMUP_STEPS + 1)
    batch.join("b", Request(seed=2, steps=20).conditions())
    assert rig.steps(batch, WARMUP_STEPS + 1) == 1
    batch.leave("b")
    assert rig.steps(batch, WARMUP_STEPS) == 0
    assert rig.steps(batch, 2) == 2


def test_recording_that_differs_from_its_step_is_never_used() -> None:
    rig = Recorded(FakeCapture(factor=-1.0))
    batch = DenoisingBatch(rig.passes)
    batch.join("a", Request(seed=1, steps=9).conditions())
    assert rig.steps(batch, WARMUP_STEPS + 1) == 1
    batch.join("b", Request(seed=2, steps=9).conditions())
    assert rig.steps(batch, WARMUP_STEPS + 2) == 0


def test_without_memory_for_a_recording_steps_are_executed_plainly() -> None:
    rig = Recorded(FakeCapture(full=True))
    batch = DenoisingBatch(rig.passes)
    batch.join("a", Request(seed=1, steps=9).conditions())
    assert rig.steps(batch, WARMUP_STEPS + 3) == 0
    assert len(rig.capture.pools) == 1


def test_recordings_are_freed_where_memory_does_not_suffice() -> None:
    model = OneTimeShortage()
    rig = Recorded(model=model)
    batch = DenoisingBatch(rig.passes)
    batch.join("a", Request(seed=1, steps=9).conditions())
    rig.steps(batch, WARMUP_STEPS + 1)
    batch.join("b", Request(seed=2, steps=9).conditions())
    model.short = True
    batch.step()
    assert not model.short
    batch.leave("b")
    assert rig.steps(batch, WARMUP_STEPS) == 0  # the recording of one sample alone is gone
    assert rig.steps(batch, 1) == 1  # and made again


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

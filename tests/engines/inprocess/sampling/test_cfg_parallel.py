"""The two passes of guidance on a device each give what one forward gives."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cosmos_batch.engines.inprocess.loader import second_device
from cosmos_batch.engines.inprocess.sampling.batch import DenoisingBatch
from cosmos_batch.engines.inprocess.sampling.cfg_parallel import SplitForward
from cosmos_batch.errors import PlanError
from tests.support.tiny_network import CPU, MIX, Request, TinyModel, error, made


def split(model: TinyModel, other: TinyModel) -> DenoisingBatch:
    """A batch whose unguided passes are done by the other model."""
    return DenoisingBatch(SplitForward(model.passes(), other.passes()))


@pytest.mark.parametrize(
    "requests",
    [MIX, MIX[1:2], MIX[2:], [MIX[0], Request(seed=4, guided=0), Request(seed=5, guided=9)]],
    ids=["mixed", "without guidance", "given frames", "guided generation"],
)
def test_two_devices_give_what_one_gives(requests: list[Request]) -> None:
    assert error(made(split(TinyModel(), TinyModel()), requests), made(TinyModel().batch(), requests)) < 1e-6


def test_each_device_does_its_own_pass() -> None:
    """Spoil the second model: only what guidance takes from it changes."""
    other = TinyModel()
    other.base.out.weight.zero_()
    guided, unguided = MIX[0], replace(MIX[0], guidance=0.0)
    both = made(split(TinyModel(), other), [guided, unguided])
    right = made(TinyModel().batch(), [guided, unguided])
    assert error(both[1], right[1]) < 1e-6
    assert error(both[0], right[0]) > 0.01


def test_two_gpus_are_needed() -> None:
    with pytest.raises(PlanError, match="two GPUs that this process may see; there are 0"):
        second_device(CPU)

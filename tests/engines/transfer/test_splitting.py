"""The two passes of guidance on a device each give what one forward gives."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from cosmos_batch.engines.transfer.batch import Batch
from cosmos_batch.engines.transfer.loading import second_device
from cosmos_batch.engines.transfer.splitting import SplitForward, copied, mirrored
from cosmos_batch.errors import PlanError
from tests.engines.transfer.test_acceleration import MIX, made
from tests.engines.transfer.test_batch import CPU, Request, TinyModel
from tests.engines.transfer.test_parity import error


def split(model: TinyModel, requests: list[Request]) -> torch.Tensor:
    """The latents of the requests after two steps, the unguided passes by a copy of the network."""
    other = mirrored(copied(model.base, CPU), model.branch, model.read, CPU)
    batch = Batch(SplitForward(model.passes(), other))
    for index, request in enumerate(requests):
        batch.join(str(index), request.conditions())
    batch.step()
    batch.step()
    return torch.cat([batch.state(str(index))[0].sample for index in range(len(requests))])


@pytest.mark.parametrize("requests", [MIX, MIX[1:2], MIX[2:]], ids=["mixed", "without guidance", "given frames"])
def test_two_devices_give_what_one_gives(requests: list[Request]) -> None:
    assert error(split(TinyModel(), requests), made(TinyModel(), requests)) < 1e-6


def test_each_device_does_its_own_pass() -> None:
    """Spoil the copy: only what guidance takes from it changes."""
    model = TinyModel()
    other = mirrored(copied(model.base, CPU), model.branch, model.read, CPU)
    other._base.out.weight = torch.nn.Parameter(torch.zeros_like(model.base.out.weight), requires_grad=False)
    batch = Batch(SplitForward(model.passes(), other))
    unguided = replace(MIX[0], guidance=0.0)
    for name, request in {"guided": MIX[0], "unguided": unguided}.items():
        batch.join(name, request.conditions())
    batch.step()
    plain = TinyModel().batch()
    plain.join("unguided", unguided.conditions())
    plain.step()
    spoilt, kept = (batch.state(name)[0].newer for name in ("guided", "unguided"))
    assert error(kept, plain.state("unguided")[0].newer) < 1e-6
    assert error(spoilt, kept) > 0.01


def test_two_gpus_are_needed() -> None:
    with pytest.raises(PlanError, match="two GPUs that this process may see; there are 0"):
        second_device(CPU)

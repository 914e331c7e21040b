"""Approximations are near what is exact, depend on the run alone, and are refused where they are not possible."""

from __future__ import annotations

import pytest
import torch

from cosmos_batch.engines.inprocess.gpu.accelerate import accelerate
from cosmos_batch.engines.inprocess.gpu.attention import AccuracyCheck, attention, scaled, shortened, unscaled
from cosmos_batch.engines.inprocess.options import Approximation
from cosmos_batch.engines.inprocess.sampling.batch import DenoisingBatch
from cosmos_batch.engines.inprocess.sampling.schedule import is_estimated
from cosmos_batch.errors import EngineError, PlanError
from tests.support.tiny_network import TOLERANCE, Request, TinyModel, error

STEPS = 14


def finished(
    requests: dict[str, Request], *, late: str = "", step_caching: bool = True
) -> dict[str, torch.Tensor]:
    """The latents of the requests, all in one batch; `late` joins three steps after the others."""
    batch = DenoisingBatch(TinyModel().passes(), step_caching=step_caching)
    waiting = dict(requests)
    done = {}
    for step in range(99):
        for name in [name for name in waiting if name != late or step == 3]:
            batch.join(name, waiting.pop(name).conditions())
        batch.step()
        for name in [name for name in batch.keys if batch.done(name)]:
            done[name] = batch.state(name)[0].sample
            batch.leave(name)
        if len(done) == len(requests):
            break
    return done


def test_a_third_of_the_steps_is_estimated_and_never_the_first_and_last() -> None:
    left_out = [step for step in range(36) if is_estimated(step, 36)]
    assert left_out == list(range(7, 34, 2))
    assert not any(is_estimated(step, 6) for step in range(6))


def test_estimated_steps_do_not_go_through_the_network() -> None:
    calls = []
    model = TinyModel()
    model.base.register_forward_hook(lambda *_: calls.append(1))
    batch = DenoisingBatch(model.passes(), step_caching=True)
    batch.join("a", Request(seed=1, steps=STEPS).conditions())
    for _ in range(STEPS):
        batch.step()
    assert len(calls) == STEPS - sum(is_estimated(step, STEPS) for step in range(STEPS)) < STEPS


def test_step_caching_is_near_the_exact_video_and_not_the_same() -> None:
    requests = {"a": Request(seed=1, steps=STEPS)}
    near, exact = (finished(requests, step_caching=caching)["a"] for caching in (True, False))
    assert 0 < error(near, exact) < 0.1


def test_batch_does_not_change_latents_with_step_caching() -> None:
    """One joins when the others stand at another step, so that at most steps some are computed and some not."""
    requests = {
        "a": Request(seed=1, steps=STEPS),
        "b": Request(seed=2, steps=STEPS + 5, weights=(("depth", 0.5),)),
        "c": Request(seed=3, steps=STEPS, guidance=0.0),
    }
    together = finished(requests, late="c")
    for name, request in requests.items():
        assert torch.allclose(together[name], finished({name: request})[name], atol=TOLERANCE)


def test_guided_steps_that_are_estimated_read_no_source() -> None:
    """Which steps are estimated does not depend on guided generation; the others read the source as they would."""
    requests = {
        "a": Request(seed=1, steps=STEPS, guided=7),
        "b": Request(seed=2, steps=STEPS + 5),
        "c": Request(seed=3, steps=STEPS, guided=99),
    }
    together = finished(requests, late="c")
    exact = finished(requests, step_caching=False)
    for name, request in requests.items():
        assert torch.allclose(together[name], finished({name: request})[name], atol=TOLERANCE)
        assert 0 < error(together[name], exact[name]) < 0.15


def test_eight_bits_with_a_scale_for_each_head_are_near() -> None:
    generator = torch.Generator().manual_seed(1)
    q, k, v = (torch.randn(2, 40, 3, 16, generator=generator) for _ in range(3))
    k[:, :, 1] *= 1000  # one head's numbers are of another size
    short, scale = scaled(k)
    assert short.dtype == torch.float8_e4m3fn
    assert scale.shape == (2, 3)
    again = short.float() * scale[:, None, :, None]
    assert all(error(again[:, :, head], k[:, :, head]) < 0.04 for head in range(3))
    k[:, :, 1] /= 1000
    parts = [unscaled(*scaled(part)).float() for part in (q, k, v)]
    assert 0 < error(attention(*parts), attention(q, k, v)) < 0.1


def test_what_is_common_to_all_keys_or_values_takes_none_of_the_eight_bits() -> None:
    generator = torch.Generator().manual_seed(1)
    q, k, v = (torch.randn(2, 40, 3, 16, generator=generator) for _ in range(3))
    far = 100 * torch.randn(3, 16, generator=generator)
    exact = attention(q, k, v)

    parts, mean = shortened(q, k + far, v + far)

    made = attention(*(unscaled(*part).float() for part in parts)) + mean
    assert error(made - far, exact) < 0.1


def test_inaccurate_float8_attention_is_refused() -> None:
    wanted = torch.randn(2, 8, generator=torch.Generator().manual_seed(1))
    proof = AccuracyCheck()
    with pytest.raises(EngineError, match=r"100% off on this device.*leave out --approximate float8-attention"):
        proof.check(torch.zeros_like(wanted), wanted)
    with pytest.raises(EngineError, match="nan% off"):
        proof.check(wanted * torch.nan, wanted)
    assert not proof.given
    proof.check(1.05 * wanted, wanted)
    assert proof.given


def test_eight_bits_need_a_gpu_that_has_them() -> None:
    with pytest.raises(PlanError, match=r"--approximate float8-attention needs a Hopper GPU.*the model is on cpu"):
        accelerate(TinyModel().base, {Approximation.FLOAT8_ATTENTION})

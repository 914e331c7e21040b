"""The batch never shows: a sample's latents depend on its own conditions alone."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cosmos_batch.engines.inprocess.sampling.unipc import SolverState
from cosmos_batch.engines.inprocess.transfer25.conditioning import normalised
from tests.support.tiny_network import CONTROLS, TOLERANCE, Request, TinyModel

MODEL = TinyModel()


def alone(request: Request) -> Tensor:
    batch = MODEL.batch()
    batch.join("only", request.conditions())
    while not batch.done("only"):
        batch.step()
    return batch.state("only")[0].sample


weights = st.dictionaries(st.sampled_from(CONTROLS), st.floats(0.1, 1.5), max_size=4)
requests = st.builds(
    Request,
    seed=st.integers(0, 99),
    prompt=st.text("abcdefgh", min_size=1, max_size=9),
    steps=st.integers(1, 4),
    guidance=st.sampled_from([0.0, 0.5, 3.0]),
    weights=weights.map(lambda w: tuple(sorted(w.items()))),
    known=st.booleans(),
    masked=st.booleans(),
    guided=st.sampled_from([None, 0, 1, 9]),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(requests, st.integers(0, 3)), min_size=1, max_size=5), st.data())
def test_batch_joining_and_preemption_do_not_change_latents(
    company: list[tuple[Request, int]], data: st.DataObject
) -> None:
    """Runs join at the drawn steps; one is set aside at a drawn moment and comes back two steps later."""
    batch = MODEL.batch()
    waiting = {f"run{i}": (request, delay) for i, (request, delay) in enumerate(company)}
    victim = data.draw(st.sampled_from(sorted(waiting)))
    moment = data.draw(st.integers(0, 5))
    aside: tuple[SolverState, int] | None = None
    finished: dict[str, Tensor] = {}
    clock = 0
    while waiting or batch.keys or aside:
        for key in [key for key, (_, delay) in waiting.items() if delay <= clock]:
            batch.join(key, waiting.pop(key)[0].conditions())
        if clock == moment and victim in batch.keys:
            aside = batch.state(victim)
            batch.leave(victim)
        if aside and (clock >= moment + 2 or not batch.keys):
            batch.join(victim, company[int(victim[3:])][0].conditions(), *aside)
            aside = None
        if batch.keys:
            batch.step()
        for key in [key for key in batch.keys if batch.done(key)]:
            finished[key] = batch.state(key)[0].sample
            batch.leave(key)
        clock += 1
    for i, (request, _) in enumerate(company):
        assert float((finished[f"run{i}"] - alone(request)).abs().max()) < TOLERANCE


def test_a_branch_runs_only_if_some_sample_uses_it() -> None:
    batch = MODEL.batch()
    batch.join("a", Request(seed=1, weights=(("edge", 0.5),)).conditions())
    batch.join("b", Request(seed=2, weights=()).conditions())
    MODEL.used.clear()
    batch.step()
    assert MODEL.used == ["edge"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        # what is changed            against what
        (Request(seed=1), Request(seed=2)),
        (Request(seed=1), Request(seed=1, prompt="night")),
        (Request(seed=1), Request(seed=1, guidance=0.0)),
        (Request(seed=1), Request(seed=1, steps=4)),
        (Request(seed=1), Request(seed=1, weights=(("edge", 0.5),))),
        (Request(seed=1), Request(seed=1, weights=(("depth", 1.0),))),
        (Request(seed=1), Request(seed=1, masked=True)),
        (Request(seed=1), Request(seed=1, known=True)),
        (Request(seed=1), Request(seed=1, guided=0)),
        (Request(seed=1, guided=1), Request(seed=1, guided=0)),
    ],
)
def test_every_setting_reaches_the_video(one: Request, other: Request) -> None:
    assert float((alone(one) - alone(other)).abs().max()) > 100 * TOLERANCE


def test_given_frames_come_out_as_they_were_given() -> None:
    request = Request(seed=3, known=True)
    made, wanted = alone(request)[:, :, 0], request.conditions().given[:, :, 0]
    # A sample starts from noise alone at a level of 0.995, so half a percent of the difference stays
    assert float((made - wanted).abs().max()) < 0.05


def test_a_sample_of_another_shape_is_refused() -> None:
    batch = MODEL.batch()
    batch.join("a", Request(seed=1).conditions())
    other = SolverState.start(torch.zeros(1, 4, 3, 4, 4))
    with pytest.raises(ValueError, match="another shape"):
        batch.join("b", Request(seed=2).conditions(), other)


def test_weights_are_divided_by_their_sum_only_where_it_exceeds_one() -> None:
    scalar = normalised({"edge": torch.tensor(0.9), "depth": torch.tensor(0.6)})
    assert [round(float(w), 3) for w in scalar.values()] == [0.6, 0.4]
    masked = normalised({"edge": torch.tensor([0.0, 1.0]), "depth": torch.tensor(0.5)})
    assert torch.allclose(masked["edge"], torch.tensor([0.0, 2 / 3]))
    assert torch.allclose(masked["depth"], torch.tensor([0.5, 1 / 3]))

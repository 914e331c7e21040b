"""Properties of smart batches, whatever the runs."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosmos_batch import Control, Run, SmartBatch, determine_batch_size, smart_batch_generation
from cosmos_batch.api.batches import WeightForm
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.run import Sampling

NAMES = ("edge", "vis", "depth", "seg")
FACTS = {
    "/in/wide.mp4": VideoInfo(1280, 720, 121, 30),
    "/in/slow.mp4": VideoInfo(1280, 720, 121, 24),
    "/in/upright.mp4": VideoInfo(720, 1280, 60, 30),
}
WEIGHTS = st.sampled_from((0.0, 0.3, 0.5, 1.0, 1.7))


@st.composite
def controls(draw: st.DrawFn) -> tuple[Control, ...]:
    """Some controls, each with a number, a map of its own, or for seg a prompt that makes one."""
    made = []
    for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True)):
        mask = draw(st.sampled_from((None, None, None, "/in/left.pt")))
        prompt = "the cup" if name == "seg" and mask is None and draw(st.booleans()) else None
        weight = 1.0 if mask else draw(WEIGHTS)
        made.append(Control(name=name, weight=weight, mask=mask, mask_prompt=prompt))  # type: ignore[arg-type]
    return tuple(made)


@st.composite
def run_lists(draw: st.DrawFn) -> list[Run]:
    """Runs of few settings, so that many of them may share a batch."""
    return [
        Run(
            id=f"r{index}",
            prompt=f"prompt {index}",
            controls=draw(controls()),
            video=draw(st.sampled_from(sorted(FACTS))),
            sampling=Sampling(seed=draw(st.sampled_from((None, 7)))),
            priority=draw(st.sampled_from((0, 0, 0, 100))),
        )
        for index in range(draw(st.integers(0, 20)))
    ]


def weights_as_used(batch: SmartBatch) -> list[dict[str, float | str]]:
    """The weights of every line as Transfer1 applies them; a map by its name, where it is the run's own.

    Of a tensor batch with maps, every sample must have one, and each keeps its weights; of numbers, the first
    sample's hold for all.
    """
    used: list[dict[str, float | str]] = []
    mapped = []
    for line in batch.batch_jsonl:
        overrides = line["control_overrides"]
        weights = {name: each["control_weight"] for name, each in overrides.items()}
        prompted = any("control_weight_prompt" in each for each in overrides.values())
        mapped.append(prompted or any(isinstance(weight, str) for weight in weights.values()))
        used.append({name: batch.weight_maps.get(weight, weight) for name, weight in weights.items()})
    assert len(set(mapped)) == 1
    return used if mapped[0] else used[:1] * len(used)


@pytest.mark.parametrize("form", ["maps", "scalar"])
@settings(max_examples=150, deadline=None, derandomize=True)
@given(runs=run_lists())
def test_every_run_is_in_one_batch_with_its_own_weights(form: WeightForm, runs: list[Run]) -> None:
    batches = smart_batch_generation(runs, facts=FACTS, weights=form)
    assert Counter(run.id for batch in batches for run in batch.runs) == Counter(run.id for run in runs)
    assert [batch.number for batch in batches] == list(range(1, len(batches) + 1))
    for batch in batches:
        members = [run for run in batch.runs if isinstance(run, Run)]
        assert batch.batch_size == len(members) <= determine_batch_size(batch.signature)
        assert {run.signature for run in members} == {batch.signature}
        assert len({(FACTS[str(run.video)].width, FACTS[str(run.video)].frames) for run in members}) == 1
        assert {FACTS[str(run.video)].fps for run in members} == {batch.base_spec["fps"]}
        assert weights_as_used(batch) == [
            {control.name: control.mask or control.weight for control in run.active} for run in members
        ]
        if form == "scalar":
            assert batch.weight_maps == {}


@settings(max_examples=50, deadline=None, derandomize=True)
@given(runs=run_lists())
def test_maps_never_need_more_batches_than_numbers(runs: list[Run]) -> None:
    sizes = {form: len(smart_batch_generation(runs, facts=FACTS, weights=form)) for form in ("maps", "scalar")}  # type: ignore[arg-type]
    assert sizes["maps"] <= sizes["scalar"]

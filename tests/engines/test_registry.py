"""Which engine a name stands for."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosmos_batch.engines.registry import BuiltInEngines, EngineChoice
from cosmos_batch.errors import ModelError, PlanError


@pytest.mark.parametrize(
    ("choice", "name"),
    [
        (EngineChoice(), "pocket"),
        (EngineChoice(model="some/model"), "transfer"),
        (EngineChoice(engine="transfer1"), "transfer1"),
    ],
)
def test_the_pocket_model_is_the_default_unless_a_model_is_named(choice: EngineChoice, name: str) -> None:
    assert choice.name == name


def test_the_published_model_is_planned_for_without_its_weights() -> None:
    preview = BuiltInEngines().preview(EngineChoice(engine="transfer"))

    assert preview.traits.defaults.num_steps == 36
    assert preview.prior.engine == "transfer"


def test_the_distilled_model_is_planned_for_with_traits_and_cost_of_its_own() -> None:
    preview = BuiltInEngines().preview(EngineChoice(model="nvidia/Cosmos-Transfer2.5-2B@distilled/edge"))

    assert (preview.traits.name, preview.traits.controls) == ("Cosmos-Transfer2.5-2B distilled edge", {"edge"})
    assert preview.traits.defaults.num_steps == 4
    assert preview.prior.engine == "transfer-distilled"


def test_transfer1_can_be_planned_for_but_runs_only_with_a_configuration() -> None:
    assert BuiltInEngines().preview(EngineChoice(engine="transfer1")).traits.name == "transfer1"
    with pytest.raises(PlanError, match="--config FILE"):
        BuiltInEngines().load(EngineChoice(engine="transfer1"), ["edge"])


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (EngineChoice(engine="steam"), "known are pocket"),
        (EngineChoice("pocket", "some/model"), "takes no --model"),
    ],
)
def test_a_wrong_choice_says_what_would_do(choice: EngineChoice, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        BuiltInEngines().preview(choice)


def test_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        BuiltInEngines().load(EngineChoice(model=str(tmp_path)), ["edge"])

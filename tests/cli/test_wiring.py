"""Which engine a name stands for."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosmos_batch.engines.registry import BuiltIn, Choice
from cosmos_batch.errors import ModelError, PlanError


@pytest.mark.parametrize(
    ("choice", "name"),
    [(Choice(), "pocket"), (Choice(model="some/model"), "transfer"), (Choice(engine="transfer1"), "transfer1")],
)
def test_the_pocket_model_is_the_default_unless_a_model_is_named(choice: Choice, name: str) -> None:
    assert choice.name == name


def test_the_published_model_is_planned_for_without_its_weights() -> None:
    preview = BuiltIn().preview(Choice(engine="transfer"))

    assert preview.traits.defaults.num_steps == 36
    assert preview.prior.engine == "transfer"


def test_transfer1_can_be_planned_for_but_runs_only_with_a_configuration() -> None:
    assert BuiltIn().preview(Choice(engine="transfer1")).traits.name == "transfer1"
    with pytest.raises(PlanError, match="--config FILE"):
        BuiltIn().load(Choice(engine="transfer1"), ["edge"])


@pytest.mark.parametrize(
    ("choice", "message"),
    [(Choice(engine="steam"), "known are pocket"), (Choice("pocket", "some/model"), "takes no --model")],
)
def test_a_wrong_choice_says_what_would_do(choice: Choice, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        BuiltIn().preview(choice)


def test_a_model_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        BuiltIn().load(Choice(model=str(tmp_path)), ["edge"])

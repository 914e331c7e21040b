"""Without the extra or the weights, the error says what to install or supply."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cosmos_batch.errors import CosmosBatchError, MissingExtraError
from cosmos_batch.media.controls.estimators import TransformersEstimator
from tests.support.clips import moving

ASK: dict[str, Callable[[TransformersEstimator], object]] = {
    "depth": lambda estimator: estimator.depth(moving(2)),
    "seg": lambda estimator: estimator.objects(moving(2), "box"),
}


@pytest.mark.parametrize("control", ASK)
def test_missing_transformers_names_the_extra(control: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)  # an import of it fails, installed or not

    with pytest.raises(MissingExtraError, match=rf"making {control} control videos.*cosmos-batch\[estimators\]"):
        ASK[control](TransformersEstimator())


@pytest.mark.parametrize("control", ASK)
def test_missing_weights_name_the_remedies(control: str, tmp_path: Path) -> None:
    nowhere = str(tmp_path / "model")
    remedy = "supply the .* control video" if importlib.util.find_spec("transformers") else "pip install"

    with pytest.raises(CosmosBatchError, match=remedy):
        ASK[control](TransformersEstimator(nowhere, nowhere, nowhere))


def test_identity_names_the_models() -> None:
    assert TransformersEstimator("a", "b", "c").identity == "a b c"

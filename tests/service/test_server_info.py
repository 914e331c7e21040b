"""The self-description of a server: states, controls, limits of settings, id pattern."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.testclient import TestClient

from cosmos_batch.engines.registry import traits_of
from cosmos_batch.ledger import State
from cosmos_batch.run import Priority
from cosmos_batch.service.server_info import setting_infos
from tests.support.http_server import request


@pytest.fixture
def info(client: TestClient) -> Any:
    return client.get("/v1/server").json()


def test_every_state_is_described(info: Any) -> None:
    assert {state["name"] for state in info["states"]} == set(State)
    assert {state["name"] for state in info["states"] if not state["ended"]} == {
        "queued",
        "leased",
        "running",
        "preempted",
    }
    assert {state["name"] for state in info["states"] if state["retryable"]} == {"failed", "blocked", "cancelled"}


def test_every_control_is_described(info: Any) -> None:
    assert [control["name"] for control in info["control_infos"]] == info["controls"]
    assert all(control["about"] for control in info["control_infos"])
    presets = {control["name"]: control["preset"] for control in info["control_infos"] if control["preset"]}
    assert presets == {"edge": "canny_threshold", "vis": "blur_strength"}
    assert info["settings"]["canny_threshold"]["choices"] == ["very_low", "low", "medium", "high", "very_high"]


def test_setting_of_true_or_false_is_described(info: Any) -> None:
    assert info["settings"]["keep_input_resolution"]["type"] == "boolean"


@pytest.mark.parametrize("setting", ["num_steps", "guidance", "num_frames", "fps", "sigma_max", "seed"])
def test_a_setting_past_its_limit_is_refused(client: TestClient, info: Any, setting: str) -> None:
    limits = info["settings"][setting]
    beyond = [limits["maximum"] + 1] if limits["maximum"] is not None else []
    beyond += [limits["minimum"] - 1] if limits["minimum"] is not None else []
    beyond += [limits["exclusive_minimum"]] if limits["exclusive_minimum"] is not None else []
    assert beyond
    for value in beyond:
        number = int(value) if limits["type"] == "integer" else value
        body = request(execution_config={"weights": {"edge": 1.0}, setting: number})
        assert client.post("/v1/videos", json=body).status_code == 400, value


def test_settings_that_the_engine_lacks_are_left_out() -> None:
    guided = {"guided_generation_step_threshold", "guided_generation_foreground_labels"}
    names = {name: setting_infos(traits_of(name)).keys() for name in ("transfer", "transfer25", "transfer1")}
    assert names["transfer"] == names["transfer25"]
    assert names["transfer"] - names["transfer1"] == guided | {"num_conditional_frames"}
    assert setting_infos(traits_of("transfer"))["num_conditional_frames"].maximum == 2


def test_the_id_pattern_is_the_one_that_requests_are_checked_by(client: TestClient, info: Any) -> None:
    for name, right in (("dock_1.a-b", True), ("-dock", False), ("a/b", False)):
        assert bool(re.fullmatch(info["id_pattern"], name)) is right
        assert client.post("/v1/videos", json=request(id=name)).is_success is right


def test_levels_of_priority_are_those_of_the_plan(info: Any) -> None:
    levels: dict[str, int] = info["priority_levels"]
    for priority in (-(2**31), -11, -10, -1, 0, 1, 9, 10, 99, 100, 101, 2**31 - 1):
        name = [name for name, least in levels.items() if least <= priority][-1]
        assert name == Priority.level(priority).name.lower()


def test_settings_that_the_model_has_values_of_its_own_for_are_named(info: Any) -> None:
    assert info["own_settings"] == []

"""Schemathesis asks whatever the OpenAPI document allows, and some of what it does not: no answer is a 5xx."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, reject, settings
from schemathesis import Case, GenerationMode
from starlette.testclient import TestClient

from tests.service.conftest import request as good_request

ENDLESS = "/v1/events"  # a stream that goes on for ever
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "6"))  # of each operation and way

quick = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def client(make_client: Callable[..., TestClient]) -> TestClient:
    """A service with a run and a file in it."""
    client = make_client(requests_per_second=1e9)
    client.post("/v1/videos", json=good_request(id="r"))
    client.post("/v1/files", files={"file": b"x"}, data={"purpose": "batch"})
    return client


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_no_request_breaks_the_server(client: TestClient, mode: GenerationMode) -> None:
    document = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
    operations = [each.ok() for each in document.exclude(path=ENDLESS).get_all_operations()]
    asked = [answers(client, each, mode) for each in operations if mode.is_positive or takes_anything(each)]
    assert sum(asked) > len(asked)


def takes_anything(operation: Any) -> bool:
    """Whether there is something in a request for this that could be wrong."""
    return bool(operation.body) or any(True for _ in operation.iter_parameters())


def answers(client: TestClient, operation: Any, mode: GenerationMode) -> int:
    """Ask for one operation in many ways; how many of them could be asked."""
    count = 0

    @quick
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Case) -> None:
        nonlocal count
        arguments = case.as_transport_kwargs(base_url="http://127.0.0.1:8000")
        if isinstance(arguments.get("data"), bytes | str):
            arguments["content"] = arguments.pop("data")
        try:
            request = client.build_request(**arguments)
            request.read()
        except (AttributeError, TypeError, ValueError):
            reject()  # not even a client could send it
        answer = client.send(request)
        count += 1
        assert answer.status_code < 500, (arguments, answer.text)
        if answer.status_code >= 400:
            assert answer.json()["error"]["message"]

    ask()
    return count

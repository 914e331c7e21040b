"""The application as a whole, fuzzed by schemathesis from its OpenAPI document: no response is a 5xx."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, reject, settings
from schemathesis import Case, GenerationMode
from starlette.testclient import TestClient

from cosmos_batch.service.app import ServiceApp
from tests.support.http_server import request as good_request

ENDLESS = "/v1/events"  # a stream without end
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "6"))  # of each operation and mode

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
    """A client of a service with one run and one file."""
    client = make_client(requests_per_second=1e9)
    client.post("/v1/videos", json=good_request(id="r"))
    client.post("/v1/files", files={"file": b"x"}, data={"purpose": "batch"})
    return client


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_no_request_breaks_the_server(client: TestClient, mode: GenerationMode) -> None:
    document = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
    operations = [each.ok() for each in document.exclude(path=ENDLESS).get_all_operations()]
    counts = [send_examples(client, each, mode) for each in operations if mode.is_positive or takes_input(each)]
    assert sum(counts) > len(counts)


def test_openapi_document_is_rendered_once(client: TestClient) -> None:
    first = client.get("/openapi.json")
    assert isinstance(client.app, ServiceApp)
    assert (first.headers["content-type"], first.json()) == ("application/json", client.app.openapi())
    client.app.openapi_schema = {}
    assert client.get("/openapi.json").content == first.content


def takes_input(operation: Any) -> bool:
    """Tell whether a request for the operation has anything that can be invalid."""
    return bool(operation.body) or any(True for _ in operation.iter_parameters())


def send_examples(client: TestClient, operation: Any, mode: GenerationMode) -> int:
    """Send many requests for one operation; return how many could be sent."""
    count = 0

    @quick
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case: Case) -> None:
        nonlocal count
        arguments = case.as_transport_kwargs(base_url="http://127.0.0.1:8000")
        if isinstance(arguments.get("data"), bytes | str):
            arguments["content"] = arguments.pop("data")
        try:
            request = client.build_request(**arguments)
            request.read()
        except (AttributeError, TypeError, ValueError):
            reject()  # no client can send it
        response = client.send(request)
        count += 1
        assert response.status_code < 500, (arguments, response.text)
        if response.status_code >= 400:
            assert response.json()["error"]["message"]

    send()
    return count

"""The page's types of the API are those of the present OpenAPI document."""

from __future__ import annotations

from tests.support.page.api_types import FILE, api_types, openapi_document


def test_the_types_of_the_page_are_up_to_date() -> None:
    assert FILE.read_text() == api_types(openapi_document()), "run: python -m tests.support.page.api_types"

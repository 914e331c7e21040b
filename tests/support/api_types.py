"""`python -m tests.support.api_types`: TypeScript types of the API, from its OpenAPI document, for the page's checks.

They are written to the page's lib/schema.d.ts; a test fails while that file is out of date.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from cosmos_batch import service
from cosmos_batch.ledger import Ledger
from cosmos_batch.service.app import make_app
from cosmos_batch.service.settings import Serving
from cosmos_batch.service.state import AppState, ServedEngine
from tests.support.dispatch_world import PRIOR, TRAITS

FILE = Path(service.__file__).parent / "web" / "lib" / "schema.d.ts"
HEAD = "// Types of the API, generated from its OpenAPI document by `python -m tests.support.api_types`. Do not edit.\n"


def api_types(document: dict[str, Any]) -> str:
    """Return a TypeScript declaration for every schema of an OpenAPI document, sorted by name."""
    schemas = document["components"]["schemas"]
    return HEAD + "".join(f"\n{_declaration(name, schemas[name])}" for name in sorted(schemas))


def openapi_document() -> dict[str, Any]:
    """Return the OpenAPI document of a server."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        ledger = Ledger(home / "ledger.sqlite")
        try:
            return make_app(AppState(home, ledger, ServedEngine("pocket", TRAITS, PRIOR), Serving())).openapi()
        finally:
            ledger.close()


def _declaration(name: str, schema: dict[str, Any]) -> str:
    if "properties" not in schema:
        return f"export type {name} = {_type(schema)};\n"
    required = set(schema.get("required", ()))
    fields = "".join(_field(key, value, key in required) for key, value in schema["properties"].items())
    return f"export interface {name} {{\n{fields}}}\n"


def _field(name: str, schema: dict[str, Any], required: bool) -> str:
    """A field with a default is always in an answer, as pydantic writes it out."""
    mark = "" if required or "default" in schema or "const" in schema else "?"
    return f"  {name}{mark}: {_type(schema)};\n"


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"].rsplit("/", 1)[-1])
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(_type(each) for each in schema["anyOf"]))
    if "const" in schema:
        return f'"{schema["const"]}"'
    if "enum" in schema:
        return " | ".join(f'"{value}"' for value in schema["enum"])
    if schema.get("type") == "array":
        return f"Array<{_type(schema.get('items', {}))}>"
    if schema.get("type") == "object":
        values = schema.get("additionalProperties", True)
        return f"Record<string, {_type(values) if isinstance(values, dict) else 'unknown'}>"
    names = {"integer": "number", "number": "number", "string": "string", "boolean": "boolean", "null": "null"}
    return names.get(schema.get("type", ""), "unknown")


if __name__ == "__main__":
    FILE.write_text(api_types(openapi_document()))

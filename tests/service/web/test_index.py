"""The page's frame names every module, so that a browser loads them at once and not one after the other."""

from __future__ import annotations

import re

from cosmos_batch.service.app import PAGE


def test_every_module_of_the_page_is_loaded_ahead() -> None:
    modules = {str(path.relative_to(PAGE)) for path in PAGE.rglob("*.js")} - {"app.js", "docs.js"}
    named = re.findall(r'rel="modulepreload" href="([^"]+)"', (PAGE / "index.html").read_text())
    assert sorted(named) == sorted(modules)

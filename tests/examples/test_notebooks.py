"""The notebooks of the examples: their cells run in order in this process, and are kept without outputs."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))


def execute(source: str, names: dict[str, Any]) -> object:
    """Run a cell; the value of its last expression, as a notebook shows it."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    if not isinstance(last, ast.Expr):
        return None
    value: object = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
    return value


def cells(notebook: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in found if cell["cell_type"] == "code"]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs(notebook: Path) -> None:
    assert [(cell["outputs"], cell["execution_count"]) for cell in cells(notebook)] == [([], None)] * len(
        cells(notebook)
    )


def test_the_sweep_is_expanded_planned_made_and_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    values = [execute("".join(cell["source"]), names) for cell in cells(EXAMPLES / "sweep.ipynb")]

    shown = [value._repr_html_() for value in values if hasattr(value, "_repr_html_")]
    assert ["8 runs, about" in shown[0], "edge alone" in shown[1]] == [True, True]
    assert "succeeded" in shown[2]
    assert any(hasattr(value, "_repr_png_") and value._repr_png_() for value in values)
    printed = capsys.readouterr().out
    assert printed.count("succeeded") == 8
    assert "seeds[1]" in printed
    assert len(list(tmp_path.glob("notebook/videos/*/output.mp4"))) == 8

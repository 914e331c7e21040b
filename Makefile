# make demo: ten runs through the embedded model, planned, made, checked, filed under their own names
# make test: format, lint, types, layers, tests
# make test-browser: the tests of the web page; they need Chromium (Debian: apt-get install chromium)
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-browser setup format clean

setup: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check "pip>=25.1"
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --group dev --editable .
	touch $@

demo: setup
	$(BIN)/python -m examples.demo

test: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest

test-browser: setup
	$(BIN)/pytest -m browser --tb=native

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv demo .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

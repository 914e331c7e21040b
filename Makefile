# make demo: ten runs through the embedded model, planned, made, checked, filed under their own names
# make test: format, lint, types, layers, tests; needs Python alone
# make test-postgres: the suites of the ledger and of dispatch on Postgres too, and its races; they need its server
#   (Debian: apt-get install postgresql)
# make docs: the documentation as a site, in build/site; make test builds it, too
# make test-browser: types and tests of the web page; they need Chromium (Debian: apt-get install chromium)
PYTHON ?= python3
BIN := .venv/bin
PAGE := src/cosmos_batch/service/web
PAGE_CHECKS := tests/service/web

.PHONY: demo test test-fleet test-postgres test-browser setup format clean

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
	$(BIN)/oxlint $(PAGE)
	$(BIN)/pytest --numprocesses auto --maxprocesses 8 --dist worksteal

test-postgres: setup .venv/installed-postgres
	$(BIN)/pytest tests/ledger tests/dispatch tests/scenarios --store postgres -m postgres
	$(BIN)/pytest tests/ledger -m races

.venv/installed-postgres: .venv/installed
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --group postgres
	touch $@

test-fleet: setup .venv/installed-fleet
	$(BIN)/pytest -m fleet

.venv/installed-fleet: .venv/installed
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --group fleet
	touch $@

docs: setup
	$(BIN)/python -m docs_site

test-browser: setup .venv/installed-browser
	$(BIN)/node $(PAGE_CHECKS)/node_modules/typescript/bin/tsc -p $(PAGE_CHECKS)
	$(BIN)/pytest -m browser --tb=native

.venv/installed-browser: .venv/installed $(PAGE_CHECKS)/package-lock.json
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --group browser
	$(BIN)/npm ci --prefix $(PAGE_CHECKS) --no-audit --no-fund
	touch $@

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv $(PAGE_CHECKS)/node_modules demo build .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

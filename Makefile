# What a developer runs. `make test` is all that CI runs; it installs what it needs from public registries.

.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

CARGO ?= cargo
NPM_CI := npm ci --no-audit --no-fund --loglevel=error
DATA ?=

.PHONY: help test test-long format lint rust contracts contracts-tools clients clients-tools standards c2pa deny example-data privacy-vectors python python-tools wheel bench clean

help: ## Say what there is
	@grep -hE '^[a-z0-9%-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "%-18s %s\n", $$1, $$2}'

test: format lint contracts rust clients standards python ## Check everything: formatting, lints, contracts, Rust, real Ethereum clients

test-long: export CW_TEST_LONG = 1
test-long: format lint contracts-long rust clients standards c2pa python wheel deny example-data privacy-vectors ## As test, with larger counts, licences and regenerated data

format:
	$(CARGO) fmt --all --check

lint:
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

contracts: contracts-tools ## Compile the contracts, compare artifacts and gas, run their tests
	cd contracts && npm test

contracts-long: contracts-tools
	cd contracts && npm run test:long

contracts-tools: contracts/node_modules/.package-lock.json

contracts/node_modules/.package-lock.json: contracts/package-lock.json
	cd contracts && $(NPM_CI)
	@touch $@

# Chain tests start anvil from the contracts' tools: one suite runs on the embedded chain and on anvil.
rust: contracts-tools ## Run the Rust tests
	$(CARGO) test --locked --workspace

# Built as for the Rust tests: `cargo build` alone would choose other features and compile everything again.
clients: clients-tools ## Drive `cw node start` with ethers, viem and cast
	$(CARGO) test --locked --workspace --no-run
	cd tests/clients && npm test

clients-tools: contracts-tools tests/clients/node_modules/.package-lock.json

tests/clients/node_modules/.package-lock.json: tests/clients/package-lock.json
	cd tests/clients && $(NPM_CI)
	@touch $@

standards: ## Check signatures and exports with the tools of their formats
	$(CARGO) test --locked --workspace --no-run
	tests/standards/run.sh

# A workspace of its own, whose dependencies take some ten minutes to compile: not part of `make test`. One target folder for tests and
# binary, so that they compile once.
c2pa: export C2PA_TARGET := $(abspath $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),target))/c2pa
c2pa: ## Build and test `cw-c2pa`, and check the files it signs with a public reader of C2PA
	$(CARGO) fmt --check --manifest-path crates/c2pa/Cargo.toml
	$(CARGO) clippy --locked --manifest-path crates/c2pa/Cargo.toml --target-dir "$$C2PA_TARGET" --all-targets -- -D warnings
	$(CARGO) test --locked --manifest-path crates/c2pa/Cargo.toml --target-dir "$$C2PA_TARGET"
	$(CARGO) build --locked --manifest-path crates/c2pa/Cargo.toml --target-dir "$$C2PA_TARGET" --bins --examples
	$(CARGO) test --locked --workspace --no-run
	tests/c2pa/run.sh

# The module is built with the features of the Rust tests, whose dependencies then need not be compiled again.
python: python-tools ## Check the Python package: formatting, lints, types, tests with Flower, scikit-learn and PyTorch
	$(CARGO) build --locked --workspace --lib --bins --tests
	cp "$${CARGO_TARGET_DIR:-target}/debug/libcounterweight_native.so" python/counterweight/_native.abi3.so
	cd python && .venv/bin/ruff check --quiet . && .venv/bin/ruff format --quiet --check . && .venv/bin/mypy
	cd python && .venv/bin/python -m pytest -q -rs

python-tools:
	scripts/venv.sh python

wheel: python-tools ## Build the Python package as it is published, and import it from there
	python/.venv/bin/pip install --quiet --disable-pip-version-check maturin==1.16.0
	cd python && .venv/bin/maturin build --quiet --locked --strip --out dist
	python/.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --force-reinstall --target python/dist/installed python/dist/*.whl
	cd / && PYTHONPATH="$(CURDIR)/python/dist/installed" "$(CURDIR)/python/.venv/bin/python" -c 'import counterweight'

deny: ## Check licences, bans and sources of dependencies
	command -v cargo-deny >/dev/null || $(CARGO) install --locked cargo-deny@0.19.0
	$(CARGO) deny check licenses bans sources
	$(CARGO) deny --manifest-path crates/c2pa/Cargo.toml check --config deny.toml licenses bans sources

example-data: ## Make the example's data again from the public package and compare
	examples/breast-cancer/make_data.sh --check

privacy-vectors: ## Ask dp-accounting again what mechanisms spend and compare
	tests/privacy/make_vectors.sh --check

bench: ## List the benchmarks
	@ls -d benches/*/ | sed 's|benches/\(.*\)/|make bench-\1|'

bench-%: ## Run one benchmark against its peer; the last line is one JSON object
	@DATA="$(abspath $(DATA))" benches/$*/run.sh

clean: ## Remove what was built
	$(CARGO) clean
	rm -rf contracts/{out,cache,node_modules} tests/clients/node_modules python/{.venv,dist}

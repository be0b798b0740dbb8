# Every target is plain cargo underneath; the shell only adds what cargo does not know.
# CARGO_TARGET_DIR is honoured; caches (the programs of the real cluster) live below XDG_CACHE_HOME, outside the clone.
.PHONY: test cluster-up cluster-down dist soak faults bench bench-cluster fuzz fmt lint check-fmt docs kubectl run

# The supervisor of the real cluster, from the same build as everything else.
CLUSTER = cargo build --quiet --locked --package pipewright --package pipewright-cluster --bins && $${CARGO_TARGET_DIR:-target}/debug/pipewright-cluster

test: ## builds what it needs, runs every test, says what it skipped
	./tests/run.sh

cluster-up: ## a real API server and Tekton on loopback, until `make cluster-down`; prints the kubeconfig; needs Go
	@$(CLUSTER) up

cluster-down: ## ends it and removes its folder
	@$(CLUSTER) down

kubectl: ## a real kubectl from its Go module, once, into the cache; needs Go
	@./tests/cluster/build.sh kubectl

soak: ## 50 kills over 10,000 webhooks, two replicas and a failing cluster; minutes, not part of the tests
	cargo test --release --locked --test it soak_of -- --ignored --nocapture

faults: ## one table: everything of a real cluster fails once; PIPEWRIGHT_SOAK=<webhooks for each>; needs Go
	cargo build --quiet --locked --package pipewright --package pipewright-cluster --bins
	PIPEWRIGHT_CLUSTER_PROGRAM=$${CARGO_TARGET_DIR:-target}/debug/pipewright-cluster \
		cargo test --locked --test it outages:: -- --nocapture

bench: ## one table; not part of the tests
	cargo bench --profile dist --bench bench

bench-cluster: ## beside direct POSTs and Tekton Triggers, on a real API server; needs Go; a quarter of an hour
	cargo bench --profile dist --locked --bench bench --no-run
	$(CLUSTER) run --triggers cargo bench --profile dist --locked --bench bench -- cluster

fuzz: ## ten minutes for each fuzz target; FUZZ_SECONDS shortens; needs cargo-fuzz and a C++ compiler
	./tests/fuzz/run.sh

fmt:
	cargo fmt --all

check-fmt:
	cargo fmt --all --check

lint: ## clippy, and advisories where cargo-deny is installed
	cargo clippy --workspace --all-targets --locked -- -D warnings
	@if command -v cargo-deny >/dev/null; then cargo deny --locked check advisories; else echo "advisories: skipped, cargo-deny is not installed"; fi

docs:
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --document-private-items

dist: ## the program as it is shipped, small and fast: target/dist/pipewright; a quarter of an hour on two cores
	cargo build --profile dist --locked --package pipewright

run:
	cargo run -- dev

#!/usr/bin/env bash
# Runs every test and says what was skipped and why. With CI=true a skip is a failure of its test.
set -euo pipefail
cd "$(dirname "$0")/.."

PIPEWRIGHT_SKIPPED=$(mktemp)
export PIPEWRIGHT_SKIPPED
trap 'rm -f "$PIPEWRIGHT_SKIPPED"' EXIT

# Everything is built before the cluster starts: the compiler and the cluster would slow down each other. Both programs in one
# build, so that they share their libraries.
cargo build --locked --package pipewright --package pipewright-cluster --bins
cargo test --locked --no-run

# With Go the suite runs on a real API server and Tekton as well as on the embedded cluster; without it, the tests that
# need one say so. A cluster that is already up is used as it is: PIPEWRIGHT_CLUSTER=<its folder>.
if [ -n "${PIPEWRIGHT_CLUSTER:-}" ]; then
    cargo test --locked
elif command -v go >/dev/null; then
    # A forge beside it, where its SQLite can be compiled.
    forge=$(command -v cc >/dev/null && echo --forge || true)
    # shellcheck disable=SC2086
    "${CARGO_TARGET_DIR:-target}/debug/pipewright-cluster" run $forge cargo test --locked
else
    cargo test --locked
fi

if [ -s "$PIPEWRIGHT_SKIPPED" ]; then
    printf '\nSkipped:\n'
    sort -u "$PIPEWRIGHT_SKIPPED" | sed 's/^/  - /'
else
    printf '\nNothing was skipped.\n'
fi

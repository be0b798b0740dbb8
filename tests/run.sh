#!/usr/bin/env bash
# Runs every test and says what was skipped and why. With CI=true a skip is a failure of its test.
set -euo pipefail
cd "$(dirname "$0")/.."

PIPEWRIGHT_SKIPPED=$(mktemp)
export PIPEWRIGHT_SKIPPED
trap 'rm -f "$PIPEWRIGHT_SKIPPED"' EXIT

cargo test --locked

if [ -s "$PIPEWRIGHT_SKIPPED" ]; then
    printf '\nSkipped:\n'
    sort -u "$PIPEWRIGHT_SKIPPED" | sed 's/^/  - /'
else
    printf '\nNothing was skipped.\n'
fi

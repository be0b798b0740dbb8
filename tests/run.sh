#!/usr/bin/env bash
# Runs every test and says what was skipped and why. With CI=true a skip is a failure of its test.
set -euo pipefail
cd "$(dirname "$0")/.."

PIPEWRIGHT_SKIPPED=$(mktemp)
export PIPEWRIGHT_SKIPPED
trap 'rm -f "$PIPEWRIGHT_SKIPPED"' EXIT

# Without Go there is no kubectl of the pinned version; its tests then say so, or take the one on the PATH.
if command -v go >/dev/null; then
    ./tests/cluster/build.sh kubectl >/dev/null || echo "kubectl could not be built" >&2
fi

cargo test --locked

if [ -s "$PIPEWRIGHT_SKIPPED" ]; then
    printf '\nSkipped:\n'
    sort -u "$PIPEWRIGHT_SKIPPED" | sed 's/^/  - /'
else
    printf '\nNothing was skipped.\n'
fi

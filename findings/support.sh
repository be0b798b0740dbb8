# What the scripts of this folder share; sourced, not run.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# Builds and runs main.rs with the dependencies that are given as lines of Cargo.toml.
run_rust() {
  mkdir -p src && mv main.rs src/
  printf '[package]\nname = "finding"\nversion = "0.0.0"\nedition = "2024"\n\n[dependencies]\n%s\n' "$1" > Cargo.toml
  CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$work/target} cargo run --quiet
}

# Builds and runs main.go with the modules that are given as `path@version`.
run_go() {
  go mod init finding >/dev/null 2>&1
  go get "$@" >/dev/null 2>&1
  go mod tidy >/dev/null 2>&1
  go run .
}

# Compares what was printed with what was seen when the finding was written down.
expect() {
  if [ "$1" != "$2" ]; then
    printf 'It is not so any more. Expected:\n%s\nFound:\n%s\n' "$2" "$1" >&2
    exit 1
  fi
  printf 'still so:\n%s\n' "$1"
}

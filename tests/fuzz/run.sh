#!/usr/bin/env bash
# Fuzzes every target, one after another, each FUZZ_SECONDS (600) long; FUZZ_TARGETS names some of them.
# The working corpora live below target/; `tests/fuzz/run.sh minimise` writes what is kept in tests/fuzz/corpus.
set -euo pipefail
cd "$(dirname "$0")/../.."

command -v cargo-fuzz >/dev/null || { echo "cargo-fuzz is missing: cargo install cargo-fuzz" >&2; exit 1; }
targets=${FUZZ_TARGETS:-"bitbucket bitbucket_data_center cloudevents generic gitea github gitlab mapping template"}
seconds=${FUZZ_SECONDS:-600}
out=${CARGO_TARGET_DIR:-$PWD/target}/fuzz
data=${PIPEWRIGHT_CORPUS:-../shared/data}
# The sanitizers need a nightly compiler; the code has no `unsafe`, and panics are seen without them.
cargo fuzz build -s none --fuzz-dir tests/fuzz --target-dir "$out"
host=$(rustc -vV | sed -n 's/^host: //p')

# Where inputs to begin with are; the bodies of recorded events need a head.
seeds() {
    case $1 in
    cloudevents)
        mkdir -p "$out/seeds/cloudevents"
        for body in tests/fixtures/cloudevents/*.json "$data"/cdevents/conformance/*.json; do
            [ -f "$body" ] || continue
            { printf 'ce-specversion: 1.0\nce-id: 1\nce-source: /s\nce-type: t\ncontent-type: application/json\n\n'
              cat "$body"; } >"$out/seeds/cloudevents/$(basename "$body")"
        done
        echo "$out/seeds/cloudevents" ;;
    gitea)
        [ ! -d "$data/forge/gitea" ] || echo "$data/forge/gitea"
        [ ! -d "$data/forge/gitea-live" ] || {
            mkdir -p "$out/seeds/gitea"
            for file in "$data"/forge/gitea-live/*.json; do
                sed 's/.*"body":{/{/; s/},"signature_ok".*/}/' "$file" >"$out/seeds/gitea/$(basename "$file")"
            done
            echo "$out/seeds/gitea"
        } ;;
    github)
        echo tests/fixtures/github
        [ ! -d "$data/forge/github" ] || echo "$data/forge/github" ;;
    bitbucket) [ ! -d "$data/forge/bitbucket-cloud" ] || echo "$data/forge/bitbucket-cloud" ;;
    bitbucket_data_center) [ ! -d "$data/forge/bitbucket-datacenter" ] || echo "$data/forge/bitbucket-datacenter" ;;
    gitlab) [ ! -d "$data/forge/gitlab" ] || echo "$data/forge/gitlab" ;;
    mapping) echo mappings; echo tests/fixtures/mappings-with-12-mistakes ;;
    template) echo tests/fixtures/github ;;
    esac
}

for target in $targets; do
    mkdir -p "$out/corpus/$target" "$out/artifacts/$target" "tests/fuzz/corpus/$target"
    mapfile -t folders < <(seeds "$target")
    program=$out/$host/release/$target
    if [ "${1:-}" = minimise ]; then
        # What grew from recorded payloads still has parts of them, and none of those is ours to keep.
        [ ! -d "$data" ] || { echo "minimise needs corpora of our own: PIPEWRIGHT_CORPUS=none, and new ones" >&2; exit 1; }
        # Of the small inputs that together reach everything that small inputs reach, a few dozen of all sizes; what
        # has a readable name was written by hand and stays.
        rm -rf "$out/minimal" && mkdir -p "$out/minimal"
        "$program" -merge=1 -max_len=1500 "$out/minimal" "tests/fuzz/corpus/$target" "$out/corpus/$target" \
            >"$out/$target.merge.log" 2>&1
        find "tests/fuzz/corpus/$target" -type f -regextype posix-extended -regex '.*/[0-9a-f]{40}' -delete
        mapfile -t names < <(cd "$out/minimal" && find . -type f -printf '%s %f\n' | sort -rn | cut -d' ' -f2)
        keep=${KEEP:-30} step=$(( ${#names[@]} / ${KEEP:-30} + 1 ))
        for ((at = 0; at < ${#names[@]} && keep > 0; at += step, keep--)); do
            cp "$out/minimal/${names[at]}" "tests/fuzz/corpus/$target/"
        done
        continue
    fi
    echo "== $target, $seconds s"
    # shellcheck disable=SC2086
    nice -n 10 "$program" -max_total_time="$seconds" -max_len=32768 -timeout=20 -rss_limit_mb=2048 \
        -dict="tests/fuzz/$target.dict" -print_final_stats=1 -artifact_prefix="$out/artifacts/$target/" \
        ${FUZZ_FLAGS:-} "$out/corpus/$target" "tests/fuzz/corpus/$target" "${folders[@]}" 2>&1 |
        tee "$out/$target.log" | grep -E '^(stat::|Done|==|SUMMARY|thread|#[0-9]+.*(INITED|DONE|pulse))' || true
    grep -q '^Done' "$out/$target.log" || { echo "$target failed: see $out/$target.log" >&2; exit 1; }
done

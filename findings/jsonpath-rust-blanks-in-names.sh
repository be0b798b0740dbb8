#!/usr/bin/env bash
# crate jsonpath-rust 1.0.12 beside jsonpath-rfc9535 1.0.1 (Python): a blank inside a name after a dot.
#
# RFC 9535 gives `member-name-shorthand` no blanks: `$.a b` is no query, and a name with a blank needs `$['a b']`. The crate
# takes it for the name `a b`, so that a typing mistake is a query that finds nothing, in silence:
#   $.a b        crate: [7], the member `a b`     RFC: syntax error
#   $.a b.id     crate: []                        RFC: syntax error
. "$(dirname "$(realpath "$0")")/support.sh"

cat > main.rs <<'RUST'
use jsonpath_rust::JsonPath;

fn main() {
    let data = serde_json::json!({"a b": 7, "a": {"id": 1}});
    for path in ["$.a b", "$.a b.id", "$['a b']"] {
        let found = data.query(path).map(|all| serde_json::to_string(&all).unwrap());
        println!("crate {path} {}", found.unwrap_or_else(|_| "error".to_owned()));
    }
}
RUST
rust=$(run_rust 'jsonpath-rust = "=1.0.12"
serde_json = "1"')

python3 -m venv venv
venv/bin/pip -q install jsonpath-rfc9535==1.0.1
python=$(venv/bin/python - <<'PYTHON'
import jsonpath_rfc9535 as jsonpath
data = {"a b": 7, "a": {"id": 1}}
for path in ["$.a b", "$.a b.id", "$['a b']"]:
    try:
        print("RFC", path, jsonpath.find(path, data).values())
    except jsonpath.JSONPathError:
        print("RFC", path, "error")
PYTHON
)

expect "$rust
$python" "crate \$.a b [7]
crate \$.a b.id []
crate \$['a b'] [7]
RFC \$.a b error
RFC \$.a b.id error
RFC \$['a b'] [7]"

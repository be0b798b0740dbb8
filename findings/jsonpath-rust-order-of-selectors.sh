#!/usr/bin/env bash
# crate jsonpath-rust 1.0.12 beside jsonpath-rfc9535 1.0.1 (Python): the order of several selectors on several nodes.
#
# RFC 9535, section 2.5.1: the result for a node list is the concatenation of the results for each node, so all selectors of the
# first node come before those of the second. The crate goes the other way round, selector by selector:
#   $.c[*]['id','n']     crate: ["x","y",1,2]     RFC: ["x",1,"y",2]
# Whoever takes pairs out of the list gets other pairs.
. "$(dirname "$(realpath "$0")")/support.sh"

cat > main.rs <<'RUST'
use jsonpath_rust::JsonPath;

fn main() {
    let data = serde_json::json!({"c": [{"id": "x", "n": 1}, {"id": "y", "n": 2}]});
    let found = data.query("$.c[*]['id','n']").unwrap();
    println!("crate {}", serde_json::to_string(&found).unwrap());
}
RUST
rust=$(run_rust 'jsonpath-rust = "=1.0.12"
serde_json = "1"')

python3 -m venv venv
venv/bin/pip -q install jsonpath-rfc9535==1.0.1
python=$(venv/bin/python - <<'PYTHON'
import json
import jsonpath_rfc9535 as jsonpath
data = {"c": [{"id": "x", "n": 1}, {"id": "y", "n": 2}]}
print("RFC", json.dumps(jsonpath.find("$.c[*]['id','n']", data).values(), separators=(",", ":")))
PYTHON
)

expect "$rust
$python" 'crate ["x","y",1,2]
RFC ["x",1,"y",2]'

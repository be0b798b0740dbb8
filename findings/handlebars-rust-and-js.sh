#!/usr/bin/env bash
# crate handlebars 6.4.4 beside handlebars.js 4.7.10: one template, two results.
#
# A template that moves from one to the other keeps its form and changes its meaning, without an error:
#   {{#if it}} of an empty object       crate: no     JS: yes
#   {{it}} of a list                    crate: [1, 2] JS: 1,2
#   {{it}} of the number 1.0            crate: 1.0    JS: 1   (JSON has one kind of numbers, the crate two)
#   {{raw}}, a variable of that name    crate: empty, since `raw` is a helper   JS: its value
. "$(dirname "$(realpath "$0")")/support.sh"

cat > main.rs <<'RUST'
fn main() {
    let data: serde_json::Value =
        serde_json::from_str(r#"{"object": {}, "list": [1, 2], "one": 1.0, "raw": "r"}"#).unwrap();
    for template in ["{{#if object}}yes{{else}}no{{/if}}", "{{list}}", "{{one}}", "{{raw}}"] {
        println!("crate {template} {}", handlebars::Handlebars::new().render_template(template, &data).unwrap());
    }
}
RUST
rust=$(run_rust 'handlebars = "=6.4.4"
serde_json = "1"')

npm init -y >/dev/null
npm install --silent --no-audit --no-fund handlebars@4.7.10 >/dev/null
javascript=$(node -e '
const handlebars = require("handlebars");
const data = JSON.parse(`{"object": {}, "list": [1, 2], "one": 1.0, "raw": "r"}`);
for (const template of ["{{#if object}}yes{{else}}no{{/if}}", "{{list}}", "{{one}}", "{{raw}}"]) {
  console.log("JS", template, handlebars.compile(template)(data));
}')

expect "$rust
$javascript" 'crate {{#if object}}yes{{else}}no{{/if}} no
crate {{list}} [1, 2]
crate {{one}} 1.0
crate {{raw}} 
JS {{#if object}}yes{{else}}no{{/if}} yes
JS {{list}} 1,2
JS {{one}} 1
JS {{raw}} r'

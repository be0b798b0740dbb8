#!/usr/bin/env bash
# crate serde-saphyr 2.0.0 beside sigs.k8s.io/yaml v1.6.0: `012` without quotes.
#
# In YAML 1.1, which Kubernetes reads, it is the octal number 10; in YAML 1.2's core schema the decimal 12. By default the
# crate makes neither of it but the double 12.0 when it reads into a value of any type:
#   build: 012     crate: 12.0     crate with `legacy_octal_numbers`: 10     Kubernetes: 10
# As the text of a parameter that is `12.0`.
. "$(dirname "$(realpath "$0")")/support.sh"

cat > main.rs <<'RUST'
fn main() {
    let text = "build: 012\n";
    let value: serde_json::Value = serde_saphyr::from_str(text).unwrap();
    println!("crate {value}");
    let options = serde_saphyr::options! { legacy_octal_numbers: true };
    let value: serde_json::Value = serde_saphyr::from_str_with_options(text, options).unwrap();
    println!("crate with the option {value}");
}
RUST
rust=$(run_rust 'serde-saphyr = "=2.0.0"
serde_json = "1"')

cat > main.go <<'GO'
package main

import (
	"fmt"

	"sigs.k8s.io/yaml"
)

func main() {
	json, err := yaml.YAMLToJSON([]byte("build: 012\n"))
	fmt.Println("Kubernetes", string(json), err)
}
GO
go=$(run_go sigs.k8s.io/yaml@v1.6.0)

expect "$rust
$go" 'crate {"build":12.0}
crate with the option {"build":10}
Kubernetes {"build":10} <nil>'

#!/usr/bin/env bash
# crate cel 0.15.0 beside cel-go v0.31.0: `\w` and `\d` in `matches`.
#
# CEL's definition says that patterns are RE2's, whose classes are ASCII. The crate hands them to another engine, whose
# classes are Unicode, so that a filter for plain names lets other names through:
#   'häuser'.matches('^\\w+$')    crate: true     cel-go: false
#   '٣'.matches('^\\d$')          crate: true     cel-go: false   (an Arabic digit)
. "$(dirname "$(realpath "$0")")/support.sh"

cat > main.rs <<'RUST'
fn main() {
    for source in [r"'häuser'.matches('^\\w+$')", r"'٣'.matches('^\\d$')", r"'haus3'.matches('^\\w+$')"] {
        let value = cel::Program::compile(source).unwrap().execute(&cel::Context::default());
        println!("crate {source} {value:?}");
    }
}
RUST
rust=$(run_rust 'cel = "=0.15.0"')

cat > main.go <<'GO'
package main

import (
	"fmt"

	"github.com/google/cel-go/cel"
)

func main() {
	env, _ := cel.NewEnv()
	for _, source := range []string{`'häuser'.matches('^\\w+$')`, `'٣'.matches('^\\d$')`, `'haus3'.matches('^\\w+$')`} {
		ast, _ := env.Compile(source)
		program, _ := env.Program(ast)
		value, _, err := program.Eval(map[string]any{})
		if err != nil {
			panic(err)
		}
		fmt.Println("cel-go", source, value)
	}
}
GO
go=$(run_go github.com/google/cel-go@v0.31.0)

expect "$rust
$go" "crate 'häuser'.matches('^\\\\w+\$') Ok(Bool(true))
crate '٣'.matches('^\\\\d\$') Ok(Bool(true))
crate 'haus3'.matches('^\\\\w+\$') Ok(Bool(true))
cel-go 'häuser'.matches('^\\\\w+\$') false
cel-go '٣'.matches('^\\\\d\$') false
cel-go 'haus3'.matches('^\\\\w+\$') true"

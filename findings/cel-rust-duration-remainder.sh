#!/usr/bin/env bash
# crate cel 0.15.0 beside cel-go v0.31.0: `duration('1h30')`.
#
# A duration is numbers with units; the last number here has none. cel-go refuses the text. The crate takes what it can
# read and says nothing about the rest, so that a forgotten `m` is an hour instead of an hour and a half:
#   duration('1h30') == duration('1h')    crate: true     cel-go: error
# Whoever moves an expression from one to the other should check such literals himself.
. "$(dirname "$(realpath "$0")")/support.sh"

cat > main.rs <<'RUST'
fn main() {
    for source in ["duration('1h30') == duration('1h')", "duration('1h30m') == duration('90m')"] {
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
	for _, source := range []string{"duration('1h30') == duration('1h')", "duration('1h30m') == duration('90m')"} {
		ast, issues := env.Compile(source)
		if issues.Err() != nil {
			panic(issues.Err())
		}
		program, _ := env.Program(ast)
		value, _, err := program.Eval(map[string]any{})
		if err != nil {
			fmt.Println("cel-go", source, "error")
		} else {
			fmt.Println("cel-go", source, value)
		}
	}
}
GO
go=$(run_go github.com/google/cel-go@v0.31.0)

expect "$rust
$go" "crate duration('1h30') == duration('1h') Ok(Bool(true))
crate duration('1h30m') == duration('90m') Ok(Bool(true))
cel-go duration('1h30') == duration('1h') error
cel-go duration('1h30m') == duration('90m') true"

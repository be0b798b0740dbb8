#!/usr/bin/env bash
# sigs.k8s.io/yaml v1.6.0: numbers without quotes that are read into a map of strings, such as the data of a ConfigMap.
#
# It does not refuse them, it prints the double that it took them for, in 32 bits or with an exponent:
#   version: 685230.15     "685230.1"
#   commit: 7061e5         "7.061e+08"
#   build: 20261129        "20261129"
# A short commit that is digits and one `e` becomes another text. kubectl refuses such values instead, so the two differ.
. "$(dirname "$(realpath "$0")")/support.sh"

cat > main.go <<'GO'
package main

import (
	"fmt"

	"sigs.k8s.io/yaml"
)

func main() {
	var data map[string]string
	err := yaml.Unmarshal([]byte("version: 685230.15\ncommit: 7061e5\nbuild: 20261129\n"), &data)
	fmt.Printf("%q %q %q %v\n", data["version"], data["commit"], data["build"], err)
}
GO

expect "$(run_go sigs.k8s.io/yaml@v1.6.0)" '"685230.1" "7.061e+08" "20261129" <nil>'

#!/usr/bin/env bash
# CloudEvents sdk-go sql/v2 v2.16.2 (CESQL, as Knative's Triggers filter): `NOT` beside `=`, and which side decides a cast.
#
#   NOT type = 'x'     is (NOT type) = 'x': an error and false, also for events of every other type. A filter that is to let
#                      all but one type through lets nothing through. `NOT (type = 'x')` and `type != 'x'` work.
#   '05' = num         true, and num = '05' is false, for an attribute num of 5: the right side decides.
. "$(dirname "$(realpath "$0")")/support.sh"

cat > main.go <<'GO'
package main

import (
	"fmt"

	"github.com/cloudevents/sdk-go/sql/v2/parser"
	cloudevents "github.com/cloudevents/sdk-go/v2"
)

func main() {
	event := cloudevents.NewEvent()
	event.SetID("1")
	event.SetSource("/s")
	event.SetType("t")
	event.SetExtension("num", 5)
	for _, text := range []string{"NOT type = 'x'", "NOT (type = 'x')", "type != 'x'", "'05' = num", "num = '05'"} {
		expression, err := parser.Parse(text)
		if err != nil {
			panic(err)
		}
		value, err := expression.Evaluate(event)
		fmt.Println(text, value, err != nil)
	}
}
GO

expect "$(run_go github.com/cloudevents/sdk-go/sql/v2@v2.16.2 github.com/cloudevents/sdk-go/v2@v2.16.2)" "NOT type = 'x' false true
NOT (type = 'x') true false
type != 'x' true false
'05' = num true false
num = '05' false false"

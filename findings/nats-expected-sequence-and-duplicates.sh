#!/usr/bin/env bash
# nats-server v2.15.2, JetStream: a publish that is repeated with the same `Nats-Msg-Id` and the same expected sequence.
#
# The message id alone makes a repeated publish harmless: the answer is `duplicate` with the sequence of the first. With
# `Nats-Expected-Last-Sequence` beside it the second is an error, 10071 "wrong last sequence", though the message is there: the
# expectation is looked at first, and the first publish itself has made it wrong. Whoever repeats after a lost answer must not
# take that for a failure.
. "$(dirname "$(realpath "$0")")/support.sh"

cat > main.go <<'GO'
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

func main() {
	folder, _ := os.MkdirTemp(".", "store")
	node, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: folder, NoLog: true})
	if err != nil {
		panic(err)
	}
	go node.Start()
	if !node.ReadyForConnections(20 * time.Second) {
		panic("not ready")
	}
	defer node.Shutdown()
	connection, err := nats.Connect(node.ClientURL())
	if err != nil {
		panic(err)
	}
	stream, _ := connection.JetStream()
	if _, err := stream.AddStream(&nats.StreamConfig{Name: "S", Subjects: []string{"s.>"}}); err != nil {
		panic(err)
	}
	publish := func(options ...nats.PubOpt) string {
		ack, err := stream.Publish("s.a", []byte("x"), options...)
		if err != nil {
			return err.Error()
		}
		return fmt.Sprintf("sequence %d duplicate %v", ack.Sequence, ack.Duplicate)
	}
	fmt.Println("id:", publish(nats.MsgId("a")))
	fmt.Println("id again:", publish(nats.MsgId("a")))
	fmt.Println("id and sequence:", publish(nats.MsgId("b"), nats.ExpectLastSequence(1)))
	fmt.Println("id and sequence again:", publish(nats.MsgId("b"), nats.ExpectLastSequence(1)))
}
GO

expect "$(run_go github.com/nats-io/nats-server/v2@v2.15.2 github.com/nats-io/nats.go@v1.55.0)" "id: sequence 1 duplicate false
id again: sequence 1 duplicate true
id and sequence: sequence 2 duplicate false
id and sequence again: nats: wrong last sequence: 2"

#!/usr/bin/env bash
# npm cloudevents 10.0.0, binary mode over HTTP: the percent-encoding of attributes.
#
# The HTTP binding (1.0.2, section 3.1.3.2) has values outside of printable ASCII percent-encoded by the sender and decoded by the
# receiver. The SDK does neither: what another SDK sent as `caf%C3%A9` arrives as these nine characters, and a subject with an
# `é` leaves as it is, which Node's HTTP client writes as one byte of Latin-1 or refuses. Structured mode has no such trouble.
. "$(dirname "$(realpath "$0")")/support.sh"

npm init -y >/dev/null
npm install --silent --no-audit --no-fund cloudevents@10.0.0 >/dev/null
found=$(node -e '
const { CloudEvent, HTTP } = require("cloudevents");
const headers = { "ce-id": "1", "ce-source": "/s", "ce-type": "t", "ce-specversion": "1.0", "ce-subject": "caf%C3%A9" };
console.log("received", HTTP.toEvent({ headers, body: "" }).subject);
const event = new CloudEvent({ id: "1", source: "/s", type: "t", subject: "café" });
console.log("sent", HTTP.binary(event).headers["ce-subject"]);
')

expect "$found" 'received caf%C3%A9
sent café'

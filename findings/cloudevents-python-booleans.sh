#!/usr/bin/env bash
# cloudevents 2.2.0 (Python), binary mode over HTTP: an extension that is a boolean.
#
# CloudEvents writes a Boolean as `true` or `false` (specification 1.0.2, "Type System"). The SDK writes Python's own word,
# `True`, which a receiver takes for a text that is neither, so that a filter on `true` does not hold. In structured mode it is a
# JSON true, so the two modes of one event differ.
. "$(dirname "$(realpath "$0")")/support.sh"

python3 -m venv venv
venv/bin/pip -q install cloudevents==2.2.0
found=$(venv/bin/python - <<'PYTHON'
import json
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

event = CloudEvent({"id": "1", "source": "/s", "type": "t", "specversion": "1.0", "urgent": True}, {})
binary = to_binary_event(event)
structured = to_structured_event(event)
print("binary", dict(binary.headers)["ce-urgent"])
print("structured", json.loads(structured.body)["urgent"] is True)
PYTHON
)

expect "$found" 'binary True
structured True'

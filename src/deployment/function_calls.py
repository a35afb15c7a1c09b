"""Invoke a deployed function with an event."""

import base64
import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from botocore.config import Config

from local_cloud.stack.emulated_stack import ALIAS

# A retry would invoke a function twice. The longest timeout of a function is 900 seconds.
ONCE = Config(read_timeout=910, retries={"total_max_attempts": 1})


class Reply(NamedTuple):
    """A function's payload or error, and the last 4 KB of its log."""

    payload: Any
    failed: bool
    log: str


def invoke(session: Any, function: str, event: str) -> Reply:
    """Invoke a function (physical name) with an event in JSON, and wait for its reply."""
    reply = session.client("lambda", config=ONCE).invoke(
        FunctionName=function, Qualifier=ALIAS, Payload=event.encode(), LogType="Tail"
    )
    log = base64.b64decode(reply.get("LogResult", "")).decode(errors="replace")
    return Reply(json.loads(reply["Payload"].read() or b"null"), "FunctionError" in reply, log)


def with_outputs(event: str, outputs: Mapping[str, str]) -> str:
    """Return an event with each `${Name}` of an output of the stack replaced by its value."""
    return re.sub(r"\$\{(\w+)\}", lambda it: outputs.get(it[1], it[0]), event)

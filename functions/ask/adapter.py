"""What Lambda says of a request: to Mangum, or by what the Lambda Web Adapter passes on.

The adapter (https://github.com/awslabs/aws-lambda-web-adapter) brings requests to a server of one's
own on Lambda, whose responses it can stream. It writes the event's ``requestContext`` and Lambda's
context into headers, over whatever a caller has put there. Another server would pass a caller's own
on, so they count only on Lambda, where nothing else reaches a server, and with its setting.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

SETTING = "AWS_LWA_INVOKE_MODE"  # of the adapter
ON_LAMBDA = "AWS_LAMBDA_FUNCTION_NAME"  # set by Lambda alone
EVENT, CONTEXT = "x-amzn-request-context", "x-amzn-lambda-context"


@dataclass(frozen=True, slots=True)
class Invocation:
    """Of Lambda's context, what the adapter tells: when it ends, in milliseconds of Unix time."""

    deadline: float

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds that are left."""
        return max(0, int(self.deadline - 1000 * time.time()))


def event_of(request: Request) -> object:
    """Return the event, or as much of it as is known; None where nothing vouches for any."""
    if "aws.event" in request.scope:
        return request.scope["aws.event"]
    told = _told(request, EVENT)
    return None if told is None else {"requestContext": told}


def context_of(request: Request) -> Any:
    """Return Lambda's context, or as much of it as is known; None where there is none."""
    if "aws.context" in request.scope:
        return request.scope["aws.context"]
    match _told(request, CONTEXT):
        case {"deadline": int() | float() as deadline}:
            return Invocation(deadline)
    return None


def _told(request: Request, header: str) -> Any:
    if not (os.environ.get(SETTING) and os.environ.get(ON_LAMBDA)):
        return None
    try:
        return json.loads(request.headers.get(header, ""))
    except (ValueError, RecursionError):
        return None

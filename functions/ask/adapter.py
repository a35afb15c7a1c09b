"""What the front says of a request: Mangum's event, or what the Lambda Web Adapter passes on.

The adapter (https://github.com/awslabs/aws-lambda-web-adapter) brings requests to a server of one's
own on Lambda, whose responses it can stream. It writes the event's ``requestContext`` into a
header, over whatever a caller has put there. Another server would pass a caller's own on, so the
header counts only on Lambda, where nothing else reaches a server, and with the adapter's setting.
"""

from __future__ import annotations

import json
import os

from starlette.requests import Request

SETTING = "AWS_LWA_INVOKE_MODE"  # of the adapter
ON_LAMBDA = "AWS_LAMBDA_FUNCTION_NAME"  # set by Lambda alone
HEADER = "x-amzn-request-context"


def event_of(request: Request) -> object:
    """Return the event, or as much of it as is known; None where nothing vouches for any."""
    if "aws.event" in request.scope:
        return request.scope["aws.event"]
    if not (os.environ.get(SETTING) and os.environ.get(ON_LAMBDA)):
        return None
    try:
        return {"requestContext": json.loads(request.headers.get(HEADER, ""))}
    except (ValueError, RecursionError):
        return None

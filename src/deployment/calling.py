"""Call what is deployed: the function that flushes, and ``POST /ask``."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from deployment.failure import Failure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deployment.stack import Stack

ALIAS = "live"
ANSWER_SECONDS = 65  # a little more than the function may take


def flush(client: Any, stack: Stack, event: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Invoke the flush function, and go on where it ran out of time; yield what each run did."""
    while True:
        reply = client.invoke(
            FunctionName=stack.outputs["FlushFunctionName"],
            Qualifier=ALIAS,
            Payload=json.dumps(event).encode(),
        )
        done: dict[str, Any] = json.loads(reply["Payload"].read())
        if "FunctionError" in reply:
            raise Failure(f"the flush failed: {done.get('errorMessage', done)}")
        yield done
        if done["complete"]:
            return
        event = {**event, "cursor": done["cursor"]}


def ask(session: Any, stack: Stack, question: str) -> Any:
    """Send a question to the Function URL, signed by whoever runs this; return the reply's body."""
    url = stack.outputs["AskUrl"] + "ask"
    body = json.dumps({"question": question})
    headers = {"Host": urlsplit(url).netloc, "Content-Type": "application/json"}
    request = AWSRequest("POST", url, headers=headers, data=body)
    SigV4Auth(session.get_credentials(), "lambda", session.region_name).add_auth(request)
    signed = dict(request.headers.items())
    reply = httpx.post(_reached(url), content=body, headers=signed, timeout=ANSWER_SECONDS)
    if not reply.is_success:
        raise Failure(f"POST /ask: {reply.status_code} {reply.text}")
    return reply.json()


def _reached(url: str) -> str:
    """Return where a URL is reached: itself, or AWS's stand-in, which tells by the Host header."""
    stand_in = os.environ.get("AWS_ENDPOINT_URL")
    return stand_in.rstrip("/") + urlsplit(url).path if stand_in else url

"""Call what is deployed: the function that flushes, and ``POST /ask``."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import httpx
from botocore.exceptions import NoCredentialsError

from deployment.failure import Failure
from local_cloud.stack.signing import at, of_json, signed
from local_cloud.stack.stack import ALIAS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deployment.stack import Stack

ANSWER_SECONDS = 125  # a little more than the function may take


def flush(client: Any, stack: Stack, event: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Invoke the flush function, and go on where it ran out of time; yield what each run did."""
    while True:
        reply = client.invoke(
            FunctionName=stack.output("FlushFunctionName"),
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
    url = stack.output("AskUrl") + "ask"
    body, by = json.dumps({"question": question}).encode(), session.get_credentials()
    if by is None:
        raise NoCredentialsError
    region = session.region_name
    headers = signed("POST", url, body, of_json(url), credentials=by, region=region)
    stand_in = os.environ.get("AWS_ENDPOINT_URL")
    where = at(stand_in, url) if stand_in else url
    try:
        reply = httpx.post(where, content=body, headers=headers, timeout=ANSWER_SECONDS)
    except httpx.HTTPError as error:
        raise Failure(f"POST {url}: {type(error).__name__} {error}".rstrip()) from None
    if not reply.is_success:
        raise Failure(f"POST /ask: {reply.status_code} {reply.text}")
    return reply.json()

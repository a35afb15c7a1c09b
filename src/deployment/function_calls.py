"""Call the deployed functions: any by its name, the flush function, and `POST /ask`."""

import base64
import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import httpx
from botocore.exceptions import NoCredentialsError

from llm_cache._stack.command_failure import CommandFailure
from llm_cache._stack.deployed_stack import DeployedStack
from llm_cache._stack.function_url import emulator_url, json_headers, signed_headers
from local_cloud.stack.emulated_stack import ALIAS

ANSWER_SECONDS = 125  # longer than the function's timeout


def flush(client: Any, stack: DeployedStack, event: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Invoke the flush function until the flush is complete; yield the result of each call."""
    while True:
        reply = client.invoke(
            FunctionName=stack.output("FlushFunctionName"),
            Qualifier=ALIAS,
            Payload=json.dumps(event).encode(),
        )
        result: dict[str, Any] = json.loads(reply["Payload"].read())
        if "FunctionError" in reply:
            raise CommandFailure(f"the flush failed: {result.get('errorMessage', result)}")
        yield result
        if result["complete"]:
            return
        event = {**event, "cursor": result["cursor"]}


class Reply(NamedTuple):
    """A function's payload or error, and the last 4 KB of its log."""

    payload: Any
    failed: bool
    log: str


def invoke(client: Any, function: str, event: str) -> Reply:
    """Invoke a function (physical name) with an event in JSON, and wait for its reply."""
    reply = client.invoke(
        FunctionName=function, Qualifier=ALIAS, Payload=event.encode(), LogType="Tail"
    )
    log = base64.b64decode(reply.get("LogResult", "")).decode(errors="replace")
    return Reply(json.loads(reply["Payload"].read() or b"null"), "FunctionError" in reply, log)


def with_outputs(event: str, outputs: Mapping[str, str]) -> str:
    """Return an event with each `${Name}` of an output of the stack replaced by its value."""
    return re.sub(r"\$\{(\w+)\}", lambda it: outputs.get(it[1], it[0]), event)


def ask(session: Any, stack: DeployedStack, question: str) -> Any:
    """Send a question to the Function URL, signed with the session's credentials."""
    url = stack.output("AskUrl") + "ask"
    body, signer = json.dumps({"question": question}).encode(), session.get_credentials()
    if signer is None:
        raise NoCredentialsError
    headers = signed_headers(
        "POST", url, body, json_headers(url), credentials=signer, region=session.region_name
    )
    emulator = os.environ.get("AWS_ENDPOINT_URL")
    address = emulator_url(emulator, url) if emulator else url
    try:
        reply = httpx.post(address, content=body, headers=headers, timeout=ANSWER_SECONDS)
    except httpx.HTTPError as error:
        raise CommandFailure(f"POST {url}: {type(error).__name__} {error}".rstrip()) from None
    if not reply.is_success:
        raise CommandFailure(f"POST /ask: {reply.status_code} {reply.text}")
    return reply.json()

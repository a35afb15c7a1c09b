"""Parameters of AWS Systems Manager, read with one signed request instead of with boto3."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Mapping, Sequence
from typing import Any

from llm_cache._errors import StoreUnavailable
from llm_cache._upstash.aws_environment import (
    AwsRequestFailed,
    SendRequest,
    access_key,
    region_of,
    request_json,
    ssm_url,
)
from llm_cache._upstash.sigv4 import sign_request

ATTEMPTS = 2
ATTEMPT_TIMEOUT = 5.0  # seconds, the request for an access key included
MAX_BACKOFF = 0.5  # seconds before the second attempt; a random share, so that callers spread
_HEADERS = {
    "Content-Type": "application/x-amz-json-1.1",
    "X-Amz-Target": "AmazonSSM.GetParameters",
}


def get_parameters(
    names: Sequence[str], environ: Mapping[str, str], send: SendRequest
) -> dict[str, str]:
    """Return the decrypted values of at most 10 parameters, by their names.

    One request (``GetParameters``), and one more under SnapStart for the access key. Network
    failures, throttled requests and HTTP 5xx are retried once. Takes ``ATTEMPTS`` times
    ``ATTEMPT_TIMEOUT`` seconds at most. Raises ``StoreUnavailable``, which names the parameters and
    AWS's error code, and shows no value.
    """
    deadline = time.monotonic() + ATTEMPTS * ATTEMPT_TIMEOUT
    for attempt in range(1, ATTEMPTS + 1):
        until = min(time.monotonic() + ATTEMPT_TIMEOUT, deadline)
        try:
            found = _request_parameters(names, environ, send, until)
            break
        except AwsRequestFailed as error:
            if attempt == ATTEMPTS or not error.retryable:
                raise StoreUnavailable(f"SSM did not give {', '.join(names)}: {error}") from None
            time.sleep(MAX_BACKOFF * random.random())  # noqa: S311  not a secret
    if missing := [name for name in names if name not in found]:
        reason = f"no such parameter in {region_of(environ)}"
        raise StoreUnavailable(f"SSM did not give {', '.join(missing)}: {reason}")
    return {name: found[name] for name in names}


def _request_parameters(
    names: Sequence[str], environ: Mapping[str, str], send: SendRequest, deadline: float
) -> dict[str, str]:
    key, url, region = access_key(environ, send, deadline), ssm_url(environ), region_of(environ)
    body = json.dumps({"Names": list(dict.fromkeys(names)), "WithDecryption": True}).encode()
    headers = sign_request(
        "POST", url, _HEADERS, body, key=key, region=region, service="ssm", now=time.time()
    )
    reply = request_json(send, "GetParameters", url, headers=headers, body=body, deadline=deadline)
    return _values(reply)


def _values(reply: Mapping[str, Any]) -> dict[str, str]:
    """Return the values by name and by ARN: a caller may use either."""
    found = {}
    try:
        for parameter in reply["Parameters"]:
            selector = parameter.get("Selector") or ""
            for name in (parameter["Name"], parameter.get("ARN")):
                found[f"{name}{selector}"] = str(parameter["Value"])
    except (AttributeError, KeyError, TypeError):
        raise AwsRequestFailed("GetParameters: the reply is not SSM's") from None
    return found

"""Parameters of AWS Systems Manager, read with one signed request instead of with boto3."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Mapping, Sequence
from typing import Any

from llm_cache._errors import StoreUnavailable
from llm_cache._upstash.aws_environment import Failed, Fetch, access_key, ask, region_of, ssm_url
from llm_cache._upstash.sigv4 import signed

ATTEMPTS = 2
ATTEMPT = 5.0  # seconds that one attempt may take, the request for an access key included
PAUSE = 0.5  # seconds before the second attempt, at most: a random share, so that callers spread
_HEADERS = {
    "Content-Type": "application/x-amz-json-1.1",
    "X-Amz-Target": "AmazonSSM.GetParameters",
}


def get_parameters(
    names: Sequence[str], environ: Mapping[str, str], fetch: Fetch
) -> dict[str, str]:
    """Return the decrypted values of at most 10 parameters, by their names.

    One request (``GetParameters``), and one more under SnapStart for the access key. A failure of
    the network, a throttled request and HTTP 5xx are tried once more. Takes ``ATTEMPTS`` times
    ``ATTEMPT`` seconds at most. Raises ``StoreUnavailable``, which names the parameters and AWS's
    error code, and shows no value.
    """
    until = time.monotonic() + ATTEMPTS * ATTEMPT
    for attempt in range(1, ATTEMPTS + 1):
        try:
            found = _attempt(names, environ, fetch, min(time.monotonic() + ATTEMPT, until))
            break
        except Failed as error:
            if attempt == ATTEMPTS or not error.again:
                raise StoreUnavailable(f"SSM did not give {', '.join(names)}: {error}") from None
            time.sleep(PAUSE * random.random())  # noqa: S311  not a secret
    if missing := [name for name in names if name not in found]:
        where = f"no such parameter in {region_of(environ)}"
        raise StoreUnavailable(f"SSM did not give {', '.join(missing)}: {where}")
    return {name: found[name] for name in names}


def _attempt(
    names: Sequence[str], environ: Mapping[str, str], fetch: Fetch, until: float
) -> dict[str, str]:
    key, url, region = access_key(environ, fetch, until), ssm_url(environ), region_of(environ)
    body = json.dumps({"Names": list(dict.fromkeys(names)), "WithDecryption": True}).encode()
    headers = signed(
        "POST", url, _HEADERS, body, key=key, region=region, service="ssm", now=time.time()
    )
    return _values(ask(fetch, "GetParameters", url, headers=headers, body=body, until=until))


def _values(told: Mapping[str, Any]) -> dict[str, str]:
    """Return the values by each name that a parameter may be asked for by: its ARN is one."""
    found = {}
    try:
        for one in told["Parameters"]:
            selector = one.get("Selector") or ""
            for name in (one["Name"], one.get("ARN")):
                found[f"{name}{selector}"] = str(one["Value"])
    except (AttributeError, KeyError, TypeError):
        raise Failed("GetParameters: the reply is not SSM's") from None
    return found

"""The access key, the region and the address of SSM, from the environment of a Lambda function.

They replace boto3 for one request, which costs a cold start about 300 ms.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from llm_cache._errors import StoreError
from llm_cache._upstash.http_messages import HttpReply
from llm_cache._upstash.sigv4 import AccessKey

CONTAINER = "AWS_CONTAINER_CREDENTIALS_FULL_URI"  # SnapStart sets it instead of an access key
OK, TOO_MANY, SERVER_ERROR = 200, 429, 500
_CODE = re.compile(r"(?:[\w.]+#)?([A-Za-z0-9]{1,64})(?::.*)?", re.ASCII)
_THROTTLED = re.compile("Throttl|TooManyRequests|RequestLimitExceeded|SlowDown")
LOCAL_HOSTS = ("localhost", "169.254.170.2", "169.254.170.23", "fd00:ec2::23")
NEEDS_BOTO3 = (
    "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE",
)  # fmt: skip
"""Variables that only boto3 follows: profiles, files, roles to assume, other certificates."""


class AwsRequestFailed(Exception):
    """A request to AWS failed; a ``retryable`` request may succeed at the second attempt."""

    def __init__(self, reason: str, *, retryable: bool = False) -> None:
        super().__init__(reason)
        self.retryable = retryable


class Partition(NamedTuple):
    """The domains of one set of regions."""

    domain: str
    dual_stack: str


STANDARD = Partition("amazonaws.com", "api.aws")
GOVERNMENT = "us-gov-"
PARTITIONS = {
    "cn-": Partition("amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    "eusc-": Partition("amazonaws.eu", "api.amazonwebservices.eu"),
    "us-iso-": Partition("c2s.ic.gov", "api.aws.ic.gov"),
    "us-isob-": Partition("sc2s.sgov.gov", "api.aws.scloud"),
    "us-isof-": Partition("csp.hci.ic.gov", "api.aws.hci.ic.gov"),
    "eu-isoe-": Partition("cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
}
"""Partitions by the first letters of their regions; other regions are in the standard one."""


def boto3_is_needed(environ: Mapping[str, str]) -> bool:
    """Return whether reading SSM takes boto3: off Lambda, or if ``NEEDS_BOTO3`` lists a variable.

    A variable that names the null device does not count.
    """
    keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    has_key = all(map(environ.get, keys)) or environ.get(CONTAINER)
    on_lambda = environ.get("AWS_LAMBDA_FUNCTION_NAME") and region_of(environ) and has_key
    values = {environ.get(name) for name in NEEDS_BOTO3} - {None, "", os.devnull}
    return not on_lambda or bool(values)


def region_of(environ: Mapping[str, str]) -> str:
    """Return the region; empty if none is set. boto3 reads only the first of the variables."""
    return environ.get("AWS_DEFAULT_REGION") or environ.get("AWS_REGION") or ""


def ssm_url(environ: Mapping[str, str]) -> str:
    """Return the address of SSM: the one of a variable, else the one of the region.

    https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
    """
    configured = environ.get("AWS_ENDPOINT_URL_SSM") or environ.get("AWS_ENDPOINT_URL")
    if configured and not _is_on(environ, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"):
        return configured
    region = region_of(environ)
    found = (partition for start, partition in PARTITIONS.items() if region.startswith(start))
    partition = next(found, STANDARD)
    dual = _is_on(environ, "AWS_USE_DUALSTACK_ENDPOINT")
    # The plain endpoints of GovCloud are FIPS endpoints already.
    fips = _is_on(environ, "AWS_USE_FIPS_ENDPOINT") and (dual or not region.startswith(GOVERNMENT))
    name = "ssm-fips" if fips else "ssm"
    return f"https://{name}.{region}.{partition.dual_stack if dual else partition.domain}"


def _is_on(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").lower() == "true"


SendRequest: TypeAlias = Callable[..., HttpReply]
"""``blocking_pool.send_request``."""


def request_json(send: SendRequest, action: str, url: str, **request: Any) -> dict[str, Any]:
    """Send one request and return the JSON object in its reply; raise ``AwsRequestFailed``.

    The error names ``action`` and AWS's error code, and shows nothing else of the reply.
    """
    try:
        reply = send(url, **request)
    except StoreError as error:
        raise AwsRequestFailed(f"{action}: {error.reason}", retryable=True) from None
    body = _json_object(reply)
    if reply.status == OK:
        return body
    kind = reply.headers.get("x-amzn-errortype") or body.get("__type")
    code = _CODE.fullmatch(str(kind)) if kind else None
    retryable = reply.status >= SERVER_ERROR or reply.status == TOO_MANY
    retryable = retryable or bool(code and _THROTTLED.search(code[1]))
    reason = code[1] if code else f"HTTP {reply.status}"
    raise AwsRequestFailed(f"{action}: {reason}", retryable=retryable)


def _json_object(reply: HttpReply) -> dict[str, Any]:
    """Return the JSON object in a reply's body; empty if there is none."""
    with suppress(StoreError):
        value = reply.json()
        return value if isinstance(value, dict) else {}
    return {}


def access_key(environ: Mapping[str, str], send: SendRequest, deadline: float) -> AccessKey:
    """Return the access key, from the environment or, under SnapStart, from the container endpoint.

    The endpoint costs one request. Raises ``AwsRequestFailed``, which shows no part of a key.
    """
    if key := environ.get("AWS_ACCESS_KEY_ID"):
        token = environ.get("AWS_SESSION_TOKEN") or None
        return AccessKey(key, environ.get("AWS_SECRET_ACCESS_KEY", ""), token)
    url = environ.get(CONTAINER, "")
    if not _is_trusted(url):
        raise AwsRequestFailed(f"{CONTAINER} is neither https nor on this machine")
    headers = {"Accept": "application/json", **_authorization(environ)}
    request = {"method": "GET", "headers": headers, "deadline": deadline, "direct": True}
    reply = request_json(send, CONTAINER, url, **request)
    try:
        return AccessKey(reply["AccessKeyId"], reply["SecretAccessKey"], reply["Token"])
    except KeyError:
        raise AwsRequestFailed(f"{CONTAINER} gave no access key") from None


def _authorization(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the header for the container endpoint; a token file is read at each call."""
    name = "AWS_CONTAINER_AUTHORIZATION_TOKEN"
    if path := environ.get(f"{name}_FILE"):
        name = f"{name}_FILE"
        try:
            token = Path(path).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise AwsRequestFailed(f"{name}: {type(error).__name__}") from None
    else:
        token = environ.get(name, "")
    if not (token.isascii() and token.isprintable()):
        raise AwsRequestFailed(f"{name} cannot be sent: it is not one line of ASCII")
    return {"Authorization": token} if token else {}


def _is_trusted(url: str) -> bool:
    """Return whether the container endpoint uses https or is on this machine.

    https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if parts.scheme == "https" or host in LOCAL_HOSTS:
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False

"""Sign requests to Function URLs, and find the emulator's address of a Function URL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from botocore.credentials import Credentials, ReadOnlyCredentials


def signed_headers(
    method: str,
    url: str,
    data: bytes,
    headers: Mapping[str, str],
    *,
    credentials: Credentials | ReadOnlyCredentials,
    region: str,
) -> dict[str, str]:
    """Return the headers of a request, with its SigV4 signature."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest

    request = AWSRequest(method, url, headers=dict(headers), data=data)
    SigV4Auth(credentials, "lambda", region).add_auth(request)
    return dict(request.headers.items())


def json_headers(url: str) -> dict[str, str]:
    """Return the headers of a request with a JSON body; `Host` is the URL's host."""
    return {"Host": urlsplit(url).netloc, "Content-Type": "application/json"}


def emulator_url(endpoint: str, url: str) -> str:
    """Return the emulator's address of a Function URL, which it finds by the `Host` header."""
    parts = urlsplit(url)
    return f"{endpoint.rstrip('/')}{parts.path}" + (f"?{parts.query}" if parts.query else "")

"""Requests to Function URLs: signed, and sent to where the URL is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.credentials import Credentials


def signed(
    method: str,
    url: str,
    data: bytes,
    headers: Mapping[str, str],
    *,
    credentials: Credentials,
    region: str,
) -> dict[str, str]:
    """Return the headers of a request with those that sign it (SigV4)."""
    request = AWSRequest(method, url, headers=dict(headers), data=data)
    SigV4Auth(credentials, "lambda", region).add_auth(request)
    return dict(request.headers.items())


def of_json(url: str) -> dict[str, str]:
    """Return the headers of a request with a body of JSON; the host goes as ``Host`` header."""
    return {"Host": urlsplit(url).netloc, "Content-Type": "application/json"}


def at(endpoint: str, url: str) -> str:
    """Return where AWS's stand-in answers a Function URL: it tells which by the ``Host`` header."""
    parts = urlsplit(url)
    return f"{endpoint.rstrip('/')}{parts.path}" + (f"?{parts.query}" if parts.query else "")

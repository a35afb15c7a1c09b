"""AWS Signature Version 4 for one request, without boto3.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from llm_cache._upstash.http_messages import HttpEndpoint

ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class AccessKey:
    """The credentials of an AWS principal; temporary ones have a ``token``."""

    id: str
    secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


def sign_request(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    key: AccessKey,
    region: str,
    service: str,
    now: float,
) -> dict[str, str]:
    """Return ``headers`` and the headers that sign the request at ``now``, in Unix seconds.

    The signature covers every header, and the ``Host`` that an HTTP client derives from ``url``.
    """
    stamp, parts = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now)), urlsplit(url)
    sent = {**headers, "X-Amz-Date": stamp}
    if key.token:
        sent["X-Amz-Security-Token"] = key.token
    canonical = {name.lower(): " ".join(value.split()) for name, value in sent.items()}
    canonical["host"] = HttpEndpoint.of(url).authority  # as ``HttpRequest`` sends it
    names = sorted(canonical)
    lines = [method, _path(parts.path), _query(parts.query)]
    lines += [f"{name}:{canonical[name]}" for name in names]
    lines += ["", ";".join(names), hashlib.sha256(body).hexdigest()]
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    request = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    secret = f"AWS4{key.secret}".encode()
    for part in scope.split("/"):
        secret = _mac(secret, part)
    signature = _mac(secret, f"{ALGORITHM}\n{stamp}\n{scope}\n{request}").hex()
    sent["Authorization"] = (
        f"{ALGORITHM} Credential={key.id}/{scope}, "
        f"SignedHeaders={';'.join(names)}, Signature={signature}"
    )
    return sent


def _mac(secret: bytes, text: str) -> bytes:
    return hmac.digest(secret, text.encode(), "sha256")


def _path(path: str) -> str:
    """Return the path without dot segments and empty segments, encoded a second time."""
    kept: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del kept[-1:]
        elif part not in ("", "."):
            kept.append(part)
    end = "/" if kept and path.endswith("/") else ""
    return quote(f"/{'/'.join(kept)}{end}", safe="/~")


def _query(query: str) -> str:
    """Return the encoded parameters, sorted by name and value."""
    pairs = sorted(pair.partition("=")[::2] for pair in query.split("&")) if query else []
    return "&".join(f"{name}={value}" for name, value in pairs)

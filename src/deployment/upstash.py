"""Ask an Upstash database whether an address and a token are right, before they are stored."""

from __future__ import annotations

from urllib.parse import urlsplit

import httpx

from deployment.failure import Failure

SECONDS = 10
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
REFUSED = {401, 403}


def check_encrypted(variable: str, url: str) -> None:
    """Raise Failure for an address over which a token would travel in the clear."""
    parts = urlsplit(url)
    if parts.scheme.lower() != "https" and parts.hostname not in LOOPBACK:
        raise Failure(f"{variable} begins with {parts.scheme}://; accepted is https://")


def ping(url: str, token: str, variable: str) -> None:
    """Raise Failure, naming what is wrong, unless the database takes the token; one request.

    A token whose user may not PING is taken too: the database knew it.
    """
    host = urlsplit(url).netloc
    try:
        reply = httpx.post(
            url, json=["PING"], headers={"Authorization": f"Bearer {token}"}, timeout=SECONDS
        )
        answer = reply.json()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Failure(f"UPSTASH_REDIS_REST_URL: {host} cannot be reached: {error}") from None
    except ValueError:
        raise Failure(
            f"UPSTASH_REDIS_REST_URL: {host} is not a database of Upstash: it answers"
            f" {reply.status_code} and no JSON"
        ) from None
    said = answer if isinstance(answer, dict) else {}
    if reply.status_code in REFUSED or "WRONGPASS" in str(said.get("error")):
        raise Failure(f"{variable}: {host} refuses this token; copy the REST token of its console")
    if said.get("result") != "PONG" and "NOPERM" not in str(said.get("error")):
        raise Failure(f"UPSTASH_REDIS_REST_URL: {host} answers PING with {reply.status_code}")

"""Check the URL and the token of an Upstash database before they are stored."""

from urllib.parse import urlsplit

import httpx

from llm_cache._stack.command_failure import CommandFailure

SECONDS = 10
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
REFUSED = {401, 403}


def check_encrypted(variable: str, url: str) -> None:
    """Raise CommandFailure for a URL that would send the token unencrypted."""
    parts = urlsplit(url)
    if parts.scheme.lower() != "https" and parts.hostname not in LOOPBACK:
        raise CommandFailure(f"{variable} begins with {parts.scheme}://; use https://")


def ping(url: str, token: str, variable: str) -> None:
    """Raise CommandFailure unless the database accepts the token; sends one request.

    A token without permission to PING is accepted, because the database knows it.
    """
    host = urlsplit(url).netloc
    try:
        reply = httpx.post(
            url, json=["PING"], headers={"Authorization": f"Bearer {token}"}, timeout=SECONDS
        )
        answer = reply.json()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise CommandFailure(f"UPSTASH_REDIS_REST_URL: {host} cannot be reached: {error}") from None
    except ValueError:
        raise CommandFailure(
            f"UPSTASH_REDIS_REST_URL: {host} is not an Upstash database: it answers"
            f" {reply.status_code} without JSON"
        ) from None
    fields = answer if isinstance(answer, dict) else {}
    if reply.status_code in REFUSED or "WRONGPASS" in str(fields.get("error")):
        raise CommandFailure(
            f"{variable}: {host} refuses this token; copy the REST token from its console"
        )
    if fields.get("result") != "PONG" and "NOPERM" not in str(fields.get("error")):
        raise CommandFailure(
            f"UPSTASH_REDIS_REST_URL: {host} answers PING with {reply.status_code}"
        )

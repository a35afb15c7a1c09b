"""Check that the database replies, that it is one of Upstash, and that it accepts the token."""

from __future__ import annotations

import socket
import ssl
import statistics
import time

from llm_cache._doctor.database import DENIED, Database
from llm_cache._doctor.finding import Finding, failed, passed, unknown
from llm_cache._doctor.rest_address import TOKEN, URL
from llm_cache._doctor.secrets import Secrets
from llm_cache._errors import (
    LlmCacheError,
    QuotaExceeded,
    StoreGarbled,
    StoreRefused,
    StoreTimeout,
)
from llm_cache._upstash.upstash_store import WRONG_TOKEN

PING = "PING"
PINGS = 5  # after the first, which connects
SLOW = 1.0  # seconds after which one PING is enough
NETWORK = "check the network, the proxy (HTTPS_PROXY) and https://status.upstash.com"


def check_round_trip(
    database: Database, address: Finding, secrets: Secrets, timeout: float
) -> list[Finding]:
    """Return findings on the URL, the token and the time of a PING.

    ``address`` is the finding on the form of the URL. ``timeout``: the seconds that the cache waits
    for a command. 1 to 6 commands.
    """
    try:
        seconds = _median_ping(database)
    except LlmCacheError as error:
        return _explain(error, database.host, address, secrets)
    accepted = passed(TOKEN, f"{secrets.token.place} is accepted")
    return [address, accepted, _judge(seconds, timeout)]


def _median_ping(database: Database) -> float:
    _ping(database)
    times = [_ping(database)]
    while len(times) < PINGS and times[-1] < SLOW:
        times.append(_ping(database))
    return statistics.median(times)


def _ping(database: Database) -> float:
    """Return the seconds to the reply; a user that may not run PING gets one too."""
    began = time.monotonic()
    try:
        database.execute(("PING",))
    except StoreRefused as error:
        if not str(error).startswith(DENIED):
            raise
    return time.monotonic() - began


def _judge(seconds: float, timeout: float) -> Finding:
    if seconds < timeout:
        return passed(PING, f"{1000 * seconds:.1f} ms (median)")
    text = f"{1000 * seconds:.0f} ms, longer than LLM_CACHE_TIMEOUT={timeout:g}: lookups are misses"
    return failed(PING, text, "use a database in the functions' region, or raise LLM_CACHE_TIMEOUT")


def _explain(error: LlmCacheError, host: str, address: Finding, secrets: Secrets) -> list[Finding]:
    """Return the finding of the failure, and those of the checks after it."""
    token = secrets.token
    if isinstance(error, StoreRefused) and str(error).startswith(WRONG_TOKEN):
        text = f"the database {host} does not accept {token.place}: wrong, withdrawn or expired"
        remedy = (
            f"copy UPSTASH_REDIS_REST_TOKEN of this database from Upstash's console. {token.remedy}"
        )
        return [address, failed(TOKEN, text, remedy), unknown(PING, "not checked")]
    if wrong := _wrong_url(error, host):
        return [
            failed(URL, wrong[0], f"{wrong[1]}. {secrets.url.remedy}"),
            *_unchecked(TOKEN, PING),
        ]
    return [*_unchecked(URL, TOKEN), failed(PING, *_no_reply(error))]


def _unchecked(*checks: str) -> list[Finding]:
    return [unknown(check, "not checked") for check in checks]


def _wrong_url(error: LlmCacheError, host: str) -> tuple[str, str] | None:
    """Return what is wrong with the address and its remedy; None if nothing is."""
    cause = error.__cause__
    if isinstance(cause, socket.gaierror):
        return f"the host {host} is not found (DNS)", (
            "check the network, and copy the REST URL of the database from Upstash's console"
        )
    if isinstance(cause, ssl.SSLError):
        return f"TLS with {host} failed: {type(cause).__name__}", (
            "check the host, SSL_CERT_FILE, and a proxy that replaces certificates"
        )
    if isinstance(cause, ConnectionRefusedError):
        return f"{host} refuses connections", "check the host and the port"
    if isinstance(error, StoreGarbled):
        return f"{host} is no REST API of Upstash: it replies with something else", (
            "copy UPSTASH_REDIS_REST_URL from Upstash's console"
        )
    return None


def _no_reply(error: LlmCacheError) -> tuple[str, str]:
    if isinstance(error, StoreTimeout):
        return str(error), NETWORK
    if isinstance(error, QuotaExceeded):
        wait = f" for {error.retry_after:.0f} seconds" if error.retry_after else ""
        return f"a quota is used up: {error}", (
            f"wait{wait}, or raise the quota or the plan in Upstash's console"
        )
    return str(error), NETWORK

"""Check the form of the REST URL and of the token, without a request."""

from __future__ import annotations

import re
from contextlib import suppress
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from llm_cache._config.value_checks import rest_token, rest_url
from llm_cache._doctor.finding import Finding, failed, passed
from llm_cache._doctor.located import Located
from llm_cache._errors import InvalidSettings

UPSTASH_HOST = re.compile(r"[a-z0-9-]+\.upstash\.io", re.IGNORECASE)
URL, TOKEN = "REST URL", "token"


def check_url(url: Located) -> Finding:
    """Return whether the value is the REST URL of a database. It shows no more than the host."""
    if not (url.value or "").strip():
        return url.missing(URL)
    parts = _split(str(url.value))
    if parts.scheme in {"redis", "rediss"}:
        text = f"{url.place} begins with {parts.scheme}://, which is the address for TCP clients"
        return failed(URL, text, f"use {_rest_form(parts)}. {url.remedy}")
    try:
        address = rest_url(url.place, url.value)
    except InvalidSettings as error:
        return failed(URL, f"{url.place} holds no REST URL", f"{error.accepted}. {url.remedy}")
    return _check_parts(url, urlsplit(address), has_user="@" in parts.netloc)


def _split(text: str) -> SplitResult:
    with suppress(ValueError):
        return urlsplit(text.strip())
    return urlsplit("")


def _rest_form(parts: SplitResult) -> str:
    """Return the REST URL of a TCP address; another host than Upstash's may be a secret."""
    with suppress(ValueError):
        if parts.hostname and UPSTASH_HOST.fullmatch(parts.hostname):
            return f"https://{parts.hostname}"
    return "the REST URL, which has the form https://<name>.upstash.io"


def _check_parts(url: Located, parts: SplitResult, *, has_user: bool) -> Finding:
    address = f"{parts.scheme.lower()}://{parts.netloc}"
    if parts.scheme.lower() == "http" and not is_loopback(parts.hostname or ""):
        text = f"{url.place} begins with http://, so the token would be sent unencrypted"
        return failed(URL, text, f"use https://{parts.netloc}. {url.remedy}")
    if parts.path or parts.query or parts.fragment:
        text = f"{url.place} goes on after the host"
        return failed(URL, text, f"use {address}, without a path. {url.remedy}")
    ignored = "; the user and the password in it are ignored: remove them" if has_user else ""
    return passed(URL, address + ignored)


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine."""
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"


def check_token(token: Located) -> Finding:
    """Return whether the value can be a token."""
    value = (token.value or "").strip()
    if not value:
        return token.missing(TOKEN)
    if value[0] in "\"'" or value[-1] in "\"'":
        return failed(TOKEN, f"{token.place} holds quotes", f"remove the quotes. {token.remedy}")
    if "://" in value:
        return failed(TOKEN, f"{token.place} holds a URL, not a token", token.remedy)
    try:
        rest_token(token.place, value)
    except InvalidSettings as error:
        return failed(TOKEN, f"{token.place} holds no token", f"{error.accepted}. {token.remedy}")
    return passed(TOKEN, f"from {token.place}")

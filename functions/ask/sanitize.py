"""Make a front's event readable for Mangum: a client can put anything into some of its fields."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from problem import Problem

# Mangum parses the server's address from these headers; the app does not use it.
ADDRESS = {"host": re.compile("[^:]*(:[0-9]{1,5})?"), "x-forwarded-port": re.compile("[0-9]{1,5}")}


def sanitized(event: Any) -> Any:
    """Return an event that Mangum can read.

    Raises a ``Problem``, 400, for an event without a method or path, or with an unreadable body.
    """
    if not isinstance(event, Mapping) or "requestContext" not in event:
        return event
    context = {**event["requestContext"]}
    read = {**event, "requestContext": context, "isBase64Encoded": False, "body": _body(event)}
    if "http" in context:
        http = _mapping(context["http"])
        where = {"path": _required(http, "path"), "method": _required(http, "method")}
        context["http"] = {"sourceIp": None, **http, **where}
        read["rawQueryString"] = _text(event.get("rawQueryString")) or ""
        read["cookies"] = _texts(event.get("cookies"))
        read["version"] = "2.0"
    else:
        context["identity"] = _mapping(context.get("identity"))
        query = event.get("multiValueQueryStringParameters") or event.get("queryStringParameters")
        read |= {"queryStringParameters": None, "multiValueQueryStringParameters": _lists(query)}
        read |= {"path": _required(event, "path"), "httpMethod": _required(event, "httpMethod")}
        read |= {"version": "1.0"} if "version" in event else {"resource": event.get("resource")}
    return {**read, **_headers(event)}


def _headers(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return the headers; also as lists if a load balancer sent lists, as it expects them back."""
    single = {name: ", ".join(values) for name, values in _parsable(event.get("headers")).items()}
    if "multiValueHeaders" in event:
        lists = _parsable(event["multiValueHeaders"] or event.get("headers"))
        return {"headers": single, "multiValueHeaders": lists}
    return {"headers": single}


def _parsable(headers: object) -> dict[str, list[str]]:
    """Return the headers without addresses that Mangum cannot parse; one value per address."""
    read: dict[str, list[str]] = {}
    for name, values in _lists(headers).items():
        form = ADDRESS.get(name.lower())
        kept = [value for value in values if form is None or form.fullmatch(value)]
        if kept:
            read[name] = kept[:1] if form else kept
    return read


def _body(event: Mapping[str, Any]) -> bytes:
    body = event.get("body") or ""
    if not isinstance(body, str):
        raise _unreadable("body")
    try:
        return (
            base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else body.encode()
        )
    except ValueError:  # not base64, or a lone surrogate
        raise _unreadable("body") from None


def _required(fields: Mapping[str, Any], name: str) -> str:
    text = _text(fields.get(name))
    if text is None:
        raise _unreadable(name)
    return text


def _unreadable(name: str) -> Problem:
    return Problem(400, "not_readable", f"the {name} of the request cannot be read", field=name)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str | None:
    """Return a text that UTF-8 can encode; None for any other type."""
    return value.encode(errors="replace").decode() if isinstance(value, str) else None


def _texts(values: object) -> list[str]:
    """Return the texts of a value or a list of values."""
    listed = values if isinstance(values, list) else [values]
    return [text for text in map(_text, listed) if text is not None]


def _lists(fields: object) -> dict[str, list[str]]:
    """Return the texts of each field; omit a field without any."""
    read = {_text(name) or "": _texts(values) for name, values in _mapping(fields).items()}
    return {name: values for name, values in read.items() if values}

"""What a client may write into a front's event, made readable for Mangum."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from problem import Problem

# What Mangum can read of headers that it takes the server's address from; the app does not use it.
ADDRESS = {"host": re.compile("[^:]*(:[0-9]{1,5})?"), "x-forwarded-port": re.compile("[0-9]{1,5}")}


def readable(event: Any) -> Any:
    """Return an event that Mangum can read, whatever a client has written into it.

    Raises a ``Problem``, 400, if it has no method or path, or a body that is not as its flag says.
    """
    if not isinstance(event, Mapping) or "requestContext" not in event:
        return event
    context = {**event["requestContext"]}
    read = {**event, "requestContext": context, "isBase64Encoded": False, "body": _body(event)}
    if "http" in context:
        http = _mapping(context["http"])
        where = {"path": _text(http, "path"), "method": _text(http, "method")}
        context["http"] = {"sourceIp": None, **http, **where}
        read["rawQueryString"] = _clean(event.get("rawQueryString")) or ""
        read["cookies"] = _cleaned(event.get("cookies"))
        read["version"] = "2.0"
    else:
        context["identity"] = _mapping(context.get("identity"))
        query = event.get("multiValueQueryStringParameters") or event.get("queryStringParameters")
        read |= {"queryStringParameters": None, "multiValueQueryStringParameters": _lists(query)}
        read |= {"path": _text(event, "path"), "httpMethod": _text(event, "httpMethod")}
        read |= {"version": "1.0"} if "version" in event else {"resource": event.get("resource")}
    return {**read, **_headers(event)}


def _headers(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return the headers; with the lists of a load balancer, whose reply then has lists, too."""
    single = {name: ", ".join(values) for name, values in _addressed(event.get("headers")).items()}
    if "multiValueHeaders" in event:
        lists = _addressed(event["multiValueHeaders"] or event.get("headers"))
        return {"headers": single, "multiValueHeaders": lists}
    return {"headers": single}


def _addressed(headers: object) -> dict[str, list[str]]:
    """Return headers without addresses that Mangum cannot read, and one value for each address."""
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
    except ValueError:  # no base64, or half of a surrogate pair
        raise _unreadable("body") from None


def _text(fields: Mapping[str, Any], name: str) -> str:
    text = _clean(fields.get(name))
    if text is None:
        raise _unreadable(name)
    return text


def _unreadable(name: str) -> Problem:
    return Problem(400, "not_readable", f"the request cannot be read: its {name}", field=name)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _clean(value: object) -> str | None:
    """Return a text that has a form in UTF-8; None for anything but a text."""
    return value.encode(errors="replace").decode() if isinstance(value, str) else None


def _cleaned(values: object) -> list[str]:
    """Return the texts of a value or a list of values."""
    listed = values if isinstance(values, list) else [values]
    return [text for text in map(_clean, listed) if text is not None]


def _lists(fields: object) -> dict[str, list[str]]:
    """Return the texts of an object's fields; a field without one is left out."""
    read = {_clean(name) or "": _cleaned(values) for name, values in _mapping(fields).items()}
    return {name: values for name, values in read.items() if values}

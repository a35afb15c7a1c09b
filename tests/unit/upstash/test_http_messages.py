"""HTTP messages: the endpoint of a URL, the bytes of a request, the values in a reply."""

import pytest

from llm_cache import StoreGarbled
from llm_cache._upstash.http_messages import HttpEndpoint, HttpReply, HttpRequest


@pytest.mark.parametrize(
    ("url", "address", "authority", "target"),
    [
        ("https://a.io", "a.io:443", "a.io", "/"),
        ("HTTP://a.io/x?y=1", "a.io:80", "a.io", "/x?y=1"),
        ("https://a.io:80/", "a.io:80", "a.io:80", "/"),
        ("http://[::1]:8080", "[::1]:8080", "[::1]:8080", "/"),
    ],
)
def test_endpoint_names_host_port_and_target(
    url: str, address: str, authority: str, target: str
) -> None:
    endpoint = HttpEndpoint.of(url)
    assert (endpoint.address, endpoint.authority, endpoint.target) == (address, authority, target)


def test_request_has_fixed_headers_and_the_length_of_each_body() -> None:
    request = HttpRequest("POST", "/x", "a.io", {"Authorization": "Bearer t"})
    one, two = request.encode(b"ab", "B: c\r\n"), request.encode(b"abc")
    assert one.startswith(b"POST /x HTTP/1.1\r\nHost: a.io\r\n")
    assert one.endswith(b"\r\nB: c\r\nContent-Length: 2\r\n\r\nab")
    assert two.endswith(b"\r\nContent-Length: 3\r\n\r\nabc")
    assert b"Content-Length" not in HttpRequest("GET", "/", "a.io", {}).encode()


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (302, b"{}", "a redirect"),
        (200, b"", "JSONDecodeError"),
        (200, b"\xff", "UnicodeDecodeError"),
        (502, b"<html>", "JSONDecodeError"),
        (200, b"[" * 500_000, "too many values"),
        (200, b"[" * 90_000, "RecursionError"),
    ],
)
def test_body_without_a_json_value_is_refused_with_the_reason(
    status: int, body: bytes, reason: str
) -> None:
    with pytest.raises(StoreGarbled, match=reason):
        HttpReply(status, {}, body, reusable=True).json()


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("soon", None),
        ("-1", None),
        ("\xb2", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str, seconds: float | None) -> None:
    assert HttpReply(429, {"retry-after": header}, b"", reusable=True).retry_after() == seconds

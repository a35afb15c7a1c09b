"""Standard HTTP caches in front of `ask` behave as RFC 9110 and RFC 9111 require."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import http_sf
import httpx
import pytest
import requests
from cachecontrol import CacheControl
from hishel import CacheOptions, SqliteStorage
from hishel.httpx import CacheClient
from requests_cache import CachedSession
from tests.functions.asking import QUESTION
from tests.functions.bedrock import Bedrock
from tests.functions.serving import served

FORWARDED = {"bypass", "method", "uri-miss", "vary-miss", "miss", "request", "stale", "partial"}
"""RFC 9211, section 2.2."""
Ask = Callable[..., httpx.Response]
METHODS = ["GET", "HEAD", "POST"]


class CachedReply(NamedTuple):
    """A reply; ``from_cache``: the client's cache served it without a request."""

    status: int
    headers: dict[str, str]
    content: bytes
    from_cache: bool


Send = Callable[..., CachedReply]


@contextmanager
def hishel(url: str, folder: Path, *, shared: bool) -> Iterator[Send]:
    """Yield hishel as a shared or a private cache."""
    options = CacheOptions(shared=shared, supported_methods=METHODS)
    storage = SqliteStorage(database_path=folder / "hishel.db")
    with closing(storage), CacheClient(base_url=url, storage=storage, rfc=options) as client:

        def send(method: str, path: str, **rest: Any) -> CachedReply:
            found = client.request(method, path, **rest)
            caching = found.extensions["caching"]
            served = caching["from_cache"] and not caching["revalidated"]
            return CachedReply(found.status_code, dict(found.headers), found.content, served)

        yield send


@contextmanager
def session(url: str, _: Path, *, make: Callable[[], requests.Session]) -> Iterator[Send]:
    """Yield a cache in the form of a ``requests`` session."""
    with make() as client:

        def send(method: str, path: str, **rest: Any) -> CachedReply:
            found: Any = client.request(method, url + path, timeout=60, **rest)
            headers = {name.lower(): value for name, value in found.headers.items()}
            served = found.from_cache and not getattr(found, "revalidated", False)
            return CachedReply(found.status_code, headers, found.content, served)

        yield send


def requests_cache() -> requests.Session:
    codes = range(200, 600)
    return CachedSession(
        backend="memory", cache_control=True, allowable_methods=METHODS, allowable_codes=codes
    )


def cache_control() -> requests.Session:
    return CacheControl(requests.Session(), cacheable_methods=tuple(METHODS))


CACHES: dict[str, Callable[[str, Path], AbstractContextManager[Send]]] = {
    "hishel, private": partial(hishel, shared=False),
    "hishel, shared": partial(hishel, shared=True),
    "requests-cache": partial(session, make=requests_cache),
    "CacheControl": partial(session, make=cache_control),
}


@pytest.fixture
def url(configure: Callable[..., None]) -> Iterator[str]:
    configure(SHARE_ANSWERS="all")  # no front identifies the caller
    with served() as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(params=CACHES)
def send(request: pytest.FixtureRequest, url: str, tmp_path: Path) -> Iterator[Send]:
    with CACHES[request.param](url, tmp_path) as client:
        yield client


@pytest.fixture
def ask(url: str) -> Iterator[Ask]:
    """Send a question over HTTP without a cache."""
    with httpx.Client(base_url=url, timeout=60) as client:

        def post(body: object = QUESTION, **headers: str) -> httpx.Response:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return client.post("/ask", json=body, headers=named)

        yield post


UNSTORED = [
    ("GET", "/health", 200),
    ("GET", "/none", 404),
    ("GET", "/ask", 405),
    ("POST", "/ask", 422),
]


def test_http_cache_stores_neither_health_nor_problems(send: Send, model: Bedrock) -> None:
    for method, path, status in UNSTORED * 2:
        reply = send(method, path)
        assert (reply.status, reply.from_cache) == (status, False)
        assert reply.headers["cache-control"] == "no-store"
    model.throttle()
    assert send("POST", "/ask", json=QUESTION).status == 503
    model.recover()
    reply = send("POST", "/ask", json=QUESTION)
    assert (reply.status, reply.from_cache) == (200, False)


def test_http_cache_stores_no_answer(send: Send, model: Bedrock) -> None:
    replies = [send("POST", "/ask", json=QUESTION) for _ in range(2)]
    replies.append(send("POST", "/ask", json={"question": "Another?"}))
    assert [reply.from_cache for reply in replies] == [False] * 3
    answers = [json.loads(reply.content) for reply in replies]
    assert [answer["answer"] for answer in answers] == ["Answer 1.", "Answer 1.", "Answer 2."]
    assert [answer["cache"]["status"] for answer in answers] == ["miss", "hit", "miss"]


def test_http_cache_stores_the_description(send: Send) -> None:
    first, again = send("GET", "/openapi.json"), send("GET", "/openapi.json")
    assert (first.status, again.status) == (200, 200)
    assert first.content == again.content
    assert "max-age=" in first.headers["cache-control"]
    assert again.from_cache


def test_304_has_the_headers_of_the_200(ask: Ask) -> None:
    ask(if_none_match='"none"')
    full = ask(if_none_match='"none"')
    known = ask(if_none_match=f'"none", {full.headers["etag"]}')
    assert (full.status_code, known.status_code, known.content) == (200, 304, b"")
    for name in ("cache-control", "etag", "vary"):  # RFC 9110, section 15.4.5
        assert known.headers.get(name) == full.headers.get(name)


def test_etag_of_replies_with_different_bodies_is_weak(ask: Ask) -> None:
    miss, hit = ask(), ask()
    assert miss.content != hit.content
    assert miss.headers["etag"] == hit.headers["etag"]
    assert hit.headers["etag"].startswith("W/")


def test_cache_status_and_age_are_well_formed(ask: Ask, model: Bedrock) -> None:
    replies = [ask(), hit := ask(), ask(if_none_match=hit.headers["etag"])]
    replies += [ask(cache_control=value) for value in ("no-cache", "no-store", "max-age=0")]
    replies.append(ask({"question": "Not asked."}, cache_control="only-if-cached"))
    model.throttle()
    replies.append(ask({"question": "Throttled."}))
    model.recover()
    model.content = []
    replies.append(ask({"question": "Silent."}))
    assert [reply.status_code for reply in replies] == [200, 200, 304, 200, 200, 200, 504, 503, 502]
    for reply in replies:
        name, parameters = well_formed(reply)
        assert name == "llm-cache"
        assert ("hit" in parameters) == ("age" in reply.headers)


def well_formed(reply: httpx.Response) -> tuple[str, dict[str, Any]]:
    """Parse ``Cache-Status`` (RFC 9211) and ``Age``; return the cache's name and parameters."""
    members: Any = http_sf.parse(reply.headers["cache-status"].encode(), tltype="list")
    ((name, parameters),) = members
    assert not {"hit", "fwd"} <= parameters.keys()
    assert parameters.get("hit", True) is True
    assert str(parameters.get("fwd", "miss")) in FORWARDED
    assert all(type(parameters[one]) is int for one in ("ttl", "fwd-status") if one in parameters)
    assert all(parameters[one] is True for one in ("stored", "collapsed") if one in parameters)
    assert type(parameters.get("key", "")) is str
    assert isinstance(parameters.get("detail", ""), str | http_sf.Token)
    if age := reply.headers.get("age"):
        assert age.isdecimal()
    return str(name), parameters

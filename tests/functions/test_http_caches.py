"""Standard HTTP caches in front of `ask` behave as RFC 9110 and RFC 9111 require."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import which
from typing import Any

import http_sf
import httpx
import pytest
from tests.functions.asking import QUESTION
from tests.functions.bedrock import Bedrock
from tests.functions.http_caches import CACHES, Send
from tests.functions.serving import served

FORWARDED = {"bypass", "method", "uri-miss", "vary-miss", "miss", "request", "stale", "partial"}
"""RFC 9211, section 2.2."""
Ask = Callable[..., httpx.Response]


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


def curl(url: str, tag: Path, *options: str) -> tuple[int, str]:
    """Run curl with its ETag options; return the status and the body."""
    known = ["--etag-save", str(tag), "--etag-compare", str(tag)]
    command = ["curl", "-sS", *known, "-w", "\n%{http_code}", *options, url]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


POST = ("-H", "content-type: application/json", "-d", json.dumps(QUESTION))


@pytest.mark.skipif(which("curl") is None, reason="curl is not installed; httpx does the same")
def test_curl_downloads_an_answer_again_only_if_it_has_changed(url: str, tmp_path: Path) -> None:
    tag = tmp_path / "etag"
    tag.touch()
    status, body = curl(f"{url}/ask", tag, *POST)
    assert (status, json.loads(body)["answer"]) == (200, "Answer 1.")
    assert curl(f"{url}/ask", tag, *POST) == (304, "")
    status, body = curl(f"{url}/ask", tag, *POST, "-H", "cache-control: no-cache")
    assert (status, json.loads(body)["answer"]) == (200, "Answer 2.")


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

"""Standard HTTP caches in front of `ask` behave as RFC 9110 and RFC 9111 say."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from typing import Any

import http_sf
import httpx
import pytest
from tests.functions.asking import QUESTION, cold
from tests.functions.bedrock import Bedrock
from tests.functions.http_caches import CACHES, Send
from tests.functions.serving import served

FORWARDED = {"bypass", "method", "uri-miss", "vary-miss", "miss", "request", "stale", "partial"}
"""RFC 9211, section 2.2."""


@pytest.fixture
def url(model: Bedrock, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("SHARE_ANSWERS", "all")  # no front of AWS is there to name the caller
    cold()
    with served() as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(params=CACHES)
def send(request: pytest.FixtureRequest, url: str, tmp_path: Path) -> Iterator[Send]:
    with CACHES[request.param](url, tmp_path) as client:
        yield client


UNSTORED = [
    ("GET", "/health", 200),
    ("GET", "/none", 404),
    ("GET", "/ask", 405),
    ("POST", "/ask", 422),
]


def test_health_and_problems_are_never_served_from_a_cache(send: Send) -> None:
    for method, path, status in UNSTORED * 2:
        reply = send(method, path)
        assert (reply.status, reply.from_cache) == (status, False)
        assert reply.headers["cache-control"] == "no-store"


def test_problem_of_the_model_ends_with_its_cause(send: Send, model: Bedrock) -> None:
    model.status, model.error = 429, "ThrottlingException"
    assert send("POST", "/ask", json=QUESTION).status == 503
    model.status, model.error = 200, ""
    reply = send("POST", "/ask", json=QUESTION)
    assert (reply.status, reply.from_cache) == (200, False)


def test_answer_is_never_served_from_a_cache(send: Send, model: Bedrock) -> None:
    replies = [send("POST", "/ask", json=QUESTION) for _ in range(2)]
    replies.append(send("POST", "/ask", json={"question": "Another?"}))
    assert [reply.from_cache for reply in replies] == [False] * 3
    answers = [json.loads(reply.content) for reply in replies]
    assert [answer["answer"] for answer in answers] == ["Answer 1.", "Answer 1.", "Answer 2."]
    assert [answer["cache"]["status"] for answer in answers] == ["miss", "hit", "miss"]


def test_description_is_fetched_once_or_revalidated(send: Send) -> None:
    first, again = send("GET", "/openapi.json"), send("GET", "/openapi.json")
    assert (first.status, again.status) == (200, 200)
    assert first.content == again.content
    fresh = "max-age=" in first.headers["cache-control"]
    assert again.from_cache if fresh else "etag" in first.headers


def test_conditional_request_gets_304_with_the_headers_of_the_200(url: str) -> None:
    with httpx.Client(base_url=url) as client:

        def ask(tag: str) -> httpx.Response:
            return client.post("/ask", json=QUESTION, headers={"If-None-Match": tag})

        ask('"none"')
        full = ask('"none"')
        known = ask(f'"none", {full.headers["etag"]}')
    assert (full.status_code, known.status_code, known.content) == (200, 304, b"")
    for name in ("cache-control", "etag", "vary"):  # RFC 9110, section 15.4.5
        assert known.headers.get(name) == full.headers.get(name)


def test_strong_etag_names_one_body(url: str) -> None:
    with httpx.Client(base_url=url) as client:
        found = [client.post("/ask", json=QUESTION) for _ in range(3)]
    bodies = {reply.headers["etag"]: {reply.content} for reply in found}
    for reply in found:
        bodies[reply.headers["etag"]].add(reply.content)
    strong = [tag for tag in bodies if not tag.startswith("W/")]
    assert [tag for tag in strong if len(bodies[tag]) > 1] == []


def curl(url: str, tag: Path, *options: str) -> tuple[int, str]:
    """Run curl with its ETag options; return the status and the body."""
    known = ["--etag-save", str(tag), "--etag-compare", str(tag)]
    command = ["curl", "-sS", *known, "-w", "\n%{http_code}", *options, url]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


ASKS = ("-H", "content-type: application/json", "-d", json.dumps(QUESTION))


@pytest.mark.skipif(which("curl") is None, reason="curl is not installed; httpx does the same")
def test_curl_fetches_an_answer_once_and_again_when_it_has_changed(
    url: str, tmp_path: Path
) -> None:
    tag = tmp_path / "etag"
    tag.touch()
    status, body = curl(f"{url}/ask", tag, *ASKS)
    assert (status, json.loads(body)["answer"]) == (200, "Answer 1.")
    assert curl(f"{url}/ask", tag, *ASKS) == (304, "")
    status, body = curl(f"{url}/ask", tag, *ASKS, "-H", "cache-control: no-cache")
    assert (status, json.loads(body)["answer"]) == (200, "Answer 2.")


def test_cache_status_and_age_are_well_formed(url: str, model: Bedrock) -> None:
    with httpx.Client(base_url=url, timeout=60) as client:

        def ask(of: Any = QUESTION, **headers: str) -> httpx.Response:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return client.post("/ask", json=of, headers=named)

        miss, hit = ask(), ask()
        found = [miss, hit, ask(if_none_match=hit.headers["etag"])]
        found += [ask(cache_control=value) for value in ("no-cache", "no-store", "max-age=0")]
        found.append(ask({"question": "Not asked."}, cache_control="only-if-cached"))
        model.status, model.error = 429, "ThrottlingException"
        found.append(ask({"question": "Throttled."}))
        model.status, model.error, model.content = 200, "", []
        found.append(ask({"question": "Silent."}))
    assert [reply.status_code for reply in found] == [200, 200, 304, 200, 200, 200, 504, 503, 502]
    for reply in found:
        name, told = well_formed(reply)
        assert name == "llm-cache"
        assert ("hit" in told) == ("age" in reply.headers)


def well_formed(reply: httpx.Response) -> tuple[str, dict[str, Any]]:
    """Parse ``Cache-Status`` (RFC 9211) and ``Age``; return the cache's name and what it says."""
    members: Any = http_sf.parse(reply.headers["cache-status"].encode(), tltype="list")
    ((name, told),) = members
    assert not {"hit", "fwd"} <= told.keys()
    assert told.get("hit", True) is True
    assert str(told.get("fwd", "miss")) in FORWARDED
    assert all(type(told[name]) is int for name in ("ttl", "fwd-status") if name in told)
    assert all(told[name] is True for name in ("stored", "collapsed") if name in told)
    assert type(told.get("key", "")) is str
    assert isinstance(told.get("detail", ""), str | http_sf.Token)
    if age := reply.headers.get("age"):
        assert age.isdecimal()
    return str(name), told

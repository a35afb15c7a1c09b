from collections.abc import Callable

import httpx
import pytest

from upstash_endpoint.endpoint import UpstashEndpoint
from upstash_endpoint.redis_server import RedisServer


def get(endpoint: UpstashEndpoint, path: str, authorization: str | None = None) -> httpx.Response:
    headers = {"Authorization": authorization} if authorization else {}
    return httpx.get(endpoint.url + path, headers=headers)


@pytest.mark.parametrize("authorization", ["Bearer {}", "bearer {}", "{}"])
def test_token_is_accepted_in_the_header(endpoint: UpstashEndpoint, authorization: str) -> None:
    response = get(endpoint, "/ping", authorization.format(endpoint.token))
    assert response.json() == {"result": "PONG"}


def test_token_in_the_query_overrides_the_header(endpoint: UpstashEndpoint) -> None:
    assert get(endpoint, f"/echo/hi?_token={endpoint.token}", "x").json() == {"result": "hi"}
    assert get(endpoint, "/ping?_token=wrong", f"Bearer {endpoint.token}").status_code == 401


@pytest.mark.parametrize("authorization", [None, "Bearer", "Bearer wrong", "Basic x", "Bearer ü"])
@pytest.mark.parametrize("path", ["/", "/get/k", "/pipeline", "/subscribe/c"])
def test_wrong_or_missing_token_is_unauthorized(
    endpoint: UpstashEndpoint, path: str, authorization: str | None
) -> None:
    headers = {"Authorization": authorization.encode()} if authorization else {}
    response = httpx.post(endpoint.url + path, headers=headers, content=b"[]")  # type: ignore[arg-type]
    assert response.status_code == 401
    assert response.json() == {"error": "WRONGPASS invalid or missing auth token"}


DENIED = "set/k/v del/k scan/0 keys/* flushdb acl/list eval/return%201/0 acl/resttoken/default_ro/x"


@pytest.mark.parametrize("path", DENIED.split())
def test_read_only_token_may_not_write_scan_or_make_tokens(
    endpoint: UpstashEndpoint, path: str
) -> None:
    response = get(endpoint, f"/{path}", f"Bearer {endpoint.read_only_token}")
    assert response.status_code == 400
    assert response.json()["error"].startswith("NOPERM User default_ro has no permissions to run")


def test_read_only_token_reads_also_after_a_restart_of_redis(
    own_endpoint: UpstashEndpoint, own_redis: RedisServer
) -> None:
    authorization = f"Bearer {own_endpoint.read_only_token}"
    own_redis.call("SET", "k", "v")
    assert get(own_endpoint, "/get/k", authorization).json() == {"result": "v"}
    own_redis.kill()
    own_redis.restart()
    assert get(own_endpoint, "/get/k", authorization).json() == {"result": None}


def test_rest_token_has_the_permissions_of_its_user(
    endpoint: UpstashEndpoint, run: Callable[..., object]
) -> None:
    run("ACL", "SETUSER", "bob", "on", ">pw:1", "~bob:*", "+get", "+set")
    token = run("ACL", "RESTTOKEN", "bob", "pw:1")
    assert token == run("acl", "resttoken", "bob", "pw:1")
    bearer = f"Bearer {token}"
    assert get(endpoint, "/set/bob:1/v", bearer).json() == {"result": "OK"}
    assert get(endpoint, "/set/eve:1/v", bearer).json()["error"].startswith("NOPERM")
    assert get(endpoint, "/del/bob:1", bearer).json() == {
        "error": "NOPERM User bob has no permissions to run the 'del' command"
    }
    run("ACL", "DELUSER", "bob")
    assert get(endpoint, "/get/bob:1", bearer).status_code == 401


@pytest.mark.parametrize("user", ["bob", "nobody"])
def test_wrong_password_gets_no_rest_token(
    http: httpx.Client, run: Callable[..., object], user: str
) -> None:
    run("ACL", "SETUSER", "bob", "on", ">pw")
    response = http.post("/", json=["ACL", "RESTTOKEN", user, "wrong"])
    assert response.status_code == 400
    assert response.json() == {"error": f'ERR Wrong password or user "{user}" does not exist'}


def test_one_pipeline_makes_a_user_and_its_token(http: httpx.Client) -> None:
    batch = [["ACL", "SETUSER", "bob", "on", ">pw", "+ping"], ["ACL", "RESTTOKEN", "bob", "pw"]]
    made, token = http.post("/pipeline", json=batch).json()
    assert made == {"result": "OK"}
    response = http.get("/ping", params={"_token": token["result"]})
    assert response.json() == {"result": "PONG"}

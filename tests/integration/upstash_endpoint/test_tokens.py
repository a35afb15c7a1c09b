from collections.abc import Callable

import httpx
import pytest

from upstash_endpoint.endpoint import UpstashEndpoint
from upstash_endpoint.redis_server import RedisServer

WRONG = {"error": "WRONGPASS invalid or missing auth token"}


def get(endpoint: UpstashEndpoint, path: str, authorization: str | None = None) -> httpx.Response:
    headers = {"Authorization": authorization} if authorization else {}
    return httpx.get(endpoint.url + path, headers=headers)


def test_token_may_stand_in_the_query(endpoint: UpstashEndpoint) -> None:
    assert get(endpoint, f"/echo/hi?_token={endpoint.token}").json() == {"result": "hi"}


def test_token_in_the_query_comes_before_the_header(endpoint: UpstashEndpoint) -> None:
    response = get(endpoint, "/ping?_token=wrong", f"Bearer {endpoint.token}")
    assert response.status_code == 401


@pytest.mark.parametrize("authorization", ["Bearer {}", "bearer {}", "{}"])
def test_token_may_stand_in_the_header(endpoint: UpstashEndpoint, authorization: str) -> None:
    response = get(endpoint, "/ping", authorization.format(endpoint.token))
    assert response.json() == {"result": "PONG"}


@pytest.mark.parametrize("authorization", [None, "Bearer", "Bearer wrong", "Basic x", "Bearer ü"])
@pytest.mark.parametrize("path", ["/", "/get/k", "/pipeline", "/subscribe/c"])
def test_wrong_or_missing_token_is_unauthorized(
    endpoint: UpstashEndpoint, path: str, authorization: str | None
) -> None:
    headers = {"Authorization": authorization.encode()} if authorization else {}
    response = httpx.post(endpoint.url + path, headers=headers, content=b"[]")  # type: ignore[arg-type]
    assert response.status_code == 401
    assert response.json() == WRONG


def test_read_only_token_reads(endpoint: UpstashEndpoint, redis: RedisServer) -> None:
    redis.call("SET", "k", "v")
    response = get(endpoint, "/get/k", f"Bearer {endpoint.read_only_token}")
    assert response.json() == {"result": "v"}


@pytest.mark.parametrize(
    "path",
    ["/set/k/v", "/del/k", "/scan/0", "/keys/*", "/flushdb", "/acl/list", "/eval/return 1/0"],
)
def test_read_only_token_may_neither_write_nor_walk_the_keys(
    endpoint: UpstashEndpoint, path: str
) -> None:
    response = get(endpoint, path, f"Bearer {endpoint.read_only_token}")
    assert response.status_code == 400
    assert response.json()["error"].startswith("NOPERM User default_ro has no permissions to run")


def test_read_only_token_cannot_make_tokens(endpoint: UpstashEndpoint) -> None:
    path = "/acl/resttoken/default_ro/x"
    response = get(endpoint, path, f"Bearer {endpoint.read_only_token}")
    assert response.json()["error"].startswith("NOPERM")


def test_read_only_token_survives_a_restart_of_redis() -> None:
    with RedisServer.start() as redis, UpstashEndpoint.start(redis) as endpoint:
        authorization = f"Bearer {endpoint.read_only_token}"
        assert get(endpoint, "/get/k", authorization).status_code == 200
        redis.kill()
        redis.restart()
        assert get(endpoint, "/get/k", authorization).json() == {"result": None}


def test_rest_token_has_the_permissions_of_its_user(
    endpoint: UpstashEndpoint, run: Callable[..., object]
) -> None:
    run("ACL", "SETUSER", "bob", "on", ">pw:1", "~bob:*", "+get", "+set")
    bearer = f"Bearer {run('ACL', 'RESTTOKEN', 'bob', 'pw:1')}"
    assert get(endpoint, "/set/bob:1/v", bearer).json() == {"result": "OK"}
    assert get(endpoint, "/set/eve:1/v", bearer).json()["error"].startswith("NOPERM")
    assert get(endpoint, "/del/bob:1", bearer).json() == {
        "error": "NOPERM User bob has no permissions to run the 'del' command"
    }


def test_rest_token_of_a_deleted_user_is_no_longer_valid(
    endpoint: UpstashEndpoint, run: Callable[..., object]
) -> None:
    run("ACL", "SETUSER", "bob", "on", ">pw", "~*", "+@all")
    bearer = f"Bearer {run('ACL', 'RESTTOKEN', 'bob', 'pw')}"
    assert get(endpoint, "/ping", bearer).status_code == 200
    run("ACL", "DELUSER", "bob")
    assert get(endpoint, "/ping", bearer).status_code == 401


def test_rest_token_is_the_same_for_the_same_user(run: Callable[..., object]) -> None:
    run("ACL", "SETUSER", "bob", "on", ">pw")
    assert run("ACL", "RESTTOKEN", "bob", "pw") == run("acl", "resttoken", "bob", "pw")


@pytest.mark.parametrize("user", ["bob", "nobody"])
def test_wrong_password_gets_no_rest_token(
    http: httpx.Client, run: Callable[..., object], user: str
) -> None:
    run("ACL", "SETUSER", "bob", "on", ">pw")
    response = http.post("/", json=["ACL", "RESTTOKEN", user, "wrong"])
    assert response.status_code == 400
    assert response.json() == {"error": f'ERR Wrong password or user "{user}" does not exist'}


def test_user_and_token_can_be_made_in_one_pipeline(http: httpx.Client) -> None:
    batch = [["ACL", "SETUSER", "bob", "on", ">pw", "+ping"], ["ACL", "RESTTOKEN", "bob", "pw"]]
    made, token = http.post("/pipeline", json=batch).json()
    assert made == {"result": "OK"}
    assert http.get(f"/ping?_token={token['result'].replace('+', '%2B')}").json() == {
        "result": "PONG"
    }

import httpx
import pytest

from upstash_endpoint.endpoint import UpstashEndpoint

NOT_OVER_REST = [["SUBSCRIBE", "c"], ["MONITOR"], ["WATCH", "k"], ["MULTI"], ["AUTH", "x"]]
NOT_AVAILABLE = [
    ["BLPOP", "k", 0],
    ["bzpopmin", "k", 0],
    ["XREAD", "COUNT", 1, "BLOCK", 0, "STREAMS", "s", "$"],
    ["XREADGROUP", "GROUP", "g", "c", "block", 0, "STREAMS", "s", ">"],
    ["WAIT", 1, 0],
    ["SELECT", 0],
    ["SCRIPT", "DEBUG", "YES"],
    ["SHUTDOWN"],
    ["CONFIG", "SET", "requirepass", ""],
]


@pytest.mark.parametrize("command", NOT_OVER_REST, ids=lambda command: command[0])
def test_commands_of_a_connection_are_not_allowed(
    http: httpx.Client, command: list[object]
) -> None:
    response = http.post("/", json=command)
    assert response.status_code == 400
    assert response.json()["error"].startswith(f'ERR Command "{command[0]}" is not allowed in REST')


@pytest.mark.parametrize("command", NOT_AVAILABLE, ids=lambda command: command[0])
def test_blocking_and_server_commands_are_not_available(
    http: httpx.Client, command: list[object]
) -> None:
    response = http.post("/", json=command)
    assert response.status_code == 400
    assert response.json()["error"].startswith(f"ERR Command is not available: '{command[0]}'.")


def test_refused_command_does_not_reach_redis(
    http: httpx.Client, endpoint: UpstashEndpoint
) -> None:
    http.post("/", json=["BLPOP", "k", 0])
    assert endpoint.meter.read().commands == 0


def test_stream_may_be_called_block(http: httpx.Client) -> None:
    http.post("/", json=["XADD", "BLOCK", "1-1", "f", "v"])
    response = http.post("/", json=["XREAD", "STREAMS", "BLOCK", "0"])
    assert response.json() == {"result": [["BLOCK", [["1-1", ["f", "v"]]]]]}

import httpx
import pytest

from upstash_endpoint.endpoint import UpstashEndpoint

NOT_OVER_REST = ("SUBSCRIBE c", "MONITOR", "WATCH k", "MULTI", "AUTH x")
NOT_AVAILABLE = (
    "BLPOP k 0",
    "bzpopmin k 0",
    "XREAD COUNT 1 BLOCK 0 STREAMS s $",
    "XREADGROUP GROUP g c block 0 STREAMS s >",
    "WAIT 1 0",
    "SELECT 0",
    "SCRIPT DEBUG YES",
    "SHUTDOWN",
    "CONFIG SET requirepass x",
)


@pytest.mark.parametrize("command", NOT_OVER_REST + NOT_AVAILABLE)
def test_connection_blocking_and_server_commands_do_not_reach_redis(
    http: httpx.Client, endpoint: UpstashEndpoint, command: str
) -> None:
    name, *_ = words = command.split()
    response = http.post("/", json=words)
    assert response.status_code == 400
    unavailable = f"ERR Command is not available: '{name}'."
    refused = f'ERR Command "{name}" is not allowed in REST'
    error = refused if command in NOT_OVER_REST else unavailable
    assert response.json()["error"].startswith(error)
    assert endpoint.meter.read().commands == 0


def test_block_can_be_the_name_of_a_stream(http: httpx.Client) -> None:
    http.post("/", json=["XADD", "BLOCK", "1-1", "f", "v"])
    response = http.post("/", json=["XREAD", "STREAMS", "BLOCK", "0"])
    assert response.json() == {"result": [["BLOCK", [["1-1", ["f", "v"]]]]]}

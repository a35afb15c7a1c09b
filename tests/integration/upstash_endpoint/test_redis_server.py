from pathlib import Path

import pytest

from upstash_endpoint.children import PartFailed
from upstash_endpoint.redis_server import RedisServer, find_server


def refuses(redis: RedisServer) -> bool:
    try:
        redis.call("PING")
    except ConnectionRefusedError:
        return True
    return False


def test_killed_server_restarts_empty_on_its_port(own_redis: RedisServer) -> None:
    own_redis.call("SET", "k", "v")
    own_redis.kill()
    assert refuses(own_redis)
    own_redis.restart()
    assert own_redis.call("GET", "k") is None


def test_stopped_server_removes_its_folder() -> None:
    with RedisServer.start() as redis:
        assert redis.directory.exists()
    assert not redis.directory.exists()
    assert refuses(redis)


def test_paused_server_answers_after_resume(
    own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("upstash_endpoint.redis_server._REPLY_SECONDS", 0.2)
    own_redis.pause()
    with pytest.raises(TimeoutError):
        own_redis.call("PING")
    own_redis.resume()
    monkeypatch.undo()
    assert own_redis.call("PING") == b"PONG"


def test_server_requires_its_password(own_redis: RedisServer) -> None:
    own_redis.password = "wrong"
    assert own_redis.call("PING") == b"NOAUTH Authentication required."


def test_server_program_can_be_chosen(tmp_path: Path) -> None:
    program = tmp_path / "my-server"
    program.touch(mode=0o755)
    assert find_server({"REDIS_SERVER": str(program)}) == str(program)
    assert find_server({}).endswith("valkey-server")
    with pytest.raises(PartFailed, match="REDIS_SERVER names no program: /no/such/server"):
        find_server({"REDIS_SERVER": "/no/such/server"})


def test_server_that_cannot_start_is_reported(redis: RedisServer) -> None:
    with pytest.raises(PartFailed, match="the Redis server exited with status 1"):
        RedisServer.start(port=redis.port)

import os
import subprocess
import sys
from pathlib import Path

import pytest

from upstash_endpoint.children import PartFailed, wait_until
from upstash_endpoint.redis_server import RedisServer, find_server


def test_killed_server_comes_back_empty_on_the_same_port() -> None:
    with RedisServer.start() as redis:
        redis.call("SET", "k", "v")
        redis.kill()
        with pytest.raises(ConnectionRefusedError):
            redis.call("PING")

        redis.restart()

        assert redis.call("GET", "k") is None


def test_stopped_server_leaves_nothing_behind() -> None:
    with RedisServer.start() as redis:
        assert redis.directory.exists()
    assert not redis.directory.exists()
    with pytest.raises(ConnectionRefusedError):
        redis.call("PING")


def test_paused_server_answers_once_it_is_resumed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("upstash_endpoint.redis_server._REPLY_SECONDS", 0.2)
    with RedisServer.start() as redis:
        redis.pause()
        with pytest.raises(TimeoutError):
            redis.call("PING")
        redis.resume()
        monkeypatch.undo()
        assert redis.call("PING") == b"PONG"


def test_server_wants_its_password() -> None:
    with RedisServer.start() as redis:
        redis.password = "wrong"
        assert redis.call("PING") == b"NOAUTH Authentication required."


def test_server_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    code = (
        "from upstash_endpoint.redis_server import RedisServer; import sys;"
        "print(RedisServer.start().port, flush=True); sys.stdin.read()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "TMPDIR": str(tmp_path)},  # a killed parent cannot remove its folder
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout
    redis = RedisServer(int(parent.stdout.readline()), "", Path(), "", None)  # type: ignore[arg-type]
    assert redis.call("PING")

    parent.kill()

    wait_until(lambda: _refuses(redis), seconds=60, what="the end")
    parent.communicate()


def test_program_chosen_by_the_environment_is_used(tmp_path: Path) -> None:
    program = tmp_path / "my-server"
    program.touch(mode=0o755)
    assert find_server({"REDIS_SERVER": str(program)}) == str(program)
    assert find_server({}).endswith("valkey-server")


def test_missing_program_is_named() -> None:
    with pytest.raises(PartFailed, match="REDIS_SERVER names no program: /no/such/server"):
        find_server({"REDIS_SERVER": "/no/such/server"})


def test_server_that_cannot_start_says_why(redis: RedisServer) -> None:
    with pytest.raises(PartFailed, match="the Redis server exited with status 1"):
        RedisServer.start(port=redis.port)


def _refuses(redis: RedisServer) -> bool:
    try:
        redis.call("PING")
    except ConnectionRefusedError:
        return True
    return False

"""The command serve."""

import json
import signal
import socket
import subprocess
import sys
from typing import IO

import pytest
from tests.command_line import Run
from upstash_redis import Redis

SERVE = [sys.executable, "-m", "llm_cache", "serve"]


def serve(*arguments: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen([*SERVE, *arguments], stdout=pipe, stderr=pipe, text=True)


def line(stream: IO[str] | None) -> str:
    assert stream
    return stream.readline()


def test_json_has_the_address_and_both_tokens() -> None:
    with serve("--json", "--port", "0", "--token", "mine") as served:
        found = json.loads(line(served.stdout))
        with Redis(found["url"], found["token"]) as client:
            assert client.set("key", "value")
        served.send_signal(signal.SIGINT)
        _, errors = served.communicate(timeout=60)
    assert (found["token"], found["read_only_token"]) == ("mine", "mine-read-only")
    assert errors == "The data is in memory. Ctrl-C ends it.\n"
    assert served.returncode == 0


def test_second_database_takes_another_port_and_says_so() -> None:
    with serve() as first, serve() as second:
        urls = {line(it.stdout) for it in (first, second)}
        for it in (first, second):
            it.send_signal(signal.SIGINT)
        errors = [it.communicate(timeout=60)[1] for it in (first, second)]
    assert len(urls) == 2
    assert any("warning: port 8079 is taken" in it for it in errors)


def test_chosen_port_that_is_taken_is_a_usage_error(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, out, err = run("serve", "--port", str(port))
    assert (code, out) == (2, "")
    assert err.startswith(f"llm-cache: port {port} cannot be opened")


def test_wrong_token_is_a_usage_error_without_its_value(run: Run) -> None:
    code, out, err = run("serve", "--token", "two words")
    assert (code, out) == (2, "")
    assert err.startswith("llm-cache: token: use visible ASCII characters")
    assert "two words" not in err


def test_missing_server_names_the_extra(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda *_: None)
    monkeypatch.setattr("shutil.which", lambda *_: None)
    monkeypatch.setattr("llm_cache._cli.main.PACKAGES", ())
    code, out, err = run("serve", "--port", "0")
    assert (code, out) == (3, "")
    assert "pip install 'lambda-llm-cache[serve]'" in err

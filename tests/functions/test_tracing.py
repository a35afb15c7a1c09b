"""What X-Ray's daemon is sent of an invocation, by a function that brings ``aws-xray-sdk``."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.functions.asking import call
from tests.functions.bedrock import Bedrock
from tests.functions.events import function_url

SECRET = "What nobody but the caller shall read?"
INVOKE = """
import json, sys
from tests.functions.events import Context
from {module} import handler
for event in json.loads(sys.argv[1]):
    try:
        handler(event, Context())
    except Exception as error:
        print("raised", error)
print(json.dumps([name for name in sys.modules if name.startswith("aws_xray_sdk")]))
"""
TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled={}"


@pytest.fixture
def daemon() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(0.5)
        yield listening


@pytest.fixture
def _on_lambda(daemon: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMBDA_TASK_ROOT", "/var/task")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "it")
    monkeypatch.setenv("_X_AMZN_TRACE_ID", TRACE.format(1))
    monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", f"127.0.0.1:{daemon.getsockname()[1]}")


def invoke(module: str, *events: object) -> list[str]:
    """Invoke a cold function, once for each event; return what it imported of the SDK."""
    root = Path(__file__).parents[2]
    paths = [root / "functions" / module, root]
    script = f"import sys; sys.path[:0] = {[*map(str, paths)]}\n{INVOKE.format(module=module)}"
    command = [sys.executable, "-c", script, json.dumps(events)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded: list[str] = json.loads(ran.stdout.splitlines()[-1])
    return loaded


def sent(daemon: socket.socket) -> list[dict[str, Any]]:
    """Return the subsegments, after the line that each datagram begins with."""
    found: list[dict[str, Any]] = []
    while True:
        try:
            header, _, segment = daemon.recv(65_536).partition(b"\n")
        except TimeoutError:
            return found
        assert json.loads(header) == {"format": "json", "version": 1}
        found.append(json.loads(segment))


def asked() -> dict[str, Any]:
    return function_url("POST", "/ask", {"question": SECRET})


@pytest.mark.usefixtures("_on_lambda")
def test_a_trace_says_what_the_cache_did_and_nothing_of_the_answer(
    model: Bedrock, daemon: socket.socket
) -> None:
    assert call({"question": SECRET}).cache == "miss"
    unknown = function_url("POST", "/ask", {"question": "?", "cache": {"mode": "only_if_cached"}})
    assert invoke("ask", unknown, asked())
    first, second = sent(daemon)
    assert first["name"] == second["name"] == "## handler"
    assert first["trace_id"] == "1-5759e988-bd862e3fe1be46a994272793"
    told = {"Service": "it", "CacheErrors": 0, "CacheForged": 0, "CircuitOpen": 0}
    miss = {"ColdStart": True, "CacheHits": 0, "CacheMisses": 1, "CacheStored": 0}
    hit = {"ColdStart": False, "CacheHits": 1, "CacheMisses": 0, "CacheStored": 0}
    assert first["annotations"] == told | miss | {"TokensSaved": 0}
    assert second["annotations"] == told | hit | {"TokensSaved": 14}
    for segment in (first, second):
        assert "metadata" not in segment
        assert SECRET not in json.dumps(segment)
    assert len(model.requests) == 1


@pytest.mark.usefixtures("_on_lambda")
@pytest.mark.parametrize(
    ("module", "events", "fault"),
    [
        ("flush_cache", [{}, {"tag": [SECRET]}], [False, True]),
        ("summarize", [{}], [True]),
    ],
)
def test_the_other_functions_are_traced_alike(
    module: str,
    events: list[object],
    fault: list[bool],
    model: Bedrock,
    daemon: socket.socket,
) -> None:
    invoke(module, *events)
    segments = sent(daemon)
    assert {segment["annotations"]["Service"] for segment in segments} == {"it"}
    assert [segment.get("fault", False) for segment in segments] == fault
    assert SECRET not in json.dumps(segments)


def test_elsewhere_than_on_lambda_nothing_is_traced(model: Bedrock, daemon: socket.socket) -> None:
    assert invoke("flush_cache", {}) == []
    assert sent(daemon) == []


@pytest.mark.usefixtures("_on_lambda")
def test_a_request_that_is_not_sampled_is_not_sent(
    model: Bedrock, daemon: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", TRACE.format(0))
    assert invoke("flush_cache", {})
    assert sent(daemon) == []


@pytest.mark.usefixtures("_on_lambda")
def test_what_is_counted_outside_a_traced_handler_is_written_all_the_same(
    daemon: socket.socket,
) -> None:
    script = "from llm_cache import CacheMetrics, Report; CacheMetrics.from_env().write(Report())"
    command = [sys.executable, "-c", script]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout)["CacheHits"] == [0]
    assert sent(daemon) == []

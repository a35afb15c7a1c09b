"""The subsegments that functions with ``aws-xray-sdk`` send to X-Ray's daemon."""

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

SECRET = "What only the caller may read?"
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
    """Invoke a cold function with each event; return the modules of the SDK that it imported."""
    root = Path(__file__).parents[2]
    paths = [root / "functions" / module, root]
    script = f"import sys; sys.path[:0] = {[*map(str, paths)]}\n{INVOKE.format(module=module)}"
    command = [sys.executable, "-c", script, json.dumps(events)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded: list[str] = json.loads(ran.stdout.splitlines()[-1])
    return loaded


def sent(daemon: socket.socket) -> list[dict[str, Any]]:
    """Return the received subsegments; each follows a header line in its datagram."""
    found: list[dict[str, Any]] = []
    while True:
        try:
            header, _, segment = daemon.recv(65_536).partition(b"\n")
        except TimeoutError:
            return found
        assert json.loads(header) == {"format": "json", "version": 1}
        found.append(json.loads(segment))


@pytest.mark.usefixtures("_on_lambda")
def test_trace_reports_what_the_cache_did_and_no_question(
    model: Bedrock, daemon: socket.socket
) -> None:
    assert call({"question": SECRET}).cache == "miss"
    unknown = function_url("POST", "/ask", {"question": "?", "cache": {"mode": "only_if_cached"}})
    assert invoke("ask", unknown, function_url("POST", "/ask", {"question": SECRET}))
    first, second = sent(daemon)
    assert first["name"] == second["name"] == "## handler"
    assert first["trace_id"] == "1-5759e988-bd862e3fe1be46a994272793"
    common = {"Service": "it", "CacheErrors": 0, "CacheForged": 0, "CircuitOpen": 0}
    miss = {"ColdStart": True, "CacheHits": 0, "CacheMisses": 1, "CacheStored": 0}
    hit = {"ColdStart": False, "CacheHits": 1, "CacheMisses": 0, "CacheStored": 0}
    assert first["annotations"] == common | miss | {"TokensSaved": 0}
    assert second["annotations"] == common | hit | {"TokensSaved": 14}
    for segment in (first, second):
        assert "metadata" not in segment
        assert SECRET not in json.dumps(segment)
    assert len(model.requests) == 1


@pytest.mark.usefixtures("_on_lambda", "model")
@pytest.mark.parametrize(
    ("module", "events", "faults"),
    [("flush_cache", [{}, {"tag": [SECRET]}], [False, True]), ("summarize", [{}], [True])],
)
def test_other_functions_are_traced(
    module: str, events: list[object], faults: list[bool], daemon: socket.socket
) -> None:
    invoke(module, *events)
    segments = sent(daemon)
    assert {segment["annotations"]["Service"] for segment in segments} == {"it"}
    assert [segment.get("fault", False) for segment in segments] == faults
    assert SECRET not in json.dumps(segments)


@pytest.mark.usefixtures("_on_lambda", "model")
@pytest.mark.parametrize(
    ("variable", "value"), [("LAMBDA_TASK_ROOT", None), ("_X_AMZN_TRACE_ID", TRACE.format(0))]
)
def test_trace_is_not_sent_outside_lambda_or_without_sampling(
    daemon: socket.socket, monkeypatch: pytest.MonkeyPatch, variable: str, value: str | None
) -> None:
    monkeypatch.delenv(variable)
    if value:
        monkeypatch.setenv(variable, value)
    assert bool(invoke("flush_cache", {})) == (value is not None)  # imports the SDK on Lambda
    assert sent(daemon) == []


@pytest.mark.usefixtures("_on_lambda")
def test_metrics_outside_a_traced_handler_are_written(daemon: socket.socket) -> None:
    script = "from llm_cache import CacheMetrics, Report; CacheMetrics.from_env().write(Report())"
    command = [sys.executable, "-c", script]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout)["CacheHits"] == [0]
    assert sent(daemon) == []

"""schemathesis finds no reply of `ask` that differs from its OpenAPI description.

`make test` compares one reply of each status with it (tests/functions/test_description.py).
"""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.functions.bedrock import bedrock, environment

from upstash_endpoint.children import Child, free_port, wait_until
from upstash_endpoint.endpoint import UpstashEndpoint

EXAMPLES = 200  # of each operation


@pytest.fixture
def url(upstash: UpstashEndpoint, checkout: Path, tmp_path: Path) -> Iterator[str]:
    """The app of the function under an ASGI server."""
    port = free_port()
    with bedrock() as model:
        path = os.pathsep.join(str(checkout / part) for part in ("functions/ask", "src"))
        env = {
            **os.environ,
            **environment(model, upstash),
            "PYTHONPATH": path,
            "SHARE_ANSWERS": "all",  # no AWS service names the caller here
        }
        command = [sys.executable, "-m", "uvicorn", "web:app", "--port", str(port)]
        log = tmp_path / "ask.log"
        with Child.start("ask", command, env=env, log=log) as child:
            wait_until(lambda: listens(port), seconds=60, what="the app", child=child)
            yield f"http://127.0.0.1:{port}"


def listens(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), 1):
        return True


def test_ask_passes_every_schemathesis_check(url: str, tmp_path: Path, checkout: Path) -> None:
    program, config = (
        Path(sys.executable).with_name("schemathesis"),
        "tests/nightly/schemathesis.toml",
    )
    command = [str(program), "--config-file", str(checkout / config), "run", f"{url}/openapi.json"]
    command += ["--checks", "all", "--max-examples", str(EXAMPLES), "--seed", "1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-10_000:]

"""A server for SSM's ``GetParameters``, which verifies each signature with botocore's code."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from llm_cache._upstash.aws_environment import NEEDS_BOTO3

REGION, SECRET, SESSION = "eu-west-1", "mark-secret-key", "mark-session"
KEY = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_SESSION_TOKEN": SESSION,
}
AUTHORIZATION = "Basic mark-authorization"
_SIGNED = re.compile(r"AWS4-HMAC-SHA256 Credential=.*, SignedHeaders=(.*), Signature=(.*)")


class Ssm:
    """The parameters of the server, and the requests to it.

    ``failures`` are sent first: each is a status and a body, or None to close the connection.
    ``working`` is called before each reply.
    """

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.failures: list[tuple[int, Any] | None] = []
        self.asked: list[dict[str, Any]] = []
        self.working: Callable[[], object] = lambda: None
        self.url = ""

    @property
    def on_lambda(self) -> dict[str, str]:
        """The environment of a Lambda function with an access key."""
        name = {"AWS_LAMBDA_FUNCTION_NAME": "it", "AWS_REGION": REGION}
        return {**KEY, **name, "AWS_DEFAULT_REGION": REGION, "AWS_ENDPOINT_URL_SSM": self.url}

    @property
    def under_snapstart(self) -> dict[str, str]:
        """The environment of a Lambda function that reads its access key from this server."""
        endpoint = {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{self.url}/credentials",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": AUTHORIZATION,
        }
        return {name: v for name, v in self.on_lambda.items() if name not in KEY} | endpoint

    def parameters(self, body: bytes) -> dict[str, Any]:
        """Return the reply of ``GetParameters``."""
        self.asked.append(json.loads(body))
        names = self.asked[-1]["Names"]
        found = [
            {"Name": name, "Value": self.values[name]} for name in names if name in self.values
        ]
        missing = [name for name in names if name not in self.values]
        return {"Parameters": found, "InvalidParameters": missing}


def is_signed(method: str, path: str, headers: dict[str, str], body: bytes) -> bool:
    """Return whether botocore computes the signature that a request carries."""
    found = _SIGNED.fullmatch(headers.get("authorization", ""))
    if found is None or headers.get("x-amz-security-token") != SESSION:
        return False
    covered = {name: headers[name] for name in found[1].split(";")}
    request = AWSRequest(method, f"http://{headers['host']}{path}", headers=covered, data=body)
    request.context["timestamp"] = headers["x-amz-date"]
    auth = SigV4Auth(Credentials("AKIDEXAMPLE", SECRET, SESSION), "ssm", REGION)
    text = auth.string_to_sign(request, auth.canonical_request(request))
    return bool(auth.signature(text, request) == found[2])


def use(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace all AWS variables of this process by ``environment``."""
    for name in {*os.environ, *NEEDS_BOTO3}:
        if name.startswith("AWS_") or name in NEEDS_BOTO3:
            monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


@contextmanager
def serving() -> Iterator[Ssm]:
    """Serve until the end of the block."""
    ssm = Ssm()
    handler = type("Handler", (_Handler,), {"ssm": ssm})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    ssm.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield ssm
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    ssm: Ssm

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.ssm.working()
        if self.ssm.failures:
            self._fail()
        elif not is_signed("POST", self.path, headers, body):
            self._reply(400, {"__type": "InvalidSignatureException", "message": "mark-message"})
        elif headers["x-amz-target"] == "AmazonSSM.GetParameters":
            self._reply(200, self.ssm.parameters(body))

    def do_GET(self) -> None:
        if self.headers["Authorization"] != AUTHORIZATION:
            return self._reply(401, {"message": "mark-message"})
        key = {"AccessKeyId": "AKIDEXAMPLE", "SecretAccessKey": SECRET, "Token": SESSION}
        key["Expiration"] = "2999-01-01T00:00:00Z"
        return self._reply(200, key)

    def _fail(self) -> None:
        failure = self.ssm.failures.pop(0)
        if failure:
            self._reply(*failure)

    def _reply(self, status: int, value: Any) -> None:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

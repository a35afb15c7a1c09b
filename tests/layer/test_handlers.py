"""The packages run as they were built: what was left out of them is missed by nothing."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import ClassVar

import pytest
from tests.integration.upstash import ssm
from tests.layer.artifacts import Artifacts

from local_cloud.stack.events import messages

INVOKE = """
import json
from types import SimpleNamespace
from {module} import handler
context = SimpleNamespace(
    function_name="it", memory_limit_in_mb=1024, aws_request_id="1",
    invoked_function_arn="arn:aws:lambda:eu-west-1:123456789012:function:it:live",
    get_remaining_time_in_millis=lambda: 30_000,
)
result = handler({event!r}, context)
print(json.dumps(dict(result, loaded=sorted(sys.modules))))
"""
NOTHING_LISTENS = "http://127.0.0.1:1"


class Bedrock(BaseHTTPRequestHandler):
    """Answers every Converse call with the same words."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        message = {"role": "assistant", "content": [{"text": "Paris"}]}
        usage = {"inputTokens": 3, "outputTokens": 1, "totalTokens": 4}
        body = {"output": {"message": message}, "stopReason": "end_turn", "usage": usage}
        reply = json.dumps({**body, "metrics": {"latencyMs": 1}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def bedrock() -> Iterator[str]:
    with serving(Bedrock) as url:
        yield url


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def request(method: str, path: str, body: dict[str, str] | None = None) -> dict[str, object]:
    """A Function URL's event."""
    iam = {"accountId": "111122223333", "callerId": "AIDAEXAMPLE"}
    http = {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1"}
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"host": "it.lambda-url.eu-west-1.on.aws", "content-type": "application/json"},
        "requestContext": {"http": http, "authorizer": {"iam": iam}, "stage": "$default"},
        "body": json.dumps(body) if body else None,
        "isBase64Encoded": False,
    }


def environment(bedrock: str) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": bedrock,
        "LLM_CACHE_NAMESPACE": "it",
        "MODEL_ID": "global.amazon.nova-2-lite-v1:0",
        "MODEL_MAX_TOKENS": "512",
        "POWERTOOLS_SERVICE_NAME": "it",
        "UPSTASH_REDIS_REST_URL": NOTHING_LISTENS,
        "UPSTASH_REDIS_REST_TOKEN": "none",
    }


def last_line(output: str) -> dict[str, object]:
    result: dict[str, object] = json.loads(output.splitlines()[-1])
    return result


def test_built_ask_answers_when_no_cache_is_in_reach(host: Artifacts, bedrock: str) -> None:
    event = request("POST", "/ask", {"question": "What is the capital of France?"})
    script = INVOKE.format(module="ask", event=event)
    reply = last_line(host.run("AskFunction", script, **environment(bedrock)))
    assert reply["statusCode"] == 200
    assert json.loads(str(reply["body"]))["answer"] == "Paris"


def test_built_ask_never_imports_numpy(host: Artifacts, bedrock: str) -> None:
    script = INVOKE.format(module="ask", event=request("GET", "/health"))
    reply = last_line(host.run("AskFunction", script, **environment(bedrock)))
    assert reply["statusCode"] == 200
    assert "numpy" not in str(reply["loaded"])


READ = """
from llm_cache import CacheConfig
from llm_cache._upstash.credentials import fetch
from llm_cache._entries.protection import Signing
names = {f"LLM_CACHE_{name}_PARAMETER": name for name in ("URL", "TOKEN")}
found = fetch(CacheConfig.from_env(names, namespace="it"), Signing)
print(found.url, sorted({"boto3", "botocore", "aws_lambda_powertools"} & set(sys.modules)))
"""


def test_built_layer_reads_secrets_on_lambda_without_boto3(host: Artifacts) -> None:
    with ssm.serving() as parameters:
        parameters.values = {"URL": "https://x.upstash.io", "TOKEN": "token"}
        assert host.run(None, READ, **parameters.on_lambda) == "https://x.upstash.io []"


def test_built_flush_loads_without_langchain(host: Artifacts, bedrock: str) -> None:
    script = "import flush_cache; print('langchain_core' in sys.modules)"
    assert host.run("FlushCacheFunction", script, **environment(bedrock)) == "False"


class S3(Bedrock):
    """Has every object, and takes every other: a bucket without versions, and Bedrock beside it."""

    stored: ClassVar[dict[str, bytes]] = {}

    def do_GET(self) -> None:
        content = b"A document." if "/documents/" in self.path.split("?")[0] else None
        found = self.stored.get(self.path.split("?")[0], content)
        self._reply(404 if found is None or "summaries" in self.path else 200, found or b"")

    def do_PUT(self) -> None:
        self.stored[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self._reply(200, b"")

    def _reply(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def test_built_summarize_works_when_no_cache_is_in_reach(host: Artifacts) -> None:
    event = messages({"bucket": "documents", "key": "documents/a.txt"})
    with serving(S3) as url:
        told = {**environment(url), "AWS_ENDPOINT_URL_S3": url}
        reply = last_line(
            host.run("SummarizeFunction", INVOKE.format(module="summarize", event=event), **told)
        )
    assert reply["batchItemFailures"] == []
    (written,) = S3.stored.values()
    assert b'"summary": "Paris"' in written


def test_built_summarize_starts_without_langchain(host: Artifacts) -> None:
    script = "import summarize; print('langchain_core' in sys.modules)"
    assert host.run("SummarizeFunction", script, **environment(NOTHING_LISTENS)) == "False"

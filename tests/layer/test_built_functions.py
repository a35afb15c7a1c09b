"""The functions run as they were built: no file is missing."""

import json
from collections.abc import Iterator

import pytest
from tests.benchmarks.fake_aws import Handler, http
from tests.functions.bedrock import Bedrock
from tests.integration.upstash import ssm
from tests.layer.artifacts import Artifacts

from local_cloud.stack.lambda_events import function_url, messages

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
NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    """The variables of a function with a model and S3 on loopback, and an unreachable cache."""
    Handler.model, Handler.stored = Bedrock(), {}
    with http() as port:
        yield {
            "AWS_ACCESS_KEY_ID": "none",
            "AWS_SECRET_ACCESS_KEY": "none",
            "AWS_REGION": "eu-west-1",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": f"http://127.0.0.1:{port}",
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}",
            "LLM_CACHE_NAMESPACE": "it",
            "MODEL_ID": "global.amazon.nova-2-lite-v1:0",
            "MODEL_MAX_TOKENS": "512",
            "POWERTOOLS_SERVICE_NAME": "it",
            "UPSTASH_REDIS_REST_URL": NOWHERE,
            "UPSTASH_REDIS_REST_TOKEN": "none",
        }


def invoke(
    host: Artifacts, function: str, module: str, event: object, environment: dict[str, str]
) -> dict[str, object]:
    """Return the handler's reply and the loaded modules."""
    output = host.run(function, INVOKE.format(module=module, event=event), **environment)
    reply: dict[str, object] = json.loads(output.splitlines()[-1])
    return reply


def test_ask_answers_without_a_reachable_cache(
    host: Artifacts, environment: dict[str, str]
) -> None:
    event = function_url("POST", "/ask", {"question": "What is the capital of France?"})
    reply = invoke(host, "AskFunction", "ask", event, environment)
    assert reply["statusCode"] == 200
    assert json.loads(str(reply["body"]))["answer"] == "Answer 1."


def test_ask_never_imports_numpy(host: Artifacts, environment: dict[str, str]) -> None:
    reply = invoke(host, "AskFunction", "ask", function_url("GET", "/health"), environment)
    assert reply["statusCode"] == 200
    assert "numpy" not in str(reply["loaded"])


def test_summarize_writes_a_summary_without_a_reachable_cache(
    host: Artifacts, environment: dict[str, str]
) -> None:
    event = messages({"bucket": "documents", "key": "documents/a.txt"})
    reply = invoke(host, "SummarizeFunction", "summarize", event, environment)
    assert reply["batchItemFailures"] == []
    (written,) = Handler.stored.values()
    assert b'"summary": "Answer 1."' in written


@pytest.mark.parametrize(
    ("function", "module"),
    [("FlushCacheFunction", "flush_cache"), ("SummarizeFunction", "summarize")],
)
def test_import_of_the_function_does_not_load_langchain(
    host: Artifacts, environment: dict[str, str], function: str, module: str
) -> None:
    script = f"import {module}; print('langchain_core' in sys.modules)"
    assert host.run(function, script, **environment) == "False"


READ = """
from llm_cache import CacheConfig
from llm_cache._upstash.credentials import fetch
from llm_cache._entries.protection import Signing
names = {f"LLM_CACHE_{name}_PARAMETER": name for name in ("URL", "TOKEN")}
found = fetch(CacheConfig.from_env(names, namespace="it"), Signing)
print(found.url, sorted({"boto3", "botocore", "aws_lambda_powertools"} & set(sys.modules)))
"""


def test_layer_reads_secrets_on_lambda_without_boto3(host: Artifacts) -> None:
    with ssm.serving() as parameters:
        parameters.values = {"URL": "https://x.upstash.io", "TOKEN": "token"}
        assert host.run(None, READ, **parameters.on_lambda) == "https://x.upstash.io []"

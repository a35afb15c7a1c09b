"""A hit in a cold environment imports neither LangChain nor the model's client."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.functions.asking import QUESTION, call
from tests.functions.bedrock import Bedrock
from tests.functions.events import function_url
from tests.integration.upstash import ssm
from tests.integration.upstash.ssm import Ssm

from llm_cache import ResponseCache

COLD = """
import asyncio, json, sys
asyncio.set_event_loop(asyncio.new_event_loop())
import ask
from tests.functions.events import Context
reply = ask.handler(json.load(sys.stdin), Context())
print(json.dumps([reply["statusCode"], json.loads(reply["body"]), sorted(sys.modules)]))
"""
HEAVY = {
    *("langchain_core", "langchain_aws", "langsmith"),
    *("boto3", "botocore.client", "bedrock.model"),
}


def cold(question: object, checkout: Path) -> tuple[dict[str, Any], set[str]]:
    """Invoke the function in a new process; return the answer and the imported modules."""
    folders = [checkout, checkout / "src", checkout / "functions/ask"]
    script = f"import sys; sys.path[:0] = {[str(folder) for folder in folders]}\n{COLD}"
    event = json.dumps(function_url("POST", "/ask", question))
    done = subprocess.run(
        [sys.executable, "-c", script], input=event, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    status, body, loaded = json.loads(done.stdout.splitlines()[-1])
    assert status == 200
    return body, set(loaded)


def test_cold_hit_imports_neither_langchain_nor_the_models_client(
    model: Bedrock, checkout: Path
) -> None:
    first = call(QUESTION)
    body, loaded = cold(QUESTION, checkout)
    assert (body["answer"], body["cache"]["status"]) == (first.body["answer"], "hit")
    assert not loaded & HEAVY
    assert len(model.requests) == 1
    assert set(sys.modules) >= HEAVY  # of this process, which had the miss


@pytest.mark.parametrize("environment", [Ssm.on_lambda, Ssm.under_snapstart])
def test_cold_hit_with_secrets_in_ssm_does_not_import_boto3(
    model: Bedrock, checkout: Path, environment: property, monkeypatch: pytest.MonkeyPatch
) -> None:
    call(QUESTION)
    with ssm.serving() as parameters:
        ssm.use(environment.__get__(parameters), monkeypatch)
        for name in ("URL", "TOKEN"):
            parameters.values[name] = os.environ[f"UPSTASH_REDIS_REST_{name}"]
            monkeypatch.delenv(f"UPSTASH_REDIS_REST_{name}")
            monkeypatch.setenv(f"LLM_CACHE_{name}_PARAMETER", name)
        body, loaded = cold(QUESTION, checkout)
    assert (body["cache"]["status"], len(parameters.asked)) == ("hit", 1)
    assert not loaded & HEAVY


def test_model_has_a_cache_of_its_own_for_functions_without_a_response_cache(
    model: Bedrock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ResponseCache, "cached", lambda _, answer: answer)
    refused = call(QUESTION, cache_control="only-if-cached")
    assert (refused.status, refused.error["code"]) == (504, "not_cached")
    first, again = call(QUESTION), call(QUESTION)
    assert (first.cache, again.cache) == ("miss", "hit")
    assert again.body["usage"] == {"input_tokens": 0, "output_tokens": 0, "saved_tokens": 14}
    assert len(model.requests) == 1

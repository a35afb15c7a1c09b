"""The model behind Bedrock: its answers, its counts and injected faults."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from local_cloud.aws.emulator import EmulatedAws
from local_cloud.model.bedrock_faults import BedrockFault
from local_cloud.model.model_process import ModelProcess
from upstash_endpoint.children import free_port


@pytest.fixture(autouse=True)
def _healed(model: ModelProcess) -> Iterator[None]:
    yield
    model.heal()


def converse(aws: EmulatedAws, question: str, max_tokens: int = 50) -> dict[str, Any]:
    reply: dict[str, Any] = aws.client("bedrock-runtime").converse(
        modelId="amazon.nova-2-lite-v1:0",
        messages=[{"role": "user", "content": [{"text": question}]}],
        inferenceConfig={"maxTokens": max_tokens},
    )
    return reply


def answer(reply: dict[str, Any]) -> str:
    text: str = reply["output"]["message"]["content"][0]["text"]
    return text


def test_echo_answers_the_last_question_and_counts_words_as_tokens(model: ModelProcess) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "two"},
        {"role": "user", "content": [{"type": "text", "text": "three four"}]},
    ]
    reply = httpx.post(f"{model.url}/v1/chat/completions", json={"messages": messages}).json()
    assert reply["choices"][0]["message"]["content"] == "You said: three four"
    assert reply["choices"][0]["finish_reason"] == "stop"
    assert reply["usage"] == {"prompt_tokens": 6, "completion_tokens": 4, "total_tokens": 10}


def test_converse_calls_the_model_once(aws: EmulatedAws, model: ModelProcess) -> None:
    calls, answers = model.calls, model.answers
    reply = converse(aws, "Where is Paris?")
    assert answer(reply) == "You said: Where is Paris?"
    assert reply["usage"] == {"inputTokens": 3, "outputTokens": 5, "totalTokens": 8}
    assert reply["stopReason"] == "end_turn"
    assert (model.calls - calls, model.answers - answers) == (1, 1)


def test_truncated_answer_has_its_stop_reason(aws: EmulatedAws) -> None:
    reply = converse(aws, "a b c d", max_tokens=3)
    assert answer(reply) == "You said: a"
    assert reply["stopReason"] == "max_tokens"


@pytest.mark.parametrize(
    ("fault", "status", "error"),
    [
        (BedrockFault.THROTTLED, 429, "ThrottlingException"),
        (BedrockFault.BROKEN, 500, "InternalServerException"),
        (BedrockFault.UNAVAILABLE, 503, "ServiceUnavailableException"),
        (BedrockFault.TIMED_OUT, 408, "ModelTimeoutException"),
        (BedrockFault.DENIED, 403, "AccessDeniedException"),
    ],
)
def test_fault_raises_its_error_a_number_of_times(
    aws: EmulatedAws, model: ModelProcess, fault: BedrockFault, status: int, error: str
) -> None:
    calls, answers = model.calls, model.answers
    model.fail(fault, times=2)
    for _ in range(2):
        with pytest.raises(ClientError) as raised:
            converse(aws, "hello")
        assert raised.value.response["Error"]["Code"] == error
        assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert answer(converse(aws, "hello")) == "You said: hello"
    assert (model.calls - calls, model.answers - answers) == (3, 1)


def test_fault_without_a_number_lasts_until_heal(aws: EmulatedAws, model: ModelProcess) -> None:
    model.fail(BedrockFault.THROTTLED)
    for _ in range(3):
        with pytest.raises(ClientError):
            converse(aws, "hello")
    model.heal()
    assert answer(converse(aws, "hello")) == "You said: hello"


def test_slow_model_answers_late(aws: EmulatedAws, model: ModelProcess) -> None:
    model.fail(BedrockFault.SLOW, times=1, seconds=0.4)
    began = time.monotonic()
    converse(aws, "hello")
    assert time.monotonic() - began >= 0.4


def test_hanging_model_never_answers(model: ModelProcess) -> None:
    model.fail(BedrockFault.HANGS, times=1)
    short = httpx.Timeout(60, read=0.3)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{model.url}/model/any/converse", json={}, timeout=short)


def test_answer_of_the_emulators_mock_is_an_error(tmp_path: Path) -> None:
    # An emulator that cannot reach its model answers from a mock, without an error.
    port, nowhere = free_port(), f"http://127.0.0.1:{free_port()}"
    aws = EmulatedAws.start(port=port, bedrock_url=nowhere, folder=tmp_path / "aws")
    model = ModelProcess.start("echo", cloud_port=port, folder=tmp_path / "model")
    try:
        aws.wait()
        model.wait()
        with pytest.raises(ClientError, match="the emulator answered, not the model"):
            converse(replace(aws, bedrock_url=model.url), "hello")
    finally:
        model.stop()
        aws.stop()


def test_real_model_repeats_its_answer_and_counts_tokens(tmp_path: Path) -> None:
    question = {"messages": [{"role": "user", "content": "Name a colour."}], "max_tokens": 8}
    model = ModelProcess.start("smollm2", cloud_port=free_port(), folder=tmp_path)
    try:
        model.wait()
        url = f"{model.url}/v1/chat/completions"
        first, second = (httpx.post(url, json=question, timeout=600).json() for _ in range(2))
    finally:
        model.stop()
    assert first["choices"] == second["choices"]
    assert first["choices"][0]["message"]["content"].strip()
    assert 0 < first["usage"]["completion_tokens"] <= 8

"""SSM parameters, read without boto3 on Lambda."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from tests.faults.output_recorder import recorded_output
from tests.integration.upstash import ssm as server
from tests.integration.upstash.ssm import Ssm

from llm_cache import CacheConfig, Signing, StoreUnavailable
from llm_cache._errors import StoreTimeout
from llm_cache._upstash import ssm_parameters
from llm_cache._upstash.blocking_pool import send_request as send
from llm_cache._upstash.credentials import fetch
from llm_cache._upstash.http_messages import HttpReply
from llm_cache._upstash.ssm_parameters import get_parameters

VALUES = {"/cache/url": "https://x.upstash.io", "/cache/token": "mark-token"}
NAMES = list(VALUES)
MARK = "mark-"


@pytest.fixture
def ssm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ssm]:
    monkeypatch.setattr(ssm_parameters, "MAX_BACKOFF", 0.0)
    with server.serving() as started:
        started.values = dict(VALUES)
        yield started


def read(ssm: Ssm, *names: str) -> dict[str, str]:
    return get_parameters(names or NAMES, ssm.on_lambda, send)


def error_of(call: Callable[[], object]) -> str:
    """Return the text of a call's error; assert that it and its causes show no secret."""
    with recorded_output() as heard:
        heard.run(call)
        assert heard.leaks(MARK) == []
    with pytest.raises(StoreUnavailable) as raised:
        call()
    return str(raised.value)


def test_several_parameters_are_read_in_one_signed_request(ssm: Ssm) -> None:
    assert read(ssm) == VALUES
    assert ssm.asked == [{"Names": NAMES, "WithDecryption": True}]


def test_repeated_name_is_requested_once(ssm: Ssm) -> None:
    assert read(ssm, "/cache/url", "/cache/url") == {"/cache/url": "https://x.upstash.io"}
    assert ssm.asked[0]["Names"] == ["/cache/url"]


@pytest.mark.parametrize("name", ["/a:3", "arn:aws:ssm:eu-west-1:1:parameter/a:3"])
def test_parameter_is_found_by_name_or_arn_with_a_version(ssm: Ssm, name: str) -> None:
    arn = "arn:aws:ssm:eu-west-1:1:parameter/a"
    one = {"Name": "/a", "ARN": arn, "Selector": ":3", "Value": "found", "Version": 3}
    ssm.failures = [(200, {"Parameters": [one], "InvalidParameters": []})]
    assert read(ssm, name) == {name: "found"}


def test_only_the_missing_parameter_is_named(ssm: Ssm) -> None:
    error = error_of(lambda: read(ssm, "/cache/url", "/none"))
    assert error == "SSM did not give /none: no such parameter in eu-west-1"


@pytest.mark.parametrize("failure", [None, (503, b"<html>mark-page</html>"), (429, {})])
def test_retryable_failure_is_retried_once(ssm: Ssm, failure: tuple[int, object] | None) -> None:
    ssm.failures = [failure]
    assert read(ssm) == VALUES
    ssm.failures, ssm.asked = [failure] * 4, []
    assert error_of(lambda: read(ssm)).startswith("SSM did not give /cache/url, /cache/token: ")
    assert (ssm.failures, ssm.asked) == ([], [])  # two attempts for each of two calls


INVALID = "the reply is not SSM's"


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        ((400, {"__type": "AccessDenied", "message": "mark-message"}), "AccessDenied"),
        ((200, b"mark-page"), INVALID),
        ((200, {"Parameters": ["mark-value"]}), INVALID),
        ((200, {"Parameters": [{"Name": "/a", "Nothing": "mark-value"}]}), INVALID),
    ],
)
def test_refusal_is_not_retried_and_its_error_names_the_parameters(
    ssm: Ssm, failure: tuple[int, object], reason: str
) -> None:
    ssm.failures = [failure, failure]
    error = error_of(lambda: read(ssm))
    assert error == f"SSM did not give /cache/url, /cache/token: GetParameters: {reason}"
    assert ssm.asked == []


@pytest.mark.parametrize(
    ("environment", "wrong", "code"),
    [
        (Ssm.on_lambda, "AWS_SECRET_ACCESS_KEY", "GetParameters: InvalidSignatureException"),
        (Ssm.under_snapstart, "AWS_CONTAINER_AUTHORIZATION_TOKEN", "FULL_URI: HTTP 401"),
    ],
)
def test_wrong_aws_secret_is_refused_with_the_code(
    ssm: Ssm, environment: property, wrong: str, code: str
) -> None:
    environ = {**environment.__get__(ssm), wrong: "mark-wrong"}
    assert error_of(lambda: get_parameters(NAMES, environ, send)).endswith(code)


def test_all_attempts_share_one_deadline(monkeypatch: pytest.MonkeyPatch, ssm: Ssm) -> None:
    now, deadlines = [0.0], []

    def silent(url: str, *, deadline: float, **request: object) -> HttpReply:
        deadlines.append(deadline)
        now[0] = deadline
        raise StoreTimeout("mark-late")

    clock = SimpleNamespace(monotonic=lambda: now[0], time=time.time, sleep=lambda _: None)
    monkeypatch.setattr(ssm_parameters, "time", clock)
    error = error_of(lambda: get_parameters(NAMES, ssm.on_lambda, silent))
    assert error.endswith("GetParameters: timeout")
    assert deadlines == [5.0, 10.0, 15.0, 20.0]  # of two calls


@pytest.mark.parametrize("environment", [Ssm.on_lambda, Ssm.under_snapstart])
def test_secrets_are_read_without_boto3_on_lambda(ssm: Ssm, environment: property) -> None:
    ssm.values["/cache/protection"] = "A" * 43 + "="
    script = """
import sys
from llm_cache import CacheConfig
from llm_cache._upstash.credentials import fetch
from llm_cache._entries.protection import Signing
settings = CacheConfig(namespace="n", url_parameter="/cache/url", token_parameter="/cache/token",
    signing_key_parameter="/cache/protection")
found = fetch(settings, Signing)
print(found.url, found.token, type(found.protection).__name__)
print({"boto3", "botocore", "aws_lambda_powertools", "httpx"} & set(sys.modules))
"""
    environ = {"PATH": os.environ["PATH"], **environment.__get__(ssm)}
    run = subprocess.run(
        [sys.executable, "-c", script], env=environ, capture_output=True, text=True, check=True
    )
    assert run.stdout.splitlines() == ["https://x.upstash.io mark-token Signing", "set()"]


def test_secrets_are_read_by_boto3_off_lambda(ssm: Ssm, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**ssm.on_lambda, "AWS_LAMBDA_FUNCTION_NAME": ""}.items():
        monkeypatch.setenv(name, value)
    settings = CacheConfig(
        namespace="n", url_parameter="/cache/url", token_parameter="/cache/token"
    )
    assert fetch(settings, Signing).token == "mark-token"
    assert sorted(ssm.asked[0]["Names"]) == sorted(NAMES)

"""SSM parameters, read on Lambda without boto3."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from tests.faults.output_recorder import recorded_output
from tests.integration.upstash import ssm as server
from tests.integration.upstash.ssm import Ssm, is_signed

from llm_cache import CacheConfig, Signing, StoreUnavailable
from llm_cache._errors import StoreTimeout
from llm_cache._upstash import ssm_parameters
from llm_cache._upstash.blocking import fetch as send
from llm_cache._upstash.credentials import fetch
from llm_cache._upstash.http_exchange import Reply
from llm_cache._upstash.ssm_parameters import get_parameters

VALUES = {"/cache/url": "https://x.upstash.io", "/cache/token": "mark-token"}
NAMES = list(VALUES)
MARK = "mark-"


@pytest.fixture
def ssm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ssm]:
    monkeypatch.setattr(ssm_parameters, "PAUSE", 0.0)
    with server.serving() as started:
        started.values = dict(VALUES)
        yield started


def read(ssm: Ssm, *names: str) -> dict[str, str]:
    return get_parameters(names or NAMES, ssm.on_lambda, send)


def refusal(call: Callable[[], object]) -> str:
    """Return what the error of a call says, which holds no secret, with all its causes."""
    with recorded_output() as heard:
        heard.run(call)
        assert heard.leaks(MARK) == []
    with pytest.raises(StoreUnavailable) as raised:
        call()
    return str(raised.value)


def test_values_of_several_parameters_come_in_one_signed_request(ssm: Ssm) -> None:
    assert read(ssm) == VALUES
    assert ssm.asked == [{"Names": NAMES, "WithDecryption": True}]


def test_verifier_of_these_tests_refuses_what_was_altered(ssm: Ssm) -> None:
    sent: list[tuple[dict[str, str], bytes]] = []

    def noted(url: str, *, headers: dict[str, str], body: bytes, until: float) -> Reply:
        lower = {name.lower(): value for name, value in headers.items()}
        sent.append(({**lower, "host": url.partition("//")[2]}, body))
        return send(url, headers=headers, body=body, until=until)

    get_parameters(NAMES, ssm.on_lambda, noted)
    ((headers, body),) = sent
    assert is_signed("POST", "/", headers, body)
    assert not is_signed("GET", "/", headers, body)
    assert not is_signed("POST", "/x", headers, body)
    assert not is_signed("POST", "/", headers, body + b" ")
    for name in ("host", "x-amz-date", "x-amz-target", "x-amz-security-token"):
        assert not is_signed("POST", "/", {**headers, name: "x"}, body)


def test_under_snapstart_the_access_key_comes_from_the_container_endpoint(ssm: Ssm) -> None:
    assert get_parameters(NAMES, ssm.under_snapstart, send) == VALUES


def test_name_that_is_wanted_twice_is_asked_for_once(ssm: Ssm) -> None:
    assert read(ssm, "/cache/url", "/cache/url") == {"/cache/url": "https://x.upstash.io"}
    assert ssm.asked[0]["Names"] == ["/cache/url"]


@pytest.mark.parametrize("name", ["/a:3", "arn:aws:ssm:eu-west-1:1:parameter/a:3"])
def test_parameter_is_found_by_its_arn_and_its_version(ssm: Ssm, name: str) -> None:
    arn = "arn:aws:ssm:eu-west-1:1:parameter/a"
    one = {"Name": "/a", "ARN": arn, "Selector": ":3", "Value": "it", "Version": 3}
    ssm.failures = [(200, {"Parameters": [one], "InvalidParameters": []})]
    assert read(ssm, name) == {name: "it"}


def test_missing_parameter_is_named_and_the_others_are_not(ssm: Ssm) -> None:
    told = refusal(lambda: read(ssm, "/cache/url", "/none"))
    assert told == "SSM did not give /none: no such parameter in eu-west-1"


ONCE_MORE = [
    None,
    (500, {"__type": "InternalServerError", "message": "mark-message"}),
    (503, b"<html>mark-page</html>"),
    (429, {}),
    (400, {"__type": "ThrottlingException", "message": "mark-message"}),
    (400, {"__type": "com.amazon.coral.service#ThrottlingException:http://x/"}),
]


@pytest.mark.parametrize("failure", ONCE_MORE)
def test_passing_failure_is_tried_once_more(ssm: Ssm, failure: tuple[int, object] | None) -> None:
    ssm.failures = [failure]
    assert read(ssm) == VALUES


@pytest.mark.parametrize("failure", ONCE_MORE)
def test_second_failure_is_the_last(ssm: Ssm, failure: tuple[int, object] | None) -> None:
    ssm.failures = [failure] * 4
    assert refusal(lambda: read(ssm)).startswith("SSM did not give /cache/url, /cache/token: ")
    assert not ssm.failures
    assert not ssm.asked


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        ((400, {"__type": "AccessDeniedException", "Message": "mark-m"}), "AccessDeniedException"),
        ((400, {"__type": "com.amazonaws.ssm#InvalidKeyId", "message": "mark-m"}), "InvalidKeyId"),
        ((400, {"__type": "mark-type with a value"}), "HTTP 400"),
        ((403, b"mark-page"), "HTTP 403"),
        ((301, b""), "HTTP 301"),
        ((200, b"mark-page"), "the reply is not SSM's"),
        ((200, {"Parameters": ["mark-value"]}), "the reply is not SSM's"),
        (
            (200, {"Parameters": [{"Name": "/a", "Nothing": "mark-value"}]}),
            "the reply is not SSM's",
        ),
    ],
)
def test_refusal_names_the_parameters_and_the_code_and_is_not_tried_again(
    ssm: Ssm, failure: tuple[int, object], code: str
) -> None:
    ssm.failures = [failure, failure]
    told = refusal(lambda: read(ssm))
    assert told == f"SSM did not give /cache/url, /cache/token: GetParameters: {code}"
    assert ssm.asked == []


def test_wrong_secret_key_is_refused_by_its_code(ssm: Ssm) -> None:
    environ = {**ssm.on_lambda, "AWS_SECRET_ACCESS_KEY": "mark-other"}
    told = refusal(lambda: get_parameters(NAMES, environ, send))
    assert told.endswith("GetParameters: InvalidSignatureException")


def test_refused_container_endpoint_is_named(ssm: Ssm) -> None:
    environ = {**ssm.under_snapstart, "AWS_CONTAINER_AUTHORIZATION_TOKEN": "mark-wrong"}
    told = refusal(lambda: get_parameters(NAMES, environ, send))
    assert told.endswith("AWS_CONTAINER_CREDENTIALS_FULL_URI: HTTP 401")


def test_all_attempts_share_one_deadline(monkeypatch: pytest.MonkeyPatch, ssm: Ssm) -> None:
    now, untils = [0.0], []

    def silent(url: str, *, until: float, **request: object) -> Reply:
        untils.append(until)
        now[0] = until
        raise StoreTimeout("mark-late")

    clock = SimpleNamespace(monotonic=lambda: now[0], time=time.time, sleep=lambda _: None)
    monkeypatch.setattr(ssm_parameters, "time", clock)
    told = refusal(lambda: get_parameters(NAMES, ssm.on_lambda, silent))
    assert told.endswith("GetParameters: timeout")
    assert untils == [5.0, 10.0, 15.0, 20.0]  # of two calls


@pytest.mark.parametrize("environment", [Ssm.on_lambda, Ssm.under_snapstart])
def test_on_lambda_the_secrets_come_without_boto3(ssm: Ssm, environment: property) -> None:
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


def test_elsewhere_boto3_reads_them_as_before(ssm: Ssm, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**ssm.on_lambda, "AWS_LAMBDA_FUNCTION_NAME": ""}.items():
        monkeypatch.setenv(name, value)
    settings = CacheConfig(
        namespace="n", url_parameter="/cache/url", token_parameter="/cache/token"
    )
    assert fetch(settings, Signing).token == "mark-token"
    assert sorted(ssm.asked[0]["Names"]) == sorted(NAMES)

"""Access key, region and SSM address from Lambda's environment, and when boto3 is needed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.endpoint_provider import EndpointProvider
from botocore.loaders import create_loader

from llm_cache._errors import StoreTimeout
from llm_cache._upstash.aws_environment import (
    CONTAINER,
    NEEDS_BOTO3,
    AwsRequestFailed,
    access_key,
    boto3_is_needed,
    region_of,
    request_json,
    ssm_url,
)
from llm_cache._upstash.http_messages import HttpReply
from llm_cache._upstash.sigv4 import AccessKey

REGION = {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1"}
KEY = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "token"}
LAMBDA = {"AWS_LAMBDA_FUNCTION_NAME": "it", **REGION, **KEY}
LOCAL = "http://127.0.0.1:9001/credentials"
SNAPSTART = {"AWS_LAMBDA_FUNCTION_NAME": "it", **REGION, CONTAINER: LOCAL}
TOKEN = "AWS_CONTAINER_AUTHORIZATION_TOKEN"
FILES = ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")


@pytest.mark.parametrize(
    ("environ", "needed"),
    [
        (LAMBDA, False),
        (SNAPSTART, False),
        ({**LAMBDA, **dict.fromkeys(FILES, "/dev/null")}, False),
        ({**LAMBDA, **dict.fromkeys(NEEDS_BOTO3, "")}, False),
        *(({**LAMBDA, name: "x"}, True) for name in NEEDS_BOTO3),
        *(({**LAMBDA, name: ""}, True) for name in [*KEY][:2]),
        ({**LAMBDA, **dict.fromkeys(REGION, "")}, True),
        ({**LAMBDA, "AWS_LAMBDA_FUNCTION_NAME": ""}, True),
        ({}, True),
    ],
)
def test_boto3_is_needed_off_lambda_and_for_its_own_settings(
    environ: dict[str, str], *, needed: bool
) -> None:
    assert boto3_is_needed(environ) is needed


def test_region_is_read_from_the_variable_that_boto3_reads() -> None:
    assert region_of({"AWS_REGION": "a", "AWS_DEFAULT_REGION": "b"}) == "b"
    assert (region_of({"AWS_REGION": "a"}), region_of({})) == ("a", "")


def regions() -> Iterator[str]:
    """Return botocore's regions without its pseudo-regions."""
    for partition in create_loader().load_data("partitions")["partitions"]:
        yield from (name for name in partition["regions"] if not name.endswith("-global"))


@pytest.fixture(scope="module")
def botocore() -> EndpointProvider:
    loader = create_loader()
    rules = loader.load_service_model("ssm", "endpoint-rule-set-1")
    return EndpointProvider(rules, loader.load_data("partitions"))


@pytest.mark.parametrize("fips", [False, True])
@pytest.mark.parametrize("dual", [False, True])
def test_ssm_address_equals_botocores_in_every_region(
    botocore: EndpointProvider, *, fips: bool, dual: bool
) -> None:
    flags = {"AWS_USE_FIPS_ENDPOINT": str(fips), "AWS_USE_DUALSTACK_ENDPOINT": str(dual).lower()}
    for region in [*regions(), "eu-new-1"]:
        expected = botocore.resolve_endpoint(Region=region, UseFIPS=fips, UseDualStack=dual).url
        assert ssm_url({"AWS_REGION": region, **flags}) == expected


OTHER, SSM = {"AWS_ENDPOINT_URL": "http://a"}, {"AWS_ENDPOINT_URL_SSM": "http://b"}
IGNORED = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"
DEFAULT = "https://ssm.eu-west-1.amazonaws.com"


@pytest.mark.parametrize(
    ("configured", "url"),
    [
        (OTHER, "http://a"),
        (SSM, "http://b"),
        (OTHER | SSM, "http://b"),
        (SSM | {IGNORED: "false"}, "http://b"),
        (SSM | {IGNORED: "True"}, DEFAULT),
        ({"AWS_ENDPOINT_URL_S3": "http://c"}, DEFAULT),
    ],
)
def test_configured_ssm_address_is_used(configured: dict[str, str], url: str) -> None:
    assert ssm_url(REGION | configured) == url


def reply(status: int, body: Any) -> HttpReply:
    return HttpReply(status, {}, json.dumps(body).encode(), reusable=True)


class Endpoint:
    """A container endpoint that records its requests."""

    def __init__(self, reply: HttpReply | Exception) -> None:
        self.reply, self.requests = reply, list[dict[str, Any]]()

    def __call__(self, url: str, **request: Any) -> HttpReply:
        self.requests.append({"url": url, **request})
        if isinstance(self.reply, Exception):
            raise self.reply
        return self.reply


@pytest.fixture
def endpoint() -> Endpoint:
    key = {"AccessKeyId": "id", "SecretAccessKey": "mark", "Token": "mark", "Expiration": "2026"}
    return Endpoint(reply(200, key))


def test_access_key_in_the_environment_costs_no_request(endpoint: Endpoint) -> None:
    assert access_key(LAMBDA | SNAPSTART, endpoint, 9.0) == AccessKey("id", "secret", "token")
    assert access_key({**LAMBDA, "AWS_SESSION_TOKEN": ""}, endpoint, 9.0).token is None
    assert endpoint.requests == []


def test_access_key_under_snapstart_comes_from_the_container_endpoint(endpoint: Endpoint) -> None:
    key = access_key(SNAPSTART | {TOKEN: "Basic x"}, endpoint, 9.0)
    assert key == AccessKey("id", "mark", "mark")
    headers = {"Accept": "application/json", "Authorization": "Basic x"}
    request = {"url": LOCAL, "method": "GET", "headers": headers}
    assert endpoint.requests == [{**request, "deadline": 9.0, "direct": True}]


def test_authorization_file_is_read_at_each_call(endpoint: Endpoint, tmp_path: Path) -> None:
    file = tmp_path / "token"
    for token in ("one", "two"):
        file.write_text(token)
        access_key(SNAPSTART | {f"{TOKEN}_FILE": str(file), TOKEN: "x"}, endpoint, 9.0)
    sent = [request["headers"]["Authorization"] for request in endpoint.requests]
    assert sent == ["one", "two"]


TRUSTED = [
    "https://credentials.example/x", "http://localhost/x", "http://127.9.9.9:80/x",
    "http://[::1]:80/x", "http://169.254.170.23/v1/credentials", "http://[fd00:ec2::23]/v1",
]  # fmt: skip
UNTRUSTED = ["http://aws.example/x", "http://10.0.0.1/", "http://169.254.169.254/", "x", "http://["]


@pytest.mark.parametrize(
    ("url", "trusted"),
    [
        *((url, True) for url in TRUSTED),
        *((url, False) for url in UNTRUSTED),
    ],
)
def test_only_a_container_endpoint_over_https_or_on_this_machine_gets_a_request(
    endpoint: Endpoint, url: str, *, trusted: bool
) -> None:
    if trusted:
        access_key({CONTAINER: url}, endpoint, 9.0)
    else:
        with pytest.raises(AwsRequestFailed, match=f"{CONTAINER} is neither https nor"):
            access_key({CONTAINER: url}, endpoint, 9.0)
    assert bool(endpoint.requests) is trusted


@pytest.mark.parametrize("token", ["mark\n", "mark\r\nHost: evil", "märk"])
def test_authorization_of_more_than_a_line_of_ascii_is_refused_and_not_shown(
    endpoint: Endpoint, token: str, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(token, encoding="utf-8")
    for environ in ({TOKEN: token}, {f"{TOKEN}_FILE": str(tmp_path / "token")}):
        with pytest.raises(AwsRequestFailed, match=TOKEN) as raised:
            access_key(SNAPSTART | environ, endpoint, 9.0)
        assert "mark" not in str(raised.value)
    with pytest.raises(AwsRequestFailed, match=f"{TOKEN}_FILE: FileNotFoundError"):
        access_key(SNAPSTART | {f"{TOKEN}_FILE": "/none"}, endpoint, 9.0)


@pytest.mark.parametrize("body", [{"AccessKeyId": "mark"}, ["mark"]])
def test_reply_without_an_access_key_is_refused(body: object) -> None:
    with pytest.raises(AwsRequestFailed, match=f"^{CONTAINER} gave no access key$"):
        access_key(SNAPSTART, Endpoint(reply(200, body)), 9.0)


@pytest.mark.parametrize(
    ("failure", "reason", "retryable"),
    [
        (StoreTimeout("mark"), "timeout", True),
        (
            reply(500, {"__type": "InternalServerError", "message": "mark"}),
            "InternalServerError",
            True,
        ),
        (reply(503, "mark"), "HTTP 503", True),
        (reply(429, {}), "HTTP 429", True),
        (reply(400, {"__type": "ThrottlingException"}), "ThrottlingException", True),
        (reply(400, {"__type": "com.amazon#SlowDown:http://x/"}), "SlowDown", True),
        (reply(400, {"__type": "com.amazonaws.ssm#InvalidKeyId"}), "InvalidKeyId", False),
        (reply(400, {"__type": "mark and a value"}), "HTTP 400", False),
        (HttpReply(403, {"x-amzn-errortype": "Denied"}, b"mark", reusable=True), "Denied", False),
        (reply(404, {"message": "mark"}), "HTTP 404", False),
        (reply(301, ""), "HTTP 301", False),
    ],
)
def test_failed_request_is_named_by_its_code_without_its_body(
    failure: HttpReply | Exception, reason: str, *, retryable: bool
) -> None:
    with pytest.raises(AwsRequestFailed) as raised:
        request_json(Endpoint(failure), "Action", "http://x")
    assert (str(raised.value), raised.value.retryable) == (f"Action: {reason}", retryable)

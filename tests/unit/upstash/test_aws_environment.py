"""What is read of Lambda's environment to ask SSM, and when boto3 is needed instead."""

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
    Failed,
    access_key,
    boto3_is_needed,
    region_of,
    ssm_url,
)
from llm_cache._upstash.sigv4 import AccessKey

REGION = {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1"}
KEY = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "token"}
LAMBDA = {"AWS_LAMBDA_FUNCTION_NAME": "it", **REGION, **KEY}
LOCAL = "http://127.0.0.1:9001/credentials"
SNAPSTART = {"AWS_LAMBDA_FUNCTION_NAME": "it", **REGION, CONTAINER: LOCAL}
TOKEN = "AWS_CONTAINER_AUTHORIZATION_TOKEN"


@pytest.mark.parametrize("environ", [LAMBDA, SNAPSTART])
def test_lambda_needs_no_boto3(environ: dict[str, str]) -> None:
    assert not boto3_is_needed(environ)


@pytest.mark.parametrize("name", NEEDS_BOTO3)
def test_setting_that_only_boto3_follows_needs_boto3(name: str) -> None:
    assert boto3_is_needed({**LAMBDA, name: "x"})
    assert not boto3_is_needed({**LAMBDA, name: ""})


def test_null_device_as_a_file_of_settings_needs_no_boto3() -> None:
    files = ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")
    assert not boto3_is_needed({**LAMBDA, **dict.fromkeys(files, "/dev/null")})


@pytest.mark.parametrize("environ", [{}, REGION | KEY, {**LAMBDA, "AWS_LAMBDA_FUNCTION_NAME": ""}])
def test_elsewhere_than_on_lambda_boto3_is_needed(environ: dict[str, str]) -> None:
    assert boto3_is_needed(environ)


@pytest.mark.parametrize("missing", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_without_a_whole_access_key_boto3_is_needed(missing: str) -> None:
    assert boto3_is_needed({**LAMBDA, missing: ""})


def test_without_a_region_boto3_is_needed() -> None:
    assert boto3_is_needed({**LAMBDA, **dict.fromkeys(REGION, "")})


def test_region_is_the_one_that_boto3_reads() -> None:
    assert region_of({"AWS_REGION": "a", "AWS_DEFAULT_REGION": "b"}) == "b"
    assert region_of({"AWS_REGION": "a"}) == "a"
    assert region_of({}) == ""


def regions() -> Iterator[str]:
    """Every region in botocore's data, less its pseudo-regions."""
    for partition in create_loader().load_data("partitions")["partitions"]:
        yield from (name for name in partition["regions"] if not name.endswith("-global"))


@pytest.fixture(scope="module")
def botocore() -> EndpointProvider:
    loader = create_loader()
    rules = loader.load_service_model("ssm", "endpoint-rule-set-1")
    return EndpointProvider(rules, loader.load_data("partitions"))


@pytest.mark.parametrize("fips", [False, True])
@pytest.mark.parametrize("dual", [False, True])
@pytest.mark.parametrize("region", [*regions(), "eu-new-1"])
def test_address_of_ssm_is_that_of_botocore(
    botocore: EndpointProvider, region: str, *, fips: bool, dual: bool
) -> None:
    wanted = botocore.resolve_endpoint(Region=region, UseFIPS=fips, UseDualStack=dual).url
    flags = {"AWS_USE_FIPS_ENDPOINT": str(fips), "AWS_USE_DUALSTACK_ENDPOINT": str(dual).lower()}
    assert ssm_url({"AWS_REGION": region, **flags}) == wanted


OTHER, SSM = {"AWS_ENDPOINT_URL": "http://a"}, {"AWS_ENDPOINT_URL_SSM": "http://b"}


@pytest.mark.parametrize(
    ("configured", "url"),
    [
        (OTHER, "http://a"),
        (SSM, "http://b"),
        (OTHER | SSM, "http://b"),
        (SSM | {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false"}, "http://b"),
        (
            SSM | {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "True"},
            "https://ssm.eu-west-1.amazonaws.com",
        ),
        ({"AWS_ENDPOINT_URL_S3": "http://c"}, "https://ssm.eu-west-1.amazonaws.com"),
    ],
)
def test_configured_address_of_ssm_is_used(configured: dict[str, str], url: str) -> None:
    assert ssm_url(REGION | configured) == url


class Reply:
    """A reply of the container endpoint."""

    def __init__(self, status: int, told: Any) -> None:
        self.status, self._told = status, told
        self.headers: dict[str, str] = {}

    def json(self) -> Any:
        return self._told


class Endpoint:
    """Notes what it is asked, and replies."""

    def __init__(self, reply: Any) -> None:
        self.reply, self.asked = reply, list[dict[str, Any]]()

    def __call__(self, url: str, **request: Any) -> Any:
        self.asked.append({"url": url, **request})
        if isinstance(self.reply, Exception):
            raise self.reply
        return self.reply


GIVEN = {"AccessKeyId": "id", "SecretAccessKey": "mark", "Token": "mark", "Expiration": "2026"}


def test_access_key_of_the_environment_costs_no_request() -> None:
    endpoint = Endpoint(Reply(200, GIVEN))
    assert access_key(LAMBDA | SNAPSTART, endpoint, 9.0) == AccessKey("id", "secret", "token")
    assert access_key({**LAMBDA, "AWS_SESSION_TOKEN": ""}, endpoint, 9.0).token is None
    assert endpoint.asked == []


def test_under_snapstart_the_container_endpoint_gives_the_access_key() -> None:
    endpoint = Endpoint(Reply(200, GIVEN))
    key = access_key(SNAPSTART | {TOKEN: "Basic x"}, endpoint, 9.0)
    assert key == AccessKey("id", "mark", "mark")
    headers = {"Accept": "application/json", "Authorization": "Basic x"}
    request = {"url": LOCAL, "method": "GET", "headers": headers}
    assert endpoint.asked == [{**request, "until": 9.0, "direct": True}]


def test_file_of_the_authorization_is_read_at_each_call(tmp_path: Path) -> None:
    endpoint, file = Endpoint(Reply(200, GIVEN)), tmp_path / "token"
    for token in ("one", "two"):
        file.write_text(token)
        access_key(SNAPSTART | {f"{TOKEN}_FILE": str(file), TOKEN: "x"}, endpoint, 9.0)
    assert [request["headers"]["Authorization"] for request in endpoint.asked] == ["one", "two"]


@pytest.mark.parametrize(
    "url",
    [
        "https://credentials.example/x",
        "http://localhost/x",
        "http://127.9.9.9:80/x",
        "http://[::1]:80/x",
        "http://169.254.170.23/v1/credentials",
        "http://[fd00:ec2::23]/v1/credentials",
    ],
)
def test_endpoint_over_https_or_on_this_machine_is_asked(url: str) -> None:
    access_key({CONTAINER: url}, Endpoint(Reply(200, GIVEN)), 9.0)


@pytest.mark.parametrize(
    "url",
    [
        "http://credentials.example/x",
        "http://10.0.0.1/",
        "http://169.254.169.254/",
        "x",
        "http://[",
    ],
)
def test_any_other_endpoint_is_refused_and_not_asked(url: str) -> None:
    endpoint = Endpoint(Reply(200, GIVEN))
    with pytest.raises(Failed, match=f"{CONTAINER} is neither https nor"):
        access_key({CONTAINER: url}, endpoint, 9.0)
    assert endpoint.asked == []


@pytest.mark.parametrize("token", ["mark\n", "mark\r\nHost: evil", "märk"])
def test_authorization_that_cannot_be_sent_is_refused_unseen(token: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(token, encoding="utf-8")
    for environ in ({TOKEN: token}, {f"{TOKEN}_FILE": str(tmp_path / "token")}):
        with pytest.raises(Failed, match=TOKEN) as raised:
            access_key(SNAPSTART | environ, Endpoint(Reply(200, GIVEN)), 9.0)
        assert "mark" not in str(raised.value)


def test_missing_file_of_the_authorization_is_named() -> None:
    with pytest.raises(Failed, match=f"{TOKEN}_FILE: FileNotFoundError"):
        access_key(SNAPSTART | {f"{TOKEN}_FILE": "/none"}, Endpoint(Reply(200, GIVEN)), 9.0)


@pytest.mark.parametrize(
    ("reply", "why", "again"),
    [
        (Reply(404, {"message": "mark"}), f"{CONTAINER}: HTTP 404", False),
        (Reply(503, "mark"), f"{CONTAINER}: HTTP 503", True),
        (Reply(200, {"AccessKeyId": "mark"}), f"{CONTAINER} gave no access key", False),
        (Reply(200, ["mark"]), f"{CONTAINER} gave no access key", False),
        (StoreTimeout("mark"), f"{CONTAINER}: timeout", True),
    ],
)
def test_failure_of_the_endpoint_is_told_without_its_body(
    reply: Any, why: str, *, again: bool
) -> None:
    with pytest.raises(Failed) as raised:
        access_key(SNAPSTART, Endpoint(reply), 9.0)
    assert (str(raised.value), raised.value.again) == (why, again)

"""Signatures of AWS requests: AWS's published examples, and botocore's signer."""

import itertools
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from llm_cache._upstash.sigv4 import AccessKey, sign_request

# https://docs.aws.amazon.com/general/latest/gr/signature-v4-test-suite.html
SUITE: dict[str, tuple[str, str, dict[str, str], str, str]] = {
    "get-vanilla-query-order-key-case": (
        "GET", "?Param2=value2&Param1=value1", {}, "host;x-amz-date",
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    ),
    "get-header-value-trim": (
        "GET", "", {"My-Header1": " value1", "My-Header2": '"a   b   c"'},
        "host;my-header1;my-header2;x-amz-date",
        "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
    ),
    "post-vanilla": (
        "POST", "", {}, "host;x-amz-date",
        "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SUITE)
def test_published_example_gets_its_published_signature(name: str) -> None:
    method, query, headers, names, signature = SUITE[name]
    found = sign_request(
        method, f"https://example.amazonaws.com/{query}", headers, b"",
        key=AccessKey("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
        region="us-east-1", service="service", now=1_440_938_160.0,
    )  # fmt: skip
    scope = "AKIDEXAMPLE/20150830/us-east-1/service/aws4_request"
    expected = f"Credential={scope}, SignedHeaders={names}, Signature={signature}"
    assert found["Authorization"] == f"AWS4-HMAC-SHA256 {expected}"
    assert found["X-Amz-Date"] == "20150830T123600Z"


TARGETS = [
    "", "/", "//", "/a/b/../c/./d/", "/../..//a", "/a%20b~c", "/?", "/?b=2&a=%2F&a=1&c", "/a?x=y&x",
]  # fmt: skip
HOSTS = ["x.io", "X.io:8080", "[::1]:80", "x:443"]
HEADERS: list[dict[str, str]] = [{}, {"X-B": " a  b\t", "x-a": '"c   d"', "Content-Type": ""}]
KEYS = [AccessKey("id", "secret"), AccessKey("id", "s/+e", "token==")]


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("target", TARGETS)
def test_signature_equals_botocores(scheme: str, host: str, target: str) -> None:
    url = f"{scheme}://{host}{target}"
    for headers, key, now in itertools.product(HEADERS, KEYS, (0, 4_000_000_000)):
        request = AWSRequest("POST", url, headers=headers, data=b"body")
        credentials: Any = Credentials(key.id, key.secret, key.token)
        at = datetime.fromtimestamp(now, UTC)
        with patch("botocore.auth.get_current_datetime", lambda at=at: at):
            SigV4Auth(credentials, "ssm", "eu-west-1").add_auth(request)
        scope: Any = {"region": "eu-west-1", "service": "ssm"}
        found = sign_request("POST", url, headers, b"body", key=key, now=now, **scope)
        assert found == dict(request.headers.items())


def test_repr_of_an_access_key_shows_no_secret() -> None:
    assert repr(AccessKey("id", "mark", "mark")) == "AccessKey(id='id')"

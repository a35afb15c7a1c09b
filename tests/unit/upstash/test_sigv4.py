"""Signatures of AWS requests: AWS's published examples, and botocore's signer."""

import string
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from llm_cache._upstash.sigv4 import AccessKey, signed

# https://docs.aws.amazon.com/general/latest/gr/signature-v4-test-suite.html
SUITE_URL = "https://example.amazonaws.com/"
SUITE_SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
SUITE_TIME = 1_440_938_160.0  # 2015-08-30T12:36:00Z
SUITE_TOKEN = (
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPf"
    "IeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ"
    "0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDr"
    "ypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
)
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
TRIMMED = {"My-Header1": " value1", "My-Header2": '"a   b   c"'}
SUITE: dict[str, tuple[str, str, dict[str, str], bytes, str | None, str, str]] = {
    "get-vanilla": (
        "GET", "", {}, b"", None, "host;x-amz-date",
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
    "get-vanilla-query-order-key-case": (
        "GET", "?Param2=value2&Param1=value1", {}, b"", None, "host;x-amz-date",
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    ),
    "get-header-value-trim": (
        "GET", "", TRIMMED, b"", None, "host;my-header1;my-header2;x-amz-date",
        "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
    ),
    "post-vanilla": (
        "POST", "", {}, b"", None, "host;x-amz-date",
        "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
    ),
    "post-header-key-sort": (
        "POST", "", {"My-Header1": "value1"}, b"", None, "host;my-header1;x-amz-date",
        "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
    ),
    "post-x-www-form-urlencoded": (
        "POST", "", FORM, b"Param1=value1", None, "content-type;host;x-amz-date",
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
    ),
    "post-sts-header-before": (
        "POST", "", {}, b"", SUITE_TOKEN, "host;x-amz-date;x-amz-security-token",
        "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SUITE)
def test_published_example_gets_its_published_signature(name: str) -> None:
    method, target, headers, body, token, names, signature = SUITE[name]
    found = signed(
        method, SUITE_URL + target, headers, body,
        key=AccessKey("AKIDEXAMPLE", SUITE_SECRET, token),
        region="us-east-1", service="service", now=SUITE_TIME,
    )  # fmt: skip
    scope = "AKIDEXAMPLE/20150830/us-east-1/service/aws4_request"
    told = f"Credential={scope}, SignedHeaders={names}, Signature={signature}"
    assert found["Authorization"] == f"AWS4-HMAC-SHA256 {told}"
    assert found["X-Amz-Date"] == "20150830T123600Z"
    assert found.get("X-Amz-Security-Token") == token


UNRESERVED = string.ascii_letters + string.digits + "-._~"
visible = st.text(string.ascii_letters + string.digits + string.punctuation, min_size=1)
words = st.text(UNRESERVED + "%", min_size=1, max_size=12)
schemes = st.sampled_from(["http", "https"])
hosts = st.one_of(
    st.from_regex(r"[A-Za-z0-9-]{1,12}\.[A-Za-z]{2,9}(:[1-9][0-9]{0,3})?", fullmatch=True),
    st.sampled_from(["[::1]", "[::1]:8080", "x:443", "x:80"]),
)
paths = st.lists(st.sampled_from(["/", ".", "..", "//"]) | words, max_size=6).map("/".join)
pairs = st.tuples(words, words).map("=".join) | words
queries = st.lists(pairs, max_size=5).map("&".join)
names = st.text(string.ascii_letters + string.digits, min_size=1, max_size=8).map("X-{}".format)
values = st.text(string.ascii_letters + " \t,;=\"'", max_size=20)


def distinct(headers: dict[str, str]) -> bool:
    return len({name.lower() for name in headers}) == len(headers)


@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD"]),
    url=st.builds(
        "{}://{}/{}?{}".format, st.sampled_from(["http", "https"]), hosts, paths, queries
    ),
    headers=st.dictionaries(names, values, max_size=4).filter(distinct),
    body=st.binary(max_size=64),
    key=st.builds(AccessKey, visible, visible, st.none() | visible),
    region=words,
    service=words,
    now=st.integers(0, 4_000_000_000),
)
def test_signature_is_that_of_botocore(
    method: str,
    url: str,
    headers: dict[str, str],
    body: bytes,
    key: AccessKey,
    now: int,
    **scope: str,
) -> None:
    request = AWSRequest(method, url, headers=headers, data=body)
    credentials: Any = Credentials(key.id, key.secret, key.token)
    at = datetime.fromtimestamp(now, UTC)
    with patch("botocore.auth.get_current_datetime", lambda: at):
        SigV4Auth(credentials, scope["service"], scope["region"]).add_auth(request)
    found = signed(method, url, headers, body, key=key, now=now, **scope)
    assert found == dict(request.headers.items())


def test_representation_of_an_access_key_shows_no_secret() -> None:
    assert repr(AccessKey("id", "mark", "mark")) == "AccessKey(id='id')"

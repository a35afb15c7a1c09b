"""The secrets of a stack are stored where they are missing, and are seen nowhere."""

import base64
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from deployment.failure import Failure
from deployment.stored import store_what_is_missing
from llm_cache.keyring import Keyring

STACK = {
    "UpstashUrlParameter": "/shop/url",
    "UpstashTokenParameter": "/shop/token",
    "UpstashFlushTokenParameter": "",
    "SigningKeyParameter": "",
    "EncryptionKeyParameter": "",
}
ENVIRON = {
    "UPSTASH_REDIS_REST_URL": "https://shop.upstash.io",
    "UPSTASH_REDIS_REST_TOKEN": "s3cr3t",
}


@pytest.fixture
def ssm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        yield boto3.client("ssm", region_name="eu-west-1")


def value(ssm: Any, name: str) -> str:
    found = ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]
    assert found["Type"] == "SecureString"
    told: str = found["Value"]
    return told


def nobody(question: str) -> str:
    raise Failure(question)


def test_values_come_from_the_environment(ssm: Any) -> None:
    assert store_what_is_missing(ssm, STACK, ENVIRON, nobody) == ["/shop/url", "/shop/token"]
    assert value(ssm, "/shop/url") == "https://shop.upstash.io"
    assert value(ssm, "/shop/token") == "s3cr3t"


def test_what_is_not_in_the_environment_is_asked_for_by_name(ssm: Any) -> None:
    asked = list[str]()

    def ask(question: str) -> str:
        asked.append(question.split(maxsplit=1)[0])
        return " typed \n"

    assert store_what_is_missing(ssm, STACK, {}, ask) == ["/shop/url", "/shop/token"]
    assert asked == ["/shop/url", "/shop/token"]
    assert value(ssm, "/shop/token") == "typed"


def test_what_exists_is_left_and_not_asked_for(ssm: Any) -> None:
    ssm.put_parameter(Name="/shop/url", Value="https://old", Type="SecureString")
    ssm.put_parameter(Name="/shop/token", Value="old", Type="SecureString")
    assert store_what_is_missing(ssm, STACK, ENVIRON, nobody) == []
    assert value(ssm, "/shop/token") == "old"


def test_a_key_is_made_up_and_is_one(ssm: Any) -> None:
    named = {**STACK, "EncryptionKeyParameter": "/shop/key", "SigningKeyParameter": "/shop/sign"}
    store_what_is_missing(ssm, named, ENVIRON, nobody)
    made = {value(ssm, "/shop/key"), value(ssm, "/shop/sign")}
    assert [len(base64.b64decode(key)) for key in made] == [32, 32]
    for key in made:
        Keyring.parse("key", key)  # raises for one that is none


def test_a_secret_of_secrets_manager_is_not_looked_for(ssm: Any) -> None:
    named = {**STACK, "SigningKeyParameter": "/aws/reference/secretsmanager/shop"}
    assert store_what_is_missing(ssm, named, ENVIRON, nobody) == ["/shop/url", "/shop/token"]


@pytest.mark.parametrize("typed", ["", "  "])
def test_nothing_is_no_secret(ssm: Any, typed: str) -> None:
    with pytest.raises(Failure, match="nothing was given for /shop/url"):
        store_what_is_missing(ssm, STACK, {}, lambda _: typed)
    assert ssm.describe_parameters()["Parameters"] == []


def test_where_nobody_can_be_asked_it_says_what_to_set(ssm: Any) -> None:
    with pytest.raises(Failure, match=r"/shop/url is missing: .*UPSTASH_REDIS_REST_URL"):
        store_what_is_missing(ssm, STACK, {}, nobody)


def test_nothing_of_a_secret_is_printed(ssm: Any, capfd: pytest.CaptureFixture[str]) -> None:
    told = store_what_is_missing(ssm, STACK, ENVIRON, nobody)
    assert "s3cr3t" not in "".join([*told, *capfd.readouterr()])

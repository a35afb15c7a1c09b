"""The secrets of a stack are checked with Upstash, stored where they are missing, seen nowhere."""

import base64
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from deployment.command_failure import CommandFailure
from deployment.stack_secrets import Ask, StackSecrets
from llm_cache._entries.keyring import Keyring
from upstash_endpoint.children import free_port
from upstash_endpoint.endpoint import UpstashEndpoint

STACK = {
    "UpstashUrlParameter": "/shop/url",
    "UpstashTokenParameter": "/shop/token",
    "UpstashFlushTokenParameter": "",
    "SigningKeyParameter": "",
    "EncryptionKeyParameter": "",
}
URL, TOKEN = "UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN"


@pytest.fixture
def ssm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        yield boto3.client("ssm", region_name="eu-west-1")


@pytest.fixture
def right(upstash: UpstashEndpoint) -> dict[str, str]:
    return {URL: upstash.url, TOKEN: upstash.token}


def value(ssm: Any, name: str) -> str:
    found = ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]
    assert found["Type"] == "SecureString"
    told: str = found["Value"]
    return told


def stored(ssm: Any) -> list[str]:
    return sorted(it["Name"] for it in ssm.describe_parameters()["Parameters"])


def refusal(ssm: Any, environ: dict[str, str], ask: Ask | None = None) -> str:
    with pytest.raises(CommandFailure) as refused:
        StackSecrets(ssm, STACK, environ, ask).store_missing()
    assert stored(ssm) == []
    return str(refused.value)


def test_values_come_from_the_environment(ssm: Any, right: dict[str, str]) -> None:
    assert StackSecrets(ssm, STACK, right, None).store_missing() == ["/shop/url", "/shop/token"]
    assert value(ssm, "/shop/url") == right[URL]
    assert value(ssm, "/shop/token") == right[TOKEN]


def test_value_that_is_not_in_the_environment_is_asked_for_by_name(
    ssm: Any, right: dict[str, str]
) -> None:
    asked = list[str]()

    def ask(question: str) -> str:
        asked.append(question.partition(":")[0])
        return f" {right[TOKEN]} \n"

    StackSecrets(ssm, STACK, {URL: right[URL]}, ask).store_missing()
    assert asked == ["/shop/token"]
    assert value(ssm, "/shop/token") == right[TOKEN]


def test_existing_secret_is_left_and_not_asked_for(ssm: Any, right: dict[str, str]) -> None:
    for name in ("/shop/url", "/shop/token"):
        ssm.put_parameter(Name=name, Value="old", Type="SecureString")
    assert StackSecrets(ssm, STACK, right, None).store_missing() == []
    assert value(ssm, "/shop/token") == "old"
    assert StackSecrets(ssm, STACK, {}, None).existing() == ["/shop/token", "/shop/url"]


def test_missing_secrets_are_named_at_once_with_their_variables(ssm: Any) -> None:
    told = refusal(ssm, {})
    assert "/shop/url: the REST URL of the Upstash database, in UPSTASH_REDIS_REST_URL" in told
    assert "/shop/token: its REST token, in UPSTASH_REDIS_REST_TOKEN" in told
    assert "/shop/token" in refusal(ssm, {}, lambda _: " ")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://shop.upstash.io", f"{URL} begins with http://; accepted is https://"),
        ("rediss://default:s3cr3t@shop.upstash.io:6379", f"{URL} is not accepted: the REST URL"),
        ("s3cr3t", f"{URL} is not accepted: the REST URL begins with https://"),
        ('"https://shop.upstash.io"', f"{URL} is not accepted"),
    ],
)
def test_address_that_is_not_https_is_refused_and_not_shown(ssm: Any, url: str, told: str) -> None:
    said = refusal(ssm, {URL: url, TOKEN: "s3cr3t"})
    assert told in said
    assert "s3cr3t" not in said


def test_address_where_nobody_answers_is_refused(ssm: Any, right: dict[str, str]) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    said = refusal(ssm, {**right, URL: nobody})
    assert f"{URL}: {nobody.removeprefix('http://')} cannot be reached" in said


@pytest.mark.parametrize(
    ("token", "told"), [("wr0ng", f"{TOKEN}: 127.0.0.1:"), ("a b", f"{TOKEN} is not accepted")]
)
def test_token_that_upstash_refuses_is_not_stored_and_not_shown(
    ssm: Any, right: dict[str, str], token: str, told: str
) -> None:
    said = refusal(ssm, {**right, TOKEN: token})
    assert told in said
    assert token not in said


def test_token_is_checked_with_the_address_that_is_stored(ssm: Any, right: dict[str, str]) -> None:
    ssm.put_parameter(Name="/shop/url", Value=right[URL], Type="SecureString")
    with pytest.raises(CommandFailure, match="refuses this token"):
        StackSecrets(ssm, STACK, {TOKEN: "wr0ng"}, None).store_missing()
    assert StackSecrets(ssm, STACK, {TOKEN: right[TOKEN]}, None).store_missing() == ["/shop/token"]


def test_address_without_a_token_is_not_stored(ssm: Any, right: dict[str, str]) -> None:
    with pytest.raises(CommandFailure, match=f"(?s)missing in SSM:.*/shop/token.*{TOKEN}"):
        StackSecrets(ssm, STACK, {URL: right[URL]}, None).replace()
    assert stored(ssm) == []


def test_replacing_stores_what_is_given_and_leaves_the_rest(
    ssm: Any, right: dict[str, str]
) -> None:
    secrets = StackSecrets(ssm, STACK, right, None)
    secrets.store_missing()
    ssm.put_parameter(Name="/shop/token", Value="old", Type="SecureString", Overwrite=True)
    typed = iter(["", right[TOKEN]])
    assert StackSecrets(ssm, STACK, {}, lambda _: next(typed)).replace() == ["/shop/token"]
    assert value(ssm, "/shop/token") == right[TOKEN]
    with pytest.raises(CommandFailure, match=f"(?s)nothing to store:.*{URL}"):
        StackSecrets(ssm, STACK, {}, None).replace()


def test_key_is_made_up_and_is_one(ssm: Any, right: dict[str, str]) -> None:
    named = {**STACK, "EncryptionKeyParameter": "/shop/key", "SigningKeyParameter": "/shop/sign"}
    StackSecrets(ssm, named, right, None).store_missing()
    made = {value(ssm, "/shop/key"), value(ssm, "/shop/sign")}
    assert [len(base64.b64decode(key)) for key in made] == [32, 32]
    for key in made:
        Keyring.parse("key", key)  # raises for one that is none


def test_secret_of_secrets_manager_is_not_looked_for(ssm: Any, right: dict[str, str]) -> None:
    named = {**STACK, "SigningKeyParameter": "/aws/reference/secretsmanager/shop"}
    assert StackSecrets(ssm, named, right, None).store_missing() == ["/shop/url", "/shop/token"]


def test_name_that_two_parameters_share_is_stored_once(ssm: Any, right: dict[str, str]) -> None:
    named = {**STACK, "UpstashFlushTokenParameter": "/shop/token"}
    assert StackSecrets(ssm, named, right, None).store_missing() == ["/shop/url", "/shop/token"]


def test_nothing_of_a_secret_is_printed(
    ssm: Any, right: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    told = StackSecrets(ssm, STACK, right, None).store_missing()
    assert right[TOKEN] not in "".join([*told, *capfd.readouterr()])

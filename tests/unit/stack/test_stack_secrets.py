"""The secrets of a stack: checked with Upstash, stored if missing, never printed."""

import base64
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from llm_cache._entries.keyring import Keyring
from llm_cache._stack.command_failure import CommandFailure
from llm_cache._stack.stack_secrets import Ask, StackSecrets
from upstash_endpoint.endpoint import UpstashEndpoint

PARAMETERS = {
    "UpstashUrlParameter": "/shop/url",
    "UpstashTokenParameter": "/shop/token",
    "UpstashFlushTokenParameter": "",
    "SigningKeyParameter": "",
    "EncryptionKeyParameter": "",
}
URL, TOKEN = "UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN"
BOTH = ["/shop/url", "/shop/token"]


@pytest.fixture
def ssm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        yield boto3.client("ssm", region_name="eu-west-1")


@pytest.fixture
def valid(upstash: UpstashEndpoint) -> dict[str, str]:
    return {URL: upstash.url, TOKEN: upstash.token}


def stack_secrets(
    ssm: Any,
    environ: dict[str, str],
    ask: Ask | None = None,
    parameters: dict[str, str] = PARAMETERS,
) -> StackSecrets:
    return StackSecrets(ssm, parameters, environ, ask)


def put(ssm: Any, name: str, value: str = "old") -> None:
    ssm.put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)


def stored(ssm: Any) -> dict[str, str]:
    names = [it["Name"] for it in ssm.describe_parameters()["Parameters"]]
    found = [ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"] for name in names]
    assert all(it["Type"] == "SecureString" for it in found)
    return {it["Name"]: it["Value"] for it in found}


def refusal(ssm: Any, environ: dict[str, str], ask: Ask | None = None) -> str:
    with pytest.raises(CommandFailure) as refused:
        stack_secrets(ssm, environ, ask).store_missing()
    assert stored(ssm) == {}
    return str(refused.value)


def test_values_of_the_environment_are_stored_and_not_printed(
    ssm: Any, valid: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert stack_secrets(ssm, valid).store_missing() == BOTH
    assert stored(ssm) == {"/shop/url": valid[URL], "/shop/token": valid[TOKEN]}
    assert valid[TOKEN] not in "".join(capfd.readouterr())


def test_missing_value_is_asked_for_by_name(ssm: Any, valid: dict[str, str]) -> None:
    questions = list[str]()

    def ask(question: str) -> str:
        questions.append(question.partition(":")[0])
        return f" {valid[TOKEN]} \n"

    stack_secrets(ssm, {URL: valid[URL]}, ask).store_missing()
    assert questions == ["/shop/token"]
    assert stored(ssm)["/shop/token"] == valid[TOKEN]


def test_existing_secret_is_kept(ssm: Any, valid: dict[str, str]) -> None:
    for name in BOTH:
        put(ssm, name)
    assert stack_secrets(ssm, valid).store_missing() == []
    assert set(stored(ssm).values()) == {"old"}
    assert stack_secrets(ssm, {}).existing() == sorted(BOTH)


def test_missing_secrets_are_listed_with_their_variables(ssm: Any) -> None:
    message = refusal(ssm, {})
    assert "/shop/url: the REST URL of the Upstash database, in UPSTASH_REDIS_REST_URL" in message
    assert "/shop/token: its REST token, in UPSTASH_REDIS_REST_TOKEN" in message
    assert "/shop/token" in refusal(ssm, {}, lambda _: " ")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://shop.upstash.io", f"{URL} begins with http://; use https://"),
        ("rediss://default:s3cr3t@shop.upstash.io:6379", f"{URL} is not accepted: the REST URL"),
        ("s3cr3t", f"{URL} is not accepted: the REST URL begins with https://"),
        ('"https://shop.upstash.io"', f"{URL} is not accepted"),
        ("http://127.0.0.1:9", f"{URL}: 127.0.0.1:9 cannot be reached"),
    ],
)
def test_wrong_url_is_refused_and_not_shown(ssm: Any, url: str, message: str) -> None:
    refused = refusal(ssm, {URL: url, TOKEN: "s3cr3t"})
    assert message in refused
    assert "s3cr3t" not in refused


@pytest.mark.parametrize(
    ("token", "message"), [("wr0ng", f"{TOKEN}: 127.0.0.1:"), ("a b", f"{TOKEN} is not accepted")]
)
def test_invalid_token_is_refused_and_not_shown(
    ssm: Any, valid: dict[str, str], token: str, message: str
) -> None:
    refused = refusal(ssm, {**valid, TOKEN: token})
    assert message in refused
    assert token not in refused


def test_token_is_checked_with_the_stored_url(ssm: Any, valid: dict[str, str]) -> None:
    put(ssm, "/shop/url", valid[URL])
    with pytest.raises(CommandFailure, match="refuses this token"):
        stack_secrets(ssm, {TOKEN: "wr0ng"}).store_missing()
    assert stack_secrets(ssm, {TOKEN: valid[TOKEN]}).store_missing() == ["/shop/token"]


def test_url_without_a_token_is_not_stored(ssm: Any, valid: dict[str, str]) -> None:
    with pytest.raises(CommandFailure, match=f"(?s)missing in SSM:.*/shop/token.*{TOKEN}"):
        stack_secrets(ssm, {URL: valid[URL]}).replace()
    assert stored(ssm) == {}


def test_replace_stores_new_values_and_keeps_the_others(ssm: Any, valid: dict[str, str]) -> None:
    put(ssm, "/shop/url", valid[URL])
    put(ssm, "/shop/token")
    typed = iter(["", valid[TOKEN]])
    assert stack_secrets(ssm, {}, lambda _: next(typed)).replace() == ["/shop/token"]
    assert stored(ssm)["/shop/token"] == valid[TOKEN]
    with pytest.raises(CommandFailure, match=f"(?s)nothing to store:.*{URL}"):
        stack_secrets(ssm, {}).replace()


def test_missing_keys_are_generated(ssm: Any, valid: dict[str, str]) -> None:
    names = {"EncryptionKeyParameter": "/shop/key", "SigningKeyParameter": "/shop/sign"}
    stack_secrets(ssm, valid, parameters=PARAMETERS | names).store_missing()
    keys = {stored(ssm)[name] for name in names.values()}
    assert [len(base64.b64decode(key)) for key in keys] == [32, 32]
    for key in keys:
        Keyring.parse("key", key)  # raises for an invalid key


@pytest.mark.parametrize(
    "parameters",
    [
        {"SigningKeyParameter": "/aws/reference/secretsmanager/shop"},
        {"UpstashFlushTokenParameter": "/shop/token"},
    ],
    ids=["secret of Secrets Manager", "name used twice"],
)
def test_name_that_needs_no_secret_of_its_own_is_not_stored(
    ssm: Any, valid: dict[str, str], parameters: dict[str, str]
) -> None:
    assert stack_secrets(ssm, valid, parameters=PARAMETERS | parameters).store_missing() == BOTH

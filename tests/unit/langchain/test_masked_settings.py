"""A setting that langchain-core masks makes a call uncacheable, unless it is a known credential."""

import json
from typing import Any

import pytest
from langchain_core.language_models import FakeListChatModel
from pydantic import Field, SecretBytes, SecretStr

from llm_cache._errors import Uncacheable
from llm_cache._langchain.settings_key import settings_key
from llm_cache._reasons import Reason

# What integrations of LangChain list in ``lc_secrets``.
CREDENTIALS = [
    "anthropic_api_key", "openai_api_key", "api_key", "apikey", "bedrock_api_key", "google_api_key",
    "aws_access_key_id", "aws_secret_access_key", "aws_session_token", "azure_ad_token", "token",
    "access_token", "friendli_token", "replicate_api_token", "credentials", "password",
    "key_file_password", "spark_api_secret", "hunyuan_secret_id", "hunyuan_secret_key",
]  # fmt: skip
OTHERS = [
    "mcp_servers", "url", "sambastudio_url", "spark_api_url", "spark_llm_domain", "instance_id",
    "spark_app_id", "openai_organization", "base_url", "endpoint", "max_tokens", "stop_tokens",
]  # fmt: skip
MASKED = {"lc": 1, "type": "secret", "id": ["A"]}
HIDDEN = {"lc": 1, "type": "not_implemented", "id": ["SecretStr"], "repr": "SecretStr('*****')"}


class Claude(FakeListChatModel):
    """Lists its secrets as langchain-anthropic's ``ChatAnthropic`` does."""

    responses: list[str] = Field(default=["a"])
    anthropic_api_key: SecretStr = SecretStr("sk")
    mcp_servers: list[dict[str, Any]] | None = None

    @classmethod
    def is_lc_serializable(cls) -> bool:
        return True

    @property
    def lc_secrets(self) -> dict[str, str]:
        return {"anthropic_api_key": "ANTHROPIC_API_KEY", "mcp_servers": "ANTHROPIC_MCP_SERVERS"}


def serialised(**kwargs: Any) -> str:
    model = {"lc": 1, "type": "constructor", "id": ["m", "Chat"], "kwargs": kwargs}
    return json.dumps(model) + "---[('stop', None)]"


def refused(text: str) -> str:
    with pytest.raises(Uncacheable) as raised:
        settings_key(text)
    assert raised.value.reason is Reason.MASKED_SETTING
    return str(raised.value)


def test_masked_servers_of_a_real_model_are_uncacheable() -> None:
    text = Claude(mcp_servers=[{"url": "https://a"}])._get_llm_string()
    assert "https://a" not in text
    message = refused(text)
    assert "mcp_servers" in message
    assert "CachePolicy(salt=…)" in message
    assert settings_key(text, salted=True)


def test_key_of_a_real_model_does_not_matter() -> None:
    secrets = SecretStr("a"), SecretStr("b")
    keys = {settings_key(Claude(anthropic_api_key=each)._get_llm_string()) for each in secrets}
    assert len(keys) == 1


@pytest.mark.parametrize("name", CREDENTIALS)
def test_known_credential_does_not_enter(name: str) -> None:
    assert settings_key(serialised(**{name: MASKED})) == settings_key(serialised())
    assert settings_key(serialised(**{name.upper(): MASKED})) == settings_key(serialised())
    assert settings_key(serialised(a={"b": 1, name: MASKED})) == settings_key(
        serialised(a={"b": 1})
    )


@pytest.mark.parametrize("name", OTHERS)
def test_masked_setting_that_is_no_credential_is_uncacheable(name: str) -> None:
    for kwargs in ({name: MASKED}, {"a": {name: MASKED}}, {"a": [{name: [MASKED]}]}):
        assert f"setting {name} " in refused(serialised(**kwargs))


@pytest.mark.parametrize("name", ["headers", "default_headers"])
def test_masked_headers_are_uncacheable(name: str) -> None:
    assert name in refused(serialised(**{name: MASKED}))
    assert name in refused(serialised(model_kwargs={name: {"x-team": HIDDEN}, "a": 1}))
    assert settings_key(serialised(**{name: {"Authorization": HIDDEN}})) == settings_key(
        serialised()
    )


def test_secret_that_the_model_does_not_list_counts_too() -> None:
    assert "mcp_servers" in refused(serialised(mcp_servers=HIDDEN))
    assert "mcp_servers" in refused(serialised(a={"mcp_servers": [HIDDEN]}))
    assert settings_key(serialised(my_token=HIDDEN))
    assert settings_key(serialised(mcp_servers=HIDDEN), salted=True)


@pytest.mark.parametrize("secret", [SecretStr("s"), SecretBytes(b"s")])
def test_secret_among_the_parameters_counts_too(secret: object) -> None:
    model = FakeListChatModel(responses=["a"])
    assert "setting servers " in refused(model._get_llm_string(servers=secret))
    assert "setting servers " in refused(model._get_llm_string(a={"b": [1], "servers": secret}))
    assert settings_key(model._get_llm_string(api_key=secret, a={"my_token": secret}))
    assert settings_key(model._get_llm_string(system="a SecretStr('a')"))


def test_settings_that_are_not_clear_may_hide_a_secret_too() -> None:
    assert "servers" in refused("[('a', <it's>), ('servers', SecretStr('***'))]")

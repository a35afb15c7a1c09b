"""Which settings of a model enter the key, and which masked settings make a call uncacheable."""

import json
import os
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from langchain_aws import ChatBedrockConverse
from langchain_core.language_models import FakeListChatModel
from pydantic import SecretBytes, SecretStr, create_model
from tests.unit.langchain.llm_strings import Claude, of_call, of_model

from llm_cache._errors import Uncacheable
from llm_cache._langchain.settings_key import TRANSPORT, settings_key
from llm_cache._reasons import Reason


def bedrock(**settings: Any) -> Any:
    credentials = {"aws_access_key_id": "AKIA", "aws_secret_access_key": "secret"}
    model = {"model": "anthropic.claude-3-5-sonnet-20240620-v1:0", "region_name": "us-east-1"}
    return ChatBedrockConverse(**{**model, **credentials, **settings})


plain_bedrock = cache(bedrock)  # half a second each


def model_key(model: Any, **bound: Any) -> str:
    return settings_key(model._get_llm_string(**{"stop": None, **bound}))


@pytest.mark.parametrize("name", sorted(TRANSPORT | {"name"}))
def test_transport_setting_of_a_model_does_not_enter(name: str) -> None:
    plain = settings_key(of_model(model_id="m"))
    assert settings_key(of_model(model_id="m", **{name: {"a": "b"}})) == plain


@pytest.mark.parametrize("name", sorted(TRANSPORT))
def test_transport_setting_of_a_call_does_not_enter(name: str) -> None:
    bound = f"[('stop', None), ('{name}', {{'a': 'b'}}), ('z', 1)]"
    assert settings_key(bound) == "[('stop', None), ('z', 1)]"


def test_transport_of_a_bedrock_model_does_not_enter() -> None:
    transport = {
        "timeout": 3,
        "max_retries": 4,
        "name": "chef",
        "default_headers": {"X-Request-ID": "1"},
        "aws_session_token": "token",
        "callbacks": [],
        "tags": ["t"],
        "metadata": {"a": 1},
        "verbose": True,
        "request_metadata": {"user": "u"},
        "custom_get_token_ids": len,
    }
    assert model_key(bedrock(**transport)) == model_key(plain_bedrock())


def test_every_other_setting_of_a_bedrock_model_enters() -> None:
    others: dict[str, Any] = {
        "model": "anthropic.claude-3-haiku-20240307-v1:0",
        "region_name": "eu-west-1",
        "endpoint_url": "http://127.0.0.1:9",
        "temperature": 0,
        "system": ["Be brief."],
        "guardrail_config": {"guardrailIdentifier": "g"},
        "additional_model_request_fields": {"seed": 1},
        "default_headers": {"anthropic-beta": "context-1m"},
    }
    settings: list[dict[str, Any]] = [{name: value} for name, value in others.items()]
    settings += [{}, {"temperature": 0.5}]
    assert len({model_key(bedrock(**each)) for each in settings}) == len(settings)


def test_argument_bound_to_a_model_enters() -> None:
    arguments = {
        "stop": ["\n"],
        "tools": [{"name": "f"}],
        "response_format": {"type": "json_object"},
        "name": "bound",
        "extra_headers": {"anthropic-beta": "b"},
    }
    for model in (plain_bedrock(), FakeListChatModel(responses=["a"])):
        keys = {model_key(model, **{name: value}) for name, value in arguments.items()}
        assert len(keys | {model_key(model)}) == len(arguments) + 1


def test_prompt_cache_markers_of_tools_do_not_enter() -> None:
    tool, marker = {"name": "f"}, {"cache_control": {"type": "ephemeral"}}
    plain = settings_key(of_call(tools=[tool]))
    assert settings_key(of_call(tools=[tool | marker, {"cachePoint": {}}])) == plain
    assert settings_key(of_call(other=[tool | marker])) != settings_key(of_call(other=[tool]))


def test_address_of_a_named_function_does_not_enter() -> None:
    texts = [f"[('f', <function a.b at 0x{digits}>)]" for digits in ("7f01", "7F02")]
    assert {settings_key(text) for text in texts} == {"[('f', <function a.b>)]"}
    assert "bedrock>" in settings_key(of_call(choose=bedrock))


@pytest.mark.parametrize(
    "object_",
    [
        "<function <lambda> at 0x{}>",
        "<function f.<locals>.g at 0x{}>",
        "<a.B object at 0x{}>",
        "<a.B at 0x{}>",
    ],
)
def test_address_of_any_other_object_enters(object_: str) -> None:
    for digits in ("7f01", "7f02"):
        text = f"[('f', {object_.format(digits)})]"
        assert settings_key(text) == text


def unserialisable(text: str) -> dict[str, Any]:
    return {"lc": 1, "type": "not_implemented", "repr": text}


def test_address_in_a_nested_object_does_not_enter() -> None:
    nodes = [unserialisable(f"<function f at 0x{digit}>") for digit in "12"]
    text = "<function f at 0x0>"
    keys = {settings_key(of_model(hooks=[node], text=text)) for node in nodes}
    assert len(keys) == 1
    assert text in keys.pop()


def test_address_in_text_that_looks_like_an_object_enters() -> None:
    one, other = (of_model(x={"repr": f"<function f at 0x{digit}>"}) for digit in "12")
    assert settings_key(one) != settings_key(other)


def test_quote_without_an_end_is_read_in_bounded_time() -> None:
    quotes = "'" + "\\'" * 50_000
    began = time.process_time()
    found = settings_key(of_model(x=unserialisable(quotes)))
    assert time.process_time() - began < 5
    assert json.loads(found.partition("---")[0])["kwargs"]["x"]["repr"] == quotes


@pytest.mark.parametrize(
    "text",
    [
        "x'), ('timeout', 3), ('y', 'z",
        'a "b" it\'s <function f at 0x7f01>',
        "<class 'no.Such'>",
        "list[no.<locals>.Such]",
        "\\",
        "[({",
    ],
)
def test_text_in_a_string_is_not_read_as_a_setting(text: str) -> None:
    llm_string = f"[('system', {text!r}), ('tools', [{{'d': {text!r}}}])]"
    assert settings_key(llm_string) == llm_string


@pytest.mark.parametrize(
    "text",
    [
        "",
        "q",
        "[",
        "[('a', 1]",
        "[('a', 1)] ",
        "[('a', 1),('timeout', 2)]",
        "[('timeout', it's)]",
        "[('a', it's, its'), ('timeout', 3)]",
        "[('a', 'tis it's), ('timeout', 3)]",
        "[('timeout', <it's>), ('b', 'c')]",
        "[5, ('timeout', 3)]",
        "[(5), ('timeout', 3)]",
        "[('timeout', 3)",
        "{",
        "{}",
        "{}---[('timeout', 3)]",
        '{"lc": 1, "type": "secret", "kwargs": {}}---[]',
        of_model("x", timeout=3),
        of_model(timeout=3).replace("---", "--"),
        of_model(timeout=3).replace("---", "+++"),
        '{"a": ' * 200_000,
        of_model(timeout=3).replace('"lc": 1', '"lc": 2'),
    ],
    ids=lambda text: text[:20],
)
def test_text_of_an_unknown_format_enters_whole(text: str) -> None:
    assert settings_key(text) == text


# Masked settings: the names that LangChain's integrations list in ``lc_secrets``.

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
HIDDEN = unserialisable("SecretStr('*****')")


def refused(text: str) -> str:
    with pytest.raises(Uncacheable) as raised:
        settings_key(text)
    assert raised.value.reason is Reason.MASKED_SETTING
    return str(raised.value)


def test_masked_setting_is_refused_by_name_unless_salted() -> None:
    text = Claude(mcp_servers=[{"url": "https://a"}])._get_llm_string()
    assert "https://a" not in text
    assert "mcp_servers" in (message := refused(text))
    assert "CachePolicy(salt=…)" in message
    assert settings_key(text, salted=True)


def test_credential_of_a_model_does_not_enter() -> None:
    secrets = SecretStr("a"), SecretStr("b")
    assert len({model_key(Claude(anthropic_api_key=each)) for each in secrets}) == 1


@pytest.mark.parametrize("name", CREDENTIALS)
def test_masked_credential_does_not_enter(name: str) -> None:
    assert settings_key(of_model(**{name: MASKED})) == settings_key(of_model())
    assert settings_key(of_model(**{name.upper(): MASKED})) == settings_key(of_model())
    assert settings_key(of_model(a={"b": 1, name: MASKED})) == settings_key(of_model(a={"b": 1}))
    assert settings_key(of_model(a={name: MASKED})) == settings_key(of_model())


@pytest.mark.parametrize("name", OTHERS)
def test_masked_setting_other_than_a_credential_is_refused(name: str) -> None:
    for fields in ({name: MASKED}, {"a": {name: MASKED}}, {"a": [{name: [MASKED]}]}):
        assert f"setting {name} " in refused(of_model(**fields))


@pytest.mark.parametrize("name", ["headers", "default_headers"])
def test_masked_headers_are_refused(name: str) -> None:
    assert name in refused(of_model(**{name: MASKED}))
    assert name in refused(of_model(model_kwargs={name: {"x-team": HIDDEN}, "a": 1}))
    assert settings_key(of_model(**{name: {"Authorization": HIDDEN}})) == settings_key(of_model())
    assert "x-team" in refused(of_call(**{name: {"x-team": SecretStr("s")}}))
    assert settings_key(of_call(**{name: {"Authorization": SecretStr("s")}}))


def test_empty_setting_enters() -> None:
    assert settings_key(of_model(a={})) != settings_key(of_model())


def test_secret_that_the_model_does_not_list_is_refused() -> None:
    assert "mcp_servers" in refused(of_model(mcp_servers=HIDDEN))
    assert "mcp_servers" in refused(of_model(a={"mcp_servers": [HIDDEN]}))
    assert settings_key(of_model(my_token=HIDDEN))
    assert settings_key(of_model(mcp_servers=HIDDEN), salted=True)


@pytest.mark.parametrize("secret", [SecretStr("s"), SecretBytes(b"s")])
def test_secret_bound_to_a_call_is_refused(secret: object) -> None:
    assert "setting servers " in refused(of_call(servers=secret))
    assert "setting servers " in refused(of_call(a={"b": [1], "servers": secret}))
    assert settings_key(of_call(api_key=secret, a={"my_token": secret}))
    assert settings_key(of_call(system="a SecretStr('a')"))


def test_secret_in_text_of_an_unknown_format_is_refused() -> None:
    assert "servers" in refused("[('a', <it's>), ('servers', SecretStr('***'))]")


def test_key_of_a_schema_is_the_same_in_another_process(checkout: Path) -> None:
    script = """if True:
        from pydantic import create_model
        from tests.unit.langchain.llm_strings import of_call
        from llm_cache._langchain.settings_key import settings_key
        joke = create_model("Joke", by=(str, ""), setup=(str, ""))
        print(settings_key(of_call(response_format=joke)))"""
    environ = {**os.environ, "PYTHONHASHSEED": "7"}
    command = [sys.executable, "-c", script]
    run = subprocess.run(
        command, capture_output=True, text=True, check=True, env=environ, cwd=checkout
    )
    joke = create_model("Joke", by=(str, ""), setup=(str, ""))
    assert run.stdout.strip() == settings_key(of_call(response_format=joke))

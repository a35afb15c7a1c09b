"""Which headers enter the key: all but those of credentials, tracing and transport."""

import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from langchain_aws import ChatBedrockConverse
from langchain_core.language_models import FakeListChatModel
from upstash_redis import Redis

from llm_cache import InvalidSettings, Settings, UpstashRedisCache
from llm_cache._langchain.settings_key import settings_key

PASSING = [
    "Authorization", "Proxy-Authorization", "api-key", "X-API-Key", "x-goog-api-key",
    "X_Api_Key", "apikey", "Cookie",
    "traceparent", "TraceState", "baggage", "X-Request-ID", "X-Correlation-ID", "X-Amzn-Trace-Id",
    "X-B3-TraceId", "b3", "Idempotency-Key",
    "User-Agent", "Accept-Encoding", "Content-Type", "Content-Length", "Connection", "Host",
]  # fmt: skip
STEERING = [
    "x-litellm-tags", "x-deployment", "Accept-Language", "OpenAI-Project", "OpenAI-Organization",
    "anthropic-beta", "Accept", "x-user", "x-host", "x-api-keys", "x-session-token", "",
]  # fmt: skip
SETTINGS = ["custom_headers", "default_headers", "extra_headers", "headers", "additional_headers"]


def in_the_model(setting: Any, name: str = "default_headers") -> str:
    kwargs = {"model": "m"} | ({} if setting is ... else {name: setting})
    model = {"lc": 1, "type": "constructor", "id": ["m"], "kwargs": kwargs}
    return json.dumps(model) + "---[('stop', None)]"


def in_the_call(setting: Any, name: str = "extra_headers") -> str:
    model = FakeListChatModel(responses=["a"])
    return model._get_llm_string(stop=None, **({} if setting is ... else {name: setting}))


def nested_in_the_model(setting: Any) -> str:
    return in_the_model(
        ... if setting is ... else {"extra_headers": setting, "a": 1}, "model_kwargs"
    )


def nested_in_the_call(setting: Any) -> str:
    return in_the_call(... if setting is ... else {"extra_headers": setting}, "model_kwargs")


PLACES = [in_the_model, in_the_call, nested_in_the_model, nested_in_the_call]
places = pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)


@places
@pytest.mark.parametrize("name", PASSING)
def test_header_of_credentials_tracing_or_transport_does_not_enter(place: Any, name: str) -> None:
    keys = {settings_key(place({name: value, "X-A": "1"})) for value in ("one", 'other\'s "value"')}
    assert keys == {settings_key(place({"x-a": "1"}))}


@places
@pytest.mark.parametrize("name", STEERING)
def test_any_other_header_enters(place: Any, name: str) -> None:
    keys = {settings_key(place({name: value})) for value in ("free", "paid")}
    assert len(keys) == 2
    assert settings_key(place({name.upper(): "free"})) in keys
    assert settings_key(place({})) not in keys


@pytest.mark.parametrize("place", [in_the_model, in_the_call])
@pytest.mark.parametrize("name", SETTINGS)
def test_headers_are_known_by_the_name_of_their_setting(place: Any, name: str) -> None:
    keys = {
        settings_key(place({"authorization": value, "x-a": value_of_a}, name))
        for value in "12"
        for value_of_a in "34"
    }
    assert len(keys) == 2


@pytest.mark.parametrize("place", [in_the_model, in_the_call])
@pytest.mark.parametrize("empty", [None, {}, {"authorization": "Bearer a"}, []])
def test_setting_without_a_header_that_enters_is_as_one_that_is_absent(
    place: Any, empty: Any
) -> None:
    assert settings_key(place(empty)) == settings_key(place(...))


@places
def test_order_and_case_of_headers_do_not_matter(place: Any) -> None:
    assert settings_key(place({"X-A": "1", "x-b": "2"})) == settings_key(
        place({"X-B": "2", "x-a": "1"})
    )
    assert settings_key(place({"x-a": "2", "x-b": "1"})) != settings_key(
        place({"X-B": "2", "x-a": "1"})
    )


def test_headers_of_httpx_are_read() -> None:
    plain = settings_key(in_the_call({"x-a": "1"}))
    for headers in (
        httpx.Headers({"X-A": "1"}),
        httpx.Headers({"X-A": "1", "Authorization": "Bearer a"}),
        httpx.Headers({"X-A": "1", "traceparent": "é"}, encoding="utf-8"),
    ):
        assert settings_key(in_the_call(headers)) == plain
        node = {"lc": 1, "type": "not_implemented", "id": ["httpx"], "repr": repr(headers)}
        assert settings_key(in_the_model(node)) == settings_key(in_the_model({"x-a": "1"}))
    twice = httpx.Headers([("x-a", "1"), ("X-A", "2")])
    assert settings_key(in_the_call(twice)) not in (plain, settings_key(in_the_call({"x-a": "2"})))


@pytest.mark.parametrize(
    "text",
    ["{'x-a': <object at 0x1>}", "{'a': (", "Headers(1)", "f({'x': g})", "{[]: 1}", "5", "'ab'"],
)
def test_headers_that_cannot_be_read_enter_whole(text: str) -> None:
    found = settings_key(f"[('extra_headers', {text}), ('stop', None)]")
    assert text in found


@pytest.mark.parametrize(
    "bound",
    [
        {"tools": [{"type": "mcp", "headers": {"Authorization": "Bearer a"}}]},
        {"extra_body": {"headers": {"authorization": "a"}}},
        {"tools": [{"function": {"parameters": {"headers": {"host": {"type": "string"}}}}}]},
        {"model_kwargs": {"tools": [{"headers": {"cookie": "a"}}]}},
    ],
    ids=["mcp", "body", "tool", "nested"],
)
def test_headers_that_the_model_is_told_of_enter_whole(bound: Mapping[str, Any]) -> None:
    model = FakeListChatModel(responses=["a"])
    assert str(dict(bound))[1:-1].split(": ", 1)[1] in settings_key(model._get_llm_string(**bound))
    in_model = {"lc": 1, "type": "constructor", "id": ["m"], "kwargs": bound}
    text = settings_key(json.dumps(in_model) + "---[]")
    assert json.loads(text.partition("---")[0])["kwargs"] == bound


def test_headers_of_a_bedrock_model_enter() -> None:
    def key(**headers: str) -> str:
        model = ChatBedrockConverse(
            model="anthropic.claude-3-5-sonnet-20240620-v1:0",
            region_name="us-east-1",
            default_headers=headers,
        )
        return settings_key(model._get_llm_string(stop=None))

    assert key(**{"x-litellm-tags": "free"}) != key(**{"x-litellm-tags": "paid"})
    assert key(Authorization="a", traceparent="b") == key(Authorization="c")


# The operator's own.

LOCAL = {
    "LLM_CACHE_NAMESPACE": "n",
    "UPSTASH_REDIS_REST_URL": "https://x.upstash.io",
    "UPSTASH_REDIS_REST_TOKEN": "t",
}


@places
def test_header_that_the_operator_ignores_does_not_enter(place: Any) -> None:
    ignored = frozenset({"x-team"})
    keys = {settings_key(place({"X-Team": value, "x-a": "1"}), ignored) for value in "12"}
    assert keys == {settings_key(place({"x-a": "1"}))}


@pytest.mark.parametrize("names", ["x-team", b"x", [""], ["a b"], ["a:"], [5], 5, None, ["é"]])
def test_ignored_headers_must_be_names(names: Any) -> None:
    with pytest.raises(InvalidSettings, match=r"ignored_headers=.*a collection of header names"):
        UpstashRedisCache(Redis("https://x.upstash.io", "t"), ignored_headers=names)


def test_ignored_headers_are_read_from_the_environment() -> None:
    assert Settings.from_env(LOCAL).ignored_headers == frozenset()
    environ = {**LOCAL, "LLM_CACHE_IGNORED_HEADERS": "X-Team, x-a"}
    assert Settings.from_env(environ).ignored_headers == {"x-team", "x-a"}


@pytest.mark.parametrize("text", ["a,,b", "a b", ","])
def test_wrong_ignored_headers_are_refused(text: str) -> None:
    with pytest.raises(InvalidSettings, match=r"LLM_CACHE_IGNORED_HEADERS=.*header names"):
        Settings.from_env({**LOCAL, "LLM_CACHE_IGNORED_HEADERS": text})

"""Which headers enter the key: all but those for credentials, tracing and transport."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest
from langchain_aws import ChatBedrockConverse
from tests.unit.langchain.llm_strings import of_call, of_model
from upstash_redis import Redis

from llm_cache import InvalidSettings, UpstashRedisCache
from llm_cache._langchain.settings_key import settings_key

IGNORED = [
    "Authorization", "Proxy-Authorization", "api-key", "X-API-Key", "x-goog-api-key",
    "X_Api_Key", "apikey", "Cookie",
    "traceparent", "TraceState", "baggage", "X-Request-ID", "X-Correlation-ID", "X-Amzn-Trace-Id",
    "X-B3-TraceId", "b3", "Idempotency-Key",
    "User-Agent", "Accept-Encoding", "Content-Type", "Content-Length", "Connection", "Host",
]  # fmt: skip
OTHERS = [
    "x-litellm-tags", "x-deployment", "Accept-Language", "OpenAI-Project", "OpenAI-Organization",
    "anthropic-beta", "Accept", "x-user", "x-host", "x-api-keys", "x-session-token", "",
]  # fmt: skip
SETTINGS = ["custom_headers", "default_headers", "extra_headers", "headers", "additional_headers"]

Place = Callable[..., str]
PLACES: dict[str, Place] = {
    "model": lambda headers, name="default_headers": of_model(model="m", **{name: headers}),
    "call": lambda headers, name="extra_headers": of_call(**{name: headers}),
    "nested in the model": lambda headers: of_model(
        model="m", model_kwargs={"extra_headers": headers, "a": 1}
    ),
    "nested in the call": lambda headers: of_call(model_kwargs={"extra_headers": headers}),
}
places = pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
outer_places = pytest.mark.parametrize("place", [PLACES["model"], PLACES["call"]])


@places
@pytest.mark.parametrize("name", IGNORED)
def test_header_for_credentials_tracing_or_transport_does_not_enter(
    place: Place, name: str
) -> None:
    keys = {settings_key(place({name: value, "X-A": "1"})) for value in ("one", 'other\'s "value"')}
    assert keys == {settings_key(place({"x-a": "1"}))}


@places
@pytest.mark.parametrize("name", OTHERS)
def test_any_other_header_enters(place: Place, name: str) -> None:
    keys = {settings_key(place({name: value})) for value in ("free", "paid")}
    assert len(keys) == 2
    assert settings_key(place({name.upper(): "free"})) in keys
    assert settings_key(place({})) not in keys


@outer_places
@pytest.mark.parametrize("name", SETTINGS)
def test_headers_are_read_under_each_name_of_their_setting(place: Place, name: str) -> None:
    keys = {
        settings_key(place({"authorization": ignored, "x-a": other}, name))
        for ignored in "12"
        for other in "34"
    }
    assert len(keys) == 2


@pytest.mark.parametrize("empty", [None, {}, {"authorization": "Bearer a"}, []])
def test_setting_without_a_header_that_enters_is_left_out(empty: Any) -> None:
    assert settings_key(of_model(default_headers=empty)) == settings_key(of_model())
    assert settings_key(of_call(extra_headers=empty)) == settings_key(of_call())


@places
def test_order_and_case_of_headers_do_not_enter(place: Place) -> None:
    one, same, other = {"X-A": "1", "x-b": "2"}, {"X-B": "2", "x-a": "1"}, {"x-a": "2", "x-b": "1"}
    assert settings_key(place(one)) == settings_key(place(same)) != settings_key(place(other))


def test_httpx_headers_are_read() -> None:
    plain = settings_key(of_call(extra_headers={"x-a": "1"}))
    for headers in (
        httpx.Headers({"X-A": "1"}),
        httpx.Headers({"X-A": "1", "Authorization": "Bearer a"}),
        httpx.Headers({"X-A": "1", "traceparent": "é"}, encoding="utf-8"),
    ):
        assert settings_key(of_call(extra_headers=headers)) == plain
        node = {"lc": 1, "type": "not_implemented", "id": ["httpx"], "repr": repr(headers)}
        in_model = settings_key(of_model(default_headers=node))
        assert in_model == settings_key(of_model(default_headers={"x-a": "1"}))
    twice = settings_key(of_call(extra_headers=httpx.Headers([("x-a", "1"), ("X-A", "2")])))
    assert twice not in (plain, settings_key(of_call(extra_headers={"x-a": "2"})))


@pytest.mark.parametrize(
    "text",
    [
        *(
            "{'x-a': <object at 0x1>}",
            "{'a': (",
            "Headers(1)",
            "f({'x': g})",
            "{[]: 1}",
            "5",
            "'ab'",
        ),
        *("-" * 100_000 + "1", "-" * 5_000 + "1"),  # MemoryError, RecursionError
    ],
    ids=range(9),
)
def test_headers_that_cannot_be_read_enter_whole(text: str) -> None:
    assert text in settings_key(f"[('extra_headers', {text}), ('stop', None)]")


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
def test_headers_that_the_model_reads_enter_whole(bound: Mapping[str, Any]) -> None:
    assert str(dict(bound))[1:-1].split(": ", 1)[1] in settings_key(of_call(**bound))
    text = settings_key(of_model("[]", **bound))
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


@places
def test_ignored_header_does_not_enter(place: Place) -> None:
    ignored = frozenset({"x-team"})
    keys = {settings_key(place({"X-Team": value, "x-a": "1"}), ignored) for value in "12"}
    assert keys == {settings_key(place({"x-a": "1"}))}


@pytest.mark.parametrize("names", ["x-team", b"x", [""], ["a b"], ["a:"], [5], 5, None, ["é"]])
def test_ignored_headers_with_invalid_names_are_refused(names: Any) -> None:
    with pytest.raises(InvalidSettings, match=r"ignored_headers=.*a collection of header names"):
        UpstashRedisCache(Redis("https://x.upstash.io", "t"), ignored_headers=names)

import functools
from collections.abc import Callable

import pytest

from llm_cache import (
    CacheConfig,
    CacheNamespace,
    InvalidSettings,
    ResponseCache,
    UpstashRedisCache,
)
from llm_cache._policy.ttl import TtlBounds

LOCAL = {
    "LLM_CACHE_NAMESPACE": "shop",
    "UPSTASH_REDIS_REST_URL": "https://x.upstash.io",
    "UPSTASH_REDIS_REST_TOKEN": "secret-token",
}

UNNAMED = {name: value for name, value in LOCAL.items() if name != "LLM_CACHE_NAMESPACE"}


def test_settings_are_read_from_the_environment() -> None:
    settings = CacheConfig.from_env(
        {
            "LLM_CACHE_URL_PARAMETER": "/cache/url",
            "LLM_CACHE_TOKEN_PARAMETER": "/cache/token",
            "LLM_CACHE_NAMESPACE": "shop",
            "LLM_CACHE_TTL": "600",
            "LLM_CACHE_TTL_FLOOR": "5",
            "LLM_CACHE_TTL_CEILING": "3600",
            "LLM_CACHE_TTL_JITTER": "0.2",
            "LLM_CACHE_TIMEOUT": "0.5",
            "LLM_CACHE_LEASE": "20",
            "LLM_CACHE_MEMORY": "5",
            "LLM_CACHE_MAX_BYTES": "5000",
            "LLM_CACHE_SECRETS_MAX_AGE": "60",
        }
    )
    assert (settings.secrets_max_age, settings.max_age) == (60, 60)
    assert (settings.lease, settings.memory) == (20, 5)
    assert (settings.url_parameter, settings.token_parameter) == ("/cache/url", "/cache/token")
    assert (settings.namespace, settings.timeout) == ("shop", 0.5)
    assert settings.ttl == TtlBounds(600, 5, 3600, 0.2)
    assert settings.max_bytes == 5000


def test_an_unset_variable_has_its_default() -> None:
    settings = CacheConfig.from_env({**LOCAL, "LLM_CACHE_TTL": "  "})
    assert (settings.timeout, settings.ttl) == (1.0, TtlBounds())
    assert settings.max_bytes == 900_000
    assert settings.secrets_max_age == 3600


@pytest.mark.parametrize(
    "elsewhere",
    ["LLM_CACHE_URL_PARAMETER", "LLM_CACHE_TOKEN_PARAMETER", "LLM_CACHE_SIGNING_KEY_PARAMETER"],
)
def test_only_what_is_kept_elsewhere_gets_old(elsewhere: str) -> None:
    assert CacheConfig.from_env(LOCAL).max_age is None
    assert CacheConfig.from_env({**LOCAL, elsewhere: "/it"}).max_age == 3600


def test_the_token_is_not_in_the_repr() -> None:
    assert "secret-token" not in repr(CacheConfig.from_env(LOCAL))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LLM_CACHE_TTL", "an hour"),
        ("LLM_CACHE_TTL", "-1"),
        ("LLM_CACHE_TTL", "nan"),
        ("LLM_CACHE_TIMEOUT", "0"),
        ("LLM_CACHE_LEASE", "0"),
        ("LLM_CACHE_MEMORY", "never"),
        ("LLM_CACHE_SECRETS_MAX_AGE", "0"),
        ("LLM_CACHE_TTL_JITTER", "1"),
        ("LLM_CACHE_NAMESPACE", "a\x00b"),
        ("LLM_CACHE_NAMESPACE", "n" * 201),
        ("LLM_CACHE_MAX_BYTES", "0"),
        ("LLM_CACHE_MAX_BYTES", "1e6"),
        ("LLM_CACHE_MAX_BYTES", "1 MB"),
    ],
)
def test_a_wrong_variable_is_named_with_its_value(variable: str, value: str) -> None:
    with pytest.raises(InvalidSettings) as raised:
        CacheConfig.from_env({**LOCAL, variable: value})
    assert str(raised.value).startswith(f"{variable}={value!r} is not accepted: ")


FROM_ENV: dict[str, Callable[..., object]] = {
    "CacheConfig": CacheConfig.from_env,
    "UpstashRedisCache": UpstashRedisCache.from_env,
    "ResponseCache": functools.partial(ResponseCache.from_env, version="1"),
    "CacheNamespace": CacheNamespace.from_env,
}


@pytest.mark.parametrize("build", FROM_ENV.values(), ids=FROM_ENV)
@pytest.mark.parametrize("named", [{}, {"LLM_CACHE_NAMESPACE": ""}, {"LLM_CACHE_NAMESPACE": " "}])
def test_environment_without_a_namespace_is_refused(
    build: Callable[..., object], named: dict[str, str]
) -> None:
    with pytest.raises(InvalidSettings) as raised:
        build(environ={**UNNAMED, **named})
    assert str(raised.value) == (
        "LLM_CACHE_NAMESPACE=None is not accepted: 1 to 200 printable characters, "
        "in the variable LLM_CACHE_NAMESPACE or the argument namespace"
    )


@pytest.mark.parametrize("build", FROM_ENV.values(), ids=FROM_ENV)
@pytest.mark.parametrize("wrong", ["", "a\nb", "n" * 201, 5])
def test_wrong_argument_namespace_is_refused_beside_a_right_variable(
    build: Callable[..., object], wrong: object
) -> None:
    with pytest.raises(InvalidSettings, match=r"^namespace=.* is not accepted: 1 to 200 printable"):
        build(environ=LOCAL, namespace=wrong)


@pytest.mark.parametrize("environ", [UNNAMED, LOCAL], ids=["alone", "over the variable"])
def test_argument_namespace_names_the_keys(environ: dict[str, str]) -> None:
    assert CacheConfig.from_env(environ, namespace="own").namespace == "own"
    assert CacheNamespace.from_env(environ, namespace="own").name == "own"


@pytest.mark.parametrize("missing", UNNAMED)
def test_it_must_be_known_where_upstash_is(missing: str) -> None:
    with pytest.raises(InvalidSettings, match=missing):
        CacheConfig.from_env({name: value for name, value in LOCAL.items() if name != missing})


@pytest.mark.parametrize("value", ["1 MB", "-1", "0"])
def test_a_wrong_size_is_told_what_a_size_is(value: str) -> None:
    with pytest.raises(InvalidSettings, match="a whole number of bytes"):
        CacheConfig.from_env({**LOCAL, "LLM_CACHE_MAX_BYTES": value})


@pytest.mark.parametrize("value", ["10 %", "-0.1", "1", "nan"])
def test_a_wrong_jitter_is_told_what_a_share_is(value: str) -> None:
    with pytest.raises(InvalidSettings, match=r"LLM_CACHE_TTL_JITTER.*: a share"):
        CacheConfig.from_env({**LOCAL, "LLM_CACHE_TTL_JITTER": value})

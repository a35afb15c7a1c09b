import base64
import functools
import math
from collections.abc import Callable
from dataclasses import fields
from datetime import timedelta
from typing import Any

import pytest

from llm_cache import (
    CacheConfig,
    CacheNamespace,
    InvalidPolicy,
    InvalidSettings,
    ResponseCache,
    UpstashRedisCache,
)
from llm_cache._engine.from_config import store_and_options
from llm_cache._engine.options import CacheValues
from llm_cache._policy.ttl import TtlBounds

KEY = base64.b64encode(b"k" * 32).decode()
LOCATION = {
    "UPSTASH_REDIS_REST_URL": "https://x.upstash.io",
    "UPSTASH_REDIS_REST_TOKEN": "secret-token",
}
LOCAL = {**LOCATION, "LLM_CACHE_NAMESPACE": "shop"}
VARIABLES = {
    "LLM_CACHE_URL_PARAMETER": ("url_parameter", "/cache/url", "/cache/url"),
    "LLM_CACHE_TOKEN_PARAMETER": ("token_parameter", "/cache/token", "/cache/token"),
    "UPSTASH_REDIS_REST_URL": ("url", " https://y.upstash.io ", "https://y.upstash.io"),
    "UPSTASH_REDIS_REST_TOKEN": ("token", "token", "token"),
    "LLM_CACHE_NAMESPACE": ("namespace", "store", "store"),
    "LLM_CACHE_SIGNING_KEY_PARAMETER": ("signing_key_parameter", "/cache/sign", "/cache/sign"),
    "LLM_CACHE_SIGNING_KEY": ("signing_key", KEY, KEY),
    "LLM_CACHE_ENCRYPTION_KEY_PARAMETER": ("encryption_key_parameter", "/cache/key", "/cache/key"),
    "LLM_CACHE_ENCRYPTION_KEY": ("encryption_key", KEY, KEY),
    "LLM_CACHE_SECRETS_MAX_AGE": ("secrets_max_age", "60", 60),
    "LLM_CACHE_TTL": ("ttl", "600.5", 600.5),
    "LLM_CACHE_TTL_FLOOR": ("ttl_floor", "5", 5),
    "LLM_CACHE_TTL_CEILING": ("ttl_ceiling", " 3600", 3600),
    "LLM_CACHE_TTL_JITTER": ("ttl_jitter", "0.2", 0.2),
    "LLM_CACHE_TIMEOUT": ("timeout", "0.5", 0.5),
    "LLM_CACHE_LEASE": ("lease", "20", 20),
    "LLM_CACHE_MEMORY": ("memory", "5", 5),
    "LLM_CACHE_MAX_BYTES": ("max_bytes", "5000", 5000),
    "LLM_CACHE_IGNORED_HEADERS": ("ignored_headers", "X-Team, x-a", {"x-team", "x-a"}),
}


@pytest.mark.parametrize("variable", VARIABLES)
def test_variable_sets_its_field(variable: str) -> None:
    field, text, value = VARIABLES[variable]
    assert getattr(CacheConfig.from_env({**LOCAL, variable: text}), field) == value


def test_variables_of_the_process_are_read_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, text in LOCAL.items():
        monkeypatch.setenv(variable, text)
    assert CacheConfig.from_env() == CacheConfig.from_env(LOCAL)


def test_every_field_has_a_variable() -> None:
    named = {each.name: each.metadata["variable"].name for each in fields(CacheConfig)}
    assert named == {field: variable for variable, (field, _, _) in VARIABLES.items()}


def test_blank_variable_leaves_the_default() -> None:
    config = CacheConfig.from_env({**dict.fromkeys(VARIABLES, "  "), **LOCAL})
    assert config == CacheConfig(
        namespace="shop", url="https://x.upstash.io", token="secret-token", memory=None
    )
    assert config.ttl_bounds == TtlBounds(2_592_000, 1, 315_360_000, 0)
    assert (config.timeout, config.lease, config.max_bytes) == (1, 30, 900_000)
    assert (config.secrets_max_age, config.ignored_headers) == (3600, frozenset())


def test_ttl_fields_bound_each_ttl() -> None:
    config = CacheConfig(ttl=600, ttl_floor=5, ttl_ceiling=3600, ttl_jitter=0.2)
    assert config.ttl_bounds == TtlBounds(600, 5, 3600, 0.2)


def test_variables_become_options_of_the_cache() -> None:
    environ = {name: text for name, (_, text, _) in VARIABLES.items()}
    _, options = store_and_options(CacheConfig.from_env(environ))
    memory = options.pop("memory")
    assert memory
    assert memory._seconds == 5
    assert options == {
        name: VARIABLES[f"LLM_CACHE_{name.upper()}"][2] for name in CacheValues.__annotations__
    }


@pytest.mark.parametrize(
    ("variable", "accepted", "texts"),
    [
        ("LLM_CACHE_TTL", "0 to 315360000 seconds", ["an hour", "-1", "nan", "9" * 5000]),
        ("LLM_CACHE_TTL_FLOOR", "more than 0 seconds", ["0", "315360001"]),
        ("LLM_CACHE_TTL_CEILING", "more than 0 seconds", ["0", "inf"]),
        ("LLM_CACHE_TTL_JITTER", "a share: 0 or more", ["10 %", "-0.1", "1", "nan"]),
        ("LLM_CACHE_TIMEOUT", "more than 0 seconds", ["0"]),
        ("LLM_CACHE_LEASE", "more than 0 seconds", ["0"]),
        ("LLM_CACHE_MEMORY", "more than 0 seconds", ["never", "0"]),
        ("LLM_CACHE_SECRETS_MAX_AGE", "more than 0 seconds", ["0"]),
        ("LLM_CACHE_NAMESPACE", "1 to 200 printable characters", ["a\x00b", "n" * 201]),
        ("LLM_CACHE_MAX_BYTES", "a whole number of bytes", ["0", "-1", "1e6", "1 MB", "5.0"]),
        ("LLM_CACHE_IGNORED_HEADERS", "a collection of header names", ["x a", "x,,y"]),
    ],
)
def test_wrong_variable_is_refused_by_name(variable: str, accepted: str, texts: list[str]) -> None:
    for text in texts:
        with pytest.raises(InvalidSettings) as raised:
            CacheConfig.from_env({**LOCAL, variable: text})
        assert str(raised.value).startswith(f"{variable}={text!r} is not accepted: {accepted}")


@pytest.mark.parametrize(
    "variable", ["LLM_CACHE_SIGNING_KEY", "LLM_CACHE_ENCRYPTION_KEY", *LOCATION]
)
def test_wrong_secret_is_refused_by_name_without_its_value(variable: str) -> None:
    with pytest.raises(InvalidSettings, match=f"^{variable}='…' is not accepted") as raised:
        CacheConfig.from_env({**LOCAL, variable: "a secret"})
    assert "a secret" not in f"{raised.value!r} {raised.value.__cause__!r}"


@pytest.mark.parametrize("kind", ["signing", "encryption"])
@pytest.mark.parametrize("end", ["", "_parameter"])
def test_key_or_its_parameter_turns_protection_on(kind: str, end: str) -> None:
    fields: dict[str, Any] = {f"{kind}_key{end}": KEY}
    config = CacheConfig(**fields)
    assert (config.protects, config.encrypts) == (True, kind == "encryption")
    found = (None, KEY) if end else (KEY, None)
    assert config.protection_key == (f"LLM_CACHE_{kind.upper()}_KEY", *found)
    assert not CacheConfig().protects


def test_encryption_key_takes_precedence_over_a_signing_key() -> None:
    config = CacheConfig(signing_key=KEY, encryption_key_parameter="/key")
    assert config.protection_key == ("LLM_CACHE_ENCRYPTION_KEY", None, "/key")


WRONG: dict[str, list[Any]] = {
    "secrets_max_age": [0, "1", None, True],
    "memory": [0, "1", True, math.nan],
    "timeout": [0, "1", None, True, math.nan, math.inf, 10**400, timedelta(seconds=1)],
    "lease": [0, "1", None, True, math.nan, math.inf],
    "max_bytes": [0, "1", None, True, math.nan, 1.5],
    "ttl_floor": [0, -1, "x", None, True, math.nan, math.inf, timedelta(seconds=1)],
    "ttl_ceiling": ["x", None, True, math.nan, math.inf, 315_360_001, [60]],
    "ttl_jitter": [1, 1.5, -0.1, "0.1", None, True, math.nan],
    "namespace": [5, "", b"shop", ("shop",), "a\nb"],
    "ignored_headers": ["x-a", ["x a"], [5], None],
}


@pytest.mark.parametrize("field", WRONG)
def test_wrong_value_is_refused_by_its_field(field: str) -> None:
    for value in WRONG[field]:
        with pytest.raises(InvalidSettings) as raised:
            CacheConfig(**{field: value})
        assert (raised.value.name, raised.value.value) == (field, value)
        assert raised.value.accepted


@pytest.mark.parametrize("ttl", ["60", True, math.nan, math.inf, -1, [60], 315_360_001])
def test_wrong_default_ttl_is_refused(ttl: Any) -> None:
    with pytest.raises(InvalidPolicy, match=r"^ttl="):
        CacheConfig(ttl=ttl)


def test_floor_above_the_ceiling_is_refused() -> None:
    assert CacheConfig(ttl_floor=10, ttl_ceiling=10).ttl_floor == 10
    with pytest.raises(InvalidSettings, match=r"^ttl_floor=20 .* at most ttl_ceiling=10$"):
        CacheConfig(ttl_floor=20, ttl_ceiling=10)


def test_ignored_headers_are_lower_case() -> None:
    headers: Any = ["X-Team"]
    assert CacheConfig(ignored_headers=headers).ignored_headers == {"x-team"}


def test_repr_shows_no_secret() -> None:
    config = CacheConfig(url=KEY, token=KEY, signing_key=KEY, encryption_key=KEY)
    assert KEY not in repr(config)


@pytest.mark.parametrize("elsewhere", [name for name in VARIABLES if name.endswith("_PARAMETER")])
def test_secrets_have_a_maximum_age_only_if_ssm_holds_one(elsewhere: str) -> None:
    assert CacheConfig.from_env(LOCAL).max_age is None
    assert CacheConfig.from_env({**LOCAL, elsewhere: "/it"}).max_age == 3600


@pytest.mark.parametrize("missing", LOCATION)
def test_environment_without_the_location_of_upstash_is_refused(missing: str) -> None:
    with pytest.raises(InvalidSettings, match=rf"{missing}=None .* one of the two must be set"):
        CacheConfig.from_env({name: value for name, value in LOCAL.items() if name != missing})


FROM_ENV: dict[str, Callable[..., object]] = {
    "CacheConfig": CacheConfig.from_env,
    "UpstashRedisCache": UpstashRedisCache.from_env,
    "ResponseCache": functools.partial(ResponseCache.from_env, version="1"),
    "CacheNamespace": CacheNamespace.from_env,
}


@pytest.mark.parametrize("build", FROM_ENV.values(), ids=FROM_ENV)
@pytest.mark.parametrize("named", [{}, {"LLM_CACHE_NAMESPACE": " "}])
def test_environment_without_a_namespace_is_refused(
    build: Callable[..., object], named: dict[str, str]
) -> None:
    with pytest.raises(InvalidSettings) as raised:
        build(environ={**LOCATION, **named})
    assert str(raised.value) == (
        "LLM_CACHE_NAMESPACE=None is not accepted: "
        "1 to 200 printable characters, or the argument namespace"
    )


@pytest.mark.parametrize("build", FROM_ENV.values(), ids=FROM_ENV)
@pytest.mark.parametrize("wrong", ["", "a\nb", "n" * 201, 5])
def test_wrong_argument_namespace_is_refused(build: Callable[..., object], wrong: object) -> None:
    with pytest.raises(InvalidSettings, match=r"^namespace=.* is not accepted: 1 to 200 printable"):
        build(environ=LOCAL, namespace=wrong)


@pytest.mark.parametrize("variable", [None, "shop", "a\nb"])
def test_argument_namespace_replaces_the_variable(variable: str | None) -> None:
    environ = LOCATION | ({"LLM_CACHE_NAMESPACE": variable} if variable else {})
    assert CacheConfig.from_env(environ, namespace="own").namespace == "own"
    assert CacheNamespace.from_env(environ, namespace="own").name == "own"

"""Findings of single checks, on replies that a test server does not give."""

import sys
from dataclasses import dataclass
from typing import Any

import pytest

from llm_cache import StoreRefused
from llm_cache._cli.doctor import line
from llm_cache._doctor.clock import check_clock
from llm_cache._doctor.database import Database, ProbeKeys
from llm_cache._doctor.finding import State, failed, passed, unknown
from llm_cache._doctor.located import Located
from llm_cache._doctor.memory import check_memory
from llm_cache._doctor.permissions import check_permissions
from llm_cache._doctor.protection import check_protection
from llm_cache._doctor.secrets import find_secrets
from llm_cache._doctor.variables import KNOWN, OTHERS, check_variables
from llm_cache._entries.keys import Keyspace
from llm_cache._errors import QuotaExceeded

SET = {
    "UPSTASH_REDIS_REST_URL": "https://x.upstash.io",
    "UPSTASH_REDIS_REST_TOKEN": "token",
    "LLM_CACHE_NAMESPACE": "shop",
}


@dataclass
class Store:
    """Gives one reply, or raises one error."""

    reply: Any

    def execute(self, _: object, seconds: float) -> Any:
        if isinstance(self.reply, Exception):
            raise self.reply
        return self.reply


def replying(reply: Any) -> Database:
    store: Any = Store(reply)
    return Database(store, "x.upstash.io")


def test_used_up_quota_grants_no_permission() -> None:
    probe, token = ProbeKeys(Keyspace("shop"), "0" * 64), Located("TOKEN", "token", "")
    found = check_permissions(replying(QuotaExceeded("HTTP 429")), probe, token)
    assert found == unknown("permissions", "not checked: HTTP 429")


GIGABYTE = 1_000_000_000


def memory(used: int, limit: int, policy: str = "") -> str:
    policy = f"maxmemory_policy:{policy}\r\n" if policy else ""
    return f"# Memory\r\nused_memory:{used}\r\nmaxmemory:{limit}\r\n{policy}"


@pytest.mark.parametrize(
    ("info", "state", "text"),
    [
        (memory(GIGABYTE // 2, GIGABYTE, "noeviction"), State.OK, "(50%), eviction off"),
        (memory(GIGABYTE // 2, GIGABYTE), State.OK, "eviction unknown"),
        (memory(900_000_000, GIGABYTE, "allkeys-lru"), State.OK, "(90%), eviction on"),
        (memory(900_000_000, GIGABYTE, "noeviction"), State.FAILED, "900.0 MB of 1000.0 MB"),
        (memory(900_000_000, GIGABYTE), State.FAILED, "eviction unknown"),
        (memory(1_000_000, 0, "noeviction"), State.UNKNOWN, "1.0 MB used; INFO names no limit"),
        ("# Memory\r\nmaxmemory:lots", State.UNKNOWN, "INFO names no limit"),
        ("", State.UNKNOWN, "see Upstash's console"),
        (None, State.UNKNOWN, "see Upstash's console"),
        (StoreRefused("NOPERM"), State.UNKNOWN, "INFO is refused"),
    ],
)
def test_memory_fails_only_near_the_limit_without_eviction(
    info: object, state: State, text: str
) -> None:
    found = check_memory(replying(info))
    assert found.state is state
    assert text in found.text
    assert ("clear --reclaim" in found.remedy) == (state is State.FAILED)


@pytest.mark.parametrize(
    ("local", "state", "text"),
    [
        (1000.0, State.OK, "differs by 0.5 seconds"),
        (990.0, State.FAILED, "10 seconds behind the database"),
        (1010.0, State.FAILED, "10 seconds ahead of the database"),
    ],
)
def test_clock_fails_if_it_differs_by_seconds(local: float, state: State, text: str) -> None:
    found = check_clock(replying((1000, 500_000)), now=lambda: local)
    assert found.state is state
    assert text in found.text


@pytest.mark.parametrize("reply", [StoreRefused("NOPERM"), None, (), ("x", "y")])
def test_clock_of_a_database_that_does_not_tell_it_is_unknown(reply: object) -> None:
    assert check_clock(replying(reply)).state is State.UNKNOWN


def test_slow_reply_is_no_wrong_clock() -> None:
    times = iter([1000.0, 1030.0])
    assert check_clock(replying((1000, 0)), now=lambda: next(times)).state is State.OK


def test_two_variables_that_contradict_each_other_are_named_and_the_others_are_used() -> None:
    bounds = {"LLM_CACHE_TTL_FLOOR": "60", "LLM_CACHE_TTL_CEILING": "9", "LLM_CACHE_TIMEOUT": "2"}
    config, (finding,) = check_variables(SET | bounds, None)
    assert "LLM_CACHE_TTL_FLOOR=60" in finding.text
    assert "ttl_ceiling=9" in finding.remedy
    assert (config.timeout, config.namespace) == (2, "shop")


def test_every_invalid_variable_is_named() -> None:
    wrong = {"LLM_CACHE_TTL": "x", "LLM_CACHE_LEASE": "-1", "LLM_CACHE_MAX_BYTES": "1.5"}
    _, findings = check_variables(SET | wrong, None)
    assert [it.text.partition("=")[0] for it in findings] == list(wrong)


def test_invalid_namespace_of_the_option_is_named() -> None:
    config, (finding,) = check_variables(SET, "a\nb")
    assert config.namespace is None
    assert "LLM_CACHE_NAMESPACE='a\\nb'" in finding.text


@pytest.mark.parametrize("name", KNOWN)
def test_known_variable_is_no_misspelling(name: str) -> None:
    environ = {name: "x"} if name in OTHERS else {}
    _, findings = check_variables(SET | environ, None)
    assert [it.state for it in findings] == [State.OK]


def test_foreign_variable_with_the_prefix_is_listed_and_its_value_is_not() -> None:
    _, (finding,) = check_variables(SET | {"LLM_CACHE_OF_MY_OWN": "value"}, None)
    assert finding == passed("variables", "namespace shop; not of the cache: LLM_CACHE_OF_MY_OWN")


def test_missing_package_of_encryption_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    key = {"LLM_CACHE_ENCRYPTION_KEY": "A" * 43 + "="}
    config, _ = check_variables(SET | key, None)
    _, secrets = find_secrets(config)
    assert check_protection(config, secrets.keys)[0].state is State.OK
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    finding, protection = check_protection(config, secrets.keys)
    assert protection is None
    assert finding.remedy == 'pip install "lambda-llm-cache[encryption]"'


def test_line_has_only_characters_of_the_encoding() -> None:
    finding = failed("token", "of naïve is …", "set it")
    assert str(line(finding, "utf-8")) == "✗ token: of naïve is …. Fix: set it"
    assert str(line(finding, "ascii")) == "FAILED token: of na?ve is ?. Fix: set it"
    assert str(line(passed("PING", "1 ms"), "ascii")) == "ok PING: 1 ms"


def test_finding_without_secrets_keeps_the_rest() -> None:
    finding = failed("PING", "ERR secret-of-mine x", "use secret-of-mine").without(
        ["secret-of-mine", "x", ""]
    )
    assert finding == failed("PING", "ERR … x", "use …")

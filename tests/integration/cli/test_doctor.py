"""``llm-cache doctor`` names each fault with its fix, and is green once the fix is made."""

import re
import shlex
import socket
import time
from collections.abc import Iterator

import pytest
from langchain_core.outputs import Generation
from tests.faults.faulty_proxy import FaultyProxy, Forward, Misbehaviour, faulty_proxy, misbehaving
from tests.faults.http_faults import HTML, QUOTA, replying
from tests.integration.cli.examination import Doctor
from tests.integration.filling import fill
from tests.integration.upstash.connection import Connection
from upstash_redis import Redis

from llm_cache import UpstashRedisCache
from llm_cache._cli.main import main
from llm_cache._doctor import database, round_trip
from llm_cache._doctor.roles import FUNCTIONS, ROLES, Role
from upstash_endpoint.endpoint import UpstashEndpoint

URL, TOKEN, NAMESPACE = "UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN", "LLM_CACHE_NAMESPACE"
ANSWER = [Generation(text="an answer")]
MARK = "mark-of-a-secret-value"


def test_working_cache_is_green_and_nothing_is_left(
    doctor: Doctor, redis: Redis, server: Connection
) -> None:
    cache = UpstashRedisCache.from_env()
    cache.update("p", "model", ANSWER)
    cache.clear()
    before = {key: (redis.get(key), server.call("PTTL", key) == -1) for key in redis.keys("*")}
    found = doctor()
    assert found.is_green
    assert "1 of 1 sampled entries" in found["entries"]["text"]
    after = {key: (redis.get(key), server.call("PTTL", key) == -1) for key in redis.keys("*")}
    assert after == before


def test_number_of_commands_does_not_depend_on_the_number_of_entries(
    doctor: Doctor, upstash: UpstashEndpoint, server: Connection, redis: Redis
) -> None:
    UpstashRedisCache(redis, namespace="like").update("p", "model", ANSWER)
    commands = []
    for count in (10, 3000):
        fill(server, "shop", redis.keys("like:entry:*")[0], count)
        upstash.meter.reset()
        assert doctor().is_green
        commands.append(upstash.meter.read().commands)
    assert commands[0] == commands[1] < 70  # of two runs


@pytest.mark.parametrize(
    ("variable", "value", "check", "text", "remedy"),
    [
        (TOKEN, MARK, "token", "does not accept UPSTASH_REDIS_REST_TOKEN", "export " + TOKEN),
        (TOKEN, f'"{MARK}"', "token", "holds quotes", "remove the quotes"),
        (TOKEN, f"{MARK} and more", "token", "holds no token", "export " + TOKEN),
        (TOKEN, f"https://{MARK}", "token", "holds a URL", "export " + TOKEN),
        (TOKEN, "", "token", "is missing", "export " + TOKEN),
        (TOKEN, None, "token", "is missing", "export " + TOKEN),
        (URL, None, "REST URL", "is missing", "export " + URL),
        (URL, " ", "REST URL", "is missing", "export " + URL),
        (URL, MARK, "REST URL", "holds no REST URL", "https://"),
        (
            *(URL, f"rediss://default:{MARK}@eu1-calm-1.upstash.io:6379", "REST URL"),
            *("begins with rediss://", "use https://eu1-calm-1.upstash.io"),
        ),
        (URL, f"redis://{MARK}", "REST URL", "redis://", "form https://<name>.upstash.io"),
        (URL, f"http://x:{MARK}@cache.test", "REST URL", "unencrypted", "https://cache.test"),
        (URL, f"https://cache.test/get/{MARK}", "REST URL", "after the host", "without a path"),
        (URL, f"https://x:{MARK}@no.invalid", "REST URL", "no.invalid is not found", "export"),
        (URL, "http://127.0.0.1:9", "REST URL", "refuses connections", "the port"),
        (NAMESPACE, None, "variables", f"{NAMESPACE} is missing", f"export {NAMESPACE}=NAME"),
        (NAMESPACE, "", "variables", f"{NAMESPACE} is empty", f"export {NAMESPACE}=NAME"),
        (NAMESPACE, "n" * 201, "variables", NAMESPACE, "1 to 200 printable characters"),
        ("LLM_CACHE_TTL", "soon", "variables", "LLM_CACHE_TTL='soon'", "seconds"),
        ("LLM_CACHE_TTL_FLOOR", "0", "variables", "LLM_CACHE_TTL_FLOOR='0'", "more than 0"),
        ("LLM_CACHE_SIGNING_KEY", MARK, "variables", "LLM_CACHE_SIGNING_KEY='…'", "base64"),
    ],
)
def test_wrong_value_is_named_with_its_fix_without_a_secret(
    doctor: Doctor,
    environment: pytest.MonkeyPatch,
    variable: str,
    value: str | None,
    check: str,
    text: str,
    remedy: str,
) -> None:
    with environment.context() as change:
        change.setenv(variable, value) if value is not None else change.delenv(variable)
        found = doctor()
        assert found.failed.keys() == {check}
        assert text in found.failed[check]["text"]
        assert remedy in found.failed[check]["remedy"]
        assert MARK not in found.printed
    assert doctor().is_green  # with the value that the fix asks for


def test_tls_with_a_server_that_has_none_is_named(
    doctor: Doctor, environment: pytest.MonkeyPatch, upstash: UpstashEndpoint
) -> None:
    environment.setenv(URL, upstash.url.replace("http://", "https://"))
    assert "TLS with 127.0.0.1" in doctor().failed["REST URL"]["text"]


def test_user_and_password_in_the_url_are_ignored_and_not_shown(
    doctor: Doctor, environment: pytest.MonkeyPatch, upstash: UpstashEndpoint
) -> None:
    environment.setenv(URL, upstash.url.replace("//", f"//default:{MARK}@"))
    found = doctor()
    assert found.is_green
    assert "remove them" in found["REST URL"]["text"]
    assert MARK not in found.printed


def test_token_in_another_variable_too_is_not_shown(
    doctor: Doctor, environment: pytest.MonkeyPatch, upstash: UpstashEndpoint
) -> None:
    environment.setenv(NAMESPACE, upstash.token)
    environment.setenv("LLM_CACHE_TTL", upstash.token)
    found = doctor()
    assert found.failed.keys() == {"variables"}
    assert upstash.token not in found.printed


def test_misspelled_variable_is_named_with_the_right_one(
    doctor: Doctor, environment: pytest.MonkeyPatch
) -> None:
    environment.delenv(NAMESPACE)
    environment.setenv("LLM_CACHE_NAMESPCE", "shop")
    found = doctor()
    assert "rename it LLM_CACHE_NAMESPACE" in found.printed
    assert found.code == 1
    environment.delenv("LLM_CACHE_NAMESPCE")
    environment.setenv(NAMESPACE, "shop")
    environment.setenv("LLM_CACHE_NAMESPCE", "both are set, so it may be of another program")
    assert doctor().is_green


def test_read_only_token_is_named_and_the_standard_token_works(
    doctor: Doctor, environment: pytest.MonkeyPatch, upstash: UpstashEndpoint
) -> None:
    environment.setenv(TOKEN, upstash.read_only_token)
    found = doctor()
    assert found.failed.keys() == {"permissions"}
    assert "this is a read-only token" in found.failed["permissions"]["text"]
    assert "use the standard token" in found.failed["permissions"]["remedy"]
    assert upstash.read_only_token not in found.printed
    environment.setenv(TOKEN, upstash.token)
    assert doctor().is_green


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.user)
def test_token_of_each_role_is_green_and_its_work_is_named(
    doctor: Doctor, environment: pytest.MonkeyPatch, redis: Redis, role: Role
) -> None:
    redis.execute(["ACL", "SETUSER", role.user, "on", ">pw", *role.rules("shop").split()])
    environment.setenv(TOKEN, str(redis.execute(["ACL", "RESTTOKEN", role.user, "pw"])))
    found = doctor()
    assert found.is_green
    can, _, cannot = found["permissions"]["text"].partition("It cannot: ")
    assert role.work in can
    assert [other.user for other in ROLES if other.work in cannot] == [
        other.user for other in ROLES if not set(other.commands) <= set(role.commands)
    ]
    assert ("fine for functions" in cannot) == (role is FUNCTIONS)
    environment.setenv(NAMESPACE, "other")
    found = doctor()
    assert "may not use the keys of the namespace other" in found.failed["permissions"]["text"]


def test_user_that_can_do_no_work_completely_is_told_what_is_missing(
    doctor: Doctor, environment: pytest.MonkeyPatch, redis: Redis
) -> None:
    redis.execute(["ACL", "SETUSER", "part", "on", ">pw", "~shop:*", "+mget", "+set", "+eval"])
    environment.setenv(TOKEN, str(redis.execute(["ACL", "RESTTOKEN", "part", "pw"])))
    failed = doctor().failed["permissions"]
    assert "serve hits, store, use single flight: no unlink, pttl" in failed["text"]
    assert "--acl" in failed["remedy"]
    assert redis.keys("*") == []


def test_full_database_is_named_and_the_printed_command_frees_it(
    doctor: Doctor, server: Connection, redis: Redis
) -> None:
    redis.set("like", "x" * 1000)
    fill(server, "shop", "like", 20_000)
    used = re.search(r"used_memory:(\d+)", str(server.call("INFO", "memory")))
    assert used
    server.call("CONFIG", "SET", "maxmemory", int(used[1]) - 1_000_000)
    try:
        failed = doctor().failed
        assert failed.keys() == {"writes", "memory", "entries"}  # the entries are rubbish
        assert "the database is full" in failed["writes"]["text"]
        assert "%), eviction off" in failed["memory"]["text"]
        command = re.findall("`llm-cache (clear .*?)`", failed["writes"]["remedy"])[0]
        assert main([*shlex.split(command), "--yes"]) == 0
        doctor_after = doctor()
    finally:
        server.call("CONFIG", "SET", "maxmemory", "0")
    assert doctor_after.is_green


def test_entries_of_another_key_are_named_and_the_key_reads_them(
    doctor: Doctor, environment: pytest.MonkeyPatch
) -> None:
    right, wrong = "A" * 43 + "=", "B" * 42 + "A="
    environment.setenv("LLM_CACHE_SIGNING_KEY", right)
    UpstashRedisCache.from_env().update("p", "model", ANSWER)
    assert doctor().is_green
    environment.setenv("LLM_CACHE_SIGNING_KEY", wrong)
    found = doctor()
    assert "with the configured keys" in found.failed["entries"]["text"]
    assert wrong not in found.printed
    environment.delenv("LLM_CACHE_SIGNING_KEY")
    assert "without a signing" in doctor().failed["entries"]["text"]


@pytest.mark.parametrize(
    ("misbehave", "check", "text"),
    [
        (replying("200 OK", HTML), "REST URL", "is no REST API of Upstash"),
        (replying("429 Too Many Requests", HTML), "PING", "HTTP 429"),
        (replying("400 Bad Request", {"error": QUOTA}), "PING", QUOTA),
        (replying("400 Bad Request", {"error": f"ERR {MARK}"}), "PING", "ERR …"),
    ],
)
def test_reply_of_another_server_or_a_quota_is_named(
    doctor: Doctor,
    environment: pytest.MonkeyPatch,
    misbehave: Misbehaviour,
    check: str,
    text: str,
) -> None:
    environment.setenv(TOKEN, MARK)
    with misbehaving(misbehave) as url:
        environment.setenv(URL, url)
        found = doctor()
    assert found.failed.keys() == {check}
    assert text in found.failed[check]["text"]
    assert MARK not in found.printed


def reply_late(connection: socket.socket, forward: Forward) -> None:
    time.sleep(0.3)
    connection.sendall(forward())


def reply_never(connection: socket.socket, forward: Forward) -> None:
    time.sleep(30)


@pytest.fixture
def slow(upstash: UpstashEndpoint, environment: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    """A proxy in front of the endpoint, in the environment."""
    with faulty_proxy(upstash.url) as proxy:
        environment.setenv(URL, proxy.url)
        yield proxy


def test_silent_host_ends_the_examination_soon(
    doctor: Doctor, environment: pytest.MonkeyPatch
) -> None:
    environment.setattr(database, "COMMAND_SECONDS", 0.2)
    with misbehaving(reply_never) as url:
        environment.setenv(URL, url)
        began = time.monotonic()
        found = doctor()
        assert time.monotonic() - began < 10
    assert "no reply" in found.failed["PING"]["text"]
    assert found["token"]["state"] == "unknown"


def test_slow_host_ends_the_examination_after_the_time_for_all_commands(
    doctor: Doctor, environment: pytest.MonkeyPatch, slow: FaultyProxy
) -> None:
    environment.setattr(database, "ALL_SECONDS", 2.0)
    environment.setattr(round_trip, "SLOW", 0.1)
    environment.setenv("LLM_CACHE_TIMEOUT", "0.2")
    slow.misbehave = reply_late
    found = doctor()
    assert "longer than LLM_CACHE_TIMEOUT=0.2" in found.failed["PING"]["text"]
    assert "the database is slow" in found["permissions"]["text"]
    assert found["clock"]["state"] == "unknown"


def test_acl_prints_the_users_of_the_namespace(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.delenv(URL)
    assert main(["doctor", "--acl"]) == 0
    assert "~shop:entry:*" in capsys.readouterr().out
    environment.delenv(NAMESPACE)
    assert main(["doctor", "--acl"]) == 2
    assert NAMESPACE in capsys.readouterr().err


@pytest.mark.parametrize("namespace", ["a b", "a*b", "a?[b]", "it's", "naïve\\"])
def test_printed_users_reach_a_namespace_with_special_characters_and_no_other(
    doctor: Doctor, environment: pytest.MonkeyPatch, redis: Redis, namespace: str
) -> None:
    rules = FUNCTIONS.rules(namespace).split()
    redis.execute(["ACL", "SETUSER", "ask", "reset", "on", ">pw", *rules])
    environment.setenv(TOKEN, str(redis.execute(["ACL", "RESTTOKEN", "ask", "pw"])))
    environment.setenv(NAMESPACE, namespace)
    assert doctor().is_green
    environment.setenv(NAMESPACE, namespace + "2")
    assert "permissions" in doctor().failed

"""The commands show, why and rm on the key of one answer."""

import json
from typing import Any

import pytest
from tests.command_line import Run
from tests.integration.cli.answers import SECRET, shell_environment, store
from tests.integration.entries.protected_cache import NEW, OLD
from tests.integration.upstash.connection import Connection
from upstash_redis import Redis

from llm_cache import CacheNamespace, ResponseCache, UpstashRedisCache
from upstash_endpoint.endpoint import UpstashEndpoint

VARIABLES = {"signed": "LLM_CACHE_SIGNING_KEY", "encrypted": "LLM_CACHE_ENCRYPTION_KEY"}
ABSENT = "c" * 64


@pytest.fixture(params=["plain", *VARIABLES])
def protection(
    request: pytest.FixtureRequest, upstash: UpstashEndpoint, monkeypatch: pytest.MonkeyPatch
) -> str:
    shell_environment(upstash, monkeypatch)
    name: str = request.param
    if name in VARIABLES:
        monkeypatch.setenv(VARIABLES[name], NEW)
    return name


@pytest.fixture
def cache(protection: str) -> UpstashRedisCache:
    """The cache of the environment: plain, signed or encrypted."""
    return UpstashRedisCache.from_env()


@pytest.fixture
def plain(upstash: UpstashEndpoint, monkeypatch: pytest.MonkeyPatch) -> UpstashRedisCache:
    """The cache of the environment, without protection."""
    shell_environment(upstash, monkeypatch)
    return UpstashRedisCache.from_env()


def why(run: Run, *arguments: str) -> tuple[int, str]:
    code, out, err = run("why", *arguments)
    assert (err, SECRET in out) == ("", False)
    return code, out


def as_json(run: Run, *arguments: str) -> dict[str, Any]:
    _, out, err = run(*arguments, "--json")
    assert err == ""
    found: dict[str, Any] = json.loads(out)
    return found


def test_show_has_everything_but_the_answer(
    cache: UpstashRedisCache, protection: str, run: Run
) -> None:
    key = store(cache, "p", tags=["red"], tenant="42")
    for name in (key, key.rpartition(":")[2]):
        found = as_json(run, "show", name)
        assert (found["key"], found["state"]) == (key, "live")
        assert (found["protection"], found["codec"], found["tags"]) == (protection, "langchain", 2)
        assert (found["tokens"], found["model"]) == ({"input": 3, "output": 5}, "small-model")
        assert 3590 < found["ttl_left"] <= found["ttl"] == 3600
        assert (found["key_id"] is None) == (protection == "plain")
    code, out, _ = run("show", key)
    assert (code, SECRET in out, "small-model" in out) == (0, False, True)


def test_show_prints_the_answer_if_asked(cache: UpstashRedisCache, run: Run) -> None:
    key = store(cache, "p")
    code, out, _ = run("show", key, "--answer")
    assert (code, out.endswith(f"\n{SECRET}\n")) == (0, True)
    message = as_json(run, "show", key, "--answer")["answer"][0]["message"]
    assert message["fields"]["content"] == SECRET


def test_show_prints_the_json_of_a_function(
    plain: UpstashRedisCache, redis: Redis, run: Run
) -> None:
    cache = ResponseCache(redis, namespace="shell", version="1")
    with cache.policy() as report:
        cache.cached(lambda _: {"answer": SECRET, "model": "m1"})({"question": "p"})
    found = as_json(run, "show", report.outcomes[0].key, "--answer")
    assert (found["codec"], found["answer"]["answer"], found["model"]) == ("json", SECRET, "m1")


def test_control_characters_of_an_answer_do_not_reach_the_terminal(
    plain: UpstashRedisCache, run: Run
) -> None:
    key = store(plain, "p", text="\x1b[2Jgone")
    assert r"\x1b[2Jgone" in run("show", key, "--answer")[1]


@pytest.mark.parametrize("kind", VARIABLES)
def test_entry_whose_key_is_not_configured_is_shown_without_its_answer(
    upstash: UpstashEndpoint, monkeypatch: pytest.MonkeyPatch, run: Run, kind: str
) -> None:
    shell_environment(upstash, monkeypatch)
    monkeypatch.setenv(VARIABLES[kind], NEW)
    key = store(UpstashRedisCache.from_env(), "p")
    monkeypatch.delenv(VARIABLES[kind])
    code, out, _ = run("show", key, "--answer")
    assert (code, SECRET in out, f"set {VARIABLES[kind]}_PARAMETER" in out) == (1, False, True)
    code, out = why(run, key)
    assert (code, out.startswith("hit: "), "not verified" in out) == (0, True, True)
    monkeypatch.setenv(VARIABLES[kind], OLD)
    code, out = why(run, key)
    assert (code, "protected with a key that is not configured" in out) == (1, True)


def test_no_entry_exits_with_1_and_what_is_known(
    cache: UpstashRedisCache, server: Connection, run: Run
) -> None:
    cache.clear()
    server.call("SET", f"shell:lease:{ABSENT}", "token:", "PX", 9000)
    for command in ("show", "why"):
        code, out, _ = run(command, ABSENT)
        assert code == 1
        assert "no entry: never stored, expired, deleted or evicted" in out
        assert "the namespace was cleared" in out
        assert "a leader computes it now (lease, 9 s left)" in out
        found = as_json(run, command, ABSENT)
        assert (found["state"], found["lease"]["computing"]) == (None, True)


def test_hit_is_told_with_its_time(cache: UpstashRedisCache, run: Run) -> None:
    code, out = why(run, store(cache, "p", tags=["red"], tenant="42"))
    assert code == 0
    assert out.startswith("hit: stored 2")
    assert out.endswith("; TTL 60 min, 60 min left\n")


def test_cleared_entry_is_told_with_the_place_or_the_name_of_its_tag(
    cache: UpstashRedisCache, run: Run
) -> None:
    key = store(cache, "p", tags=["red"], tenant="42")
    cache.clear(tag="red")
    code, out = why(run, key)
    assert (code, "miss: cleared 0 s ago by tag or tenant" in out) == (1, True)
    assert "of 2; stored 2" in out
    assert "ago by tag red; stored" in why(run, key, "--tag", "red", "--tenant", "42")[1]
    cache.clear()
    assert "miss: cleared 0 s ago by its namespace and 0 s ago by tag" in why(run, key)[1]
    assert as_json(run, "why", key)["why"] == "cleared"


def test_lookup_with_a_tag_that_the_entry_lacks_is_a_miss(
    cache: UpstashRedisCache, run: Run
) -> None:
    key = store(cache, "p")
    assert why(run, key)[0] == 0
    code, out = why(run, key, "--tag", "red")
    assert (code, "miss: the entry lacks the tag" in out) == (1, True)


def test_expired_entry_that_is_kept_is_told(
    plain: UpstashRedisCache, redis: Redis, run: Run
) -> None:
    past = UpstashRedisCache(redis, namespace="shell", clock=lambda: 1_000_000_000.0)
    code, out = why(run, store(past, "p", stale_if_error=600))
    assert (code, out.startswith("miss: expired ")) == (1, True)
    assert "kept for stale_if_error; Redis deletes it in" in out


def test_damaged_or_foreign_entry_is_told_and_not_deleted(
    cache: UpstashRedisCache, redis: Redis, protection: str, run: Run
) -> None:
    key = store(cache, "p")
    text = redis.get(key) or ""
    middle = len(text) - 20
    redis.set(key, text[:middle] + ("B" if text[middle] == "A" else "A") + text[middle + 1 :])
    foreign = f"shell:entry:{'d' * 64}"
    redis.set(foreign, "rubbish")
    before = redis.mget(key, foreign)
    if protection != "plain":
        code, out = why(run, key)
        assert (code, "miss: forged: " in out) == (1, True)
    code, out = why(run, foreign)
    assert (code, "miss: unreadable: not JSON; the next lookup deletes it" in out) == (1, True)
    assert "cannot be read" in run("show", foreign)[1]
    assert redis.mget(key, foreign) == before


def test_key_of_another_namespace_or_other_text_is_wrong_usage(
    plain: UpstashRedisCache, run: Run
) -> None:
    for command in ("show", "why", "rm"):
        for key in (f"other:entry:{ABSENT}", "abc", ""):
            code, out, err = run(command, key)
            assert (code, out, err.count("\n")) == (2, "", 1)
            assert "64 hexadecimal digits" in err


def test_rm_deletes_the_named_answers_alone(cache: UpstashRedisCache, run: Run) -> None:
    first, second, third = (store(cache, prompt) for prompt in "abc")
    code, out, _ = run("rm", first, second.rpartition(":")[2], ABSENT)
    assert (code, out) == (0, f"deleted {first}\ndeleted {second}\nno entry shell:entry:{ABSENT}\n")
    assert why(run, third)[0] == 0
    assert why(run, first)[0] == 1
    code, out, _ = run("rm", "--json", first)
    assert (code, json.loads(out)) == (1, {"key": first, "deleted": False})


def test_rm_with_one_wrong_key_deletes_nothing(plain: UpstashRedisCache, run: Run) -> None:
    key = store(plain, "p")
    assert run("rm", key, "wrong")[0] == 2
    assert CacheNamespace.from_env().delete(key)

"""The command line: what it prints, and its exit codes."""

from collections.abc import Callable
from typing import TypeAlias

import pytest
from langchain_core.outputs import Generation
from tests.faults.faulty_proxy import faulty_proxy
from tests.faults.http_faults import close_without_reply
from upstash_redis import Redis

from llm_cache import CachePolicy, UpstashRedisCache
from llm_cache._cli.main import main
from llm_cache._protocol import clearing
from upstash_endpoint.endpoint import UpstashEndpoint

ANSWER = [Generation(text="answer")]
Run: TypeAlias = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cache(upstash: UpstashEndpoint, monkeypatch: pytest.MonkeyPatch) -> UpstashRedisCache:
    """The cache of the environment, with one answer that has a tag and one that has none."""
    monkeypatch.setenv("UPSTASH_REDIS_REST_URL", upstash.url)
    monkeypatch.setenv("UPSTASH_REDIS_REST_TOKEN", upstash.token)
    monkeypatch.setenv("LLM_CACHE_NAMESPACE", "shell")
    cache = UpstashRedisCache.from_env()
    with cache.policy(CachePolicy(tags=("red",))):
        cache.update("red", "model", ANSWER)
    with cache.policy(CachePolicy(tenant="acme")):
        cache.update("tenant", "model", ANSWER)
    return cache


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line; return its exit code, and what it printed."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        return (code, *capsys.readouterr())

    return run


def hits(cache: UpstashRedisCache) -> list[str]:
    found = ["red"] if cache.lookup("red", "model") else []
    with cache.policy(CachePolicy(tenant="acme")):
        return [*found, "tenant"] if cache.lookup("tenant", "model") else found


@pytest.mark.parametrize(
    ("options", "target", "removed", "left"),
    [
        ((), "shell", 2, []),
        (("--tag", "red"), "tag red of shell", 1, ["tenant"]),
        (("--tenant", "acme"), "tenant acme of shell", 1, ["red"]),
    ],
)
def test_clear_clears_its_target_and_a_dry_run_only_counts(
    cache: UpstashRedisCache,
    run: Run,
    options: tuple[str, ...],
    target: str,
    removed: int,
    left: list[str],
) -> None:
    counted = f"dry run: a clear of {target} would let reclaim free {removed} of 2 entries\n"
    for seconds in ([], ["--reclaim", "5"]):
        assert run("clear", "--dry-run", *options, *seconds) == (0, counted, "")
    assert hits(cache) == ["red", "tenant"]
    assert run("clear", *options) == (0, f"cleared {target}\n", "")
    assert hits(cache) == left
    counted = f"dry run: would reclaim {removed} of 2 entries\n"
    assert run("reclaim", "--dry-run") == (0, counted, "")
    assert run("reclaim") == (0, f"reclaimed {removed} of 2 entries\n", "")
    assert hits(cache) == left


@pytest.mark.parametrize("namespace", [None, "other"])
def test_clear_with_reclaim_frees_the_namespace_of_the_option_or_the_environment(
    cache: UpstashRedisCache, redis: Redis, run: Run, namespace: str | None
) -> None:
    UpstashRedisCache(redis, namespace="other").update("p", "model", ANSWER)
    options = ["--namespace", namespace] if namespace else []
    name, count = (namespace, 1) if namespace else ("shell", 2)
    printed = f"cleared {name}\nreclaimed {count} of {count} entries\n"
    assert run("clear", "--reclaim", "5", *options) == (0, printed, "")
    assert redis.keys(f"{name}:entry:*") == []
    assert len(redis.keys("*:entry:*")) == 3 - count


@pytest.mark.parametrize("option", ["namespace", "tag", "tenant"])
def test_empty_name_is_refused_and_clears_nothing(
    cache: UpstashRedisCache, run: Run, option: str
) -> None:
    code, out, err = run("clear", f"--{option}", "")
    assert (code, out) == (1, "")
    assert f"{option}='' is not accepted" in err
    assert hits(cache) == ["red", "tenant"]


def test_unfinished_reclaim_prints_the_command_that_continues_it(
    cache: UpstashRedisCache, redis: Redis, run: Run
) -> None:
    redis.mset({f"foreign:{number}": "x" for number in range(2000)})
    assert "continue with" not in run("clear", "--dry-run")[1]
    cache.clear()
    cursor, commands = "0", 0
    while cursor:
        code, out, _ = run("reclaim", "--seconds", "0", "--cursor", cursor)
        cursor = out.strip().partition("; continue with: llm-cache reclaim --cursor ")[2]
        commands += 1
        assert (code, commands < 9) == (0, True)
    assert commands > 1
    assert redis.keys("shell:entry:*") == []


def test_failure_of_a_reclaim_is_reported_after_the_clear(
    cache: UpstashRedisCache, upstash: UpstashEndpoint, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.setattr(clearing, "RETRY_PAUSE", 0.0)
    with faulty_proxy(upstash.url) as proxy:
        monkeypatch.setenv("UPSTASH_REDIS_REST_URL", proxy.url)
        proxy.call_after(1, lambda: setattr(proxy, "misbehave", close_without_reply))
        code, out, err = run("clear", "--reclaim", "5")
    rest = "reclaimed 0 of 0 entries; continue with: llm-cache reclaim --cursor 0\n"
    assert (code, out) == (1, f"cleared shell\n{rest}")
    assert err == "llm-cache: no connection to Upstash (closed before the reply was complete)\n"


@pytest.mark.parametrize("cursor", ["", "x", "-1", "1.5", "²"])
def test_invalid_cursor_is_refused(cursor: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["reclaim", f"--cursor={cursor}"])
    assert "argument --cursor" in capsys.readouterr().err


@pytest.mark.usefixtures("cache")
def test_wrong_token_or_missing_namespace_is_reported_with_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.setenv("UPSTASH_REDIS_REST_TOKEN", "wrong")
    code, out, err = run("clear")
    assert (code, out, "WRONGPASS" in err) == (1, "", True)
    monkeypatch.delenv("LLM_CACHE_NAMESPACE")
    code, out, err = run("clear")
    assert (code, out, "LLM_CACHE_NAMESPACE" in err) == (1, "", True)

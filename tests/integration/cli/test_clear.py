"""The commands clear and reclaim: what they print, and their exit codes."""

import importlib.util
import io
import json

import pytest
from langchain_core.outputs import Generation
from tests.command_line import Run
from tests.faults.faulty_proxy import faulty_proxy
from tests.faults.http_faults import close_without_reply
from upstash_redis import Redis

from llm_cache import CacheNamespace, CachePolicy, Reclaimed, UpstashRedisCache
from llm_cache._protocol import clearing
from upstash_endpoint.endpoint import UpstashEndpoint

ANSWER = [Generation(text="answer")]


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
    assert run("clear", "--yes", *options) == (0, f"cleared {target}\n", "")
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
    printed = f"cleared {name}; reclaimed {count} of {count} entries\n"
    assert run("clear", "--yes", "--reclaim", "5", *options) == (0, printed, "")
    assert redis.keys(f"{name}:entry:*") == []
    assert len(redis.keys("*:entry:*")) == 3 - count


@pytest.mark.parametrize("option", ["namespace", "tag", "tenant"])
def test_empty_name_is_refused_and_clears_nothing(
    cache: UpstashRedisCache, run: Run, option: str
) -> None:
    code, out, err = run("clear", "--yes", f"--{option}", "")
    assert (code, out) == (2, "")
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
        proxy.call_after(2, lambda: setattr(proxy, "misbehave", close_without_reply))
        code, out, err = run("clear", "--yes", "--reclaim", "5")
    rest = "reclaimed 0 of 0 entries; continue with: llm-cache reclaim --cursor 0\n"
    assert (code, out) == (3, f"cleared shell; {rest}")
    assert err == "llm-cache: no connection to Upstash (closed before the reply was complete)\n"


@pytest.mark.parametrize("cursor", ["", "x", "-1", "1.5", "²"])
def test_invalid_cursor_is_refused(run: Run, cursor: str) -> None:
    code, out, err = run("reclaim", f"--cursor={cursor}")
    assert (code, out) == (2, "")
    assert "--cursor" in err


@pytest.mark.usefixtures("cache")
def test_wrong_token_fails_with_3_and_a_missing_variable_with_2(
    monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.setenv("UPSTASH_REDIS_REST_TOKEN", "wrong")
    code, out, err = run("clear", "--yes")
    assert (code, out, "WRONGPASS" in err) == (3, "", True)
    monkeypatch.delenv("LLM_CACHE_NAMESPACE")
    code, out, err = run("clear", "--yes")
    assert (code, out, "LLM_CACHE_NAMESPACE" in err) == (2, "", True)


@pytest.mark.parametrize("options", [[], ["--database"]])
def test_clear_of_everything_without_a_terminal_requires_yes(
    cache: UpstashRedisCache, run: Run, options: list[str]
) -> None:
    code, out, err = run("clear", *options)
    assert (code, out, "--yes" in err) == (2, "", True)
    assert hits(cache) == ["red", "tenant"]


@pytest.mark.parametrize(("answer", "left"), [("n", ["red", "tenant"]), ("y", [])])
def test_clear_of_everything_asks_at_a_terminal(
    cache: UpstashRedisCache,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    left: list[str],
) -> None:
    terminal = io.StringIO(f"{answer}\n")
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    code, _, err = run("clear")
    assert (code, "Clear every answer of shell?" in err) == (0 if answer == "y" else 1, True)
    assert hits(cache) == left


def test_clear_of_the_database_deletes_the_keys_of_other_programs(
    cache: UpstashRedisCache, redis: Redis, run: Run
) -> None:
    redis.set("foreign", "x")
    code, _, err = run("clear", "--database", "--tag", "red", "--yes")
    assert (code, "--database" in err) == (2, True)
    assert run("clear", "--database", "--yes")[0] == 0
    assert redis.keys("*") == ["shell:epoch"]


@pytest.mark.parametrize("options", [["--tag", "read"], ["--tenant", "acne"], ["-n", "shall"]])
@pytest.mark.usefixtures("cache")
def test_clear_of_a_name_that_nothing_ever_had_warns(run: Run, options: list[str]) -> None:
    code, out, err = run("clear", "--yes", "--json", *options)
    assert (code, json.loads(out)["known"]) == (0, False)
    assert err.startswith("warning: no answer was ever stored under ")


@pytest.mark.usefixtures("cache")
def test_clear_prints_its_result_as_one_json_object(run: Run) -> None:
    code, out, _ = run("clear", "--tag", "red", "--reclaim", "5", "--json")
    assert (code, json.loads(out)) == (
        0,
        {
            "namespace": "shell",
            "tag": "red",
            "tenant": None,
            "cleared": True,
            "known": True,
            "scanned": 2,
            "removed": 1,
            "cursor": "0",
            "complete": True,
            "failure": None,
        },
    )


@pytest.mark.usefixtures("cache")
def test_interrupted_reclaim_prints_how_far_it_came(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = iter([Reclaimed(500, 20, "77")])

    def step(*_: object, **__: object) -> Reclaimed:
        part = next(parts, None)
        if part is None:
            raise KeyboardInterrupt
        return part

    monkeypatch.setattr(CacheNamespace, "reclaim", step)
    code, out, _ = run("reclaim")
    assert code == 130
    assert out == "reclaimed 20 of 500 entries; continue with: llm-cache reclaim --cursor 77\n"


@pytest.mark.parametrize("module", ["typer", "rich", "httpx"])
def test_command_line_without_its_extra_prints_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "llm_cache._cli.main.find_spec", lambda name: None if name == module else found(name)
    )
    code, out, err = run("--help")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "pip install 'lambda-llm-cache[cli]'" in err

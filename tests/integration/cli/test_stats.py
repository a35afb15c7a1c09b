"""The commands stats and ls: what they count and list, and where they stop."""

import json
import signal
from typing import Any

import pytest
from tests.command_line import Run
from tests.integration.cli.answers import SECRET, shell_environment, store
from tests.integration.entries.protected_cache import NEW
from tests.integration.filling import fill
from tests.integration.upstash.connection import Connection
from upstash_redis import Redis

from llm_cache import UpstashRedisCache
from llm_cache._cli import scanning
from llm_cache._entries.keys import MAX_TAGS
from llm_cache._inspect.entry_heads import HEAD_BYTES
from llm_cache._upstash.upstash_store import UpstashStore
from upstash_endpoint.endpoint import UpstashEndpoint

MANY = 3_000
PROTECTIONS: list[dict[str, str]] = [
    {},
    {"LLM_CACHE_SIGNING_KEY": NEW},
    {"LLM_CACHE_ENCRYPTION_KEY": NEW},
]


@pytest.fixture(params=PROTECTIONS, ids=["plain", "signed", "encrypted"])
def cache(
    request: pytest.FixtureRequest, upstash: UpstashEndpoint, monkeypatch: pytest.MonkeyPatch
) -> UpstashRedisCache:
    """The cache of the environment: plain, signed or encrypted."""
    shell_environment(upstash, monkeypatch)
    for name, value in request.param.items():
        monkeypatch.setenv(name, value)
    return UpstashRedisCache.from_env()


@pytest.fixture
def many(server: Connection, upstash: UpstashEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain cache with many answers, more than one page of keys."""
    shell_environment(upstash, monkeypatch)
    cache = UpstashRedisCache.from_env()
    fill(server, "shell", store(cache, "p"), MANY - 1)


def stats(run: Run, *options: str) -> dict[str, Any]:
    code, out, err = run("stats", "--json", *options)
    assert (code, err, SECRET in out) == (0, "", False)
    found: dict[str, Any] = json.loads(out)
    return found


def listed(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_stats_count_live_expired_cleared_and_foreign_entries(
    cache: UpstashRedisCache, redis: Redis, run: Run
) -> None:
    live = store(cache, "live", text=str(list(range(3000))))
    store(cache, "cleared", tags=["red"])
    cache.clear(tag="red")
    redis.set(f"shell:entry:{'a' * 64}", "rubbish")
    redis.lpush(f"shell:entry:{'b' * 64}", "a list")
    found = stats(run)
    counts = {state: share["entries"] for state, share in found["states"].items()}
    assert counts == {"live": 1, "expired": 0, "cleared": 1, "unreadable": 2}
    assert found["bytes"] == sum(share["bytes"] for share in found["states"].values())
    assert found["largest"][0]["key"] == live
    assert found["largest"][0]["bytes"] == redis.strlen(live) > HEAD_BYTES
    assert [each["entries"] for each in found["ttl_left"]] == [0, 1, 0, 0, 0, 0]
    assert 0 <= found["age"]["youngest"] <= found["age"]["oldest"] < 60
    assert found["database"]["keys"] == redis.dbsize()
    assert found["complete"]


def test_stats_as_text_fit_80_columns_and_show_no_answer(
    cache: UpstashRedisCache, run: Run
) -> None:
    store(cache, "p")
    code, out, err = run("stats")
    assert (code, err) == (0, "")
    assert out.startswith("namespace shell: 1 entry, ")
    tables = out.partition("largest")[0]
    assert max(map(len, tables.splitlines())) <= 80
    assert SECRET not in out


def test_stats_count_the_entries_of_one_tenant_or_tag(cache: UpstashRedisCache, run: Run) -> None:
    for prompt, tenant in (("a", "42"), ("b", "42"), ("c", "43"), ("d", None)):
        store(cache, prompt, tenant=tenant, tags=["red"] if prompt == "a" else [])
    assert [stats(run, "--tenant", name)["entries"] for name in ("42", "43", "44")] == [2, 1, 0]
    assert stats(run, "--tag", "red")["entries"] == 1
    assert stats(run, "--tag", "42")["entries"] == 0  # a tenant is no tag


def test_stats_of_all_have_a_row_for_each_namespace(
    cache: UpstashRedisCache, redis: Redis, run: Run
) -> None:
    store(cache, "p")
    other = UpstashRedisCache.from_env(namespace="other:eu")
    store(other, "p", text="longer " * 50)
    store(other, "q", tags=["red"])
    other.clear(tag="red")
    redis.set("entry:of another program", "x")
    found = stats(run, "--all")
    assert [(row["namespace"], row["entries"]) for row in found["namespaces"]] == [
        ("other:eu", 2),
        ("shell", 1),
    ]
    assert found["namespaces"][0]["states"]["cleared"]["entries"] == 1
    _, out, _ = run("stats", "--all")
    assert "other:eu" in out


@pytest.mark.usefixtures("many")
def test_stats_of_all_need_no_namespace(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLM_CACHE_NAMESPACE")
    assert stats(run, "--all")["entries"] == MANY
    code, _, err = run("stats")
    assert (code, "LLM_CACHE_NAMESPACE" in err) == (2, True)


def test_head_of_an_entry_with_the_most_tags_is_read(cache: UpstashRedisCache, run: Run) -> None:
    tags = [f"tag {number}" for number in range(MAX_TAGS)]
    for tag in tags:
        cache.clear(tag=tag)  # its epoch is longer than that of a store
    store(cache, "p", tags=tags, tenant="42")
    (entry,) = listed(run("ls", "--json")[1])
    assert (entry["state"], entry["tags"]) == ("live", MAX_TAGS + 1)


def test_expired_entry_that_is_kept_counts_as_expired(
    upstash: UpstashEndpoint, redis: Redis, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    shell_environment(upstash, monkeypatch)
    cache = UpstashRedisCache(redis, namespace="shell", clock=lambda: 1_000.0)
    store(cache, "p", stale_if_error=600)
    assert stats(run)["states"]["expired"]["entries"] == 1


def test_stats_of_an_empty_database_are_zero(cache: UpstashRedisCache, run: Run) -> None:
    found = stats(run)
    assert (found["entries"], found["age"]["median"], found["largest"]) == (0, None, [])
    assert run("stats")[1].startswith("namespace shell: 0 entries, 0 B")


@pytest.mark.usefixtures("many")
def test_stats_that_run_out_of_time_are_continued_from_their_cursor(run: Run) -> None:
    cursor, entries, runs = "0", 0, 0
    while cursor != "0" or not runs:
        code, out, err = run("stats", "--json", "--seconds", "0", "--cursor", cursor)
        found = json.loads(out)
        cursor, entries, runs = found["cursor"], entries + found["entries"], runs + 1
        assert (code, found["complete"]) == (0, cursor == "0")
        assert "partial" in err
    assert (entries, runs > 1) == (MANY, True)


@pytest.mark.usefixtures("many")
def test_interrupted_stats_print_what_they_counted_and_exit_with_130(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanning, "STEP", 0.0)  # one page a step
    interrupt_after(6, monkeypatch)
    code, out, err = run("stats", "--json")
    found = json.loads(out)
    assert (code, found["complete"], 0 < found["entries"] < MANY) == (130, False, True)
    assert f"partial: continue with the same options and --cursor {found['cursor']}" in err


@pytest.mark.usefixtures("many")
def test_stats_interrupted_in_the_first_step_are_not_complete(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_after(3, monkeypatch)
    code, out, _ = run("stats", "--json")
    assert (code, json.loads(out)["complete"]) == (130, False)


def interrupt_after(commands: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Press Ctrl-C when as many commands have been sent."""
    execute, sent = UpstashStore.execute, []

    def counted(*args: Any, **options: Any) -> Any:
        sent.append(args)
        if len(sent) == commands:
            signal.raise_signal(signal.SIGINT)
        return execute(*args, **options)

    monkeypatch.setattr(UpstashStore, "execute", counted)


@pytest.mark.usefixtures("many")
def test_watch_prints_a_line_a_round_until_it_is_interrupted(
    run: Run, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = UpstashRedisCache.from_env()
    rounds = []

    def between(_: float) -> None:
        rounds.append(1)
        match len(rounds):
            case 1:
                store(cache, "new")
            case 2:
                cache.delete("new", "model")
                cache.clear()
            case 3:
                raise KeyboardInterrupt

    monkeypatch.setattr("llm_cache._cli.watch.time.sleep", between)
    code, out, err = run("stats", "--watch", "--json")
    first, second, third = listed(out)
    assert (code, err) == (130, "")
    assert (first["entries"], first["stored"], first["gone"]) == (MANY, 0, 0)
    assert (second["entries"], second["stored"], second["gone"]) == (MANY + 1, 1, 0)
    assert (third["live"], third["cleared"], third["gone"]) == (0, MANY, 1)


@pytest.mark.usefixtures("many")
def test_watch_of_many_entries_samples_the_same_part_of_the_keys(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_cache._cli.watch.SAMPLE", 0.0)
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("llm_cache._cli.watch.time.sleep", pause)
    _, out, err = run("stats", "--watch", "--json")
    first, second = listed(out)
    assert first["sample"]
    assert 0 < first["entries"] == second["entries"] < MANY
    assert err.count("a sample") == 1


def test_list_has_each_entry_and_no_answer(cache: UpstashRedisCache, run: Run) -> None:
    keys = {store(cache, prompt, tags=["red"], tenant="42") for prompt in "abc"}
    code, out, err = run("ls", "--json")
    assert (code, err) == (0, "")
    assert {entry["key"] for entry in listed(out)} == keys
    assert {(entry["state"], entry["codec"], entry["tags"]) for entry in listed(out)} == {
        ("live", "langchain", 2)
    }
    code, out, err = run("ls")
    assert (code, err, out.count("\n"), SECRET in out) == (0, "", 3, False)
    assert all(key.rpartition(":")[2] in out for key in keys)


def test_list_by_tag_tenant_or_state_has_no_other_entry(cache: UpstashRedisCache, run: Run) -> None:
    red, mine = store(cache, "a", tags=["red"]), store(cache, "b", tenant="42")
    cache.clear(tag="red")
    for options, key in (("--tag", "red"), red), (("--tenant", "42"), mine), (("--cleared",), red):
        assert [entry["key"] for entry in listed(run("ls", "--json", *options)[1])] == [key]


@pytest.mark.usefixtures("many")
def test_list_with_a_limit_is_continued_from_its_cursor_without_a_gap(run: Run) -> None:
    keys: list[str] = []
    cursor = "0"
    for _ in range(MANY):
        code, out, err = run("ls", "--json", "--limit", "700", "--cursor", cursor)
        assert code == 0
        found = [entry["key"] for entry in listed(out)]
        assert len(found) <= 720
        keys += found
        cursor = err.partition("--cursor ")[2].strip()
        if not cursor:
            break
    assert (len(keys), len(set(keys))) == (MANY, MANY)


@pytest.mark.parametrize("command", ["stats", "ls"])
def test_wrong_token_is_one_line_and_exit_code_3(
    cache: UpstashRedisCache, monkeypatch: pytest.MonkeyPatch, run: Run, command: str
) -> None:
    monkeypatch.setenv("UPSTASH_REDIS_REST_TOKEN", "wrong")
    code, _, err = run(command)
    assert (code, "WRONGPASS" in err, "Traceback" in err) == (3, True, False)


def test_cursor_beside_watch_is_refused(cache: UpstashRedisCache, run: Run) -> None:
    code, _, err = run("stats", "--watch", "--cursor", "7")
    assert (code, "no --watch beside it" in err) == (2, True)

"""The questions of an operator: one command answers each, with the variables of `make serve`."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias
from unittest.mock import patch

import pytest
from langchain_core.outputs import Generation
from tests.integration.upstash.connection import Connection

from llm_cache import UpstashRedisCache
from llm_cache._cli.main import main
from local_cloud.cloud import LocalCloud
from local_cloud.workbench import variables


class Done(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


Run: TypeAlias = Callable[..., Done]


@pytest.fixture
def run(cloud: LocalCloud, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Run one command as in a terminal next to `make serve`."""

    def run(*arguments: str) -> Done:
        capsys.readouterr()
        return Done(main(arguments), *capsys.readouterr())

    with patch.dict(os.environ, variables(cloud)):
        yield run


@pytest.fixture
def cache(run: Run) -> UpstashRedisCache:
    """A function's cache in the namespace of the stack."""
    return UpstashRedisCache.from_env()


def failed(doctor: Done) -> dict[str, str]:
    """Return the remedies of the failed checks."""
    assert doctor.code == 1
    return {it["check"]: it["remedy"] for it in doctor.objects if it["state"] == "failed"}


def key_of(reply: Done) -> str:
    return str(reply.objects[0]["cache"]["key"])


def test_working_stack_is_green(run: Run) -> None:
    assert run("doctor").code == 0


def test_wrong_token_is_named_and_rotate_replaces_it(cloud: LocalCloud, run: Run) -> None:
    with cloud.upstash_at(token="of another database"):
        remedies = failed(run("doctor", "--json"))
        assert "/llm-cache/upstash-token" in remedies["token"]
        assert run("rotate").code == 0  # the variables hold the right one
        assert run("doctor").code == 0


def test_full_database_is_named_and_a_clear_with_reclaim_makes_room(
    cloud: LocalCloud, run: Run, cache: UpstashRedisCache
) -> None:
    server = Connection(cloud.redis)
    for number in range(300):
        cache.update(f"large {number}", "model", [Generation(text=os.urandom(10_000).hex())])
    used = dict(
        line.split(":") for line in str(server.call("INFO", "memory")).split() if ":" in line
    )
    server.call("CONFIG", "SET", "maxmemory", int(used["used_memory"]) - 500_000)
    try:
        assert "llm-cache clear --reclaim" in failed(run("doctor", "--json"))["memory"]
        assert run("clear", "--yes", "--reclaim", "60").code == 0
        assert "memory" not in {
            it["check"] for it in run("doctor", "--json").objects if it["state"] == "failed"
        }
    finally:
        server.call("CONFIG", "SET", "maxmemory", 0)
        server.close()


def test_hit_rate_savings_and_memory_are_in_stats(run: Run) -> None:
    for _ in range(2):
        assert run("ask", "What are the savings?").code == 0
    of_functions, entries = run("stats", "--json").objects
    ask = of_functions["functions"]["ask"]
    assert ask["hits"] >= 1
    assert 0 < ask["hit_rate"] < 1
    assert ask["miss_reasons"]["unknown"] >= 1
    assert ask["tokens_saved"] > 0
    assert entries["entries"] >= 1
    assert entries["largest"][0]["bytes"] > 0
    text = run("stats").out
    assert "ask: hit rate" in text
    assert "llm-cache reclaim frees it" in text


def test_miss_is_explained_by_the_key_of_the_reply(run: Run) -> None:
    key = key_of(run("ask", "Why a miss?", "--json"))
    assert run("why", key).out.startswith("hit: stored ")
    assert run("clear", "--yes").code == 0
    why = run("why", key)
    assert why.code == 1
    assert why.out.startswith("miss: cleared ")


def test_one_wrong_answer_is_deleted_by_the_hash_in_cache_status(run: Run) -> None:
    key = key_of(run("ask", "Who is wrong?", "--json"))
    shown = run("show", key, "--answer", "--json").objects[0]
    assert shown["answer"]
    assert run("rm", key.rpartition(":")[2]).code == 0
    assert run("why", key).out.startswith("miss: no entry")
    assert run("rm", key).code == 1


def test_tenant_is_cleared_and_another_one_is_not(run: Run, cache: UpstashRedisCache) -> None:
    def found(tenant: str) -> bool:
        with cache.policy(tenant=tenant):
            return cache.lookup("Who pays?", "model") is not None

    for tenant in ("42", "43"):
        with cache.policy(tenant=tenant):
            cache.update("Who pays?", "model", [Generation(text=f"tenant {tenant}")])
    assert run("clear", "--tenant", "42") == (0, "cleared tenant 42 of llm-cache\n", "")
    assert (found("42"), found("43")) == (False, True)
    assert "no answer was ever stored" in run("clear", "--tenant", "24").err


def test_questions_are_warmed_after_a_deploy(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "questions.jsonl"
    file.write_text("".join(f'"Question {number}?"\n' for number in range(5)))
    assert "5 of 5 questions: 5 misses, 5 stored" in run("warm", str(file)).out
    assert "5 hits" in run("warm", str(file)).out


def test_same_question_without_a_hit_is_explained(run: Run, tmp_path: Path) -> None:
    bodies = [
        {"question": "Who?", "parameters": {"temperature": 0}},
        {"question": "Who?", "parameters": {"temperature": 0.2}, "cache": {"ttl": 60}},
    ]
    files = [tmp_path / f"{number}.json" for number in range(2)]
    for file, body in zip(files, bodies, strict=True):
        file.write_text(json.dumps(body))
    explained = run("explain", *map(str, files))
    assert explained.code == 1
    assert "parameters.temperature: 0" in explained.out

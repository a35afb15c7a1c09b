"""The command rotate, and commands that find the database by a stack."""

from typing import Any

import pytest
from langchain_core.outputs import Generation
from tests.command_line import Run
from upstash_redis import Redis

from llm_cache import UpstashRedisCache
from upstash_endpoint.endpoint import UpstashEndpoint
from upstash_endpoint.redis_server import RedisServer

URL, TOKEN = "UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN"


def stored(ssm: Any) -> str:
    return str(ssm.get_parameter(Name="/shop/token", WithDecryption=True)["Parameter"]["Value"])


@pytest.mark.usefixtures("aws")
def test_stack_that_does_not_exist_is_named(run: Run) -> None:
    code, out, err = run("rotate", "--stack", "shap")
    assert (code, out) == (3, "")
    assert "the stack shap does not exist in eu-west-1" in err


def test_rotate_stores_the_token_of_the_environment_and_prints_no_value(
    stack_ssm: Any, run: Run, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with UpstashEndpoint.start(redis_server, token="new-token") as endpoint:
        monkeypatch.setenv(URL, endpoint.url)
        monkeypatch.setenv(TOKEN, "new-token")
        code, out, err = run("rotate", "--stack", "shop")
    assert (code, err, stored(stack_ssm)) == (0, "", "new-token")
    assert "stored /shop/token in SSM" in out
    assert "new-token" not in out


def test_rotate_stores_nothing_if_upstash_refuses_the_token(
    stack_ssm: Any, run: Run, upstash: UpstashEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN, "wrong")
    code, out, err = run("rotate", "--stack", "shop")
    assert (code, out, stored(stack_ssm)) == (3, "", upstash.token)
    assert "refuses this token" in err
    assert "wrong" not in err


def test_rotate_asks_a_terminal_and_not_the_environment(
    stack_ssm: Any, run: Run, upstash: UpstashEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN, "wrong")
    monkeypatch.setattr("llm_cache._stack.terminal.interactive", lambda: True)
    asked: list[str] = []

    def answer(question: str) -> str:
        asked.append(question)
        return upstash.token if "its REST token" in question else ""

    monkeypatch.setattr("llm_cache._stack.terminal.ask_secret", answer)
    assert run("rotate", "--stack", "shop")[0] == 0
    assert len(asked) == 2
    assert stored(stack_ssm) == upstash.token


@pytest.mark.usefixtures("stack_ssm")
@pytest.mark.parametrize("named_by", ["option", "variable"])
def test_stack_names_the_database_and_the_namespace_of_a_command(
    run: Run, redis: Redis, monkeypatch: pytest.MonkeyPatch, named_by: str
) -> None:
    cache = UpstashRedisCache(redis, namespace="shop")
    cache.update("prompt", "model", [Generation(text="answer")])
    monkeypatch.setenv("LLM_CACHE_NAMESPACE", "another")
    options = ["--stack", "shop"] if named_by == "option" else []
    if named_by == "variable":
        monkeypatch.setenv("LLM_CACHE_STACK", "shop")
    assert run("clear", "--yes", *options) == (0, "cleared shop\n", "")
    assert cache.lookup("prompt", "model") is None
